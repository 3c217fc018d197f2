//! One session against a scripted peer.

use bytes::{Bytes, BytesMut};
use potluck_common::{
    Bitfield, BlockSpan, Duration, Geometry, InfoHash, Instant, PeerId,
    wire::{Handshake, Message, RawSpan, Reserved, Rules, decode},
};

use super::{config, pair::payload_of};
use crate::session::{Direction, Session, SessionCommand, SessionEffect, SessionEvent};

/// A session and all that it did. It checks its invariants after each step.
pub(super) struct Subject {
    pub(super) session: Session,
    pub(super) now: Instant,
    pub(super) geometry: Geometry,
    buffer: BytesMut,
    /// What it told its torrent, without credit and round trips, since it was last asked.
    events: Vec<SessionEvent>,
    /// What it told the peer since it was last asked.
    said: Vec<Message>,
    /// All credit it granted.
    pub(super) granted: u32,
    /// All blocks it handed to the shell.
    pub(super) blocks: Vec<BlockSpan>,
    closed: bool,
}

pub(super) const FAST: Reserved = Reserved::FAST.with(Reserved::EXTENDED);
pub(super) const PLAIN: Reserved = Reserved::NONE;

impl Subject {
    /// An incoming connection, not yet opened.
    pub(super) fn silent(geometry: Geometry, have: &Bitfield) -> Self {
        let now = Instant::from_secs(500);
        Self {
            session: Session::new(config(geometry, Direction::Incoming), have, now),
            now,
            geometry,
            buffer: BytesMut::new(),
            events: Vec::new(),
            said: Vec::new(),
            granted: 0,
            blocks: Vec::new(),
            closed: false,
        }
    }

    /// A session with a peer that has these reserved bits, past the opening.
    pub(super) fn open(geometry: Geometry, have: &Bitfield, reserved: Reserved) -> Self {
        let mut subject = Self::silent(geometry, have);
        subject.hears_bytes(&handshake(reserved).encode());
        assert!(subject.session.is_open());
        let ours = Handshake::decode(subject.session.output()).expect("valid").expect("complete");
        assert_eq!(ours.info_hash, InfoHash([7; 20]));
        let _ = subject.session.output().split_to(68);
        subject.events();
        subject.said();
        subject
    }

    /// A session that leeches from a seed that unchoked it, with these blocks assigned.
    pub(super) fn leeching(geometry: Geometry, reserved: Reserved, assigned: &[BlockSpan]) -> Self {
        let mut subject = Self::open(geometry, &Bitfield::empty(geometry.pieces()), reserved);
        let everything = Bitfield::full(geometry.pieces());
        subject.hears(&[Message::Bitfield(Bytes::copy_from_slice(everything.as_wire())), Message::Unchoke]);
        subject.told(SessionCommand::Assign(assigned.to_vec()));
        subject.events();
        subject.said();
        subject
    }

    pub(super) fn hears_bytes(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        self.session.receive(self.now, &mut self.buffer);
        self.observe();
    }

    pub(super) fn hears(&mut self, messages: &[Message]) {
        let mut wire = BytesMut::new();
        for message in messages {
            message.encode(&mut wire);
        }
        self.hears_bytes(&wire);
    }

    pub(super) fn told(&mut self, command: SessionCommand) {
        self.session.handle(self.now, command);
        self.observe();
    }

    /// Lets time pass, serving every deadline on the way.
    pub(super) fn passes(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.session.poll_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.session.handle_timeout(self.now);
            self.observe();
        }
        self.now = end;
    }

    pub(super) fn passes_secs(&mut self, secs: u64) {
        self.passes(Duration::from_secs(secs));
    }

    /// What it told its torrent since the last time, without credit and round trips.
    pub(super) fn events(&mut self) -> Vec<SessionEvent> {
        std::mem::take(&mut self.events)
    }

    /// What it told the peer since the last time.
    pub(super) fn said(&mut self) -> Vec<Message> {
        let rules = Rules::of(&self.geometry);
        while let Some(message) = decode(self.session.output(), rules).expect("we speak the protocol") {
            self.said.push(message);
        }
        assert!(self.session.output().is_empty(), "whole messages");
        std::mem::take(&mut self.said)
    }

    /// Why it closed, if it did.
    pub(super) fn fate(&mut self) -> Option<String> {
        let closed = self.events.iter().find_map(|event| match event {
            SessionEvent::Closed(reason) => Some(format!("{:?}: {}", reason.blame, reason.why)),
            _ => None,
        });
        assert_eq!(closed.is_some(), self.session.is_closed());
        closed
    }

    fn observe(&mut self) {
        self.session.assert_invariants();
        while let Some(effect) = self.session.poll_effect() {
            assert!(!self.closed, "nothing follows the close");
            match effect {
                SessionEffect::Block { span, payload } => {
                    assert_eq!(payload, payload_of(span));
                    self.blocks.push(span);
                }
                SessionEffect::Event(SessionEvent::Wants(credit)) => self.granted += credit,
                SessionEffect::Event(SessionEvent::RoundTrip(_)) => {}
                SessionEffect::Event(event) => self.events.push(event),
                SessionEffect::Close(_) => self.closed = true,
            }
        }
        assert_eq!(self.closed, self.session.is_closed());
    }
}

pub(super) fn handshake(reserved: Reserved) -> Handshake {
    Handshake { reserved, info_hash: InfoHash([7; 20]), peer_id: PeerId([9; 20]) }
}

pub(super) fn raw(piece: u32, begin: u32, length: u32) -> RawSpan {
    RawSpan { piece, begin, length }
}

/// The message that brings this block.
pub(super) fn block(span: BlockSpan) -> Message {
    Message::Piece { piece: span.piece.get(), begin: span.begin, payload: payload_of(span) }
}

pub(super) fn request(span: BlockSpan) -> Message {
    Message::Request(span.into())
}

pub(super) fn requests(spans: &[BlockSpan]) -> Vec<Message> {
    spans.iter().copied().map(request).collect()
}
