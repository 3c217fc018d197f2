//! UDP connection ids without state: a keyed code over the client's address and the time (BEP 15).
//!
//! An id is 16 bits of the second it was issued in, and 48 bits of HMAC-SHA-256 over that second and the address.
//! Who cannot receive at an address cannot make an id for it, and no memory is spent on those who ask.

use std::net::IpAddr;

use potluck_common::{
    Duration, Instant,
    hash::{Sha256Digest, sha256},
};

/// Ids carry the time in 16 bits of seconds; beyond half of that range old and new could be confused.
const VALIDITY_MAX: Duration = Duration::from_secs(1 << 15);

/// How many bits of an id are the code; the others are the time.
const CODE_BITS: u32 = 48;

/// Issues and checks connection ids.
pub struct ConnectionIds {
    key: [u8; 32],
    validity: Duration,
}

impl ConnectionIds {
    /// Ids that hold for `validity` (BEP 15: two minutes; cut to nine hours). `key` is secret and drawn at random at
    /// each start.
    pub fn new(key: [u8; 32], validity: Duration) -> Self {
        Self { key, validity: validity.min(VALIDITY_MAX) }
    }

    /// The id for a client at `ip`.
    pub fn issue(&self, now: Instant, ip: IpAddr) -> u64 {
        self.id(seconds(now), ip)
    }

    /// Whether `id` was issued to `ip`, and not too long ago.
    pub fn accepts(&self, now: Instant, ip: IpAddr, id: u64) -> bool {
        let now = seconds(now);
        // Wrapping: an id from the future looks hours old.
        let age = u64::from((now as u16).wrapping_sub((id >> CODE_BITS) as u16));
        // One comparison of whole words: it takes the same time whichever bits differ.
        age <= self.validity.as_secs() && age <= now && self.id(now - age, ip) == id
    }

    fn id(&self, second: u64, ip: IpAddr) -> u64 {
        let mut message = [0; 24];
        message[..16].copy_from_slice(&canonical_v6(ip));
        message[16..].copy_from_slice(&second.to_be_bytes());
        let code = hmac_sha256(&self.key, &message);
        let code = u64::from_be_bytes(*code.first_chunk().expect("a digest has 32 bytes"));
        second << CODE_BITS | code >> (u64::BITS - CODE_BITS)
    }
}

impl std::fmt::Debug for ConnectionIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionIds").field("validity", &self.validity).finish_non_exhaustive()
    }
}

fn seconds(now: Instant) -> u64 {
    now.as_micros() / 1_000_000
}

fn canonical_v6(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// RFC 2104 with SHA-256; a key of 32 bytes is shorter than a block.
fn hmac_sha256(key: &[u8; 32], message: &[u8]) -> Sha256Digest {
    let pad = |fill: u8, rest: &[u8]| {
        let mut block = [fill; 64];
        for (byte, key) in block.iter_mut().zip(key) {
            *byte ^= key;
        }
        sha256(&[&block, rest].concat())
    };
    pad(0x5c, &pad(0x36, message))
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    use super::*;

    const VALIDITY: Duration = Duration::from_secs(120);

    #[test]
    fn hmac_matches_rfc_4231_case_2() {
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let code = hmac_sha256(&key, b"what do ya want for nothing?");
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(HEXLOWER.encode(&code), expected);
    }

    #[test]
    fn an_id_holds_for_its_time_and_its_address() {
        let ids = ConnectionIds::new([7; 32], VALIDITY);
        let ip: IpAddr = [192, 0, 2, 1].into();
        let issued = Instant::from_secs(70_000);
        let id = ids.issue(issued, ip);
        let check = |now: Instant, ip: IpAddr, id: u64, expected: bool| {
            assert_eq!(ids.accepts(now, ip, id), expected, "{now:?} {ip} {id:x}");
        };
        check(issued, ip, id, true);
        check(issued + VALIDITY, ip, id, true);
        check(issued + VALIDITY + Duration::from_secs(1), ip, id, false);
        check(issued - Duration::from_secs(1), ip, id, false);
        // When the 16 bits come round again.
        check(issued + Duration::from_secs(1 << 16), ip, id, false);
        check(issued, [192, 0, 2, 2].into(), id, false);
        check(issued, "::ffff:192.0.2.1".parse().unwrap(), id, true);
        check(issued, ip, id ^ 1, false);
        assert!(!ConnectionIds::new([8; 32], VALIDITY).accepts(issued, ip, id));
    }

    proptest! {
        #[test]
        fn guesses_and_other_addresses_fail(guess: u64, ip: IpAddr, other: IpAddr, second in 0u64..1 << 40) {
            let ids = ConnectionIds::new([3; 32], Duration::MAX);
            let now = Instant::from_secs(second);
            let id = ids.issue(now, ip);
            prop_assert!(ids.accepts(now, ip, id));
            prop_assert!(guess == id || !ids.accepts(now, ip, guess));
            prop_assert!(ip.to_canonical() == other.to_canonical() || !ids.accepts(now, other, id));
        }
    }
}
