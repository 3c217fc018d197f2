//! Why nothing moves, and why it moves no faster: each sentence in a situation that is known.

use potluck_common::{
    announce::{AnnounceReply, TrackerUrl},
    control::EventKind::{Resumed, Stalled},
};

use super::{
    alone::{self, Alone},
    *,
};
use crate::announce::{AnnounceEffect, AnnounceFailure};

/// A leecher that has `had` of 64 pieces, whose trackers are these.
fn leecher_with(had: usize, trackers: &[&str]) -> Alone {
    let parse = |url: &&str| vec![TrackerUrl::parse(url).expect("a tracker")];
    Alone::leecher_with(50, |config| {
        config.trackers = trackers.iter().map(parse).collect();
        config.have = first(had);
    })
}

/// The first so many pieces.
fn first(count: usize) -> Bitfield {
    let mut set = Bitfield::empty(alone::geometry().pieces());
    for piece in alone::geometry().iter().take(count) {
        set.insert(piece);
    }
    set
}

impl Alone {
    /// Somebody comes with the first so many pieces.
    fn join_with(&mut self, count: usize) -> PeerKey {
        let key = self.join(&format!("9.9.{}.1", self.there.len()));
        self.says(key, vec![SessionEvent::Bitfield(first(count))]);
        key
    }

    /// Somebody gives so many blocks of what it is asked for.
    fn gives(&mut self, key: PeerKey, blocks: usize) {
        self.says(key, vec![SessionEvent::Unchoked, SessionEvent::Wants(blocks as u32)]);
        let mut spans: Vec<BlockSpan> = Vec::new();
        self.assigned.retain(|(peer, span)| {
            let is_given = *peer == key && spans.len() < blocks;
            if is_given {
                spans.push(*span);
            }
            !is_given
        });
        self.says(key, vec![SessionEvent::Received(spans)]);
    }

    #[track_caller]
    fn stalls(&mut self, expected: &str) {
        self.pass(10);
        let stall = self.torrent.summary(self.now).stall.map(|why| why.to_string());
        assert_eq!(stall.as_deref(), Some(expected));
        assert_eq!(self.torrent.summary(self.now).pace, None, "it does not move");
    }

    #[track_caller]
    fn is_paced(&mut self, expected: Option<&str>) {
        let summary = self.torrent.summary(self.now);
        assert_eq!(summary.pace.map(|why| why.to_string()).as_deref(), expected);
        assert_eq!(summary.stall, None, "it moves");
    }

    /// Answers the trackers that are being asked.
    fn answer(&mut self, outcome: &Result<AnnounceReply, AnnounceFailure>) {
        for effect in std::mem::take(&mut self.effects) {
            if let Effect::Announce(AnnounceEffect::Announce { id, .. }, _) = effect {
                self.torrent.handle(self.now, Input::Announced(id, outcome.clone()));
            }
        }
        self.settle();
    }

    /// What was told of stalls since the last time.
    fn told(&mut self) -> Vec<String> {
        let told = |effect: Effect| match effect {
            Effect::Event(Stalled { why }) => Some(why.to_string()),
            Effect::Event(Resumed) => Some("resumed".to_owned()),
            _ => None,
        };
        std::mem::take(&mut self.effects).into_iter().filter_map(told).collect()
    }
}

#[test]
fn all_that_could_give_choke_us() {
    let mut alone = leecher_with(0, &[]);
    alone.join_with(64);
    alone.stalls("the one peer that has what we need chokes us; a newcomer is tried within 30 s as a rule");
    for count in [20, 20, 20, 20, 20, 0, 0] {
        alone.join_with(count);
    }
    alone.stalls(
        "6 of 6 peers that have what we need choke us; at each a newcomer's chance is about 1 in 7 per 30 s",
    );
    let told = alone.told();
    assert_eq!(told, ["the one peer that has what we need chokes us"], "it is the same stall");
    alone.pass(600);
    assert_eq!(alone.told(), Vec::<String>::new(), "nothing new, whatever the numbers");
}

#[test]
fn what_we_lack_exists_nowhere() {
    let mut alone = leecher_with(0, &[]);
    alone.join_with(0);
    alone.stalls("the one connected peer has none of the 64 pieces we lack");
    alone.join_with(0);
    alone.stalls("none of the 2 connected peers has any of the 64 pieces we lack");

    for (had, expected) in [
        (27, "only 42 % exists among us and the 3 connected peers"),
        (60, "only 93 % exists among us and the 3 connected peers"),
        (62, "2 pieces exist nowhere among us and the 3 connected peers"),
        (63, "1 piece exists nowhere among us and the 3 connected peers"),
    ] {
        let mut alone = leecher_with(had, &[]);
        for number in 0..3 {
            alone.join_with(had - 3 * number);
        }
        alone.stalls(expected);
    }
}

#[test]
fn nobody_is_there_because_of_trackers() {
    let (one, other) = ("udp://10.0.0.1:6969", "udp://10.0.0.2:6969");
    let silent = Err(AnnounceFailure::Unreachable(Printable::new("timed out")));
    let nobody = Ok(AnnounceReply { interval: Some(Duration::from_secs(1_800)), ..AnnounceReply::default() });

    leecher_with(0, &[]).stalls("no peers: the torrent has no tracker and no peer was given");
    let mut alone = leecher_with(0, &[one]);
    alone.stalls("no peers yet: tracker udp://10.0.0.1:6969/ is being asked");
    alone.answer(&silent);
    let stall =
        |alone: &mut Alone| alone.torrent.summary(alone.now).stall.expect("nothing moves").to_string();
    let words = stall(&mut alone);
    let begin = "no peers: tracker udp://10.0.0.1:6969/ fails (timed out); once so far, next try in ";
    assert!(words.starts_with(begin) && words.ends_with(" a minute"), "{words}");
    for _ in 0..8 {
        alone.pass(600);
        alone.answer(&silent);
    }
    let words = stall(&mut alone);
    let begin = "no peers: tracker udp://10.0.0.1:6969/ fails (timed out); 7 times so far, next try in ";
    assert!(words.starts_with(begin) && words.ends_with(" min"), "{words}");

    let mut alone = leecher_with(0, &[one, other]);
    alone.settle();
    alone.answer(&silent);
    alone.pass(6);
    let words = stall(&mut alone);
    let begin = "no peers: none of 2 trackers answers, such as udp://10.0.0.";
    assert!(words.starts_with(begin) && words.contains("/ (timed out); next try in less than "), "{words}");
    alone.torrent.handle(alone.now, Input::Reannounce);
    alone.settle();
    alone.answer(&nobody);
    alone.torrent.handle(alone.now, Input::Reannounce);
    alone.pass(6);
    let words = stall(&mut alone);
    let begin = "no peers: the tracker knows nobody else yet; asked again in ";
    assert!(words.starts_with(begin) && words.ends_with(" min"), "{words}");

    let addresses = vec![([9, 9, 9, 9], 1).into()];
    alone.torrent.handle(alone.now, Input::Candidates(addresses.clone(), PeerSource::User));
    alone.settle();
    alone.stalls("connecting to peers; one is under way");
    alone.torrent.handle(alone.now, Input::DialFailed(addresses[0]));
    assert_eq!(stall(&mut alone), "no peer answers; an address is tried again soon");
}

#[test]
fn a_limit_of_next_to_nothing_is_named_as_the_user_s() {
    let mut alone = leecher_with(0, &[]);
    let seed = alone.join_with(64);
    alone.says(seed, vec![SessionEvent::Unchoked, SessionEvent::Wants(1)]);
    alone.stalls("one peer was asked and did not answer yet");
    let limits = Limits { down: Some(900), up: None };
    alone.torrent.handle(alone.now, Input::SetLimits(limits));
    alone.stalls("limited to 900 B/s by you");
}

#[test]
fn what_moves_is_bound_by_what_is_said() {
    let mut alone = leecher_with(0, &[]);
    let seed = alone.join_with(64);
    alone.pass(1);
    let give = |alone: &mut Alone, givers: &[PeerKey]| {
        for _ in 0..6 {
            for key in givers {
                alone.gives(*key, 2);
            }
            alone.pass(1);
        }
    };
    give(&mut alone, &[seed]);
    alone.is_paced(Some("one seed gives all of it: nobody else here has what we lack"));
    let mut others: Vec<PeerKey> = (0..3).map(|_| alone.join_with(64)).collect();
    give(&mut alone, &[seed]);
    alone.is_paced(Some("1 of 4 peers gives; 3 choke us"));
    give(&mut alone, &[seed, others[0], others[1]]);
    alone.is_paced(Some("3 of 4 peers give; 1 chokes us"));
    let last = others.pop().expect("three");
    alone.leaves(last);
    give(&mut alone, &[seed, others[0], others[1]]);
    alone.is_paced(None);
    alone.says(others[0], vec![SessionEvent::Snubbed(true)]);
    alone.is_paced(Some("1 of 3 peers let our requests wait"));
    let rate = alone.torrent.summary(alone.now).down_rate;
    let limits = Limits { down: Some(rate), up: None };
    alone.torrent.handle(alone.now, Input::SetLimits(limits));
    alone.is_paced(Some(&format!("limited to {} kB/s by you", rate / 1_000)));
}

#[test]
fn uploads_of_a_seed_are_bound_by_a_limit_and_what_is_missing_is_told_while_it_moves() {
    let mut world = World::new(geometry(8_000_000, 65_536), 2, &[seeder(100_000), leecher(0)]);
    let limits = Limits { down: None, up: Some(100_000) };
    let now = world.now;
    world.nodes[0].torrent.handle(now, Input::SetLimits(limits));
    world.run_until(20, |_| false);
    let pace = |world: &mut World, number: usize| {
        world.nodes[number].torrent.summary(world.now).pace.map(|why| why.to_string())
    };
    assert_eq!(pace(&mut world, 0).as_deref(), Some("uploads are limited to 100 kB/s by you"));
    let now = world.now;
    world.nodes[0].torrent.handle(now, Input::SetLimits(Limits::default()));
    assert_eq!(pace(&mut world, 0), None);

    let mut alone = leecher_with(0, &[]);
    let givers = [alone.join_with(62), alone.join_with(30)];
    alone.pass(1);
    for _ in 0..6 {
        for key in givers {
            alone.gives(key, 2);
        }
        alone.pass(1);
    }
    alone.is_paced(Some("2 pieces exist nowhere among us and the 2 connected peers"));
}

#[test]
fn of_several_trackers_those_are_told_of_that_failed() {
    let silent = Err(AnnounceFailure::Unreachable(Printable::new("timed out")));
    let mut alone = leecher_with(0, &["udp://10.0.0.1:1", "udp://10.0.0.2:1", "udp://10.0.0.3:1"]);
    alone.stalls("no peers yet: tracker udp://10.0.0.1:1/ is being asked");
    // The first tier fails, the second is asked.
    let asked = alone.effects.iter().position(|effect| matches!(effect, Effect::Announce(..)));
    let Some(Effect::Announce(AnnounceEffect::Announce { id, .. }, _)) =
        asked.map(|at| alone.effects.remove(at))
    else {
        panic!("a tracker is asked");
    };
    alone.torrent.handle(alone.now, Input::Announced(id, silent.clone()));
    alone.settle();
    alone.stalls(
        "no peers: 1 of 3 trackers failed, such as udp://10.0.0.1:1/ (timed out); udp://10.0.0.2:1/ is being asked",
    );
}

#[test]
fn a_stalled_swarm_that_churns_tells_little() {
    let mut alone = leecher_with(0, &[]);
    let mut there: VecDeque<PeerKey> = VecDeque::new();
    let mut sentences = BTreeSet::new();
    let mut told = Vec::new();
    for second in 0..3_600_u64 {
        // Somebody useful or useless comes, the oldest goes, and now and then nobody is left.
        there.push_back(alone.join_with([0, 64, 20, 0, 41][second as usize % 5]));
        if there.len() > 3 + second as usize % 4 || second.is_multiple_of(60) {
            there.drain(..).for_each(|key| alone.leaves(key));
        }
        if let Some(key) = there.back().filter(|_| second % 97 == 50) {
            alone.gives(*key, 1);
        }
        alone.pass(1);
        sentences.extend(alone.torrent.summary(alone.now).stall);
        told.append(&mut alone.told());
    }
    assert!(sentences.len() > 6, "the snapshots tell the numbers: {sentences:?}");
    let stalls = told.iter().filter(|words| *words != "resumed").count();
    assert!((2..=12).contains(&stalls) && told.len() <= 24, "one in five minutes at most: {told:#?}");
}

#[test]
fn the_sentence_of_who_waits_for_a_tracker_changes_seldom() {
    let mut alone = leecher_with(0, &["udp://10.0.0.1:6969"]);
    let silent = Err(AnnounceFailure::Unreachable(Printable::new("timed out")));
    alone.settle();
    for _ in 0..9 {
        alone.answer(&silent);
        alone.pass(600);
    }
    alone.answer(&silent);
    let mut sentences = Vec::new();
    for _ in 0..900 {
        alone.pass(1);
        sentences.extend(alone.torrent.summary(alone.now).stall.map(|why| why.to_string()));
        sentences.dedup();
    }
    assert!((3..=6).contains(&sentences.len()), "in steps of five minutes: {sentences:#?}");
    assert!(sentences.iter().all(|words| words.contains(" times so far, ")), "{sentences:#?}");
}

#[test]
fn a_swarm_is_at_least_those_that_are_connected() {
    let mut alone = leecher_with(0, &["udp://10.0.0.1:6969"]);
    let known = |alone: &mut Alone| {
        let summary = alone.torrent.summary(alone.now);
        (summary.seeds_known, summary.leechers_known)
    };
    for pieces in [64, 20, 0] {
        alone.join_with(pieces);
    }
    assert_eq!(known(&mut alone), (None, None), "no tracker has said anything");
    let counted = |complete, incomplete| {
        let interval = Some(Duration::from_secs(1_800));
        Ok(AnnounceReply {
            interval,
            complete: Some(complete),
            incomplete: Some(incomplete),
            ..AnnounceReply::default()
        })
    };
    alone.pass(1);
    alone.answer(&counted(4, 1));
    assert_eq!(known(&mut alone), (Some(4), Some(2)), "two that lack something are here");
    alone.pass(1_801);
    alone.answer(&counted(0, 5));
    assert_eq!(known(&mut alone), (Some(1), Some(5)), "one that has everything is here");
}
