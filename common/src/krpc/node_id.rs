//! Node ids, the distance between them, and ids that belong to an address (BEP 42).

use std::{fmt, net::IpAddr};

use data_encoding::HEXLOWER;

use crate::{AddrScope, InfoHash, Rng};

/// The id of a node: a place in the space that info-hashes are in, too (BEP 5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub [u8; 20]);

/// How far two ids are from each other: their exclusive or, as a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Distance(pub [u8; 20]);

/// Of an IPv4 address these bits count: the longer its network, the more ids are possible.
const MASK_V4: [u8; 4] = [0x03, 0x0f, 0x3f, 0xff];
/// Of the upper half of an IPv6 address these.
const MASK_V6: [u8; 8] = [0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f, 0xff];

impl NodeId {
    /// Bits of an id.
    pub const BITS: usize = 160;

    /// The id in `bytes`, if they are as many as an id has.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Any id.
    pub fn random(rng: &mut Rng) -> Self {
        let mut id = [0; 20];
        rng.fill(&mut id);
        Self(id)
    }

    /// One of the ids that belong to `ip` (BEP 42), as far as anything can be said of it: its first 21 bits follow from
    /// the address and its last byte.
    pub fn of_address(ip: IpAddr, rng: &mut Rng) -> Self {
        let mut id = Self::random(rng);
        let [high, middle, low, _] = prefix(ip, id.0[19]).to_be_bytes();
        id.0[0] = high;
        id.0[1] = middle;
        id.0[2] = (low & 0xf8) | (id.0[2] & 0x07);
        id
    }

    /// Whether `ip` may use this id (BEP 42). Local addresses may use any.
    pub fn complies_with(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        if AddrScope::of(ip).is_local() {
            return true;
        }
        let [high, middle, low, _] = prefix(ip, self.0[19]).to_be_bytes();
        self.0[0] == high && self.0[1] == middle && (self.0[2] ^ low) & 0xf8 == 0
    }

    /// How far away `other` is.
    pub fn distance(&self, other: &Self) -> Distance {
        let mut distance = self.0;
        distance.iter_mut().zip(other.0).for_each(|(ours, theirs)| *ours ^= theirs);
        Distance(distance)
    }

    /// How many leading bits are the same in `other`: 160 for the id itself.
    pub fn bits_shared(&self, other: &Self) -> usize {
        self.distance(other).leading_zeros()
    }

    /// A random id that shares exactly `bits` leading bits with this one (all of them from 160 on).
    #[must_use]
    pub fn random_sharing(&self, bits: usize, rng: &mut Rng) -> Self {
        let mut id = Self::random(rng);
        let whole = (bits / 8).min(20);
        id.0[..whole].copy_from_slice(&self.0[..whole]);
        if whole < 20 {
            let differing = 0x80_u8 >> (bits % 8);
            // The bits above `differing` are shared, `differing` is not, and those below stay random.
            let below = differing - 1;
            id.0[whole] =
                (self.0[whole] & !(below | differing)) | (!self.0[whole] & differing) | (id.0[whole] & below);
        }
        id
    }
}

impl Distance {
    /// How many of its leading bits are zero.
    pub fn leading_zeros(&self) -> usize {
        match self.0.iter().position(|byte| *byte != 0) {
            Some(at) => at * 8 + self.0[at].leading_zeros() as usize,
            None => NodeId::BITS,
        }
    }
}

/// What the first bits of an id must be at this address, with the last byte of the id.
fn prefix(ip: IpAddr, last: u8) -> u32 {
    let masked = |bytes: &mut [u8], mask: &[u8]| {
        bytes.iter_mut().zip(mask).for_each(|(byte, mask)| *byte &= mask);
        bytes[0] |= (last & 0x07) << 5;
        crc32c(bytes)
    };
    match ip.to_canonical() {
        IpAddr::V4(ip) => masked(&mut ip.octets(), &MASK_V4),
        IpAddr::V6(ip) => masked(&mut ip.octets()[..8], &MASK_V6),
    }
}

/// CRC-32C (Castagnoli), bits reflected.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| (crc >> 8) ^ CRC32C[usize::from(crc as u8 ^ byte)])
}

const CRC32C: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

impl From<InfoHash> for NodeId {
    fn from(info_hash: InfoHash) -> Self {
        Self(info_hash.0)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Rng;

    /// Address, last byte and an id (BEP 42).
    const VECTORS: &[(&str, &str)] = &[
        ("124.31.75.21", "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401"),
        ("21.75.31.124", "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256"),
        ("65.23.51.170", "a5d43220bc8f112a3d426c84764f8c2a1150e616"),
        ("84.124.73.14", "1b0321dd1bb1fe518101ceef99462b947a01ff41"),
        ("43.213.53.83", "e56f6cbf5b7c4be0237986d5243b87aa6d51305a"),
    ];

    fn id(hex: &str) -> NodeId {
        NodeId(InfoHash::from_hex(hex).expect("40 digits").0)
    }

    #[test]
    fn the_vectors_of_bep_42() {
        // RFC 3720, appendix B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        for (ip, hex) in VECTORS {
            let ip: IpAddr = ip.parse().expect("an address");
            assert!(id(hex).complies_with(ip), "{hex} at {ip}");
            let mapped = ip.to_string().parse::<std::net::Ipv4Addr>().expect("IPv4").to_ipv6_mapped();
            assert!(id(hex).complies_with(mapped.into()), "{hex} at {mapped}");
            let mut wrong = id(hex);
            wrong.0[2] ^= 0x08;
            assert!(!wrong.complies_with(ip));
            wrong.0[2] ^= 0x08;
            wrong.0[19] ^= 1;
            assert!(!wrong.complies_with(ip));
            assert!(wrong.complies_with([192, 168, 3, 4].into()), "local addresses are exempt");
        }
    }

    proptest! {
        #[test]
        fn an_id_made_for_an_address_complies(seed: u64, v4: [u8; 4], v6: [u8; 16]) {
            for ip in [IpAddr::from(v4), IpAddr::from(v6)] {
                prop_assert!(NodeId::of_address(ip, &mut Rng::new(seed)).complies_with(ip));
            }
        }

        #[test]
        fn random_ids_share_what_was_asked_for(seed: u64, own: [u8; 20], bits in 0..=170_usize) {
            let own = NodeId(own);
            let other = own.random_sharing(bits, &mut Rng::new(seed));
            prop_assert_eq!(own.bits_shared(&other), bits.min(160));
        }

        #[test]
        fn closer_ids_share_at_least_as_many_bits(a: [u8; 20], b: [u8; 20], target: [u8; 20]) {
            let [a, b, target] = [a, b, target].map(NodeId);
            if a.distance(&target) < b.distance(&target) {
                prop_assert!(a.bits_shared(&target) >= b.bits_shared(&target));
            }
            prop_assert_eq!(a.distance(&b), b.distance(&a));
        }
    }
}
