//! The canonical priority of a pair of peers (BEP 40): both ends reckon the same number, so that everybody has the same
//! standing with somebody, and a flood from few networks is near the top of few lists.
//!
//! The BEP's text and libtorrent, which most peers run, differ: libtorrent orders the two addresses before it masks them,
//! widens the masks of IPv6 at /32 and /48 instead of /48 and /56, and leaves the lower half of IPv6 addresses unmasked. Both
//! ends must agree, so this follows libtorrent.

use std::net::{IpAddr, SocketAddr};

/// The polynomial of CRC-32C (Castagnoli), reflected.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// The priority of the connection between these two, greater first. Addresses of different families have none.
pub(crate) fn priority(one: SocketAddr, other: SocketAddr) -> Option<u32> {
    if one.ip() == other.ip() {
        let [low, high] = ordered(one.port(), other.port()).map(u16::to_be_bytes);
        return Some(crc32c(&[low, high].concat()));
    }
    match (one.ip(), other.ip()) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            let [low, high] = ordered(one.octets(), other.octets());
            let mask = mask::<4>(common_prefix(&low, &high), [2, 3]);
            Some(crc32c(&[masked(low, mask), masked(high, mask)].concat()))
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            let [low, high] = ordered(one.octets(), other.octets());
            let mut mask_v6 = [0xff; 16];
            mask_v6[..8].copy_from_slice(&mask::<8>(common_prefix(&low, &high), [4, 6]));
            Some(crc32c(&[masked(low, mask_v6), masked(high, mask_v6)].concat()))
        }
        _ => None,
    }
}

fn ordered<T: Ord>(one: T, other: T) -> [T; 2] {
    if one <= other { [one, other] } else { [other, one] }
}

/// Octets that both begin with.
fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

/// How much of two addresses counts that have `common` octets: the first `steps[0]` octets, or `steps[1]` if they have
/// those in common, or all; of the others every second bit.
fn mask<const N: usize>(common: usize, steps: [usize; 2]) -> [u8; N] {
    let whole = match common {
        _ if common < steps[0] => steps[0],
        _ if common < steps[1] => steps[1],
        _ => N,
    };
    std::array::from_fn(|place| if place < whole { 0xff } else { 0x55 })
}

fn masked<const N: usize>(octets: [u8; N], mask: [u8; N]) -> [u8; N] {
    std::array::from_fn(|place| octets[place] & mask[place])
}

/// CRC-32C, bit by bit: it is of eight to 32 bytes, once for each address that is learnt.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut rest = !0_u32;
    for byte in bytes {
        rest ^= u32::from(*byte);
        for _ in 0..8 {
            rest = (rest >> 1) ^ if rest & 1 == 1 { POLYNOMIAL } else { 0 };
        }
    }
    !rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(one: &str, other: &str) -> Option<u32> {
        let parse = |text: &str| text.parse().expect("an address");
        let there = priority(parse(one), parse(other));
        assert_eq!(there, priority(parse(other), parse(one)), "both ends reckon the same");
        there
    }

    #[test]
    fn the_vectors_of_bep_40_and_the_check_value_of_crc_32c() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(of("123.213.32.10:1", "98.76.54.32:2"), Some(0xec2d_7224));
        assert_eq!(of("123.213.32.10:9", "123.213.32.234:3"), Some(0x9956_8189));
    }

    #[test]
    fn what_counts_of_two_addresses() {
        // Two others of which nothing that counts differs, and two of which it does.
        let v4 = "1.2.3.4:1";
        assert_eq!(of(v4, "9.9.0.0:1"), of(v4, "9.9.170.170:7"), "every second bit, elsewhere");
        assert_ne!(of(v4, "9.9.0.0:1"), of(v4, "9.9.1.0:1"));
        assert_eq!(of(v4, "1.2.9.0:1"), of(v4, "1.2.9.170:1"), "in the same /16");
        assert_ne!(of(v4, "1.2.8.0:1"), of(v4, "1.2.10.0:1"));
        assert_ne!(of(v4, "1.2.3.6:1"), of(v4, "1.2.3.8:1"), "in the same /24");
        let v6 = "[2606:1:2:3::1]:1";
        assert_eq!(of(v6, "[2a01:1:aaaa:aaaa::1]:1"), of(v6, "[2a01:1::1]:1"));
        assert_ne!(of(v6, "[2a01:2::1]:1"), of(v6, "[2a01:1::1]:1"));
        assert_ne!(of(v6, "[2a01:1::1]:1"), of(v6, "[2a01:1::3]:1"), "the lower half counts whole");
        assert_eq!(of(v6, "[2606:1:9:aaaa::1]:1"), of(v6, "[2606:1:9::1]:1"), "in the same /32");
        assert_ne!(of(v6, "[2606:1:9::1]:1"), of(v6, "[2606:1:b::1]:1"));
        assert_ne!(of(v6, "[2606:1:2:8::1]:1"), of(v6, "[2606:1:2:a::1]:1"), "in the same /48");
        assert_eq!(of(v4, "1.2.3.4:2"), Some(crc32c(&[0, 1, 0, 2])), "one address: the lower port first");
        assert_eq!(of(v4, v6), None);
    }
}
