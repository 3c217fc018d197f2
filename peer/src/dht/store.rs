//! What a node remembers from run to run: who it is, and whom it knows.

use std::{fs::File, io, path::Path};

use data_encoding::HEXLOWER;
use potluck_common::{Printable, hash::sha1};
use potluck_core::dht::DhtSaved;

use crate::resume::fs::{RealFs, StateFs as _};

/// Where it is kept, below the folder of all state.
const FOLDER: &str = "dht";
const FILE: &str = "nodes";
const LOCK: &str = "lock";
/// The beginning of the file: what it is, and its version, which grows when an older Potluck would misread it.
const HEADER: &str = "potluck-dht-nodes 1 ";
/// Most bytes of the file; all nodes that are kept take a fifth of them.
const BYTES_MAX: usize = 64 * 1024;

/// The place of what a node remembers, for nobody else as long as this lives.
#[derive(Debug)]
pub(super) struct Store {
    fs: RealFs,
    _lock: File,
}

impl Store {
    /// `None` if another process has it.
    pub(super) fn open(state_dir: &Path) -> io::Result<Option<Self>> {
        let fs = RealFs::open(&state_dir.join(FOLDER))?;
        Ok(fs.lock(LOCK)?.map(|lock| Self { fs, _lock: lock }))
    }

    /// What was saved last. What is damaged is set aside, and forgotten.
    pub(super) fn load(&self) -> Option<DhtSaved> {
        read(&self.fs).unwrap_or_else(|why| {
            let bad = format!("{FILE}.bad");
            let place = Printable::new(&self.fs.path_of(FILE).display().to_string());
            match self.fs.rename(FILE, &bad) {
                Ok(()) => tracing::warn!("the DHT's nodes in {place}: {why}; the file is kept as {bad}"),
                Err(error) => {
                    tracing::warn!("the DHT's nodes in {place}: {why}, and cannot be set aside: {error}");
                }
            }
            None
        })
    }

    /// Replaces what was saved, as a whole or not at all.
    pub(super) fn save(&self, saved: &DhtSaved) -> io::Result<()> {
        let body = saved.encode();
        let new = format!("{FILE}.new");
        let written = self.fs.create(&new).and_then(|mut file| {
            file.write(header(&body).as_bytes())?;
            file.write(&body)?;
            file.sync()
        });
        if written.is_err() {
            // What could not be written may have filled the disk.
            let _ = self.fs.remove(&new);
        }
        written?;
        self.fs.rename(&new, FILE)?;
        self.fs.sync_folder()
    }
}

/// What is saved below `state_dir`, changing nothing; an error in words if it is damaged.
pub(super) fn peek(state_dir: &Path) -> Result<Option<DhtSaved>, String> {
    read(&RealFs::at(&state_dir.join(FOLDER)))
}

fn read(fs: &RealFs) -> Result<Option<DhtSaved>, String> {
    let bytes = match fs.read(FILE, BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| end + 1);
    let (line, body) = bytes.split_at(end);
    if !line.starts_with(HEADER.as_bytes()) {
        return Err("not written by this version of Potluck".to_owned());
    }
    if line != header(body).as_bytes() {
        return Err("the checksum does not hold".to_owned());
    }
    DhtSaved::decode(body).map(Some).ok_or_else(|| "the content cannot be understood".to_owned())
}

fn header(body: &[u8]) -> String {
    format!("{HEADER}{}\n", HEXLOWER.encode(&sha1(body)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use potluck_common::krpc::{NodeId, NodeInfo};

    use super::*;

    fn saved(nodes: u16) -> DhtSaved {
        let node = |number: u16| NodeInfo { id: NodeId([9; 20]), addr: ([9, 0, 2, 7], number + 1).into() };
        DhtSaved { ipv4_id: Some(NodeId([7; 20])), ipv6_id: None, nodes: (0..nodes).map(node).collect() }
    }

    #[test]
    fn what_is_saved_is_there_in_the_next_run_for_one_process() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("opened").expect("free");
        assert!(store.load().is_none());
        store.save(&saved(3)).expect("saved");
        assert_eq!(store.load(), Some(saved(3)));
        store.save(&saved(4)).expect("saved");
        assert_eq!(peek(folder.path()), Ok(Some(saved(4))));
        assert!(Store::open(folder.path()).expect("opened").is_none(), "one process alone");
        drop(store);
        assert!(Store::open(folder.path()).expect("opened").is_some());
    }

    #[test]
    fn a_damaged_file_is_set_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("opened").expect("free");
        store.save(&saved(3)).expect("saved");
        let file = folder.path().join("dht/nodes");
        let whole = fs::read(&file).expect("there");
        for length in 0..whole.len() {
            fs::write(&file, &whole[..length]).expect("cut");
            assert!(peek(folder.path()).is_err(), "cut at {length}");
        }
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            fs::write(&file, &changed).expect("changed");
            assert!(peek(folder.path()).is_err(), "changed at {place}");
        }
        assert!(store.load().is_none());
        assert!(store.load().is_none() && !file.exists(), "nothing is in the way");
        assert!(file.with_extension("bad").exists(), "and it can be looked at");
        store.save(&saved(1)).expect("saved");
        assert_eq!(store.load(), Some(saved(1)));
    }
}
