//! Brings a torrent into the engine and out of it, in a task of its own.

use std::sync::Arc;

use potluck_common::{
    control::{Aspects, CommandError, CommandErrorKind, FilePriority},
    magnet::Magnet,
    metainfo::Metainfo,
};

use super::{
    follow::Curiosity,
    store::{Record, Store},
    tickets::refusal,
};
use crate::{
    disk::Removal,
    engine::{
        AddError, Engine, MagnetParams, RemoveData, RemoveError, TorrentHandle, TorrentParams, named_peers,
    },
};

/// Events that wait until a torrent's follower takes them, which is at once unless the list is busy.
const EVENTS_KEPT: usize = 32;

/// A torrent that was brought into the engine.
pub(super) struct Started {
    pub(super) handle: TorrentHandle,
    /// `None` as long as that of a magnet link is not known.
    pub(super) metainfo: Option<Metainfo>,
    /// What was known of it then.
    pub(super) record: Box<Record>,
}

/// What is needed to bring a torrent into the engine.
pub(super) struct Start {
    pub(super) engine: Engine,
    pub(super) store: Option<Arc<Store>>,
    pub(super) metainfo: Option<Metainfo>,
    pub(super) record: Record,
    pub(super) curiosity: Curiosity,
    pub(super) force_check: bool,
    /// Nobody is to hear of it.
    pub(super) is_check: bool,
}

impl Start {
    /// Has the torrent run.
    pub(super) async fn run(self) -> Result<Started, CommandError> {
        if let (Some(magnet), None) = (self.record.magnet(), &self.metainfo) {
            return self.run_magnet(magnet);
        }
        let metainfo = self.metainfo().await?;
        let mut params = self.params(metainfo.clone());
        if let Some(magnet) = self.record.origin()
            && !self.is_check
        {
            params.link_peers = named_peers(&magnet).await;
        }
        let handle = self.engine.add(params).await.map_err(|error| explain_add(&error))?;
        Ok(Started { handle, metainfo: Some(metainfo), record: Box::new(self.record) })
    }

    /// Has a magnet link run; it goes on as a torrent by itself.
    fn run_magnet(self, magnet: Magnet) -> Result<Started, CommandError> {
        let (record, curiosity) = (self.record.clone(), Arc::clone(&self.curiosity));
        let (force_check, is_check) = (self.force_check, self.is_check);
        let resolve = move |metainfo: Metainfo| {
            let record = record.resolved(&metainfo);
            Ok(Some(params(&record, metainfo, &curiosity, force_check, is_check)))
        };
        let magnet = MagnetParams {
            events_kept: EVENTS_KEPT,
            curiosity: Some(self.curiosity),
            aspects: Aspects::NONE,
            resolve: Arc::new(resolve),
            ..MagnetParams::new(magnet, self.record.directory.clone())
        };
        let handle = self.engine.add_magnet(magnet).map_err(|error| explain_add(&error))?;
        Ok(Started { handle, metainfo: None, record: Box::new(self.record) })
    }

    /// Takes it out of the engine, with `data` along with its payload. One that does not run is taken in before that, unheard of
    /// by anybody, as only the engine knows what of it other torrents need.
    pub(super) async fn remove(self, is_running: bool, data: bool) -> Result<Removal, CommandError> {
        let info_hash = self.record.info_hash;
        let removal = if data { RemoveData::Delete } else { RemoveData::Keep };
        match (is_running, data) {
            (false, false) => return Ok(Removal::default()),
            (false, true) if self.record.magnet.is_some() => return Ok(Removal::default()),
            (true, _) => {}
            (false, true) => {
                let params = self.params(self.metainfo().await?);
                self.engine.add(params).await.map_err(|error| explain_add(&error))?;
            }
        }
        match self.engine.remove(info_hash, removal).await {
            Ok(removal) => Ok(removal),
            // It ended by itself meanwhile.
            Err(RemoveError::Unknown(_)) if !data => Ok(Removal::default()),
            Err(RemoveError::Unknown(_)) if is_running => {
                Box::pin(Self { is_check: true, ..self }.remove(false, true)).await
            }
            Err(error) => Err(refusal(CommandErrorKind::Internal, &error.to_string())),
        }
    }

    async fn metainfo(&self) -> Result<Metainfo, CommandError> {
        if let Some(metainfo) = &self.metainfo {
            return Ok(metainfo.clone());
        }
        let info_hash = self.record.info_hash;
        let Some(store) = self.store.clone() else {
            return Err(refusal(CommandErrorKind::Internal, "the metainfo is gone; add the torrent again"));
        };
        let read = tokio::task::spawn_blocking(move || store.metainfo(info_hash)).await;
        let read = read.unwrap_or_else(|_| Err("reading the metainfo failed unexpectedly".into()));
        read.map_err(|message| refusal(CommandErrorKind::Disk, &message))
    }

    fn params(&self, metainfo: Metainfo) -> TorrentParams {
        params(&self.record, metainfo, &self.curiosity, self.force_check, self.is_check)
    }
}

fn params(
    record: &Record,
    metainfo: Metainfo,
    curiosity: &Curiosity,
    force_check: bool,
    is_check: bool,
) -> TorrentParams {
    let priorities = priorities_of(&metainfo, record);
    TorrentParams {
        priorities,
        up_limit: record.limits.up,
        down_limit: record.limits.down,
        force_check,
        is_unheard: is_check,
        events_kept: EVENTS_KEPT,
        curiosity: Some(Arc::clone(curiosity)),
        aspects: Aspects::NONE,
        ..TorrentParams::new(metainfo, record.directory.clone())
    }
}

/// How much each file is wanted that people see, by its index in the metainfo.
pub(super) fn priorities_of(metainfo: &Metainfo, record: &Record) -> Vec<(usize, FilePriority)> {
    let shown = metainfo.files().iter().enumerate().filter(|(_, file)| !file.padding);
    let priority = |position: usize| record.files.get(&(position as u32)).copied().unwrap_or_default();
    shown.enumerate().map(|(position, (index, _))| (index, priority(position))).collect()
}

fn explain_add(error: &AddError) -> CommandError {
    let kind = match error {
        AddError::Duplicate(_) | AddError::InUse { .. } => CommandErrorKind::Exists,
        AddError::V2Only(_) | AddError::V2Link(_) => CommandErrorKind::Unsupported,
        AddError::Layout(_) => CommandErrorKind::BadTorrent,
        AddError::Defect(_) => CommandErrorKind::Internal,
    };
    refusal(kind, &error.to_string())
}
