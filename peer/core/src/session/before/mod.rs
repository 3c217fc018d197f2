//! One connection of a torrent of which only the info-hash is known: it fetches metadata, and hears of other peers (BEP 9,
//! 10, 11, 5).
//!
//! It keeps the deadlines and bounds of a [`Session`](super::Session), and speaks as one that has nothing and wants nothing.
//! What the peer says of its pieces cannot be judged yet and is written down, so that a [`Session`](super::Session) can go on
//! with the same connection when the metadata is there ([`MetadataSession::hand_over`]).
//!
//! After any call that takes `now`, drain [`MetadataSession::poll_event`] until `None`, take
//! [`MetadataSession::output`] and write it, and ask [`MetadataSession::poll_timeout`] for the next deadline.

mod event;
mod messages;
mod record;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, net::SocketAddr};

use bytes::BytesMut;
use potluck_common::{
    InfoHash, Instant, PeerId,
    wire::{self, ExtendedHandshake, Message, MetadataMessage, Reserved, Rules, UT_METADATA},
};

pub use self::event::{MetadataCommand, MetadataEvent};
use self::{messages::Conduct, record::Record};
use super::{
    Direction, Extensions, Phase,
    config::{HANDSHAKE_TIME_MAX, KEEP_ALIVE_INTERVAL, METADATA_ID, PEX_ID, PEX_NAME},
    event::{Blame, CloseReason},
    fault::PeerFault,
    opening::{Heard, hear, our_handshake},
    timers::{Timer, Timers},
};

/// What such a session needs to know when its connection is established.
#[derive(Clone, Debug)]
pub struct MetadataSessionConfig {
    /// The torrent.
    pub info_hash: InfoHash,
    /// Our own id.
    pub peer_id: PeerId,
    /// Who opened the connection.
    pub direction: Direction,
    /// The peer's address; it is told to the peer as `yourip` (BEP 10).
    pub remote: SocketAddr,
    /// The port that we listen on, told to the peer as `p` (BEP 10).
    pub listen_port: Option<u16>,
    /// Our name and version, told to the peer as `v` (BEP 10).
    pub client: &'static str,
    /// What we offer. (Metadata we have none.)
    pub extensions: Extensions,
}

/// The machine; see the [module](self).
#[derive(Debug)]
pub struct MetadataSession {
    config: MetadataSessionConfig,
    phase: Phase,
    /// Both sides speak the fast extension (BEP 6).
    fast: bool,
    /// The id under which the peer wants to receive messages about metadata; 0 is not at all.
    remote_metadata_id: u8,
    timers: Timers,
    /// How much of the message under way was there when its deadline was set, in bytes.
    partial: usize,
    conduct: Conduct,
    record: Record,
    output: BytesMut,
    events: VecDeque<MetadataEvent>,
}

impl MetadataSession {
    /// A session on a connection that was established at `now`.
    pub fn new(config: MetadataSessionConfig, now: Instant) -> Self {
        let mut session = Self {
            config,
            phase: Phase::Silent,
            fast: false,
            remote_metadata_id: 0,
            timers: Timers::default(),
            partial: 0,
            conduct: Conduct::default(),
            record: Record::default(),
            output: BytesMut::new(),
            events: VecDeque::new(),
        };
        session.timers.set(Timer::Handshake, now + HANDSHAKE_TIME_MAX);
        if session.config.direction == Direction::Outgoing {
            session.greet();
        }
        session
    }

    /// Consumes every complete message in `buffer` and leaves a partial one. The buffer of an incoming connection
    /// still begins with the peer's handshake.
    pub fn receive(&mut self, now: Instant, buffer: &mut BytesMut) {
        if let Err(fault) = self.receive_all(now, buffer) {
            self.close_after(fault);
        }
    }

    fn receive_all(&mut self, now: Instant, buffer: &mut BytesMut) -> Result<(), PeerFault> {
        if matches!(self.phase, Phase::Silent | Phase::Greeted) && !self.open(now, buffer)? {
            return Ok(());
        }
        let mut complete = false;
        while self.phase == Phase::Open {
            let Some(message) = wire::decode(buffer, Rules::BEFORE_METADATA)? else { break };
            complete = true;
            self.on_message(now, message)?;
        }
        self.watch_progress(now, complete, buffer.len());
        Ok(())
    }

    /// Takes a command.
    pub fn handle(&mut self, now: Instant, command: MetadataCommand) {
        match command {
            MetadataCommand::Ask(piece) if self.phase == Phase::Open && self.remote_metadata_id != 0 => {
                let payload = MetadataMessage::Request(piece).encode().into();
                self.send(now, &Message::Extended { id: self.remote_metadata_id, payload });
            }
            MetadataCommand::Ask(_) => {}
            MetadataCommand::Close(reason) => self.close(reason),
        }
    }

    /// Acts on the deadlines that have come.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.expired(now) {
            match timer {
                Timer::Handshake => self.close_after(PeerFault::HandshakeTime),
                Timer::Message => self.close_after(PeerFault::MessageTime),
                Timer::Idle => self.close(CloseReason::new(Blame::Nobody, "said nothing for two minutes")),
                Timer::KeepAlive if self.output.is_empty() => self.send(now, &Message::KeepAlive),
                // What waits to be written will do.
                Timer::KeepAlive => self.timers.set(Timer::KeepAlive, now + KEEP_ALIVE_INTERVAL),
                // No block is ever requested.
                Timer::Block => {}
            }
        }
    }

    /// The next deadline.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// What happened; call until `None`.
    pub fn poll_event(&mut self) -> Option<MetadataEvent> {
        self.events.pop_front()
    }

    /// The bytes to write next. The shell takes what it writes.
    pub fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// Whether the session is over; events may still wait.
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Ends the session without a word, so that a [`Session`](super::Session) goes on with the connection. It must receive these
    /// bytes first, and then what is left in the buffer. `None` if that cannot be: the connection is not open, something
    /// still waits to be written, or the peer said more than was written down.
    pub fn hand_over(&mut self) -> Option<BytesMut> {
        if self.phase != Phase::Open || !self.output.is_empty() {
            return None;
        }
        let replay = self.record.replay()?;
        self.phase = Phase::Closed;
        self.timers.clear_all();
        Some(replay)
    }

    /// Sends our handshake.
    fn greet(&mut self) {
        let has_node = self.config.extensions.dht_port.is_some();
        let handshake = our_handshake(self.config.info_hash, self.config.peer_id, has_node);
        self.output.extend_from_slice(&handshake.encode());
        self.phase = Phase::Greeted;
    }

    /// Reads the peer's handshake off `buffer`; false while it is incomplete.
    fn open(&mut self, now: Instant, buffer: &mut BytesMut) -> Result<bool, PeerFault> {
        let heard = hear(buffer, self.config.info_hash)?;
        if self.phase == Phase::Silent && !matches!(heard, Heard::Nothing) {
            self.greet();
        }
        let Heard::All(handshake) = heard else { return Ok(false) };
        self.fast = handshake.reserved.has(Reserved::FAST);
        let extended = handshake.reserved.has(Reserved::EXTENDED);
        self.events.push_back(MetadataEvent::Handshaken { peer_id: handshake.peer_id, extended });
        if handshake.peer_id == self.config.peer_id {
            return Err(PeerFault::Ourselves);
        }
        self.record.opened(&handshake);
        self.phase = Phase::Open;
        self.timers.clear(Timer::Handshake);
        if self.fast {
            self.send(now, &Message::HaveNone);
        }
        if extended {
            self.send_extended_handshake(now);
        }
        if let Some(port) = self.config.extensions.dht_port.filter(|_| handshake.reserved.has(Reserved::DHT))
        {
            self.send(now, &Message::Port(port));
        }
        Ok(true)
    }

    fn send_extended_handshake(&mut self, now: Instant) {
        let pex = self.config.extensions.pex.then(|| (PEX_NAME.to_owned(), PEX_ID));
        let metadata = (UT_METADATA.to_owned(), METADATA_ID);
        let handshake = ExtendedHandshake {
            extensions: pex.into_iter().chain([metadata]).collect(),
            listen_port: self.config.listen_port,
            client: Some(self.config.client.into()),
            your_ip: Some(self.config.remote.ip().to_canonical()),
            request_queue: Some(potluck_common::limits::REQUEST_QUEUE_MAX),
            ..ExtendedHandshake::default()
        };
        self.send(now, &Message::Extended { id: 0, payload: handshake.encode().into() });
    }

    fn send(&mut self, now: Instant, message: &Message) {
        message.encode(&mut self.output);
        self.timers.set(Timer::KeepAlive, now + KEEP_ALIVE_INTERVAL);
    }

    /// The same two deadlines of silence as those of a [`Session`](super::Session).
    fn watch_progress(&mut self, now: Instant, complete: bool, partial: usize) {
        if self.phase == Phase::Open {
            self.partial = self.timers.watch_progress(now, complete, partial, self.partial);
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
        self.events.push_back(MetadataEvent::Closed(reason));
        self.timers.clear_all();
        self.output.clear();
    }

    /// Checks what must always hold between two calls.
    ///
    /// # Panics
    /// When something does not hold, which is a defect here.
    pub fn assert_invariants(&self) {
        self.timers.assert_fit(self.phase);
        assert!(self.phase != Phase::Silent || self.output.is_empty(), "strangers are sent nothing");
        self.record.assert_invariants();
    }
}
