//! The UDP side: what clients get, and the silence that everybody else gets.

use potluck_common::{
    InfoHash,
    announce::{
        AnnounceRequest, Event, ScrapeEntry,
        udp::{PROTOCOL_ID, ReplyBody, Request, RequestBody},
    },
};
use potluck_tracker::TrackerConfig;

use crate::support::{HASH, UdpClient, announce, http, shown, tracker, tracker_v6};

#[tokio::test]
async fn peers_find_each_other_whatever_they_ask_over() {
    let server = tracker(TrackerConfig::default());
    let mut seed = UdpClient::connect("127.0.2.1", &server).await;
    let mut leecher = UdpClient::connect("127.0.2.2", &server).await;
    let first = seed.announce(&announce(1, 1001, 0)).await;
    assert_eq!((first.complete, first.incomplete, shown(&first)), (Some(1), Some(0), vec![]));
    assert_eq!(shown(&leecher.announce(&announce(2, 1002, 5)).await), ["127.0.2.1:1001"]);
    let over_http = http("127.0.2.3", &server, &announce(3, 1003, 5)).await.unwrap();
    assert_eq!(shown(&over_http), ["127.0.2.1:1001", "127.0.2.2:1002"]);
    assert_eq!(shown(&seed.announce(&announce(1, 1001, 0)).await), ["127.0.2.2:1002", "127.0.2.3:1003"]);

    leecher.announce(&AnnounceRequest { event: Event::Completed, ..announce(2, 1002, 0) }).await;
    seed.announce(&AnnounceRequest { event: Event::Stopped, ..announce(1, 1001, 0) }).await;
    let scraped = leecher.ask(RequestBody::Scrape(vec![HASH, InfoHash([9; 20])])).await;
    let expected = ScrapeEntry { complete: 1, incomplete: 1, downloaded: 1 };
    assert_eq!(scraped, ReplyBody::Scrape(vec![expected, ScrapeEntry::default()]));
    server.shutdown().await;
}

#[tokio::test]
async fn peers_find_each_other_over_ipv6() {
    let Some(server) = tracker_v6() else { return };
    let mut client = UdpClient::connect("::1", &server).await;
    for port in 1..=100 {
        client.announce(&announce(port as u8, port, 5)).await;
    }
    let many = client.announce(&AnnounceRequest { numwant: Some(200), ..announce(200, 200, 5) }).await;
    assert_eq!((many.peers.len(), many.incomplete), (74, Some(101)));
    assert!(many.peers.iter().all(|peer| peer.is_ipv6() && peer.port() <= 100));
}

#[tokio::test]
async fn announces_of_every_length_are_understood() {
    let server = tracker(TrackerConfig::default());
    let mut client = UdpClient::connect("127.0.2.1", &server).await;
    let body = RequestBody::Announce { announce: Box::new(announce(1, 1001, 0)), url_data: Vec::new() };
    let fixed = Request { connection_id: client.connection_id, transaction_id: 7, body }.encode();
    assert_eq!(fixed.len(), 98);
    let options: [&[u8]; 6] =
        [b"", b"\0", &[0; 22], b"\x02\x09/announce", b"\x01\x02\x02/x\0\0", b"\x02\xff/cut"];
    for options in options {
        let reply = client.ask_raw(&[&fixed[..], options].concat()).await;
        assert!(matches!(reply.body, ReplyBody::Announce(_)), "{options:?}: {reply:?}");
        assert_eq!(reply.transaction_id, 7);
    }
    client.expect_silence(&fixed[..97]).await;
}

#[tokio::test]
async fn nobody_without_a_valid_connection_id_is_answered() {
    let server = tracker(TrackerConfig::default());
    let victim = UdpClient::connect("127.0.2.1", &server).await;
    let mut client = UdpClient::connect("127.0.2.2", &server).await;
    let packet = |connection_id: u64, action: u32, rest: usize| {
        [&connection_id.to_be_bytes()[..], &action.to_be_bytes(), &[7; 4], &vec![7; rest]].concat()
    };
    let own = client.connection_id;
    let cases = [
        vec![],
        vec![0],
        packet(PROTOCOL_ID, 0, 0)[..15].to_vec(),
        // The wrong magic number, and actions that need an id.
        packet(PROTOCOL_ID ^ 1, 0, 0),
        packet(PROTOCOL_ID, 1, 82),
        packet(PROTOCOL_ID, 2, 20),
        // Somebody else's id, a guess, and one with its time moved on.
        packet(victim.connection_id, 1, 82),
        packet(victim.connection_id, 2, 20),
        packet(own ^ 1, 1, 82),
        packet(own + (1 << 48), 2, 20),
        // A valid id, but nothing to answer.
        packet(own, 1, 0),
        packet(own, 2, 0),
        packet(own, 2, 19),
        packet(own, 3, 20),
        packet(own, u32::MAX, 20),
    ];
    for packet in cases {
        client.expect_silence(&packet).await;
    }
    assert_eq!(server.totals().torrents, 0);
}

#[tokio::test]
async fn scrapes_are_bounded() {
    let server = tracker(TrackerConfig::default());
    let client = UdpClient::connect("127.0.2.1", &server).await;
    for (bytes, entries) in [(20, 1), (39, 1), (74 * 20, 74), (75 * 20, 74), (90 * 20 + 1, 74)] {
        let head = [&client.connection_id.to_be_bytes()[..], &[0, 0, 0, 2, 0, 0, 0, 7]].concat();
        let reply = client.ask_raw(&[&head[..], &vec![7; bytes]].concat()).await;
        assert_eq!(reply.body, ReplyBody::Scrape(vec![ScrapeEntry::default(); entries]), "{bytes}");
    }
}
