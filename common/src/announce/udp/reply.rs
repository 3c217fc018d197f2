//! What a tracker sends.

use std::net::SocketAddr;

use super::{ACTION_ANNOUNCE, ACTION_CONNECT, ACTION_ERROR, ACTION_SCRAPE, Fields};
use crate::{
    Duration, Printable,
    addr::{canonical, write_compact},
    announce::{AnnounceReply, Family, ReplyError, SCRAPE_HASHES_MAX, ScrapeEntry, read_compact},
};

/// What a tracker sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// That of the request.
    pub transaction_id: u32,
    /// What is answered.
    pub body: ReplyBody,
}

/// What a tracker answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReplyBody {
    /// The token for the next requests; good for a minute (BEP 15).
    Connect {
        /// The token.
        connection_id: u64,
    },
    /// The swarm. Carries `interval`, `complete`, `incomplete` and peers of one family; nothing else.
    Announce(AnnounceReply),
    /// The counters, in the order of the request.
    Scrape(Vec<ScrapeEntry>),
    /// A refusal.
    Error(Printable),
}

impl Reply {
    /// The datagram. `family` is that of the client's address: peers of the other one are left out.
    pub fn encode(&self, family: Family) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        let mut word = |value: u32| out.extend(value.to_be_bytes());
        match &self.body {
            ReplyBody::Connect { connection_id } => {
                word(ACTION_CONNECT);
                word(self.transaction_id);
                out.extend(connection_id.to_be_bytes());
            }
            ReplyBody::Announce(reply) => {
                word(ACTION_ANNOUNCE);
                word(self.transaction_id);
                word(reply.interval.map_or(0, seconds));
                word(reply.incomplete.unwrap_or(0));
                word(reply.complete.unwrap_or(0));
                for &peer in reply.peers.iter().filter(|peer| Family::of(peer.ip()) == family) {
                    write_compact(&mut out, canonical(peer));
                }
            }
            ReplyBody::Scrape(entries) => {
                word(ACTION_SCRAPE);
                word(self.transaction_id);
                for entry in entries {
                    word(entry.complete);
                    word(entry.downloaded);
                    word(entry.incomplete);
                }
            }
            ReplyBody::Error(message) => {
                word(ACTION_ERROR);
                word(self.transaction_id);
                out.extend(message.as_str().as_bytes());
            }
        }
        out
    }

    /// Reads a datagram from a tracker at an address of `family`. Whether the transaction id and the source
    /// address are the right ones is for the caller to check first.
    pub fn decode(packet: &[u8], family: Family) -> Result<Self, ReplyError> {
        let mut fields = Fields(packet);
        let short = || ReplyError::malformed("the datagram is too short");
        let action = fields.u32().ok_or_else(short)?;
        let transaction_id = fields.u32().ok_or_else(short)?;
        let body = match action {
            ACTION_CONNECT => ReplyBody::Connect { connection_id: fields.u64().ok_or_else(short)? },
            ACTION_ANNOUNCE => {
                ReplyBody::Announce(read_announce_reply(&mut fields, family).ok_or_else(short)?)
            }
            ACTION_SCRAPE => ReplyBody::Scrape(
                std::iter::from_fn(|| read_scrape_entry(&mut fields)).take(SCRAPE_HASHES_MAX).collect(),
            ),
            ACTION_ERROR => ReplyBody::Error(Printable::from_bytes(trim_zeros(fields.0))),
            _ => return Err(ReplyError::malformed("the action is unknown")),
        };
        Ok(Self { transaction_id, body })
    }
}

fn read_announce_reply(fields: &mut Fields<'_>, family: Family) -> Option<AnnounceReply> {
    let interval = fields.u32()?;
    let incomplete = fields.u32()?;
    let complete = fields.u32()?;
    let mut peers: Vec<SocketAddr> = Vec::new();
    read_compact(family, fields.0, &mut peers);
    Some(AnnounceReply {
        interval: Some(Duration::from_secs(interval.into())),
        complete: Some(complete),
        incomplete: Some(incomplete),
        peers,
        ..AnnounceReply::default()
    })
}

fn read_scrape_entry(fields: &mut Fields<'_>) -> Option<ScrapeEntry> {
    let complete = fields.u32()?;
    let downloaded = fields.u32()?;
    let incomplete = fields.u32()?;
    Some(ScrapeEntry { complete, incomplete, downloaded })
}

/// Whole seconds, as many as the field can say.
fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

/// Some trackers end their messages with a C string's zero byte.
fn trim_zeros(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    &bytes[..end]
}
