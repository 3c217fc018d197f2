//! What the list remembers from run to run: a folder with a few small files for each torrent.
//!
//! `<info-hash>.torrent` is a copy of the metainfo, `<info-hash>.entry` what the list knows beside it, `<info-hash>.rates`
//! its rates over time, `session` the settings and totals. Each is replaced as a whole, so that a cut of the power leaves
//! the old or the new one. An entry is written behind its metainfo and removed before it: whatever a crash leaves, no
//! entry is without its metainfo, but for magnet links of which nothing else is known yet. What is damaged is renamed, costs nothing else, and nothing is deleted for it; what only
//! cannot be read or understood is left as it is; and where a newer Potluck wrote, an older one does not begin.

mod envelope;
mod record;
#[cfg(test)]
mod tests;
mod writer;

use std::{collections::HashSet, fs::File, io, path::Path, thread};

use potluck_common::{
    InfoHash, Printable, control::RateRecorder, limits::METAINFO_BYTES_MAX, metainfo::Metainfo,
};
use thiserror::Error;

use self::envelope::EnvelopeError;
pub(crate) use self::{
    record::{Known, Record, SessionRecord},
    writer::Writer,
};
use super::ManagerError;
use crate::resume::fs::{RealFs, StateFs};

/// Most bytes of an entry, and of rates: some ten kilobytes are in use; priorities of many files make it more.
const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Threads that read or write at a time, where there are so many files that it is worth while.
const THREADS: usize = 4;
const PARALLEL_MIN: usize = 16;
const LOCK: &str = "list.lock";
const SESSION: &str = "session";

/// The folder of a list; nobody else has it as long as this lives.
#[derive(Debug)]
pub(crate) struct Store {
    fs: Box<dyn StateFs>,
    _lock: Option<File>,
}

/// What was there at the start.
#[derive(Default, Debug)]
pub(crate) struct Loaded {
    pub(crate) session: Option<SessionRecord>,
    pub(crate) torrents: Vec<(Record, RateRecorder)>,
    /// What could not be read, a sentence each.
    pub(crate) troubles: Vec<String>,
    /// The session is there, but cannot be read or understood; nothing may be written in its place.
    pub(crate) is_session_hidden: bool,
    /// So many entries are there and cannot be read or understood.
    pub(crate) entries_hidden: u32,
    /// A newer Potluck wrote a file of this version.
    newer: Option<u32>,
}

/// Why a list cannot be loaded at all.
#[derive(Debug, Error)]
pub(crate) enum LoadError {
    #[error("its folder cannot be read: {0}")]
    Folder(#[from] io::Error),
    #[error("a newer Potluck wrote files of version {0} there")]
    Newer(u32),
}

/// A file of the store.
enum Taken<T> {
    Value(T),
    /// There is none, or what was there was damaged and has another name now.
    Nothing,
    /// It stays, and what is in it is not known.
    Hidden,
}

/// A change of what is remembered.
#[derive(Debug)]
pub(crate) enum Change {
    /// A torrent is new.
    Add(Box<Record>, Vec<u8>),
    /// What the list knows of it changed.
    Record(Box<Record>),
    /// Its rates did.
    Rates(InfoHash, Box<RateRecorder>),
    /// It is gone.
    Remove(InfoHash),
    /// Settings or totals changed.
    Session(Box<SessionRecord>),
}

impl Store {
    /// The folder, for nobody else as long as this lives.
    pub(crate) fn open(folder: &Path) -> Result<Self, ManagerError> {
        let refused =
            |cause| ManagerError::Folder { folder: Printable::new(&folder.to_string_lossy()), cause };
        let fs = RealFs::open(folder).map_err(refused)?;
        let lock = fs.lock(LOCK).map_err(refused)?;
        let taken = || ManagerError::InUse { folder: Printable::new(&folder.to_string_lossy()) };
        let lock = lock.ok_or_else(taken)?;
        fs.probe().map_err(refused)?;
        Ok(Self { _lock: Some(lock), ..Self::at(Box::new(fs)) })
    }

    fn at(fs: Box<dyn StateFs>) -> Self {
        Self { fs, _lock: None }
    }

    /// What is there. Blocks.
    pub(crate) fn load(&self) -> Result<Loaded, LoadError> {
        let mut loaded = Loaded::default();
        match self.take(SESSION, "session", &mut loaded) {
            Taken::Value(session) => loaded.session = Some(session),
            Taken::Nothing => {}
            Taken::Hidden => loaded.is_session_hidden = true,
        }
        let names = self.fs.names()?;
        let of_kind =
            |ending| names.iter().filter_map(move |name| InfoHash::from_hex(name.strip_suffix(ending)?));
        let with_rates: HashSet<InfoHash> = of_kind(".rates").collect();
        let entries: Vec<InfoHash> = of_kind(".entry").collect();
        let parts = in_parallel(&entries, |part| vec![self.load_part(part, &with_rates)]);
        for part in parts {
            loaded.torrents.extend(part.torrents);
            loaded.troubles.extend(part.troubles);
            loaded.entries_hidden += part.entries_hidden;
            loaded.newer = loaded.newer.max(part.newer);
        }
        if let Some(version) = loaded.newer {
            return Err(LoadError::Newer(version));
        }
        self.set_aside_leftovers(&names);
        loaded.torrents.sort_by_key(|(record, _)| record.number);
        Ok(loaded)
    }

    fn load_part(&self, entries: &[InfoHash], with_rates: &HashSet<InfoHash>) -> Loaded {
        let mut loaded = Loaded::default();
        for info_hash in entries {
            let name = entry_of(*info_hash);
            let record: Record = match self.take(&name, "entry", &mut loaded) {
                Taken::Value(record) => record,
                Taken::Nothing => continue,
                Taken::Hidden => {
                    loaded.entries_hidden += 1;
                    continue;
                }
            };
            if record.info_hash != *info_hash {
                let path = Printable::new(&self.fs.path_of(&name).to_string_lossy());
                loaded
                    .troubles
                    .push(format!("{path} is of another torrent, and is left out; was it renamed?"));
                continue;
            }
            let rates = with_rates
                .contains(info_hash)
                .then(|| self.take(&rates_of(*info_hash), "rates", &mut loaded));
            let rates = if let Some(Taken::Value(rates)) = rates { rates } else { RateRecorder::default() };
            loaded.torrents.push((record, rates));
        }
        loaded
    }

    /// A crash may leave the metainfo of a torrent that was not in the list yet, or was not any more. It gets another
    /// name, as a person may want it.
    fn set_aside_leftovers(&self, names: &[String]) {
        let names: HashSet<&str> = names.iter().map(String::as_str).collect();
        for name in &names {
            let Some(info_hash) = name.strip_suffix(".torrent").and_then(InfoHash::from_hex) else {
                continue;
            };
            let entry = entry_of(info_hash);
            let is_known = names.contains(&*entry) || names.contains(&*format!("{entry}.bad"));
            let aside = format!("{name}.left");
            if !is_known && self.fs.rename(name, &aside).is_ok() {
                let path = Printable::new(&self.fs.path_of(&aside).to_string_lossy());
                tracing::info!("{path} belongs to no torrent of the list; you may delete it");
            }
        }
    }

    /// The value in a file; what is damaged is renamed and told of, what is hidden is told of.
    fn take<T: serde::de::DeserializeOwned>(&self, name: &str, kind: &str, loaded: &mut Loaded) -> Taken<T> {
        let path = Printable::new(&self.fs.path_of(name).to_string_lossy());
        let damage = match self.fs.read(name, FILE_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Taken::Nothing,
            Err(error)
                if !matches!(error.kind(), io::ErrorKind::FileTooLarge | io::ErrorKind::InvalidInput) =>
            {
                loaded.troubles.push(hidden(&path, kind, "read", &error));
                return Taken::Hidden;
            }
            Err(error) => error.to_string(),
            Ok(bytes) => match envelope::decode(kind, &bytes) {
                Ok(value) => return Taken::Value(value),
                Err(EnvelopeError::Version(version)) => {
                    loaded.newer = loaded.newer.max(Some(version));
                    return Taken::Hidden;
                }
                Err(error @ EnvelopeError::Content(_)) => {
                    loaded.troubles.push(hidden(&path, kind, "used", &error));
                    return Taken::Hidden;
                }
                Err(error @ (EnvelopeError::Header | EnvelopeError::Checksum)) => error.to_string(),
            },
        };
        let aside = format!("{name}.bad");
        let what = match self.fs.rename(name, &aside) {
            Ok(()) => format!("it was renamed to {aside}"),
            Err(error) => format!("and cannot be renamed: {error}"),
        };
        let remedy = if kind == "entry" { "; add that torrent again" } else { "" };
        loaded.troubles.push(format!("{path} is damaged: {damage}; {what}{remedy}"));
        Taken::Nothing
    }

    /// The metainfo of a torrent in the list, in words where it is not to be had. Blocks.
    pub(crate) fn metainfo(&self, info_hash: InfoHash) -> Result<Metainfo, String> {
        let name = torrent_of(info_hash);
        let path = Printable::new(&self.fs.path_of(&name).to_string_lossy());
        let remedy = "remove the torrent from the list, keeping its data, and add its .torrent file again";
        let bytes = self.fs.read(&name, METAINFO_BYTES_MAX);
        let bytes = bytes.map_err(|error| format!("{path} cannot be read: {error}; {remedy}"))?;
        let metainfo = Metainfo::parse(&bytes).ok().filter(|metainfo| metainfo.info_hash() == info_hash);
        metainfo.ok_or_else(|| format!("{path} is damaged; {remedy}"))
    }

    /// Carries out changes in their order, and makes them durable together. Says how each went. Blocks.
    fn apply(&self, changes: &[Change]) -> Vec<io::Result<()>> {
        let mut results = Vec::with_capacity(changes.len());
        let mut left = changes;
        while !left.is_empty() {
            let (alike, rest) = left.split_at(Change::alike(left));
            left = rest;
            let mut begun: Vec<io::Result<()>> =
                in_parallel(alike, |part| part.iter().map(|change| self.begin(change)).collect());
            // What comes second must not be durable without what came first.
            if alike[0].has_two_steps() {
                self.make_durable(&mut begun);
            }
            let begun: Vec<(&Change, io::Result<()>)> = alike.iter().zip(begun).collect();
            let complete = |(change, begun): &(&Change, io::Result<()>)| match begun {
                Ok(()) => self.complete(change),
                Err(error) => Err(same(error)),
            };
            results.extend(in_parallel(&begun, |part| part.iter().map(complete).collect()));
        }
        self.make_durable(&mut results);
        results
    }

    fn make_durable(&self, results: &mut [io::Result<()>]) {
        if let Err(error) = self.fs.sync_folder() {
            for result in results.iter_mut().filter(|result| result.is_ok()) {
                *result = Err(same(&error));
            }
        }
    }

    fn begin(&self, change: &Change) -> io::Result<()> {
        match change {
            // What is only a magnet link has none.
            Change::Add(_, metainfo) if metainfo.is_empty() => Ok(()),
            Change::Add(record, metainfo) => self.put(&torrent_of(record.info_hash), metainfo),
            Change::Remove(info_hash) => self.remove(&entry_of(*info_hash)),
            Change::Record(_) | Change::Rates(..) | Change::Session(_) => Ok(()),
        }
    }

    fn complete(&self, change: &Change) -> io::Result<()> {
        match change {
            Change::Add(record, _) | Change::Record(record) => {
                self.put(&entry_of(record.info_hash), &envelope::encode("entry", record)?)
            }
            Change::Rates(info_hash, rates) if rates.is_empty() => self.remove(&rates_of(*info_hash)),
            Change::Rates(info_hash, rates) => {
                self.put(&rates_of(*info_hash), &envelope::encode("rates", rates)?)
            }
            Change::Remove(info_hash) => {
                self.remove(&torrent_of(*info_hash))?;
                self.remove(&rates_of(*info_hash))
            }
            Change::Session(session) => self.put(SESSION, &envelope::encode("session", session)?),
        }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let new = format!("{name}.new");
        let written = self.fs.create(&new).and_then(|mut file| {
            file.write(bytes)?;
            // Before it gets the name: else a cut of the power could leave the name and not the content.
            file.sync()
        });
        if written.is_err() {
            // What could not be written may have filled the disk.
            let _ = self.fs.remove(&new);
        }
        written?;
        self.fs.rename(&new, name)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match self.fs.remove(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Change {
    /// How many at the beginning are of the same kind, and of different things.
    fn alike(changes: &[Self]) -> usize {
        let kind = std::mem::discriminant(&changes[0]);
        let mut seen = HashSet::new();
        let is_next =
            |change: &&Self| std::mem::discriminant(*change) == kind && seen.insert(change.info_hash());
        changes.iter().take_while(is_next).count()
    }

    fn info_hash(&self) -> Option<InfoHash> {
        match self {
            Self::Add(record, _) | Self::Record(record) => Some(record.info_hash),
            Self::Rates(info_hash, _) | Self::Remove(info_hash) => Some(*info_hash),
            Self::Session(_) => None,
        }
    }

    fn has_two_steps(&self) -> bool {
        matches!(self, Self::Add(..) | Self::Remove(_))
    }
}

/// What `act` makes of parts of `items`, in order. A disk reads or syncs several files in hardly more time than one.
fn in_parallel<T: Sync, R: Send>(items: &[T], act: impl Fn(&[T]) -> Vec<R> + Sync) -> Vec<R> {
    if items.len() < PARALLEL_MIN {
        return act(items);
    }
    let part = items.len().div_ceil(THREADS);
    thread::scope(|scope| {
        let threads: Vec<_> = items.chunks(part).map(|part| scope.spawn(|| act(part))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("it does not panic")).collect()
    })
}

/// What is said of a file that stays as it is.
fn hidden(path: &Printable, kind: &str, verb: &str, error: &dyn std::fmt::Display) -> String {
    let cost = if kind == "session" { "; nor are settings kept until it can be" } else { "" };
    format!("{path} cannot be {verb}: {error}; what it remembers is missing in this run{cost}")
}

/// An error that several hear of.
fn same(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}

fn entry_of(info_hash: InfoHash) -> String {
    format!("{info_hash}.entry")
}

fn torrent_of(info_hash: InfoHash) -> String {
    format!("{info_hash}.torrent")
}

fn rates_of(info_hash: InfoHash) -> String {
    format!("{info_hash}.rates")
}
