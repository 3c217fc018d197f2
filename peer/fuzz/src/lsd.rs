//! Announces of local service discovery (BEP 14), and the machine that hears them.

use std::net::SocketAddr;

use bytes::Bytes;
use potluck_common::{
    InfoHash, Instant,
    lsd::{ANNOUNCE_BYTES_MAX, Announce, Cookie, INFO_HASHES_MAX},
};
use potluck_core::lsd::{Lsd, LsdConfig, LsdEffect, LsdInput};

use super::assert_printable;

/// The only torrent that the machine knows.
const KNOWN: InfoHash = InfoHash([0x11; 20]);

/// Reads a datagram; what was understood survives being written and read again, and the machine tells of nobody but who
/// sent it, and of no torrent but the one it knows.
pub fn run(bytes: &[u8]) {
    match Announce::decode(bytes) {
        Ok(announce) => {
            let written = announce.encode("[ff15::efc0:988f]:6771");
            if announce.info_hashes.len() <= INFO_HASHES_MAX {
                assert!(written.len() <= ANNOUNCE_BYTES_MAX, "{announce:?}");
            }
            assert_eq!(Announce::decode(&written), Ok(announce));
        }
        Err(error) => assert_printable(error),
    }
    hear(bytes);
}

fn hear(bytes: &[u8]) {
    let mut lsd = Lsd::new(LsdConfig { port: 6881, cookie: Cookie::ours(7) });
    lsd.handle(Instant::ZERO, LsdInput::Track { info_hash: KNOWN, is_private: false });
    let from = SocketAddr::from(([10, 0, 0, 7], 6771));
    let payload = Bytes::copy_from_slice(bytes);
    lsd.handle(Instant::ZERO, LsdInput::Datagram { from, is_neighbour: false, payload });
    lsd.assert_invariants();
    let mut told = 0;
    while let Some(effect) = lsd.poll_effect() {
        let LsdEffect::Peer { info_hash, address } = effect else { panic!("nothing was due: {effect:?}") };
        assert_eq!((info_hash, address.ip()), (KNOWN, from.ip()));
        assert_ne!(address.port(), 0);
        told += 1;
    }
    assert!(told <= 1, "one datagram, one peer");
    assert_eq!(lsd.status().heard, told);
}
