//! The extended handshake (BEP 10; `upload_only` from BEP 21, `metadata_size` from BEP 9).

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use thiserror::Error;

use crate::{
    Printable,
    bencode::{BencodeError, Dict, Limits, Node, encode_dict, parse_prefix},
};

/// Most characters of a client's name that are kept; longer names are attempts at something.
pub const CLIENT_CHARS_MAX: usize = 64;

/// Longest name of an extension that is kept, in bytes.
const EXTENSION_NAME_BYTES_MAX: usize = 64;

/// Largest `reqq` that is believed: far above what any client queues (libtorrent and Transmission: 2,000).
const REQUEST_QUEUE_CLAIM_MAX: i64 = 65_535;

/// What an extended handshake says. Each field may be absent; a later handshake changes only what it names.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ExtendedHandshake {
    /// `m`: the extensions, each with the id under which its sender wants to receive it; 0 switches it off.
    pub extensions: BTreeMap<String, u8>,
    /// `p`: the port that the sender listens on, never 0.
    pub listen_port: Option<u16>,
    /// `v`: the sender's name and version, at most [`CLIENT_CHARS_MAX`] characters.
    pub client: Option<Printable>,
    /// `yourip`: the address at which the sender sees the receiver.
    pub your_ip: Option<IpAddr>,
    /// `reqq`: how many requests the sender queues, never 0.
    pub request_queue: Option<u32>,
    /// `upload_only`: whether the sender downloads nothing more (BEP 21).
    pub upload_only: Option<bool>,
    /// `metadata_size`: the length of the `info` dictionary, in bytes (BEP 9). Not yet judged.
    pub metadata_size: Option<u32>,
}

/// Why a payload is not an extended handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ExtendedError {
    /// It is not bencoded, or beyond the limits.
    #[error("sent an extended handshake that cannot be read: {0}")]
    Bencode(#[from] BencodeError),
    /// It is another value than a dictionary.
    #[error("sent an extended handshake that is not a dictionary")]
    NotADictionary,
}

impl ExtendedHandshake {
    /// The payload of the message with extended id 0.
    pub fn encode(&self) -> Vec<u8> {
        encode_dict(|out| {
            out.dict(b"m", |out| {
                for (name, id) in &self.extensions {
                    out.int(name.as_bytes(), i64::from(*id));
                }
            });
            if let Some(size) = self.metadata_size {
                out.int(b"metadata_size", i64::from(size));
            }
            if let Some(port) = self.listen_port {
                out.int(b"p", i64::from(port));
            }
            if let Some(depth) = self.request_queue {
                out.int(b"reqq", i64::from(depth));
            }
            if let Some(upload_only) = self.upload_only {
                out.int(b"upload_only", i64::from(upload_only));
            }
            if let Some(client) = &self.client {
                out.bytes(b"v", client.as_str().as_bytes());
            }
            match self.your_ip {
                Some(IpAddr::V4(ip)) => out.bytes(b"yourip", &ip.octets()),
                Some(IpAddr::V6(ip)) => out.bytes(b"yourip", &ip.octets()),
                None => {}
            }
        })
    }

    /// Reads a payload. A field of the wrong kind or out of range counts as absent; bytes after the dictionary are
    /// ignored, because some clients pad.
    pub fn decode(payload: &[u8]) -> Result<Self, ExtendedError> {
        let (document, _) = parse_prefix(payload, &Limits::EXTENDED_HANDSHAKE)?;
        let Some(dict) = document.root().as_dict() else { return Err(ExtendedError::NotADictionary) };
        let mut handshake = Self::default();
        for (key, value) in dict.iter() {
            handshake.read(key, value);
        }
        Ok(handshake)
    }

    fn read(&mut self, key: &[u8], value: Node<'_, '_>) {
        let number = value.as_int();
        match key {
            b"m" => self.extensions = value.as_dict().map(|names| extensions_of(&names)).unwrap_or_default(),
            b"metadata_size" => self.metadata_size = number.and_then(|size| u32::try_from(size).ok()),
            b"p" => {
                self.listen_port = number.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
            }
            b"reqq" => {
                self.request_queue = number.map(|depth| depth.clamp(1, REQUEST_QUEUE_CLAIM_MAX) as u32);
            }
            b"upload_only" => self.upload_only = number.map(|flag| flag != 0),
            b"v" => self.client = value.as_bytes().map(client_name),
            b"yourip" => self.your_ip = value.as_bytes().and_then(address),
            _ => {}
        }
    }
}

fn extensions_of(names: &Dict<'_, '_>) -> BTreeMap<String, u8> {
    let pairs = names.iter().filter_map(|(name, id)| {
        let name = std::str::from_utf8(name).ok().filter(|name| name.len() <= EXTENSION_NAME_BYTES_MAX)?;
        Some((name.to_owned(), u8::try_from(id.as_int()?).ok()?))
    });
    pairs.collect()
}

/// The name made safe and cut. An escape can be longer than the character it stands for, hence the second cut.
fn client_name(bytes: &[u8]) -> Printable {
    let kept = CLIENT_CHARS_MAX - 1; // and the ellipsis
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * CLIENT_CHARS_MAX)]);
    Printable::bounded(Printable::bounded(&text, kept).as_str(), kept)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(octets).into());
    }
    let octets = <[u8; 16]>::try_from(bytes).ok()?;
    Some(IpAddr::from(Ipv6Addr::from(octets)).to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(payload: &[u8]) -> ExtendedHandshake {
        ExtendedHandshake::decode(payload).expect("readable")
    }

    #[test]
    fn the_example_of_bep_10() {
        let handshake =
            decode(b"d1:md11:LT_metadatai1e7:\xc2\xb5T_PEXi2ee1:pi6881e1:v13:\xc2\xb5Torrent 1.2e");
        assert_eq!(handshake.listen_port, Some(6881));
        assert_eq!(handshake.client, Some("\u{b5}Torrent 1.2".into()));
        let ids: Vec<_> = handshake.extensions.iter().map(|(name, id)| (name.as_str(), *id)).collect();
        assert_eq!(ids, [("LT_metadata", 1), ("\u{b5}T_PEX", 2)]);
    }

    #[test]
    fn row_2_10_fields_that_make_no_sense_count_as_absent() {
        let nothing = ExtendedHandshake::default();
        for payload in [
            &b"de"[..],
            b"d1:mi5ee",
            b"d1:m3:abce",
            b"d1:pi0ee",
            b"d1:pi65536ee",
            b"d1:pi-1ee",
            b"d1:p4:6881e",
            b"d4:reqq3:abce",
            b"d4:reqqi99999999999999999999ee",
            b"d1:vi7ee",
            b"d6:yourip3:abce",
            b"d13:metadata_sizei-1ee",
            b"d13:metadata_sizei4294967296ee",
            b"d11:upload_onlyle4:zzzzi1ee",
            b"de and whatever follows",
        ] {
            assert_eq!(decode(payload), nothing, "{}", payload.escape_ascii());
        }
    }

    #[test]
    fn row_2_10_numbers_are_kept_in_bounds() {
        assert_eq!(decode(b"d4:reqqi0ee").request_queue, Some(1));
        assert_eq!(decode(b"d4:reqqi-5ee").request_queue, Some(1));
        assert_eq!(decode(b"d4:reqqi9000000000ee").request_queue, Some(65_535));
        assert_eq!(decode(b"d4:reqqi250ee").request_queue, Some(250));
        assert_eq!(decode(b"d11:upload_onlyi7ee").upload_only, Some(true));
        let ids = decode(b"d1:md1:ai0e1:bi1e1:ci255e1:di256e1:ei-1eee").extensions;
        assert_eq!(ids, BTreeMap::from([("a".into(), 0), ("b".into(), 1), ("c".into(), 255)]));
    }

    #[test]
    fn row_2_10_hostile_handshakes_are_bounded() {
        let deep = [vec![b'l'; 200_000], vec![b'e'; 200_000]].concat();
        assert!(matches!(ExtendedHandshake::decode(&deep), Err(ExtendedError::Bencode(_))), "nesting");
        let names = (0..5_000).map(|number| format!("{number:04}"));
        let many =
            ExtendedHandshake { extensions: names.map(|name| (name, 1)).collect(), ..Default::default() };
        assert!(
            matches!(ExtendedHandshake::decode(&many.encode()), Err(ExtendedError::Bencode(_))),
            "entries"
        );
        for payload in [&b"le"[..], b"i1e", b"4:spam"] {
            assert_eq!(ExtendedHandshake::decode(payload), Err(ExtendedError::NotADictionary));
        }
        let long = format!("d1:v60000:{}e", "\u{1b}[2J ".repeat(12_000));
        let client = decode(long.as_bytes()).client.expect("present");
        assert!(client.as_str().chars().count() <= CLIENT_CHARS_MAX, "{client}");
        assert!(!client.as_str().contains('\u{1b}'));
        let name = "x".repeat(65);
        assert!(decode(format!("d1:md65:{name}i1eee").as_bytes()).extensions.is_empty());
    }

    proptest! {
        #[test]
        fn handshakes_round_trip(
            names in proptest::collection::btree_map("[a-z_]{0,12}", any::<u8>(), 0..8),
            listen_port in proptest::option::of(1u16..),
            client in proptest::option::of("[ -~]{0,63}"),
            your_ip: Option<[u8; 4]>,
            request_queue in proptest::option::of(1u32..=65_535),
            upload_only: Option<bool>,
            metadata_size: Option<u32>,
        ) {
            let handshake = ExtendedHandshake {
                extensions: names,
                listen_port,
                client: client.map(|client| Printable::new(&client)),
                your_ip: your_ip.map(IpAddr::from),
                request_queue,
                upload_only,
                metadata_size,
            };
            prop_assert_eq!(ExtendedHandshake::decode(&handshake.encode()), Ok(handshake));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = ExtendedHandshake::decode(&bytes);
        }
    }
}
