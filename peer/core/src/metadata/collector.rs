//! Collects the `info` dictionary from several peers at once, some of which may lie (BEP 9).
//!
//! Nothing is parsed before its hash holds. Peers that agree about the size share an attempt; sizes that differ are separate
//! attempts. When a shared attempt fails nobody knows who lied, so from then on that size is fetched whole from each peer by
//! itself, and so is everything from those who took part: then a liar spoils its own attempts only. Who took part in
//! [`ROUNDS_MAX`] failures is asked no more.
//!
//! Memory follows what came, and claims cost nothing. When what came passes [`ATTEMPTS_BYTES_MAX`] the attempt goes to which
//! nothing was added for longest, but never the one that is furthest: whoever would displace an honest attempt must give
//! faster than it grows, and then comes to the end of its own.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use potluck_common::{
    Instant,
    limits::{METADATA_BYTES_MAX, METADATA_PIECE_BYTES},
    wire::MetadataSize,
};

use super::{
    Expected, Progress, Standing, Wish,
    attempt::Attempt,
    giver::{Giver, Request},
};
use crate::{Identity, PeerKey};

/// Requests outstanding at one peer. A second one while the first is unanswered some reject, and rtorrent 0.9.8 forgets.
pub const REQUESTS_MAX: usize = 1;
/// Failed attempts that a peer may have had a part in before it is asked no more.
pub const ROUNDS_MAX: u32 = 3;
/// Peers that are asked for the same piece when no other is left to ask for.
const SAME_PIECE_MAX: usize = 3;
/// Pieces that were not asked for, before they are taken for an attack.
const UNASKED_MAX: u32 = 4;
/// Other sizes that a peer may claim later: its own metadata may have come meanwhile.
const SIZES_MAX: u32 = 4;
/// All that came and is kept, in whole pieces. Two of the largest size fit.
const ATTEMPTS_BYTES_MAX: u64 = 2 * METADATA_BYTES_MAX as u64;
/// Sizes of which is remembered that a shared attempt failed; with more of them nothing is shared any more.
const FAILED_SIZES_MAX: usize = 64;
/// Identities of which failures are remembered.
const RECORDS_MAX: usize = 1_024;

/// Which attempt: of what size, and whether of one peer alone.
type AttemptId = (MetadataSize, Option<PeerKey>);

/// The machine; see the [module](self). At most [`RECORDS_MAX`] records, and as many givers as its owner has peers.
#[derive(Debug)]
pub struct Collector {
    expected: Expected,
    givers: BTreeMap<PeerKey, Giver>,
    attempts: BTreeMap<AttemptId, Attempt>,
    /// Sizes of which a shared attempt failed.
    failed_sizes: BTreeSet<MetadataSize>,
    /// Failures that each had a part in.
    records: BTreeMap<Identity, u32>,
    wishes: VecDeque<Wish>,
    /// When somebody may be asked who may not be now, or is no longer waited for.
    wake_at: Option<Instant>,
    is_complete: bool,
}

impl Collector {
    /// A collection of what has this hash.
    pub fn new(expected: Expected) -> Self {
        Self {
            expected,
            givers: BTreeMap::new(),
            attempts: BTreeMap::new(),
            failed_sizes: BTreeSet::new(),
            records: BTreeMap::new(),
            wishes: VecDeque::new(),
            wake_at: None,
            is_complete: false,
        }
    }

    /// A peer that speaks the extension says that its metadata has `size` bytes; `None` and 0 mean that it has none yet.
    pub fn offers(&mut self, now: Instant, peer: PeerKey, who: Identity, size: Option<u32>) {
        if self.is_banned(who) {
            return self.wishes.push_back(Wish::Ban(peer));
        }
        let minted = size.and_then(MetadataSize::new);
        if minted.is_none() && size.is_some_and(|size| size > 0) {
            self.leaves(now, peer);
            return self.wishes.push_back(Wish::Close(peer, "offers more metadata than any torrent has"));
        }
        let giver = self.givers.entry(peer).or_insert_with(|| Giver::new(now, who));
        giver.claims(minted);
        if giver.sizes_claimed > SIZES_MAX {
            self.givers.remove(&peer);
            self.wishes.push_back(Wish::Close(peer, "changes its mind about the size of the metadata"));
        }
        self.ask(now);
    }

    /// A peer is gone. What it gave stays.
    pub fn leaves(&mut self, now: Instant, peer: PeerKey) {
        if self.givers.remove(&peer).is_some() {
            self.ask(now);
        }
    }

    /// Whether a peer is known to have metadata.
    pub fn has_metadata(&self, peer: PeerKey) -> bool {
        self.givers.get(&peer).is_some_and(|giver| giver.size.is_some())
    }

    /// Of what use a peer is.
    pub fn standing(&self, peer: PeerKey) -> Standing {
        self.givers.get(&peer).map_or(Standing::HasNone, Giver::standing)
    }

    /// How many peers are giving, at `now`.
    pub fn giving(&self, now: Instant) -> u32 {
        self.givers.values().filter(|giver| giver.is_giving(now)).count() as u32
    }

    /// A peer gave a piece.
    pub fn gives(
        &mut self,
        now: Instant,
        peer: PeerKey,
        piece: u32,
        total_size: Option<u32>,
        payload: &Bytes,
    ) {
        let Some(giver) = self.givers.get_mut(&peer) else { return };
        if !giver.takes_answer(piece) {
            giver.unasked += 1;
            if giver.unasked > UNASKED_MAX {
                self.givers.remove(&peer);
                self.wishes.push_back(Wish::Close(peer, "sent metadata that was not asked for"));
            }
            return self.ask(now);
        }
        let Some(size) = giver.size else { return };
        let fits = size.length_of(piece).is_some_and(|length| length as usize == payload.len());
        if !fits || total_size.is_some_and(|total| total != size.get()) {
            // Nobody else had a part in it.
            let who = giver.who;
            giver.hold(now);
            self.book_failure(&BTreeSet::from([who]));
            return self.ask(now);
        }
        giver.failures = 0;
        giver.gave_at = Some(now);
        let who = giver.who;
        let id = self.attempt_of(peer).expect("it is a giver with a size");
        let attempt = self.attempts.entry(id).or_insert_with(|| Attempt::new(size));
        attempt.put(now, piece, payload, who);
        if attempt.is_complete() {
            self.judge(id);
        }
        self.make_room();
        self.ask(now);
    }

    /// A peer does not give a piece.
    pub fn rejects(&mut self, now: Instant, peer: PeerKey, piece: u32) {
        if let Some(giver) = self.givers.get_mut(&peer)
            && giver.takes_answer(piece)
        {
            giver.hold(now);
            self.ask(now);
        }
    }

    /// A deadline has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        for giver in self.givers.values_mut() {
            giver.give_up_overdue(now);
        }
        self.ask(now);
    }

    /// When the machine next needs [`Collector::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.wake_at.filter(|_| !self.is_complete)
    }

    /// What the owner must do next; drain until `None`.
    pub fn poll_wish(&mut self) -> Option<Wish> {
        self.wishes.pop_front()
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let furthest = self.attempts.iter().max_by_key(|(_, attempt)| attempt.have());
        let offered = || {
            let mut counts: BTreeMap<MetadataSize, u32> = BTreeMap::new();
            for size in self.givers.values().filter_map(|giver| giver.size) {
                *counts.entry(size).or_default() += 1;
            }
            counts.into_iter().max_by_key(|(_, count)| *count).map(|(size, _)| size)
        };
        let size = furthest.map(|((size, _), _)| *size).or_else(offered);
        Progress {
            size,
            pieces: furthest.map_or(0, |(_, attempt)| attempt.have()),
            bytes: furthest.map_or(0, |(_, attempt)| attempt.bytes()),
            givers: furthest.map_or(0, |(_, attempt)| attempt.contributors().len() as u32),
            claimants: self.givers.values().filter(|giver| size.is_some() && giver.size == size).count()
                as u32,
        }
    }

    fn is_banned(&self, who: Identity) -> bool {
        self.records.get(&who).is_some_and(|failures| *failures >= ROUNDS_MAX)
    }

    /// The attempt that a peer has a part in.
    fn attempt_of(&self, peer: PeerKey) -> Option<AttemptId> {
        let giver = self.givers.get(&peer)?;
        let size = giver.size?;
        let is_alone = self.records.contains_key(&giver.who)
            || self.failed_sizes.contains(&size)
            || self.failed_sizes.len() >= FAILED_SIZES_MAX;
        Some((size, is_alone.then_some(peer)))
    }

    /// All pieces of an attempt are there.
    fn judge(&mut self, id: AttemptId) {
        let Some(attempt) = self.attempts.remove(&id) else { return };
        let contributors = attempt.contributors();
        let info = attempt.join();
        if self.expected.holds(&info) {
            self.is_complete = true;
            self.attempts.clear();
            self.givers.values_mut().for_each(|giver| giver.asked.clear());
            let contributors = contributors.len() as u32;
            return self.wishes.push_back(Wish::Complete { info, contributors });
        }
        if id.1.is_none() && self.failed_sizes.len() < FAILED_SIZES_MAX {
            self.failed_sizes.insert(id.0);
        }
        self.wishes.push_back(Wish::Failed { contributors: contributors.len() as u32 });
        self.book_failure(&contributors);
        // What is under way was for an attempt that is no more.
        for (peer, giver) in &mut self.givers {
            if giver.size == Some(id.0) && id.1.is_none_or(|owner| owner == *peer) {
                giver.give_up_all();
            }
        }
    }

    fn book_failure(&mut self, contributors: &BTreeSet<Identity>) {
        for who in contributors {
            if self.records.len() >= RECORDS_MAX && !self.records.contains_key(who) {
                // Whoever failed least is forgotten first.
                let least = self.records.iter().min_by_key(|(_, failures)| **failures).map(|(who, _)| *who);
                least.map(|who| self.records.remove(&who));
            }
            *self.records.entry(*who).or_default() += 1;
        }
        let banned: Vec<PeerKey> = self
            .givers
            .iter()
            .filter(|(_, giver)| self.is_banned(giver.who))
            .map(|(peer, _)| *peer)
            .collect();
        for peer in banned {
            self.givers.remove(&peer);
            self.wishes.push_back(Wish::Ban(peer));
        }
    }

    /// Asks every peer that may be asked for what is lacking.
    fn ask(&mut self, now: Instant) {
        if self.is_complete {
            return;
        }
        let ready = self.ready_by_attempt(now);
        // What a peer by itself gave is of no use to others.
        self.attempts.retain(|id, attempt| ready.contains_key(id) || id.1.is_none() && attempt.have() > 0);
        for (id, mut peers) in ready {
            let size = id.0;
            self.attempts.entry(id).or_insert_with(|| Attempt::new(size));
            // Who answers before others, and of these who has least to do, so that the pieces are spread.
            let order = |giver: &Giver| (giver.failures, giver.asked.len());
            while let Some(next) = peers.iter().copied().min_by_key(|peer| order(&self.givers[peer])) {
                let Some(piece) = self.next_piece(now, id, next) else {
                    peers.retain(|peer| *peer != next);
                    continue;
                };
                let giver = self.givers.get_mut(&next).expect("it is ready");
                giver.asked.push(Request { piece, at: now });
                giver.late.retain(|late| *late != piece);
                self.wishes.push_back(Wish::Ask(next, piece));
                peers.retain(|peer| self.givers[peer].asked.len() < REQUESTS_MAX);
            }
        }
        self.wake_at = self.givers.values().filter_map(|giver| giver.next_turn(now)).min();
    }

    /// The peers that may be asked now, by attempt.
    fn ready_by_attempt(&self, now: Instant) -> BTreeMap<AttemptId, Vec<PeerKey>> {
        let mut ready: BTreeMap<AttemptId, Vec<PeerKey>> = BTreeMap::new();
        for (peer, giver) in &self.givers {
            let Some(id) = self.attempt_of(*peer) else { continue };
            let peers = ready.entry(id).or_default();
            if giver.held_until <= now && giver.asked.len() < REQUESTS_MAX {
                peers.push(*peer);
            }
        }
        ready
    }

    /// Gives up attempts for which there is no memory.
    fn make_room(&mut self) {
        while self.bytes_kept() > ATTEMPTS_BYTES_MAX {
            let furthest = self.attempts.iter().max_by_key(|(_, attempt)| attempt.have()).map(|(id, _)| *id);
            let others =
                self.attempts.iter().filter(|(id, attempt)| Some(**id) != furthest && attempt.have() > 0);
            let stalest =
                others.min_by_key(|(_, attempt)| (attempt.fed_at(), attempt.have())).map(|(id, _)| *id);
            let Some(stalest) = stalest else { return };
            self.attempts.remove(&stalest);
        }
    }

    /// What is kept of all attempts, in bytes.
    pub fn kept(&self) -> u64 {
        self.attempts.values().map(Attempt::bytes).sum()
    }

    /// What is kept of all attempts, in bytes of whole pieces.
    fn bytes_kept(&self) -> u64 {
        self.attempts
            .values()
            .map(|attempt| u64::from(attempt.have()) * u64::from(METADATA_PIECE_BYTES))
            .sum()
    }

    /// The piece that a peer is asked for next: one that is lacking and that nobody is asked for, else one that few are.
    fn next_piece(&self, now: Instant, id: AttemptId, peer: PeerKey) -> Option<u32> {
        let attempt = self.attempts.get(&id)?;
        let giver = &self.givers[&peer];
        // How many are likely to answer, and how many were asked.
        let mut asked: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
        for (other, giver) in &self.givers {
            if self.attempt_of(*other) == Some(id) {
                for request in &giver.asked {
                    let (likely, all) = asked.entry(request.piece).or_default();
                    *likely += usize::from(giver.failures == 0 && request.slow_at() > now);
                    *all += 1;
                }
            }
        }
        let counts = |piece: &u32| asked.get(piece).copied().unwrap_or((0, 0));
        let candidates = attempt.lacking().filter(|piece| !giver.asks_for(*piece));
        let best = candidates.min_by_key(|piece| (counts(piece), *piece))?;
        let (likely, all) = counts(&best);
        let is_end_game = all > 0;
        (!is_end_game || giver.asked.is_empty() && likely < SAME_PIECE_MAX).then_some(best)
    }

    /// Checks what must always hold between two calls.
    ///
    /// # Panics
    /// When something does not hold, which is a defect here.
    pub fn assert_invariants(&self) {
        assert!(self.records.len() <= RECORDS_MAX && self.failed_sizes.len() <= FAILED_SIZES_MAX);
        assert!(self.bytes_kept() <= ATTEMPTS_BYTES_MAX, "what came is bounded");
        let empty = self.attempts.values().filter(|attempt| attempt.have() == 0).count();
        assert!(empty <= self.givers.len(), "attempts without anything are those of peers that are here");
        for giver in self.givers.values() {
            giver.assert_invariants();
            assert!(!self.is_banned(giver.who), "a banned peer is no giver");
        }
        for attempt in self.attempts.values() {
            attempt.assert_invariants();
        }
    }
}
