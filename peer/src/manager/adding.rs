//! Takes torrents in: from bytes, a file or a URL.

use std::{path::PathBuf, sync::Arc};

use potluck_common::{
    InfoHash, Printable,
    control::{AddTorrent, CommandError, CommandErrorKind, RateRecorder, TorrentSource},
    limits::METAINFO_BYTES_MAX,
    magnet::Magnet,
    metainfo::{Metainfo, Version},
};
use tokio::sync::Semaphore;

use super::{
    commands::usable_labels,
    entry::Entry,
    jobs::Job,
    list::{List, Message, first_state},
    settings::looked_at,
    store::{Change, Record},
    tickets::{Asker, refusal},
};
use crate::{
    disk::Layout,
    engine::{AddError, require_v1},
    fetch::{FetchError, HttpClient, Origin, fetch_torrent},
};

/// A torrent that was read or fetched, and may be taken in; or why not.
pub(super) enum Added {
    /// It can be.
    Read(Result<Newcomer, CommandError>),
    /// It was written down, or was not.
    Kept(Newcomer, Box<Record>, Result<(), String>),
}

/// A torrent that is to be taken in.
pub(super) struct Newcomer {
    what: What,
    /// What stands in its `.torrent` file; nothing for a magnet link.
    bytes: Vec<u8>,
    directory: PathBuf,
    is_paused: bool,
    labels: Vec<Printable>,
}

/// What is known of a newcomer.
enum What {
    Torrent(Metainfo),
    Magnet(Magnet),
}

impl What {
    fn info_hash(&self) -> InfoHash {
        match self {
            Self::Torrent(metainfo) => metainfo.info_hash(),
            Self::Magnet(magnet) => magnet.info_hash(),
        }
    }
}

impl List {
    /// Reads or fetches a torrent, and takes it in then.
    pub(super) fn add(&mut self, asker: Asker, add: AddTorrent) {
        if add.directory.is_none() && self.folder_settled < self.folder_asked {
            // It goes to the folder that was chosen before.
            return self.adds_waiting.push((asker, add));
        }
        let directory = add.directory.unwrap_or_else(|| self.settings.directory.clone());
        let labels = match usable_labels(&add.labels) {
            Ok(labels) => labels,
            Err(error) => return self.answer(asker, Err(error)),
        };
        let is_paused = add.paused.unwrap_or(self.settings.adds_paused);
        let (http, readers, sender) = (self.http.clone(), Arc::clone(&self.readers), self.sender.clone());
        tokio::spawn(async move {
            let newcomer = read(&http, &readers, add.source, directory).await.map(|newcomer| Newcomer {
                is_paused,
                labels,
                ..newcomer
            });
            let _ = sender.send(Message::Added(asker, Box::new(Added::Read(newcomer))));
        });
    }

    pub(super) fn added(&mut self, asker: Asker, added: Added) {
        match added {
            Added::Read(Err(error)) => self.answer(asker, Err(error)),
            Added::Read(Ok(newcomer)) => self.keep(asker, newcomer),
            Added::Kept(newcomer, record, result) => self.admit(asker, newcomer, *record, result),
        }
    }

    /// Writes a newcomer down before it is said to be there.
    fn keep(&mut self, asker: Asker, mut newcomer: Newcomer) {
        let info_hash = newcomer.what.info_hash();
        let known = self.entries.get(&info_hash).map(|entry| (entry.name(), Some(entry.record.number)));
        let known = known.or_else(|| Some((self.arriving.get(&info_hash)?, None)));
        if let Some((name, number)) = known {
            let place = number.map(|number| format!(" (number {number})")).unwrap_or_default();
            let message = format!("{name} is in the list already{place}");
            return self.answer(asker, Err(refusal(CommandErrorKind::Exists, &message)));
        }
        self.last_number += 1;
        let (number, directory) = (self.last_number, newcomer.directory.clone());
        let now = self.clock.unix_seconds();
        let mut record = match &newcomer.what {
            What::Torrent(metainfo) => Record::new(metainfo, number, directory, now),
            What::Magnet(magnet) => Record::of_magnet(magnet, number, directory, now),
        };
        record.is_paused = newcomer.is_paused;
        record.queue_place = self.last_place(number);
        record.labels = std::mem::take(&mut newcomer.labels);
        self.arriving.insert(info_hash, record.name.clone());
        // What is written now comes after that it was removed, should that have failed.
        self.unforgotten.remove(&info_hash);
        let Some(writer) = &self.writer else {
            return self.admit(asker, newcomer, record, Ok(()));
        };
        let bytes = std::mem::take(&mut newcomer.bytes);
        let sender = self.sender.clone();
        writer.write(Change::Add(Box::new(record.clone()), bytes), move |result| {
            let result = result.map_err(|error| error.to_string());
            let kept = Added::Kept(newcomer, Box::new(record), result);
            let _ = sender.send(Message::Added(asker, Box::new(kept)));
        });
    }

    fn admit(&mut self, asker: Asker, newcomer: Newcomer, record: Record, result: Result<(), String>) {
        let info_hash = record.info_hash;
        self.arriving.remove(&info_hash);
        if let Err(error) = result {
            // It may be there all the same, if only the last step failed.
            self.drop_kept(info_hash);
            let name = &record.name;
            let message = format!(
                "{name} was not added, as the list cannot be written: {error}; make room and try again"
            );
            return self.answer(asker, Err(refusal(CommandErrorKind::Disk, &message)));
        }
        let words = format!("added {}", record.name);
        // The highest number.
        self.is_unsaved = true;
        let is_paused = record.is_paused;
        let row = record.row(record.summary(first_state(is_paused)));
        let metainfo = match newcomer.what {
            What::Torrent(metainfo) => Some(metainfo),
            What::Magnet(_) => None,
        };
        let entry = Entry::new(record, RateRecorder::default(), metainfo);
        self.entries.insert(info_hash, entry);
        self.put_row(row);
        if is_paused || self.enqueue(info_hash) {
            self.look_at_rest(info_hash);
            self.forget_metainfo(info_hash);
        } else {
            self.give_job(info_hash, Job::Start, None);
        }
        self.answer(asker, Ok(Printable::new(&words)));
    }

    /// What the store has need not be in memory.
    fn forget_metainfo(&mut self, info_hash: InfoHash) {
        if self.store.is_some()
            && let Some(entry) = self.entries.get_mut(&info_hash)
        {
            entry.metainfo = None;
        }
    }
}

/// Reads or fetches a torrent and looks whether it can be transferred into `directory`. A few at a time, as each may be large.
async fn read(
    http: &HttpClient,
    readers: &Semaphore,
    source: TorrentSource,
    directory: PathBuf,
) -> Result<Newcomer, CommandError> {
    let directory = looked_at(directory).await?;
    let fetched = match source {
        TorrentSource::Url(url) if is_magnet(&url) => Fetched::Magnet(magnet(&url)?),
        TorrentSource::Url(url) => Fetched::Bytes(fetch(http, &url).await?),
        TorrentSource::Metainfo(bytes) => Fetched::Bytes(bytes),
        TorrentSource::Path(path) => Fetched::At(path),
    };
    let _turn = readers.acquire().await;
    let parsed = tokio::task::spawn_blocking(move || parse(fetched, directory)).await;
    parsed.map_err(|_| {
        refusal(CommandErrorKind::Internal, "reading the torrent failed unexpectedly; please report this")
    })?
}

enum Fetched {
    Bytes(Vec<u8>),
    At(PathBuf),
    Magnet(Magnet),
}

/// Whether it is a magnet link or an info-hash.
fn is_magnet(text: &str) -> bool {
    let text = text.trim();
    let is_link = text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("magnet:"));
    is_link || Magnet::parse_loose(text).is_ok()
}

fn magnet(text: &str) -> Result<Magnet, CommandError> {
    let magnet = Magnet::parse_loose(text)
        .map_err(|error| refusal(CommandErrorKind::BadTorrent, &error.to_string()))?;
    require_v1(&magnet).map_err(|error| refusal(CommandErrorKind::Unsupported, &error.to_string()))?;
    Ok(magnet)
}

async fn fetch(http: &HttpClient, url: &str) -> Result<Vec<u8>, CommandError> {
    let url = url.trim();
    fetch_torrent(http, url, Origin::User).await.map_err(|error| {
        let kind = match &error {
            FetchError::Malformed { .. } | FetchError::Refused { .. } => CommandErrorKind::Invalid,
            FetchError::NotFound { .. } => CommandErrorKind::NotFound,
            FetchError::Unauthorized { .. } | FetchError::Status { .. } | FetchError::Network { .. } => {
                CommandErrorKind::Network
            }
            FetchError::TooLarge { .. } | FetchError::WebPage { .. } | FetchError::NotATorrent { .. } => {
                CommandErrorKind::BadTorrent
            }
        };
        refusal(kind, &error.to_string())
    })
}

fn parse(fetched: Fetched, directory: PathBuf) -> Result<Newcomer, CommandError> {
    let (bytes, place) = match fetched {
        Fetched::Bytes(bytes) => (bytes, None),
        Fetched::At(path) => (read_file(&path)?, Some(path)),
        Fetched::Magnet(magnet) => {
            let what = What::Magnet(magnet);
            return Ok(Newcomer { what, bytes: Vec::new(), directory, is_paused: false, labels: Vec::new() });
        }
    };
    let place =
        place.map(|path| format!("{}: ", Printable::new(&path.to_string_lossy()))).unwrap_or_default();
    let bad = |why: &dyn std::fmt::Display| refusal(CommandErrorKind::BadTorrent, &format!("{place}{why}"));
    if bytes.len() > METAINFO_BYTES_MAX {
        return Err(bad(&format!("a .torrent file has at most {} MiB", METAINFO_BYTES_MAX >> 20)));
    }
    let metainfo = Metainfo::parse(&bytes).map_err(|error| bad(&error))?;
    if metainfo.version() == Version::V2 {
        let error = AddError::V2Only(Printable::new(metainfo.name()));
        return Err(refusal(CommandErrorKind::Unsupported, &error.to_string()));
    }
    Layout::from_metainfo(&metainfo, directory.clone()).map_err(|error| bad(&error))?;
    let what = What::Torrent(metainfo);
    Ok(Newcomer { what, bytes, directory, is_paused: false, labels: Vec::new() })
}

fn read_file(path: &std::path::Path) -> Result<Vec<u8>, CommandError> {
    use std::io::{ErrorKind, Read as _};
    let shown = Printable::new(&path.to_string_lossy());
    let explain = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => {
            refusal(CommandErrorKind::NotFound, &format!("there is no file {shown}; check its name"))
        }
        _ => refusal(CommandErrorKind::Disk, &format!("{shown} cannot be read: {error}")),
    };
    // A pipe in the place of the file would block whoever opens it.
    if !std::fs::metadata(path).map_err(explain)?.is_file() {
        return Err(refusal(
            CommandErrorKind::BadTorrent,
            &format!("{shown} is no file; name a .torrent file"),
        ));
    }
    let file = std::fs::File::open(path).map_err(explain)?;
    let mut bytes = Vec::new();
    file.take(METAINFO_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(explain)?;
    Ok(bytes)
}
