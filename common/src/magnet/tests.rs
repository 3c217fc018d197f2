//! Tables and properties of magnet links.

use proptest::prelude::*;

use super::*;

const HEX: &str = "0123456789abcdef0123456789abcdef01234567";
const HEX_V2: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn magnet(parameters: &str) -> Result<Magnet, MagnetError> {
    Magnet::parse(&format!("magnet:?xt=urn:btih:{HEX}{parameters}"))
}

#[test]
fn row_1_11_info_hashes_of_every_form() {
    let v1 = InfoHash::from_hex(HEX);
    let v2 = InfoHashV2::from_hex(HEX_V2);
    let base32 = BASE32_OF_HEX;
    let cases = [
        (format!("magnet:?xt=urn:btih:{HEX}"), v1, None),
        (format!("MAGNET:?xt=URN:BTIH:{}", HEX.to_uppercase()), v1, None),
        (format!("magnet:?xt=urn:btih:{base32}"), v1, None),
        (format!("magnet:?xt=urn:btih:{}", base32.to_lowercase()), v1, None),
        (format!("magnet:?xt=urn%3Abtih%3A{HEX}"), v1, None),
        (format!("magnet:?dn=x&amp;xt=urn:btih:{HEX}"), v1, None),
        (format!("magnet:?xt=urn:btmh:1220{HEX_V2}"), None, v2),
        (format!("magnet:?xt=urn:btih:{HEX}&xt=urn:btmh:1220{HEX_V2}"), v1, v2),
        (format!("magnet:?xt.1=urn:btmh:1220{HEX_V2}&xt.2=urn:btih:{HEX}&xt.3=urn:ed2k:1"), v1, v2),
        (format!("magnet:?xt=urn:btih:{HEX}&xt=urn:btih:{base32}"), v1, None),
    ];
    for (text, v1, v2) in cases {
        let magnet = Magnet::parse(&text).expect(&text);
        assert_eq!((magnet.info_hash_v1(), magnet.info_hash_v2()), (v1, v2), "{text}");
        assert_eq!(Some(magnet.info_hash()), v1.or(v2.map(|hash| hash.truncated())));
    }
    for (text, v1, v2) in [
        (HEX, v1, None),
        (BASE32_OF_HEX, v1, None),
        (HEX_V2, None, v2),
        (&format!("1220{HEX_V2}"), None, v2),
        (&format!(" magnet:?xt=urn:btih:{HEX}\n"), v1, None),
    ] {
        let magnet = Magnet::parse_loose(text).expect(text);
        assert_eq!((magnet.info_hash_v1(), magnet.info_hash_v2()), (v1, v2), "{text}");
    }
}

/// [`HEX`] in base32, computed by another implementation.
const BASE32_OF_HEX: &str = "AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH";

#[test]
fn row_1_11_bad_links_say_what_is_wrong() {
    let two = format!("magnet:?xt=urn:btih:{HEX}&xt=urn:btih:{}", HEX.replace('0', "1"));
    let long = format!("magnet:?xt=urn:btih:{HEX}&dn={}", "x".repeat(MAGNET_BYTES_MAX));
    let digits = format!("magnet:?xt=urn:btih:{}", "g".repeat(40));
    let cases = [
        ("", "does not begin with \"magnet:?\""),
        ("magnet:", "does not begin with \"magnet:?\""),
        ("http://example.org", "does not begin with \"magnet:?\""),
        ("magnet:?", "names no torrent"),
        ("magnet:?dn=x&tr=http://a/", "names no torrent"),
        ("magnet:?xt=urn:sha1:TXGCZQTH26NL6OUQAJJPFALHG2LTGBC7", "names no torrent"),
        ("magnet:?xt=urn:btih:", "\"\" is no info-hash"),
        ("magnet:?xt=urn:btih:0123\u{1b}", "\"0123\\u{1b}\" is no info-hash"),
        (&digits, "is no info-hash: 40 hexadecimal digits"),
        ("magnet:?xt=urn:btih:AERUKZ4JVPG66AJDIVTYTK6N54ASGRL1", "is no info-hash"),
        ("magnet:?xt=urn:btmh:1220ff", "\"1220ff\" is no v2 info-hash"),
        (&two, "two different torrents"),
        ("magnet:?xt=urn%3", "parameter \"xt\" has a percent sign"),
        ("magnet:?dn=%zz", "parameter \"dn\" has a percent sign"),
        ("magnet:?tr=http%3A%", "parameter \"tr\" has a percent sign"),
        (&long, "longer than 131072 bytes"),
    ];
    for (text, expected) in cases {
        let message = Magnet::parse(text).expect_err(text).to_string();
        assert!(message.contains(expected), "{message:?} does not say {expected:?}");
    }
    for text in ["", "0123", &"0".repeat(41), &"é".repeat(20), &"é".repeat(16), "debian.iso"] {
        assert_eq!(Magnet::parse_loose(text), Err(MagnetError::NotInfoHash), "{text}");
    }
}

#[test]
fn hints_are_read_or_left_out() {
    let magnet = magnet(
        "&dn=a+b%20c%2B&xl=12&tr=http%3A%2F%2Fa%2F&tr.1=udp://b:1&tr=http://a/&tr=%00&tr=&ws=http://w/&\
         x.pe=1.2.3.4:5&x.pe=[::1]:6&x.pe=h.example:7&x.pe=h:0&x.pe=nonsense&x.pe=[x]:1&kt=words&=&novalue&&",
    )
    .expect("valid");
    assert_eq!((magnet.name.as_deref(), magnet.length), (Some("a b c+"), Some(12)));
    assert_eq!(magnet.trackers, ["http://a/", "udp://b:1"]);
    assert_eq!(magnet.web_seeds, ["http://w/"]);
    let peers: Vec<_> = magnet.peers.iter().map(ToString::to_string).collect();
    assert_eq!(peers, ["1.2.3.4:5", "[::1]:6", "h.example:7"]);
    assert_eq!(magnet.peers[1].addr(), "[::1]:6".parse().ok());
    assert_eq!(magnet.peers[2].addr(), None);
}

#[test]
fn lists_are_bounded() {
    let many: String =
        (0..500).flat_map(|n| [format!("&tr=http://{n}/"), format!("&x.pe=h:{}", n + 1)]).collect();
    let magnet = magnet(&many).expect("valid");
    assert_eq!((magnet.trackers.len(), magnet.peers.len()), (200, 100));
}

#[test]
fn row_1_11_file_selections() {
    let cases = [
        ("0", Some("0")),
        ("0,2,4,6-8", Some("0,2,4,6-8")),
        ("8,6-7,1-3,2", Some("1-3,6-8")),
        ("0-4294967295", Some("0-4294967295")),
        ("%30%2C2", Some("0,2")),
        ("", None),
        ("1,", None),
        ("5-3", None),
        ("-1", None),
        ("+1", None),
        ("1-2-3", None),
        ("4294967296", None),
        ("a", None),
    ];
    for (text, expected) in cases {
        let outcome = magnet(&format!("&so={text}")).map(|magnet| magnet.files.expect("given").to_string());
        assert_eq!(outcome.as_deref().ok(), expected, "{text}");
    }
    let selection = FileSelection::parse("1-3,7").expect("valid");
    let selected: Vec<_> = (0..10).filter(|file| selection.contains(*file)).collect();
    assert_eq!(selected, [1, 2, 3, 7]);
    let many = (0..100_000).map(|n| (2 * n).to_string()).collect::<Vec<_>>().join(",");
    assert_eq!(FileSelection::parse(&many), None);
}

#[test]
fn a_link_is_printed_in_its_usual_form() {
    let text = format!(
        "magnet:?xt=urn:btih:{HEX}&xt=urn:btmh:1220{HEX_V2}&dn=n%C3%A4me%20%26&xl=5&tr=http%3A%2F%2Fa%2F%3Fb%3Dc\
         &ws=http%3A%2F%2Fw%2F&x.pe=%5B%3A%3A1%5D%3A6&so=0,2-4"
    );
    assert_eq!(Magnet::parse(&text).expect("valid").to_string(), text);
}

fn any_magnet() -> impl Strategy<Value = Magnet> {
    let urls =
        || proptest::collection::btree_set("(http|udp)://[a-z]{1,8}:[0-9]{1,4}/[a-z+?=&%#]{0,8}", 0..4);
    let peer = prop_oneof![
        any::<IpAddr>().prop_map(|ip| ip.to_string()),
        "[a-z0-9.-]{1,12}".prop_map(String::from),
    ];
    let peer = (peer, 1..=u16::MAX).prop_map(|(host, port)| PeerHint { host, port });
    let files = proptest::collection::vec((0..100u32, 0..10u32), 1..6).prop_map(|ranges| {
        let ranges: Vec<_> = ranges.iter().map(|(first, more)| format!("{first}-{}", first + more)).collect();
        FileSelection::parse(&ranges.join(",")).expect("valid")
    });
    let hashes = (any::<[u8; 20]>(), any::<[u8; 32]>(), 1..4u8);
    let peers = proptest::collection::btree_set(peer, 0..4);
    let name = proptest::option::of("\\PC{1,20}");
    let fields = (name, any::<Option<u64>>(), urls(), urls(), peers, proptest::option::of(files));
    (hashes, fields).prop_map(|((v1, v2, which), (name, length, trackers, web_seeds, peers, files))| Magnet {
        info_hash_v1: (which & 1 != 0).then_some(InfoHash(v1)),
        info_hash_v2: (which & 2 != 0).then_some(InfoHashV2(v2)),
        name,
        length,
        trackers: trackers.into_iter().collect(),
        web_seeds: web_seeds.into_iter().collect(),
        peers: peers.into_iter().collect(),
        files,
    })
}

proptest! {
    #[test]
    fn what_is_printed_is_parsed_back(magnet in any_magnet()) {
        prop_assert_eq!(Magnet::parse(&magnet.to_string()), Ok(magnet.clone()));
        prop_assert_eq!(Magnet::parse_loose(&magnet.to_string()), Ok(magnet));
    }

    #[test]
    fn row_1_11_any_text_ends_in_a_link_or_an_error(text in "\\PC*") {
        let _ = Magnet::parse_loose(&text);
        let _ = Magnet::parse(&format!("magnet:?{text}"));
    }

    #[test]
    fn row_1_11_any_parameters_end_in_a_stable_link_or_an_error(
        parameters in proptest::collection::vec("(amp;)?(xt|dn|tr|ws|x[.]pe|so|xl)([.][0-9])?=(urn:btih:|[%\\[\\]:0-9a-f,-]|\\PC){0,20}", 0..6)
    ) {
        if let Ok(magnet) = magnet(&format!("&{}", parameters.join("&"))) {
            prop_assert_eq!(Magnet::parse(&magnet.to_string()), Ok(magnet));
        }
    }
}
