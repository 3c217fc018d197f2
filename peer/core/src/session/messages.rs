//! What the peer says.

use bytes::Bytes;
use potluck_common::{
    Bitfield, BlockSpan, Instant, PieceIndex, limits,
    wire::{ExtendedHandshake, Message, RawSpan, UT_METADATA},
};

use super::{
    Session, SessionEffect,
    config::{
        CHOKE_GRACE, CHOKED_REQUESTS_MAX, EXTENDED_HANDSHAKES_MAX, FLIPS_MAX, FLIPS_TIME,
        INVALID_REQUESTS_MAX, METADATA_ID, OVERFLOWING_REQUESTS_MAX, PEX_ID, PEX_NAME, PIECES_OFFERED_MAX,
        REJECTS_IN_A_ROW_MAX, UNASKED_BLOCKS_MAX, UNASKED_REJECTS_MAX, WHOLESALE_CHANGES_MAX,
    },
    event::SessionEvent,
    fault::PeerFault,
    requests::Answer,
    timers::Timer,
};

type Outcome = Result<(), PeerFault>;

impl Session {
    pub(super) fn on_message(&mut self, now: Instant, message: Message) -> Outcome {
        match message {
            Message::Piece { piece, begin, payload } => return self.on_block(now, piece, begin, payload),
            Message::Request(span) => return self.on_request(now, span),
            Message::Have(piece) => return self.on_have(piece),
            Message::Choke => return self.on_choke(now),
            Message::Unchoke => return self.on_unchoke(now),
            Message::Interested => return self.on_interested(now, true),
            Message::NotInterested => return self.on_interested(now, false),
            Message::Bitfield(bits) => return self.on_bitfield(now, &bits),
            Message::Cancel(span) => self.on_cancel(now, span),
            Message::Extended { id: 0, payload } => return self.on_extended_handshake(now, &payload),
            Message::Extended { id: PEX_ID, payload } if self.offers_pex() => {
                self.emit(SessionEvent::Pex(payload));
            }
            Message::Extended { id: METADATA_ID, payload } => return self.on_metadata(now, &payload),
            Message::Port(port) if port != 0 && self.dht_port().is_some() => {
                self.emit(SessionEvent::DhtPort(port));
            }
            // What is not offered means nothing.
            Message::Extended { .. } | Message::Port(_) | Message::Unknown { .. } | Message::KeepAlive => {}
            Message::HaveAll
            | Message::HaveNone
            | Message::Suggest(_)
            | Message::Reject(_)
            | Message::AllowedFast(_) => return self.on_fast_message(&message),
        }
        Ok(())
    }

    /// BEP 6: a peer that did not announce the extension must not use it.
    fn on_fast_message(&mut self, message: &Message) -> Outcome {
        if !self.fast {
            return Err(PeerFault::FastNotAgreed);
        }
        let pieces = self.config.geometry.pieces();
        match message {
            Message::HaveAll => self.on_have_wholesale(Bitfield::full(pieces)),
            Message::HaveNone => self.on_have_wholesale(Bitfield::empty(pieces)),
            Message::Suggest(piece) => self.on_suggest(*piece),
            Message::AllowedFast(piece) => self.on_allowed_fast(*piece),
            Message::Reject(span) => self.on_reject(*span),
            _ => Ok(()),
        }
    }

    fn on_block(&mut self, now: Instant, piece: u32, begin: u32, payload: Bytes) -> Outcome {
        let span = self.config.geometry.span(piece, begin, payload.len() as u32);
        let answer = span.map_or(Answer::Unasked, |span| self.requests.block_came(now, span));
        if answer == Answer::Unasked {
            self.waste(&payload);
            self.conduct.unasked_blocks += 1;
            return within(self.conduct.unasked_blocks, UNASKED_BLOCKS_MAX, PeerFault::UnaskedBlocks);
        }
        self.on_progress();
        match span {
            Some(span) if answer == Answer::Asked => {
                self.received.push(span);
                self.effects.push_back(SessionEffect::Block { span, payload });
            }
            _ => self.waste(&payload),
        }
        Ok(())
    }

    fn waste(&mut self, payload: &Bytes) {
        self.wasted += payload.len() as u64;
        self.emit(SessionEvent::Wasted(payload.len() as u64));
    }

    /// The peer answers: the wait for a block begins anew.
    fn on_progress(&mut self) {
        self.conduct.rejects_in_a_row = 0;
        self.timers.clear(Timer::Block);
        self.end_snub();
    }

    /// It answered, or it chokes us and owes no answer.
    fn end_snub(&mut self) {
        if self.requests.is_snubbed() {
            self.requests.set_snubbed(false);
            self.emit(SessionEvent::Snubbed(false));
        }
    }

    fn on_reject(&mut self, span: RawSpan) -> Outcome {
        let minted = span.mint(&self.config.geometry);
        let precedes_choke = minted.is_some_and(|span| self.requests.precedes_choke(span));
        match (minted, minted.map_or(Answer::Unasked, |span| self.requests.reject_came(span))) {
            (Some(span), Answer::Asked) => {
                // It gave the piece already, or cannot: asking again and again would look like an attack.
                if self.remote_choking && !precedes_choke && self.remote_allows.remove(&span.piece) {
                    self.emit(SessionEvent::NotAllowedFast(span.piece));
                }
                self.release(vec![span]);
                self.conduct.rejects_in_a_row += 1;
                within(self.conduct.rejects_in_a_row, REJECTS_IN_A_ROW_MAX, PeerFault::RejectsEverything)
            }
            (_, Answer::Late) => Ok(()),
            _ => {
                self.conduct.unasked_rejects += 1;
                within(self.conduct.unasked_rejects, UNASKED_REJECTS_MAX, PeerFault::UnaskedRejects)
            }
        }
    }

    /// With BEP 6 requests outlive a choke, until each is rejected, answered or overdue; without it they are void.
    fn on_choke(&mut self, now: Instant) -> Outcome {
        if self.remote_choking {
            return Ok(());
        }
        self.remote_choking = true;
        self.conduct.rejects_in_a_row = 0;
        self.timers.clear(Timer::Block);
        self.requests.choke_came();
        let mut released = if self.fast { Vec::new() } else { self.requests.give_up_outstanding(0) };
        released.extend(self.requests.give_back_backlog(|span| self.remote_allows.contains(&span.piece)));
        self.release(released);
        self.emit(SessionEvent::Choked);
        self.end_snub();
        self.flip(now)
    }

    fn on_unchoke(&mut self, now: Instant) -> Outcome {
        if self.remote_choking {
            self.remote_choking = false;
            self.conduct.rejects_in_a_row = 0;
            self.timers.clear(Timer::Block);
            self.emit(SessionEvent::Unchoked);
            self.flip(now)?;
        }
        Ok(())
    }

    fn on_interested(&mut self, now: Instant, interested: bool) -> Outcome {
        if self.remote_interested != interested {
            self.remote_interested = interested;
            self.emit(if interested { SessionEvent::Interested } else { SessionEvent::NotInterested });
            self.flip(now)?;
        }
        Ok(())
    }

    /// A change of the peer's state costs it five bytes and the torrent a round of decisions: so many a minute will do.
    fn flip(&mut self, now: Instant) -> Outcome {
        if now.since(self.conduct.flips_since) >= FLIPS_TIME {
            self.conduct.flips_since = now;
            self.conduct.flips = 0;
        }
        self.conduct.flips += 1;
        within(self.conduct.flips, FLIPS_MAX, PeerFault::Flips)
    }

    fn on_have(&mut self, piece: u32) -> Outcome {
        let piece = self.existing(piece)?;
        if self.remote_have.insert(piece) {
            self.emit(SessionEvent::Have(piece));
        }
        Ok(())
    }

    /// The BEPs want it first and once; peers send it late, again, or empty.
    fn on_bitfield(&mut self, now: Instant, bits: &Bytes) -> Outcome {
        let pieces = self.config.geometry.pieces();
        let field = match bits.len() {
            0 => Bitfield::empty(pieces),
            _ => Bitfield::from_wire(bits, pieces).ok_or(PeerFault::BitfieldSpareBits)?,
        };
        // A bitfield of no bytes is as cheap for its sender as HAVE NONE.
        if bits.is_empty() {
            return self.on_have_wholesale(field);
        }
        if self.replace_remote_have(field) {
            self.flip(now)?;
        }
        Ok(())
    }

    fn on_have_wholesale(&mut self, field: Bitfield) -> Outcome {
        self.conduct.wholesale_changes += u32::from(self.replace_remote_have(field));
        within(self.conduct.wholesale_changes, WHOLESALE_CHANGES_MAX, PeerFault::WholesaleChanges)
    }

    /// Returns whether this told anything new.
    fn replace_remote_have(&mut self, field: Bitfield) -> bool {
        if self.remote_have_known && self.remote_have == field {
            return false;
        }
        self.remote_have_known = true;
        self.remote_have = field.clone();
        self.emit(SessionEvent::Bitfield(field));
        true
    }

    fn on_suggest(&mut self, piece: u32) -> Outcome {
        let piece = self.existing(piece)?;
        if self.remote_suggests.len() < PIECES_OFFERED_MAX && self.remote_suggests.insert(piece) {
            self.emit(SessionEvent::Suggested(piece));
        }
        Ok(())
    }

    fn on_allowed_fast(&mut self, piece: u32) -> Outcome {
        let piece = self.existing(piece)?;
        if self.remote_allows.len() < PIECES_OFFERED_MAX && self.remote_allows.insert(piece) {
            self.emit(SessionEvent::AllowedFast(piece));
        }
        Ok(())
    }

    /// Each may change what is known of the peer, so that few a minute will do.
    fn count_extended_handshake(&mut self, now: Instant) -> Outcome {
        if now.since(self.conduct.handshakes_since) >= FLIPS_TIME {
            self.conduct.handshakes_since = now;
            self.conduct.handshakes = 0;
        }
        self.conduct.handshakes += 1;
        within(self.conduct.handshakes, EXTENDED_HANDSHAKES_MAX, PeerFault::ExtendedHandshakes)
    }

    fn on_extended_handshake(&mut self, now: Instant, payload: &Bytes) -> Outcome {
        self.count_extended_handshake(now)?;
        let handshake = ExtendedHandshake::decode(payload)?;
        if let Some(queue_max) = handshake.request_queue {
            self.requests.estimate().set_queue_max(queue_max);
        }
        self.remote_upload_only = handshake.upload_only.unwrap_or(self.remote_upload_only);
        if let Some(id) = handshake.extensions.get(PEX_NAME) {
            self.remote_pex_id = *id;
        }
        if let Some(id) = handshake.extensions.get(UT_METADATA) {
            self.remote_metadata_id = *id;
        }
        self.emit(SessionEvent::Extended {
            client: handshake.client,
            listen_port: handshake.listen_port,
            your_ip: handshake.your_ip,
            upload_only: self.remote_upload_only,
            pex: self.remote_pex_id != 0 && self.offers_pex(),
        });
        Ok(())
    }

    fn on_request(&mut self, now: Instant, raw: RawSpan) -> Outcome {
        let Some(span) = self.servable(raw) else {
            self.reject(now, raw);
            self.conduct.invalid_requests += 1;
            return within(self.conduct.invalid_requests, INVALID_REQUESTS_MAX, PeerFault::InvalidRequests);
        };
        if self.uploads.contains(span) {
            return Ok(());
        }
        if self.uploads.is_full(self.fast) {
            return self.on_overflowing_request(now, raw);
        }
        if self.am_choking && !self.uploads.use_allowance(span) {
            return self.on_choked_request(now, raw);
        }
        self.uploads.push(span);
        Ok(())
    }

    /// The span of a request that can be served: inside a piece that we have, and no more than a block.
    fn servable(&self, raw: RawSpan) -> Option<BlockSpan> {
        let span = raw.mint(&self.config.geometry)?;
        (span.length <= limits::BLOCK_LENGTH && self.have.has(span.piece)).then_some(span)
    }

    /// Without BEP 6 there is no way to say no, and the peer would wait for the block for ever.
    fn on_overflowing_request(&mut self, now: Instant, raw: RawSpan) -> Outcome {
        self.reject(now, raw);
        self.conduct.overflowing_requests += 1;
        let allowed = if self.fast { OVERFLOWING_REQUESTS_MAX } else { 0 };
        within(self.conduct.overflowing_requests, allowed, PeerFault::OverflowingRequests)
    }

    fn on_choked_request(&mut self, now: Instant, raw: RawSpan) -> Outcome {
        self.reject(now, raw);
        let in_grace = self.choked_at.is_some_and(|choked_at| now.since(choked_at) < CHOKE_GRACE);
        self.conduct.choked_requests += u32::from(!in_grace);
        within(self.conduct.choked_requests, CHOKED_REQUESTS_MAX, PeerFault::ChokedRequests)
    }

    /// With BEP 6 a cancelled request must be answered, too. One that is being sent is not stopped.
    fn on_cancel(&mut self, now: Instant, raw: RawSpan) {
        if raw.mint(&self.config.geometry).is_some_and(|span| self.uploads.remove(span)) {
            self.reject(now, raw);
        }
    }

    /// Refuses a request where the protocol has a word for it.
    pub(super) fn reject(&mut self, now: Instant, raw: RawSpan) {
        if self.fast {
            self.send(now, &Message::Reject(raw));
        }
    }

    fn existing(&self, piece: u32) -> Result<PieceIndex, PeerFault> {
        self.config.geometry.piece(piece).ok_or(PeerFault::PieceNumber(piece))
    }
}

pub(super) fn within(count: u32, max: u32, fault: PeerFault) -> Outcome {
    if count > max { Err(fault) } else { Ok(()) }
}
