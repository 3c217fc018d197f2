//! What hostile peers say.

use bytes::{Buf, BytesMut};
use potluck_common::{
    Geometry, Rng,
    wire::{Handshake, Message, RawSpan, Reserved},
};

use super::{Hostile, Talk};
use crate::wire::{
    net::End,
    plan::{FalsePorts, Ruse},
};

/// How many ports a peer tells of in a turn.
const PORTS_A_TURN: u32 = 20;

impl Hostile {
    /// Adds to what is to be said on this connection.
    pub(super) fn talk(&mut self, end: End) {
        let (ruse, geometry, peer_id) = (self.ruse, self.geometry, self.peer_id);
        let info_hash = self.metadata.info_hash;
        let Some(talk) = self.talks.get_mut(&end) else { return };
        let rng = &mut self.rng;
        if !talk.said_hello {
            talk.said_hello = true;
            if ruse == Ruse::Silent || (ruse == Ruse::Garbage && rng.below(3) == 0) {
                return noise(rng, ruse, &mut talk.to_say);
            }
            let reserved = Reserved::EXTENDED.with(Reserved::FAST);
            talk.to_say.extend_from_slice(&Handshake { reserved, info_hash, peer_id }.encode());
            if ruse.is_about_metadata() {
                return self.claim_metadata(end);
            }
            opening(ruse, &mut talk.to_say);
            return;
        }
        if ruse.is_about_metadata() {
            return self.talk_of_metadata(end);
        }
        match ruse {
            Ruse::Garbage => garble(rng, &geometry, talk),
            Ruse::Flooder => flood(rng, &geometry, &mut talk.to_say),
            Ruse::Slow if talk.to_say.is_empty() => Message::KeepAlive.encode(&mut talk.to_say),
            Ruse::Liar | Ruse::Choker if talk.turns % 60 == 59 => Message::KeepAlive.encode(&mut talk.to_say),
            _ => {}
        }
        if ruse == Ruse::Liar && rng.below(20) == 0 {
            reject_some(talk);
        }
    }
}

impl Hostile {
    /// Tells of nodes at its address, each port once a connection.
    pub(super) fn tell_ports(&mut self, end: End) {
        let (Some(ports), Some(talk)) = (self.false_ports, self.talks.get_mut(&end)) else { return };
        let says_more = !matches!(self.ruse, Ruse::Silent | Ruse::Slow | Ruse::Garbage);
        let (most, first) = match ports {
            FalsePorts::One => (1, 1),
            FalsePorts::Zero => (1, 0),
            FalsePorts::Many => (1_000, 1),
        };
        for _ in 0..PORTS_A_TURN {
            if says_more && talk.said_hello && talk.ports_told < most {
                Message::Port(first + talk.ports_told).encode(&mut talk.to_say);
                talk.ports_told += 1;
            }
        }
    }
}

/// What follows a handshake.
fn opening(ruse: Ruse, out: &mut BytesMut) {
    match ruse {
        Ruse::Liar => {
            Message::HaveAll.encode(out);
            Message::Unchoke.encode(out);
        }
        Ruse::Choker => Message::HaveAll.encode(out),
        Ruse::Flooder => {
            Message::HaveNone.encode(out);
            Message::Interested.encode(out);
        }
        _ => Message::HaveNone.encode(out),
    }
}

fn noise(rng: &mut Rng, ruse: Ruse, out: &mut BytesMut) {
    if ruse == Ruse::Garbage {
        let mut bytes = vec![0; 1 + rng.below(300) as usize];
        rng.fill(&mut bytes);
        out.extend_from_slice(&bytes);
    }
}

/// Messages that are well-formed and make no sense, and some that are not.
fn garble(rng: &mut Rng, geometry: &Geometry, talk: &mut Talk) {
    if rng.below(4) > 0 {
        return;
    }
    let out = &mut talk.to_say;
    let pieces = geometry.pieces();
    let span = RawSpan {
        piece: rng.below(pieces + 2),
        begin: rng.next_u64() as u32 >> rng.below(32),
        length: rng.below(40_000),
    };
    match rng.below(14) {
        0 => Message::Have(rng.below(pieces.saturating_mul(2))).encode(out),
        1 => Message::HaveAll.encode(out),
        2 => Message::HaveNone.encode(out),
        3 => Message::Choke.encode(out),
        4 => Message::Unchoke.encode(out),
        5 => Message::Interested.encode(out),
        6 => Message::NotInterested.encode(out),
        7 => Message::Request(span).encode(out),
        8 => Message::Cancel(span).encode(out),
        9 => Message::Reject(span).encode(out),
        10 => Message::AllowedFast(rng.below(pieces)).encode(out),
        11 => Message::Suggest(rng.below(pieces)).encode(out),
        12 => {
            let payload = vec![0x55; rng.below(16_384) as usize].into();
            Message::Piece { piece: span.piece, begin: span.begin, payload }.encode(out);
        }
        _ => noise(rng, Ruse::Garbage, out),
    }
}

/// Requests for everything, over and over.
fn flood(rng: &mut Rng, geometry: &Geometry, out: &mut BytesMut) {
    if out.len() > 100_000 {
        return;
    }
    for _ in 0..rng.below(400) {
        let Some(piece) = geometry.piece(rng.below(geometry.pieces())) else { return };
        let block = rng.below(geometry.blocks_in(piece));
        if let Some(span) = geometry.block(piece, block) {
            Message::Request(span.into()).encode(out);
        }
    }
}

/// Refuses requests that it heard, so that somebody goes on asking.
fn reject_some(talk: &mut Talk) {
    let request = |heard: &BytesMut| heard.len() >= 17 && heard[..5] == [0, 0, 0, 13, 6];
    while !talk.heard.is_empty() {
        if !request(&talk.heard) {
            talk.heard.advance(1);
            continue;
        }
        let number = |at: usize| u32::from_be_bytes(talk.heard[at..at + 4].try_into().expect("four bytes"));
        let span = RawSpan { piece: number(5), begin: number(9), length: number(13) };
        Message::Reject(span).encode(&mut talk.to_say);
        talk.heard.advance(17);
    }
}
