//! States that something else has written to.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
};

use super::{HASH, SHAPE, numbered, save_all};
use crate::resume::{
    fs::StateFs as _,
    store::{Entry, OpenError},
    tests::model::{Lie, ModelFs},
};

/// Two generations of a state in a folder, and where the newest lies.
fn two_generations(state_dir: &Path) -> std::path::PathBuf {
    let directory = state_dir.join("downloads");
    save_all(&mut open(state_dir), 2);
    let names = fs::read_dir(state_dir.join("resume")).expect("folder");
    let newest = names
        .map(|name| name.expect("name").path())
        .find(|path| path.extension().is_some_and(|e| e == "resume"));
    let newest = newest.expect("saved");
    assert!(newest.to_string_lossy().contains(&HASH.to_string()) && !directory.exists());
    newest
}

fn open(state_dir: &Path) -> Entry {
    Entry::open(state_dir, SHAPE, &state_dir.join("downloads")).expect("free")
}

#[test]
fn row_5_3_whatever_is_done_to_the_newest_the_one_before_is_there_and_the_bad_one_kept() {
    let folder = tempfile::tempdir().expect("folder");
    let newest = two_generations(folder.path());
    let (whole, old) = (fs::read(&newest).expect("there"), newest.with_extension("resume.old"));
    let before = fs::read(&old).expect("there");
    let bad = newest.with_extension("resume.bad");
    let check = |name: &str, damage: &dyn Fn()| {
        fs::write(&old, &before).expect("restored");
        let _ = fs::remove_file(&bad);
        damage();
        let mut entry = open(folder.path());
        assert_eq!(entry.load().expect("readable"), Some(numbered(1)), "{name}");
        assert!(bad.exists() && !newest.exists(), "{name}");
        entry.save(&mut numbered(2)).expect("it goes on");
        assert_eq!(entry.load().expect("readable"), Some(numbered(2)), "{name}");
    };
    for place in 0..whole.len() {
        check(&format!("byte {place}"), &|| {
            let mut flipped = whole.clone();
            flipped[place] ^= 0x10;
            fs::write(&newest, flipped).expect("written");
        });
    }
    for length in 0..whole.len() {
        check(&format!("cut to {length}"), &|| fs::write(&newest, &whole[..length]).expect("written"));
    }
    check("longer", &|| fs::write(&newest, [&whole[..], b"x"].concat()).expect("written"));
    check("another torrent's", &|| {
        let mut foreign = numbered(2);
        foreign.info_hash.0[0] ^= 1;
        fs::write(&newest, foreign.encode()).expect("written");
    });
    check("1 GiB", &|| {
        let mut file = File::create(&newest).expect("file");
        file.write_all(&whole).and_then(|()| file.set_len(1 << 30)).expect("sparse");
    });
    check("a folder", &|| {
        let _ = fs::remove_file(&newest);
        fs::create_dir(&newest).expect("folder");
        // The name of a folder can be taken by no file.
        fs::create_dir(&bad).expect("folder");
    });
}

/// What cannot be read now may be whole: it is neither set aside nor passed over.
#[test]
fn a_state_that_cannot_be_read_for_now_is_kept() {
    use std::io::ErrorKind::{Other, PermissionDenied};
    let endless = usize::MAX;
    for (failures, kind, is_read) in
        [(1, Other, true), (5, Other, true), (endless, Other, false), (endless, PermissionDenied, false)]
    {
        let fs = ModelFs::new(Lie::None);
        let mut entry = Entry::at(Box::new(fs.clone()), "stem", SHAPE);
        save_all(&mut entry, 2);
        fs.fail_reads(failures, kind);
        match entry.load() {
            Ok(state) => assert_eq!((state, is_read), (Some(numbered(2)), true), "{failures} {kind}"),
            Err(error) => assert!(!is_read && error.path().ends_with("stem.resume"), "{failures} {error}"),
        }
        fs.fail_reads(0, kind);
        assert_eq!(entry.load().expect("readable"), Some(numbered(2)), "{failures} {kind}");
        assert!(fs.read("stem.resume.bad", 9).is_err());
    }
}

#[test]
fn two_bad_generations_are_as_good_as_none() {
    let folder = tempfile::tempdir().expect("folder");
    let newest = two_generations(folder.path());
    let old = newest.with_extension("resume.old");
    fs::write(&newest, b"").expect("written");
    fs::write(&old, b"\0\0\0").expect("written");
    let mut entry = open(folder.path());
    assert_eq!(entry.load().expect("readable"), None);
    assert!(newest.with_extension("resume.bad").exists() && newest.with_extension("resume.old.bad").exists());
    save_all(&mut entry, 1);
    assert_eq!(entry.load().expect("readable"), Some(numbered(1)));
}

#[test]
fn a_withdrawn_claim_cannot_come_back() {
    let fs = ModelFs::new(Lie::None);
    let mut entry = Entry::at(Box::new(fs.clone()), "stem", SHAPE);
    save_all(&mut entry, 2);
    entry.forget_previous().expect("removed");
    entry.forget_previous().expect("nothing to do");
    for left in fs.after_power_cut() {
        left.remove("stem.resume").expect("there");
        assert_eq!(Entry::at(Box::new(left), "stem", SHAPE).load().expect("readable"), None);
    }
}

#[test]
fn an_entry_is_for_one_at_a_time() {
    let folder = tempfile::tempdir().expect("folder");
    let first = open(folder.path());
    let directory = folder.path().join("downloads");
    assert!(matches!(Entry::open(folder.path(), SHAPE, &directory), Err(OpenError::InUse)));
    drop(
        Entry::open(folder.path(), SHAPE, &folder.path().join("elsewhere")).expect("another folder is free"),
    );
    drop(first);
    drop(open(folder.path()));
    let file = folder.path().join("file");
    fs::write(&file, b"").expect("written");
    assert!(matches!(Entry::open(&file, SHAPE, &directory), Err(OpenError::Io(_))));
}
