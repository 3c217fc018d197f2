//! An item that is told of states and steps that no engine took.

use std::net::Ipv4Addr;

use potluck_common::metainfo::Metainfo;
use potluck_peer::{
    disk::Removal,
    engine::{Engine, EngineConfig, TorrentParams},
};
use tempfile::TempDir;

use super::*;
use crate::cli::{
    args::OutputArgs,
    transfer::{course::Wish, origin::Stepped},
};

/// An item whose torrent is in an engine, nothing of which is there.
pub(in crate::cli::transfer) struct Rig {
    pub(in crate::cli::transfer) item: Item,
    pub(in crate::cli::transfer) engine: Engine,
    pub(in crate::cli::transfer) output: Output,
    _folder: TempDir,
}

impl Rig {
    /// One that is called so before its metadata is known.
    pub(in crate::cli::transfer) async fn new(name: &str, seed: SeedGoal) -> Self {
        let output = Output::new(&OutputArgs::default());
        output.hold();
        let bind = Some(Ipv4Addr::LOCALHOST.into());
        let engine =
            Engine::start(EngineConfig { bind, ..EngineConfig::default() }).await.expect("an engine");
        let torrent =
            b"d4:infod6:lengthi4e4:name3:one12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee";
        let folder = TempDir::new().expect("a folder");
        let metainfo = Metainfo::parse(torrent).expect("a torrent");
        let params = TorrentParams::new(metainfo, folder.path().to_owned());
        let origin = Origin::torrent(&params);
        let handle = engine.add(params).await.expect("it is added");
        let task = Task::Get { seed: Some(seed), hook: None, stall_timeout: Duration::ZERO };
        let directory = folder.path().to_owned();
        let item = Item::new("input".to_owned(), name, directory, (&handle, origin), task, &output);
        Self { item, engine, output, _folder: folder }
    }

    fn tell(&mut self, state: TorrentState, wanted_have: u64) {
        let mut snapshot = TorrentSnapshot::clone(&self.item.handle.snapshot());
        (snapshot.summary.state, snapshot.summary.is_durable) = (state, true);
        (snapshot.summary.wanted_size, snapshot.summary.wanted_have) = (4, wanted_have);
        (snapshot.summary.downloaded, snapshot.summary.uploaded) = (4, 8);
        self.item.on_snapshot(Arc::new(snapshot), &self.output).expect("written");
    }

    fn wish(&mut self, wish: Wish) -> Option<Step> {
        self.item.wish(wish, oneshot::channel().0)
    }

    fn stepped(&mut self, stepped: Stepped) -> Option<Step> {
        self.item.stepped(stepped, 0, &self.output).expect("written").1
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_of_what_was_complete_comes_to_its_end_before_any_success() {
    let mut rig = Rig::new("one", SeedGoal::Ratio(3.0)).await;
    rig.tell(TorrentState::Seeding, 4);
    assert!(rig.item.complete_at.is_some() && rig.item.end.is_none());
    assert_eq!(rig.wish(Wish::Verify), Some(Step::Stop));
    let start = rig.stepped(Stepped::Stopped).expect("a start");
    let _ = rig.item.errand(start, &rig.engine);
    let handle = rig.item.handle.clone();
    rig.stepped(Stepped::Started(Ok(handle)));
    let Task::Get { seed, .. } = &mut rig.item.task else { unreachable!("it is a get") };
    *seed = Some(SeedGoal::Ratio(1.0));
    rig.tell(TorrentState::Checking { done: 1, total: 4 }, 0);
    rig.item.on_tick(&rig.output).expect("written");
    assert_eq!(rig.item.end, None, "its goal is reached, and its payload may be damaged");
    rig.tell(TorrentState::Downloading, 0);
    rig.item.on_tick(&rig.output).expect("written");
    assert_eq!((rig.item.end, rig.item.complete_at), (None, None), "it is fetched again");
    rig.tell(TorrentState::Seeding, 4);
    rig.item.on_tick(&rig.output).expect("written");
    assert_eq!(rig.item.end, Some(Exit::Done));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_a_check_is_told_of_no_success() {
    let mut rig = Rig::new("one", SeedGoal::Forever).await;
    rig.tell(TorrentState::Seeding, 4);
    rig.item.is_doubted = true;
    rig.item.on_signal(Signal::Interrupt, &rig.output).expect("written");
    assert_eq!(rig.item.end, Some(Exit::Stopped));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rest_is_told_once_and_counts_neither_for_the_goal_nor_as_download() {
    let mut rig = Rig::new("one", SeedGoal::Forever).await;
    rig.tell(TorrentState::Seeding, 4);
    let complete_at = rig.item.complete_at;
    assert_eq!(rig.item.rest_news(), None);
    assert_eq!(rig.wish(Wish::Pause), Some(Step::Stop));
    assert_eq!((rig.item.rest_news(), rig.item.rest_news()), (Some((true, false)), None));
    rig.stepped(Stepped::Stopped);
    assert_eq!((rig.item.rest_news(), rig.item.rest_news()), (Some((true, true)), None));
    assert!(matches!(rig.wish(Wish::GoOn), Some(Step::Start { .. })));
    rig.item.rested_at -= Duration::from_secs(5);
    let handle = rig.item.handle.clone();
    rig.stepped(Stepped::Started(Ok(handle)));
    assert!(rig.item.rested >= Duration::from_secs(5), "{:?}", rig.item.rested);
    assert_eq!(rig.item.complete_at, complete_at, "the summary tells how long it took");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_removed_while_the_command_ends_tells_of_that() {
    for is_well in [true, false] {
        let mut rig = Rig::new("one", SeedGoal::Forever).await;
        let remove = Wish::Remove { data: true };
        assert_eq!(rig.wish(remove), Some(Step::Remove { data: true, is_running: true }));
        assert!(rig.item.course.is_leaving());
        let failure = Failure::new(Exit::Disk, "one", "no", "");
        let removal = if is_well { Ok(Removal::default()) } else { Err(failure) };
        rig.item.stepped_last(Stepped::Removed(removal), 0, &rig.output).expect("written");
        assert_eq!(rig.item.end, Some(if is_well { Exit::Stopped } else { Exit::Disk }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_name_is_that_of_the_metadata() {
    let rig = Rig::new("../evil\u{1b}\nother", SeedGoal::Forever).await;
    assert_eq!(rig.item.name, "one");
    assert_eq!(rig.item.payload(), Some(rig.item.directory.join("one")));
}
