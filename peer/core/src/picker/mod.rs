//! Which block to ask of whom.
//!
//! The picker knows how many peers have each piece, which blocks are received or asked for, and of whom. It gives
//! out blocks in this order: pieces that a peer works on already, pieces under way that nobody fast works on, new
//! pieces rarest first (BEP 3), pieces that others work on, and last, when all is asked for, the blocks of others
//! that the peer can bring much sooner (end game).
//!
//! Every block is in one of three states: open, asked for, or received. What is asked for becomes open again by
//! [`Picker::released`] and [`Picker::peer_gone`], so no block is ever lost.

mod asker;
mod end_game;
mod invariants;
#[cfg(test)]
mod model_tests;
mod pick;
mod rarity;
mod reservation;
mod shelf;
mod sorted;
mod started;
#[cfg(test)]
mod swarm_tests;
#[cfg(test)]
mod tests;
mod types;

use std::collections::BTreeMap;

use potluck_common::{Bitfield, BlockSpan, Geometry, PieceIndex, Rng};

use self::{
    asker::Asker,
    rarity::Rarity,
    reservation::Reservation,
    sorted::SortedMap,
    started::{Block, Rank, Started, rank},
};
use crate::PeerKey;

pub use self::{
    end_game::END_GAME_RETRY,
    types::{Order, Outcome, PickLimits, PickerConfig, PieceProgress, Priority, Receipt},
};

/// Which blocks of one torrent are missing, and whom to ask for them.
///
/// Invariants: every piece is exactly one of had, started, startable, reserved but not started, or skipped; the
/// asks in `started` and the requests in `askers` are the same set; `line` holds exactly the started pieces that
/// have an open block and are not reserved.
#[derive(Debug)]
pub struct Picker {
    geometry: Geometry,
    config: PickerConfig,
    have: Bitfield,
    /// Pieces that we have or that are skipped.
    unwanted: Bitfield,
    rarity: Rarity,
    started: SortedMap<PieceIndex, Started>,
    line: SortedMap<(Rank, PieceIndex), ()>,
    /// Pieces that only one peer may be asked for.
    reserved: BTreeMap<PieceIndex, Reservation>,
    askers: SortedMap<PeerKey, Asker>,
    /// Pieces ever started.
    starts: u64,
}

impl Picker {
    /// A picker for a torrent of which we have the pieces in `have`; `seed` decides all ties.
    pub fn new(geometry: Geometry, have: &Bitfield, seed: u64, config: PickerConfig) -> Self {
        assert_eq!(have.pieces(), geometry.pieces(), "a bitfield of this torrent");
        let mut rarity = Rarity::new(geometry, Rng::new(seed));
        for piece in geometry.iter().filter(|piece| !have.has(*piece)) {
            rarity.open(piece);
        }
        Self {
            geometry,
            config,
            have: have.clone(),
            unwanted: have.clone(),
            rarity,
            started: SortedMap::new(),
            line: SortedMap::new(),
            reserved: BTreeMap::new(),
            askers: SortedMap::new(),
            starts: 0,
        }
    }

    /// A peer that has these pieces came. O(1) if it has all of them.
    pub fn peer_added(&mut self, has: &Bitfield) {
        self.rarity.peer_added(has);
    }

    /// A peer that has these pieces, as told by [`Picker::peer_added`] and [`Picker::peer_has`], left.
    pub fn peer_removed(&mut self, has: &Bitfield) {
        self.rarity.peer_removed(has);
    }

    /// A peer that did not have `piece` has it now.
    pub fn peer_has(&mut self, piece: PieceIndex) {
        self.rarity.peer_has(piece);
    }

    /// Peers that did not have these pieces have them now.
    pub fn peers_have(&mut self, pieces: &[PieceIndex]) {
        self.rarity.peers_have(pieces);
    }

    /// The number of connected peers that have `piece`.
    pub fn availability(&self, piece: PieceIndex) -> u32 {
        self.rarity.availability(piece)
    }

    /// The pieces we have.
    pub fn have(&self) -> &Bitfield {
        &self.have
    }

    /// The priority of `piece`.
    pub fn priority(&self, piece: PieceIndex) -> Priority {
        self.rarity.priority(piece)
    }

    /// Whether we lack `piece` and it is not skipped.
    pub fn is_wanted(&self, piece: PieceIndex) -> bool {
        !self.unwanted.has(piece)
    }

    /// The number of pieces that we lack and that are not skipped.
    pub fn wanted_left(&self) -> u32 {
        self.geometry.pieces() - self.unwanted.count()
    }

    /// Whether somebody who has these pieces has one that we want.
    pub fn is_interesting(&self, has: &Bitfield) -> bool {
        let mut wanted = has.iter_difference(&self.unwanted, &self.geometry);
        if has.is_full() { self.wanted_left() > 0 } else { wanted.next().is_some() }
    }

    /// Changes how much `piece` is wanted. Skipping an incomplete piece forgets its received blocks (the shell
    /// drops their memory) and gives the outstanding requests to cancel.
    pub fn set_priority(&mut self, piece: PieceIndex, priority: Priority) -> Vec<(PeerKey, BlockSpan)> {
        let complete = self.started.get(&piece).is_some_and(Started::is_complete);
        let cancel =
            if priority == Priority::Skip && !complete { self.drop_started(piece) } else { Vec::new() };
        self.rarity.set_priority(piece, priority);
        self.settle(piece);
        self.line_up_again(piece);
        cancel
    }

    /// Very many priorities are about to change, by [`Picker::set_priority`]: new pieces are put in order once, by
    /// [`Picker::end_changes`], and nothing is to be picked before.
    pub fn begin_changes(&mut self) {
        self.rarity.begin_changes();
    }

    /// All changes were made.
    pub fn end_changes(&mut self) {
        self.rarity.end_changes();
    }

    /// Changes the order of new pieces.
    pub fn set_order(&mut self, order: Order) {
        self.config.order = order;
        let started: Vec<_> = self.started.keys().copied().collect();
        for piece in started {
            self.line_up_again(piece);
        }
    }

    /// A requested block came from `peer`.
    pub fn received(&mut self, peer: PeerKey, span: BlockSpan) -> Receipt {
        let Some(block) = self.geometry.block_number(span) else {
            return Receipt::worthless(Outcome::Unwanted);
        };
        if self.is_reserved_for_other(peer, span.piece) {
            self.released(peer, span);
            return Receipt::worthless(Outcome::Unwanted);
        }
        let Some(started) = self.started.get_mut(&span.piece) else {
            return Receipt::worthless(Outcome::Unwanted);
        };
        let Some(asks) = started.receive(block, peer) else { return Receipt::worthless(Outcome::Duplicate) };
        let piece_complete = started.is_complete();
        let leaves_line = started.in_line && started.open == 0;
        let mut cancel = Vec::new();
        for ask in asks.iter() {
            self.askers.get_mut(&ask.peer).expect("whoever is asked is an asker").answered(ask.turn);
            if ask.peer != peer {
                cancel.push(ask.peer);
            }
        }
        if piece_complete {
            self.dismiss_helpers(span.piece);
        }
        if leaves_line {
            self.line_up(span.piece);
        }
        Receipt { outcome: Outcome::New, piece_complete, cancel }
    }

    /// A request will not be answered: rejected, timed out, or lost to a choke. Nothing happens if it is not
    /// outstanding.
    pub fn released(&mut self, peer: PeerKey, span: BlockSpan) {
        let Some(block) = self.geometry.block_number(span) else { return };
        let Some(started) = self.started.get_mut(&span.piece) else { return };
        let Some(ask) = started.unask(block, peer) else { return };
        self.askers.get_mut(&peer).expect("whoever is asked is an asker").answered(ask.turn);
        self.line_up(span.piece);
    }

    /// A peer left: all its requests are released and its reservations end. (Its pieces are told by
    /// [`Picker::peer_removed`].)
    pub fn peer_gone(&mut self, peer: PeerKey) {
        let Some(asker) = self.askers.remove(&peer) else { return self.end_reservations(peer) };
        for request in asker.requests() {
            let started = self.started.get_mut(&request.piece).expect("a requested piece is started");
            started.unask(request.block, peer).expect("a request is an ask of its piece");
        }
        for piece in asker.pieces {
            let started = self.started.get_mut(&piece).expect("a helper's piece is started");
            started.helpers.retain(|helper| helper.peer != peer);
            self.line_up(piece);
        }
        self.end_reservations(peer);
    }

    /// The piece is on the disk and its hash holds: we have it.
    pub fn stored(&mut self, piece: PieceIndex) {
        self.drop_started(piece);
        self.reserved.remove(&piece);
        self.have.insert(piece);
        self.settle(piece);
    }

    /// The hash of a complete piece does not hold: all its blocks are wanted again, as of a piece never started.
    /// [`Picker::contributors`] is to be read before.
    pub fn failed(&mut self, piece: PieceIndex) {
        self.drop_started(piece);
        self.settle(piece);
    }

    /// Forgets all received blocks of `piece` (its write failed, or its memory is needed); gives the outstanding
    /// requests to cancel. The piece may be started again.
    pub fn abandon(&mut self, piece: PieceIndex) -> Vec<(PeerKey, BlockSpan)> {
        let cancel = self.drop_started(piece);
        self.settle(piece);
        cancel
    }

    /// A piece that we had is damaged: it is wanted again unless it is skipped.
    pub fn lost(&mut self, piece: PieceIndex) {
        self.have.remove(piece);
        self.settle(piece);
    }

    /// Who gave each block of a started piece; empty when it is not started.
    pub fn contributors(&self, piece: PieceIndex) -> Vec<Option<PeerKey>> {
        let blocks = self.started.get(&piece).map_or(&[][..], |started| &started.blocks);
        let giver = |block: &Block| if let Block::Received(peer) = block { Some(*peer) } else { None };
        blocks.iter().map(giver).collect()
    }

    /// The pieces under way in order, those that are complete and not yet stored included.
    pub fn started_pieces(&self) -> impl ExactSizeIterator<Item = PieceProgress> + '_ {
        self.started.iter().map(|(piece, started)| {
            let blocks = started.blocks.len() as u32;
            PieceProgress {
                piece: *piece,
                blocks,
                received: started.received,
                asked: blocks - started.received - started.open,
                peers: started.helpers.iter().filter(|helper| helper.asked > 0).count() as u32,
            }
        })
    }

    /// Whether `piece` is under way.
    pub fn is_started(&self, piece: PieceIndex) -> bool {
        self.started.contains_key(&piece)
    }

    /// The started piece whose memory is missed least: incomplete, nobody is asked for any of it, and of those the
    /// one that fewest peers have and of which least is there. To be given to [`Picker::abandon`] when no new piece
    /// can be started for want of memory while peers have nothing to do.
    pub fn idle_piece(&self) -> Option<PieceIndex> {
        let nobody_asked = |started: &Started| started.helpers.iter().all(|helper| helper.asked == 0);
        let idle = self.started.iter().filter(|(_, started)| !started.is_complete() && nobody_asked(started));
        idle.map(|(piece, started)| (self.availability(*piece), started.received, *piece))
            .min()
            .map(|least| least.2)
    }

    /// What `peer` is asked for, in the order in which it was asked.
    pub fn in_flight(&self, peer: PeerKey) -> impl Iterator<Item = BlockSpan> + '_ {
        let requests = self.askers.get(&peer).map(Asker::requests);
        requests.into_iter().flatten().map(|request| self.span(request.piece, request.block))
    }

    /// The number of blocks that `peer` is asked for.
    pub fn in_flight_count(&self, peer: PeerKey) -> u32 {
        self.askers.get(&peer).map_or(0, |asker| asker.requests().len() as u32)
    }

    /// Whether every block that could be asked for is asked for, and something is still missing.
    pub fn is_end_game(&self) -> bool {
        let reachable = |(_, piece): &(Rank, PieceIndex)| self.availability(*piece) > 0;
        self.wanted_left() > 0 && !self.line.keys().any(reachable) && !self.rarity.any_reachable()
    }

    fn span(&self, piece: PieceIndex, block: u32) -> BlockSpan {
        self.geometry.block(piece, block).expect("the picker only numbers blocks that exist")
    }

    /// Brings a piece that is not started into the state that follows from `have`, its priority and `reserved`.
    fn settle(&mut self, piece: PieceIndex) {
        let had = self.have.has(piece);
        if had || self.rarity.priority(piece) == Priority::Skip {
            self.unwanted.insert(piece);
        } else {
            self.unwanted.remove(piece);
        }
        if self.unwanted.has(piece) || self.reserved.contains_key(&piece) || self.started.contains_key(&piece)
        {
            self.rarity.close(piece);
        } else {
            self.rarity.open(piece);
        }
    }

    /// Takes a piece out of `started` with all its asks; gives the outstanding ones.
    fn drop_started(&mut self, piece: PieceIndex) -> Vec<(PeerKey, BlockSpan)> {
        self.dismiss_helpers(piece);
        let Some(started) = self.started.remove(&piece) else { return Vec::new() };
        if started.in_line {
            self.line.remove(&(started.rank, piece));
        }
        if !started.is_asked_for() {
            return Vec::new();
        }
        let mut dropped = Vec::new();
        for (block, ask) in started.asks() {
            self.askers.get_mut(&ask.peer).expect("whoever is asked is an asker").answered(ask.turn);
            dropped.push((ask.peer, self.span(piece, block)));
        }
        dropped
    }

    /// Takes a piece off the lists of those who work on it.
    fn dismiss_helpers(&mut self, piece: PieceIndex) {
        let Some(started) = self.started.get_mut(&piece) else { return };
        for helper in std::mem::take(&mut started.helpers) {
            let asker = self.askers.get_mut(&helper.peer).expect("a helper is an asker");
            asker.pieces.retain(|other| *other != piece);
        }
    }

    /// Brings `line` up to date with the open blocks and the reservation of a started piece.
    fn line_up(&mut self, piece: PieceIndex) {
        let Some(started) = self.started.get_mut(&piece) else { return };
        let in_line = started.open > 0 && !self.reserved.contains_key(&piece);
        if std::mem::replace(&mut started.in_line, in_line) == in_line {
            return;
        }
        if in_line {
            self.line.get_or_insert_with((started.rank, piece), || ());
        } else {
            self.line.remove(&(started.rank, piece));
        }
    }

    /// Gives a started piece the rank that follows from its priority and the order of pieces.
    fn line_up_again(&mut self, piece: PieceIndex) {
        let rank = self.rank_of(piece);
        let Some(started) = self.started.get_mut(&piece) else { return };
        self.line.remove(&(started.rank, piece));
        (started.rank, started.in_line) = (rank, false);
        self.line_up(piece);
    }

    fn rank_of(&self, piece: PieceIndex) -> Rank {
        let class = Priority::High as u8 - self.rarity.priority(piece) as u8;
        match self.config.order {
            Order::RarestFirst => rank(class, self.starts),
            Order::Sequential => rank(class, u64::from(piece.get())),
        }
    }
}
