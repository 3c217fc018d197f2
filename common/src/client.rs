//! The program behind a peer id (BEP 20), for peers that do not name it themselves in the extension handshake (`v`, BEP 10).

use crate::{PeerId, Printable};

/// Codes of the Azureus convention, `-XXvvvv-`: two characters for the program, four for its version.
const AZUREUS: [(&[u8; 2], &str); 38] = [
    (b"AR", "Arctic"),
    (b"AZ", "Vuze"),
    (b"BC", "BitComet"),
    (b"BI", "BiglyBT"),
    (b"BT", "BitTorrent"),
    (b"BW", "BitWombat"),
    (b"DE", "Deluge"),
    (b"FD", "Free Download Manager"),
    (b"FL", "Flud"),
    (b"FW", "FrostWire"),
    (b"GT", "anacrolix/torrent"),
    (b"HL", "Halite"),
    (b"JT", "JavaTorrent"),
    (b"KG", "KGet"),
    (b"KT", "KTorrent"),
    (b"LT", "libtorrent"),
    (b"LW", "LimeWire"),
    (b"MO", "MonoTorrent"),
    (b"MP", "MooPolice"),
    (b"PI", "PicoTorrent"),
    (b"PT", "Potluck"),
    (b"QD", "QQDownload"),
    (b"SD", "Thunder"),
    (b"SS", "superseedr"),
    (b"TB", "Torch"),
    (b"TL", "Tribler"),
    (b"TR", "Transmission"),
    (b"TX", "Tixati"),
    (b"UE", "µTorrent Embedded"),
    (b"UM", "µTorrent Mac"),
    (b"UT", "µTorrent"),
    (b"UW", "µTorrent Web"),
    (b"WD", "WebTorrent Desktop"),
    (b"WW", "WebTorrent"),
    (b"XL", "Xunlei"),
    (b"lt", "libTorrent"),
    (b"qB", "qBittorrent"),
    (b"rQ", "rqbit"),
];

impl PeerId {
    /// Name and version of the program, as far as the id tells; its first eight bytes, escaped, where no convention fits.
    pub fn client(&self) -> Printable {
        let id = &self.0;
        let name = azureus(id).or_else(|| dashed(id));
        Printable::new(&name.unwrap_or_else(|| id[..8].escape_ascii().to_string()))
    }
}

/// `-qB4630-…`: qBittorrent 4.6.3.
fn azureus(id: &[u8; 20]) -> Option<String> {
    let [b'-', first, second, version @ .., b'-'] = id.first_chunk::<8>()? else { return None };
    let (code, name) = AZUREUS.iter().find(|(code, _)| **code == [*first, *second])?;
    let numbers: Vec<u32> =
        version.iter().map(|digit| char::from(*digit).to_digit(36)).collect::<Option<_>>()?;
    let [major, minor, patch, build] = numbers[..] else { return None };
    Some(match *code {
        // Two digits after the point before 4.0.
        b"TR" if major < 4 => format!("{name} {major}.{minor}{patch}"),
        b"TR" => format!("{name} {major}.{minor}.{patch}"),
        b"SS" => format!("{name} {major}.{minor}.{patch}{build}"),
        // Two digits each, and nothing of the third number.
        b"WW" | b"WD" => format!("{name} {}.{}", 10 * major + minor, 10 * patch + build),
        // A letter at the end is no number: it tells stable versions, betas and nightly builds apart.
        _ if matches!(build, 1..=9) => format!("{name} {major}.{minor}.{patch}.{build}"),
        _ => format!("{name} {major}.{minor}.{patch}"),
    })
}

/// `A2-1-36-0-…` (aria2) and `M7-10-5--…` (BitTorrent): a code and the numbers of the version, with a dash behind each; what
/// follows is random.
fn dashed(id: &[u8; 20]) -> Option<String> {
    let (name, version) = match id {
        [b'A', b'2', b'-', version @ ..] => ("aria2", &version[..]),
        [b'M', version @ ..] => ("BitTorrent", &version[..]),
        _ => return None,
    };
    let mut numbers = version.split(|byte| *byte == b'-').map(number);
    let [major, minor, patch] = [numbers.next()??, numbers.next()??, numbers.next()??];
    numbers.next().map(|_| format!("{name} {major}.{minor}.{patch}"))
}

fn number(digits: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(digits).ok()?;
    text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_name_their_programs() {
        for (id, expected) in [
            (b"-PT0100-............", "Potluck 0.1.0"),
            (b"-qB4630-............", "qBittorrent 4.6.3"),
            (b"-TR3000-............", "Transmission 3.00"),
            (b"-TR294Z-............", "Transmission 2.94"),
            (b"-TR4060-............", "Transmission 4.0.6"),
            (b"-SS1016-............", "superseedr 1.0.16"),
            (b"-LT20B0-............", "libtorrent 2.0.11"),
            (b"-lt0D80-............", "libTorrent 0.13.8"),
            (b"A2-1-36-0-..........", "aria2 1.36.0"),
            (b"A2-1-36-0-\xff\xfe\x00-7-9-1-", "aria2 1.36.0"),
            (b"-WW0102-............", "WebTorrent 1.2"),
            (b"-WD0024-............", "WebTorrent Desktop 0.24"),
            (b"-UT355W-............", "µTorrent 3.5.5"),
            (b"-DE211s-............", "Deluge 2.1.1"),
            (b"M7-10-5--...........", "BitTorrent 7.10.5"),
            // What follows no convention, or one that is not known, is shown as it is.
            (b"-ZZ1000-............", "-ZZ1000-"),
            (b"-qB46+0-............", "-qB46+0-"),
            (b"A2-1-36-x-..........", "A2-1-36-"),
            (b"A2-1-36-+1-.........", "A2-1-36-"),
            (b"A2-1-36-00000000000\xff", "A2-1-36-"),
            (b"Mi-1-2-.............", "Mi-1-2-."),
            (b"Mary had a little la", "Mary had"),
            (b"\x00\x1b[2J-\xff-............", "\\x00\\x1b[2J-\\xff-"),
        ] {
            assert_eq!(PeerId(*id).client().as_str(), expected);
        }
    }

    #[test]
    fn a_code_stands_for_one_program() {
        assert!(AZUREUS.is_sorted_by(|(left, _), (right, _)| left < right), "sorted, none twice");
    }

    proptest! {
        #[test]
        fn any_id_has_some_name(id: [u8; 20]) {
            prop_assert!(!PeerId(id).client().as_str().is_empty());
        }
    }
}
