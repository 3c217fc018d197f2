//! Files that are wanted more or less while the torrent runs, and a person who asks trackers now.

use potluck_common::{
    announce::{AnnounceReply, TrackerUrl},
    control::FilePriority::{High, Low, Normal, Skip},
};

use super::{alone::Alone, *};
use crate::announce::{AnnounceEffect, AnnounceFailure};

/// A payload of four files of 1 MB in pieces of 64 KiB: borders lie within pieces.
fn four_files(seed: u64, uplink: u64) -> World {
    let mut world = World::new(geometry(4_000_000, 65_536), seed, &[seeder(uplink), leecher(0)]);
    for node in &mut world.nodes {
        let file = |number: u64| TorrentFile {
            path: Printable::new(&number.to_string()),
            offset: number * 1_000_000,
            length: 1_000_000,
            priority: Normal,
            padding: false,
        };
        node.torrent.config.files = (0..4).map(file).collect();
    }
    world
}

impl World {
    fn wish(&mut self, files: &[(usize, FilePriority)]) {
        let node = &mut self.nodes[1];
        node.torrent.handle(self.now, Input::SetFiles(files.to_vec()));
        node.torrent.settle(self.now);
        node.torrent.assert_invariants();
    }

    fn has_file(&self, number: u64) -> bool {
        let pieces = self.geometry.pieces_of_range(number * 1_000_000, 1_000_000);
        pieces
            .filter_map(|piece| self.geometry.piece(piece))
            .all(|piece| self.nodes[1].disk.contains_key(&piece))
    }

    /// Pieces on the disk that no wanted file has a part of.
    fn unasked(&self) -> usize {
        let picker = &self.nodes[1].torrent.picker;
        let skipped = |piece: &&PieceIndex| picker.priority(**piece) == crate::picker::Priority::Skip;
        self.nodes[1].disk.keys().filter(skipped).count()
    }
}

#[test]
fn who_wants_more_begins_again_and_who_wants_less_may_be_done() {
    let mut world = four_files(1, 4_000_000);
    world.wish(&[(1, Skip), (2, Skip), (3, Skip)]);
    assert!(world.run_until(20, World::all_complete));
    assert!(world.has_file(0) && world.unasked() == 0);
    assert_eq!(world.nodes[1].disk.len(), 16, "the border is of both");
    let now = world.now;
    let summary = world.nodes[1].torrent.summary(now);
    assert_eq!((summary.state, summary.wanted_size), (TorrentState::Seeding, 16 * 65_536));
    let pieces = world.nodes[1].torrent.snapshot(now).detail.pieces;
    let skipped = pieces.iter().filter(|piece| piece.is_skipped).count();
    assert_eq!(skipped, pieces.len() - 16, "what nobody here wants is no hole");
    assert!(pieces.iter().all(|piece| piece.have != piece.is_skipped));

    world.wish(&[(2, High)]);
    let summary = world.nodes[1].torrent.summary(now);
    assert_eq!((summary.state, summary.is_durable), (TorrentState::Downloading, false));
    assert!(world.run_until(20, World::all_complete));
    assert!(world.has_file(2) && !world.has_file(1) && !world.has_file(3) && world.unasked() == 0);
    let priorities = world.nodes[1].torrent.snapshot(now).detail.files;
    let priorities: Vec<FilePriority> = priorities.into_iter().map(|file| file.priority).collect();
    assert_eq!(priorities, [Normal, Skip, High, Skip]);

    world.wish(&[(1, Low), (3, Normal)]);
    assert!(world.run_until(20, World::all_complete));
    world.assert_byte_exact(1);
    let completed = world.nodes[1].events.iter().filter(|event| matches!(event, EventKind::Completed { .. }));
    assert_eq!(completed.count(), 3);

    let mut world = four_files(1, 200_000);
    assert!(!world.run_until(6, World::all_complete), "a quarter of it takes five seconds");
    world.wish(&[(0, Skip), (1, Skip), (2, Skip), (3, Skip)]);
    assert!(world.nodes[1].torrent.is_complete(), "who wants nothing has it all");
    assert!(world.nodes[1].torrent.open.is_empty());
    assert!(!world.run_until(3, |world| !world.nodes[1].torrent.open.is_empty()));
}

#[test]
fn what_is_under_way_and_not_wanted_any_more_is_given_up() {
    let mut world = four_files(3, 400_000);
    assert!(world.run_until(10, |world| world.nodes[1].disk.len() == 5));
    assert!(!world.nodes[1].torrent.open.is_empty());
    let wasted = |world: &mut World| world.nodes[1].torrent.summary(world.now).wasted;
    let before = wasted(&mut world);
    let unasked = |world: &World| world.nodes[1].torrent.open.iter().any(|piece| piece.get() > 15);
    assert!(unasked(&world));
    world.wish(&[(1, Skip), (2, Skip), (3, Skip)]);
    assert!(!unasked(&world), "its memory is free");
    assert!(world.run_until(20, World::all_complete));
    assert!(world.has_file(0));
    assert!(wasted(&mut world) - before < 700_000, "what was asked for came all the same, at most");
    let is_wooed = |world: &World| world.nodes[0].torrent.peers.values().any(|peer| peer.is_interested);
    assert!(world.run_until(1, |world| !is_wooed(world)), "the seed heard that nothing more is wanted");
}

#[test]
fn the_file_with_the_highest_priority_comes_first() {
    for file in 0..4 {
        let mut world = four_files(4, 1_000_000);
        world.run_until(1, |_| false);
        let others: Vec<(usize, FilePriority)> =
            (0..4).map(|number| (number, if number == file { High } else { Low })).collect();
        world.wish(&others);
        assert!(world.run_until(20, |world| world.has_file(file as u64)));
        let had = world.nodes[1].disk.len();
        assert!(had < 45, "{had} of 62 pieces");
        assert!(world.run_until(20, World::all_complete));
        world.assert_byte_exact(1);
    }
}

#[test]
fn who_wants_less_frees_a_full_disk() {
    let mut world = four_files(5, 4_000_000);
    world.nodes[1].room = 20;
    world.run_until(10, |_| false);
    assert!(world.nodes[1].torrent.summary(world.now).trouble.is_some());
    let has = |number: u64, world: &World| world.has_file(number);
    let lacking: Vec<usize> = (0..4).filter(|number| !has(*number as u64, &world)).collect();
    let wishes: Vec<(usize, FilePriority)> = lacking.into_iter().map(|number| (number, Skip)).collect();
    world.wish(&wishes);
    assert!(world.run_until(30, |world| world.nodes[1].torrent.is_complete()), "without any more room");
    assert_eq!(world.nodes[1].torrent.summary(world.now).trouble, None);
}

#[test]
fn what_is_only_seeded_is_never_fetched() {
    let mut world = four_files(6, 4_000_000);
    let piece = world.geometry.piece(20).expect("a piece");
    world.nodes[0].torrent.config.fetches_damaged = false;
    world.nodes[0].disk.remove(&piece);
    let now = world.now;
    let trouble = DiskTrouble { message: Printable::new("a bad sector"), kind: TroubleKind::Damaged };
    world.nodes[0].torrent.handle(now, Input::ReadFailed(piece, trouble));
    world.run_until(1, |_| false);
    assert!(!world.nodes[0].torrent.have().has(piece));
    for priority in [Skip, High] {
        world.nodes[0].torrent.handle(now, Input::SetFiles(vec![(1, priority)]));
        assert!(world.nodes[0].torrent.is_complete(), "{priority:?}");
    }
}

/// Wishes of every kind at any moment, on a disk that fails and may be full: what is wanted at the end arrives.
#[test]
fn any_wishes_at_any_moment_end_well() {
    for seed in 0..16 {
        let mut rng = Rng::new(seed);
        let mut world = four_files(seed, 800_000);
        if seed % 3 == 0 {
            world.nodes[1].whims = Some(rng.fork());
        }
        for _ in 0..12 {
            let mut wishes = Vec::new();
            for file in 0..4 {
                if rng.below(2) == 0 {
                    wishes.push((file, [Skip, Skip, Low, Normal, High][rng.below(5) as usize]));
                }
            }
            world.wish(&wishes);
            let milliseconds = 5 * u64::from(rng.below(200));
            let until = world.now + Duration::from_millis(milliseconds);
            while world.now < until {
                world.step();
            }
        }
        world.nodes[1].whims = None;
        world.wish(&[(rng.below(4) as usize, Normal), (9, High)]);
        let is_done = world.run_until(100, World::all_complete);
        assert!(is_done, "seed {seed}: {:?}", world.nodes[1].torrent.summary(world.now));
        for file in 0..4 {
            let wanted = world.nodes[1].torrent.config.files[file].is_wanted();
            assert!(!wanted || world.has_file(file as u64), "seed {seed}: file {file}");
        }
    }
}

/// The `id`s of the announces since the last call.
fn announces(alone: &mut Alone) -> Vec<crate::announce::AnnounceId> {
    let id = |effect: Effect| match effect {
        Effect::Announce(AnnounceEffect::Announce { id, .. }, _) => Some(id),
        _ => None,
    };
    std::mem::take(&mut alone.effects).into_iter().filter_map(id).collect()
}

#[test]
fn a_person_may_ask_trackers_as_early_as_they_allow() {
    let url = TrackerUrl::parse("udp://10.0.0.1:6969").expect("a tracker");
    let mut alone = Alone::leecher_with(50, |config| config.trackers = vec![vec![url]]);
    // Peers enough: it does not ask early by itself.
    for n in 0..10 {
        alone.join(&format!("9.9.{n}.1"));
    }
    alone.pass(1);
    let first = announces(&mut alone);
    let failed = Err(AnnounceFailure::Unreachable(Printable::new("timed out")));
    alone.torrent.handle(alone.now, Input::Announced(first[0], failed));
    alone.pass(1);
    assert_eq!(announces(&mut alone), [], "it waits after a failure");
    alone.torrent.handle(alone.now, Input::Reannounce);
    alone.settle();
    let second = announces(&mut alone);
    assert_eq!(second.len(), 1, "a failed tracker is asked at once");
    let reply = AnnounceReply { min_interval: Some(Duration::from_secs(100)), ..AnnounceReply::default() };
    alone.torrent.handle(alone.now, Input::Announced(second[0], Ok(reply)));
    alone.pass(60);
    alone.torrent.handle(alone.now, Input::Reannounce);
    alone.pass(39);
    assert_eq!(announces(&mut alone), [], "its minimum is kept");
    alone.pass(2);
    assert_eq!(announces(&mut alone).len(), 1);
    alone.torrent.handle(alone.now, Input::Stop);
    alone.torrent.handle(alone.now, Input::Reannounce);
}
