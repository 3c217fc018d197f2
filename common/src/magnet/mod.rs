//! Magnet links: BEP 9, with v2 info-hashes (BEP 52) and file selections (BEP 53).
//!
//! What names the torrent must be right, or the link is refused. Hints (peers, web seeds, sizes) that make no sense
//! are left out.

mod parse;
mod select;

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use thiserror::Error;

pub use select::FileSelection;

use crate::{
    bencode::encode_dict,
    id::{InfoHash, InfoHashV2},
    limits::MAGNET_BYTES_MAX,
    metainfo::Metainfo,
    printable::Printable,
};

/// What a magnet link says. At least one info-hash is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Magnet {
    info_hash_v1: Option<InfoHash>,
    info_hash_v2: Option<InfoHashV2>,
    /// `dn`: a name to show until the metadata is here.
    pub name: Option<String>,
    /// `xl`: the payload's length in bytes, as somebody claims.
    pub length: Option<u64>,
    /// `tr`: the trackers, each a tier of its own, without duplicates.
    pub trackers: Vec<String>,
    /// `ws`: web seeds (BEP 19).
    pub web_seeds: Vec<String>,
    /// `x.pe`: peers to begin with.
    pub peers: Vec<PeerHint>,
    /// `so`: the files to download (BEP 53); `None` means all.
    pub files: Option<FileSelection>,
}

/// A peer by host name or address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PeerHint {
    /// A host name or an IP address (IPv6 without brackets).
    pub host: String,
    /// The port, never 0.
    pub port: u16,
}

/// Why a text is no magnet link. The texts quoted are safe to show.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum MagnetError {
    /// The text is too long for a link.
    #[error("the magnet link is longer than {MAGNET_BYTES_MAX} bytes")]
    TooLong,
    /// The text does not begin like a magnet link.
    #[error("not a magnet link: it does not begin with \"magnet:?\"")]
    NotMagnet,
    /// A text that is neither a link nor an info-hash.
    #[error("neither a magnet link nor an info-hash of 40 or 64 hexadecimal digits")]
    NotInfoHash,
    /// A percent sign without two hexadecimal digits.
    #[error("the magnet link's parameter \"{0}\" has a percent sign without two hexadecimal digits")]
    Escape(Printable),
    /// No `xt` names a torrent.
    #[error("the magnet link names no torrent: \"xt=urn:btih:…\" or \"xt=urn:btmh:…\" is missing")]
    NoInfoHash,
    /// A v1 info-hash of the wrong form.
    #[error(
        "\"{0}\" is no info-hash: 40 hexadecimal digits or 32 of base32 are expected after \"urn:btih:\""
    )]
    InfoHash(Printable),
    /// A v2 info-hash of the wrong form.
    #[error("\"{0}\" is no v2 info-hash: 1220 and 64 hexadecimal digits are expected after \"urn:btmh:\"")]
    InfoHashV2(Printable),
    /// Two `xt` of one version that differ.
    #[error("the magnet link names two different torrents")]
    TwoTorrents,
    /// A file selection of the wrong form.
    #[error("\"{0}\" is no file selection: numbers and ranges such as 0,2,4-7 are expected after \"so=\"")]
    Selection(Printable),
}

impl Magnet {
    /// The bare link of a v1 info-hash, a v2 info-hash, or both; `None` of neither.
    pub fn new(info_hash_v1: Option<InfoHash>, info_hash_v2: Option<InfoHashV2>) -> Option<Self> {
        (info_hash_v1.is_some() || info_hash_v2.is_some()).then_some(Self {
            info_hash_v1,
            info_hash_v2,
            name: None,
            length: None,
            trackers: Vec::new(),
            web_seeds: Vec::new(),
            peers: Vec::new(),
            files: None,
        })
    }

    /// Parses a magnet link.
    pub fn parse(text: &str) -> Result<Self, MagnetError> {
        parse::link(text.trim())
    }

    /// Parses a magnet link or a bare info-hash: 40 hexadecimal digits or 32 of base32 for v1, 64 hexadecimal digits
    /// (or those after the 1220 of a multihash) for v2.
    pub fn parse_loose(text: &str) -> Result<Self, MagnetError> {
        let text = text.trim();
        if parse::is_link(text) {
            return Self::parse(text);
        }
        let v2 = parse::multihash(text).or_else(|| InfoHashV2::from_hex(text));
        Self::new(parse::info_hash(text), v2).ok_or(MagnetError::NotInfoHash)
    }

    /// A `.torrent` file of the encoded `info` dictionary that peers gave for this link, with the link's trackers, each a tier
    /// of its own, and its web seeds.
    pub fn torrent_file(&self, info: &[u8]) -> Vec<u8> {
        encode_dict(|out| {
            if let Some(first) = self.trackers.first() {
                out.bytes(b"announce", first.as_bytes());
            }
            if self.trackers.len() > 1 {
                out.list(b"announce-list", |out| {
                    self.trackers.iter().for_each(|url| out.list(|out| out.bytes(url.as_bytes())));
                });
            }
            out.raw(b"info", info);
            if !self.web_seeds.is_empty() {
                out.list(b"url-list", |out| self.web_seeds.iter().for_each(|url| out.bytes(url.as_bytes())));
            }
        })
    }

    /// The v1 info-hash.
    pub fn info_hash_v1(&self) -> Option<InfoHash> {
        self.info_hash_v1
    }

    /// The v2 info-hash.
    pub fn info_hash_v2(&self) -> Option<InfoHashV2> {
        self.info_hash_v2
    }

    /// What stands for the torrent in handshakes and announces: the v1 info-hash, or the beginning of the v2
    /// info-hash when there is no other (BEP 52).
    pub fn info_hash(&self) -> InfoHash {
        let truncated = || self.info_hash_v2.map(|hash| hash.truncated());
        self.info_hash_v1.or_else(truncated).expect("a magnet link has an info-hash")
    }
}

impl From<&Metainfo> for Magnet {
    /// The link of a torrent, with its name, length, trackers and web seeds.
    fn from(metainfo: &Metainfo) -> Self {
        let bare = Self::new(metainfo.info_hash_v1(), metainfo.info_hash_v2());
        Self {
            name: Some(metainfo.name().to_owned()),
            length: Some(metainfo.total_size()),
            trackers: metainfo.trackers().concat(),
            web_seeds: metainfo.web_seeds().to_vec(),
            ..bare.expect("a torrent has an info-hash")
        }
    }
}

/// Everything but what RFC 3986 leaves unreserved.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl fmt::Display for Magnet {
    /// The link in its usual form; parsing it gives an equal value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hash_v1 = self.info_hash_v1.map(|hash| format!("urn:btih:{hash}"));
        let hash_v2 = self.info_hash_v2.map(|hash| format!("urn:btmh:1220{hash}"));
        let hashes: Vec<_> = [hash_v1, hash_v2].into_iter().flatten().collect();
        write!(f, "magnet:?xt={}", hashes.join("&xt="))?;
        let mut text = |key, value: &str| write!(f, "&{key}={}", utf8_percent_encode(value, ESCAPED));
        self.name.iter().try_for_each(|name| text("dn", name))?;
        self.length.iter().try_for_each(|length| text("xl", &length.to_string()))?;
        self.trackers.iter().try_for_each(|url| text("tr", url))?;
        self.web_seeds.iter().try_for_each(|url| text("ws", url))?;
        self.peers.iter().try_for_each(|peer| text("x.pe", &peer.to_string()))?;
        // Its commas need no escape, and a person may want to read it.
        self.files.iter().try_for_each(|files| write!(f, "&so={files}"))
    }
}

impl fmt::Display for PeerHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.parse::<Ipv6Addr>().is_ok() {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl PeerHint {
    /// The address, unless the host is a name that has to be looked up.
    pub fn addr(&self) -> Option<std::net::SocketAddr> {
        let ip: IpAddr = self.host.parse().ok()?;
        Some((ip, self.port).into())
    }
}

#[cfg(test)]
mod tests;
