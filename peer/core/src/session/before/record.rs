//! What a peer said that means something once the metadata is known.

use bytes::{Bytes, BytesMut};
use potluck_common::{
    limits::PIECES_MAX,
    wire::{Handshake, Message},
};

/// Most bytes that are written down for one peer: the longest bitfield, and some thousand HAVE messages.
const BYTES_MAX: usize = PIECES_MAX as usize / 8 + 16 * 1024;

/// The words of a peer, as it would say them if it were asked again.
///
/// Invariant: `pieces` is at most [`BYTES_MAX`] long; beyond that nothing is kept any more.
#[derive(Default, Debug)]
pub(super) struct Record {
    handshake: Option<Handshake>,
    extended: Option<Bytes>,
    /// BITFIELD or its like, HAVE, ALLOWED FAST and SUGGEST messages, encoded.
    pieces: BytesMut,
    unchokes: bool,
    is_interested: bool,
    is_full: bool,
}

impl Record {
    pub(super) fn opened(&mut self, handshake: &Handshake) {
        self.handshake = Some(*handshake);
    }

    pub(super) fn introduced(&mut self, payload: &Bytes) {
        self.extended = Some(Bytes::copy_from_slice(payload));
    }

    pub(super) fn said(&mut self, message: &Message) {
        match message {
            Message::Choke | Message::Unchoke => self.unchokes = *message == Message::Unchoke,
            Message::Interested | Message::NotInterested => {
                self.is_interested = *message == Message::Interested;
            }
            Message::Bitfield(_) | Message::HaveAll | Message::HaveNone => {
                // It says everything anew.
                self.pieces.clear();
                self.keep(message);
            }
            Message::Have(_) | Message::AllowedFast(_) | Message::Suggest(_) => self.keep(message),
            _ => {}
        }
    }

    fn keep(&mut self, message: &Message) {
        if self.is_full {
            return;
        }
        message.encode(&mut self.pieces);
        if self.pieces.len() > BYTES_MAX {
            self.is_full = true;
            self.pieces = BytesMut::new();
        }
    }

    /// All of it as it would come from the peer; `None` if something is missing.
    pub(super) fn replay(&mut self) -> Option<BytesMut> {
        let handshake = self.handshake.filter(|_| !self.is_full)?;
        let mut replay = BytesMut::with_capacity(self.pieces.len() + 512);
        replay.extend_from_slice(&handshake.encode());
        replay.extend_from_slice(&std::mem::take(&mut self.pieces));
        if let Some(payload) = self.extended.take() {
            Message::Extended { id: 0, payload }.encode(&mut replay);
        }
        if self.unchokes {
            Message::Unchoke.encode(&mut replay);
        }
        if self.is_interested {
            Message::Interested.encode(&mut replay);
        }
        Some(replay)
    }

    pub(super) fn assert_invariants(&self) {
        assert!(self.pieces.len() <= BYTES_MAX, "what is written down is bounded");
    }
}
