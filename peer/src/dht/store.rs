//! What a node remembers from run to run: who it is, and whom it knows.

use std::{collections::BTreeSet, fs::File, io, path::Path};

use data_encoding::HEXLOWER;
use potluck_common::{Printable, hash::sha1};
use potluck_core::dht::DhtSaved;

use super::HostPort;
use crate::resume::fs::{RealFs, StateFs as _};

/// Where it is kept, below the folder of all state.
const FOLDER: &str = "dht";
/// Of the network that everybody joins.
const FILE: &str = "nodes";
/// Of the last one that was joined by nodes of somebody's choice. The two never mix: a lab must not meet the world.
const CHOSEN_FILE: &str = "nodes-chosen";
const LOCK: &str = "lock";
/// The beginning of the file: what it is, and its version, which grows when an older Potluck would misread it.
const HEADER: &str = "potluck-dht-nodes 1 ";
/// Most bytes of the file; all nodes that are kept take a fifth of them.
const BYTES_MAX: usize = 64 * 1024;

/// Which network it is that one remembers, told apart by the nodes that one joins by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Circle {
    /// The one that everybody joins.
    Public,
    /// One that was chosen; the digits tell by whom one joins it.
    Chosen(String),
}

impl Circle {
    pub(super) fn of(bootstrap: &[HostPort]) -> Self {
        let names: BTreeSet<&HostPort> = bootstrap.iter().collect();
        if names == HostPort::public().iter().collect() {
            return Self::Public;
        }
        let names: Vec<String> = names.into_iter().map(ToString::to_string).collect();
        Self::Chosen(HEXLOWER.encode(&sha1(names.join("\n").as_bytes())))
    }

    fn file(&self) -> &'static str {
        match self {
            Self::Public => FILE,
            Self::Chosen(_) => CHOSEN_FILE,
        }
    }

    /// The first line of its file.
    fn header(&self, body: &[u8]) -> String {
        let sum = HEXLOWER.encode(&sha1(body));
        match self {
            Self::Public => format!("{HEADER}{sum}\n"),
            Self::Chosen(whom) => format!("{HEADER}{sum} {whom}\n"),
        }
    }
}

/// The place of what a node remembers, for nobody else as long as this lives.
#[derive(Debug)]
pub(super) struct Store {
    fs: RealFs,
    circle: Circle,
    _lock: File,
}

impl Store {
    /// `None` if another process has it.
    pub(super) fn open(state_dir: &Path, circle: Circle) -> io::Result<Option<Self>> {
        let fs = RealFs::open(&state_dir.join(FOLDER))?;
        Ok(fs.lock(LOCK)?.map(|lock| Self { fs, circle, _lock: lock }))
    }

    /// What was saved last. What is damaged is set aside, and forgotten.
    pub(super) fn load(&self) -> Option<DhtSaved> {
        let file = self.circle.file();
        read(&self.fs, &self.circle).unwrap_or_else(|why| {
            let bad = format!("{file}.bad");
            let place = Printable::new(&self.fs.path_of(file).display().to_string());
            match self.fs.rename(file, &bad) {
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
        let new = format!("{}.new", self.circle.file());
        let written = self.fs.create(&new).and_then(|mut file| {
            file.write(self.circle.header(&body).as_bytes())?;
            file.write(&body)?;
            file.sync()
        });
        if written.is_err() {
            // What could not be written may have filled the disk.
            let _ = self.fs.remove(&new);
        }
        written?;
        self.fs.rename(&new, self.circle.file())?;
        self.fs.sync_folder()
    }
}

/// What is saved below `state_dir`, changing nothing; an error in words if it is damaged.
pub(super) fn peek(state_dir: &Path, circle: &Circle) -> Result<Option<DhtSaved>, String> {
    read(&RealFs::at(&state_dir.join(FOLDER)), circle)
}

/// Of a network that was joined by others there is only who we are.
fn read(fs: &RealFs, circle: &Circle) -> Result<Option<DhtSaved>, String> {
    let bytes = match fs.read(circle.file(), BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| end + 1);
    let (line, body) = bytes.split_at(end);
    if !line.starts_with(HEADER.as_bytes()) {
        return Err("not written by this version of Potluck".to_owned());
    }
    let is_same = line == circle.header(body).as_bytes();
    if !is_same && !is_of_another(line, body, circle) {
        return Err("the checksum does not hold".to_owned());
    }
    let saved = DhtSaved::decode(body).ok_or_else(|| "the content cannot be understood".to_owned())?;
    Ok(Some(if is_same { saved } else { DhtSaved { nodes: Vec::new(), ..saved } }))
}

/// Whether a first line is that of another chosen network.
fn is_of_another(line: &[u8], body: &[u8], circle: &Circle) -> bool {
    let whom =
        str::from_utf8(line).ok().and_then(|line| line.trim_end().rsplit_once(' ')).map(|(_, whom)| whom);
    let is_digits = |whom: &&str| HEXLOWER.decode(whom.as_bytes()).is_ok_and(|sum| sum.len() == 20);
    let Some(whom) = whom.filter(is_digits) else { return false };
    *circle != Circle::Public && line == Circle::Chosen(whom.to_owned()).header(body).as_bytes()
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
        let store = Store::open(folder.path(), Circle::Public).expect("opened").expect("free");
        assert!(store.load().is_none());
        store.save(&saved(3)).expect("saved");
        assert_eq!(store.load(), Some(saved(3)));
        store.save(&saved(4)).expect("saved");
        assert_eq!(peek(folder.path(), &Circle::Public), Ok(Some(saved(4))));
        assert!(Store::open(folder.path(), Circle::Public).expect("opened").is_none(), "one process alone");
        drop(store);
        assert!(Store::open(folder.path(), Circle::Public).expect("opened").is_some());
    }

    #[test]
    fn a_damaged_file_is_set_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), Circle::Public).expect("opened").expect("free");
        store.save(&saved(3)).expect("saved");
        let file = folder.path().join("dht/nodes");
        let whole = fs::read(&file).expect("there");
        for length in 0..whole.len() {
            fs::write(&file, &whole[..length]).expect("cut");
            assert!(peek(folder.path(), &Circle::Public).is_err(), "cut at {length}");
        }
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            fs::write(&file, &changed).expect("changed");
            assert!(peek(folder.path(), &Circle::Public).is_err(), "changed at {place}");
        }
        assert!(store.load().is_none());
        assert!(store.load().is_none() && !file.exists(), "nothing is in the way");
        assert!(file.with_extension("bad").exists(), "and it can be looked at");
        store.save(&saved(1)).expect("saved");
        assert_eq!(store.load(), Some(saved(1)));
    }

    #[test]
    fn what_is_known_of_one_network_is_no_other_ones() {
        let folder = tempfile::tempdir().expect("a folder");
        let circle = |text: &str| Circle::of(&[text.parse().expect("a name")]);
        let (lab, other, nobody) = (circle("10.0.0.1:6881"), circle("10.0.0.2:6881"), Circle::of(&[]));
        assert_eq!(Circle::of(&HostPort::public()), Circle::Public);
        let saves = |circle: &Circle, nodes: u16| {
            let store = Store::open(folder.path(), circle.clone()).expect("opened").expect("free");
            let before = store.load();
            store.save(&saved(nodes)).expect("saved");
            before.map(|saved| (saved.ipv4_id.is_some(), saved.nodes.len()))
        };
        assert_eq!(saves(&Circle::Public, 9), None);
        assert_eq!(saves(&lab, 3), None, "nobody of the public network is known in a lab");
        assert_eq!(saves(&lab, 4), Some((true, 3)));
        assert_eq!(saves(&Circle::Public, 9), Some((true, 9)), "nor is it forgotten for a lab");
        assert_eq!(peek(folder.path(), &other), Ok(Some(saved(0))), "the id alone");
        assert_eq!(saves(&nobody, 2), Some((true, 0)));
        assert_eq!(saves(&nobody, 2), Some((true, 2)));
        assert_eq!(saves(&lab, 1), Some((true, 0)));
    }
}
