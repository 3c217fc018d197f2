//! Magnet links (BEP 9, 52, 53).

use potluck_common::{limits::MAGNET_BYTES_MAX, magnet::Magnet};

use super::assert_printable;

/// Parses a link or a bare info-hash, prints it, and parses that again.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let magnet = match Magnet::parse_loose(text) {
        Ok(magnet) => magnet,
        Err(error) => return assert_printable(error),
    };
    let printed = magnet.to_string();
    assert_printable(&printed);
    // Escapes are longer than what they stand for.
    if printed.len() <= MAGNET_BYTES_MAX {
        assert_eq!(Magnet::parse(&printed).as_ref(), Ok(&magnet), "{printed}");
    }
    for peer in &magnet.peers {
        assert!(peer.port != 0 && !peer.host.is_empty());
        assert_eq!(peer.addr().is_some(), peer.host.parse::<std::net::IpAddr>().is_ok());
    }
    let files = magnet.files.as_ref().map(|files| (files.contains(0), files.contains(usize::MAX)));
    assert!(files.is_none_or(|(_, last)| !last), "no torrent has that many files");
    let _ = magnet.info_hash();
}
