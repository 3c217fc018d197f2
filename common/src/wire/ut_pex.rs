//! The messages of peer exchange (BEP 11): which peers the sender is connected to since its last one.

use std::net::SocketAddr;

use thiserror::Error;

use crate::{
    addr::{compact_v4, compact_v6, write_compact},
    bencode::{BencodeError, Limits, Node, encode_dict, parse_prefix},
    limits::EXTENDED_MESSAGE_BYTES_MAX,
};

/// Most added contacts of one message, and most dropped ones (BEP 11). What is beyond is neither written nor read.
pub const PEX_CONTACTS_MAX: usize = 50;

/// Six flat strings, and room for what others may add.
const LIMITS: Limits = Limits::lenient(4, 256, EXTENDED_MESSAGE_BYTES_MAX as usize);

/// What is said of an added contact.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PexFlags(pub u8);

impl PexFlags {
    /// It prefers encryption.
    pub const ENCRYPTION: Self = Self(0x01);
    /// It has everything, or takes nothing (BEP 21).
    pub const SEED: Self = Self(0x02);
    /// It speaks uTP (BEP 29).
    pub const UTP: Self = Self(0x04);
    /// It helps to punch holes (BEP 55).
    pub const HOLEPUNCH: Self = Self(0x08);
    /// The sender connected to it, so that it can be reached.
    pub const REACHABLE: Self = Self(0x10);

    /// Whether all of `flags` are set.
    pub fn has(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Those that are in both.
    #[must_use]
    pub fn and(self, flags: Self) -> Self {
        Self(self.0 & flags.0)
    }

    /// These and `flags`, if `condition` holds.
    #[must_use]
    pub fn with_if(self, condition: bool, flags: Self) -> Self {
        if condition { Self(self.0 | flags.0) } else { self }
    }
}

/// A peer that the sender is connected to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PexContact {
    /// Where it listens.
    pub address: SocketAddr,
    /// What is said of it.
    pub flags: PexFlags,
}

/// A message of peer exchange. What is read has at most [`PEX_CONTACTS_MAX`] of each, in canonical form and not judged
/// otherwise: port 0 and addresses of no use may be among them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct PexMessage {
    /// Who came.
    pub added: Vec<PexContact>,
    /// Who went.
    pub dropped: Vec<SocketAddr>,
}

/// Why a payload is no message of peer exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum PexError {
    /// It is not bencoded, or beyond the limits.
    #[error("sent a peer exchange that cannot be read: {0}")]
    Bencode(#[from] BencodeError),
    /// It is another value than a dictionary.
    #[error("sent a peer exchange that is not a dictionary")]
    NotADictionary,
    /// A list of addresses ends inside one.
    #[error("sent a peer exchange with half an address")]
    HalfAnAddress,
}

impl PexMessage {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.dropped.is_empty()
    }

    /// The payload. Of more than [`PEX_CONTACTS_MAX`] added or dropped contacts the first are written.
    pub fn encode(&self) -> Vec<u8> {
        let (mut added, mut dropped) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        let mut flags = [Vec::new(), Vec::new()];
        for contact in self.added.iter().take(PEX_CONTACTS_MAX) {
            let family = usize::from(contact.address.is_ipv6());
            write_compact(&mut added[family], contact.address);
            flags[family].push(contact.flags.0);
        }
        for address in self.dropped.iter().take(PEX_CONTACTS_MAX) {
            write_compact(&mut dropped[usize::from(address.is_ipv6())], *address);
        }
        encode_dict(|out| {
            let mut field = |key: &[u8], value: &[u8], is_there: bool| {
                if is_there {
                    out.bytes(key, value);
                }
            };
            // Some read nothing without the first of these.
            field(b"added", &added[0], true);
            field(b"added.f", &flags[0], true);
            field(b"added6", &added[1], !added[1].is_empty());
            field(b"added6.f", &flags[1], !added[1].is_empty());
            field(b"dropped", &dropped[0], !dropped[0].is_empty());
            field(b"dropped6", &dropped[1], !dropped[1].is_empty());
        })
    }

    /// Reads a payload. A field of the wrong kind counts as absent, a missing flag as not set; neither family takes more
    /// than half of the room from the other. Bytes after the dictionary are ignored, because some clients pad.
    pub fn decode(payload: &[u8]) -> Result<Self, PexError> {
        let (document, _) = parse_prefix(payload, &LIMITS)?;
        let root = document.root();
        if root.as_dict().is_none() {
            return Err(PexError::NotADictionary);
        }
        let flags = [bytes_of(root, b"added.f"), bytes_of(root, b"added6.f")];
        let added = addresses(bytes_of(root, b"added"), bytes_of(root, b"added6"))?;
        let contacts = added.into_iter().map(|(family, number, address)| {
            let flags = PexFlags(flags[family].get(number).copied().unwrap_or(0));
            PexContact { address, flags }
        });
        let dropped = addresses(bytes_of(root, b"dropped"), bytes_of(root, b"dropped6"))?;
        Ok(Self {
            added: contacts.collect(),
            dropped: dropped.into_iter().map(|(_, _, address)| address).collect(),
        })
    }
}

fn bytes_of<'a>(root: Node<'_, 'a>, key: &[u8]) -> &'a [u8] {
    root.get(key).and_then(|node| node.as_bytes()).unwrap_or_default()
}

/// The addresses of both families with the place of each in its own, at most [`PEX_CONTACTS_MAX`] in all.
fn addresses(v4: &[u8], v6: &[u8]) -> Result<Vec<(usize, usize, SocketAddr)>, PexError> {
    let room_v6 = PEX_CONTACTS_MAX - (v4.len() / 6).min(PEX_CONTACTS_MAX / 2);
    let room_v4 = PEX_CONTACTS_MAX - (v6.len() / 18).min(room_v6);
    let first = compact_v4(v4).ok_or(PexError::HalfAnAddress)?.take(room_v4).enumerate();
    let second = compact_v6(v6).ok_or(PexError::HalfAnAddress)?.take(room_v6).enumerate();
    let first = first.map(|(number, address)| (0, number, address));
    let second = second.map(|(number, address)| (1, number, address));
    Ok(first.chain(second).collect())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn contact(text: &str, flags: u8) -> PexContact {
        PexContact { address: at(text), flags: PexFlags(flags) }
    }

    #[test]
    fn vectors() {
        let nothing = PexMessage::default();
        let cases: [(&[u8], PexMessage); 7] = [
            (b"de", nothing.clone()),
            (b"d5:added0:7:added.f0:e and more", nothing.clone()),
            (b"d5:addedi7e7:droppedlee", nothing),
            (
                b"d5:added12:\x01\x02\x03\x04\x1a\xe1\x05\x06\x07\x08\x00\x007:added.f1:\x12e",
                PexMessage {
                    added: vec![contact("1.2.3.4:6881", 0x12), contact("5.6.7.8:0", 0)],
                    dropped: Vec::new(),
                },
            ),
            (
                b"d6:added618:\x26\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\x09\x1a\xe18:added6.f2:\x02\xff7:dropped6:\x09\x09\x09\x09\0\x09e",
                PexMessage {
                    added: vec![contact("[2606::9]:6881", 2)],
                    dropped: vec![at("9.9.9.9:9")],
                },
            ),
            (
                b"d8:dropped618:\0\0\0\0\0\0\0\0\0\0\xff\xff\x01\x02\x03\x04\0\x05e",
                PexMessage { added: Vec::new(), dropped: vec![at("1.2.3.4:5")] },
            ),
            // libtorrent writes all fields, and keys of its own may follow.
            (
                b"d5:added6:\x01\x02\x03\x04\0\x057:added.f1:\x106:added60:8:added6.f0:7:dropped0:8:dropped60:1:zi1ee",
                PexMessage { added: vec![contact("1.2.3.4:5", 0x10)], dropped: Vec::new() },
            ),
        ];
        for (payload, message) in cases {
            assert_eq!(PexMessage::decode(payload), Ok(message), "{}", payload.escape_ascii());
        }
        assert_eq!(PexMessage::decode(b"le"), Err(PexError::NotADictionary));
        assert_eq!(PexMessage::decode(b"d5:added5:abcdee"), Err(PexError::HalfAnAddress));
        assert_eq!(PexMessage::decode(b"d8:dropped619:0123456789012345678e"), Err(PexError::HalfAnAddress));
        assert!(matches!(PexMessage::decode(b"d5:added"), Err(PexError::Bencode(_))));
    }

    #[test]
    fn what_is_written() {
        let message = PexMessage {
            added: vec![contact("1.2.3.4:5", 0x12), contact("[2606::9]:6881", 2)],
            dropped: vec![at("9.9.9.9:9")],
        };
        let written = b"d5:added6:\x01\x02\x03\x04\0\x057:added.f1:\x126:added618:\x26\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\x09\x1a\xe18:added6.f1:\x027:dropped6:\x09\x09\x09\x09\0\x09e";
        assert_eq!(message.encode().escape_ascii().to_string(), written.escape_ascii().to_string());
        assert_eq!(PexMessage::default().encode(), b"d5:added0:7:added.f0:e");
    }

    #[test]
    fn row_2_12_a_flood_is_cut_and_deep_nesting_refused() {
        let v4 = vec![7_u8; 6 * 8_000];
        let v6 = vec![0x26_u8; 18 * 1_000];
        for (v4, v6, expected) in [
            (&v4[..], &v6[..], [25, 25]),
            (&v4[..], &v6[..18 * 3], [47, 3]),
            (&v4[..60], &v6[..], [10, 40]),
            (&v4[..], &[][..], [50, 0]),
            (&[][..], &v6[..], [0, 50]),
        ] {
            let payload = encode_dict(|out| {
                out.bytes(b"added", v4);
                out.bytes(b"added6", v6);
                out.bytes(b"dropped", v4);
            });
            let message = PexMessage::decode(&payload).expect("readable");
            let of_v4 = message.added.iter().filter(|contact| contact.address.is_ipv4()).count();
            assert_eq!([of_v4, message.added.len() - of_v4], expected);
            assert!(message.dropped.len() <= PEX_CONTACTS_MAX);
        }
        let huge = encode_dict(|out| out.bytes(b"added", &vec![0; 600 * 1024]));
        assert!(
            matches!(PexMessage::decode(&huge), Err(PexError::Bencode(_))),
            "longer than a message may be"
        );
        let deep = [vec![b'l'; 20_000], vec![b'e'; 20_000]].concat();
        assert!(matches!(PexMessage::decode(&deep), Err(PexError::Bencode(_))));
    }

    fn address() -> impl Strategy<Value = SocketAddr> {
        prop_oneof![
            any::<(u32, u16)>().prop_map(|(ip, port)| (Ipv4Addr::from_bits(ip), port).into()),
            any::<(u128, u16)>()
                .prop_map(|(ip, port)| crate::addr::canonical((Ipv6Addr::from_bits(ip), port).into())),
        ]
    }

    proptest! {
        #[test]
        fn messages_round_trip(
            added in proptest::collection::vec((address(), any::<u8>()), 0..=PEX_CONTACTS_MAX),
            dropped in proptest::collection::vec(address(), 0..=PEX_CONTACTS_MAX),
        ) {
            let contacts = added.into_iter();
            let added = contacts.map(|(address, flags)| PexContact { address, flags: PexFlags(flags) }).collect();
            let mut message = PexMessage { added, dropped };
            message.added.sort_by_key(|contact| contact.address.is_ipv6());
            message.dropped.sort_by_key(SocketAddr::is_ipv6);
            prop_assert_eq!(PexMessage::decode(&message.encode()), Ok(message));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = PexMessage::decode(&bytes);
        }
    }
}
