//! Identifiers: info-hashes and peer ids.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

macro_rules! digest_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// The raw digest.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// Parses hexadecimal digits of either case.
            pub fn from_hex(text: &str) -> Option<Self> {
                let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
                Some(Self(bytes.try_into().ok()?))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::from_hex(&text).ok_or_else(|| serde::de::Error::custom("not a hexadecimal info-hash"))
            }
        }
    };
}

digest_id! {
    /// A v1 info-hash: SHA-1 of the raw bytes of a torrent's `info` dictionary (BEP 3). On the wire a v2 torrent
    /// uses its truncated v2 info-hash in this place (BEP 52).
    InfoHash, 20
}

digest_id! {
    /// A v2 info-hash: SHA-256 of the raw bytes of the `info` dictionary (BEP 52).
    InfoHashV2, 32
}

impl InfoHashV2 {
    /// The first 20 bytes, which stand for the torrent in handshakes and announces (BEP 52).
    pub fn truncated(&self) -> InfoHash {
        let mut short = [0; 20];
        short.copy_from_slice(&self.0[..20]);
        InfoHash(short)
    }
}

/// A 20-byte peer id (BEP 3; client prefix after the Azureus convention of BEP 20).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub [u8; 20]);

impl PeerId {
    /// Our own id: `-PT0100-` (Potluck 0.1.0) and twelve bytes from `entropy`, drawn per session.
    pub fn ours(entropy: [u8; 12]) -> Self {
        let mut id = *b"-PT0100-............";
        for (place, byte) in id[8..].iter_mut().zip(entropy) {
            const ALPHABET: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._";
            *place = ALPHABET[usize::from(byte & 63)];
        }
        Self(id)
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_in_either_case() {
        let text = "0123456789abcdef0123456789ABCDEF01234567";
        let id = InfoHash::from_hex(text).expect("valid");
        assert_eq!(id.to_string(), text.to_lowercase());
        assert_eq!(InfoHash::from_hex("0123"), None);
        assert_eq!(InfoHash::from_hex(&"g".repeat(40)), None);
    }
}
