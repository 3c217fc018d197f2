//! What a client sends.

use std::net::IpAddr;

use super::{ACTION_ANNOUNCE, ACTION_CONNECT, ACTION_SCRAPE, Fields, PROTOCOL_ID};
use crate::{
    InfoHash, PeerId,
    announce::{AnnounceRequest, Event, SCRAPE_HASHES_MAX},
};

const OPTION_END: u8 = 0;
const OPTION_NOP: u8 = 1;
const OPTION_URL_DATA: u8 = 2;

/// What a client sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// The tracker's token for the client's address; [`PROTOCOL_ID`] in a connect request.
    pub connection_id: u64,
    /// Drawn by the client at random; the reply repeats it.
    pub transaction_id: u32,
    /// What is asked.
    pub body: RequestBody,
}

/// What a client asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RequestBody {
    /// A connection id.
    Connect,
    /// An announce.
    Announce {
        /// The announce itself.
        announce: Box<AnnounceRequest>,
        /// Path and query of the tracker's URL (BEP 41): where a passkey would stand. May be empty.
        url_data: Vec<u8>,
    },
    /// The counters of these swarms, at most [`SCRAPE_HASHES_MAX`].
    Scrape(Vec<InfoHash>),
}

/// Why a datagram is no request. A tracker keeps silent about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RequestError {
    /// Shorter than the fixed fields of its action.
    #[error("the datagram is too short for its action")]
    Short,
    /// Neither connect, announce nor scrape, or a connect without the protocol id.
    #[error("the action is unknown")]
    Action,
    /// The port to announce is 0.
    #[error("the announced port is 0")]
    Port,
}

/// The first 16 bytes of every request: enough to tell whether the rest is worth reading.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestHeader {
    /// The token that must hold before anything else is believed.
    pub connection_id: u64,
    /// Whether this is a connect request, which has no token yet.
    pub is_connect: bool,
    /// To be repeated in the reply.
    pub transaction_id: u32,
}

impl RequestHeader {
    /// Reads the header of `packet`; `None` when it is too short, or no client would send it.
    pub fn decode(packet: &[u8]) -> Option<Self> {
        let mut fields = Fields(packet);
        let connection_id = fields.u64()?;
        let action = fields.u32()?;
        let transaction_id = fields.u32()?;
        let is_connect = action == ACTION_CONNECT;
        if action > ACTION_SCRAPE || (is_connect && connection_id != PROTOCOL_ID) {
            return None;
        }
        Some(Self { connection_id, is_connect, transaction_id })
    }
}

impl Request {
    /// A request for a connection id.
    pub fn connect(transaction_id: u32) -> Self {
        Self { connection_id: PROTOCOL_ID, transaction_id, body: RequestBody::Connect }
    }

    /// The datagram.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        out.extend(self.connection_id.to_be_bytes());
        out.extend(self.action().to_be_bytes());
        out.extend(self.transaction_id.to_be_bytes());
        match &self.body {
            RequestBody::Connect => {}
            RequestBody::Announce { announce, url_data } => {
                write_announce(&mut out, announce);
                write_url_data(&mut out, url_data);
            }
            RequestBody::Scrape(info_hashes) => {
                for info_hash in info_hashes.iter().take(SCRAPE_HASHES_MAX) {
                    out.extend(info_hash.as_bytes());
                }
            }
        }
        out
    }

    /// Reads a datagram. Incomplete info-hashes at the end of a scrape, those past [`SCRAPE_HASHES_MAX`] and
    /// whatever follows an announce's options are ignored.
    pub fn decode(packet: &[u8]) -> Result<Self, RequestError> {
        let mut fields = Fields(packet);
        let header = (fields.u64(), fields.u32(), fields.u32());
        let (Some(connection_id), Some(action), Some(transaction_id)) = header else {
            return Err(RequestError::Short);
        };
        let body = match action {
            ACTION_CONNECT if connection_id == PROTOCOL_ID => RequestBody::Connect,
            ACTION_ANNOUNCE => {
                let announce = Box::new(read_announce(&mut fields).ok_or(RequestError::Short)?);
                if announce.port == 0 {
                    return Err(RequestError::Port);
                }
                RequestBody::Announce { announce, url_data: read_url_data(&mut fields) }
            }
            ACTION_SCRAPE => RequestBody::Scrape(read_info_hashes(&mut fields)?),
            _ => return Err(RequestError::Action),
        };
        Ok(Self { connection_id, transaction_id, body })
    }

    fn action(&self) -> u32 {
        match self.body {
            RequestBody::Connect => ACTION_CONNECT,
            RequestBody::Announce { .. } => ACTION_ANNOUNCE,
            RequestBody::Scrape(_) => ACTION_SCRAPE,
        }
    }
}

fn write_announce(out: &mut Vec<u8>, announce: &AnnounceRequest) {
    out.extend(announce.info_hash.as_bytes());
    out.extend(announce.peer_id.0);
    out.extend(announce.downloaded.to_be_bytes());
    out.extend(announce.left.to_be_bytes());
    out.extend(announce.uploaded.to_be_bytes());
    let event: u32 = match announce.event {
        Event::None => 0,
        Event::Completed => 1,
        Event::Started => 2,
        Event::Stopped => 3,
    };
    out.extend(event.to_be_bytes());
    // The field has no room for an IPv6 address and must then be 0 (BEP 15).
    let ip = match announce.ip {
        Some(IpAddr::V4(ip)) => ip.octets(),
        _ => [0; 4],
    };
    out.extend(ip);
    out.extend(announce.key.unwrap_or(0).to_be_bytes());
    let numwant = announce.numwant.map_or(-1, |wanted| i32::try_from(wanted).unwrap_or(i32::MAX));
    out.extend(numwant.to_be_bytes());
    out.extend(announce.port.to_be_bytes());
}

fn read_announce(fields: &mut Fields<'_>) -> Option<AnnounceRequest> {
    let info_hash = InfoHash(fields.array()?);
    let peer_id = PeerId(fields.array()?);
    let downloaded = fields.u64()?;
    let left = fields.u64()?;
    let uploaded = fields.u64()?;
    let event = match fields.u32()? {
        1 => Event::Completed,
        2 => Event::Started,
        3 => Event::Stopped,
        // libtorrent numbers `paused` (BEP 21) as 4; a newer client may know others. They say: still here.
        _ => Event::None,
    };
    let ip: [u8; 4] = fields.array()?;
    let key = fields.u32()?;
    let numwant = fields.u32()?.cast_signed();
    let port = u16::from_be_bytes(fields.array()?);
    Some(AnnounceRequest {
        uploaded,
        downloaded,
        left,
        event,
        numwant: u32::try_from(numwant).ok(),
        key: (key != 0).then_some(key),
        ip: (ip != [0; 4]).then(|| ip.into()),
        ..AnnounceRequest::new(info_hash, peer_id, port)
    })
}

fn read_info_hashes(fields: &mut Fields<'_>) -> Result<Vec<InfoHash>, RequestError> {
    let info_hashes: Vec<_> =
        std::iter::from_fn(|| fields.array().map(InfoHash)).take(SCRAPE_HASHES_MAX).collect();
    if info_hashes.is_empty() { Err(RequestError::Short) } else { Ok(info_hashes) }
}

/// Appends the URL's path and query as options of at most 255 bytes each (BEP 41). Without an end mark, as it is
/// not needed at the end of the datagram and libtorrent sends none.
fn write_url_data(out: &mut Vec<u8>, url_data: &[u8]) {
    for chunk in url_data.chunks(255) {
        out.push(OPTION_URL_DATA);
        out.push(u8::try_from(chunk.len()).expect("chunks have at most 255 bytes"));
        out.extend(chunk);
    }
}

/// Reads options up to the end mark, the end of the datagram or the first broken one (BEP 41).
fn read_url_data(fields: &mut Fields<'_>) -> Vec<u8> {
    let mut url_data = Vec::new();
    loop {
        let Some(kind) = fields.u8() else { return url_data };
        match kind {
            OPTION_END => return url_data,
            OPTION_NOP => {}
            _ => {
                let Some(data) = fields.u8().and_then(|length| fields.take(usize::from(length))) else {
                    return url_data;
                };
                if kind == OPTION_URL_DATA {
                    url_data.extend(data);
                }
            }
        }
    }
}
