//! What the torrent commands.

use bytes::Bytes;
use potluck_common::{BlockSpan, Instant, PieceIndex, wire::Message};

use super::{Phase, Session, event::SessionCommand, requests::Cancelled};

impl Session {
    pub(super) fn on_command(&mut self, now: Instant, command: SessionCommand) {
        match command {
            SessionCommand::Assign(spans) => self.assign(spans),
            SessionCommand::Cancel(spans) => self.cancel(now, &spans),
            SessionCommand::Choke => self.choke(now),
            SessionCommand::Unchoke => self.unchoke(now),
            SessionCommand::Weigh(percent) => self.weight_percent = percent,
            SessionCommand::Interested => self.set_interested(now, true),
            SessionCommand::NotInterested => self.set_interested(now, false),
            SessionCommand::Have(pieces) => self.announce(now, &pieces),
            SessionCommand::AllowFast(pieces) => self.allow_fast(now, &pieces),
            SessionCommand::UploadOnly(upload_only) => self.set_upload_only(now, upload_only),
            SessionCommand::Pex(payload) => self.send_pex(now, payload),
            SessionCommand::Close(reason) => self.close(reason),
        }
    }

    /// Takes the blocks that can be requested and gives the others back at once.
    fn assign(&mut self, spans: Vec<BlockSpan>) {
        let mut refused = Vec::new();
        for span in spans {
            self.requests.use_credit();
            let answered = !self.remote_choking || self.remote_allows.contains(&span.piece);
            if self.phase == Phase::Open && answered && !self.requests.is_probing() {
                self.requests.push(span);
            } else {
                refused.push(span);
            }
        }
        self.release(refused);
    }

    fn cancel(&mut self, now: Instant, spans: &[BlockSpan]) {
        for span in spans {
            if self.requests.cancel(*span) == Cancelled::Outstanding {
                self.send(now, &Message::Cancel((*span).into()));
            }
        }
    }

    /// Chokes first and rejects then, so that the peer does not ask again for what is rejected (BEP 6).
    fn choke(&mut self, now: Instant) {
        if self.am_choking {
            return;
        }
        self.am_choking = true;
        self.choked_at = Some(now);
        self.conduct.choked_requests = 0;
        self.send_if_open(now, &Message::Choke);
        for span in self.uploads.choke() {
            self.reject(now, span.into());
        }
    }

    fn unchoke(&mut self, now: Instant) {
        if self.am_choking {
            self.am_choking = false;
            self.send_if_open(now, &Message::Unchoke);
        }
    }

    fn set_interested(&mut self, now: Instant, interested: bool) {
        if self.am_interested != interested {
            self.am_interested = interested;
            let message = if interested { Message::Interested } else { Message::NotInterested };
            self.send_if_open(now, &message);
        }
    }

    fn announce(&mut self, now: Instant, pieces: &[PieceIndex]) {
        for piece in pieces {
            if self.have.insert(*piece) {
                self.send_if_open(now, &Message::Have(piece.get()));
            }
        }
    }

    fn allow_fast(&mut self, now: Instant, pieces: &[PieceIndex]) {
        if !self.fast {
            return;
        }
        for piece in pieces {
            if self.uploads.allow(*piece, &self.config.geometry) {
                self.send_if_open(now, &Message::AllowedFast(piece.get()));
            }
        }
    }

    fn set_upload_only(&mut self, now: Instant, upload_only: bool) {
        if self.config.upload_only != upload_only {
            self.config.upload_only = upload_only;
            if self.phase == Phase::Open {
                self.send_extended_handshake(now);
            }
        }
    }

    fn send_pex(&mut self, now: Instant, payload: Bytes) {
        if self.remote_pex_id != 0 && self.offers_pex() {
            self.send_if_open(now, &Message::Extended { id: self.remote_pex_id, payload });
        }
    }

    /// Before the session is open the state alone changes; its opening tells the peer.
    fn send_if_open(&mut self, now: Instant, message: &Message) {
        if self.phase == Phase::Open {
            self.send(now, message);
        }
    }
}
