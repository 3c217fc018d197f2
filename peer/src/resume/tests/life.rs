//! A payload and its journal, from the first start to the last.

use std::{
    fs::{self, File},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use potluck_common::{Bitfield, PieceIndex, Rng};
use tokio::sync::Semaphore;

use super::HASH;
use crate::{
    disk::{
        FileStamp, Storage,
        testing::{piece, random_bytes, storage},
    },
    resume::{
        Entry, FileMark, Journal, Opening, ResumeState, Totals, Trust, Verdict,
        store::{OpenError, Shape},
    },
};

/// In pieces of 1000 bytes; piece 2 is of `a` and of `dir/b`.
const FILES: [(&str, u64); 3] = [("a", 2_500), ("dir/b", 2_500), ("empty", 0)];
const WANTED: [bool; 3] = [true; 3];
const SHAPE: Shape = Shape { info_hash: HASH, pieces: 5, files: 3 };

struct Scene {
    folder: tempfile::TempDir,
    payload: Vec<u8>,
    storage: Arc<Storage>,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let payload = random_bytes(&mut Rng::new(3), 5_000);
        let storage = storage(&folder.path().join("downloads"), &FILES, 1_000, &payload);
        Self { folder, payload, storage }
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        self.folder.path().join("downloads").join(file)
    }

    fn journal(&self) -> Journal {
        let entry =
            Entry::open(&self.folder.path().join("state"), SHAPE, &self.folder.path().join("downloads"));
        Journal::new(Some(entry.expect("free")), ResumeState::unknown(HASH, 5, 3))
    }

    /// Begins a run, and says what it believes.
    fn start(&self, opening: Opening<'_>) -> (Journal, Trust) {
        let mut journal = self.journal();
        match journal.open(&self.storage, &WANTED, opening).expect("inspected") {
            Verdict::Trust(trust) => (journal, trust),
            Verdict::Missing(file) => panic!("file {file} is missing"),
        }
    }

    fn run(&self, journal: &mut Journal, have: &[u32]) {
        journal.running(&self.storage, &WANTED, &self.set(have), true);
    }

    fn write(&self, number: u32) {
        let from = number as usize * 1_000;
        self.storage.write_at(from as u64, &self.payload[from..from + 1_000]).expect("written");
    }

    fn set(&self, numbers: &[u32]) -> Bitfield {
        let mut set = Bitfield::empty(5);
        for number in numbers {
            set.insert(piece(&self.storage, *number));
        }
        set
    }

    fn saved(&self) -> ResumeState {
        let state = self.folder.path().join("state/resume");
        let path = fs::read_dir(state).expect("folder").map(|entry| entry.expect("entry").path());
        let path = path.filter(|path| path.extension().is_some_and(|e| e == "resume")).last().expect("saved");
        ResumeState::decode(&fs::read(path).expect("there"), HASH, 5, 3).expect("valid")
    }

    fn numbers(&self, set: &Bitfield) -> Vec<u32> {
        set.iter(self.storage.layout().geometry()).map(PieceIndex::get).collect()
    }

    #[track_caller]
    fn believes(&self, trust: &Trust, have: &[u32], check: &[u32]) {
        assert_eq!((self.numbers(&trust.have), self.numbers(&trust.check)), (have.to_vec(), check.to_vec()));
    }

    /// Downloads all in one run.
    fn complete(&self) {
        let (mut journal, _) = self.start(Opening::Trusting);
        self.storage.create_empty_files(|_| true).expect("made");
        self.run(&mut journal, &[]);
        (0..5).for_each(|number| self.write(number));
        journal
            .close(&self.storage, &Bitfield::full(5), Totals { downloaded: 5_000, uploaded: 10 })
            .expect("closed");
    }
}

/// How long the files that are being written to are at least; `None` for the others.
fn lengths_written(state: &ResumeState) -> Vec<Option<u64>> {
    let length = |mark: &FileMark| match mark {
        FileMark::Writing(written) => Some(written.stamp.length),
        _ => None,
    };
    state.files.iter().map(length).collect()
}

fn set_modified(path: &Path, at: SystemTime) {
    let file = File::options().write(true).open(path).expect("there");
    file.set_modified(at).expect("touched");
}

fn touch(path: &Path) {
    let file = File::options().write(true).open(path).expect("there");
    file.set_modified(SystemTime::now() + Duration::from_secs(10)).expect("touched");
}

#[test]
fn a_download_that_is_killed_goes_on_from_its_claims() {
    let scene = Scene::new();
    let (mut journal, trust) = scene.start(Opening::Trusting);
    scene.believes(&trust, &[], &[0, 1, 2, 3, 4]);
    scene.run(&mut journal, &[]);
    assert_eq!(lengths_written(&scene.saved()), [Some(0); 3], "said before anything is written");
    scene.write(0);
    scene.write(3);
    let totals = Totals { downloaded: 2_000, uploaded: 0 };
    journal.claim(&scene.storage, &scene.set(&[0, 3]), totals).expect("claimed");
    assert_eq!(lengths_written(&scene.saved())[..2], [Some(1_000), Some(1_500)]);
    scene.write(1);
    drop(journal);

    let (mut journal, trust) = scene.start(Opening::Trusting);
    scene.believes(&trust, &[0, 3], &[1, 2, 4]);
    journal.checked(&scene.storage, &scene.set(&[1]), &scene.set(&[1, 2, 4]));
    assert_eq!(scene.numbers(&scene.saved().have), [0, 1, 3]);
    scene.run(&mut journal, &[0, 1, 3]);
    scene.write(2);
    journal.claim(&scene.storage, &scene.set(&[0, 1, 2, 3]), totals).expect("claimed");
    let marks = scene.saved().files;
    assert!(matches!(marks[0], FileMark::Settled(_)), "{marks:?}");
    assert_eq!(lengths_written(&scene.saved())[1], Some(1_500));
    assert_eq!(scene.saved().downloaded, 4_000, "of both runs");
    scene.write(4);
    journal.close(&scene.storage, &Bitfield::full(5), totals).expect("closed");
    drop(journal);
    let (_, trust) = scene.start(Opening::Trusting);
    scene.believes(&trust, &[0, 1, 2, 3, 4], &[]);
}

#[test]
fn a_clean_stop_leaves_nothing_to_check_and_a_change_only_what_it_touched() {
    let scene = Scene::new();
    let (mut journal, _) = scene.start(Opening::Trusting);
    scene.run(&mut journal, &[]);
    scene.write(0);
    scene.write(4);
    journal.close(&scene.storage, &scene.set(&[0, 4]), Totals::default()).expect("closed");
    drop(journal);
    let (journal, trust) = scene.start(Opening::Trusting);
    scene.believes(&trust, &[0, 4], &[]);
    drop(journal);
    touch(&scene.path("a"));
    let (_, trust) = scene.start(Opening::Trusting);
    scene.believes(&trust, &[4], &[0, 1, 2]);
}

#[test]
fn a_seed_writes_nothing_down_and_does_not_bless_what_others_did() {
    let scene = Scene::new();
    scene.complete();
    let before = scene.saved();
    let (mut journal, trust) = scene.start(Opening::Trusting);
    scene.believes(&trust, &[0, 1, 2, 3, 4], &[]);
    scene.run(&mut journal, &[0, 1, 2, 3, 4]);
    assert_eq!(scene.saved(), before, "nothing to say");
    touch(&scene.path("a"));
    journal
        .close(&scene.storage, &Bitfield::full(5), Totals { downloaded: 0, uploaded: 90 })
        .expect("closed");
    drop(journal);
    assert_eq!((scene.saved().uploaded, &scene.saved().files), (100, &before.files));
    let (_, trust) = scene.start(Opening::Trusting);
    scene.believes(&trust, &[3, 4], &[0, 1, 2]);
}

#[test]
fn what_is_copied_over_a_download_after_a_crash_is_checked() {
    let scene = Scene::new();
    let (mut journal, _) = scene.start(Opening::Trusting);
    scene.run(&mut journal, &[]);
    scene.write(0);
    scene.write(4);
    journal.claim(&scene.storage, &scene.set(&[0, 4]), Totals::default()).expect("claimed");
    drop(journal);
    let minute = Duration::from_secs(60);
    set_modified(&scene.path("a"), SystemTime::now() + minute);
    set_modified(&scene.path("dir/b"), SystemTime::now() + 60 * minute);
    let (_, trust) = scene.start(Opening::Trusting);
    scene.believes(&trust, &[0], &[1, 2, 3, 4]);
}

#[test]
fn a_check_that_is_interrupted_goes_on() {
    let scene = Scene::new();
    scene.storage.write_at(0, &scene.payload).expect("written");
    let (mut journal, trust) = scene.start(Opening::Trusting);
    scene.believes(&trust, &[], &[0, 1, 2, 3, 4]);
    journal.checked(&scene.storage, &scene.set(&[0, 2]), &scene.set(&[0, 1, 2]));
    drop(journal);
    let (journal, trust) = scene.start(Opening::Trusting);
    scene.believes(&trust, &[0, 2], &[3, 4]);
    drop(journal);
    // The same of one that was forced.
    let (mut journal, trust) = scene.start(Opening::Doubting);
    scene.believes(&trust, &[], &[0, 1, 2, 3, 4]);
    journal.checked(&scene.storage, &scene.set(&[4]), &scene.set(&[4]));
    drop(journal);
    let (_, trust) = scene.start(Opening::Trusting);
    scene.believes(&trust, &[4], &[0, 1, 2, 3]);
}

#[test]
fn after_a_sync_that_failed_nothing_is_claimed_any_more() {
    let scene = Scene::new();
    let (mut journal, _) = scene.start(Opening::Trusting);
    scene.run(&mut journal, &[]);
    scene.write(0);
    journal.claim(&scene.storage, &scene.set(&[0]), Totals::default()).expect("claimed");
    let good = scene.saved();
    scene.write(1);
    // A folder in its place cannot be synced as a file.
    scene.storage.close_files();
    fs::rename(scene.path("a"), scene.path("away"))
        .and_then(|()| fs::create_dir(scene.path("a")))
        .expect("moved");
    journal.claim(&scene.storage, &scene.set(&[0, 1]), Totals::default()).expect_err("cannot be synced");
    fs::remove_dir(scene.path("a"))
        .and_then(|()| fs::rename(scene.path("away"), scene.path("a")))
        .expect("back");
    journal.claim(&scene.storage, &scene.set(&[0, 1]), Totals::default()).expect_err("it is not forgotten");
    journal.close(&scene.storage, &scene.set(&[0, 1]), Totals::default()).expect_err("the same");
    assert_eq!(scene.saved(), good);
    drop(journal);
    let (_, trust) = scene.start(Opening::Trusting);
    scene.believes(&trust, &[0], &[1, 2, 3, 4]);
}

#[cfg(unix)]
#[test]
fn nothing_is_claimed_of_a_file_that_lost_its_place_to_another() {
    let scene = Scene::new();
    let (mut journal, _) = scene.start(Opening::Trusting);
    scene.run(&mut journal, &[]);
    scene.write(0);
    journal.claim(&scene.storage, &scene.set(&[0]), Totals::default()).expect("claimed");
    let good = scene.saved();
    fs::copy(scene.path("a"), scene.path("b")).expect("copied");
    fs::rename(scene.path("b"), scene.path("a")).expect("replaced");
    scene.write(1);
    let all = Bitfield::full(5);
    let error = journal.claim(&scene.storage, &scene.set(&[0, 1]), Totals::default()).expect_err("replaced");
    assert_eq!(error.path(), scene.path("a"));
    journal.close(&scene.storage, &all, Totals::default()).expect_err("it is not forgotten");
    assert_eq!(scene.saved(), good);
}

/// It is news only once it is durable.
#[test]
fn a_file_that_cannot_be_synced_for_want_of_a_descriptor_is_claimed_later() {
    use crate::disk::{DiskAction, DiskError, DiskErrorKind};
    let cases = [
        (DiskErrorKind::TooManyFiles, DiskAction::Open, true),
        (DiskErrorKind::Busy, DiskAction::Open, true),
        (DiskErrorKind::Busy, DiskAction::Sync, false),
        (DiskErrorKind::Device, DiskAction::Sync, false),
    ];
    for (kind, action, is_passing) in cases {
        let scene = Scene::new();
        scene.storage.write_at(0, &scene.payload).expect("written");
        let (mut journal, _) = scene.start(Opening::Trusting);
        let all = Bitfield::full(5);
        journal.checked_by(&scene.storage, &all, &all, |file| match file {
            0 => Err(DiskError::with_kind(kind, action, &scene.path("a"), "on purpose")),
            _ => Ok(()),
        });
        assert_eq!(journal.keeps(), is_passing, "{kind:?}");
        if is_passing {
            assert_eq!(scene.numbers(&scene.saved().have), [3, 4], "{kind:?}");
            journal.checked(&scene.storage, &all, &all);
            assert_eq!(scene.numbers(&scene.saved().have), [0, 1, 2, 3, 4], "{kind:?}");
        }
    }
}

#[test]
fn the_age_of_a_copy_is_not_that_of_its_original() {
    let scene = Scene::new();
    scene.storage.write_at(0, &scene.payload).expect("written");
    set_modified(&scene.path("a"), SystemTime::now() - Duration::from_secs(86_400));
    let (journal, _) = scene.start(Opening::Trusting);
    assert_eq!(journal.may_be_volatile(&scene.storage, 0), cfg!(unix));
}

#[test]
fn what_somebody_vouches_for_is_not_hashed_again_unless_it_changed() {
    let scene = Scene::new();
    scene.storage.write_at(0, &scene.payload).expect("written");
    scene.storage.create_empty_files(|_| true).expect("made");
    let stamps: Vec<FileStamp> =
        (0..3).map(|file| scene.storage.stamp(file).expect("inspected").expect("there")).collect();
    let (mut journal, trust) = scene.start(Opening::Vouched(&stamps));
    scene.believes(&trust, &[0, 1, 2, 3, 4], &[]);
    journal.running(&scene.storage, &WANTED, &Bitfield::full(5), false);
    drop(journal);
    let (journal, trust) = scene.start(Opening::Trusting);
    scene.believes(&trust, &[0, 1, 2, 3, 4], &[]);
    drop(journal);
    touch(&scene.path("dir/b"));
    let (_, trust) = scene.start(Opening::Vouched(&stamps));
    scene.believes(&trust, &[0, 1], &[2, 3, 4]);
}

#[test]
fn a_drive_that_comes_back_is_believed() {
    let scene = Scene::new();
    scene.complete();
    fs::rename(scene.folder.path().join("downloads"), scene.folder.path().join("away")).expect("gone");
    let mut journal = scene.journal();
    let verdict =
        |journal: &mut Journal| journal.open(&scene.storage, &WANTED, Opening::Trusting).expect("inspected");
    assert_eq!(verdict(&mut journal), Verdict::Missing(0));
    fs::rename(scene.folder.path().join("away"), scene.folder.path().join("downloads")).expect("back");
    let Verdict::Trust(trust) = verdict(&mut journal) else { panic!("it is back") };
    scene.believes(&trust, &[0, 1, 2, 3, 4], &[]);
}

/// A finished torrent of which every file was touched, so that the next start checks all of it.
fn finished_and_touched() -> Scene {
    let scene = Scene::new();
    scene.complete();
    touch(&scene.path("a"));
    touch(&scene.path("dir/b"));
    scene
}

#[test]
fn a_finished_torrent_is_missed_also_after_a_check_that_was_interrupted() {
    for opening in [Opening::Trusting, Opening::Doubting] {
        let scene = finished_and_touched();
        let (mut journal, trust) = scene.start(opening);
        scene.believes(&trust, &[], &[0, 1, 2, 3, 4]);
        journal.checked(&scene.storage, &scene.set(&[0]), &scene.set(&[0, 1]));
        drop(journal);
        let (downloads, away) = (scene.folder.path().join("downloads"), scene.folder.path().join("away"));
        fs::rename(&downloads, &away).and_then(|()| fs::create_dir(&downloads)).expect("gone");
        let verdict = scene.journal().open(&scene.storage, &WANTED, Opening::Trusting).expect("inspected");
        assert_eq!(verdict, Verdict::Missing(0), "{opening:?}");
        fs::remove_dir(&downloads).and_then(|()| fs::rename(&away, &downloads)).expect("back");
        let (_, trust) = scene.start(Opening::Trusting);
        scene.believes(&trust, &[0], &[1, 2, 3, 4]);
    }
}

#[test]
fn a_drive_that_goes_during_a_check_is_missed_at_its_end() {
    let scene = finished_and_touched();
    let (mut journal, _) = scene.start(Opening::Trusting);
    let missing = |journal: &Journal| journal.missing(&scene.storage, &WANTED).expect("inspected");
    assert_eq!(missing(&journal), None);
    fs::rename(scene.folder.path().join("downloads"), scene.folder.path().join("away")).expect("gone");
    journal.checked(&scene.storage, &scene.set(&[0]), &scene.set(&[0, 1, 2, 3, 4]));
    assert_eq!(missing(&journal), Some(0));
    drop(journal);
    fs::rename(scene.folder.path().join("away"), scene.folder.path().join("downloads")).expect("back");
    let (mut journal, trust) = scene.start(Opening::Trusting);
    scene.believes(&trust, &[0], &[1, 2, 3, 4]);
    // That a piece is wrong counts as soon as the check is over, and no longer as a reason to look again.
    scene.run(&mut journal, &[0, 1, 2, 3]);
    journal.close(&scene.storage, &scene.set(&[0, 1, 2, 3]), Totals::default()).expect("closed");
    drop(journal);
    let (_, trust) = scene.start(Opening::Trusting);
    scene.believes(&trust, &[0, 1, 2, 3], &[]);
}

#[test]
fn who_doubts_what_is_missing_begins_anew() {
    let scene = Scene::new();
    scene.complete();
    fs::remove_file(scene.path("dir/b")).expect("removed");
    let verdict = scene.journal().open(&scene.storage, &WANTED, Opening::Trusting).expect("inspected");
    assert_eq!(verdict, Verdict::Missing(1));
    let (mut journal, trust) = scene.start(Opening::Doubting);
    scene.believes(&trust, &[], &[0, 1, 2, 3, 4]);
    assert_eq!(journal.missing(&scene.storage, &WANTED).expect("inspected"), None);
    journal.checked(&scene.storage, &scene.set(&[0]), &scene.set(&[0, 3, 4]));
    drop(journal);
    let (mut journal, trust) = scene.start(Opening::Trusting);
    scene.believes(&trust, &[0], &[1, 2]);
    scene.run(&mut journal, &[0, 1]);
    scene.write(3);
    journal.close(&scene.storage, &scene.set(&[0, 1, 3]), Totals::default()).expect("closed");
    drop(journal);
    let (_, trust) = scene.start(Opening::Trusting);
    scene.believes(&trust, &[0, 1, 3], &[]);
}

#[test]
fn a_drive_that_goes_while_it_is_seeded_is_missed_the_next_time() {
    let scene = Scene::new();
    scene.complete();
    let (mut journal, _) = scene.start(Opening::Trusting);
    scene.run(&mut journal, &[0, 1, 2, 3, 4]);
    fs::rename(scene.folder.path().join("downloads"), scene.folder.path().join("away")).expect("gone");
    journal.close(&scene.storage, &Bitfield::full(5), Totals { downloaded: 0, uploaded: 1 }).expect("closed");
    drop(journal);
    let verdict = scene.journal().open(&scene.storage, &WANTED, Opening::Trusting).expect("inspected");
    assert_eq!(verdict, Verdict::Missing(0));
}

#[test]
fn a_file_that_is_too_long_is_settled_once_it_was_cut() {
    let scene = Scene::new();
    scene.complete();
    let b = scene.path("dir/b");
    File::options().write(true).open(&b).and_then(|file| file.set_len(3_000)).expect("longer");
    let (mut journal, trust) = scene.start(Opening::Trusting);
    scene.believes(&trust, &[0, 1], &[2, 3, 4]);
    let all = Bitfield::full(5);
    journal.checked(&scene.storage, &all, &scene.set(&[2, 3, 4]));
    scene.run(&mut journal, &[0, 1, 2, 3, 4]);
    assert_eq!(lengths_written(&scene.saved())[1], Some(3_000));
    scene.storage.trim_long_files(|_| true).expect("cut");
    journal.claim(&scene.storage, &all, Totals::default()).expect("claimed");
    drop(journal);
    let (_, trust) = scene.start(Opening::Trusting);
    scene.believes(&trust, &[0, 1, 2, 3, 4], &[]);
}

#[test]
fn a_piece_that_proved_damaged_is_claimed_no_more_in_either_generation() {
    let scene = Scene::new();
    scene.complete();
    let (mut journal, _) = scene.start(Opening::Trusting);
    scene.run(&mut journal, &[0, 1, 2, 3, 4]);
    journal.claim(&scene.storage, &scene.set(&[0, 1, 2, 4]), Totals::default()).expect("claimed");
    let saved = scene.saved();
    assert_eq!(scene.numbers(&saved.have), [0, 1, 2, 4]);
    assert!(matches!(saved.files[0], FileMark::Settled(_)) && lengths_written(&saved)[1] == Some(2_500));
    let state = scene.folder.path().join("state/resume");
    let names = fs::read_dir(state).expect("folder").map(|entry| entry.expect("entry").path());
    assert_eq!(names.filter(|path| path.extension().is_some_and(|e| e == "old")).count(), 0);
    drop(journal);
    // Nobody fetched it again, as for a seed: it may have been the cable.
    let (mut journal, trust) = scene.start(Opening::Trusting);
    scene.believes(&trust, &[0, 1, 2, 4], &[3]);
    scene.run(&mut journal, &[0, 1, 2, 4]);
    scene.write(3);
    journal.close(&scene.storage, &Bitfield::full(5), Totals::default()).expect("closed");
    drop(journal);
    let (_, trust) = scene.start(Opening::Trusting);
    scene.believes(&trust, &[0, 1, 2, 3, 4], &[]);
}

#[test]
fn a_lost_piece_of_a_seed_is_looked_at_again() {
    let scene = Scene::new();
    scene.complete();
    let (mut journal, _) = scene.start(Opening::Trusting);
    journal.running(&scene.storage, &WANTED, &Bitfield::full(5), false);
    journal.claim(&scene.storage, &scene.set(&[0, 1, 3, 4]), Totals::default()).expect("claimed");
    journal.close(&scene.storage, &scene.set(&[0, 1, 3, 4]), Totals::default()).expect("closed");
    drop(journal);
    let (_, trust) = scene.start(Opening::Trusting);
    scene.believes(&trust, &[0, 1, 3, 4], &[2]);
}

#[test]
fn row_2_15_as_many_locks_are_held_as_there_are_descriptors_for() {
    let folder = tempfile::tempdir().expect("folder");
    let open = |name: &str| Entry::open(folder.path(), SHAPE, &folder.path().join(name));
    let locks = Arc::new(Semaphore::new(1));
    let mut first = open("first").expect("opened");
    let mut second = open("second").expect("opened");
    assert!(matches!(open("second"), Err(OpenError::InUse)));
    assert!(first.share_lock(&locks) && !second.share_lock(&locks));
    assert!(matches!(open("first"), Err(OpenError::InUse)), "it holds its lock");
    open("second").expect("it gave its lock up");
    drop(first);
    assert_eq!(locks.available_permits(), 1);
    assert!(open("first").expect("free").share_lock(&locks));
}

#[test]
fn what_is_wanted_later_is_noted_before_it_is_written_and_never_missed_meanwhile() {
    for noted in [false, true] {
        let scene = Scene::new();
        scene.complete();
        fs::remove_file(scene.path("dir/b"))
            .and_then(|()| fs::remove_file(scene.path("empty")))
            .expect("there");
        let only_a = [true, false, false];
        let mut journal = scene.journal();
        let verdict = journal.open(&scene.storage, &only_a, Opening::Trusting).expect("inspected");
        assert!(matches!(verdict, Verdict::Trust(_)), "nobody wants what was removed");
        journal.running(&scene.storage, &only_a, &scene.set(&[0, 1]), true);
        assert_eq!(lengths_written(&scene.saved())[2], None);
        if noted {
            journal.wanting(&scene.storage, &WANTED, &scene.set(&[0, 1]));
            assert_eq!(lengths_written(&scene.saved())[2], Some(0), "the empty one is to be made");
        }
        scene.write(2);
        journal.claim(&scene.storage, &scene.set(&[0, 1, 2]), Totals::default()).expect("claimed");
        scene.write(3);
        drop(journal);
        let mut journal = scene.journal();
        let verdict = journal.open(&scene.storage, &WANTED, Opening::Trusting).expect("inspected");
        match verdict {
            Verdict::Trust(trust) => {
                assert!(noted);
                scene.believes(&trust, &[0, 1, 2], &[3, 4]);
            }
            Verdict::Missing(file) => assert_eq!((file, noted), (1, false)),
        }
    }
}
