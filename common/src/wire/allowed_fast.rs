//! The canonical allowed-fast set (BEP 6).

use std::net::IpAddr;

use crate::{InfoHash, PieceIndex, geometry::Geometry, hash::sha1};

/// The first `count` pieces of the allowed-fast set that BEP 6 defines for a peer at `ip`, in the order of their
/// generation; every piece if there are no more than `count`.
///
/// The BEP covers IPv4 only, where it takes the /24 so that neighbours share one set. For IPv6 the /64 stands in its
/// place, because that is what one subscriber gets at least.
pub fn allowed_fast_set(
    ip: IpAddr,
    info_hash: &InfoHash,
    geometry: &Geometry,
    count: usize,
) -> Vec<PieceIndex> {
    if count >= geometry.pieces() as usize {
        return geometry.iter().collect();
    }
    let mut seed = network_of(ip);
    seed.extend_from_slice(info_hash.as_bytes());
    let mut digest = sha1(&seed);
    let mut set = Vec::with_capacity(count);
    while set.len() < count {
        for word in digest.as_chunks::<4>().0 {
            let piece = geometry.piece(u32::from_be_bytes(*word) % geometry.pieces());
            let piece = piece.expect("a remainder is below its divisor");
            if set.len() < count && !set.contains(&piece) {
                set.push(piece);
            }
        }
        digest = sha1(&digest);
    }
    set
}

/// What addresses of one network have in common, as the bytes that are hashed.
fn network_of(ip: IpAddr) -> Vec<u8> {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            vec![a, b, c, 0]
        }
        IpAddr::V6(ip) => ip.octets()[..8].to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ip: &str, pieces: u64, count: usize) -> Vec<u32> {
        let geometry = Geometry::new(pieces, 1).expect("valid");
        let set = allowed_fast_set(ip.parse().expect("an address"), &InfoHash([0xaa; 20]), &geometry, count);
        set.into_iter().map(PieceIndex::get).collect()
    }

    #[test]
    fn vectors_of_bep_6() {
        let seven = [1059, 431, 808, 1217, 287, 376, 1188];
        assert_eq!(check("80.4.4.200", 1313, 7), seven);
        assert_eq!(check("80.4.4.200", 1313, 9), [&seven[..], &[353, 508]].concat());
        assert_eq!(check("80.4.4.1", 1313, 7), seven, "the same /24");
        assert_eq!(check("::ffff:80.4.4.200", 1313, 7), seven, "the same address");
        assert_ne!(check("80.4.5.200", 1313, 7), seven);
    }

    #[test]
    fn neighbours_in_a_64_share_a_set_and_small_torrents_end() {
        assert_eq!(check("2001:470::1", 1313, 10), check("2001:470::ffff:0:0:2", 1313, 10));
        assert_ne!(check("2001:470::1", 1313, 10), check("2001:470:0:1::1", 1313, 10));
        assert_eq!(check("10.0.0.1", 3, 10), [0, 1, 2]);
        assert_eq!(check("10.0.0.1", 0, 10), [0u32; 0]);
        assert_eq!(check("10.0.0.1", 11, 10).len(), 10);
    }
}
