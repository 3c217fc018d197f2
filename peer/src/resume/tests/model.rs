//! A file system in memory that knows what a power cut may leave of it.

use std::{
    collections::BTreeMap,
    fmt, io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::resume::fs::{StateFile, StateFs};

/// What is not as it should be with a file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lie {
    None,
    /// It says that a file is durable, and it is not.
    FileSync,
    /// The same of names.
    FolderSync,
}

/// The file system; clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct ModelFs(Arc<Mutex<Disk>>);

#[derive(Clone)]
pub(crate) struct Disk {
    lie: Lie,
    /// Steps done, and how many there may be: the power goes, or an error comes, at the next.
    steps: usize,
    fails_at: Option<usize>,
    /// Nothing works after the power went.
    is_cut: bool,
    /// So many reads fail, with this error.
    failing_reads: (usize, io::ErrorKind),
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Changes of names that may or may not be durable.
    pending: Vec<NameChange>,
}

#[derive(Clone, Default)]
struct Content {
    live: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Clone, Debug)]
enum NameChange {
    Add(String, usize),
    Rename(String, String, usize),
    Remove(String),
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Add(name, file) => drop(names.insert(name.clone(), *file)),
            Self::Rename(from, to, file) => {
                if names.get(from) == Some(file) {
                    names.remove(from);
                }
                names.insert(to.clone(), *file);
            }
            Self::Remove(name) => drop(names.remove(name)),
        }
    }
}

impl ModelFs {
    pub(crate) fn new(lie: Lie) -> Self {
        Self(Arc::new(Mutex::new(Disk {
            lie,
            steps: 0,
            fails_at: None,
            is_cut: false,
            failing_reads: (0, io::ErrorKind::Other),
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending: Vec::new(),
        })))
    }

    /// The power goes at step number `step` from now, which does not happen any more.
    pub(crate) fn cut_at(&self, step: usize) {
        let mut disk = self.lock();
        (disk.steps, disk.fails_at, disk.is_cut) = (0, Some(step), true);
    }

    /// Step number `step` from now fails, and only that one.
    pub(crate) fn fail_at(&self, step: usize) {
        let mut disk = self.lock();
        (disk.steps, disk.fails_at, disk.is_cut) = (0, Some(step), false);
    }

    /// The next `count` reads fail.
    pub(crate) fn fail_reads(&self, count: usize, kind: io::ErrorKind) {
        self.lock().failing_reads = (count, kind);
    }

    pub(crate) fn steps(&self) -> usize {
        self.lock().steps
    }

    /// Every state that the disk may be in after a power cut now: each subset of the changes of names that were not
    /// synced, with what was not synced of the files gone, torn at several lengths, or replaced by zeros.
    pub(crate) fn after_power_cut(&self) -> Vec<Self> {
        let disk = self.lock();
        let mut outcomes = Vec::new();
        for subset in 0..1u32 << disk.pending.len() {
            let mut names = disk.durable_names.clone();
            let happened = disk.pending.iter().enumerate().filter(|(number, _)| subset >> number & 1 == 1);
            happened.for_each(|(_, change)| change.apply(&mut names));
            for tear in 0..6 {
                let files: Vec<Content> = disk.files.iter().map(|file| file.torn(tear)).collect();
                let names = names.clone();
                let durable_names = names.clone();
                outcomes.push(Self(Arc::new(Mutex::new(Disk {
                    fails_at: None,
                    files,
                    names,
                    durable_names,
                    pending: Vec::new(),
                    ..disk.clone()
                }))));
            }
        }
        outcomes
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().expect("no test panics with it")
    }
}

impl Content {
    fn torn(&self, way: usize) -> Self {
        let whole = self.live.len();
        let content = match way {
            0 => self.durable.clone(),
            1 => self.live[..whole.min(1)].to_vec(),
            2 => self.live[..whole / 2].to_vec(),
            3 => self.live[..whole.saturating_sub(1)].to_vec(),
            // The length was written and the content was not.
            4 => vec![0; whole],
            _ => self.live.clone(),
        };
        let content = if self.durable == self.live { self.live.clone() } else { content };
        Self { live: content.clone(), durable: content }
    }
}

impl Disk {
    fn step(&mut self) -> io::Result<()> {
        let fails =
            self.fails_at.is_some_and(|at| if self.is_cut { self.steps >= at } else { self.steps == at });
        self.steps += 1;
        if fails { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending.push(change);
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths: BTreeMap<_, _> =
            self.names.iter().map(|(name, file)| (name, self.files[*file].live.len())).collect();
        write!(f, "after {} steps {lengths:?}, pending {:?}", self.steps, self.pending)
    }
}

impl StateFs for ModelFs {
    fn create(&self, name: &str) -> io::Result<Box<dyn StateFile>> {
        let mut disk = self.lock();
        disk.step()?;
        disk.files.push(Content::default());
        let file = disk.files.len() - 1;
        disk.change(NameChange::Add(name.to_owned(), file));
        Ok(Box::new(ModelFile { fs: self.clone(), file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.lock();
        disk.step()?;
        let file = *disk.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        disk.change(NameChange::Rename(from.to_owned(), to.to_owned(), file));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.lock();
        disk.step()?;
        disk.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        disk.change(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_folder(&self) -> io::Result<()> {
        let mut disk = self.lock();
        disk.step()?;
        if disk.lie != Lie::FolderSync {
            disk.durable_names = disk.names.clone();
            disk.pending.clear();
        }
        Ok(())
    }

    fn read(&self, name: &str, bytes_max: usize) -> io::Result<Vec<u8>> {
        let mut disk = self.lock();
        let file = *disk.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        if disk.failing_reads.0 > 0 {
            disk.failing_reads.0 -= 1;
            return Err(disk.failing_reads.1.into());
        }
        let bytes = disk.files[file].live.clone();
        if bytes.len() > bytes_max { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.lock().names.keys().cloned().collect())
    }

    fn path_of(&self, name: &str) -> PathBuf {
        PathBuf::from(name)
    }
}

struct ModelFile {
    fs: ModelFs,
    file: usize,
}

impl StateFile for ModelFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.fs.lock();
        disk.step()?;
        disk.files[self.file].live.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut disk = self.fs.lock();
        disk.step()?;
        if disk.lie != Lie::FileSync {
            let file = &mut disk.files[self.file];
            file.durable.clone_from(&file.live);
        }
        Ok(())
    }
}
