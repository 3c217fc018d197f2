//! One connection to one peer, as a pure machine (BEP 3, 6, 10, 21).
//!
//! A session runs in its socket's task. The torrent's task hears of it only through [`SessionEvent`]s (ids, counts
//! and sets, never payload) and steers it through [`SessionCommand`]s.
//!
//! # Driving it
//!
//! After any call that takes `now`, drain [`Session::poll_effect`] until `None`, take [`Session::output`] and write
//! it, and ask [`Session::poll_timeout`] for the next deadline. What is written besides are blocks: pop one with
//! [`Session::next_upload`], write [`Session::piece_header`] and the payload, and report [`Session::upload_sent`] or
//! [`Session::upload_failed`]. Output goes first: a REJECT in it may concern a request that the peer still counts on. When
//! all that was to be written is, [`Session::next_metadata`] adds a piece of the metadata to the output, if the peer waits for
//! one.
//!
//! The session bounds what it keeps, but not the output: a peer that sends requests and reads nothing makes answers
//! pile up there. So the shell stops reading while `output().len()` is above [`OUTPUT_BYTES_MAX`]. The peer's
//! deadlines then run on. They stop only when the shell does not read for a reason of its own (a rate limit, a slow
//! disk), which it says with [`Session::pause_reading`].
//!
//! [`SessionEvent::Closed`] also releases every block that is still assigned; no [`SessionEvent::Released`] precedes it.

mod before;
mod commands;
mod config;
mod deadlines;
mod depth;
mod event;
mod fault;
mod messages;
mod metadata;
mod opening;
mod requests;
mod timers;
mod uploads;
mod view;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};

use bytes::{Bytes, BytesMut};
use potluck_common::{
    Bitfield, BlockSpan, Instant, PieceIndex,
    wire::{self, Message, PIECE_HEADER_BYTES, Rules},
};

pub use before::{MetadataCommand, MetadataEvent, MetadataSession, MetadataSessionConfig};
pub use config::{Direction, Extensions, SessionConfig};
pub use event::{Blame, CloseReason, SessionCommand, SessionEvent};

use config::{EFFECTS_KEPT, HANDSHAKE_TIME_MAX, KEEP_ALIVE_INTERVAL, REQUEST_TIME_MAX, SNUB_TIME};
use fault::PeerFault;
use metadata::Serving;
use requests::Requests;
use timers::{Timer, Timers};
use uploads::Uploads;

/// Unsent output above which the shell stops reading from the peer, in bytes.
pub const OUTPUT_BYTES_MAX: usize = 256 * 1024;

/// What the shell must do.
#[derive(Clone, PartialEq, Debug)]
pub enum SessionEffect {
    /// A requested block came: put it into the piece. It is accounted in a later [`SessionEvent::Received`]. The
    /// payload is a view into the receive buffer: let go of it soon, so that the buffer's memory can be used again.
    Block {
        /// The block.
        span: BlockSpan,
        /// Its bytes, as many as the span says.
        payload: Bytes,
    },
    /// Tell the torrent.
    Event(SessionEvent),
    /// Close the connection. Nothing follows, and [`SessionEvent::Closed`] came before.
    Close(CloseReason),
}

/// How far a session has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Incoming, and nothing was sent: the peer has not named the torrent yet.
    Silent,
    /// Our handshake is sent and the peer's is not complete.
    Greeted,
    /// Messages flow.
    Open,
    /// Over.
    Closed,
}

/// How often the peer did what is tolerated only a few times.
#[derive(Clone, Default, Debug)]
struct Conduct {
    unasked_blocks: u32,
    unasked_rejects: u32,
    /// Since the last block or change of choking.
    rejects_in_a_row: u32,
    invalid_requests: u32,
    /// Since a block was last sent.
    overflowing_requests: u32,
    /// Since we choked the peer.
    choked_requests: u32,
    invalid_metadata: u32,
    wholesale_changes: u32,
    /// Changes of choke, interest or bitfield since `flips_since`.
    flips: u32,
    flips_since: Instant,
    /// Extended handshakes since `handshakes_since`.
    handshakes: u32,
    handshakes_since: Instant,
}

/// The machine; see the module's documentation.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    rules: Rules,
    phase: Phase,
    /// Both sides speak the fast extension (BEP 6).
    fast: bool,
    /// Both sides speak the extension protocol (BEP 10).
    extended: bool,

    /// Our pieces.
    have: Bitfield,
    /// The peer's pieces.
    remote_have: Bitfield,
    /// Whether a BITFIELD, HAVE ALL or HAVE NONE came.
    remote_have_known: bool,
    /// Pieces that we may request while choked (BEP 6). At most `PIECES_OFFERED_MAX`.
    remote_allows: BTreeSet<PieceIndex>,
    /// Pieces that the peer suggested (BEP 6). At most `PIECES_OFFERED_MAX`.
    remote_suggests: BTreeSet<PieceIndex>,
    /// The id under which the peer wants to receive peer exchange; 0 is not at all.
    remote_pex_id: u8,
    /// The id under which the peer wants to receive metadata; 0 is not at all.
    remote_metadata_id: u8,
    /// The peer's requests for metadata, from the first on.
    serving: Option<Box<Serving>>,
    /// A [`MetadataSession`] opened the connection, and told what there is to tell at the opening.
    is_continued: bool,
    /// What the peer last said about itself (BEP 21).
    remote_upload_only: bool,

    am_choking: bool,
    /// The peer's share of a saturated uplink, in hundredths of an ordinary one.
    weight_percent: u8,
    am_interested: bool,
    remote_choking: bool,
    remote_interested: bool,
    /// When we last choked the peer, if ever.
    choked_at: Option<Instant>,

    requests: Requests,
    uploads: Uploads,
    conduct: Conduct,
    timers: Timers,
    /// How much of the message under way was there when its deadline was set, in bytes.
    partial: usize,

    output: BytesMut,
    effects: VecDeque<SessionEffect>,
    /// Blocks handed to the shell and not yet accounted.
    received: Vec<BlockSpan>,
    /// Payload bytes sent and not yet accounted.
    uploaded: u64,
    /// Payload bytes that came in vain: late or never asked for.
    wasted: u64,
}

impl Session {
    /// A session on a connection that was established at `now`, for a torrent of which we have the pieces `have`.
    pub fn new(config: SessionConfig, have: &Bitfield, now: Instant) -> Self {
        let mut session = Self::silent(config, have, now);
        if session.config.direction == Direction::Outgoing {
            session.greet();
        }
        session
    }

    /// A session that goes on where a [`MetadataSession`] of the same connection ended: the first bytes that it
    /// [receives](Session::receive) are those of [`MetadataSession::hand_over`]. The peer was told that we have nothing,
    /// and hears of what we have as of pieces that came since.
    pub fn continued(config: SessionConfig, have: &Bitfield, now: Instant) -> Self {
        let mut session = Self::silent(config, have, now);
        session.phase = Phase::Greeted;
        session.is_continued = true;
        session
    }

    fn silent(config: SessionConfig, have: &Bitfield, now: Instant) -> Self {
        let pieces = config.geometry.pieces();
        assert_eq!(have.pieces(), pieces, "our pieces are those of the torrent");
        let mut session = Self {
            rules: Rules::of(&config.geometry),
            phase: Phase::Silent,
            fast: false,
            extended: false,
            have: have.clone(),
            remote_have: Bitfield::empty(pieces),
            remote_have_known: false,
            remote_allows: BTreeSet::new(),
            remote_suggests: BTreeSet::new(),
            remote_pex_id: 0,
            remote_metadata_id: 0,
            serving: None,
            is_continued: false,
            remote_upload_only: false,
            am_choking: true,
            weight_percent: 100,
            am_interested: false,
            remote_choking: true,
            remote_interested: false,
            choked_at: None,
            requests: Requests::default(),
            uploads: Uploads::default(),
            conduct: Conduct::default(),
            timers: Timers::default(),
            partial: 0,
            output: BytesMut::new(),
            effects: VecDeque::new(),
            received: Vec::new(),
            uploaded: 0,
            wasted: 0,
            config,
        };
        session.timers.set(Timer::Handshake, now + HANDSHAKE_TIME_MAX);
        session
    }

    /// Consumes every complete message in `buffer` and leaves a partial one. The buffer of an incoming connection
    /// still begins with the peer's handshake.
    ///
    /// Every [`SessionEffect::Block`] of the call comes before the [`SessionEvent::Received`] that accounts it.
    pub fn receive(&mut self, now: Instant, buffer: &mut BytesMut) {
        let outcome = self.receive_all(now, buffer);
        self.settle(now, outcome);
    }

    fn receive_all(&mut self, now: Instant, buffer: &mut BytesMut) -> Result<(), PeerFault> {
        if matches!(self.phase, Phase::Silent | Phase::Greeted) && !self.open(now, buffer)? {
            return Ok(());
        }
        let mut complete = false;
        while self.phase == Phase::Open {
            let Some(message) = wire::decode(buffer, self.rules)? else { break };
            complete = true;
            self.on_message(now, message)?;
        }
        self.watch_progress(now, complete, buffer.len());
        Ok(())
    }

    /// Takes a command of the torrent.
    pub fn handle(&mut self, now: Instant, command: SessionCommand) {
        if self.phase != Phase::Closed {
            self.on_command(now, command);
            self.settle(now, Ok(()));
        }
    }

    /// What to do next; call until `None`.
    pub fn poll_effect(&mut self) -> Option<SessionEffect> {
        if self.effects.is_empty() {
            self.account_uploads();
        }
        let effect = self.effects.pop_front();
        if effect.is_none() && self.effects.capacity() > EFFECTS_KEPT {
            // A peer's burst of small messages is over: its memory is not kept for the life of the connection.
            self.effects = VecDeque::new();
        }
        effect
    }

    /// The control bytes to write next (handshake and messages, but no blocks). The shell takes what it writes.
    pub fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// Pops the next block to send to the peer. While it is choked these are allowed-fast ones only.
    pub fn next_upload(&mut self, now: Instant) -> Option<BlockSpan> {
        let span = self.uploads.pop()?;
        self.timers.set(Timer::KeepAlive, now + KEEP_ALIVE_INTERVAL);
        Some(span)
    }

    /// The bytes that precede the payload of `span` on the wire.
    pub fn piece_header(span: BlockSpan) -> [u8; PIECE_HEADER_BYTES] {
        wire::piece_header(span)
    }

    /// The shell wrote the header and the payload of `span`.
    pub fn upload_sent(&mut self, now: Instant, span: BlockSpan) {
        if self.phase == Phase::Open {
            self.uploaded += u64::from(span.length);
            self.conduct.overflowing_requests = 0;
            self.timers.set(Timer::KeepAlive, now + KEEP_ALIVE_INTERVAL);
        }
    }

    /// The shell cannot send `span`, because it cannot read it.
    pub fn upload_failed(&mut self, now: Instant, span: BlockSpan) {
        if self.phase == Phase::Open {
            self.reject(now, span.into());
        }
    }

    /// Ends a step: closes after a fault, else sends what can be requested and asks for more.
    fn settle(&mut self, now: Instant, outcome: Result<(), PeerFault>) {
        if let Err(fault) = outcome {
            self.close_after(fault);
        }
        if self.phase == Phase::Open {
            self.send_requests(now);
        }
        self.account_blocks();
        if self.phase == Phase::Open {
            if let Some(round_trip) = self.requests.estimate().report(now) {
                self.emit(SessionEvent::RoundTrip(round_trip));
            }
            let grant = self.requests.grant();
            if grant > 0 {
                self.emit(SessionEvent::Wants(grant));
            }
        }
    }

    /// Requests what the depth allows, and watches over the answers.
    fn send_requests(&mut self, now: Instant) {
        self.requests.estimate().update();
        while let Some(span) = self.requests.give_up_overtaken(now) {
            self.send(now, &Message::Cancel(span.into()));
            self.release(vec![span]);
        }
        while let Some(span) = self.requests.next_to_send(now) {
            self.send(now, &Message::Request(span.into()));
        }
        if self.requests.outstanding() == 0 {
            self.timers.clear(Timer::Block);
        } else if !self.timers.is_set(Timer::Block) {
            let patience = if self.requests.is_snubbed() { REQUEST_TIME_MAX } else { SNUB_TIME };
            self.timers.set(Timer::Block, now + patience);
        }
    }

    fn send(&mut self, now: Instant, message: &Message) {
        message.encode(&mut self.output);
        self.timers.set(Timer::KeepAlive, now + KEEP_ALIVE_INTERVAL);
    }

    /// Queues an event behind the account of the blocks before it.
    fn emit(&mut self, event: SessionEvent) {
        self.account_blocks();
        self.effects.push_back(SessionEffect::Event(event));
    }

    /// Gives blocks back, together with those given back just before: a choke makes rejects come by the hundred.
    fn release(&mut self, mut spans: Vec<BlockSpan>) {
        self.account_blocks();
        match self.effects.back_mut() {
            Some(SessionEffect::Event(SessionEvent::Released(last))) => last.append(&mut spans),
            _ if spans.is_empty() => {}
            _ => self.emit(SessionEvent::Released(spans)),
        }
    }

    fn account_blocks(&mut self) {
        if !self.received.is_empty() {
            let received = std::mem::take(&mut self.received);
            self.effects.push_back(SessionEffect::Event(SessionEvent::Received(received)));
        }
    }

    fn account_uploads(&mut self) {
        if self.uploaded > 0 {
            let uploaded = std::mem::take(&mut self.uploaded);
            self.effects.push_back(SessionEffect::Event(SessionEvent::Uploaded(uploaded)));
        }
    }

    /// Ends the session for the peer's fault.
    fn close_after(&mut self, fault: PeerFault) {
        let last_words = fault.last_words(&mut self.output);
        self.close(fault.into());
        self.output = last_words;
    }

    fn close(&mut self, reason: CloseReason) {
        if self.phase == Phase::Closed {
            return;
        }
        self.phase = Phase::Closed;
        self.account_blocks();
        self.account_uploads();
        self.effects.push_back(SessionEffect::Event(SessionEvent::Closed(reason.clone())));
        self.effects.push_back(SessionEffect::Close(reason));
        self.timers.clear_all();
        self.requests.clear();
        self.uploads.clear();
        self.serving = None;
        self.output.clear();
    }
}
