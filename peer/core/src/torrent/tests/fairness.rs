//! What the books of fairness say of a swarm with somebody who only takes.

use potluck_common::control::{Aspects, FairnessSnapshot};

use super::{
    alone::{self, Alone},
    *,
};

fn books(world: &mut World, number: usize) -> FairnessSnapshot {
    let aspects = Aspects { fairness: true, ..Aspects::NONE };
    let detail = world.nodes[number].torrent.detail(world.now, aspects, &[]);
    assert!(detail.peers.is_empty() && detail.pieces.is_empty(), "only what was asked for");
    detail.fairness.expect("asked for")
}

#[test]
fn what_a_free_rider_took_shows_as_given_to_one_who_never_repays() {
    let members = [seeder(150_000), leecher(200_000), leecher(200_000), leecher(200_000), leecher(0)];
    let mut world = World::new(geometry(12_000_000, 131_072), 8, &members);
    let rider = world.nodes[4].address.ip();
    world.run_until(60, |_| false);
    for number in 1..4 {
        let summary = world.nodes[number].torrent.summary(world.now);
        assert_eq!(summary.state, TorrentState::Downloading, "in the middle of it");
        let books = books(&mut world, number);
        let sent = books.to_repaying + books.to_trials + books.to_never_repaying;
        assert_eq!((sent, books.while_seeding), (summary.uploaded, 0));
        let taken: u64 = (world.nodes[number].torrent.peers.values())
            .filter(|peer| peer.connection.address.ip() == rider)
            .map(|peer| peer.up.total())
            .sum();
        assert_eq!(books.to_never_repaying, taken, "nobody else gave nothing");
        assert!(taken > 0 && books.to_repaying > taken, "{books:?}");
        assert!(books.from_seeds > 0 && books.from_seeds < summary.downloaded);
        assert!(books.debtors.iter().any(|peer| peer.address.ip() == rider && peer.sent == taken));
        assert!(books.trials_in_vain >= 1 && books.trials > books.trials_in_vain, "{books:?}");
        assert!(books.jain.is_some_and(|jain| jain > 0.5 && jain < 1.0), "{books:?}");
        assert!((5..=7).contains(&books.rounds.len()), "ten seconds each: {:?}", books.rounds);
        assert!(
            books
                .rounds
                .iter()
                .all(|round| round.turns == 0 && round.earned + round.optimistic + round.empty == 5)
        );
        assert!(
            books.rounds.iter().any(|round| round.earned > 0 && round.optimistic > 0),
            "{:?}",
            books.rounds
        );
        assert!(books.next_round_seconds.is_some_and(|seconds| seconds < 10) && books.is_automatic);
        assert_eq!((books.slots_earned, books.slots_optimistic), (4, 1));
    }
    let seeds = books(&mut world, 0);
    assert_eq!(seeds.while_seeding, world.nodes[0].torrent.summary(world.now).uploaded);
    assert!(seeds.rounds.iter().all(|round| round.earned + round.optimistic == 0));
    assert!(seeds.rounds.iter().any(|round| round.turns > 0), "{:?}", seeds.rounds);
    let riders = books(&mut world, 4);
    assert_eq!(riders.to_repaying + riders.to_trials + riders.to_never_repaying + riders.while_seeding, 0);
    assert_eq!((riders.jain, riders.feeders.len()), (None, 4));
}

#[test]
fn what_is_sent_in_a_turn_after_more_is_wanted_again_is_no_trial() {
    let half = alone::geometry().total() / 2;
    let file = |number: u64, priority| TorrentFile {
        path: Printable::new(&number.to_string()),
        offset: number * half,
        length: half,
        priority,
        padding: false,
    };
    let mut alone = Alone::leecher_with(50, |config| {
        config.fetches_damaged = true;
        config.files = vec![file(0, FilePriority::Normal), file(1, FilePriority::Skip)];
        for piece in alone::geometry().iter().take(32) {
            config.have.insert(piece);
        }
    });
    let key = alone.join("9.9.9.1");
    alone.says(key, vec![SessionEvent::Interested]);
    alone.pass(11);
    alone.says(key, vec![SessionEvent::Uploaded(16_384)]);
    let now = alone.now;
    alone.torrent.handle(now, Input::SetFiles(vec![(1, FilePriority::Normal)]));
    alone.settle();
    assert!(!alone.torrent.is_complete());
    alone.says(key, vec![SessionEvent::Uploaded(16_384)]);
    let books = alone.torrent.fairness_snapshot(now);
    assert_eq!((books.while_seeding, books.to_trials + books.to_never_repaying), (2 * 16_384, 0));
}
