//! What the peer says while the metadata is not known.

use bytes::Bytes;
use potluck_common::{
    Instant,
    wire::{ExtendedHandshake, Message, MetadataMessage, UT_METADATA},
};

use super::{MetadataEvent, MetadataSession};
use crate::session::{
    config::{
        CHOKED_REQUESTS_MAX, EXTENDED_HANDSHAKES_MAX, METADATA_ID, METADATA_INVALID_MAX, PEX_ID,
        UNASKED_BLOCKS_MAX,
    },
    fault::PeerFault,
    messages::within,
};

/// Messages of peer exchange that are passed on. One a minute is usual, and nobody waits here for an hour.
const PEX_MAX: u32 = 60;
/// PORT messages that are passed on.
const PORTS_MAX: u32 = 4;

type Outcome = Result<(), PeerFault>;

/// How often the peer did what is tolerated only a few times.
#[derive(Clone, Default, Debug)]
pub(super) struct Conduct {
    handshakes: u32,
    pex: u32,
    ports: u32,
    unasked_blocks: u32,
    requests: u32,
    invalid_metadata: u32,
}

impl MetadataSession {
    pub(super) fn on_message(&mut self, now: Instant, message: Message) -> Outcome {
        match message {
            Message::Extended { id: 0, payload } => self.on_extended_handshake(&payload),
            Message::Extended { id: METADATA_ID, payload } => self.on_metadata(now, &payload),
            Message::Extended { id: PEX_ID, payload } if self.config.extensions.pex => {
                self.conduct.pex += 1;
                if self.conduct.pex <= PEX_MAX {
                    self.events.push_back(MetadataEvent::Pex(payload));
                }
                Ok(())
            }
            Message::Port(port) if port != 0 && self.config.extensions.dht_port.is_some() => {
                self.conduct.ports += 1;
                if self.conduct.ports <= PORTS_MAX {
                    self.events.push_back(MetadataEvent::DhtPort(port));
                }
                Ok(())
            }
            Message::Piece { .. } => {
                self.conduct.unasked_blocks += 1;
                within(self.conduct.unasked_blocks, UNASKED_BLOCKS_MAX, PeerFault::UnaskedBlocks)
            }
            Message::Request(span) => {
                if self.fast {
                    self.send(now, &Message::Reject(span));
                }
                self.conduct.requests += 1;
                within(self.conduct.requests, CHOKED_REQUESTS_MAX, PeerFault::ChokedRequests)
            }
            Message::HaveAll | Message::HaveNone | Message::Suggest(_) | Message::AllowedFast(_)
                if !self.fast =>
            {
                Err(PeerFault::FastNotAgreed)
            }
            message => {
                self.record.said(&message);
                Ok(())
            }
        }
    }

    fn on_extended_handshake(&mut self, payload: &Bytes) -> Outcome {
        let handshake = ExtendedHandshake::decode(payload)?;
        self.conduct.handshakes += 1;
        within(self.conduct.handshakes, EXTENDED_HANDSHAKES_MAX, PeerFault::ExtendedHandshakes)?;
        self.record.introduced(payload);
        if let Some(id) = handshake.extensions.get(UT_METADATA) {
            self.remote_metadata_id = *id;
        }
        self.events.push_back(MetadataEvent::Extended {
            client: handshake.client,
            listen_port: handshake.listen_port,
            your_ip: handshake.your_ip,
            gives_metadata: self.remote_metadata_id != 0,
            metadata_size: handshake.metadata_size,
        });
        Ok(())
    }

    fn on_metadata(&mut self, now: Instant, payload: &Bytes) -> Outcome {
        match MetadataMessage::decode(payload) {
            Ok(MetadataMessage::Data { piece, total_size, payload }) => {
                self.events.push_back(MetadataEvent::Data { piece, total_size, payload });
            }
            Ok(MetadataMessage::Reject(piece)) => self.events.push_back(MetadataEvent::Rejected(piece)),
            // We have none either.
            Ok(MetadataMessage::Request(piece)) if self.remote_metadata_id != 0 => {
                let payload = MetadataMessage::Reject(piece).encode().into();
                self.send(now, &Message::Extended { id: self.remote_metadata_id, payload });
            }
            Ok(MetadataMessage::Request(_) | MetadataMessage::Unknown) => {}
            Err(error) => {
                self.conduct.invalid_metadata += 1;
                return within(self.conduct.invalid_metadata, METADATA_INVALID_MAX, error.into());
            }
        }
        Ok(())
    }
}
