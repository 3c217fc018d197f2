//! Two sessions back to back in virtual time: bytes move at once, in chunks of any size.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use potluck_common::{Bitfield, BlockSpan, Duration, Geometry, Instant, Rng};

use super::config;
use crate::session::{
    CloseReason, Direction, Session, SessionCommand, SessionConfig, SessionEffect, SessionEvent,
};

/// One side: a session and what its shell and its torrent would have seen.
pub(super) struct Side {
    pub(super) session: Session,
    /// Bytes on their way to it.
    wire: BytesMut,
    buffer: BytesMut,
    pub(super) events: Vec<SessionEvent>,
    pub(super) blocks: Vec<BlockSpan>,
    pub(super) closed: Option<CloseReason>,
    /// Blocks that its torrent wants, assigned as credit comes.
    pub(super) wanted: VecDeque<BlockSpan>,
    credit: u32,
    pub(super) uploading: bool,
    /// Whether to take the announcement of BEP 6 out of the handshake that it writes.
    strip_fast: bool,
}

pub(super) struct Pair {
    pub(super) out: Side,
    pub(super) inc: Side,
    pub(super) now: Instant,
    rng: Rng,
    /// Largest chunk in which bytes arrive.
    chunk_max: u32,
}

/// The payload of a block: the same for everybody, different for every block.
pub(super) fn payload_of(span: BlockSpan) -> Bytes {
    let seed = u64::from(span.piece.get()) << 32 | u64::from(span.begin);
    let mut payload = vec![0; span.length as usize];
    Rng::new(seed).fill(&mut payload);
    payload.into()
}

impl Side {
    fn new(config: SessionConfig, have: &Bitfield, now: Instant) -> Self {
        Self {
            session: Session::new(config, have, now),
            wire: BytesMut::new(),
            buffer: BytesMut::new(),
            events: Vec::new(),
            blocks: Vec::new(),
            closed: None,
            wanted: VecDeque::new(),
            credit: 0,
            uploading: true,
            strip_fast: false,
        }
    }

    /// Does what the shell does after each step, and what a simple torrent does with credit.
    fn work(&mut self, now: Instant) {
        self.session.assert_invariants();
        let mut unaccounted: Vec<BlockSpan> = Vec::new();
        while let Some(effect) = self.session.poll_effect() {
            assert_eq!(self.closed, None, "nothing follows the close");
            match effect {
                SessionEffect::Block { span, payload } => {
                    assert_eq!(payload, payload_of(span));
                    unaccounted.push(span);
                }
                SessionEffect::Event(event) => {
                    if let SessionEvent::Received(spans) = &event {
                        assert_eq!(*spans, unaccounted, "accounted in order, after the blocks");
                        self.blocks.append(&mut unaccounted);
                    }
                    self.on_event(event);
                }
                SessionEffect::Close(reason) => {
                    assert_eq!(self.events.last(), Some(&SessionEvent::Closed(reason.clone())));
                    self.closed = Some(reason);
                }
            }
        }
        assert!(unaccounted.is_empty());
        self.assign(now);
    }

    fn on_event(&mut self, event: SessionEvent) {
        match &event {
            SessionEvent::Wants(credit) => self.credit += credit,
            SessionEvent::Released(spans) => self.wanted.extend(spans),
            _ => {}
        }
        self.events.push(event);
    }

    fn assign(&mut self, now: Instant) {
        if self.session.remote_choking() || self.credit == 0 || self.wanted.is_empty() {
            return;
        }
        let count = self.wanted.len().min(self.credit as usize);
        self.credit -= count as u32;
        let spans = self.wanted.drain(..count).collect();
        self.session.handle(now, SessionCommand::Assign(spans));
    }

    /// What it writes to its socket: output first, then blocks.
    fn write(&mut self, now: Instant) -> BytesMut {
        let mut bytes = self.session.output().split();
        if self.strip_fast && !bytes.is_empty() {
            bytes[27] &= !0x04;
            self.strip_fast = false;
        }
        while self.uploading
            && let Some(span) = self.session.next_upload(now)
        {
            bytes.extend_from_slice(&Session::piece_header(span));
            bytes.extend_from_slice(&payload_of(span));
            self.session.upload_sent(now, span);
        }
        bytes
    }

    pub(super) fn count(&self, wanted: impl Fn(&SessionEvent) -> bool) -> usize {
        self.events.iter().filter(|event| wanted(event)).count()
    }

    pub(super) fn uploaded(&self) -> u64 {
        let uploaded =
            |event: &SessionEvent| if let SessionEvent::Uploaded(bytes) = event { *bytes } else { 0 };
        self.events.iter().map(uploaded).sum()
    }
}

impl Pair {
    /// A dialler that has `out` and a listener that has `inc`.
    pub(super) fn new(geometry: Geometry, out: &Bitfield, inc: &Bitfield) -> Self {
        Self::with(geometry, [out, inc], |_, _| {})
    }

    /// The same of other settings, changed for each side by its direction.
    pub(super) fn with(
        geometry: Geometry,
        [out, inc]: [&Bitfield; 2],
        change: impl Fn(Direction, &mut SessionConfig),
    ) -> Self {
        let now = Instant::from_secs(1_000);
        let config = |direction| {
            let mut config = config(geometry, direction);
            change(direction, &mut config);
            config
        };
        Self {
            out: Side::new(config(Direction::Outgoing), out, now),
            inc: Side::new(config(Direction::Incoming), inc, now),
            now,
            rng: Rng::new(1),
            chunk_max: 64 * 1024,
        }
    }

    pub(super) fn with_chunks(mut self, seed: u64, chunk_max: u32) -> Self {
        self.rng = Rng::new(seed);
        self.chunk_max = chunk_max;
        self
    }

    /// Takes the announcement of BEP 6 out of both handshakes on their way.
    pub(super) fn without_fast(mut self) -> Self {
        for side in [&mut self.out, &mut self.inc] {
            side.strip_fast = true;
        }
        self
    }

    /// Moves bytes until neither side has anything to say.
    pub(super) fn run(&mut self) {
        let now = self.now;
        loop {
            self.out.work(now);
            self.inc.work(now);
            let (there, back) = (self.out.write(now), self.inc.write(now));
            self.inc.wire.unsplit(there);
            self.out.wire.unsplit(back);
            let moved = self.deliver(true) | self.deliver(false);
            if !moved && self.out.session.output().is_empty() && self.inc.session.output().is_empty() {
                self.out.work(now);
                self.inc.work(now);
                return;
            }
        }
    }

    fn deliver(&mut self, to_out: bool) -> bool {
        let side = if to_out { &mut self.out } else { &mut self.inc };
        if side.wire.is_empty() || side.session.is_closed() {
            return false;
        }
        let length = (1 + self.rng.below(self.chunk_max) as usize).min(side.wire.len());
        let chunk = side.wire.split_to(length);
        side.buffer.extend_from_slice(&chunk);
        side.session.receive(self.now, &mut side.buffer);
        true
    }

    /// Lets time pass, serving every deadline on the way.
    pub(super) fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.run();
            let next =
                [&self.out, &self.inc].into_iter().filter_map(|side| side.session.poll_timeout()).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            self.out.session.handle_timeout(self.now);
            self.inc.session.handle_timeout(self.now);
        }
        self.now = end;
    }

    pub(super) fn command_out(&mut self, command: SessionCommand) {
        self.out.session.handle(self.now, command);
        self.run();
    }

    pub(super) fn command_inc(&mut self, command: SessionCommand) {
        self.inc.session.handle(self.now, command);
        self.run();
    }
}
