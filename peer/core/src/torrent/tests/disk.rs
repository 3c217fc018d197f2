//! A disk that fails: full, damaged, dying.

use potluck_common::{
    Bitfield,
    control::{FilePriority, TorrentErrorKind},
};

use super::{alone::Alone, *};
use crate::picker::Priority;

fn swarm(room: usize) -> World {
    let members = [seeder(400_000), leecher(400_000), leecher(400_000)];
    let mut world = World::new(geometry(2_000_000, 65_536), 1, &members);
    world.nodes[1].room = room;
    world
}

fn has_trouble(world: &mut World, number: usize) -> bool {
    let now = world.now;
    world.nodes[number].torrent.snapshot(now).trouble.is_some()
}

fn told(world: &World, number: usize, is_wanted: impl Fn(&EventKind) -> bool) -> usize {
    world.nodes[number].events.iter().filter(|event| is_wanted(event)).count()
}

fn damaged(kind: TroubleKind) -> DiskTrouble {
    DiskTrouble { message: Printable::new("cannot read f: the file is shorter than it should be"), kind }
}

/// Rows 5.5: while there is no space nothing is forgotten and nothing is fetched in vain, what is there is given, the
/// disk is left alone but for a try now and then, and within a minute of space all is well by itself.
#[test]
fn row_5_5_a_full_disk_is_waited_out() {
    let mut world = swarm(10);
    let is_full = |world: &World| !world.nodes[1].refused.is_empty();
    assert!(world.run_until(60, is_full));
    assert!(world.run_until(120, |world| world.nodes[2].torrent.is_complete()), "the others go on");
    let before = world.nodes[1].torrent.snapshot(world.now);
    let tries = world.nodes[1].refused.len();
    assert!(!world.run_until(200, |world| world.nodes[1].torrent.is_complete()), "there is no room");

    let now = world.now;
    let node = &mut world.nodes[1];
    assert!(
        (9..=45).contains(&(node.refused.len() - tries)),
        "{} tries in 200 s",
        node.refused.len() - tries
    );
    let snapshot = node.torrent.snapshot(now).summary;
    assert_eq!(snapshot.state, TorrentState::Downloading);
    assert_eq!(snapshot.pieces_have as usize, 10, "what could not be written is not claimed");
    assert_eq!(node.disk.len(), 10);
    let trouble = snapshot.trouble.clone().expect("it is said");
    assert_eq!(trouble.kind, TorrentErrorKind::Disk);
    let stall = snapshot.stall.clone().expect("and explained").to_string();
    assert!(stall.starts_with("disk full: cannot write f: no space left on the disk; goes on"), "{stall}");
    assert!(stall.ends_with("; 1.3 MiB more are needed"), "{stall}");
    assert_eq!(snapshot.downloaded, before.downloaded, "nothing is fetched in vain");
    assert_eq!(snapshot.wasted, 0);
    assert!(snapshot.seeds_connected > 0, "nobody was sent away");
    let stalls = told(
        &world,
        1,
        |event| matches!(event, EventKind::DiskFull { why } if why.as_str().starts_with("disk full")),
    );
    assert_eq!(stalls, 1, "it is told once");

    let now = world.now;
    world.nodes[1].room = usize::MAX;
    assert!(world.run_until(60, |world| world.nodes[1].torrent.is_complete()), "it goes on by itself");
    world.assert_byte_exact(1);
    assert!(!has_trouble(&mut world, 1));
    let snapshot = world.nodes[1].torrent.snapshot(now);
    assert_eq!(snapshot.wasted, 0, "no byte was fetched twice");
    assert_eq!(snapshot.hash_failures, 0);
    assert_eq!(told(&world, 1, |event| matches!(event, EventKind::DiskFreed)), 1);
}

/// A disk that is freed a piece at a time, and pieces that were damaged on their way while it was full.
#[test]
fn row_5_5_space_may_come_in_drops_and_hostile_peers_may_use_the_time() {
    let members = [seeder(300_000), leecher(400_000), poisoner(900_000)];
    let mut world = World::new(geometry(2_000_000, 65_536), 3, &members);
    world.nodes[1].room = 1;
    for _ in 0..31 {
        world.run_until(15, |world| world.nodes[1].torrent.is_complete());
        world.nodes[1].room += 1;
        world.nodes[1].torrent.assert_invariants();
    }
    assert!(world.run_until(60, |world| world.nodes[1].torrent.is_complete()));
    world.assert_byte_exact(1);
}

/// Stores that fail at random, each in a way that passes or costs the piece: whatever their order, it completes, and
/// nothing is ever claimed that is not on the disk.
#[test]
fn row_5_5_a_whimsical_disk_costs_time_and_nothing_else() {
    for seed in 0..4 {
        let members = [seeder(2_000_000), leecher(2_000_000), leecher(2_000_000)];
        let mut world = World::new(geometry(1_000_000, 32_768), seed, &members);
        world.nodes[1].whims = Some(Rng::new(seed));
        let claims_too_much = |world: &World| {
            let node = &world.nodes[1];
            node.torrent.have().iter(&world.geometry).any(|piece| !node.disk.contains_key(&piece))
        };
        let ended =
            world.run_until(1_500, |world| world.nodes[1].torrent.is_complete() || claims_too_much(world));
        let now = world.now;
        let snapshot = world.nodes[1].torrent.snapshot(now);
        assert!(ended && !claims_too_much(&world), "seed {seed}: {:?} {:?}", snapshot.state, snapshot.stall);
        assert!(world.nodes[1].refused.len() > 10, "seed {seed}: hardly anything failed");
        world.assert_byte_exact(1);
        assert!(!has_trouble(&mut world, 1), "seed {seed}");
        world.nodes[1].torrent.assert_invariants();
    }
}

#[test]
fn row_5_5_a_torrent_with_a_full_disk_can_be_stopped() {
    let mut world = swarm(3);
    assert!(world.run_until(60, |world| !world.nodes[1].refused.is_empty()));
    let now = world.now;
    world.nodes[1].torrent.handle(now, Input::Stop);
    assert!(world.run_until(2, |world| world.nodes[1].finished));
}

#[test]
fn a_lasting_trouble_ends_the_torrent_and_frees_its_memory() {
    let mut world = swarm(3);
    assert!(world.run_until(60, |world| !world.nodes[1].refused.is_empty()));
    let now = world.now;
    world.nodes[1].torrent.handle(now, Input::SyncFailed(damaged(TroubleKind::Full)));
    world.run_until(2, |_| false);
    let now = world.now;
    let node = &mut world.nodes[1];
    assert!(matches!(node.torrent.snapshot(now).state, TorrentState::Failed(_)));
    assert!(node.kept.is_empty() && node.open.is_empty(), "no buffer is kept for nothing");
    assert!(node.connections.is_empty());
    node.torrent.assert_invariants();
}

/// Row 5.6: a block that cannot be read costs nothing if its piece is well after all.
#[test]
fn row_5_6_a_failed_read_is_looked_into_and_three_are_the_end() {
    let mut world = swarm(usize::MAX);
    assert!(world.run_until(100, World::all_complete));
    let pieces: Vec<PieceIndex> = world.geometry.iter().collect();
    for (strike, piece) in [pieces[3], pieces[3], pieces[5]].into_iter().enumerate() {
        let now = world.now;
        world.nodes[0].torrent.handle(now, Input::ReadFailed(piece, damaged(TroubleKind::Damaged)));
        // A peer asks for many blocks of a piece at once: that is one failure.
        if strike < 2 {
            world.nodes[0].torrent.handle(now, Input::ReadFailed(piece, damaged(TroubleKind::Damaged)));
        }
        world.run_until(1, |_| false);
        let state = world.nodes[0].torrent.snapshot(world.now).summary.state;
        assert_eq!(matches!(state, TorrentState::Failed(_)), strike == 2, "{state:?}");
    }
    assert_eq!(told(&world, 0, |event| matches!(event, EventKind::PieceLost { .. })), 0);
}

/// Failures far apart, and such as pass by themselves, do not add up.
#[test]
fn row_5_6_old_failures_are_forgotten() {
    let mut world = swarm(usize::MAX);
    let piece = world.geometry.iter().next().expect("a piece");
    let torrent = &mut world.nodes[0].torrent;
    for hour in 1..10 {
        let now = Instant::from_secs(hour * 3600);
        for kind in [TroubleKind::Damaged, TroubleKind::Passing, TroubleKind::Full, TroubleKind::Passing] {
            torrent.handle(now, Input::ReadFailed(piece, damaged(kind)));
            torrent.handle(now, Input::PieceVerified(piece, Ok(true)));
        }
        assert_eq!(torrent.snapshot(now).state, TorrentState::Seeding);
    }
}

/// Row 5.6: a piece that is damaged on the disk of a download is fetched again, from whom it parted as complete.
#[test]
fn row_5_6_a_damaged_piece_of_a_download_is_fetched_again() {
    let mut world = swarm(usize::MAX);
    assert!(world.run_until(100, World::all_complete));
    world.run_until(5, |_| false);
    let piece = world.geometry.iter().nth(4).expect("a piece");
    let now = world.now;
    world.nodes[1].disk.remove(&piece);
    world.nodes[1].torrent.handle(now, Input::ReadFailed(piece, damaged(TroubleKind::Damaged)));
    assert!(world.run_until(2, |world| !world.nodes[1].torrent.is_complete()));
    assert!(!world.nodes[1].torrent.have().has(piece));
    assert!(world.run_until(60, |world| world.nodes[1].torrent.is_complete()));
    world.assert_byte_exact(1);
    let lost = |event: &EventKind| {
        matches!(event, EventKind::PieceLost { piece: 4, fetched_again: true, why: None })
    };
    assert_eq!(told(&world, 1, lost), 1);
}

/// Row 5.6: a sync that began before a piece was lost and fetched again says nothing about that piece.
#[test]
fn row_5_6_the_sync_of_an_earlier_completion_makes_no_later_one_durable() {
    let mut world = swarm(usize::MAX);
    world.nodes[1].syncs_later = true;
    assert!(world.run_until(100, World::all_complete));
    let piece = world.geometry.iter().nth(4).expect("a piece");
    let now = world.now;
    world.nodes[1].disk.remove(&piece);
    world.nodes[1].torrent.handle(now, Input::ReadFailed(piece, damaged(TroubleKind::Damaged)));
    assert!(world.run_until(2, |world| !world.nodes[1].torrent.is_complete()));
    assert!(world.run_until(60, |world| world.nodes[1].torrent.is_complete()));
    assert_eq!(world.nodes[1].unsynced, [1, 2]);
    for (time, is_durable) in [(1, false), (2, true), (1, true)] {
        let now = world.now;
        world.nodes[1].torrent.handle(now, Input::Settled(time));
        assert_eq!(world.nodes[1].torrent.snapshot(now).is_durable, is_durable, "{time}");
    }
}

/// Row 5.6: a payload that is only seeded is never written to: the damaged piece is offered no more.
#[test]
fn row_5_6_a_damaged_piece_of_a_seed_is_offered_no_more() {
    let mut world = World::new(geometry(2_000_000, 65_536), 2, &[seeder(200_000), leecher(200_000)]);
    world.nodes[0].torrent.config.fetches_damaged = false;
    let piece = world.geometry.iter().nth(7).expect("a piece");
    world.run_until(1, |_| false);
    let now = world.now;
    world.nodes[0].disk.remove(&piece);
    world.nodes[0].torrent.handle(now, Input::ReadFailed(piece, damaged(TroubleKind::Defect)));
    let lacks_one = |world: &World| world.nodes[1].torrent.have().count() == world.geometry.pieces() - 1;
    assert!(world.run_until(120, lacks_one), "the others are given");
    assert!(!world.run_until(60, |world| world.nodes[1].torrent.is_complete()), "the damaged one is not");
    let snapshot = world.nodes[0].torrent.snapshot(world.now).summary;
    assert_eq!((snapshot.state, snapshot.pieces_have), (TorrentState::Seeding, snapshot.pieces - 1));
}

/// One error of the drive costs a piece for a while, and no longer: it is looked at again, and offered again.
#[test]
fn row_5_6_a_piece_that_could_not_be_read_is_looked_at_again() {
    for fetches_damaged in [false, true] {
        let mut alone = Alone::leecher_with(50, |config| {
            config.have = Bitfield::full(config.geometry.pieces());
            config.fetches_damaged = fetches_damaged;
        });
        let piece = alone.torrent.config.geometry.piece(7).expect("it exists");
        let failing = || damaged(TroubleKind::Damaged);
        alone.torrent.handle(alone.now, Input::ReadFailed(piece, failing()));
        let mut looks = Vec::new();
        while looks.len() < 4 {
            alone.pass(1);
            for effect in std::mem::take(&mut alone.effects) {
                match effect {
                    Effect::VerifyPiece(looked_at) => {
                        assert_eq!(looked_at, piece);
                        looks.push(alone.now);
                        let answer = if looks.len() < 4 { Err(failing()) } else { Ok(true) };
                        alone.torrent.handle(alone.now, Input::PieceVerified(piece, answer));
                        assert_eq!(alone.torrent.have().has(piece), looks.len() == 4);
                    }
                    Effect::Event(EventKind::PieceLost { why, fetched_again, .. }) => {
                        assert_eq!((looks.len(), fetched_again), (1, fetches_damaged), "told once");
                        assert!(why.is_some_and(|why| why.as_str().contains("cannot read f")));
                    }
                    _ => {}
                }
            }
        }
        let waits: Vec<u64> = looks.windows(2).map(|pair| pair[1].since(pair[0]).as_secs()).collect();
        assert!((30..34).contains(&waits[0]) && (60..64).contains(&waits[1]), "{waits:?}");
        assert!((120..124).contains(&waits[2]), "{waits:?}");
        assert!(alone.torrent.is_complete());
        assert_eq!(alone.torrent.snapshot(alone.now).summary.state, TorrentState::Seeding);
        let found = |effect: &Effect| matches!(effect, Effect::Event(EventKind::PieceFound { piece: 7 }));
        alone.pass(1);
        assert!(alone.effects.iter().any(found), "{:?}", alone.effects);
        alone.torrent.assert_invariants();
    }
}

/// Has piece 7 of a seed fail, and gives it back at the next look after the person's `wish` for the only file.
fn read_again(fetches_damaged: bool, before: FilePriority, wish: FilePriority, is_it: bool) -> Alone {
    let mut alone = Alone::leecher_with(50, |config| {
        config.have = Bitfield::full(config.geometry.pieces());
        config.fetches_damaged = fetches_damaged;
        config.files[0].priority = before;
    });
    let piece = alone.torrent.config.geometry.piece(7).expect("it exists");
    alone.torrent.handle(alone.now, Input::ReadFailed(piece, damaged(TroubleKind::Damaged)));
    let failed = Err(damaged(TroubleKind::Damaged));
    alone.torrent.handle(alone.now, Input::PieceVerified(piece, failed));
    alone.torrent.handle(alone.now, Input::SetFiles(vec![(0, wish)]));
    alone.pass(1);
    alone.effects.clear();
    while !alone.effects.iter().any(|effect| matches!(effect, Effect::VerifyPiece(_))) {
        alone.pass(1);
    }
    alone.effects.clear();
    alone.torrent.handle(alone.now, Input::PieceVerified(piece, Ok(is_it)));
    alone.pass(1);
    alone
}

/// A person may want its file more or less while the disk does not give it.
#[test]
fn row_5_6_a_piece_that_is_there_after_all_is_wanted_as_its_file_is_by_then() {
    use FilePriority::{High, Normal, Skip};
    for fetches_damaged in [false, true] {
        for (before, wish, expected) in [
            (Normal, Skip, Priority::Skip),
            (Skip, Normal, Priority::Normal),
            (Normal, High, Priority::High),
            (Normal, Normal, Priority::Normal),
        ] {
            let alone = read_again(fetches_damaged, before, wish, true);
            let piece = alone.torrent.config.geometry.piece(7).expect("it exists");
            assert!(alone.torrent.have().has(piece));
            let told = (fetches_damaged, before, wish);
            assert_eq!(alone.torrent.picker.priority(piece), expected, "{told:?}");
            alone.torrent.assert_invariants();
        }
    }
}

/// It was said to be looked at again: when that is over, that is said, too.
#[test]
fn row_5_6_who_heard_that_a_piece_is_looked_at_again_hears_that_it_is_something_else() {
    for again in [false, true] {
        let alone = read_again(again, FilePriority::Normal, FilePriority::Normal, false);
        let is_told = |effect: &&Effect| {
            matches!(effect, Effect::Event(EventKind::PieceLost { piece: 7, fetched_again, why: None })
                if *fetched_again == again)
        };
        assert_eq!(alone.effects.iter().filter(is_told).count(), 1, "{:?}", alone.effects);
        assert_eq!(alone.torrent.have().count(), alone.torrent.config.geometry.pieces() - 1);
        alone.torrent.assert_invariants();
    }
}

#[test]
fn the_longer_a_disk_is_silent_the_more_may_wait_and_never_more_than_there_is_memory() {
    let mut world = World::new(geometry(24 << 20, 1 << 20), 5, &[seeder(20_000_000), leecher(0)]);
    let now = world.now;
    world.nodes[1].torrent.handle(now, Input::BufferBudget(12 << 20));
    world.nodes[1].is_stuck = true;
    assert!(!world.run_until(20, World::all_complete));
    let handed = std::mem::take(&mut world.nodes[1].handed);
    assert_eq!(handed.len(), 12, "what memory there is for");
    let stall = world.nodes[1].torrent.snapshot(world.now).summary.stall.expect("explained").to_string();
    assert!(stall.starts_with("the disk is slow"), "{stall}");

    let (now, geometry) = (world.now, world.geometry);
    let node = &mut world.nodes[1];
    node.is_stuck = false;
    for piece in handed {
        let input = node.store(now, piece, &whole(&geometry, piece));
        node.torrent.handle(now, input);
    }
    node.torrent.settle(now);
    assert!(world.run_until(20, World::all_complete));
    world.assert_byte_exact(1);
}
