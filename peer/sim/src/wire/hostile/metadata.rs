//! What hostile peers do about metadata: they claim, give what it is not, or ask without end (BEP 9).

use bytes::{Buf, Bytes, BytesMut};
use potluck_common::{
    Rng,
    limits::METADATA_PIECE_BYTES,
    wire::{
        self, ExtendedHandshake, HANDSHAKE_BYTES, Message, MetadataMessage, MetadataSize, Rules, UT_METADATA,
    },
};

use super::{Hostile, Talk};
use crate::wire::{net::End, plan::Ruse};

/// The extended id under which they want to hear of metadata.
const OUR_ID: u8 = 3;
/// Requests of one turn.
const REQUESTS_A_TURN: u32 = 30;

/// What is known of a peer with which metadata is spoken of.
#[derive(Debug, Default)]
pub(super) struct Giving {
    /// The peer's handshake came.
    is_met: bool,
    /// Under which id the peer wants to hear of metadata; 0 is not at all.
    their_id: u8,
    /// The size that was claimed to it.
    size: u32,
    /// Bytes of metadata that it gave.
    pub(super) given: u64,
}

impl Ruse {
    /// Whether it is about metadata.
    pub(super) fn is_about_metadata(self) -> bool {
        Self::ABOUT_METADATA.contains(&self)
    }
}

impl Hostile {
    /// What follows a handshake: a claim.
    pub(super) fn claim_metadata(&mut self, end: End) {
        let truth = self.metadata.info.as_ref().map_or(0, Bytes::len) as u32;
        let (ruse, rng) = (self.ruse, &mut self.rng);
        let Some(talk) = self.talks.get_mut(&end) else { return };
        talk.giving.size = if ruse == Ruse::FalseSize { false_size(rng, truth) } else { truth };
        Message::HaveNone.encode(&mut talk.to_say);
        introduce(&talk.giving, &mut talk.to_say);
    }

    /// Answers what was heard on this connection, and asks.
    pub(super) fn talk_of_metadata(&mut self, end: End) {
        let info = self.metadata.info.clone().unwrap_or_default();
        let (ruse, rng) = (self.ruse, &mut self.rng);
        let Some(talk) = self.talks.get_mut(&end) else { return };
        for message in hear(talk) {
            match message {
                Message::Extended { id: 0, payload } => {
                    let said = ExtendedHandshake::decode(&payload).unwrap_or_default();
                    talk.giving.their_id =
                        said.extensions.get(UT_METADATA).copied().unwrap_or(talk.giving.their_id);
                }
                Message::Extended { id: OUR_ID, payload } => match MetadataMessage::decode(&payload) {
                    Ok(MetadataMessage::Request(piece)) => answer(rng, ruse, &info, piece, talk),
                    Ok(MetadataMessage::Data { payload, .. }) => talk.giving.given += payload.len() as u64,
                    _ => {}
                },
                _ => {}
            }
        }
        match ruse {
            Ruse::Asker if talk.giving.their_id != 0 => ask(rng, info.len() as u32, talk),
            Ruse::FalseSize if rng.below(200) == 0 => {
                talk.giving.size = false_size(rng, info.len() as u32);
                introduce(&talk.giving, &mut talk.to_say);
            }
            Ruse::FalseMetadata if rng.below(200) == 0 => {
                let piece = rng.below(4);
                answer(rng, ruse, &info, piece, talk);
            }
            _ => {}
        }
    }
}

/// The complete messages that came.
fn hear(talk: &mut Talk) -> Vec<Message> {
    if !talk.giving.is_met {
        if talk.heard.len() < HANDSHAKE_BYTES {
            return Vec::new();
        }
        talk.heard.advance(HANDSHAKE_BYTES);
        talk.giving.is_met = true;
    }
    let mut messages = Vec::new();
    loop {
        match wire::decode(&mut talk.heard, Rules::BEFORE_METADATA) {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => return messages,
            Err(_) => {
                talk.heard.clear();
                return messages;
            }
        }
    }
}

fn introduce(giving: &Giving, out: &mut BytesMut) {
    let handshake = ExtendedHandshake {
        extensions: [(UT_METADATA.to_owned(), OUR_ID)].into(),
        metadata_size: Some(giving.size),
        ..ExtendedHandshake::default()
    };
    Message::Extended { id: 0, payload: handshake.encode().into() }.encode(out);
}

/// Sizes at the edges, near the truth and beyond all bounds.
fn false_size(rng: &mut Rng, truth: u32) -> u32 {
    let edges = [
        0,
        1,
        truth - 1,
        truth + 1,
        truth + METADATA_PIECE_BYTES,
        METADATA_PIECE_BYTES,
        300_000,
        potluck_common::limits::METADATA_BYTES_MAX,
        potluck_common::limits::METADATA_BYTES_MAX + 1,
        u32::MAX >> 1,
    ];
    *rng.choose(&edges).expect("not empty")
}

fn say(talk: &mut Talk, message: &MetadataMessage) {
    if talk.giving.their_id != 0 {
        let payload = message.encode().into();
        Message::Extended { id: talk.giving.their_id, payload }.encode(&mut talk.to_say);
    }
}

/// What comes of a request for a piece.
fn answer(rng: &mut Rng, ruse: Ruse, info: &Bytes, piece: u32, talk: &mut Talk) {
    let size = MetadataSize::new(talk.giving.size);
    let length = size.and_then(|size| size.length_of(piece)).unwrap_or(0) as usize;
    match ruse {
        Ruse::Refuser => say(talk, &MetadataMessage::Reject(piece)),
        Ruse::FalseSize => {
            let payload = vec![piece as u8; length].into();
            let total_size = Some(talk.giving.size);
            say(talk, &MetadataMessage::Data { piece, total_size, payload });
        }
        Ruse::FalseMetadata => {
            let begin = (piece as usize * METADATA_PIECE_BYTES as usize).min(info.len());
            let mut payload = info[begin..(begin + length).min(info.len())].to_vec();
            let mut total_size = Some(info.len() as u32);
            match rng.below(6) {
                // Now and then all is well.
                0 => {}
                1 => payload.truncate(length / 2),
                2 => total_size = Some(rng.below(100_000)),
                _ => payload.iter_mut().take(1).for_each(|byte| *byte ^= 0xff),
            }
            say(talk, &MetadataMessage::Data { piece, total_size, payload: payload.into() });
        }
        _ => {}
    }
}

/// Asks for pieces that are there and for others.
fn ask(rng: &mut Rng, size: u32, talk: &mut Talk) {
    let pieces = size.div_ceil(METADATA_PIECE_BYTES);
    for _ in 0..rng.below(REQUESTS_A_TURN) {
        let piece = if rng.below(8) == 0 { rng.next_u64() as u32 } else { rng.below(pieces + 1) };
        say(talk, &MetadataMessage::Request(piece));
    }
}
