//! The order of payload and claim: whatever state is written, at that moment all that it claims is durable.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use potluck_common::{Bitfield, PieceIndex, Rng};
use proptest::prelude::*;

use super::{
    HASH,
    model::{Lie, ModelFs},
};
use crate::{
    disk::{
        Storage,
        testing::{piece, random_bytes, storage},
    },
    resume::{
        Entry, Journal, Opening, ResumeState, Totals,
        fs::{StateFile, StateFs},
        store::Shape,
    },
};

/// In pieces of 10 bytes; pieces 2 and 5 are of two files.
const FILES: [(&str, u64); 3] = [("a", 25), ("b", 30), ("c", 15)];
const PIECES: u32 = 7;

/// What each state that was begun claims, and what of it was not durable at that moment.
type Claims = Arc<Mutex<Vec<(Vec<u32>, Vec<u32>)>>>;

/// Looks at the payload whenever a state is written.
#[derive(Clone, Debug)]
struct Watching {
    fs: ModelFs,
    storage: Arc<Storage>,
    claims: Claims,
}

struct WatchedFile {
    file: Box<dyn StateFile>,
    watching: Watching,
}

impl StateFs for Watching {
    fn create(&self, name: &str) -> io::Result<Box<dyn StateFile>> {
        Ok(Box::new(WatchedFile { file: self.fs.create(name)?, watching: self.clone() }))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.fs.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.fs.remove(name)
    }
    fn sync_folder(&self) -> io::Result<()> {
        self.fs.sync_folder()
    }
    fn read(&self, name: &str, bytes_max: usize) -> io::Result<Vec<u8>> {
        self.fs.read(name, bytes_max)
    }
    fn names(&self) -> io::Result<Vec<String>> {
        self.fs.names()
    }

    fn path_of(&self, name: &str) -> PathBuf {
        self.fs.path_of(name)
    }
}

impl StateFile for WatchedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let state = ResumeState::decode(bytes, HASH, PIECES, FILES.len()).expect("whole");
        let layout = self.watching.storage.layout();
        let geometry = layout.geometry();
        let is_owed = |piece: &PieceIndex| {
            let mut parts = layout.parts(geometry.offset_of(*piece), geometry.length_of(*piece) as usize);
            parts.any(|part| self.watching.storage.is_dirty(part.file))
        };
        let claimed: Vec<_> = state.have.iter(geometry).collect();
        let owed = claimed.iter().filter(|piece| is_owed(piece)).map(|piece| piece.get()).collect();
        let claimed = claimed.iter().map(|piece| piece.get()).collect();
        self.watching.claims.lock().expect("whole").push((claimed, owed));
        self.file.write(bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn no_state_claims_what_is_not_durable(steps in prop::collection::vec((0..PIECES, 0u8..3), 1..20)) {
        let folder = tempfile::tempdir().expect("folder");
        let payload = random_bytes(&mut Rng::new(5), 70);
        let storage = storage(folder.path(), &FILES, 10, &payload);
        let claims = Claims::default();
        let watching =
            Watching { fs: ModelFs::new(Lie::None), storage: Arc::clone(&storage), claims: Arc::clone(&claims) };
        let shape = Shape { info_hash: HASH, pieces: PIECES, files: FILES.len() };
        let entry = Entry::at(Box::new(watching), "stem", shape);
        let mut journal = Journal::new(Some(entry), ResumeState::unknown(HASH, PIECES, FILES.len()));
        let wanted = [true; 3];
        journal.open(&storage, &wanted, Opening::Trusting).expect("inspected");
        let mut have = Bitfield::empty(PIECES);
        journal.running(&storage, &wanted, &have, true);
        for (number, claim) in steps {
            let from = number as usize * 10;
            storage.write_at(from as u64, &payload[from..from + 10]).expect("written");
            have.insert(piece(&storage, number));
            if claim == 0 {
                journal.claim(&storage, &have, Totals::default()).expect("claimed");
            }
        }
        journal.close(&storage, &have, Totals { downloaded: 1, uploaded: 0 }).expect("closed");
        let claims = claims.lock().expect("whole");
        prop_assert!(claims.iter().all(|(_, owed)| owed.is_empty()), "{:?}", claims);
        let (last, _) = claims.last().expect("it was closed");
        prop_assert_eq!(last.len() as u32, have.count());
    }
}
