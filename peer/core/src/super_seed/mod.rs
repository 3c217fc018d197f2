//! Super-seeding (BEP 16): a lone seed that tells each peer of one piece at a time, so that it sends every piece once.
//!
//! The seed pretends to have nothing. Each peer is *shown* a piece that nobody else has and nobody else is fetching, and
//! the next one when that piece was seen at another peer: whoever passes on what it gets is given more, and no two fetch
//! the same of us. Three rules keep the BEP's rule from wasting the uplink:
//!
//! - An unchoked peer has the next piece shown while it fetches the last, and two seconds' worth if it is fast, so that its
//!   requests never run out.
//! - Nobody is held back while nobody else fetches: a sole leecher, and two that cannot reach each other, get on at once;
//!   of several, whoever holds least that has not spread goes first.
//! - Whoever waited for half a minute is shown one more piece. Whoever wants none of what it was shown is told of as many
//!   again; but these are *lures*: nobody else has to leave them to it, and while somebody else wants something they are few.
//!
//! What a peer fetches is its *claim*: nobody else is shown it, unless the peer is choked before it began or takes much
//! longer than others do. The mode ends, once for all, when another seed is there, or every piece is at two peers, or has
//! been at one for half a minute.
//! A piece that some connected peer has is never shown.
//!
//! What a peer says to have costs it nothing. Whoever says to have more than half of the pieces before they were sent to
//! anybody is believed when it has stayed for three minutes: one that leaves earlier changed nothing, and what it said is
//! given to the others meanwhile. Nor does the mode end earlier while there is a piece that was sent to nobody.
//!
//! # Driving it
//!
//! Tell [`SuperSeed`] of each peer that came ([`SuperSeed::peer_came`]), what it has ([`SuperSeed::peer_has_all_of`],
//! [`SuperSeed::peer_has`]), whether it is interested in us and unchoked by us, what was sent to it, and that it left. Call
//! [`SuperSeed::handle_timeout`] when [`SuperSeed::poll_timeout`] is due. After any of these drain
//! [`SuperSeed::poll_command`]: [`SuperSeedCommand::Show`] is a HAVE to one peer; what was never shown to a peer it may not
//! request. Where the uplink's limit is known, call [`SuperSeed::uplink_has_room`] about once a second while it is not used
//! up. A HAVE costs the logarithm of the number of pieces, and a look at those who were shown that piece (mostly none or
//! one); what looks at all peers is done once a second, and when a peer has fetched all that it was shown.

mod peer;
mod pieces;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use potluck_common::{Bitfield, Duration, Geometry, Instant, PieceIndex, Rng};

use self::{
    peer::{Entry, Limits, PATIENCE, Peer},
    pieces::{Choice, Pieces},
};
use crate::PeerKey;

/// How often the machine looks at everybody.
const TICK: Duration = Duration::from_secs(1);
/// What an unchoked peer may have ahead of it to fetch, in bytes, but never less than [`AHEAD_PIECES_MIN`].
const AHEAD_BYTES: u32 = 256 * 1024;
/// How long a peer is doubted that has what it cannot have from us.
const DOUBT: Duration = Duration::from_secs(180);
/// Lures of one peer while somebody else wants something.
const LURES_MAX: u32 = 64;
/// The piece that is being fetched, and the next.
const AHEAD_PIECES_MIN: u32 = 2;
/// The same at most, however fast it fetches.
const AHEAD_BYTES_MAX: u32 = 64 * 1024 * 1024;

/// What the driver must do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SuperSeedCommand {
    /// Tell this peer that we have this piece, and from now on let it request it.
    Show(PeerKey, PieceIndex),
    /// Super-seeding is over: tell everybody of every piece, and seed as usual. Nothing follows.
    End(SuperSeedEnd),
}

/// Why super-seeding ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SuperSeedEnd {
    /// Every piece is at two peers, or has been at one for half a minute.
    EveryPieceSeen,
    /// A peer has all pieces.
    AnotherSeed,
}

impl SuperSeedEnd {
    /// One clause for people.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::EveryPieceSeen => "every piece is at two peers, or has been at one for half a minute",
            Self::AnotherSeed => "there is another seed",
        }
    }
}

/// Which piece is shown to whom; see the [module](self).
///
/// Invariants: `holders` and the peers' `shown` say the same; the counts of peers and pieces agree with a recount
/// ([`SuperSeed::assert_invariants`]).
#[derive(Debug)]
pub struct SuperSeed {
    pieces: Pieces,
    peers: BTreeMap<PeerKey, Peer>,
    /// Those in whose `shown` a piece is.
    holders: BTreeMap<PieceIndex, Vec<PeerKey>>,
    limits: Limits,
    /// How long it takes a peer to fetch a piece, smoothed.
    fetch_time: Duration,
    next_tick: Instant,
    /// Since when every piece is at some peer.
    out_since: Option<Instant>,
    ended: bool,
    commands: VecDeque<SuperSeedCommand>,
}

impl SuperSeed {
    /// Begins to super-seed a torrent of this geometry, of which we have all pieces; `seed` decides their order.
    pub fn new(geometry: Geometry, seed: u64, now: Instant) -> Self {
        let pieces = |bytes: u32| (bytes / geometry.piece_length()).max(AHEAD_PIECES_MIN);
        let (ahead_min, ahead_max) = (pieces(AHEAD_BYTES), pieces(AHEAD_BYTES_MAX));
        Self {
            pieces: Pieces::new(geometry, Rng::new(seed)),
            peers: BTreeMap::new(),
            holders: BTreeMap::new(),
            limits: Limits { ahead_min, ahead_max, room_until: now },
            fetch_time: PATIENCE / 2,
            next_tick: now + TICK,
            out_since: None,
            ended: false,
            commands: VecDeque::new(),
        }
    }

    /// A peer completed its handshake. It counts as having nothing, as not interested and choked, and is shown nothing
    /// before it said what it has, or a second passed.
    pub fn peer_came(&mut self, now: Instant, peer: PeerKey) {
        if self.peers.is_empty() {
            self.next_tick = now + TICK;
        }
        self.peers.insert(peer, Peer::new(now, self.pieces.geometry().pieces()));
    }

    /// A peer left that had said to have these pieces.
    pub fn peer_gone(&mut self, now: Instant, peer: PeerKey, has: &Bitfield) {
        let Some(gone) = self.peers.remove(&peer) else { return };
        for (piece, entry) in &gone.shown {
            self.forget_holder(*piece, peer, !entry.had && gone.has_claim());
        }
        let geometry = self.pieces.geometry();
        for piece in has.iter_difference(&gone.unproved, &geometry) {
            self.unsee(piece, peer);
        }
        self.show_what_is_due(now);
    }

    /// A peer has exactly these pieces, where it had said to have the pieces `had` before: BITFIELD, HAVE ALL, HAVE NONE.
    pub fn peer_has_all_of(&mut self, now: Instant, peer: PeerKey, had: &Bitfield, has: &Bitfield) {
        if !self.peers.contains_key(&peer) {
            return;
        }
        let geometry = self.pieces.geometry();
        for piece in had.iter_difference(has, &geometry) {
            let state = self.peers.get_mut(&peer).expect("looked up above");
            state.unpaid.remove(&piece);
            if !state.unproved.remove(piece) {
                self.unsee(piece, peer);
            }
        }
        let news: Vec<PieceIndex> = has.iter_difference(had, &geometry).collect();
        self.hear(now, &news, peer);
        self.made_known(now, peer);
    }

    /// A peer has this piece, too, which it had not before.
    pub fn peer_has(&mut self, now: Instant, peer: PeerKey, piece: PieceIndex) {
        let Some(state) = self.peers.get(&peer) else { return };
        let concerns_it = !state.known || state.shown.contains_key(&piece);
        self.hear(now, &[piece], peer);
        if concerns_it {
            self.made_known(now, peer);
        }
    }

    /// A peer became interested in us, or no longer is.
    pub fn interested(&mut self, now: Instant, peer: PeerKey, interested: bool) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        state.interested = interested;
        self.show_due_to(now, peer);
    }

    /// We unchoked a peer, or choked it.
    pub fn unchoked(&mut self, now: Instant, peer: PeerKey, unchoked: bool) {
        let allowance = self.allowance();
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let until = state.unchoked_until(now, unchoked, allowance);
        self.set_claim(peer, until);
        self.show_due_to(now, peer);
    }

    /// So many bytes of payload went to a peer: it began to fetch what it was shown.
    pub fn sent(&mut self, now: Instant, peer: PeerKey, bytes: u64) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        state.touched = true;
        state.sent_at = now;
        state.sent_bytes += bytes;
        self.prove_what_was_sent(now, peer);
    }

    /// The uplink could carry more than those who may fetch take: for a second nobody waits for what it was given to spread.
    pub fn uplink_has_room(&mut self, now: Instant) {
        self.limits.room_until = now + TICK;
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in keys {
            self.show_due_to(now, key);
        }
    }

    /// A deadline has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if now < self.next_tick || self.ended {
            return;
        }
        self.next_tick = now + TICK;
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in keys {
            let peer = self.peers.get_mut(&key).expect("just listed");
            peer.count_anew();
            let has_proved_itself = peer.doubted_since.is_some_and(|since| now.since(since) >= DOUBT);
            if peer.time_passed(now) {
                self.set_claim(key, None);
            }
            if has_proved_itself {
                self.believe(now, key);
            }
            self.show_due_to(now, key);
            self.show_lures(now, key);
        }
        self.show_what_is_due(now);
        self.end_when_all_is_out(now);
    }

    /// When the machine next needs [`SuperSeed::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        (!self.ended && !self.peers.is_empty()).then_some(self.next_tick)
    }

    /// What to do next; drain until `None`.
    pub fn poll_command(&mut self) -> Option<SuperSeedCommand> {
        self.commands.pop_front()
    }

    /// Whether it is over.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// How many peers have `piece`, as they said.
    #[cfg(test)]
    pub(crate) fn seen(&self, piece: PieceIndex) -> u32 {
        self.pieces.seen(piece)
    }

    /// Pieces that no connected peer has.
    #[cfg(test)]
    pub(crate) fn unseen(&self) -> u32 {
        self.pieces.unseen()
    }

    fn end(&mut self, why: SuperSeedEnd) {
        if !std::mem::replace(&mut self.ended, true) {
            self.commands.push_back(SuperSeedCommand::End(why));
        }
    }

    fn made_known(&mut self, now: Instant, peer: PeerKey) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.known = true;
            self.show_due_to(now, peer);
        }
    }

    /// `by` says that it has these, too: it has, unless it may well be lying.
    fn hear(&mut self, now: Instant, news: &[PieceIndex], by: PeerKey) {
        let state = self.peers.get_mut(&by).expect("the callers looked");
        for piece in news.iter().filter(|piece| self.pieces.is_surprise(**piece)) {
            state.surprises += 1;
            if state.was_told_of(*piece) {
                state.unpaid.insert(*piece);
            }
        }
        self.prove_what_was_sent(now, by);
        let is_doubted = self.peers[&by].surprises > self.pieces.geometry().pieces() / 2;
        for piece in news {
            if is_doubted && self.pieces.is_surprise(*piece) {
                let state = self.peers.get_mut(&by).expect("looked up above");
                state.unproved.insert(*piece);
                state.doubted_since.get_or_insert(now);
            } else {
                self.see(now, *piece, by);
            }
        }
    }

    /// What a peer was told of and says to have is no surprise when as much was sent to it.
    fn prove_what_was_sent(&mut self, now: Instant, peer: PeerKey) {
        let geometry = self.pieces.geometry();
        while let Some(state) = self.peers.get_mut(&peer) {
            let Some(&piece) = state.unpaid.first() else { return };
            let length = u64::from(geometry.length_of(piece));
            if state.sent_bytes < length {
                return;
            }
            state.sent_bytes -= length;
            state.unpaid.remove(&piece);
            state.surprises = state.surprises.saturating_sub(1);
            self.pieces.give_out(piece);
            if state.unproved.remove(piece) {
                self.see(now, piece, peer);
            }
        }
    }

    /// What `peer` says to have it has.
    fn believe(&mut self, now: Instant, peer: PeerKey) {
        let geometry = self.pieces.geometry();
        let state = self.peers.get_mut(&peer).expect("the caller looked");
        let none = Bitfield::empty(geometry.pieces());
        let proved = std::mem::replace(&mut state.unproved, none);
        (state.doubted_since, state.surprises) = (None, 0);
        for piece in proved.iter(&geometry) {
            self.see(now, piece, peer);
        }
    }

    /// Takes note that `by` has `piece`.
    fn see(&mut self, now: Instant, piece: PieceIndex, by: PeerKey) {
        let seen = self.pieces.seen(piece);
        let mut spread_from = Vec::new();
        for holder in self.holders.get(&piece).cloned().unwrap_or_default() {
            let peer = self.peers.get_mut(&holder).expect("holders are connected");
            if holder == by {
                self.pieces.unclaim(piece, peer.has_claim());
                if let Some(took) = peer.fetched(now, piece, seen) {
                    self.fetch_time = (self.fetch_time * 7 + took) / 8;
                    let until = (peer.unchoked).then(|| now + allowance(self.fetch_time));
                    self.set_claim(holder, until);
                }
            }
            let peer = self.peers.get_mut(&holder).expect("holders are connected");
            if peer.seen_changed(piece, seen, seen + 1) {
                spread_from.push(holder);
            }
        }
        for holder in &spread_from {
            self.forget_holder(piece, *holder, false);
        }
        self.pieces.see(piece);
        if let Some(peer) = self.peers.get_mut(&by) {
            peer.has += 1;
            if peer.has == self.pieces.geometry().pieces() {
                self.end(SuperSeedEnd::AnotherSeed);
            }
        }
        self.end_when_all_is_out(now);
        for holder in spread_from {
            self.show_due_to(now, holder);
        }
    }

    /// Takes note that `by` does not have `piece`, or left.
    fn unsee(&mut self, piece: PieceIndex, by: PeerKey) {
        let seen = self.pieces.seen(piece);
        for holder in self.holders.get(&piece).cloned().unwrap_or_default() {
            let peer = self.peers.get_mut(&holder).expect("holders are connected");
            peer.seen_changed(piece, seen, seen - 1);
            if holder == by {
                peer.lost(piece, seen - 1);
                self.pieces.claim(piece, peer.has_claim());
            }
        }
        self.pieces.unsee(piece);
        if let Some(peer) = self.peers.get_mut(&by) {
            peer.has -= 1;
        }
    }

    /// When every piece is at some peer nothing is left to show; but whoever gets a piece from there needs it not of us.
    fn end_when_all_is_out(&mut self, now: Instant) {
        if self.pieces.unseen() > 0 {
            self.out_since = None;
            return;
        }
        let since = *self.out_since.get_or_insert(now);
        let all_sent = self.pieces.are_given_out();
        let patience = if all_sent { PATIENCE } else { DOUBT };
        if all_sent && self.pieces.is_spread() || now.since(since) >= patience {
            self.end(SuperSeedEnd::EveryPieceSeen);
        }
    }

    fn forget_holder(&mut self, piece: PieceIndex, peer: PeerKey, claims: bool) {
        let holders = self.holders.get_mut(&piece).expect("what is shown has holders");
        holders.retain(|holder| *holder != peer);
        if holders.is_empty() {
            self.holders.remove(&piece);
        }
        self.pieces.unclaim(piece, claims);
        self.pieces.hide(piece);
    }

    /// Changes until when what a peer was shown and lacks is left to it alone; `None` is no longer.
    fn set_claim(&mut self, peer: PeerKey, until: Option<Instant>) {
        let state = self.peers.get_mut(&peer).expect("the caller looked");
        let changes = state.has_claim() != until.is_some();
        state.claim_until = until;
        if !changes {
            return;
        }
        for (piece, _) in state.shown.iter().filter(|(_, entry)| !entry.had) {
            if until.is_some() {
                self.pieces.claim(*piece, true);
            } else {
                self.pieces.unclaim(*piece, true);
            }
        }
    }

    /// How long a peer may take for a piece before others are shown it, too.
    fn allowance(&self) -> Duration {
        allowance(self.fetch_time)
    }

    fn show_due_to(&mut self, now: Instant, peer: PeerKey) {
        while let Some(state) = self.peers.get(&peer) {
            let due = state.pieces_due(now, &self.limits);
            let is_new = state.is_new();
            let shown = |machine: &mut Self, choice| machine.show_one(now, peer, choice);
            if due == 0 || !(shown(self, Choice::Fresh) || is_new && shown(self, Choice::Unclaimed)) {
                break;
            }
        }
        if self.peers.get(&peer).is_some_and(|state| state.to_fetch < state.ahead(&self.limits)) {
            self.show_what_is_due(now);
        }
    }

    /// Tells a peer of more that wants none of what it was shown.
    fn show_lures(&mut self, now: Instant, peer: PeerKey) {
        let state = &self.peers[&peer];
        let mut due = state.lures_due(now);
        if self.peers.values().any(|other| other.interested) {
            due = due.min(LURES_MAX.saturating_sub(state.lures.count()));
        }
        if due == 0 || self.ended {
            return;
        }
        let lures = self.pieces.last_unless(|piece| state.knows(piece), due as usize);
        let state = self.peers.get_mut(&peer).expect("looked up above");
        let claims = state.has_claim();
        for piece in state.give_up_shown(|piece| self.pieces.seen(piece)) {
            self.forget_holder(piece, peer, claims);
        }
        let state = self.peers.get_mut(&peer).expect("looked up above");
        state.lured_at = Some(now);
        for piece in lures {
            state.lures.insert(piece);
            self.commands.push_back(SuperSeedCommand::Show(peer, piece));
        }
    }

    /// The uplink must not idle while somebody could take something.
    fn show_what_is_due(&mut self, now: Instant) {
        while !self.ended {
            let limits = self.limits;
            let fetching = self.peers.values().filter(|peer| peer.fetches(now));
            let state = fetching.map(|peer| (1, peer.to_fetch, peer.ahead(&limits).max(limits.ahead_min)));
            let (count, pieces, enough) = state.fold((0, 0, 0), |a, b| (a.0 + b.0, a.1 + b.1, a.2.max(b.2)));
            let enough = if count == 1 { enough } else { limits.ahead_min };
            if pieces >= enough {
                return;
            }
            let waits = |peer: &Peer| peer.to_fetch < peer.ahead(&limits) && !peer.is_lured();
            let Some(peer) = self.most_deserving(now, waits) else { return };
            if !self.show_one(now, peer, Choice::Unclaimed) {
                return;
            }
        }
    }

    /// Of those for whom `waits` holds, the peer that holds least of what nobody else has; of about equals one that is
    /// fetching, as some clients pause for half a minute when they run out of what to ask for.
    fn most_deserving(&self, now: Instant, waits: impl Fn(&Peer) -> bool) -> Option<PeerKey> {
        let rank = |peer: &Peer| {
            let unit = self.limits.ahead_min;
            let bonus = if peer.is_active(now) { 2 * unit } else { 0 };
            let held = peer.held().saturating_sub(bonus) / unit;
            (held, !peer.unchoked, peer.to_fetch, peer.shown_at)
        };
        let waiting = self.peers.iter().filter(|(_, peer)| peer.known && waits(peer));
        waiting.min_by_key(|(key, peer)| (rank(peer), **key)).map(|found| *found.0)
    }

    /// Shows `peer` the best piece that it was not shown; false if there is none.
    fn show_one(&mut self, now: Instant, peer: PeerKey, choice: Choice) -> bool {
        let allowance = self.allowance();
        let Some(state) = self.peers.get_mut(&peer).filter(|_| !self.ended) else { return false };
        let best = self.pieces.best_unless(choice, |piece| state.knows(piece));
        let Some(piece) = best else { return false };
        let begins = state.to_fetch == 0 && state.unchoked;
        state.touched &= state.to_fetch > 0;
        state.shown.insert(piece, Entry { had: false });
        state.to_fetch += 1;
        state.shown_at = Some(now);
        self.pieces.show(piece);
        self.pieces.claim(piece, state.has_claim());
        self.holders.entry(piece).or_default().push(peer);
        if begins {
            state.began = now;
            self.set_claim(peer, Some(now + allowance));
        }
        self.commands.push_back(SuperSeedCommand::Show(peer, piece));
        true
    }

    /// Checks what must always hold; for tests and simulation.
    ///
    /// # Panics
    /// When something does not hold, which is a defect here.
    pub fn assert_invariants(&self) {
        let holders: usize = self.holders.values().map(Vec::len).sum();
        let shown: usize = self.peers.values().map(|peer| peer.shown.len()).sum();
        assert_eq!(holders, shown, "every piece that is shown has its holders");
        for (key, peer) in &self.peers {
            for piece in peer.shown.keys() {
                assert!(
                    self.holders.get(piece).is_some_and(|holders| holders.contains(key)),
                    "{key:?} holds {piece:?}"
                );
            }
            peer.assert_counts(|piece| self.pieces.seen(piece));
        }
        self.pieces.assert_invariants(|piece| {
            let holders = self.holders.get(&piece).map_or(&[][..], Vec::as_slice);
            let claims = holders.iter().filter(|holder| {
                let peer = &self.peers[*holder];
                peer.has_claim() && !peer.shown[&piece].had
            });
            (holders.len() as u32, claims.count() as u32)
        });
    }
}

/// Four times what it takes others, and no less than [`PATIENCE`].
fn allowance(fetch_time: Duration) -> Duration {
    (fetch_time * 4).max(PATIENCE)
}
