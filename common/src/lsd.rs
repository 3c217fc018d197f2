//! The announce of local service discovery (BEP 14): one datagram to everybody in the local network, with headers like
//! those of HTTP.

use std::fmt;

use thiserror::Error;

use crate::InfoHash;

/// Largest announce that is written, in bytes: it fits in one packet of every network (BEP 14).
pub const ANNOUNCE_BYTES_MAX: usize = 1_400;

/// Largest announce that is read, in bytes: more than fits in a packet of an Ethernet.
pub const DATAGRAM_BYTES_MAX: usize = 2_048;

/// Longest cookie, in bytes; other clients send up to 20.
pub const COOKIE_BYTES_MAX: usize = 32;

/// Most info-hashes of an announce that is written: with the longest cookie and group it is within
/// [`ANNOUNCE_BYTES_MAX`].
pub const INFO_HASHES_MAX: usize = 24;

/// The first word of an announce.
const METHOD: &str = "BT-SEARCH";
/// The longest `Host` of [`Announce::encode`]: an IPv6 group with its port.
const HOST_BYTES_MAX: usize = 48;
/// What `encode` writes around the info-hashes, without group, cookie and port.
const FRAME_BYTES: usize = "BT-SEARCH * HTTP/1.1\r\nHost: \r\nPort: 65535\r\ncookie: \r\n\r\n\r\n".len();
/// One info-hash and its header.
const INFO_HASH_BYTES: usize = "Infohash: \r\n".len() + 40;

const _: () = assert!(
    FRAME_BYTES + HOST_BYTES_MAX + COOKIE_BYTES_MAX + INFO_HASHES_MAX * INFO_HASH_BYTES <= ANNOUNCE_BYTES_MAX
);

/// Somebody in the local network has these torrents, and listens on this port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Announce {
    /// The port for peer connections, never 0. The address is that of the datagram's sender.
    pub port: u16,
    /// At least one.
    pub info_hashes: Vec<InfoHash>,
    /// What the sender knows its own announces by, as multicast comes back to its sender.
    pub cookie: Option<Cookie>,
}

/// What a client marks its announces with: up to [`COOKIE_BYTES_MAX`] visible ASCII characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cookie {
    bytes: [u8; COOKIE_BYTES_MAX],
    length: u8,
}

impl Cookie {
    /// Ours, of 64 random bits.
    pub fn ours(entropy: u64) -> Self {
        Self::parse(&format!("{entropy:016x}")).expect("16 digits are visible and few")
    }

    /// Reads what stands in a header; `None` if it is empty, too long or not visible.
    pub fn parse(text: &str) -> Option<Self> {
        let is_fit =
            (1..=COOKIE_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        is_fit.then(|| {
            let mut bytes = [0; COOKIE_BYTES_MAX];
            bytes[..text.len()].copy_from_slice(text.as_bytes());
            Self { bytes, length: text.len() as u8 }
        })
    }

    /// Its characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).expect("only ASCII was taken in")
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a datagram is no announce.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum LsdError {
    /// Longer than any announce.
    #[error(
        "a datagram of {0} bytes is no announce of local discovery; the longest has {DATAGRAM_BYTES_MAX}"
    )]
    TooLong(usize),
    /// Not text.
    #[error("the announce is not text")]
    NotText,
    /// Another method, or another protocol.
    #[error("the datagram does not begin with {METHOD} * HTTP/1.")]
    NotBtSearch,
    /// No `Port`, or none that can be connected to.
    #[error("the announce names no port from 1 to 65535")]
    NoPort,
    /// No `Infohash` of 40 hexadecimal digits.
    #[error("the announce names no torrent")]
    NoInfoHash,
}

impl Announce {
    /// Reads a datagram. Lines may end with CR LF or LF alone, headers are of any case and in any order, and those that
    /// are not known count for nothing. Of a port or a cookie that stands there twice the first counts, and an info-hash
    /// counts once.
    pub fn decode(datagram: &[u8]) -> Result<Self, LsdError> {
        if datagram.len() > DATAGRAM_BYTES_MAX {
            return Err(LsdError::TooLong(datagram.len()));
        }
        let text = std::str::from_utf8(datagram).map_err(|_| LsdError::NotText)?;
        let mut lines = text.split('\n').map(str::trim);
        if !lines.next().is_some_and(is_request) {
            return Err(LsdError::NotBtSearch);
        }
        let (mut port, mut cookie, mut info_hashes) = (None, None, Vec::new());
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let (name, value) = (name.trim_end(), value.trim_start());
            if name.eq_ignore_ascii_case("port") {
                port = port.or_else(|| parse_port(value));
            } else if name.eq_ignore_ascii_case("cookie") {
                cookie = cookie.or_else(|| Cookie::parse(value));
            } else if name.eq_ignore_ascii_case("infohash")
                && let Some(info_hash) = InfoHash::from_hex(value)
                && !info_hashes.contains(&info_hash)
            {
                info_hashes.push(info_hash);
            }
        }
        if info_hashes.is_empty() {
            return Err(LsdError::NoInfoHash);
        }
        Ok(Self { port: port.ok_or(LsdError::NoPort)?, info_hashes, cookie })
    }

    /// The datagram for this multicast `group`, such as `239.192.152.143:6771`. It is within [`ANNOUNCE_BYTES_MAX`] if there
    /// are at most [`INFO_HASHES_MAX`] info-hashes.
    pub fn encode(&self, group: &str) -> Vec<u8> {
        let mut text = format!("{METHOD} * HTTP/1.1\r\nHost: {group}\r\nPort: {}\r\n", self.port);
        for info_hash in &self.info_hashes {
            text.extend(["Infohash: ", &info_hash.to_string(), "\r\n"]);
        }
        if let Some(cookie) = &self.cookie {
            text.extend(["cookie: ", cookie.as_str(), "\r\n"]);
        }
        text.push_str("\r\n\r\n");
        text.into_bytes()
    }
}

fn is_request(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    let method = words.next().is_some_and(|word| word.eq_ignore_ascii_case(METHOD));
    let target = words.next() == Some("*");
    let protocol = words.next().and_then(|word| word.get(..7));
    method && target && protocol.is_some_and(|word| word.eq_ignore_ascii_case("HTTP/1."))
}

/// Digits alone: the standard library would take a sign, too.
fn parse_port(value: &str) -> Option<u16> {
    let is_digits = value.bytes().all(|b| b.is_ascii_digit());
    value.parse().ok().filter(|port| is_digits && *port != 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const V4: &str = "239.192.152.143:6771";
    const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

    fn hash(text: &str) -> InfoHash {
        InfoHash::from_hex(text).expect("40 digits")
    }

    #[test]
    fn what_is_written_is_what_the_bep_shows() {
        let announce =
            Announce { port: 6881, info_hashes: vec![hash(HASH)], cookie: Some(Cookie::ours(0xbeef)) };
        let text = format!(
            "BT-SEARCH * HTTP/1.1\r\nHost: {V4}\r\nPort: 6881\r\nInfohash: {HASH}\r\ncookie: 000000000000beef\r\n\r\n\r\n"
        );
        assert_eq!(announce.encode(V4), text.as_bytes());
        assert_eq!(Announce::decode(text.as_bytes()), Ok(announce));
    }

    #[test]
    fn other_clients_are_understood() {
        let upper = HASH.to_uppercase();
        for text in [
            format!("BT-SEARCH * HTTP/1.1\r\nHost: {V4}\r\nPort: 6881\r\nInfohash: {HASH}\r\n\r\n\r\n"),
            format!("bt-search * http/1.0\nport:6881\ninfohash:{upper}\n"),
            format!(
                "BT-SEARCH * HTTP/1.1\r\nInfohash : {upper}\r\nPORT:   6881  \r\nX-Other: a: b\r\nnonsense\r\n"
            ),
            format!("BT-SEARCH * HTTP/1.1\r\nInfohash: {HASH}\r\nInfohash: {upper}\r\nPort: 6881\r\nPort: 7"),
            format!(
                "BT-SEARCH * HTTP/1.1\r\nInfohash: {HASH}\r\nInfohash: short\r\nPort: 6881\r\ncookie: \r\n\r\n"
            ),
        ] {
            let read = Announce::decode(text.as_bytes());
            let wanted = Announce { port: 6881, info_hashes: vec![hash(HASH)], cookie: None };
            assert_eq!(read, Ok(wanted), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_announce_says_why() {
        let with =
            |line: &str| format!("BT-SEARCH * HTTP/1.1\r\nInfohash: {HASH}\r\n{line}\r\n\r\n").into_bytes();
        for (datagram, error) in [
            (vec![b'a'; DATAGRAM_BYTES_MAX + 1], LsdError::TooLong(DATAGRAM_BYTES_MAX + 1)),
            (vec![0xff, 0xfe], LsdError::NotText),
            (Vec::new(), LsdError::NotBtSearch),
            (b"M-SEARCH * HTTP/1.1\r\n".to_vec(), LsdError::NotBtSearch),
            (b"BT-SEARCH / HTTP/1.1\r\n".to_vec(), LsdError::NotBtSearch),
            (b"BT-SEARCH * HTTP/2\r\n".to_vec(), LsdError::NotBtSearch),
            (b"BT-SEARCH * HTTP/1.1\r\nPort: 1\r\n\r\n".to_vec(), LsdError::NoInfoHash),
            (b"BT-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: 0123\r\n\r\n".to_vec(), LsdError::NoInfoHash),
            (with("Port: 0"), LsdError::NoPort),
            (with("Port: 65536"), LsdError::NoPort),
            (with("Port: +5"), LsdError::NoPort),
            (with("Port: -5"), LsdError::NoPort),
            (with("Cookie: 5"), LsdError::NoPort),
        ] {
            assert_eq!(Announce::decode(&datagram), Err(error), "{}", datagram.escape_ascii());
        }
    }

    #[test]
    fn cookies_are_visible_and_short() {
        for (text, is_taken) in [
            ("1", true),
            (&"x".repeat(COOKIE_BYTES_MAX), true),
            (&"x".repeat(COOKIE_BYTES_MAX + 1), false),
            ("", false),
            ("a b", false),
            ("\u{1b}[2J", false),
            ("é", false),
        ] {
            assert_eq!(
                Cookie::parse(text).map(|cookie| cookie.as_str().to_owned()),
                is_taken.then(|| text.to_owned())
            );
        }
    }

    #[test]
    fn the_longest_announce_fits_in_a_packet() {
        let announce = Announce {
            port: 65_535,
            info_hashes: (0..INFO_HASHES_MAX as u8).map(|n| InfoHash([n; 20])).collect(),
            cookie: Cookie::parse(&"c".repeat(COOKIE_BYTES_MAX)),
        };
        let host = "h".repeat(HOST_BYTES_MAX);
        let length = announce.encode(&host).len();
        assert_eq!(
            length,
            FRAME_BYTES + HOST_BYTES_MAX + COOKIE_BYTES_MAX + INFO_HASHES_MAX * INFO_HASH_BYTES
        );
        assert!(length <= ANNOUNCE_BYTES_MAX);
    }

    proptest! {
        #[test]
        fn round_trip(
            port in 1u16..,
            info_hashes in proptest::collection::btree_set(any::<[u8; 20]>(), 1..=INFO_HASHES_MAX),
            cookie in proptest::option::of("[!-~]{1,32}"),
        ) {
            let info_hashes = info_hashes.into_iter().map(InfoHash).collect();
            let announce = Announce { port, info_hashes, cookie: cookie.and_then(|text| Cookie::parse(&text)) };
            prop_assert_eq!(Announce::decode(&announce.encode(V4)), Ok(announce));
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Announce::decode(&bytes);
        }

        #[test]
        fn lines_in_any_order_never_panic(lines in proptest::collection::vec(
            "(BT-SEARCH \\* HTTP/1.1|(Port|Infohash|cookie|Host|) ?:? ?[0-9a-f]{0,42})\r?\n?", 0..12,
        )) {
            let _ = Announce::decode(lines.concat().as_bytes());
            let _ = Announce::decode(format!("BT-SEARCH * HTTP/1.1\r\n{}", lines.concat()).as_bytes());
        }
    }
}
