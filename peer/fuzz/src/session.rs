//! Operations on one session: what the peer sends, in arbitrary pieces, what the torrent commands, and time.

use std::{collections::VecDeque, net::SocketAddr};

use arbitrary::{Result, Unstructured};
use bytes::{Bytes, BytesMut};
use potluck_common::{
    Bitfield, BlockSpan, Duration, Geometry, InfoHash, Instant, PeerId, PieceIndex,
    limits::BLOCK_LENGTH,
    wire::{Handshake, Message, RawSpan, Reserved, Rules, decode},
};
use potluck_core::session::{
    Blame, CloseReason, Direction, Extensions, Session, SessionCommand, SessionConfig, SessionEffect,
    SessionEvent,
};

use super::assert_printable;

const INFO_HASH: InfoHash = InfoHash([7; 20]);

/// Operations of one run, so that none takes long.
const STEPS_MAX: usize = 400;

/// Takes operations from `bytes` until they end or the session does.
pub fn run(bytes: &[u8]) {
    let mut choices = Unstructured::new(bytes);
    // What is left when the bytes end is no operation.
    let _ = history(&mut choices);
}

fn history(choices: &mut Unstructured<'_>) -> Result<()> {
    let mut subject = Subject::new(choices)?;
    subject.observe();
    for _ in 0..STEPS_MAX {
        if choices.is_empty() || subject.session.is_closed() {
            break;
        }
        subject.step(choices)?;
        subject.observe();
    }
    // Whatever went before, a peer that says no more is left in the end.
    subject.session.resume_reading(subject.now);
    subject.pass(Duration::from_secs(1_000));
    assert!(subject.session.is_closed(), "silence ends every session");
    Ok(())
}

/// A session, and what its torrent and its peer know of it.
struct Subject {
    session: Session,
    geometry: Geometry,
    rules: Rules,
    now: Instant,
    /// What the peer sent and the session has not consumed.
    buffer: BytesMut,
    greeted: bool,
    credit: u32,
    /// Assigned, and neither received, released nor cancelled.
    held: Vec<BlockSpan>,
    /// Requests that the peer has seen and not answered.
    asked: VecDeque<BlockSpan>,
    /// Blocks that the shell took to send.
    sending: Vec<BlockSpan>,
    /// Blocks that were handed over and not yet accounted.
    unaccounted: Vec<BlockSpan>,
    closed: bool,
}

impl Subject {
    fn new(choices: &mut Unstructured<'_>) -> Result<Self> {
        let geometry = *choices.choose(&[
            Geometry::new(120_500, 40_000).expect("three pieces and a short one"),
            Geometry::new(64 * 16_384, 16_384).expect("64 pieces of a block"),
            Geometry::new(1, 1).expect("one byte"),
            Geometry::new(0, 16_384).expect("nothing"),
            Geometry::new(3_000_000, 1_500_000).expect("two large pieces"),
        ])?;
        let direction = if choices.arbitrary()? { Direction::Incoming } else { Direction::Outgoing };
        let config = SessionConfig {
            info_hash: INFO_HASH,
            peer_id: PeerId([2; 20]),
            direction,
            remote: SocketAddr::from(([127, 0, 0, 1], 50_000)),
            geometry,
            listen_port: choices.arbitrary()?,
            client: "Potluck 0.1.0",
            upload_only: choices.arbitrary()?,
            private: choices.arbitrary()?,
            extensions: Extensions::default(),
        };
        let mut have = Bitfield::empty(geometry.pieces());
        for piece in geometry.iter() {
            if choices.arbitrary()? {
                have.insert(piece);
            }
        }
        let now = Instant::from_secs(500);
        Ok(Self {
            session: Session::new(config, &have, now),
            geometry,
            rules: Rules::of(&geometry),
            now,
            buffer: BytesMut::new(),
            greeted: false,
            credit: 0,
            held: Vec::new(),
            asked: VecDeque::new(),
            sending: Vec::new(),
            unaccounted: Vec::new(),
            closed: false,
        })
    }

    fn step(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        match choices.int_in_range(0..=15)? {
            0 => self.hear_raw(choices)?,
            1 => self.greet(choices)?,
            2..=5 => {
                let message = self.message(choices)?;
                self.hear(&message, choices)?;
            }
            6 | 7 => self.answer(choices)?,
            8 => {
                let command = self.command(choices)?;
                self.session.handle(self.now, command);
            }
            9 | 10 => self.assign(choices)?,
            11 => self.cancel(choices)?,
            12 => self.upload(choices)?,
            13 => self.pass(Duration::from_millis(choices.int_in_range(0..=30_000)?)),
            14 => {
                self.session.pause_reading(self.now);
                self.pass(Duration::from_millis(choices.int_in_range(0..=200_000)?));
                self.session.resume_reading(self.now);
            }
            _ => self.session.handle_timeout(self.now),
        }
        Ok(())
    }

    /// Any bytes at all, perhaps behind what is left of a message.
    fn hear_raw(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let length = choices.int_in_range(0..=80)?.min(choices.len());
        self.buffer.extend_from_slice(choices.bytes(length)?);
        self.session.receive(self.now, &mut self.buffer);
        Ok(())
    }

    /// The peer's handshake, mostly a good one.
    fn greet(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let reserved = Reserved(choices.arbitrary()?);
        let usual = Reserved::FAST.with(Reserved::EXTENDED);
        let handshake = Handshake {
            reserved: *choices.choose(&[usual, Reserved::NONE, Reserved::EXTENDED, reserved])?,
            info_hash: if choices.ratio(1, 16)? { InfoHash(choices.arbitrary()?) } else { INFO_HASH },
            peer_id: PeerId([choices.int_in_range(1..=3)?; 20]),
        };
        if !self.greeted {
            self.greeted = true;
            self.chunks(&handshake.encode(), choices)?;
        }
        Ok(())
    }

    fn hear(&mut self, message: &Message, choices: &mut Unstructured<'_>) -> Result<()> {
        let mut bytes = BytesMut::new();
        message.encode(&mut bytes);
        self.chunks(&bytes, choices)
    }

    /// Sends `bytes` whole or in two parts, with other things between them.
    fn chunks(&mut self, bytes: &[u8], choices: &mut Unstructured<'_>) -> Result<()> {
        let cut = if choices.ratio(1, 4)? { choices.int_in_range(0..=bytes.len())? } else { 0 };
        self.buffer.extend_from_slice(&bytes[..cut]);
        if cut > 0 {
            self.session.receive(self.now, &mut self.buffer);
            self.observe();
        }
        self.buffer.extend_from_slice(&bytes[cut..]);
        self.session.receive(self.now, &mut self.buffer);
        Ok(())
    }

    /// Any message, mostly one that makes sense.
    fn message(&self, choices: &mut Unstructured<'_>) -> Result<Message> {
        let piece = choices.int_in_range(0..=self.geometry.pieces())?;
        Ok(match choices.int_in_range(0..=18)? {
            0 => Message::KeepAlive,
            1 => Message::Choke,
            2 | 3 => Message::Unchoke,
            4 => Message::Interested,
            5 => Message::NotInterested,
            6 => Message::Have(piece),
            7 => {
                let length = (self.geometry.pieces() as usize).div_ceil(8).min(choices.len());
                Message::Bitfield(Bytes::copy_from_slice(choices.bytes(length)?))
            }
            8 | 9 => Message::Request(raw(piece, choices)?),
            10 => Message::Piece { piece, begin: choices.arbitrary()?, payload: Bytes::from_static(b"abc") },
            11 => Message::Cancel(raw(piece, choices)?),
            12 => Message::Port(choices.arbitrary()?),
            13 => Message::Suggest(piece),
            14 => Message::HaveAll,
            15 => Message::HaveNone,
            16 => Message::Reject(raw(piece, choices)?),
            17 => Message::AllowedFast(piece),
            _ => {
                let depth: i16 = choices.arbitrary()?;
                let payload = format!("d1:md11:ut_metadatai3ee4:reqqi{depth}e11:upload_onlyi1ee");
                Message::Extended { id: choices.int_in_range(0..=2)?, payload: payload.into_bytes().into() }
            }
        })
    }

    /// The peer answers one of our requests.
    fn answer(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let nth = choices.int_in_range(0..=20)?;
        let reject = choices.ratio(1, 4)?;
        let Some(span) = self.asked.remove(nth) else { return Ok(()) };
        let payload = Bytes::from(vec![span.begin as u8; span.length as usize]);
        let block = Message::Piece { piece: span.piece.get(), begin: span.begin, payload };
        self.hear(&if reject { Message::Reject(span.into()) } else { block }, choices)
    }

    fn command(&self, choices: &mut Unstructured<'_>) -> Result<SessionCommand> {
        let pieces = |choices: &mut Unstructured<'_>| -> Result<Vec<PieceIndex>> {
            let (first, count) = (choices.int_in_range(0..=64)?, choices.int_in_range(0..=8)?);
            Ok(self.geometry.iter().skip(first).take(count).collect())
        };
        Ok(match choices.int_in_range(0..=8)? {
            0 => SessionCommand::Choke,
            1 | 2 => SessionCommand::Unchoke,
            3 => SessionCommand::Interested,
            4 => SessionCommand::NotInterested,
            5 => SessionCommand::Have(pieces(choices)?),
            6 => SessionCommand::AllowFast(pieces(choices)?),
            7 => SessionCommand::UploadOnly(choices.arbitrary()?),
            _ if choices.ratio(1, 16)? => SessionCommand::Close(CloseReason::new(Blame::Nobody, "enough")),
            _ => SessionCommand::Unchoke,
        })
    }

    /// The torrent assigns blocks: as many as it has credit for, and none that the session holds.
    fn assign(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let (from, count) = (choices.int_in_range(0..=64)?, choices.int_in_range(0..=80)?);
        let geometry = self.geometry;
        let blocks_of = |piece| (0..).map_while(move |number| geometry.block(piece, number));
        let free = geometry.iter().flat_map(blocks_of).filter(|span| !self.held.contains(span));
        let spans: Vec<_> = free.skip(from).take(count.min(self.credit as usize)).collect();
        self.credit -= spans.len() as u32;
        self.held.extend(&spans);
        self.session.handle(self.now, SessionCommand::Assign(spans));
        Ok(())
    }

    fn cancel(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let from = choices.int_in_range(0..=self.held.len())?;
        let end = choices.int_in_range(from..=self.held.len())?;
        let spans = self.held.drain(from..end).collect();
        self.session.handle(self.now, SessionCommand::Cancel(spans));
        Ok(())
    }

    /// The shell takes blocks to send, and is done with one of those that it took.
    fn upload(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        for _ in 0..choices.int_in_range(0..=4)? {
            let Some(span) = self.session.next_upload(self.now) else { break };
            assert!(self.session.has_piece(span.piece) && span.length <= BLOCK_LENGTH, "{span:?}");
            self.sending.push(span);
        }
        if !self.sending.is_empty() {
            let span = self.sending.remove(0);
            if choices.arbitrary()? {
                self.session.upload_sent(self.now, span);
            } else {
                self.session.upload_failed(self.now, span);
            }
        }
        Ok(())
    }

    /// Lets time pass, serving every deadline on the way.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.session.poll_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.session.handle_timeout(self.now);
            self.observe();
        }
        self.now = end;
    }

    /// Takes what the session did: every assigned block is with it, or is told of exactly once.
    fn observe(&mut self) {
        while let Some(effect) = self.session.poll_effect() {
            assert!(!self.closed, "nothing follows the end: {effect:?}");
            match effect {
                SessionEffect::Block { span, payload } => {
                    assert_eq!(span.length as usize, payload.len());
                    self.unaccounted.push(span);
                }
                SessionEffect::Event(event) => self.hear_of(event),
                SessionEffect::Close(reason) => {
                    assert_printable(&reason.why);
                    self.closed = true;
                }
            }
        }
        assert_eq!(self.closed, self.session.is_closed());
        assert!(self.unaccounted.is_empty(), "every block is accounted");
        self.session.assert_invariants();
        assert_eq!(
            self.held.len(),
            self.session.requests_outstanding() + self.session.requests_waiting(),
            "every block that is assigned is with the session"
        );
        self.read_output();
    }

    fn hear_of(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Wants(count) => self.credit += count,
            SessionEvent::Received(spans) => {
                assert_eq!(spans, std::mem::take(&mut self.unaccounted), "in the order in which they came");
                self.let_go(&spans);
            }
            SessionEvent::Released(spans) => self.let_go(&spans),
            SessionEvent::Closed(_) => self.held.clear(),
            SessionEvent::Extended { client, .. } => client.iter().for_each(assert_printable),
            SessionEvent::Bitfield(pieces) => assert_eq!(pieces.pieces(), self.geometry.pieces()),
            _ => {}
        }
    }

    fn let_go(&mut self, spans: &[BlockSpan]) {
        for span in spans {
            let place = self.held.iter().position(|held| held == span);
            self.held.swap_remove(place.expect("it was assigned and not told of before"));
        }
    }

    /// The peer reads what we sent: one handshake and whole messages that it can understand.
    fn read_output(&mut self) {
        let output = self.session.output();
        if let Ok(Some(handshake)) = Handshake::decode(output) {
            assert_eq!(handshake.info_hash, INFO_HASH);
            let _ = output.split_to(handshake.encode().len());
        }
        while let Some(message) = decode(output, self.rules).expect("we speak the protocol") {
            match message {
                Message::Request(raw) => self.asked.push_back(raw.mint(&self.geometry).expect("a block")),
                Message::Cancel(raw) => self.asked.retain(|span| RawSpan::from(*span) != raw),
                _ => {}
            }
        }
        assert!(output.is_empty(), "whole messages");
    }
}

/// Three integers that mostly name a block.
fn raw(piece: u32, choices: &mut Unstructured<'_>) -> Result<RawSpan> {
    if choices.ratio(1, 4)? {
        return Ok(RawSpan { piece, begin: choices.arbitrary()?, length: choices.arbitrary()? });
    }
    let begin = choices.int_in_range(0..=3)? * BLOCK_LENGTH;
    Ok(RawSpan { piece, begin, length: *choices.choose(&[BLOCK_LENGTH, 7_232, 500, 1])? })
}
