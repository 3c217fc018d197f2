//! Tokens (BEP 5): who announces shows that it gets what is sent to its address.

use std::net::IpAddr;

use potluck_common::{Duration, InfoHash, Instant, hash};

/// Bytes of a token.
pub(super) const TOKEN_BYTES: usize = 8;
/// How long a token is given out; it is taken for as long again.
const EPOCH: Duration = Duration::from_secs(5 * 60);

/// Makes and checks tokens: a MAC of address, torrent and epoch, so that nothing is kept of those who ask.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    key: [u8; 20],
}

impl Tokens {
    pub(super) fn new(key: [u8; 20]) -> Self {
        Self { key }
    }

    pub(super) fn make(&self, now: Instant, ip: IpAddr, info_hash: &InfoHash) -> [u8; TOKEN_BYTES] {
        self.mac(epoch(now), ip, info_hash)
    }

    pub(super) fn check(&self, now: Instant, ip: IpAddr, info_hash: &InfoHash, token: &[u8]) -> bool {
        let current = epoch(now);
        [Some(current), current.checked_sub(1)].into_iter().flatten().any(|epoch| {
            let expected = self.mac(epoch, ip, info_hash);
            // All bytes are looked at, so that the time it takes tells nothing.
            token.len() == TOKEN_BYTES
                && expected.iter().zip(token).fold(0, |wrong, (a, b)| wrong | (a ^ b)) == 0
        })
    }

    /// HMAC-SHA1 (RFC 2104), cut.
    fn mac(&self, epoch: u64, ip: IpAddr, info_hash: &InfoHash) -> [u8; TOKEN_BYTES] {
        let pad = |byte: u8| {
            let mut block = [byte; 64];
            block.iter_mut().zip(self.key).for_each(|(pad, key)| *pad ^= key);
            let mut sha1 = hash::Sha1::new();
            sha1.update(&block);
            sha1
        };
        let mut inner = pad(0x36);
        inner.update(&epoch.to_be_bytes());
        match ip.to_canonical() {
            IpAddr::V4(ip) => inner.update(&ip.octets()),
            IpAddr::V6(ip) => inner.update(&ip.octets()),
        }
        inner.update(&info_hash.0);
        let mut outer = pad(0x5c);
        outer.update(&inner.finish());
        *outer.finish().first_chunk().expect("a digest has 20 bytes")
    }
}

fn epoch(now: Instant) -> u64 {
    now.as_micros() / EPOCH.as_micros() as u64
}
