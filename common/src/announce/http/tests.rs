//! Queries as clients send them, replies as trackers send them, round trips, and nonsense.

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;

use super::*;
use crate::{
    Duration, Printable,
    announce::{AnnounceReply, Failure, REPLY_PEERS_MAX, ReplyError, Retry, ScrapeEntry, ScrapeReply},
};

/// Every byte that needs care: escapes of both cases, unreserved characters, and a plus that is no space.
const REQUIRED: &str = "info_hash=%00%ffabc%2F%2f%3D%26%25+-_.~ABCDE&peer_id=-TR3000-k4x1q0hr7w2c\
    &port=51413&uploaded=0&downloaded=0&left=16384";

fn parse(query: &str) -> AnnounceRequest {
    parse_announce(query).unwrap_or_else(|error| panic!("{query}: {error}"))
}

fn tracker(url: &str) -> TrackerUrl {
    TrackerUrl::parse(url).unwrap()
}

fn request() -> AnnounceRequest {
    AnnounceRequest {
        left: 5,
        ..AnnounceRequest::new(InfoHash([0xab; 20]), PeerId(*b"-PT0100-aaaabbbbcccc"), 6881)
    }
}

#[test]
fn the_minimal_announce_is_read_exactly() {
    let announce = parse(REQUIRED);
    assert_eq!(announce.info_hash.0, *b"\x00\xffabc//=&%+-_.~ABCDE");
    assert_eq!(announce.peer_id.0, *b"-TR3000-k4x1q0hr7w2c");
    assert_eq!((announce.port, announce.left, announce.event), (51413, 16384, Event::None));
    assert_eq!((announce.numwant, announce.key, announce.compact), (None, None, true));
}

#[test]
fn optional_parameters_of_real_clients() {
    let with = |more: &str| parse(&format!("{REQUIRED}&{more}"));
    assert_eq!(with("event=started").event, Event::Started);
    assert_eq!(with("event=").event, Event::None);
    assert_eq!(with("event=paused").event, Event::None);
    assert_eq!(with("numwant=0").numwant, Some(0));
    assert!(!with("compact=0").compact);
    assert!(with("compact=1&supportcrypto=1&no_peer_id=1&corrupt=0&redundant=%zz&&x").compact);
    assert_eq!(with("key=5C7FD5E4").key, Some(0x5c7f_d5e4));
    assert_eq!(with("key=not-hexadecimal").key, None);
    assert_eq!(with("trackerid=a%00b").tracker_id.unwrap(), b"a\0b");
    assert_eq!(with("ip=10.0.0.9").ip, Some([10, 0, 0, 9].into()));
    assert_eq!(with("ip=name.example").ip, None);
    assert_eq!(with("ipv4=1.2.3.4").ipv4, Some("1.2.3.4:51413".parse().unwrap()));
    assert_eq!(with("ipv6=2001%3A%3A9").ipv6, Some("[2001::9]:51413".parse().unwrap()));
    assert_eq!(with("ipv6=%5B2001%3a%3a9%5D%3A7").ipv6, Some("[2001::9]:7".parse().unwrap()));
    assert_eq!(with("ipv6=%zz&ipv6=").ipv6, None);
}

#[test]
fn each_bad_parameter_is_refused_by_name() {
    // Replaces one parameter (or appends it); an empty replacement removes it.
    let check = |name: &str, replacement: &str| {
        let kept = REQUIRED.split('&').filter(|parameter| !parameter.starts_with(&format!("{name}=")));
        let query: Vec<_> = kept.chain([replacement]).collect();
        let error = parse_announce(&query.join("&")).expect_err(replacement);
        assert!(error.to_string().starts_with(name), "{replacement}: {error}");
    };
    for name in ["info_hash", "peer_id", "port", "uploaded", "downloaded", "left"] {
        check(name, "");
        check(name, &format!("{name}="));
        check(name, &format!("{name}=%zz"));
        check(name, &format!("{name}=1&{name}=1"));
    }
    for name in ["info_hash", "peer_id"] {
        check(name, &format!("{name}={}", "a".repeat(19)));
        check(name, &format!("{name}={}", "a".repeat(21)));
        check(name, &format!("{name}={}%", "a".repeat(19)));
        check(name, &format!("{name}={}", "ab".repeat(20)));
    }
    for port in
        ["0", "00", "-1", "65536", "4294967297", "18446744073709551617", "1.5", "+1", "0x1", " 1", "1e3"]
    {
        check("port", &format!("port={port}"));
    }
    for name in ["uploaded", "downloaded", "left", "numwant"] {
        for number in ["-1", "18446744073709551616", "1.5", "+1", "NaN", "%31"] {
            check(name, &format!("{name}={number}"));
        }
    }
    check("numwant", "numwant=4294967296");
    check("event", "event=finished");
    check("event", "event=started&event=stopped");
    check("compact", "compact=1&compact=0");
    let long = format!("{REQUIRED}&x={}", "a".repeat(QUERY_BYTES_MAX));
    assert_eq!(parse_announce(&long), Err(QueryError::Long));
}

#[test]
fn scrapes_are_read() {
    let hash = "info_hash=%AA%aa".to_owned() + &"a".repeat(18);
    let many = |count: usize| vec![hash.clone(); count].join("&");
    assert_eq!(parse_scrape(""), Ok(vec![]));
    assert_eq!(parse_scrape(&many(2)).unwrap().len(), 2);
    assert_eq!(parse_scrape(&many(74)).unwrap().len(), 74);
    assert_eq!(parse_scrape(&many(75)), Err(QueryError::ManyHashes));
    assert!(parse_scrape("info_hash=short").is_err());
    // The longest that a client may send is not too long.
    let longest = vec!["info_hash=".to_owned() + &"%00".repeat(20); 74].join("&");
    assert_eq!(parse_scrape(&longest).unwrap().len(), 74);
}

#[test]
fn announce_urls_keep_what_the_tracker_put_there() {
    let hash = "%AB".repeat(20);
    let asked = format!(
        "info_hash={hash}&peer_id=-PT0100-aaaabbbbcccc&port=6881&uploaded=0&downloaded=0&left=5&compact=1"
    );
    let cases = [
        ("http://t.example/announce", format!("http://t.example/announce?{asked}")),
        ("https://t.example:8443/a?passkey=k%2f", format!("https://t.example:8443/a?passkey=k%2f&{asked}")),
        ("http://t.example/secret/announce?x&", format!("http://t.example/secret/announce?x&{asked}")),
        ("http://me:pw@t.example/", format!("http://me:pw@t.example/?{asked}")),
    ];
    for (url, expected) in cases {
        assert_eq!(announce_url(&tracker(url), &request()), expected);
    }
    let full = AnnounceRequest {
        event: Event::Stopped,
        numwant: Some(0),
        key: Some(0xab),
        ipv6: Some("[2001::9]:7".parse().unwrap()),
        tracker_id: Some(b"&".to_vec()),
        ..request()
    };
    let url = announce_url(&tracker("http://t.example/a"), &full);
    assert!(
        url.ends_with("&event=stopped&numwant=0&key=000000AB&ipv6=%5B2001%3A%3A9%5D%3A7&trackerid=%26"),
        "{url}"
    );
}

#[test]
fn scrape_urls_follow_bep_48() {
    let hashes = [InfoHash([b'x'; 20]), InfoHash([b'y'; 20])];
    let asked = "info_hash=xxxxxxxxxxxxxxxxxxxx&info_hash=yyyyyyyyyyyyyyyyyyyy";
    let cases = [
        ("http://t.example/announce", Some(format!("http://t.example/scrape?{asked}"))),
        (
            "http://t.example/x/announce.php?k=announce",
            Some(format!("http://t.example/x/scrape.php?k=announce&{asked}")),
        ),
        ("http://t.example/announce/passkey", Some(format!("http://t.example/scrape/passkey?{asked}"))),
        ("http://t.example/a", None),
        ("http://announce.example/xannounce", None),
    ];
    for (url, expected) in cases {
        assert_eq!(scrape_url(&tracker(url), &hashes), expected, "{url}");
    }
}

fn peers(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn odd_replies_give_what_can_be_used() {
    let check = |body: &[u8], expected: AnnounceReply| {
        assert_eq!(decode_announce(body).unwrap(), expected, "{}", body.escape_ascii());
    };
    let nothing = AnnounceReply::default;
    check(b"de", nothing());
    check(b"d8:intervali-1e5:peersi7ee", nothing());
    check(b"d8:interval4:1800e", nothing());
    check(
        b"d8:intervali99999999999ee",
        AnnounceReply { interval: Some(Duration::from_secs(u32::MAX.into())), ..nothing() },
    );
    // A cut entry, in the middle of what is whole.
    check(
        b"d5:peers8:\x01\x02\x03\x04\x00\x05ab6:peers617:aaaaaaaaaaaaaaaaae",
        AnnounceReply { peers: peers(&["1.2.3.4:5"]), ..nothing() },
    );
    let list = b"d5:peersld2:ip7:1.2.3.47:peer id20:aaaaaaaaaaaaaaaaaaaa4:porti5eed2:ip5:2606:4:porti6eed2:ip4:nope4:porti6ee\
        d2:ip8:2606:::94:porti6eed2:ip7:2606::94:porti6eed2:ip7:1.2.3.44:porti65536eei1e0:ee";
    check(list, AnnounceReply { peers: peers(&["1.2.3.4:5", "[2606::9]:6"]), ..nothing() });
    check(
        b"d11:external ip4:\x01\x02\x03\x04e",
        AnnounceReply { external_ip: Some([1, 2, 3, 4].into()), ..nothing() },
    );
    check(b"d11:external ip7:1.2.3.4e", nothing());
    check(
        b"d15:warning message3:\x1b[me",
        AnnounceReply { warning: Some(Printable::new("\x1b[m")), ..nothing() },
    );
    let many = [&b"d5:peers60000:"[..], &vec![7; 60_000], b"e"].concat();
    assert_eq!(decode_announce(&many).unwrap().peers.len(), REPLY_PEERS_MAX);
    // Unsorted keys and a newline at the end, as scripts write them.
    check(
        b"d5:peers0:8:intervali60ee\n",
        AnnounceReply { interval: Some(Duration::from_secs(60)), ..nothing() },
    );
}

#[test]
fn failures_and_nonsense_are_told_apart() {
    let failure = |body: &[u8]| match decode_announce(body) {
        Err(ReplyError::Failure(failure)) => (failure.reason.to_string(), failure.retry),
        other => panic!("{other:?}"),
    };
    let minutes = |count: u64| Some(Retry::After(Duration::from_secs(count * 60)));
    assert_eq!(failure(b"d14:failure reason2:noe"), ("no".into(), None));
    assert_eq!(failure(b"d14:failure reason2:no8:retry ini5ee"), ("no".into(), minutes(5)));
    assert_eq!(failure(b"d14:failure reason2:no8:retry in2:15e"), ("no".into(), minutes(15)));
    assert_eq!(failure(b"d14:failure reason2:no8:retry in5:nevere"), ("no".into(), Some(Retry::Never)));
    assert_eq!(failure(b"d14:failure reason2:no8:retry ini-5ee"), ("no".into(), None));
    assert!(matches!(decode_scrape(b"d14:failure_reason2:noe"), Err(ReplyError::Failure(_))));
    for body in [&b""[..], b"<html>", b"le", b"i1e", b"d", &b"l".repeat(60_000)] {
        assert!(matches!(decode_announce(body), Err(ReplyError::Malformed(_))));
        assert!(matches!(decode_scrape(body), Err(ReplyError::Malformed(_))));
    }
    assert!(matches!(decode_scrape(b"d5:filesi1ee"), Err(ReplyError::Malformed(_))));
}

#[test]
fn the_example_of_bep_48_is_read() {
    let body =
        b"d5:filesd20:xxxxxxxxxxxxxxxxxxxxd8:completei11e10:downloadedi13772e10:incompletei19ee3:odd0:ee";
    let expected = ScrapeEntry { complete: 11, incomplete: 19, downloaded: 13772 };
    assert_eq!(decode_scrape(body).unwrap(), ScrapeReply::from([(InfoHash([b'x'; 20]), expected)]));
}

fn any_peer() -> impl Strategy<Value = SocketAddr> {
    any::<(IpAddr, u16)>().prop_map(|(ip, port)| SocketAddr::new(ip.to_canonical(), port))
}

fn any_seconds() -> impl Strategy<Value = Option<Duration>> {
    proptest::option::of(any::<u32>().prop_map(|seconds| Duration::from_secs(seconds.into())))
}

fn any_reply() -> impl Strategy<Value = AnnounceReply> {
    let counts = any::<[Option<u32>; 3]>();
    let rest = (proptest::option::of(".{0,40}"), any::<Option<[u8; 9]>>(), any::<Option<IpAddr>>());
    (any_seconds(), any_seconds(), counts, proptest::collection::vec(any_peer(), 0..60), rest).prop_map(
        |(
            interval,
            min_interval,
            [complete, incomplete, downloaded],
            peers,
            (warning, tracker_id, external_ip),
        )| {
            AnnounceReply {
                interval,
                min_interval,
                complete,
                incomplete,
                downloaded,
                peers,
                warning: warning.map(|text| Printable::new(&text)),
                tracker_id: tracker_id.map(Into::into),
                external_ip: external_ip.map(|ip| ip.to_canonical()),
            }
        },
    )
}

fn any_announce() -> impl Strategy<Value = AnnounceRequest> {
    let ids = (any::<[u8; 20]>(), any::<[u8; 20]>(), 1..=u16::MAX);
    let event =
        prop_oneof![Just(Event::None), Just(Event::Started), Just(Event::Completed), Just(Event::Stopped)];
    let options = (event, any::<Option<u32>>(), any::<Option<u32>>(), any::<bool>());
    let claims = (any::<Option<IpAddr>>(), any::<Option<([u8; 4], u16)>>(), any::<Option<([u8; 16], u16)>>());
    (ids, any::<[u64; 3]>(), options, claims, any::<Option<[u8; 7]>>()).prop_map(
        |(
            ids,
            [uploaded, downloaded, left],
            (event, numwant, key, compact),
            (ip, ipv4, ipv6),
            tracker_id,
        )| {
            AnnounceRequest {
                uploaded,
                downloaded,
                left,
                event,
                numwant,
                key,
                compact,
                ip,
                ipv4: ipv4.map(|(ip, port)| SocketAddrV4::new(ip.into(), port)),
                ipv6: ipv6.map(|(ip, port)| SocketAddrV6::new(ip.into(), port, 0, 0)),
                tracker_id: tracker_id.map(Into::into),
                ..AnnounceRequest::new(InfoHash(ids.0), PeerId(ids.1), ids.2)
            }
        },
    )
}

proptest! {
    #[test]
    fn announces_round_trip(announce in any_announce()) {
        let url = announce_url(&tracker("http://t.example/announce"), &announce);
        let (_, query) = url.split_once('?').unwrap();
        prop_assert_eq!(parse_announce(query), Ok(announce));
    }

    #[test]
    fn replies_round_trip(mut reply in any_reply(), compact: bool) {
        let decoded = decode_announce(&encode_announce(&reply, compact)).unwrap();
        if compact {
            // The compact form sorts the families apart.
            reply.peers.sort_by_key(SocketAddr::is_ipv6);
        }
        prop_assert_eq!(decoded, reply);
    }

    #[test]
    fn scrapes_round_trip(entries in proptest::collection::btree_map(any::<[u8; 20]>(), any::<[u32; 3]>(), 0..74)) {
        let reply: ScrapeReply = entries.into_iter().map(|(hash, [complete, incomplete, downloaded])| {
            (InfoHash(hash), ScrapeEntry { complete, incomplete, downloaded })
        }).collect();
        prop_assert_eq!(decode_scrape(&encode_scrape(&reply)).unwrap(), reply);
    }

    #[test]
    fn failures_round_trip(reason in ".{0,80}", minutes: Option<u16>, never: bool) {
        let after = minutes.map(|minutes| Retry::After(Duration::from_secs(u64::from(minutes) * 60)));
        let failure = Failure { reason: Printable::new(&reason), retry: if never { Some(Retry::Never) } else { after } };
        prop_assert_eq!(decode_announce(&encode_failure(&failure)), Err(ReplyError::Failure(failure)));
    }

    #[test]
    fn no_bytes_panic(body: Vec<u8>, text in ".{0,200}") {
        let _ = (decode_announce(&body), decode_scrape(&body), parse_announce(&text), parse_scrape(&text));
        let _ = (decode_announce(&[b"d5:peers", &body[..], b"e"].concat()), parse_announce(&format!("{REQUIRED}&{text}")));
    }
}
