//! Which session gets which blocks, within the bound on memory, and whom to dial.

use std::collections::BTreeMap;

use potluck_common::{BlockSpan, Instant, PieceIndex};

use super::{Effect, Life, Torrent, peers::Peer};
use crate::{
    PeerKey,
    choker::{Action, ChokerCommand},
    picker::PickLimits,
    session::{Blame as Fault, SessionCommand},
};

/// Pieces that may be open at once, whatever their size and the bound on memory.
const OPEN_PIECES_MIN: usize = 3;

impl Torrent {
    /// Everyone with credit left is looked at again: blocks, pieces or memory became free.
    pub(super) fn everyone_may_be_hungry(&mut self) {
        if self.completed {
            return;
        }
        self.hungry.extend(self.peers.iter().filter(|(_, peer)| peer.credit > 0).map(|(key, _)| *key));
    }

    pub(super) fn feed_the_hungry(&mut self, now: Instant) {
        for key in std::mem::take(&mut self.hungry) {
            if self.life == Life::Running && !self.completed && self.store_wait.is_none() {
                self.feed(now, key);
            }
        }
    }

    fn feed(&mut self, now: Instant, key: PeerKey) {
        let start_pieces_max = if self.storing.hold_back(now) { 0 } else { self.start_pieces_max() };
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let may_request = !peer.chokes_us || !peer.allowed_fast.is_empty();
        if peer.connection.closing || peer.credit == 0 || peer.interesting == 0 || !may_request {
            return;
        }
        let limits = PickLimits {
            start_pieces_max,
            allowed: peer.chokes_us.then_some(peer.allowed_fast.as_slice()),
            rate_bytes_per_second: peer.down.recent(now),
        };
        let blocks = self.picker.pick(now, key, &peer.has, peer.credit, limits);
        peer.credit -= blocks.len() as u32;
        if blocks.is_empty() {
            return;
        }
        for block in &blocks {
            self.open(block.piece);
        }
        self.command(key, SessionCommand::Assign(blocks));
    }

    fn start_pieces_max(&self) -> u32 {
        let piece_length = u64::from(self.config.geometry.piece_length());
        let room = self.config.buffer_bytes_max.saturating_sub(self.buffered) / piece_length;
        // However large the pieces are: one slow peer must not keep the others from theirs.
        let least = (OPEN_PIECES_MIN as u64).saturating_sub(self.open.len() as u64);
        u32::try_from(room.max(least)).unwrap_or(u32::MAX)
    }

    /// All memory is taken by pieces that no connected peer can complete, and somebody has others that we want: the
    /// piece with the least in it makes room.
    pub(super) fn free_memory_when_stuck(&mut self) {
        let idle = self.peers.keys().all(|key| self.picker.in_flight_count(*key) == 0);
        let starves = |peer: &Peer| {
            !peer.connection.closing && !peer.chokes_us && peer.credit > 0 && peer.interesting > 0
        };
        if idle
            && self.store_wait.is_none()
            && self.storing.is_empty()
            && self.peers.values().any(starves)
            && self.start_pieces_max() == 0
            && let Some(piece) = self.picker.idle_piece()
        {
            self.restart(piece);
        }
    }

    fn open(&mut self, piece: PieceIndex) {
        if self.open.insert(piece) {
            self.buffered += u64::from(self.config.geometry.length_of(piece));
            self.effects.push_back(Effect::OpenPiece(piece));
        }
    }

    /// The memory of `piece` is free again.
    pub(super) fn forget_buffer(&mut self, piece: PieceIndex) {
        if self.open.remove(&piece) {
            self.buffered -= u64::from(self.config.geometry.length_of(piece));
            self.everyone_may_be_hungry();
        }
    }

    /// Blocks that will not come from this peer.
    pub(super) fn released(&mut self, key: PeerKey, spans: &[BlockSpan]) {
        for span in spans {
            self.picker.released(key, *span);
        }
        self.everyone_may_be_hungry();
    }

    /// The assembled blocks of `piece` are worth nothing: it begins again from none.
    pub(super) fn restart(&mut self, piece: PieceIndex) {
        if self.storing.has(piece) || self.waits_to_be_stored(piece) {
            return;
        }
        self.abandon(piece);
        self.effects.push_back(Effect::ClosePiece(piece));
        self.forget_buffer(piece);
    }

    /// No block of `piece` counts as received any more; whoever is asked for one hears that it is not wanted.
    pub(super) fn abandon(&mut self, piece: PieceIndex) {
        let cancelled = self.picker.abandon(piece);
        self.cancel_all(cancelled);
    }

    /// Cancels these blocks.
    pub(super) fn cancel_all(&mut self, blocks: Vec<(PeerKey, BlockSpan)>) {
        let mut cancels: BTreeMap<PeerKey, Vec<BlockSpan>> = BTreeMap::new();
        for (key, span) in blocks {
            cancels.entry(key).or_default().push(span);
        }
        self.cancel(cancels);
    }

    /// Cancels, grouped so that each session gets one command.
    pub(super) fn cancel(&mut self, cancels: BTreeMap<PeerKey, Vec<BlockSpan>>) {
        for (key, spans) in cancels {
            self.command(key, SessionCommand::Cancel(spans));
        }
    }

    pub(super) fn follow_choker(&mut self, now: Instant) {
        while let Some(command) = self.choker.poll_command() {
            let (key, action, why) = match command {
                ChokerCommand::Choke { peer, why } => (peer, Action::Choke, why),
                ChokerCommand::Unchoke { peer, why } => (peer, Action::Unchoke, why),
                ChokerCommand::Evict { peer, why } => (peer, Action::Evict, why),
                ChokerCommand::Weight { peer, weight } => {
                    if self.peers.contains_key(&peer) {
                        self.command(peer, SessionCommand::Weigh(weight.percent()));
                    }
                    continue;
                }
            };
            if !self.peers.contains_key(&key) {
                continue;
            }
            self.tell_decision(now, key, action, why);
            match action {
                Action::Choke => self.set_choked(now, key, true),
                Action::Unchoke => self.set_choked(now, key, false),
                Action::Evict => self.close(key, Fault::Nobody, &why.in_words(now)),
            }
        }
    }

    fn set_choked(&mut self, now: Instant, key: PeerKey, choked: bool) {
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.we_choke = choked;
            self.tell_super_seed(|machine| machine.unchoked(now, key, !choked));
            self.command(key, if choked { SessionCommand::Choke } else { SessionCommand::Unchoke });
        }
    }

    pub(super) fn dial(&mut self, now: Instant) {
        while self.life == Life::Running
            && self.book.dialing() < self.config.dials_max
            && self.has_room_to_dial(now)
        {
            let Some(address) = self.book.next_due(now) else { return };
            self.effects.push_back(Effect::Dial(address));
        }
    }
}
