//! Power cuts at every step, damage, and what is there again.

use std::fs;

use potluck_common::{
    control::{FilePriority, Limits},
    magnet::Magnet,
};

use super::*;
use crate::resume::tests::model::{Lie, ModelFs};

const OTHER: InfoHash = InfoHash([9; 20]);

fn metainfo(name: &str) -> (Vec<u8>, Metainfo) {
    let mut bytes =
        format!("d4:infod6:lengthi1e4:name{}:{name}12:piece lengthi16384e6:pieces20:", name.len());
    bytes.push_str("aaaaaaaaaaaaaaaaaaaaee");
    let metainfo = Metainfo::parse(bytes.as_bytes()).expect("valid");
    (bytes.into_bytes(), metainfo)
}

/// The entry of a torrent; no two with different numbers are equal.
fn record(name: &str, number: u32) -> Record {
    let mut record = Record::new(&metainfo(name).1, number, "/data".into(), 1_800_000_000);
    record.labels = vec!["a label".into()];
    record.limits = Limits { down: Some(u64::from(number)), up: None };
    record.files.insert(3, FilePriority::High);
    record.completed_at = Some(1_800_000_001);
    record
}

fn add(name: &str, number: u32) -> Change {
    Change::Add(Box::new(record(name, number)), metainfo(name).0)
}

fn session(number: u64) -> SessionRecord {
    let rates = RateRecorder::default();
    SessionRecord { downloaded_ever: number, last_number: 9, rates, ..SessionRecord::default() }
}

fn store(fs: &ModelFs) -> Store {
    Store::at(Box::new(fs.clone()))
}

fn succeed(store: &Store, changes: &[Change]) {
    for result in store.apply(changes) {
        result.expect("written");
    }
}

/// What is done to a list, one group after the other, and what is in it then: the number of each of two torrents.
fn story() -> Vec<(Vec<Change>, [Option<u32>; 2])> {
    let hash = |name: &str| metainfo(name).1.info_hash();
    vec![
        (vec![Change::Session(Box::new(session(1)))], [None, None]),
        (vec![add("one", 1)], [Some(1), None]),
        (vec![Change::Record(Box::new(record("one", 2)))], [Some(2), None]),
        (vec![add("two", 3)], [Some(2), Some(3)]),
        (vec![Change::Remove(hash("one"))], [None, Some(3)]),
        (vec![add("one", 4)], [Some(4), Some(3)]),
        (vec![Change::Remove(hash("two"))], [Some(4), None]),
    ]
}

/// The numbers of the two torrents in what is there. Whatever happened, none is without its metainfo and none is damaged.
fn numbers(store: &Store) -> [Option<u32>; 2] {
    let loaded = store.load().expect("readable");
    assert!(loaded.troubles.is_empty(), "{:?}", loaded.troubles);
    for (record, _) in &loaded.torrents {
        store.metainfo(record.info_hash).expect("the metainfo is there");
    }
    ["one", "two"].map(|name| {
        let of_name = loaded.torrents.iter().find(|(record, _)| record.name.as_str() == name);
        of_name.map(|(found, _)| {
            assert_eq!(*found, record(name, found.number));
            found.number
        })
    })
}

/// Cuts the story at each step. Says how many disks were looked at, and how many were neither as the last group that was
/// acknowledged left them, nor as the next would have.
fn cut_everywhere(lie: Lie, groups: usize) -> (usize, usize) {
    let whole = ModelFs::new(lie);
    story()[..groups].iter().for_each(|(changes, _)| succeed(&store(&whole), changes));
    let (mut read, mut wrong) = (0, 0);
    for step in 0..=whole.steps() {
        let fs = ModelFs::new(lie);
        fs.cut_at(step);
        let writer = store(&fs);
        let story = &story()[..groups];
        let acknowledged =
            story.iter().take_while(|(changes, _)| writer.apply(changes).iter().all(Result::is_ok)).count();
        let nothing = [None, None];
        let before = acknowledged.checked_sub(1).map_or(nothing, |last| story[last].1);
        let after = story.get(acknowledged).map_or(before, |next| next.1);
        for left in fs.after_power_cut() {
            read += 1;
            let is_right = if lie == Lie::None {
                let found = numbers(&store(&left));
                assert!(found == before || found == after, "cut at {step}: {found:?} in {left:?}");
                true
            } else {
                std::panic::catch_unwind(|| numbers(&store(&left)))
                    .is_ok_and(|found| found == before || found == after)
            };
            wrong += usize::from(!is_right);
        }
    }
    (read, wrong)
}

#[test]
fn a_cut_at_any_step_leaves_the_list_before_or_after_a_change() {
    let (read, wrong) = cut_everywhere(Lie::None, story().len());
    assert!(read > 400 && wrong == 0, "{read} {wrong}");
}

/// What that test is worth: without either of the syncs it fails.
#[test]
fn without_a_sync_something_is_lost() {
    for lie in [Lie::FileSync, Lie::FolderSync] {
        // What is never durable may be there or not, each for itself: a few groups are enough.
        let (read, wrong) = cut_everywhere(lie, 3);
        assert!(wrong > 0, "{lie:?}: none wrong of {read}");
    }
}

#[test]
fn a_step_that_fails_is_told_and_costs_nothing_else() {
    let whole = ModelFs::new(Lie::None);
    succeed(&store(&whole), &[add("one", 1)]);
    for step in 0..whole.steps() {
        let fs = ModelFs::new(Lie::None);
        let writer = store(&fs);
        succeed(&writer, &[add("two", 3)]);
        fs.fail_at(step);
        let is_told = writer.apply(&[add("one", 1)])[0].is_err();
        let found = numbers(&writer);
        assert!(found[1] == Some(3) && (is_told || found[0] == Some(1)), "step {step}: {found:?}");
        succeed(&writer, &[add("one", 2)]);
        assert_eq!(numbers(&writer), [Some(2), Some(3)], "step {step}");
    }
}

#[test]
fn a_damaged_file_costs_itself_and_stays_under_another_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("list");
    let opened = Store::open(&path).expect("opened");
    let mut rates = RateRecorder::default();
    rates.add(1_800_000_000_000, 1_800_000_001_000, [7, 7]);
    let one = metainfo("one").1.info_hash();
    let changes = [
        add("one", 1),
        add("two", 2),
        Change::Session(Box::new(session(5))),
        Change::Rates(one, Box::new(rates.clone())),
    ];
    succeed(&opened, &changes);
    let loaded = opened.load().expect("readable");
    assert_eq!(loaded.torrents, [(record("one", 1), rates), (record("two", 2), RateRecorder::default())]);
    assert_eq!(loaded.session, Some(session(5)));

    let entry = path.join(entry_of(one));
    let whole = fs::read(&entry).expect("read");
    for damage in [whole[..whole.len() / 2].to_vec(), vec![0; whole.len()], Vec::new()] {
        fs::write(&entry, &damage).expect("written");
        let loaded = opened.load().expect("readable");
        assert_eq!(loaded.torrents.len(), 1);
        assert!(
            loaded.troubles[0].contains("is damaged")
                && loaded.troubles[0].contains("add that torrent again")
        );
        assert_eq!(fs::read(entry.with_extension("entry.bad")).expect("it is there"), damage);
        assert!(!entry.exists() && path.join(torrent_of(one)).exists());
    }
    // Somebody took the one for the other.
    fs::write(path.join(entry_of(OTHER)), &whole).expect("written");
    let loaded = opened.load().expect("readable");
    assert!(
        loaded.torrents.len() == 1 && loaded.troubles[0].contains("another torrent"),
        "{:?}",
        loaded.troubles
    );

    fs::write(path.join(torrent_of(one)), "junk").expect("written");
    let error = opened.metainfo(one).expect_err("it is damaged");
    assert!(error.contains("is damaged") && error.contains("add its .torrent file again"), "{error}");
}

#[test]
fn many_changes_at_once_are_each_told_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let opened = Store::open(folder.path()).expect("opened");
    let names: Vec<String> = (0..100).map(|number| format!("torrent {number}")).collect();
    let mut changes: Vec<Change> = names.iter().zip(1..).map(|(name, number)| add(name, number)).collect();
    // The last of several counts.
    changes.extend((101..140).map(|number| Change::Record(Box::new(record("torrent 0", number)))));
    changes.push(Change::Remove(metainfo("torrent 1").1.info_hash()));
    assert_eq!(opened.apply(&changes).len(), changes.len());
    succeed(&opened, &changes[..0]);
    let loaded = opened.load().expect("readable");
    let numbers: Vec<u32> = loaded.torrents.iter().map(|(record, _)| record.number).collect();
    assert_eq!(numbers, (3..=100).chain([139]).collect::<Vec<_>>());
    assert!(Store::open(folder.path()).is_err(), "it has an owner");
}

/// A file of the store as some version wrote it.
fn file(kind: &str, version: u32, body: &str) -> String {
    let digest = data_encoding::HEXLOWER.encode(&potluck_common::hash::sha1(body.as_bytes()));
    format!("potluck-{kind} {version} {digest}\n{body}")
}

/// What every entry has, and one field that nobody knows.
fn oldest(info_hash: InfoHash) -> String {
    format!(r#"{{"info_hash":"{info_hash}","number":7,"name":"one","directory":"/data","of_old":1}}"#)
}

#[test]
fn an_entry_that_lacks_what_came_later_is_an_entry() {
    let fs = ModelFs::new(Lie::None);
    let opened = store(&fs);
    succeed(&opened, &[add("one", 7)]);
    let one = metainfo("one").1.info_hash();
    opened.put(&entry_of(one), file("entry", 1, &oldest(one)).as_bytes()).expect("written");
    opened.put(SESSION, file("session", 1, r#"{"settings":{"slots":3}}"#).as_bytes()).expect("written");
    let loaded = opened.load().expect("readable");
    assert!(loaded.troubles.is_empty(), "{:?}", loaded.troubles);
    let [(record, _)] = &loaded.torrents[..] else { panic!("{loaded:?}") };
    assert_eq!((record.number, record.name.as_str(), record.is_paused), (7, "one", false));
    assert_eq!(record.known, Known::default());
    assert_eq!(loaded.session.expect("it is there").settings.slots, Some(3));
}

#[test]
fn what_is_hidden_is_told_and_stays_as_it_is() {
    let one = metainfo("one").1.info_hash();
    let unknown = file("entry", 1, r#"{"number":7}"#);
    let fs = ModelFs::new(Lie::None);
    let opened = store(&fs);
    succeed(&opened, &[add("one", 7), add("two", 8), Change::Session(Box::new(session(5)))]);
    opened.put(&entry_of(one), unknown.as_bytes()).expect("written");
    // The session is read first.
    fs.fail_reads(1, io::ErrorKind::PermissionDenied);
    let loaded = opened.load().expect("readable");
    assert!(loaded.is_session_hidden && loaded.session.is_none());
    assert_eq!((loaded.entries_hidden, loaded.torrents.len()), (1, 1));
    let [first, second] = &loaded.troubles[..] else { panic!("{loaded:?}") };
    assert!(first.contains("nor are settings kept") && second.contains("missing in this run"), "{loaded:?}");
    assert_eq!(fs.read(&entry_of(one), 1_000).expect("it is there"), unknown.as_bytes());
    assert!(fs.read(&torrent_of(one), 1_000).is_ok(), "its metainfo is no leftover");
}

#[test]
fn what_a_newer_potluck_wrote_is_not_touched() {
    let one = metainfo("one").1.info_hash();
    for (name, kind) in [(entry_of(one), "entry"), (rates_of(one), "rates"), (SESSION.to_owned(), "session")]
    {
        let fs = ModelFs::new(Lie::None);
        let opened = store(&fs);
        succeed(&opened, &[add("one", 7)]);
        let newer = file(kind, 2, "{}");
        opened.put(&name, newer.as_bytes()).expect("written");
        let before = fs.names().expect("readable");
        assert!(matches!(opened.load(), Err(LoadError::Newer(2))), "{kind}");
        assert_eq!(fs.names().expect("readable"), before, "{kind}");
        assert_eq!(fs.read(&name, 1_000).expect("it is there"), newer.as_bytes());
    }
}

#[test]
fn the_metainfo_of_no_torrent_gets_another_name() {
    let fs = ModelFs::new(Lie::None);
    let opened = store(&fs);
    succeed(&opened, &[add("one", 1), add("two", 2)]);
    let one = metainfo("one").1.info_hash();
    fs.remove(&entry_of(one)).expect("removed");
    assert_eq!(numbers(&opened), [None, Some(2)]);
    let left = format!("{}.left", torrent_of(one));
    assert_eq!(fs.read(&left, 1_000).expect("it is there"), metainfo("one").0);
    assert!(fs.read(&torrent_of(one), 1_000).is_err());
}

#[test]
fn what_a_link_names_beside_its_trackers_outlives_that_it_became_a_torrent() {
    let (bytes, metainfo) = metainfo("one");
    let link = |rest: &str| Magnet::parse(&format!("magnet:?xt=urn:btih:{}{rest}", metainfo.info_hash()));
    for (rest, peers) in [("&x.pe=10.0.0.5:6881&x.pe=host.example:7", 2), ("&tr=http://a.example/", 0)] {
        let link = link(rest).expect("a good link");
        let record = Record::of_magnet(&link, 1, "/data".into(), 0).resolved(&metainfo);
        assert_eq!((record.magnet(), record.origin().map_or(0, |link| link.peers.len())), (None, peers));
        let fs = ModelFs::new(Lie::None);
        succeed(&store(&fs), &[Change::Add(Box::new(record.clone()), bytes.clone())]);
        let loaded = store(&fs).load().expect("loaded");
        assert_eq!(loaded.torrents, [(record, RateRecorder::default())]);
    }
}
