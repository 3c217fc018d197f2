//! A torrent of which only a magnet link is known: how one is added, its task, and how that becomes the task of an ordinary
//! torrent.

mod becoming;
mod task;

use std::{
    fmt,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use potluck_common::{
    Printable,
    announce::TrackerUrl,
    control::{
        Aspects, TorrentDetail, TorrentError, TorrentErrorKind, TorrentSnapshot, TorrentState, TorrentSummary,
    },
    magnet::Magnet,
    metainfo::Metainfo,
};

pub(super) use self::task::MagnetTask;
use super::{AddError, TorrentParams, announcing};

/// What becomes of a torrent when its metadata is known; `None` is nothing: it stops.
pub type Resolve = Arc<dyn Fn(Metainfo) -> Result<Option<TorrentParams>, TorrentError> + Send + Sync>;

/// A magnet link to add, and how to treat it.
#[derive(Clone)]
pub struct MagnetParams {
    /// The link.
    pub magnet: Magnet,
    /// Whether to announce to the link's trackers.
    pub use_trackers: bool,
    /// Trackers that the user named, each a tier of its own behind the link's.
    pub extra_trackers: Vec<String>,
    /// Peers that the user named, beside the link's.
    pub peers: Vec<SocketAddr>,
    /// Events kept for a slow reader.
    pub events_kept: usize,
    /// As in [`TorrentParams::curiosity`].
    pub curiosity: Option<Arc<AtomicBool>>,
    /// The lists that its snapshots have until [`TorrentHandle::show`](super::TorrentHandle::show) says otherwise.
    pub aspects: Aspects,
    /// How it goes on.
    pub resolve: Resolve,
}

impl fmt::Debug for MagnetParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MagnetParams").field("magnet", &self.magnet).finish_non_exhaustive()
    }
}

impl MagnetParams {
    /// Fetches the metadata of `magnet`, then downloads the files that the link selects (BEP 53) into `directory`.
    pub fn new(magnet: Magnet, directory: PathBuf) -> Self {
        let link = magnet.clone();
        let resolve = move |metainfo: Metainfo| {
            let wanted_files = selected_files(&link, &metainfo)?;
            Ok(Some(TorrentParams { wanted_files, ..TorrentParams::new(metainfo, directory.clone()) }))
        };
        Self {
            magnet,
            use_trackers: true,
            extra_trackers: Vec::new(),
            peers: Vec::new(),
            events_kept: 1024,
            curiosity: None,
            aspects: Aspects::ALL,
            resolve: Arc::new(resolve),
        }
    }
}

/// The files of `metainfo` that a link selects (BEP 53), as indices; `None` is all.
pub fn selected_files(magnet: &Magnet, metainfo: &Metainfo) -> Result<Option<Vec<usize>>, TorrentError> {
    let Some(selection) = &magnet.files else { return Ok(None) };
    let files: Vec<usize> = (0..metainfo.files().len()).filter(|file| selection.contains(*file)).collect();
    if files.is_empty() {
        let count = metainfo.files().len();
        return Err(bad_torrent(&format!(
            "the link selects files {selection}, and the torrent has {count}; leave out its so=…"
        )));
    }
    Ok(Some(files))
}

/// Refuses a link to what cannot be transferred yet, whatever its metadata says.
pub fn require_v1(magnet: &Magnet) -> Result<(), AddError> {
    if magnet.info_hash_v1().is_some() { Ok(()) } else { Err(AddError::V2Link(name_of(magnet))) }
}

/// What is shown before anything is known.
pub(super) fn first_snapshot(magnet: &Magnet) -> TorrentSnapshot {
    let state = TorrentState::Metadata { have: 0, size: None };
    let summary = TorrentSummary::nothing_known(magnet.info_hash(), name_of(magnet), state);
    TorrentSnapshot { summary, detail: TorrentDetail::default() }
}

/// The name that a link gives, or its hash.
fn name_of(magnet: &Magnet) -> Printable {
    let name = magnet.name.as_deref().filter(|name| !name.trim().is_empty());
    Printable::new(name.unwrap_or(&magnet.info_hash().to_string()))
}

/// The tiers of trackers that are asked: the link's own, then those that the user named.
fn trackers(params: &MagnetParams) -> Vec<Vec<TrackerUrl>> {
    let own: &[String] = if params.use_trackers { &params.magnet.trackers } else { &[] };
    let tiers = own.iter().chain(&params.extra_trackers).map(|tracker| vec![tracker.clone()]);
    announcing::usable(tiers)
}

fn bad_torrent(message: &str) -> TorrentError {
    TorrentError { kind: TorrentErrorKind::BadTorrent, message: Printable::new(message) }
}
