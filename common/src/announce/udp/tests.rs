//! Vectors, round trips, and bytes that make no sense.

use std::net::{IpAddr, SocketAddr};

use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::*;
use crate::{
    Duration, InfoHash, PeerId,
    announce::{AnnounceReply, AnnounceRequest, Event, Family, SCRAPE_HASHES_MAX, ScrapeEntry},
};

/// An announce of libtorrent 2.0.8 to `udp://127.0.0.1:7799/announce?k=1`, as it went over the wire.
const LIBTORRENT: &str = "414243444546474800000001735a5699\
    e053025d53a7ac4d0ecc026373749c3eb61a5d39\
    2d4c54323038302d66717242564647646a32702e\
    000000000000000000000000000000000000000000000000\
    000000020000000002fd107d000000c81b57\
    020d2f616e6e6f756e63653f6b3d31";

fn libtorrent() -> Vec<u8> {
    HEXLOWER.decode(LIBTORRENT.as_bytes()).unwrap()
}

fn announce_of(packet: &[u8]) -> (AnnounceRequest, Vec<u8>) {
    match Request::decode(packet).unwrap().body {
        RequestBody::Announce { announce, url_data } => (*announce, url_data),
        other => panic!("{other:?}"),
    }
}

#[test]
fn libtorrents_announce_is_understood_and_reproduced() {
    let packet = libtorrent();
    let (announce, url_data) = announce_of(&packet);
    assert_eq!(announce.info_hash.to_string(), "e053025d53a7ac4d0ecc026373749c3eb61a5d39");
    assert_eq!(&announce.peer_id.0, b"-LT2080-fqrBVFGdj2p.");
    assert_eq!(announce.event, Event::Started);
    assert_eq!((announce.port, announce.left, announce.numwant), (6999, 0, Some(200)));
    assert_eq!(announce.key, Some(0x02fd_107d));
    assert_eq!(url_data, b"/announce?k=1");
    assert_eq!(Request::decode(&packet).unwrap().encode(), packet);
}

#[test]
fn whatever_follows_the_fixed_fields_is_tolerated() {
    let fixed = &libtorrent()[..98];
    let cases: [(&[u8], &[u8]); 9] = [
        (b"", b""),
        (b"\0\0\0\0", b""),
        (b"\x02\x02/a\0\0\0", b"/a"),
        (b"\x01\x01\x02\x02/a\x02\x01b", b"/ab"),
        (b"\x07\x03xyz\x02\x02/a", b"/a"),
        (b"\x02\x00", b""),
        (b"\x02", b""),
        (b"\x02\x05/a", b""),
        (b"\x02\x02/a\x02\xff!", b"/a"),
    ];
    for (options, expected) in cases {
        let (_, url_data) = announce_of(&[fixed, options].concat());
        assert_eq!(url_data, expected, "{options:?}");
    }
}

#[test]
fn a_long_url_is_split_and_joined() {
    let (announce, _) = announce_of(&libtorrent());
    for length in [254, 255, 256, 510, 511] {
        let url_data = vec![b'x'; length];
        let body = RequestBody::Announce { announce: Box::new(announce.clone()), url_data: url_data.clone() };
        let packet = Request { connection_id: 1, transaction_id: 2, body }.encode();
        assert_eq!(packet.len(), 98 + length + 2 * length.div_ceil(255));
        assert_eq!(announce_of(&packet).1, url_data);
    }
}

#[test]
fn what_is_no_request_is_refused() {
    let mut port_zero = libtorrent();
    port_zero[96..98].fill(0);
    let header = |id: u64, action: u32| [&id.to_be_bytes()[..], &action.to_be_bytes(), &[0; 4]].concat();
    let cases = [
        (vec![], RequestError::Short),
        (header(PROTOCOL_ID, 0)[..15].to_vec(), RequestError::Short),
        (header(PROTOCOL_ID + 1, 0), RequestError::Action),
        (header(PROTOCOL_ID, 3), RequestError::Action),
        (libtorrent()[..97].to_vec(), RequestError::Short),
        (header(1, 2), RequestError::Short),
        ([header(1, 2), vec![7; 19]].concat(), RequestError::Short),
        (port_zero, RequestError::Port),
    ];
    for (packet, error) in cases {
        assert_eq!(Request::decode(&packet), Err(error), "{packet:?}");
    }
}

#[test]
fn a_scrape_takes_whole_hashes_and_no_more_than_74() {
    for (bytes, expected) in [(20, 1), (39, 1), (40, 2), (74 * 20, 74), (75 * 20, 74), (90 * 20 + 3, 74)] {
        let packet = [&1u64.to_be_bytes()[..], &[0, 0, 0, 2, 0, 0, 0, 9], &vec![3; bytes]].concat();
        let RequestBody::Scrape(hashes) = Request::decode(&packet).unwrap().body else { panic!("no scrape") };
        assert_eq!(hashes, vec![InfoHash([3; 20]); expected]);
    }
}

#[test]
fn a_reply_keeps_to_its_family() {
    let peers: Vec<SocketAddr> =
        ["1.2.3.4:5", "[2606::9]:6", "[::ffff:9.8.7.6]:7"].map(|text| text.parse().unwrap()).into();
    let body = ReplyBody::Announce(AnnounceReply { peers, ..AnnounceReply::default() });
    let reply = Reply { transaction_id: 7, body };
    let check = |family: Family, length: usize, expected: &[&str]| {
        let packet = reply.encode(family);
        assert_eq!(packet.len(), length);
        // A cut entry at the end is dropped, not misread.
        let cut = [&packet[..], &[1, 2, 3]].concat();
        let ReplyBody::Announce(decoded) = Reply::decode(&cut, family).unwrap().body else {
            panic!("no announce")
        };
        let shown: Vec<_> = decoded.peers.iter().map(ToString::to_string).collect();
        assert_eq!(shown, expected);
    };
    check(Family::V4, 20 + 2 * 6, &["1.2.3.4:5", "9.8.7.6:7"]);
    check(Family::V6, 20 + 18, &["[2606::9]:6"]);
}

#[test]
fn an_error_is_shown_safely() {
    let packet = b"\0\0\0\x03\0\0\0\x09go \x1b[31maway\0\0";
    let reply = Reply::decode(packet, Family::V4).unwrap();
    assert_eq!(reply, Reply { transaction_id: 9, body: ReplyBody::Error("go \x1b[31maway".into()) });
    for short in 0..8 {
        assert!(Reply::decode(&packet[..short], Family::V4).is_err());
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![Just(Event::None), Just(Event::Started), Just(Event::Completed), Just(Event::Stopped)]
}

fn any_announce() -> impl Strategy<Value = AnnounceRequest> {
    let claims = (any_event(), proptest::option::of(0..=i32::MAX.cast_unsigned()), any::<[u8; 4]>());
    let ids = (any::<[u8; 20]>(), any::<[u8; 20]>(), 1..=u16::MAX, any::<u32>());
    (ids, claims, any::<[u64; 3]>()).prop_map(
        |((info_hash, peer_id, port, key), (event, numwant, ip), counters)| {
            let [uploaded, downloaded, left] = counters;
            AnnounceRequest {
                uploaded,
                downloaded,
                left,
                event,
                numwant,
                key: (key != 0).then_some(key),
                ip: (ip != [0; 4]).then(|| ip.into()),
                ..AnnounceRequest::new(InfoHash(info_hash), PeerId(peer_id), port)
            }
        },
    )
}

fn any_request() -> impl Strategy<Value = Request> {
    let announce = (any_announce(), proptest::collection::vec(any::<u8>(), 0..600))
        .prop_map(|(announce, url_data)| RequestBody::Announce { announce: Box::new(announce), url_data });
    let scrape = proptest::collection::vec(any::<[u8; 20]>(), 1..SCRAPE_HASHES_MAX)
        .prop_map(|hashes| RequestBody::Scrape(hashes.into_iter().map(InfoHash).collect()));
    let request = |(connection_id, transaction_id, body)| Request { connection_id, transaction_id, body };
    prop_oneof![
        any::<u32>().prop_map(Request::connect),
        (any::<u64>(), any::<u32>(), prop_oneof![announce, scrape]).prop_map(request),
    ]
}

fn any_reply(family: Family) -> impl Strategy<Value = Reply> {
    let peer = any::<([u8; 16], u16)>().prop_map(move |(ip, port)| match family {
        Family::V4 => SocketAddr::new(IpAddr::from([ip[0], ip[1], ip[2], ip[3]]), port),
        // The first byte keeps clear of ::ffff:0:0/96, which is IPv4.
        Family::V6 => SocketAddr::new(
            IpAddr::from([&[0x20], &ip[1..]].concat().first_chunk::<16>().copied().unwrap()),
            port,
        ),
    });
    let announce =
        (any::<[u32; 3]>(), proptest::collection::vec(peer, 0..100)).prop_map(|(counts, peers)| {
            ReplyBody::Announce(AnnounceReply {
                interval: Some(Duration::from_secs(counts[0].into())),
                complete: Some(counts[1]),
                incomplete: Some(counts[2]),
                peers,
                ..AnnounceReply::default()
            })
        });
    let scrape = proptest::collection::vec(any::<[u32; 3]>(), 0..SCRAPE_HASHES_MAX).prop_map(|entries| {
        let entry =
            |[complete, incomplete, downloaded]: [u32; 3]| ScrapeEntry { complete, incomplete, downloaded };
        ReplyBody::Scrape(entries.into_iter().map(entry).collect())
    });
    let connect = any::<u64>().prop_map(|connection_id| ReplyBody::Connect { connection_id });
    let error = "[ -~]{0,100}".prop_map(|text| ReplyBody::Error(text.as_str().into()));
    (any::<u32>(), prop_oneof![connect, announce, scrape, error])
        .prop_map(|(transaction_id, body)| Reply { transaction_id, body })
}

proptest! {
    #[test]
    fn requests_round_trip(request in any_request()) {
        let packet = request.encode();
        let header = RequestHeader::decode(&packet).unwrap();
        prop_assert_eq!(header.connection_id, request.connection_id);
        prop_assert_eq!(header.transaction_id, request.transaction_id);
        prop_assert_eq!(header.is_connect, request.body == RequestBody::Connect);
        prop_assert_eq!(Request::decode(&packet).unwrap(), request);
    }

    #[test]
    fn replies_round_trip(v4 in any_reply(Family::V4), v6 in any_reply(Family::V6)) {
        prop_assert_eq!(Reply::decode(&v4.encode(Family::V4), Family::V4).unwrap(), v4);
        prop_assert_eq!(Reply::decode(&v6.encode(Family::V6), Family::V6).unwrap(), v6);
    }

    #[test]
    fn no_bytes_panic(mut bytes: Vec<u8>, action in 0u8..5) {
        let _ = (Request::decode(&bytes), Reply::decode(&bytes, Family::V4), RequestHeader::decode(&bytes));
        if let Some(place) = bytes.get_mut(..12) {
            place[8..].copy_from_slice(&[0, 0, 0, action]);
            let _ = (Request::decode(&bytes), RequestHeader::decode(&bytes));
            bytes[..4].copy_from_slice(&[0, 0, 0, action]);
            let _ = (Reply::decode(&bytes, Family::V4), Reply::decode(&bytes, Family::V6));
        }
    }
}
