//! The parser: one pass over the parameters.

use std::net::Ipv6Addr;

use data_encoding::BASE32;

use super::{FileSelection, Magnet, MagnetError, PeerHint};
use crate::{
    id::{InfoHash, InfoHashV2},
    limits::{MAGNET_BYTES_MAX, SOURCES_MAX, TRACKERS_MAX},
    metainfo::usable_url,
    printable::Printable,
};

/// Most characters of the input that an error quotes.
const QUOTED_CHARS_MAX: usize = 80;

fn quoted(text: &[u8]) -> Printable {
    Printable::bounded(&String::from_utf8_lossy(text), QUOTED_CHARS_MAX)
}

/// Whether `text` begins like a magnet link.
pub(super) fn is_link(text: &str) -> bool {
    strip_prefix(text.as_bytes(), b"magnet:").is_some()
}

pub(super) fn link(text: &str) -> Result<Magnet, MagnetError> {
    if text.len() > MAGNET_BYTES_MAX {
        return Err(MagnetError::TooLong);
    }
    let query = strip_prefix(text.as_bytes(), b"magnet:?").ok_or(MagnetError::NotMagnet)?;
    let mut found = Found::default();
    for parameter in query.split(|byte| *byte == b'&') {
        found.parameter(parameter)?;
    }
    found.finish()
}

/// What follows `prefix`, which may be in either case.
fn strip_prefix<'t>(text: &'t [u8], prefix: &[u8]) -> Option<&'t [u8]> {
    let (front, rest) = text.split_at_checked(prefix.len())?;
    front.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// What the parameters so far have said.
#[derive(Default)]
struct Found {
    info_hash_v1: Option<InfoHash>,
    info_hash_v2: Option<InfoHashV2>,
    name: Option<String>,
    length: Option<u64>,
    trackers: Vec<String>,
    web_seeds: Vec<String>,
    peers: Vec<PeerHint>,
    files: Option<FileSelection>,
}

impl Found {
    fn parameter(&mut self, parameter: &[u8]) -> Result<(), MagnetError> {
        let equals = parameter.iter().position(|byte| *byte == b'=');
        let Some((key, value)) = equals.map(|equals| (&parameter[..equals], &parameter[equals + 1..])) else {
            return Ok(());
        };
        // A link copied out of a page's source has `&amp;` between its parameters.
        let key = strip_prefix(key, b"amp;").unwrap_or(key);
        let unescaped = || unescape(value).ok_or_else(|| MagnetError::Escape(quoted(key)));
        match base_of(key) {
            b"xt" => self.topic(&unescaped()?)?,
            b"dn" => {
                // Most links write a space as a plus sign here.
                let value = unescape(
                    &value.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect::<Vec<_>>(),
                );
                let name = value.ok_or_else(|| MagnetError::Escape(quoted(key)))?;
                let name = String::from_utf8_lossy(&name).into_owned();
                self.name = self.name.take().or_else(|| (!name.is_empty()).then_some(name));
            }
            b"xl" => self.length = std::str::from_utf8(&unescaped()?).ok().and_then(|text| text.parse().ok()),
            b"tr" => add(&mut self.trackers, usable_url(&unescaped()?), TRACKERS_MAX),
            b"ws" => add(&mut self.web_seeds, usable_url(&unescaped()?), SOURCES_MAX),
            b"x.pe" => add(&mut self.peers, peer(&unescaped()?), SOURCES_MAX),
            b"so" => {
                let value = unescaped()?;
                let selection = std::str::from_utf8(&value).ok().and_then(FileSelection::parse);
                self.files = Some(selection.ok_or_else(|| MagnetError::Selection(quoted(&value)))?);
            }
            _ => {}
        }
        Ok(())
    }

    /// An `xt`: names a torrent, or is of another network and means nothing to us.
    fn topic(&mut self, urn: &[u8]) -> Result<(), MagnetError> {
        if let Some(text) = strip_prefix(urn, b"urn:btih:") {
            let hash = std::str::from_utf8(text).ok().and_then(info_hash);
            return set(&mut self.info_hash_v1, hash.ok_or_else(|| MagnetError::InfoHash(quoted(text)))?);
        }
        if let Some(text) = strip_prefix(urn, b"urn:btmh:") {
            let hash = std::str::from_utf8(text).ok().and_then(multihash);
            return set(&mut self.info_hash_v2, hash.ok_or_else(|| MagnetError::InfoHashV2(quoted(text)))?);
        }
        Ok(())
    }

    fn finish(self) -> Result<Magnet, MagnetError> {
        let bare = Magnet::new(self.info_hash_v1, self.info_hash_v2).ok_or(MagnetError::NoInfoHash)?;
        Ok(Magnet {
            name: self.name,
            length: self.length,
            trackers: self.trackers,
            web_seeds: self.web_seeds,
            peers: self.peers,
            files: self.files,
            ..bare
        })
    }
}

/// The key without the number that tells several of a kind apart: `tr.3` is `tr`.
fn base_of(key: &[u8]) -> &[u8] {
    match key.iter().rposition(|byte| *byte == b'.') {
        Some(dot) if dot + 1 < key.len() && key[dot + 1..].iter().all(u8::is_ascii_digit) => &key[..dot],
        _ => key,
    }
}

fn set<T: PartialEq>(place: &mut Option<T>, value: T) -> Result<(), MagnetError> {
    match place {
        Some(other) if *other != value => Err(MagnetError::TwoTorrents),
        _ => {
            *place = Some(value);
            Ok(())
        }
    }
}

fn add<T: PartialEq>(list: &mut Vec<T>, value: Option<T>, count_max: usize) {
    if let Some(value) = value
        && list.len() < count_max
        && !list.contains(&value)
    {
        list.push(value);
    }
}

/// `text` with its percent escapes replaced, or `None` when one of them is none.
fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        if *byte != b'%' {
            out.push(*byte);
            continue;
        }
        let mut digit = || char::from(*rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        out.push((high * 16 + low) as u8);
    }
    Some(out)
}

/// A v1 info-hash in hexadecimal or base32, in either case.
pub(super) fn info_hash(text: &str) -> Option<InfoHash> {
    match text.len() {
        40 => InfoHash::from_hex(text),
        32 => {
            let bytes = BASE32.decode(text.to_ascii_uppercase().as_bytes()).ok()?;
            Some(InfoHash(bytes.try_into().ok()?))
        }
        _ => None,
    }
}

/// A v2 info-hash as a multihash in hexadecimal: SHA-256 (0x12) of 32 bytes (0x20).
pub(super) fn multihash(text: &str) -> Option<InfoHashV2> {
    text.strip_prefix("1220").filter(|digits| digits.len() == 64).and_then(InfoHashV2::from_hex)
}

/// `host:port`, with brackets around an IPv6 address, which some leave out; such an address gets its usual spelling.
fn peer(text: &[u8]) -> Option<PeerHint> {
    let text = usable_url(text)?;
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?.to_string(),
        None => match host.parse::<Ipv6Addr>() {
            Ok(ip) => ip.to_string(),
            Err(_) if host.is_empty() || host.contains([':', '/', '[', ']', '@']) => return None,
            Err(_) => host.to_owned(),
        },
    };
    Some(PeerHint { host, port })
}
