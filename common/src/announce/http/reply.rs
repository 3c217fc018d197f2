//! The bencoded replies of an HTTP tracker, in both directions (BEP 3, 7, 23, 24, 31, 48).

use std::net::{IpAddr, SocketAddr};

use crate::{
    Duration, InfoHash, Printable,
    addr::{canonical, write_compact},
    announce::{
        AnnounceReply, Failure, Family, REPLY_PEERS_MAX, ReplyError, Retry, ScrapeEntry, ScrapeReply,
        TRACKER_ID_BYTES_MAX, read_compact,
    },
    bencode::{self, DictWriter, Document, Limits, Node},
};

/// Reads the body of a reply to an announce. Fields of odd types or values are taken as absent.
pub fn decode_announce(body: &[u8]) -> Result<AnnounceReply, ReplyError> {
    let document = parse(body)?;
    let root = document.root();
    refuse_failure(root)?;
    let mut peers = Vec::new();
    if let Some(node) = root.get(b"peers") {
        read_peers(node, Family::V4, &mut peers);
    }
    if let Some(node) = root.get(b"peers6") {
        read_peers(node, Family::V6, &mut peers);
    }
    Ok(AnnounceReply {
        interval: duration(root, b"interval"),
        min_interval: duration(root, b"min interval"),
        complete: count(root, b"complete"),
        incomplete: count(root, b"incomplete"),
        downloaded: count(root, b"downloaded"),
        peers,
        warning: text(root, b"warning message"),
        tracker_id: root
            .get(b"tracker id")
            .and_then(|node| node.as_bytes())
            .filter(|id| id.len() <= TRACKER_ID_BYTES_MAX)
            .map(<[u8]>::to_vec),
        external_ip: root.get(b"external ip").and_then(|node| raw_ip(node.as_bytes()?)),
    })
}

/// Reads the body of a reply to a scrape.
pub fn decode_scrape(body: &[u8]) -> Result<ScrapeReply, ReplyError> {
    let document = parse(body)?;
    let root = document.root();
    refuse_failure(root)?;
    let files = root.get(b"files").and_then(|node| node.as_dict());
    let files = files.ok_or_else(|| ReplyError::malformed("it has no files"))?;
    let entry = |node| ScrapeEntry {
        complete: count(node, b"complete").unwrap_or(0),
        incomplete: count(node, b"incomplete").unwrap_or(0),
        downloaded: count(node, b"downloaded").unwrap_or(0),
    };
    Ok(files.iter().filter_map(|(key, node)| Some((InfoHash(key.try_into().ok()?), entry(node)))).collect())
}

fn parse(body: &[u8]) -> Result<Document<'_>, ReplyError> {
    let document = bencode::parse(body, &Limits::TRACKER_REPLY)
        .map_err(|error| ReplyError::malformed(&format!("no bencode {error}")))?;
    match document.root().as_dict() {
        Some(_) => Ok(document),
        None => Err(ReplyError::malformed("it is no dictionary")),
    }
}

fn refuse_failure(root: Node<'_, '_>) -> Result<(), Failure> {
    // BEP 48 spells the key of a scrape's failure with an underscore.
    let reason = text(root, b"failure reason").or_else(|| text(root, b"failure_reason"));
    let Some(reason) = reason else { return Ok(()) };
    let retry = root.get(b"retry in").and_then(|node| match (node.as_int(), node.as_bytes()) {
        (Some(minutes), _) => Some(Retry::After(Duration::from_secs(u64::from(clamp(minutes)?) * 60))),
        (_, Some(b"never")) => Some(Retry::Never),
        // Minutes as text are seen too.
        (_, Some(digits)) => {
            let minutes: u32 = str::from_utf8(digits).ok()?.parse().ok()?;
            Some(Retry::After(Duration::from_secs(u64::from(minutes) * 60)))
        }
        _ => None,
    });
    Err(Failure { reason, retry })
}

/// Reads compact peers of `family`, or a list of dictionaries with addresses of either.
fn read_peers(node: Node<'_, '_>, family: Family, peers: &mut Vec<SocketAddr>) {
    if let Some(bytes) = node.as_bytes() {
        return read_compact(family, bytes, peers);
    }
    let entries = node.as_list().into_iter().flat_map(|list| list.iter());
    let room = REPLY_PEERS_MAX.saturating_sub(peers.len());
    let peer = |entry: Node<'_, '_>| {
        let ip = parse_ip(entry.get(b"ip")?.as_bytes()?)?;
        let port = u16::try_from(entry.get(b"port")?.as_int()?).ok()?;
        Some(SocketAddr::new(ip, port))
    };
    peers.extend(entries.filter_map(peer).take(room));
}

/// An `ip` in a list of peers that is not compact.
fn parse_ip(bytes: &[u8]) -> Option<IpAddr> {
    let ip: IpAddr = str::from_utf8(bytes).ok()?.parse().ok()?;
    Some(ip.to_canonical())
}

/// A number of 32 bits; larger ones are cut, negative ones are not taken.
fn clamp(value: i64) -> Option<u32> {
    (value >= 0).then(|| u32::try_from(value).unwrap_or(u32::MAX))
}

fn count(root: Node<'_, '_>, key: &[u8]) -> Option<u32> {
    clamp(root.get(key)?.as_int()?)
}

fn duration(root: Node<'_, '_>, key: &[u8]) -> Option<Duration> {
    count(root, key).map(|seconds| Duration::from_secs(seconds.into()))
}

fn text(root: Node<'_, '_>, key: &[u8]) -> Option<Printable> {
    Some(Printable::from_bytes(root.get(key)?.as_bytes()?))
}

fn raw_ip(bytes: &[u8]) -> Option<IpAddr> {
    let ip = match bytes.len() {
        4 => IpAddr::from(*bytes.first_chunk::<4>()?),
        16 => IpAddr::from(*bytes.first_chunk::<16>()?),
        _ => return None,
    };
    Some(ip.to_canonical())
}

/// The body of a reply to an announce. Not compact means a list of `ip` and `port`, as if the client had asked for
/// `no_peer_id` (BEP 23).
pub fn encode_announce(reply: &AnnounceReply, compact: bool) -> Vec<u8> {
    bencode::encode_dict(|dict| {
        optional_int(dict, b"complete", reply.complete.map(i64::from));
        optional_int(dict, b"downloaded", reply.downloaded.map(i64::from));
        if let Some(ip) = reply.external_ip {
            write_ip(dict, ip.to_canonical());
        }
        optional_int(dict, b"incomplete", reply.incomplete.map(i64::from));
        optional_int(dict, b"interval", reply.interval.map(seconds));
        optional_int(dict, b"min interval", reply.min_interval.map(seconds));
        if compact {
            write_compact_peers(dict, &reply.peers);
        } else {
            write_peer_list(dict, &reply.peers);
        }
        if let Some(tracker_id) = &reply.tracker_id {
            dict.bytes(b"tracker id", tracker_id);
        }
        if let Some(warning) = &reply.warning {
            dict.bytes(b"warning message", warning.as_str().as_bytes());
        }
    })
}

/// The body that refuses a request.
pub fn encode_failure(failure: &Failure) -> Vec<u8> {
    bencode::encode_dict(|dict| {
        dict.bytes(b"failure reason", failure.reason.as_str().as_bytes());
        match failure.retry {
            Some(Retry::After(wait)) => dict.int(b"retry in", (seconds(wait) + 59) / 60),
            Some(Retry::Never) => dict.bytes(b"retry in", b"never"),
            None => {}
        }
    })
}

/// The body of a reply to a scrape.
pub fn encode_scrape(reply: &ScrapeReply) -> Vec<u8> {
    bencode::encode_dict(|dict| {
        dict.dict(b"files", |files| {
            for (info_hash, entry) in reply {
                files.dict(info_hash.as_bytes(), |dict| {
                    dict.int(b"complete", entry.complete.into());
                    dict.int(b"downloaded", entry.downloaded.into());
                    dict.int(b"incomplete", entry.incomplete.into());
                });
            }
        });
    })
}

fn optional_int(dict: &mut DictWriter<'_>, key: &[u8], value: Option<i64>) {
    if let Some(value) = value {
        dict.int(key, value);
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::from(u32::try_from(duration.as_secs()).unwrap_or(u32::MAX))
}

fn write_ip(dict: &mut DictWriter<'_>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => dict.bytes(b"external ip", &ip.octets()),
        IpAddr::V6(ip) => dict.bytes(b"external ip", &ip.octets()),
    }
}

/// `peers` is always there, as old clients insist on it; `peers6` only when it says something.
fn write_compact_peers(dict: &mut DictWriter<'_>, peers: &[SocketAddr]) {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for &peer in peers {
        let peer = canonical(peer);
        write_compact(if peer.is_ipv4() { &mut v4 } else { &mut v6 }, peer);
    }
    dict.bytes(b"peers", &v4);
    if !v6.is_empty() {
        dict.bytes(b"peers6", &v6);
    }
}

fn write_peer_list(dict: &mut DictWriter<'_>, peers: &[SocketAddr]) {
    dict.list(b"peers", |list| {
        for &peer in peers {
            list.dict(|dict| {
                dict.bytes(b"ip", peer.ip().to_canonical().to_string().as_bytes());
                dict.int(b"port", peer.port().into());
            });
        }
    });
}
