//! A peer written by hand, which says what a trial wants it to say.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use potluck_common::wire::{self, HANDSHAKE_BYTES, Handshake, Message, RawSpan, Reserved, Rules};
use potluck_common::{Geometry, InfoHash, PeerId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use super::{ensure, within};
use crate::support::Outcome;

/// Seconds that any answer may take.
const PATIENCE: u64 = 20;

/// What is at once on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(5);

/// When a side that does not read any more is taken to be so.
const STUCK: Duration = Duration::from_secs(2);

/// Bytes that the system keeps for a peer that does not read.
const RECEIVE_BUFFER: u32 = 32 * 1024;

/// The extensions that a peer speaks unless a trial says otherwise.
pub(super) const FAST: Reserved = Reserved::FAST.with(Reserved::EXTENDED);

/// A peer id that no other peer has.
pub(super) fn new_id() -> PeerId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut id = *b"-HO0001-000000000000";
    id[8..].copy_from_slice(format!("{:012}", NEXT.fetch_add(1, Ordering::Relaxed)).as_bytes());
    PeerId(id)
}

/// One end of a connection.
pub(super) struct RawPeer {
    pub(super) stream: TcpStream,
    received: BytesMut,
    rules: Rules,
}

impl RawPeer {
    /// A connection on which nothing was said.
    pub(super) async fn connect(to: SocketAddr) -> Outcome<Self> {
        let connect = async {
            let socket = TcpSocket::new_v4()?;
            // Small, so that what is not read soon fills the engine's side.
            socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
            Ok(socket.connect(to).await?)
        };
        Ok(Self::over(within(PATIENCE, "the engine accepts", connect).await?))
    }

    /// The next connection that the engine opens to `listener`.
    pub(super) async fn accept(listener: &TcpListener) -> Outcome<Self> {
        let accept = async { Ok(listener.accept().await?.0) };
        Ok(Self::over(within(PATIENCE, "the engine dials", accept).await?))
    }

    /// The end of this connection.
    pub(super) fn over(stream: TcpStream) -> Self {
        let _unimportant = stream.set_nodelay(true);
        let rules = Rules { bitfield_bytes: 0, bitfield_is_exact: true, extended_bytes_max: 1024 * 1024 };
        Self { stream, received: BytesMut::new(), rules }
    }

    /// Connects, and both sides say their handshakes.
    pub(super) async fn greet(
        to: SocketAddr,
        info_hash: InfoHash,
        peer_id: PeerId,
        reserved: Reserved,
    ) -> Outcome<Self> {
        let mut peer = Self::connect(to).await?;
        peer.send(&Handshake { reserved, info_hash, peer_id }.encode()).await?;
        peer.hear_handshake().await?;
        Ok(peer)
    }

    /// Reads the engine's handshake.
    pub(super) async fn hear_handshake(&mut self) -> Outcome<Handshake> {
        let hear = async {
            while self.received.len() < HANDSHAKE_BYTES {
                self.read_some().await?;
            }
            let bytes = self.received.split_to(HANDSHAKE_BYTES);
            Handshake::decode(&bytes)?.ok_or_else(|| "an incomplete handshake".into())
        };
        within(PATIENCE, "the engine's handshake", hear).await
    }

    /// Expects the engine's bitfield to be of this torrent.
    pub(super) fn knowing(mut self, geometry: &Geometry) -> Self {
        self.rules.bitfield_bytes = Rules::of(geometry).bitfield_bytes;
        self
    }

    async fn read_some(&mut self) -> Outcome {
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err("the engine closed the connection".into()),
            _ => Ok(()),
        }
    }

    /// Says these bytes.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Outcome {
        let send = async { Ok(self.stream.write_all(bytes).await?) };
        within(PATIENCE, "the engine reads", send).await
    }

    /// Says these messages.
    pub(super) async fn say(&mut self, messages: &[Message]) -> Outcome {
        let bytes = encode(messages);
        self.send(&bytes).await
    }

    /// Says what the engine takes of `messages` and reads nothing; it may hang up, or stop reading. In small parts, so
    /// that the flood needs no memory of its own.
    pub(super) async fn flood(&mut self, messages: impl Iterator<Item = Message>) {
        let mut messages = messages.peekable();
        let mut part = BytesMut::new();
        while messages.peek().is_some() {
            messages.by_ref().take(200).for_each(|message| message.encode(&mut part));
            match timeout(STUCK, self.stream.write_all(&part)).await {
                Ok(Ok(())) => part.clear(),
                _ => return,
            }
        }
    }

    /// Says these messages to somebody who may hang up meanwhile.
    pub(super) async fn say_in_vain(&mut self, messages: &[Message]) {
        let _closed = self.say(messages).await;
    }

    /// The next message.
    pub(super) async fn hear(&mut self) -> Outcome<Message> {
        let hear = async {
            loop {
                if let Some(message) = wire::decode(&mut self.received, self.rules)? {
                    return Ok(message);
                }
                self.read_some().await?;
            }
        };
        within(PATIENCE, "a message of the engine", hear).await
    }

    /// What `wanted` makes of the first message that it wants; the others are dropped.
    pub(super) async fn hear_until<T>(
        &mut self,
        mut wanted: impl FnMut(&Message) -> Option<T>,
    ) -> Outcome<T> {
        loop {
            if let Some(answer) = wanted(&self.hear().await?) {
                return Ok(answer);
            }
        }
    }

    /// Waits until this message comes; others are dropped.
    pub(super) async fn hear_this(&mut self, message: &Message) -> Outcome {
        self.hear_until(|heard| (heard == message).then_some(())).await
    }

    /// Waits for the next request of the engine.
    pub(super) async fn hear_request(&mut self) -> Outcome<RawSpan> {
        let request = |message: &Message| match message {
            Message::Request(span) => Some(*span),
            _ => None,
        };
        self.hear_until(request).await
    }

    /// Whether the engine closes the connection within `patience`. What it says until then is kept.
    pub(super) async fn ends_within(&mut self, patience: Duration) -> bool {
        // With bytes of ours unread, the system resets the connection instead of ending it.
        let end = async { while matches!(self.stream.read_buf(&mut self.received).await, Ok(1..)) {} };
        timeout(patience, end).await.is_ok()
    }

    /// Bytes that came and that no message was made of yet.
    pub(super) fn unread(&self) -> usize {
        self.received.len()
    }

    /// The messages among what came already.
    pub(super) fn heard(&mut self) -> Outcome<Vec<Message>> {
        let mut messages = Vec::new();
        while let Some(message) = wire::decode(&mut self.received, self.rules)? {
            messages.push(message);
        }
        Ok(messages)
    }

    /// An error unless the engine closes the connection at once, which on a busy machine is five seconds: well
    /// before any of its deadlines.
    pub(super) async fn ends_at_once(&mut self, why: &str) -> Outcome {
        ensure(self.ends_within(AT_ONCE).await, || format!("still open although it {why}"))
    }

    /// An error unless the engine still listens: it answers `question` with a message that `wanted` accepts.
    pub(super) async fn still_answers(
        &mut self,
        question: &[Message],
        mut wanted: impl FnMut(&Message) -> bool,
    ) -> Outcome {
        self.say(question).await?;
        self.hear_until(|message| wanted(message).then_some(())).await
    }
}

/// The bytes of these messages.
pub(super) fn encode(messages: &[Message]) -> BytesMut {
    let mut bytes = BytesMut::new();
    for message in messages {
        message.encode(&mut bytes);
    }
    bytes
}

/// A request for a block.
pub(super) fn request(piece: u32, begin: u32, length: u32) -> Message {
    Message::Request(RawSpan { piece, begin, length })
}

/// A block.
pub(super) fn block(piece: u32, begin: u32, payload: &[u8]) -> Message {
    Message::Piece { piece, begin, payload: Bytes::copy_from_slice(payload) }
}
