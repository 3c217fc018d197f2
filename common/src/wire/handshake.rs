//! The 68 bytes that open every connection (BEP 3), and the routing of an incoming one by its first 48.

use bytes::BufMut;
use thiserror::Error;

use crate::{InfoHash, PeerId};

/// What every handshake begins with: the length 19 and the protocol's name (BEP 3).
pub const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";

/// The length of a handshake: [`PROTOCOL`], eight reserved bytes, info-hash, peer id.
pub const HANDSHAKE_BYTES: usize = 68;

/// Where the info-hash ends; an incoming connection can be routed from here on.
const ROUTABLE_BYTES: usize = 48;

const RESERVED_AT: usize = PROTOCOL.len();
const INFO_HASH_AT: usize = RESERVED_AT + 8;

/// The eight reserved bytes of a handshake, in which extensions are announced.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Reserved(pub [u8; 8]);

impl Reserved {
    /// No extension.
    pub const NONE: Self = Self([0; 8]);
    /// The extension protocol (BEP 10).
    pub const EXTENDED: Self = Self([0, 0, 0, 0, 0, 0x10, 0, 0]);
    /// The DHT, and with it PORT messages (BEP 5).
    pub const DHT: Self = Self([0, 0, 0, 0, 0, 0, 0, 0x01]);
    /// The fast extension (BEP 6).
    pub const FAST: Self = Self([0, 0, 0, 0, 0, 0, 0, 0x04]);
    /// A hybrid torrent may be upgraded to v2 (BEP 52).
    pub const V2: Self = Self([0, 0, 0, 0, 0, 0, 0, 0x10]);

    /// The extensions of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self((u64::from_be_bytes(self.0) | u64::from_be_bytes(other.0)).to_be_bytes())
    }

    /// Whether every extension of `other` is announced.
    pub const fn has(self, other: Self) -> bool {
        let wanted = u64::from_be_bytes(other.0);
        u64::from_be_bytes(self.0) & wanted == wanted
    }
}

/// The opening of a connection (BEP 3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handshake {
    /// The extensions that the sender speaks.
    pub reserved: Reserved,
    /// The torrent.
    pub info_hash: InfoHash,
    /// The sender.
    pub peer_id: PeerId,
}

/// Why bytes are not the beginning of a handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum HandshakeError {
    /// They do not begin with [`PROTOCOL`]: encryption, or another protocol.
    #[error("does not open with a plain BitTorrent handshake")]
    Protocol,
}

impl Handshake {
    /// The 68 bytes.
    pub fn encode(&self) -> [u8; HANDSHAKE_BYTES] {
        let mut bytes = [0; HANDSHAKE_BYTES];
        let mut rest = &mut bytes[..];
        rest.put_slice(PROTOCOL);
        rest.put_slice(&self.reserved.0);
        rest.put_slice(&self.info_hash.0);
        rest.put_slice(&self.peer_id.0);
        bytes
    }

    /// Reads a handshake from the first 68 bytes; `None` while fewer came, an error from the first byte that no
    /// handshake can have.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, HandshakeError> {
        check_protocol(bytes)?;
        let Some(whole) = bytes.first_chunk::<HANDSHAKE_BYTES>() else { return Ok(None) };
        Ok(Some(Self {
            reserved: Reserved(array_at(whole, RESERVED_AT)),
            info_hash: InfoHash(array_at(whole, INFO_HASH_AT)),
            peer_id: PeerId(array_at(whole, ROUTABLE_BYTES)),
        }))
    }
}

/// What to do with an incoming connection, judged by the bytes it has sent so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Preamble {
    /// Read on; these bytes can still become a handshake.
    NeedMore,
    /// The connection is for this torrent. Hand it over together with the bytes read; if there is no such torrent,
    /// close it and send nothing: an answer would tell strangers what we hold.
    Route(InfoHash),
    /// Not a plain handshake. Close at once and send nothing, so that a peer that tried encryption falls back.
    Close,
}

impl Preamble {
    /// Judges everything that came since the connection was accepted. At most 68 bytes are worth reading for it.
    ///
    /// The info-hash decides, 48 bytes in: some peers wait for our handshake before they send their id.
    pub fn of(bytes: &[u8]) -> Self {
        if check_protocol(bytes).is_err() {
            return Self::Close;
        }
        match bytes.first_chunk::<ROUTABLE_BYTES>() {
            Some(routable) => Self::Route(InfoHash(array_at(routable, INFO_HASH_AT))),
            None => Self::NeedMore,
        }
    }
}

fn check_protocol(bytes: &[u8]) -> Result<(), HandshakeError> {
    let seen = bytes.len().min(PROTOCOL.len());
    if bytes[..seen] == PROTOCOL[..seen] { Ok(()) } else { Err(HandshakeError::Protocol) }
}

fn array_at<const LEN: usize>(bytes: &[u8], at: usize) -> [u8; LEN] {
    let mut array = [0; LEN];
    array.copy_from_slice(&bytes[at..at + LEN]);
    array
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn extension_bits_are_where_the_beps_say() {
        assert_eq!(Reserved::FAST.0[7], 0x04, "BEP 6");
        assert_eq!(Reserved::EXTENDED.0[5], 0x10, "BEP 10");
        assert_eq!(Reserved::DHT.0[7], 0x01, "BEP 5");
        assert_eq!(Reserved::V2.0[7], 0x10, "BEP 52");
        let ours = Reserved::FAST.with(Reserved::EXTENDED);
        assert!(ours.has(Reserved::FAST) && ours.has(Reserved::EXTENDED) && !ours.has(Reserved::DHT));
        assert!(!Reserved::FAST.has(ours), "both bits are wanted");
    }

    #[test]
    fn row_2_2_an_incoming_connection_is_judged_byte_by_byte() {
        let bytes =
            Handshake { reserved: Reserved::NONE, info_hash: InfoHash([7; 20]), peer_id: PeerId([9; 20]) }
                .encode();
        assert_eq!(bytes.len(), HANDSHAKE_BYTES);
        for seen in 0..48 {
            assert_eq!(Preamble::of(&bytes[..seen]), Preamble::NeedMore, "{seen} bytes");
        }
        for seen in 48..=68 {
            assert_eq!(Preamble::of(&bytes[..seen]), Preamble::Route(InfoHash([7; 20])), "{seen} bytes");
        }
        for wrong in 0..20 {
            let mut bytes = bytes;
            bytes[wrong] ^= 1;
            assert_eq!(Preamble::of(&bytes[..=wrong]), Preamble::Close, "byte {wrong}");
        }
        // A Diffie-Hellman key (MSE), TLS and HTTP are recognised by their first byte.
        for first in [0x00, 0x16, b'G', 0x12, 0x14, 0xff] {
            assert_eq!(Preamble::of(&[first]), Preamble::Close, "{first:#x}");
        }
    }

    proptest! {
        #[test]
        fn handshakes_round_trip(reserved: [u8; 8], info_hash: [u8; 20], peer_id: [u8; 20], cut in 0usize..68) {
            let handshake = Handshake {
                reserved: Reserved(reserved),
                info_hash: InfoHash(info_hash),
                peer_id: PeerId(peer_id),
            };
            let bytes = handshake.encode();
            prop_assert_eq!(Handshake::decode(&bytes), Ok(Some(handshake)));
            prop_assert_eq!(Handshake::decode(&bytes[..cut]), Ok(None));
        }

        #[test]
        fn arbitrary_bytes_are_judged_without_panic(bytes: Vec<u8>) {
            let _ = Handshake::decode(&bytes);
            let _ = Preamble::of(&bytes);
        }
    }
}
