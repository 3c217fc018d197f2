//! The HTTP side: what clients get, what attackers get, and how connections end.

use std::time::Duration;

use potluck_common::{
    InfoHash,
    announce::{AnnounceRequest, Event, ReplyError, SCRAPE_HASHES_MAX, ScrapeEntry, http::decode_announce},
};
use potluck_tracker::{HttpLimits, SwarmConfig, TrackerConfig, TrackerServer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{
    HASH, announce, connect, exchange, fetch, http, http_scrape, shown, soon, split, tracker, tracker_v6,
};

const REQUIRED: &str =
    "info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1&uploaded=0&downloaded=0&left=1";

#[tokio::test]
async fn peers_find_each_other() {
    let server = tracker(TrackerConfig::default());
    let first = http("127.0.2.1", &server, &announce(1, 1001, 0)).await.unwrap();
    assert_eq!((first.complete, first.incomplete, shown(&first)), (Some(1), Some(0), vec![]));
    assert_eq!(first.interval, Some(Duration::from_secs(1_800)));
    assert_eq!(first.external_ip, Some([127, 0, 2, 1].into()));
    let second = http("127.0.2.2", &server, &announce(2, 1002, 5)).await.unwrap();
    assert_eq!(shown(&second), ["127.0.2.1:1001"]);
    let plain = AnnounceRequest { compact: false, ..announce(3, 1003, 5) };
    let third = http("127.0.2.3", &server, &plain).await.unwrap();
    assert_eq!(shown(&third), ["127.0.2.1:1001", "127.0.2.2:1002"]);
    let completed = AnnounceRequest { event: Event::Completed, ..announce(2, 1002, 0) };
    assert_eq!(shown(&http("127.0.2.2", &server, &completed).await.unwrap()), ["127.0.2.3:1003"]);
    let stopped = AnnounceRequest { event: Event::Stopped, ..announce(3, 1003, 5) };
    http("127.0.2.3", &server, &stopped).await.unwrap();

    let scraped = http_scrape(&server, &[InfoHash([1; 20]), HASH]).await.unwrap();
    let expected = ScrapeEntry { complete: 2, incomplete: 0, downloaded: 1 };
    assert_eq!(
        scraped.into_iter().collect::<Vec<_>>(),
        [(InfoHash([1; 20]), ScrapeEntry::default()), (HASH, expected)]
    );
    server.shutdown().await;
}

#[tokio::test]
async fn peers_find_each_other_over_ipv6() {
    let Some(server) = tracker_v6() else { return };
    http("::1", &server, &announce(1, 1001, 0)).await.unwrap();
    let second = http("::1", &server, &announce(2, 1002, 5)).await.unwrap();
    assert_eq!(
        (shown(&second), second.external_ip),
        (vec!["[::1]:1001".into()], Some("::1".parse().unwrap()))
    );
}

#[tokio::test]
async fn bad_parameters_are_refused_and_leave_no_trace() {
    let server = tracker(TrackerConfig::default());
    let replaced = |name: &str, with: &str| {
        let kept = REQUIRED.split('&').filter(|parameter| !parameter.starts_with(&format!("{name}=")));
        kept.chain([with]).collect::<Vec<_>>().join("&")
    };
    let cases = [
        ("info_hash", ""),
        ("peer_id", ""),
        ("port", ""),
        ("left", ""),
        ("info_hash", "info_hash=short"),
        ("info_hash", "info_hash=%zzaaaaaaaaaaaaaaaaaa"),
        ("info_hash", "info_hash=aaaaaaaaaaaaaaaaaaaa&info_hash=aaaaaaaaaaaaaaaaaaaa"),
        ("port", "port=0"),
        ("port", "port=-1"),
        ("port", "port=65536"),
        ("port", "port=4294967297"),
        ("port", "port=1.5"),
        ("left", "left=-1"),
        ("left", "left=18446744073709551616"),
        ("numwant", "numwant=18446744073709551616"),
        ("event", "event=gone"),
    ];
    for (name, with) in cases {
        let target = format!("/announce?{}", replaced(name, with));
        let (status, body) = fetch("127.0.0.1", server.http_addrs()[0], &target, "").await;
        assert_eq!(status, 200);
        match decode_announce(&body) {
            Err(ReplyError::Failure(failure)) => {
                assert!(failure.reason.as_str().starts_with(name), "{with}: {failure}");
            }
            other => panic!("{with}: {other:?}"),
        }
        assert_eq!(server.totals().torrents, 0, "{with}");
    }
}

#[tokio::test]
async fn claimed_addresses_are_not_believed() {
    let server = tracker(TrackerConfig::default());
    let claims = "ip=127.0.9.9&ipv4=127.0.9.9&ipv6=2606::9";
    let headers = "X-Forwarded-For: 127.0.9.9\r\nForwarded: for=127.0.9.9\r\nX-Real-IP: 127.0.9.9\r\n";
    let (_, body) =
        fetch("127.0.2.1", server.http_addrs()[0], &format!("/announce?{REQUIRED}&{claims}"), headers).await;
    assert_eq!(decode_announce(&body).unwrap().external_ip, Some([127, 0, 2, 1].into()));
    let other = AnnounceRequest { info_hash: InfoHash([b'a'; 20]), ..announce(1, 9, 5) };
    assert_eq!(shown(&http("127.0.2.2", &server, &other).await.unwrap()), ["127.0.2.1:1"]);
}

#[tokio::test]
async fn scrapes_are_bounded_and_nobody_gets_the_whole_list() {
    let server = tracker(TrackerConfig::default());
    http("127.0.2.1", &server, &announce(1, 1001, 0)).await.unwrap();
    let hashes: Vec<_> = (0..80).map(|byte| InfoHash([byte; 20])).collect();
    assert_eq!(http_scrape(&server, &hashes[..SCRAPE_HASHES_MAX]).await.unwrap().len(), SCRAPE_HASHES_MAX);
    assert!(matches!(http_scrape(&server, &[]).await, Err(ReplyError::Failure(_))));
    let many = vec!["info_hash=aaaaaaaaaaaaaaaaaaaa"; 75].join("&");
    let (status, body) = fetch("127.0.0.1", server.http_addrs()[0], &format!("/scrape?{many}"), "").await;
    assert_eq!((status, decode_announce(&body).is_err()), (200, true));
}

#[tokio::test]
async fn what_is_no_announce_gets_words_for_a_person() {
    let server = tracker(TrackerConfig::default());
    let addr = server.http_addrs()[0];
    let (status, body) = fetch("127.0.0.1", addr, "/", "").await;
    let body = String::from_utf8(body).unwrap();
    assert!(status == 200 && body.starts_with("potluck-tracker ") && body.contains("torrents 0\n"), "{body}");
    assert_eq!(fetch("127.0.0.1", addr, "/announce/secret", "").await.0, 404);
    let post = b"POST /announce HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc";
    assert_eq!(split(&exchange(&mut connect("127.0.0.1", addr).await, post).await).0, 405);
}

#[tokio::test]
async fn slow_and_silent_clients_are_cut_off() {
    let limits = HttpLimits { header_timeout: Duration::from_millis(200), ..HttpLimits::default() };
    let server = tracker(TrackerConfig { limits, ..TrackerConfig::default() });
    let keep_alive = format!("GET /announce?{REQUIRED} HTTP/1.1\r\nHost: t\r\n\r\n");
    let cases: [&[u8]; 4] =
        [b"", b"GET /announce?info_hash=", b"GET / HTTP/1.1\r\nHost: t\r\nX-Slow: ", keep_alive.as_bytes()];
    for request in cases {
        let reply = exchange(&mut connect("127.0.0.1", server.http_addrs()[0]).await, request).await;
        let is_answered = reply.starts_with(b"HTTP/1.1 200");
        assert_eq!(is_answered, request.ends_with(b"\r\n\r\n"), "{}", reply.escape_ascii());
    }
}

#[tokio::test]
async fn a_connection_that_never_idles_ends_too() {
    let limits = HttpLimits { connection_lifetime: Duration::from_millis(200), ..HttpLimits::default() };
    let server = tracker(TrackerConfig { limits, ..TrackerConfig::default() });
    let mut stream = connect("127.0.0.1", server.http_addrs()[0]).await;
    let mut buffer = [0; 4096];
    let mut replies = 0;
    soon(async {
        while stream.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").await.is_ok() {
            match stream.read(&mut buffer).await {
                Ok(1..) => replies += 1,
                Ok(0) | Err(_) => break,
            }
        }
    })
    .await;
    assert!(replies > 1, "the connection is used again and again before");
}

#[tokio::test]
async fn big_heads_are_refused() {
    let server = tracker(TrackerConfig::default());
    let cases = [
        format!("GET /announce?{} HTTP/1.1\r\n\r\n", "a".repeat(40_000)),
        format!("GET / HTTP/1.1\r\nX-Long: {}\r\n\r\n", "a".repeat(40_000)),
        format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(100)),
    ];
    for request in cases {
        let reply =
            exchange(&mut connect("127.0.0.1", server.http_addrs()[0]).await, request.as_bytes()).await;
        // Nothing at all where the rest of the request reset the connection under the refusal.
        assert!(reply.is_empty() || reply.starts_with(b"HTTP/1.1 4"), "{}", reply.escape_ascii());
    }
    let long = format!("/announce?{REQUIRED}&x={}", "a".repeat(9_000));
    let (status, body) = fetch("127.0.0.1", server.http_addrs()[0], &long, "").await;
    assert_eq!((status, decode_announce(&body).is_err()), (200, true));
}

#[tokio::test]
async fn pipelined_and_split_requests_are_answered_in_order() {
    let server = tracker(TrackerConfig::default());
    let get = |target: &str, more: &str| format!("GET {target} HTTP/1.1\r\nHost: t\r\n{more}\r\n");
    let all = [
        get("/nowhere", ""),
        get(&format!("/announce?{REQUIRED}"), ""),
        get("/", ""),
        get("/nowhere", "Connection: close\r\n"),
    ]
    .concat();
    let statuses = |reply: &[u8]| {
        let text = String::from_utf8_lossy(reply).into_owned();
        text.match_indices("HTTP/1.1 ")
            .map(|(place, _)| text[place + 9..place + 12].to_owned())
            .collect::<Vec<_>>()
    };
    let reply = exchange(&mut connect("127.0.0.1", server.http_addrs()[0]).await, all.as_bytes()).await;
    assert_eq!(statuses(&reply), ["404", "200", "200", "404"]);
    let mut stream = connect("127.0.0.1", server.http_addrs()[0]).await;
    stream.set_nodelay(true).unwrap();
    for byte in &all.as_bytes()[..all.len() - 1] {
        stream.write_all(&[*byte]).await.unwrap();
    }
    assert_eq!(statuses(&exchange(&mut stream, b"\n").await), ["404", "200", "200", "404"]);
}

#[tokio::test]
async fn connections_past_the_limit_are_closed_at_once() {
    let limits = HttpLimits { connections_max: 1, ..HttpLimits::default() };
    let server = tracker(TrackerConfig { limits, ..TrackerConfig::default() });
    let addr = server.http_addrs()[0];
    let mut first = connect("127.0.0.1", addr).await;
    first.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    assert_ne!(soon(first.read(&mut [0; 64])).await.unwrap(), 0);
    assert_eq!(exchange(&mut connect("127.0.0.1", addr).await, b"").await, b"");
    drop(first);
    let request = b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    // The place is free as soon as the tracker has seen the first connection end.
    soon(async { while exchange(&mut connect("127.0.0.1", addr).await, request).await.is_empty() {} }).await;
}

#[tokio::test]
async fn silent_peers_are_forgotten() {
    let swarms = SwarmConfig { interval: Duration::from_millis(100), ..SwarmConfig::default() };
    let server = tracker(TrackerConfig { swarms, ..TrackerConfig::default() });
    for _ in 0..2 {
        http("127.0.2.1", &server, &announce(1, 1001, 0)).await.unwrap();
        assert_eq!(server.totals().complete, 1);
        soon(async {
            while server.totals().torrents > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_shutdown_waits_for_nobody_who_idles() {
    let server = tracker(TrackerConfig::default());
    let addr = server.http_addrs()[0];
    let mut idle = connect("127.0.0.1", addr).await;
    let mut half = connect("127.0.0.1", addr).await;
    half.write_all(b"GET / HT").await.unwrap();
    soon(server.shutdown()).await;
    for stream in [&mut idle, &mut half] {
        assert_eq!(soon(stream.read(&mut [0; 64])).await.unwrap_or(0), 0);
    }
    // The address is free again.
    let again = TrackerServer::bind(&TrackerConfig { http: vec![addr], ..TrackerConfig::default() }).unwrap();
    assert_eq!(again.announce_urls(), [format!("http://{addr}/announce")]);
}
