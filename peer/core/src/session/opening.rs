//! The opening of a session: handshakes, and what follows them at once.

use bytes::{Buf, Bytes, BytesMut};
use potluck_common::{
    InfoHash, Instant, PeerId, PieceIndex, limits,
    wire::{
        ExtendedHandshake, HANDSHAKE_BYTES, Handshake, HandshakeError, Message, MetadataSize, Preamble,
        Reserved, UT_METADATA,
    },
};

use super::{
    Phase, Session,
    config::{METADATA_ID, PEX_ID, PEX_NAME},
    event::SessionEvent,
    fault::PeerFault,
    timers::Timer,
};

/// How much of a peer's handshake has come.
pub(super) enum Heard {
    /// Not even which torrent it is for.
    Nothing,
    /// It is for our torrent; its id has not come yet.
    Torrent,
    /// All of it.
    All(Handshake),
}

/// Reads a handshake for `info_hash` off `buffer`, as far as it is there.
pub(super) fn hear(buffer: &mut BytesMut, info_hash: InfoHash) -> Result<Heard, PeerFault> {
    match Preamble::of(buffer) {
        Preamble::Close => return Err(HandshakeError::Protocol.into()),
        Preamble::NeedMore => return Ok(Heard::Nothing),
        Preamble::Route(named) if named != info_hash => return Err(PeerFault::InfoHash),
        Preamble::Route(_) => {}
    }
    let Some(handshake) = Handshake::decode(buffer)? else { return Ok(Heard::Torrent) };
    buffer.advance(HANDSHAKE_BYTES);
    Ok(Heard::All(handshake))
}

/// Our handshake, which says that we have a node of the DHT where `has_node`.
pub(super) fn our_handshake(info_hash: InfoHash, peer_id: PeerId, has_node: bool) -> Handshake {
    let always = Reserved::FAST.with(Reserved::EXTENDED);
    let reserved = if has_node { always.with(Reserved::DHT) } else { always };
    Handshake { reserved, info_hash, peer_id }
}

impl Session {
    /// Sends our handshake.
    pub(super) fn greet(&mut self) {
        let has_node = self.dht_port().is_some();
        let handshake = our_handshake(self.config.info_hash, self.config.peer_id, has_node);
        self.output.extend_from_slice(&handshake.encode());
        self.phase = Phase::Greeted;
    }

    /// Reads the peer's handshake off `buffer`; false while it is incomplete.
    pub(super) fn open(&mut self, now: Instant, buffer: &mut BytesMut) -> Result<bool, PeerFault> {
        let heard = hear(buffer, self.config.info_hash)?;
        if self.phase == Phase::Silent && !matches!(heard, Heard::Nothing) {
            self.greet();
        }
        let Heard::All(handshake) = heard else { return Ok(false) };
        self.fast = handshake.reserved.has(Reserved::FAST);
        self.extended = handshake.reserved.has(Reserved::EXTENDED);
        // Also of ourselves: the torrent learns from the id that the address is never worth another dial.
        self.emit(SessionEvent::Handshaken {
            peer_id: handshake.peer_id,
            fast: self.fast,
            extended: self.extended,
        });
        if handshake.peer_id == self.config.peer_id {
            return Err(PeerFault::Ourselves);
        }
        self.begin(now, handshake.reserved);
        Ok(true)
    }

    fn begin(&mut self, now: Instant, theirs: Reserved) {
        self.phase = Phase::Open;
        self.timers.clear(Timer::Handshake);
        if self.is_continued {
            self.send_haves(now);
        } else {
            self.send_pieces(now);
        }
        self.send_extended_handshake(now);
        if let Some(port) = self.dht_port().filter(|_| theirs.has(Reserved::DHT) && !self.is_continued) {
            self.send(now, &Message::Port(port));
        }
        // What the torrent commanded before.
        if !self.am_choking {
            self.send(now, &Message::Unchoke);
        }
        if self.am_interested {
            self.send(now, &Message::Interested);
        }
    }

    /// Tells which pieces we have. With BEP 6 exactly one message must do so; without it an empty bitfield is better
    /// left out, as some old peers expect.
    fn send_pieces(&mut self, now: Instant) {
        let message = match () {
            () if self.fast && self.have.is_full() => Message::HaveAll,
            () if self.fast && self.have.is_empty() => Message::HaveNone,
            () if self.have.is_empty() => return,
            () => Message::Bitfield(Bytes::copy_from_slice(self.have.as_wire())),
        };
        self.send(now, &message);
    }

    /// Tells which pieces we have to a peer that was told that there are none.
    fn send_haves(&mut self, now: Instant) {
        let have: Vec<u32> = self.have.iter(&self.config.geometry).map(PieceIndex::get).collect();
        for piece in have {
            self.send(now, &Message::Have(piece));
        }
    }

    /// Whether we take part in peer exchange.
    pub(super) fn offers_pex(&self) -> bool {
        self.config.extensions.pex && !self.config.private
    }

    /// Where our DHT node is, if this peer may hear of it.
    pub(super) fn dht_port(&self) -> Option<u16> {
        self.config.extensions.dht_port.filter(|_| !self.config.private)
    }

    /// Tells about ourselves, at the start and again when something changed.
    pub(super) fn send_extended_handshake(&mut self, now: Instant) {
        if !self.extended {
            return;
        }
        let pex = self.offers_pex().then(|| (PEX_NAME.to_owned(), PEX_ID));
        let metadata_size = self.metadata_size();
        let metadata = metadata_size.map(|_| (UT_METADATA.to_owned(), METADATA_ID));
        let handshake = ExtendedHandshake {
            extensions: pex.into_iter().chain(metadata).collect(),
            metadata_size: metadata_size.map(MetadataSize::get),
            listen_port: self.config.listen_port,
            client: Some(self.config.client.into()),
            your_ip: Some(self.config.remote.ip().to_canonical()),
            request_queue: Some(limits::REQUEST_QUEUE_MAX),
            upload_only: Some(self.config.upload_only),
        };
        self.send(now, &Message::Extended { id: 0, payload: handshake.encode().into() });
    }
}
