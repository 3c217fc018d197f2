//! What is counted while a run goes on.

use potluck_common::{Duration, Instant, PieceIndex};

use super::{Node, Role, World, interest::exceeds};
use crate::scenario::Scenario;

/// Whoever has fewer pieces has not begun to trade, and says nothing about interest.
const TRADING_PIECES: u32 = 4;

/// The swarm at one moment.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Moment {
    /// Since the start, in seconds.
    pub at_s: f64,
    /// Leechers that are online and not done.
    pub leeching: u32,
    /// Leechers that are not done, those included that have not come.
    pub leechers_left: u32,
    /// Contributors that are not done, those included that have not come.
    pub contributors_left: u32,
    /// The part of the uplinks of seeds and contributors that is used.
    pub uplink_use: f64,
    /// Of the pairs of connected leechers, the part that has something for each other.
    pub interest: f64,
    /// Copies that leechers who give what they have hold of the piece of which they hold fewest.
    pub copies_least: u32,
}

/// Counts of a run under way. Bytes and capacity are counted until 90 % of the contributors are done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) leechers_left: u32,
    contributors: u32,
    contributors_left: u32,
    /// Copies of each piece that online leechers have and give.
    copies: Vec<u32>,
    seeds_online: u32,
    pub(crate) capacity: f64,
    pub(crate) used: f64,
    pub(crate) seed_bytes: f64,
    pub(crate) seed_bytes_to_free_riders: f64,
    pub(crate) leecher_bytes: f64,
    pub(crate) leecher_bytes_to_free_riders: f64,
    interest_sum: f64,
    interest_samples: u32,
    /// When a sample first saw every piece with a leecher who gives it.
    pub(crate) first_full_copy: Option<Instant>,
    /// Chokes and unchokes that came within 10 s of the one before on the same link.
    pub(crate) quick_flips: u64,
    /// Pieces of which the last copy left with whoever gave it, while some leecher lacked it, who now cannot finish. Pieces
    /// that only free riders have are as good as dead.
    pub(crate) pieces_died: u64,
    /// Flows that passed: the work done.
    pub(crate) flows: u64,
}

impl Tally {
    pub(crate) fn new(scenario: &Scenario, nodes: &[Node]) -> Self {
        let contributors = nodes.iter().filter(|node| node.is_contributor()).count() as u32;
        Self {
            leechers_left: scenario.leechers,
            contributors,
            contributors_left: contributors,
            copies: vec![0; scenario.pieces as usize],
            ..Self::default()
        }
    }

    /// Whether it is not yet so late that only few contributors are left.
    fn counts(&self) -> bool {
        self.contributors_left * 10 > self.contributors
    }

    /// The mean of the samples: of the pairs of connected leechers, how many have something for each other.
    pub(crate) fn interest(&self) -> f64 {
        self.interest_sum / f64::from(self.interest_samples.max(1))
    }

    pub(crate) fn entered(&mut self, is_seed: bool) {
        self.seeds_online += u32::from(is_seed);
    }

    /// A node has one piece more.
    pub(crate) fn completed(&mut self, node: &Node, piece: PieceIndex) {
        self.copies[piece.index()] += u32::from(node.gives_pieces());
    }

    pub(crate) fn done(&mut self, is_contributor: bool) {
        self.leechers_left -= 1;
        self.contributors_left -= u32::from(is_contributor);
    }

    /// A node left with these pieces.
    pub(crate) fn left(&mut self, node: &Node, have: &[u64]) {
        if node.role == Role::Seed {
            self.seeds_online -= 1;
        }
        if !node.gives_pieces() {
            return;
        }
        let others_lack = self.leechers_left > 0 && self.seeds_online == 0;
        for (piece, copies) in self.copies.iter_mut().enumerate() {
            let had = have[piece / 64] >> (piece % 64) & 1 == 1;
            if had && node.role != Role::Seed {
                *copies -= 1;
            }
            self.pieces_died += u64::from(had && *copies == 0 && others_lack);
        }
    }

    /// Whether each piece is now, for the first time, with some leecher who gives it.
    pub(crate) fn look_for_full_copy(&mut self, now: Instant) -> bool {
        let is_first = self.first_full_copy.is_none() && self.copies.iter().all(|copies| *copies > 0);
        if is_first {
            self.first_full_copy = Some(now);
        }
        is_first
    }

    /// A step begins, with these nodes.
    pub(crate) fn capacity(&mut self, nodes: &[Node], tick: Duration) {
        self.capacity_is(uplinks_of(nodes), tick);
    }

    /// A step begins, in which uplinks could carry so many bytes per second.
    pub(super) fn capacity_is(&mut self, bytes_per_second: f64, tick: Duration) {
        if self.counts() {
            self.capacity += bytes_per_second * tick.as_secs_f64();
        }
    }

    pub(crate) fn passed(&mut self, nodes: &[Node], from: u32, to: u32, bytes: f64) {
        self.passed_between(nodes[from as usize].role, nodes[to as usize].role, bytes);
    }

    /// Bytes passed from a node of one role to one of another.
    pub(super) fn passed_between(&mut self, from: Role, to: Role, bytes: f64) {
        self.flows += 1;
        if !self.counts() {
            return;
        }
        let to_free_rider = if to.is_free_rider() { bytes } else { 0.0 };
        if !from.is_free_rider() {
            self.used += bytes;
        }
        if from == Role::Seed {
            self.seed_bytes += bytes;
            self.seed_bytes_to_free_riders += to_free_rider;
        } else {
            self.leecher_bytes += bytes;
            self.leecher_bytes_to_free_riders += to_free_rider;
        }
    }
}

impl World {
    /// Looks at the swarm as a whole, every ten seconds.
    pub(super) fn sample(&mut self) {
        let trades = |node: &Node| {
            node.online && !node.is_complete() && node.pieces >= TRADING_PIECES && node.shows_pieces()
        };
        let trading: Vec<_> = self.nodes.iter().map(trades).collect();
        let (mut pairs, mut interested) = (0u64, 0u64);
        for (number, _) in trading.iter().enumerate().filter(|(_, trades)| **trades) {
            for other in self.nodes[number].neighbours.iter().filter(|other| trading[**other as usize]) {
                pairs += 1;
                // As the link says too, which lies somewhere else for each.
                let wants = exceeds(self.pieces_of(number as u32), self.pieces_of(*other));
                interested += u64::from(wants);
            }
        }
        let interest = interested as f64 / pairs.max(1) as f64;
        if pairs > 0 {
            self.tally.interest_sum += interest;
            self.tally.interest_samples += 1;
        }
        let moment = self.moment(interest);
        self.timeline.push(moment);
        if self.tally.look_for_full_copy(self.now) {
            self.seeds_may_leave();
        }
    }

    /// Seeds that stay for the first full copy are no longer needed for it.
    fn seeds_may_leave(&mut self) {
        let Some(stay_s) = self.scenario.seeds.leave_after_full_copy_s else { return };
        let leaves = self.now + Duration::from_secs_f64(stay_s);
        self.leave_next = self.leave_next.min(leaves);
        for seed in self.nodes.iter_mut().filter(|node| node.role == Role::Seed) {
            seed.leaves = Some(seed.leaves.map_or(leaves, |other| other.min(leaves)));
        }
    }

    /// What [`uplinks_of`] all is.
    pub(super) fn capacity(&mut self) -> f64 {
        *self.capacity.get_or_insert_with(|| uplinks_of(&self.nodes))
    }

    fn moment(&mut self, interest: f64) -> Moment {
        let capacity = self.capacity();
        let honest = self.flows.iter().filter(|flow| !self.roles[flow.from as usize].is_free_rider());
        let used: f64 = honest.map(|flow| flow.bytes).sum();
        Moment {
            at_s: self.now.since(Instant::ZERO).as_secs_f64(),
            leeching: self.nodes.iter().filter(|node| node.online && !node.is_complete()).count() as u32,
            leechers_left: self.tally.leechers_left,
            contributors_left: self.tally.contributors_left,
            uplink_use: used / (capacity * self.tick.as_secs_f64()).max(1.0),
            interest,
            copies_least: self.tally.copies.iter().copied().min().unwrap_or(0),
        }
    }
}

/// The uplinks of everybody online who is no free rider together, in bytes per second.
fn uplinks_of(nodes: &[Node]) -> f64 {
    let uploads = |node: &&Node| node.online && !node.is_free_rider();
    nodes.iter().filter(uploads).map(|node| node.up).sum()
}
