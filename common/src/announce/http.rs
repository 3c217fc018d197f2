//! HTTP announces and scrapes: the URLs that a client asks, and the strict parser of a tracker (BEP 3, 7, 23, 48).

mod reply;

#[cfg(test)]
mod tests;

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6},
    str::FromStr,
};

pub use self::reply::{decode_announce, decode_scrape, encode_announce, encode_failure, encode_scrape};

use super::{
    AnnounceRequest, Event, SCRAPE_HASHES_MAX, TRACKER_ID_BYTES_MAX, TrackerUrl,
    escape::{escape_into, unescape},
};
use crate::{InfoHash, PeerId};

/// Longest query that a tracker reads, in bytes: 74 escaped info-hashes of a scrape fit.
pub const QUERY_BYTES_MAX: usize = 8 * 1024;

/// The URL that announces `request` to `tracker`. The tracker's own query, such as a passkey, stays in front.
pub fn announce_url(tracker: &TrackerUrl, request: &AnnounceRequest) -> String {
    let mut query = Query::continuing(tracker.query());
    query.bytes("info_hash", request.info_hash.as_bytes());
    query.bytes("peer_id", &request.peer_id.0);
    query.number("port", request.port.into());
    query.number("uploaded", request.uploaded);
    query.number("downloaded", request.downloaded);
    query.number("left", request.left);
    query.number("compact", request.compact.into());
    if let Some(event) = event_name(request.event) {
        query.bytes("event", event.as_bytes());
    }
    if let Some(numwant) = request.numwant {
        query.number("numwant", numwant.into());
    }
    if let Some(key) = request.key {
        query.bytes("key", format!("{key:08X}").as_bytes());
    }
    for (name, address) in claims(request) {
        query.bytes(name, address.as_bytes());
    }
    if let Some(tracker_id) = &request.tracker_id {
        query.bytes("trackerid", tracker_id);
    }
    tracker.with_path_and_query(tracker.path(), &query.0)
}

/// The URL that asks `tracker` for the counters of at most [`SCRAPE_HASHES_MAX`] torrents, or `None` when it has no
/// scrape: no component of its path begins with `announce` (BEP 48).
pub fn scrape_url(tracker: &TrackerUrl, info_hashes: &[InfoHash]) -> Option<String> {
    let path = tracker.path();
    let place = path.rfind("/announce")?;
    let path = format!("{}/scrape{}", &path[..place], &path[place + "/announce".len()..]);
    let mut query = Query::continuing(tracker.query());
    for info_hash in info_hashes.iter().take(SCRAPE_HASHES_MAX) {
        query.bytes("info_hash", info_hash.as_bytes());
    }
    Some(tracker.with_path_and_query(&path, &query.0))
}

fn event_name(event: Event) -> Option<&'static str> {
    match event {
        Event::None => None,
        Event::Started => Some("started"),
        Event::Completed => Some("completed"),
        Event::Stopped => Some("stopped"),
    }
}

/// The addresses that the client claims, by the names of their parameters.
fn claims(request: &AnnounceRequest) -> impl Iterator<Item = (&'static str, String)> {
    let ip = request.ip.map(|ip| ("ip", ip.to_string()));
    let ipv4 = request.ipv4.map(|addr| ("ipv4", addr.to_string()));
    let ipv6 = request.ipv6.map(|addr| ("ipv6", addr.to_string()));
    [ip, ipv4, ipv6].into_iter().flatten()
}

/// A query string under construction.
struct Query(String);

impl Query {
    fn continuing(query: Option<&str>) -> Self {
        Self(query.unwrap_or_default().to_owned())
    }

    fn bytes(&mut self, name: &str, value: &[u8]) {
        if !self.0.is_empty() && !self.0.ends_with('&') {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        escape_into(&mut self.0, value);
    }

    fn number(&mut self, name: &str, value: u64) {
        self.bytes(name, b"");
        write!(self.0, "{value}").expect("writing to a string does not fail");
    }
}

/// Why a tracker refuses a query. The text is for the client's user, as the `failure reason`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum QueryError {
    /// The query is longer than [`QUERY_BYTES_MAX`].
    #[error("the query is longer than {QUERY_BYTES_MAX} bytes")]
    Long,
    /// A parameter that is needed is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A parameter that may stand once stands twice.
    #[error("{0} is given twice")]
    Twice(&'static str),
    /// The value is not what the parameter takes.
    #[error("{name} must be {expected}")]
    Invalid {
        /// The parameter.
        name: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// A scrape of more than [`SCRAPE_HASHES_MAX`] torrents.
    #[error("at most {SCRAPE_HASHES_MAX} info_hash per scrape")]
    ManyHashes,
}

/// Reads an announce as a tracker must: what it stores goes to others, so nothing is guessed or rounded. Only the
/// claimed addresses, which are hints, and parameters of other names may be anything.
pub fn parse_announce(query: &str) -> Result<AnnounceRequest, QueryError> {
    let parameters = Parameters::split(query)?;
    let info_hash = InfoHash(parameters.id("info_hash")?);
    let peer_id = PeerId(parameters.id("peer_id")?);
    let port = match parameters.number("port")? {
        0 => None,
        port => u16::try_from(port).ok(),
    };
    let invalid = |name, expected| QueryError::Invalid { name, expected };
    let port = port.ok_or(invalid("port", "a number from 1 to 65535"))?;
    Ok(AnnounceRequest {
        uploaded: parameters.number("uploaded")?,
        downloaded: parameters.number("downloaded")?,
        left: parameters.number("left")?,
        event: parse_event(parameters.once("event")?)?,
        numwant: parameters
            .optional_number("numwant")?
            .map(|wanted| u32::try_from(wanted).map_err(|_| invalid("numwant", "a number below 2^32")))
            .transpose()?,
        key: parameters.hint::<String>("key").and_then(|key| u32::from_str_radix(&key, 16).ok()),
        compact: parameters.once("compact")? != Some("0"),
        ip: parameters.hint("ip"),
        ipv4: parameters.endpoint::<SocketAddrV4, Ipv4Addr>("ipv4", |ip| SocketAddrV4::new(ip, port)),
        ipv6: parameters.endpoint::<SocketAddrV6, Ipv6Addr>("ipv6", |ip| SocketAddrV6::new(ip, port, 0, 0)),
        tracker_id: parameters
            .once("trackerid")?
            .and_then(|text| unescape(text.as_bytes()))
            .filter(|id| id.len() <= TRACKER_ID_BYTES_MAX),
        ..AnnounceRequest::new(info_hash, peer_id, port)
    })
}

/// Reads a scrape: every `info_hash`, in order and at most [`SCRAPE_HASHES_MAX`]. Empty when it asks for all.
pub fn parse_scrape(query: &str) -> Result<Vec<InfoHash>, QueryError> {
    let parameters = Parameters::split(query)?;
    let values: Vec<_> = parameters.all("info_hash").collect();
    if values.len() > SCRAPE_HASHES_MAX {
        return Err(QueryError::ManyHashes);
    }
    values.into_iter().map(|value| parse_id("info_hash", value).map(InfoHash)).collect()
}

fn parse_event(text: Option<&str>) -> Result<Event, QueryError> {
    match text {
        // `paused` (BEP 21) says that a partial seed is still here.
        None | Some("" | "empty" | "paused") => Ok(Event::None),
        Some("started") => Ok(Event::Started),
        Some("completed") => Ok(Event::Completed),
        Some("stopped") => Ok(Event::Stopped),
        Some(_) => {
            Err(QueryError::Invalid { name: "event", expected: "started, completed, stopped or empty" })
        }
    }
}

fn parse_id(name: &'static str, text: &str) -> Result<[u8; 20], QueryError> {
    unescape(text.as_bytes())
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(QueryError::Invalid { name, expected: "20 bytes, percent-encoded" })
}

/// The parameters of a query, names and values still escaped.
struct Parameters<'q>(Vec<(&'q str, &'q str)>);

impl<'q> Parameters<'q> {
    fn split(query: &'q str) -> Result<Self, QueryError> {
        if query.len() > QUERY_BYTES_MAX {
            return Err(QueryError::Long);
        }
        let pairs = query.split('&').filter_map(|parameter| parameter.split_once('='));
        Ok(Self(pairs.collect()))
    }

    fn all(&self, name: &'static str) -> impl Iterator<Item = &'q str> {
        self.0.iter().filter(move |(other, _)| *other == name).map(|(_, value)| *value)
    }

    /// The value of a parameter that may stand at most once.
    fn once(&self, name: &'static str) -> Result<Option<&'q str>, QueryError> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() { Err(QueryError::Twice(name)) } else { Ok(first) }
    }

    fn id(&self, name: &'static str) -> Result<[u8; 20], QueryError> {
        parse_id(name, self.once(name)?.ok_or(QueryError::Missing(name))?)
    }

    fn number(&self, name: &'static str) -> Result<u64, QueryError> {
        self.optional_number(name)?.ok_or(QueryError::Missing(name))
    }

    /// Decimal digits and nothing else: no sign, no fraction, no wrap.
    fn optional_number(&self, name: &'static str) -> Result<Option<u64>, QueryError> {
        let Some(text) = self.once(name)? else { return Ok(None) };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text);
        let number = digits.and_then(|digits| digits.parse().ok());
        number.map(Some).ok_or(QueryError::Invalid { name, expected: "a whole number below 2^64" })
    }

    /// The first value under `name`, if it is well-formed; hints are never refused.
    fn hint<T: FromStr>(&self, name: &'static str) -> Option<T> {
        let bytes = unescape(self.all(name).next()?.as_bytes())?;
        str::from_utf8(&bytes).ok()?.parse().ok()
    }

    /// A BEP 7 endpoint: an address with a port, or without and then on the announced one.
    fn endpoint<A: FromStr, I: FromStr>(&self, name: &'static str, on_port: impl Fn(I) -> A) -> Option<A> {
        self.hint(name).or_else(|| self.hint(name).map(on_port))
    }
}
