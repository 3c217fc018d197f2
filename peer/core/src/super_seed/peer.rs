//! One peer of a super-seed: what it was shown, and whether it is to be shown more.

use std::collections::{BTreeMap, BTreeSet};

use potluck_common::{Bitfield, Duration, Instant, PieceIndex};

/// Whoever said nothing of its pieces for so long has none.
const SILENCE: Duration = Duration::from_secs(1);
/// How long a peer waits for what it was given to spread, or is waited for to become interested in what it was shown.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// Whoever was sent nothing for so long although it could fetch something does not fetch.
const PAUSE: Duration = Duration::from_secs(10);
/// How long a piece of which a peer that we choked has a part is left to it.
const PART_KEPT: Duration = Duration::from_secs(300);

/// More lures than this come later.
const LURES_AT_ONCE_MAX: u32 = 1_024;

/// A piece that a peer was shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The peer has it.
    pub(super) had: bool,
}

/// What an [`Entry`] means, by how many peers have the piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Class {
    /// The peer lacks it, and only we can give it.
    ToFetch,
    /// The peer lacks it, and others have it.
    Elsewhere,
    /// The peer has it, and nobody else.
    Unspread,
    /// The peer has it, and so does another.
    Spread,
}

impl Entry {
    fn class(self, seen: u32) -> Class {
        match (self.had, seen) {
            (false, 0) => Class::ToFetch,
            (false, _) => Class::Elsewhere,
            (true, 0 | 1) => Class::Unspread,
            (true, _) => Class::Spread,
        }
    }
}

/// The bounds that decide whether a peer is shown more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Pieces that an unchoked peer may have ahead of it to fetch, however slow it is,
    pub(super) ahead_min: u32,
    /// and however fast.
    pub(super) ahead_max: u32,
    /// Until when the uplink has room for more, and nobody waits for what it was given to spread.
    pub(super) room_until: Instant,
}

/// One connected peer.
///
/// Invariants: no entry of `shown` is [`Class::Spread`]; `to_fetch` and `unspread` count its entries of that class; no piece
/// is in two of `shown`, `lures` and `unproved`, but for what was given out as a lure and is said to be there.
#[derive(Debug)]
pub(super) struct Peer {
    /// When it was last choked, or came.
    choked_at: Instant,
    /// It is time to show it something: it said what it has, or had the time to.
    pub(super) known: bool,
    pub(super) interested: bool,
    pub(super) unchoked: bool,
    /// How many pieces it has.
    pub(super) has: u32,
    /// What it was shown and lacks, or has and nobody else does.
    pub(super) shown: BTreeMap<PieceIndex, Entry>,
    pub(super) to_fetch: u32,
    pub(super) unspread: u32,
    /// When it was last shown a piece.
    pub(super) shown_at: Option<Instant>,
    /// What else it was told of, because it wanted none of what it was shown: nobody else has to leave these to it.
    pub(super) lures: Bitfield,
    /// When it was last told of lures.
    pub(super) lured_at: Option<Instant>,
    /// What it says to have and is not believed yet.
    pub(super) unproved: Bitfield,
    /// Since when there is something in `unproved`.
    pub(super) doubted_since: Option<Instant>,
    /// Pieces that it said to have before they were sent to anybody.
    pub(super) surprises: u32,
    /// Those of them that it was told of: they are no surprise once as much was sent to it.
    pub(super) unpaid: BTreeSet<PieceIndex>,
    /// Bytes that were sent to it and are not accounted for by a piece that it has.
    pub(super) sent_bytes: u64,
    /// Pieces that it fetched since the last tick, and in the second before that.
    fetched: [u32; 2],
    /// When it began to fetch the piece under way.
    pub(super) began: Instant,
    /// When payload was last sent to it, or it came.
    pub(super) sent_at: Instant,
    /// Payload was sent since it last had a piece, so that it may have a part of one.
    pub(super) touched: bool,
    /// It had a slot for long and did not get what it was shown, or does not say so; or it had none for long.
    pub(super) stalls: bool,
    /// Until when what it was shown and lacks is left to it alone.
    pub(super) claim_until: Option<Instant>,
}

impl Peer {
    pub(super) fn new(now: Instant, pieces: u32) -> Self {
        Self {
            choked_at: now,
            known: false,
            interested: false,
            unchoked: false,
            has: 0,
            shown: BTreeMap::new(),
            to_fetch: 0,
            unspread: 0,
            shown_at: None,
            lures: Bitfield::empty(pieces),
            lured_at: None,
            unproved: Bitfield::empty(pieces),
            doubted_since: None,
            surprises: 0,
            unpaid: BTreeSet::new(),
            sent_bytes: 0,
            fetched: [0; 2],
            began: now,
            sent_at: now,
            touched: false,
            stalls: false,
            claim_until: None,
        }
    }

    /// Whether it was told that we have this piece.
    pub(super) fn was_told_of(&self, piece: PieceIndex) -> bool {
        self.shown.contains_key(&piece) || self.lures.has(piece)
    }

    /// Whether it must not be told of this piece: it was already, or says to have it.
    pub(super) fn knows(&self, piece: PieceIndex) -> bool {
        self.was_told_of(piece) || self.unproved.has(piece)
    }

    pub(super) fn has_claim(&self) -> bool {
        self.claim_until.is_some()
    }

    /// Pieces that it was shown and nobody else has.
    pub(super) fn held(&self) -> u32 {
        self.to_fetch + self.unspread
    }

    /// Pieces that it may have ahead of it to fetch: while it is choked one, to make it interested; and else what it can
    /// fetch in two seconds, as some clients think of what to request once a second.
    pub(super) fn ahead(&self, limits: &Limits) -> u32 {
        if !self.unchoked {
            return 1;
        }
        let [this, last] = self.fetched;
        (2 * this.max(last)).clamp(limits.ahead_min, limits.ahead_max)
    }

    /// Pieces that it may have been shown and nobody else has.
    fn window(&self, limits: &Limits) -> u32 {
        if self.unchoked { self.ahead(limits) * 3 / 2 } else { 1 }
    }

    /// Whether it fetches from us.
    pub(super) fn is_active(&self, now: Instant) -> bool {
        let latest = self.sent_at.max(self.began);
        self.unchoked && self.to_fetch > 0 && now.since(latest) < PAUSE
    }

    /// Whether it fetches from us, or will as soon as it gets a slot.
    pub(super) fn fetches(&self, now: Instant) -> bool {
        if self.unchoked {
            return self.is_active(now);
        }
        self.to_fetch > 0 && !self.stalls && (self.interested || !self.has_waited(now))
    }

    /// How many more pieces to show it now, for its own sake.
    pub(super) fn pieces_due(&self, now: Instant, limits: &Limits) -> u32 {
        if !self.known || self.is_lured() {
            return 0;
        }
        let waited = self.has_waited(now);
        let has_room = self.unchoked && now < limits.room_until;
        let may_have_more = self.held() < self.window(limits) || has_room || waited && self.to_fetch == 0;
        u32::from(may_have_more && self.to_fetch < self.ahead(limits))
    }

    /// How many lures to tell it of now: it wants nothing of what it knows of, as when it wants some files only, so that it
    /// is told of as many again.
    pub(super) fn lures_due(&self, now: Instant) -> u32 {
        let rests = self.lured_at.is_some_and(|lured_at| now.since(lured_at) < PATIENCE);
        let wants_none = self.known && !self.interested && (self.to_fetch > 0 || self.is_lured());
        if wants_none && self.has_waited(now) && !rests {
            (self.to_fetch + self.lures.count()).min(LURES_AT_ONCE_MAX)
        } else {
            0
        }
    }

    /// Whether it is offered lures and nothing else.
    pub(super) fn is_lured(&self) -> bool {
        !self.interested && !self.lures.is_empty()
    }

    /// What it was shown and does not want becomes lures; gives these pieces.
    pub(super) fn give_up_shown(&mut self, seen: impl Fn(PieceIndex) -> u32) -> Vec<PieceIndex> {
        let unwanted = |(piece, entry): (&PieceIndex, &Entry)| {
            (entry.class(seen(*piece)) == Class::ToFetch).then_some(*piece)
        };
        let given_up: Vec<PieceIndex> = self.shown.iter().filter_map(unwanted).collect();
        for piece in &given_up {
            self.shown.remove(piece);
            self.lures.insert(*piece);
        }
        self.to_fetch = 0;
        given_up
    }

    /// Whether it was never shown anything, so that it cannot become interested.
    pub(super) fn is_new(&self) -> bool {
        self.shown_at.is_none()
    }

    fn has_waited(&self, now: Instant) -> bool {
        self.shown_at.is_none_or(|shown_at| now.since(shown_at) >= PATIENCE)
    }

    /// We choked or unchoked it; says until when it has a claim.
    pub(super) fn unchoked_until(
        &mut self,
        now: Instant,
        unchoked: bool,
        allowance: Duration,
    ) -> Option<Instant> {
        self.unchoked = unchoked;
        if unchoked {
            self.began = now;
            return Some(now + allowance);
        }
        self.choked_at = now;
        (self.touched && self.to_fetch > 0).then(|| now + PART_KEPT)
    }

    /// A second passed.
    pub(super) fn count_anew(&mut self) {
        self.fetched = [0, self.fetched[0]];
    }

    /// Time passed; says whether its claim is over.
    pub(super) fn time_passed(&mut self, now: Instant) -> bool {
        self.known |= now.since(self.choked_at) >= SILENCE;
        let is_over = self.claim_until.is_some_and(|until| until <= now);
        let waits_for_slot = !self.unchoked && now.since(self.choked_at) >= PART_KEPT;
        self.stalls |= self.to_fetch > 0 && (self.unchoked && is_over || waits_for_slot);
        is_over
    }

    /// It has a piece that it was shown, which `seen` others had before; says how long that took if it was from us.
    pub(super) fn fetched(&mut self, now: Instant, piece: PieceIndex, seen: u32) -> Option<Duration> {
        let entry = self.shown.get_mut(&piece).expect("a holder was shown the piece");
        let was_ours = entry.class(seen) == Class::ToFetch;
        let before = *entry;
        entry.had = true;
        let after = *entry;
        self.recount(before.class(seen), after.class(seen));
        was_ours.then(|| {
            (self.touched, self.stalls) = (false, false);
            self.fetched[0] += 1;
            now.since(std::mem::replace(&mut self.began, now))
        })
    }

    /// It does not have a piece that it was shown and had, which `seen` others have now.
    pub(super) fn lost(&mut self, piece: PieceIndex, seen: u32) {
        let entry = self.shown.get_mut(&piece).expect("a holder was shown the piece");
        let before = *entry;
        entry.had = false;
        let after = *entry;
        self.recount(before.class(seen), after.class(seen));
    }

    /// As many as `after` peers have a piece that it was shown, where `before` had it; true if it spread, and then it is
    /// forgotten.
    pub(super) fn seen_changed(&mut self, piece: PieceIndex, before: u32, after: u32) -> bool {
        let entry = self.shown[&piece];
        let is_spread = entry.class(after) == Class::Spread;
        self.recount(entry.class(before), entry.class(after));
        if is_spread {
            self.shown.remove(&piece);
        }
        is_spread
    }

    fn recount(&mut self, before: Class, after: Class) {
        self.to_fetch -= u32::from(before == Class::ToFetch);
        self.unspread -= u32::from(before == Class::Unspread);
        self.to_fetch += u32::from(after == Class::ToFetch);
        self.unspread += u32::from(after == Class::Unspread);
    }

    /// `seen` says how many have a piece.
    pub(super) fn assert_counts(&self, seen: impl Fn(PieceIndex) -> u32) {
        let count = |wanted: Class| {
            self.shown.iter().filter(|(piece, entry)| entry.class(seen(**piece)) == wanted).count() as u32
        };
        assert_eq!((self.to_fetch, self.unspread), (count(Class::ToFetch), count(Class::Unspread)));
        assert_eq!(count(Class::Spread), 0, "what spread is forgotten");
    }
}
