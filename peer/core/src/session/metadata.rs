//! Giving the metadata to a peer that asks for it (BEP 9).

use std::collections::VecDeque;

use bytes::Bytes;
use potluck_common::{
    Instant,
    wire::{Message, MetadataMessage, MetadataSize},
};

use super::{
    Phase, Session,
    config::{METADATA_BUDGET, METADATA_BUDGET_TIME, METADATA_INVALID_MAX, METADATA_REQUESTS_MAX},
    fault::PeerFault,
    messages::within,
};

/// A peer's requests for metadata.
///
/// Invariants: at most [`METADATA_REQUESTS_MAX`] wait, each for a piece that exists, none twice; what was granted since
/// `since` is at most [`METADATA_BUDGET`] times the metadata.
#[derive(Debug)]
pub(super) struct Serving {
    waiting: VecDeque<u32>,
    since: Instant,
    granted: u64,
}

impl Session {
    /// The size of the metadata that we give, if we do.
    pub(super) fn metadata_size(&self) -> Option<MetadataSize> {
        self.config.extensions.metadata.as_deref().and_then(MetadataSize::of)
    }

    /// The peer asks for metadata. What it gives of its own accord we have.
    pub(super) fn on_metadata(&mut self, now: Instant, payload: &Bytes) -> Result<(), PeerFault> {
        match MetadataMessage::decode(payload) {
            Ok(MetadataMessage::Request(piece)) => {
                self.on_metadata_request(now, piece);
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) => {
                self.conduct.invalid_metadata += 1;
                within(self.conduct.invalid_metadata, METADATA_INVALID_MAX, error.into())
            }
        }
    }

    fn on_metadata_request(&mut self, now: Instant, piece: u32) {
        let (Some(size), true) = (self.metadata_size(), self.remote_metadata_id != 0) else { return };
        let serving = self
            .serving
            .get_or_insert_with(|| Box::new(Serving { waiting: VecDeque::new(), since: now, granted: 0 }));
        if serving.grants(now, size, piece) {
            serving.waiting.push_back(piece);
        } else if !serving.waiting.contains(&piece) {
            self.send_metadata(now, &MetadataMessage::Reject(piece));
        }
    }

    /// Adds the next piece of the metadata that the peer waits for to the output. Call it when nothing waits to be written:
    /// so there is never more than one reply that the peer has not taken. Returns whether there was one.
    pub fn next_metadata(&mut self, now: Instant) -> bool {
        if self.phase != Phase::Open {
            return false;
        }
        let Some(piece) = self.serving.as_mut().and_then(|serving| serving.waiting.pop_front()) else {
            return false;
        };
        let (Some(size), Some(info)) = (self.metadata_size(), &self.config.extensions.metadata) else {
            return false;
        };
        let (Some(begin), Some(length)) = (size.begin_of(piece), size.length_of(piece)) else { return false };
        let payload = info.slice(begin as usize..(begin + length) as usize);
        self.send_metadata(now, &MetadataMessage::Data { piece, total_size: Some(size.get()), payload });
        true
    }

    fn send_metadata(&mut self, now: Instant, message: &MetadataMessage) {
        self.send(now, &Message::Extended { id: self.remote_metadata_id, payload: message.encode().into() });
    }
}

impl Serving {
    /// Whether a request is answered with a piece. Then it counts as sent.
    fn grants(&mut self, now: Instant, size: MetadataSize, piece: u32) -> bool {
        if now.since(self.since) >= METADATA_BUDGET_TIME {
            (self.since, self.granted) = (now, 0);
        }
        let Some(length) = size.length_of(piece) else { return false };
        let sum = self.granted + u64::from(length);
        let is_within = sum <= METADATA_BUDGET * u64::from(size.get());
        let has_room = self.waiting.len() < METADATA_REQUESTS_MAX && !self.waiting.contains(&piece);
        if is_within && has_room {
            self.granted = sum;
        }
        is_within && has_room
    }
}
