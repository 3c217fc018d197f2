//! Row 3.4 of the threat table: reflection, floods, poisoned tables and stores.

use std::net::SocketAddr;

use potluck_common::{
    Duration, InfoHash, Instant,
    krpc::{Body, CompactNodes, ErrorCode, Message, NodeId, NodeInfo, Query, Response, Want},
};
use proptest::prelude::*;

use super::world::World;
use crate::dht::{Dht, DhtConfig, DhtEffect, DhtInput};

const TORRENT: InfoHash = InfoHash([0x5a; 20]);

/// A stranger's datagram, and what the node sends to it at once.
fn answers(node: &mut Dht, now: Instant, from: SocketAddr, payload: &[u8]) -> Vec<Vec<u8>> {
    node.handle(now, DhtInput::Datagram { from, payload: payload.to_vec().into() });
    node.assert_invariants();
    let mut sent = Vec::new();
    while let Some(effect) = node.poll_effect() {
        if let DhtEffect::Send { to, payload } = effect
            && to == from
        {
            sent.push(payload);
        }
    }
    sent
}

/// The answer to a question, probes of the asker apart.
fn answer(node: &mut Dht, now: Instant, from: SocketAddr, question: &[u8]) -> Option<Vec<u8>> {
    let is_answer =
        |payload: &Vec<u8>| !matches!(Message::decode(payload).expect("ours").body, Body::Query { .. });
    answers(node, now, from, question).into_iter().find(is_answer)
}

fn question(transaction: &[u8], query: Query<'_>) -> Vec<u8> {
    let body = Body::Query { id: NodeId([0x77; 20]), query };
    Message { transaction, version: None, ip: None, read_only: true, body }.encode()
}

fn get_peers(transaction: &[u8]) -> Vec<u8> {
    question(transaction, Query::GetPeers { info_hash: TORRENT, want: Want::DEFAULT, no_seeds: false })
}

fn announce(token: &[u8], port: u16, info_hash: InfoHash) -> Vec<u8> {
    let query = Query::AnnouncePeer { info_hash, port, implied_port: false, token, seed: false };
    question(b"an", query)
}

fn token_of(answer: &[u8]) -> Vec<u8> {
    match Message::decode(answer).expect("ours").body {
        Body::Response(Response { token: Some(token), .. }) => token.to_vec(),
        other => panic!("{other:?}"),
    }
}

fn stranger(n: u32) -> SocketAddr {
    SocketAddr::from(((((100 << 24) + n) | 1).to_be_bytes(), 4_000))
}

fn node() -> Dht {
    Dht::new(DhtConfig { ipv6: false, ..DhtConfig::default() }, 1, Instant::ZERO)
}

/// A node with a table, taken out of a small network.
fn settled(peers_announced: u32) -> (World, SocketAddr) {
    let mut world = World::with_nodes(11, 30);
    world.run(Duration::from_secs(60));
    let addr = World::addr(9);
    for n in 0..peers_announced {
        let from = SocketAddr::from(([90, (n >> 8) as u8, n as u8, 1], 6881));
        let now = world.now + Duration::from_secs(u64::from(n));
        let node = world.node_mut(addr);
        let token = token_of(&answer(node, now, from, &get_peers(b"gp")).expect("an answer"));
        answer(node, now, from, &announce(&token, 6881, TORRENT)).expect("taken");
    }
    world.now += Duration::from_secs(u64::from(peers_announced) + 60);
    (world, addr)
}

#[test]
fn row_3_4_an_answer_to_a_stranger_is_at_most_three_times_its_question() {
    for announced in [0, 120] {
        let (mut world, addr) = settled(announced);
        let now = world.now;
        let node = world.node_mut(addr);
        let mut longest = 0.0_f64;
        for (n, transaction) in [&b"a"[..], b"aa", b"aaaaaaaa", &[b'a'; 32]].into_iter().enumerate() {
            let questions = [
                get_peers(transaction),
                question(transaction, Query::FindNode { target: NodeId(TORRENT.0), want: Want::BOTH }),
                question(transaction, Query::Ping),
                question(transaction, Query::Other { method: b"x", target: None, want: Want::DEFAULT }),
                b"d1:q1:x1:t1:ae".to_vec(),
            ];
            for (which, question) in questions.iter().enumerate() {
                let from = stranger((n * 8 + which) as u32 * 70_000);
                let Some(answer) = answer(node, now, from, question) else { continue };
                let times = answer.len() as f64 / question.len() as f64;
                assert!(times <= 3.0, "{times} times {}", question.escape_ascii());
                longest = longest.max(times);
            }
        }
        assert!(longest > 2.0, "a stranger gets something of use");
    }
}

/// A node whose id we want is asked whether it is there; its address may be forged like any other.
#[test]
fn row_3_4_all_that_a_stranger_is_sent_at_once_is_at_most_three_times_its_question() {
    let (mut world, addr) = settled(0);
    let now = world.now;
    let node = world.node_mut(addr);
    let own = node.id(potluck_common::announce::Family::V4);
    let mut met = 0;
    for n in 0..24_u8 {
        let mut id = own;
        id.0[19] ^= n + 1;
        let queries = [
            Query::Ping,
            Query::FindNode { target: own, want: Want::DEFAULT },
            Query::GetPeers { info_hash: TORRENT, want: Want::DEFAULT, no_seeds: false },
            Query::Other { method: b"x", target: None, want: Want::DEFAULT },
        ];
        let body = Body::Query { id, query: queries[usize::from(n) % queries.len()] };
        let transaction = &b"aaaaaaaa"[..=usize::from(n) % 7];
        let question = Message { transaction, version: None, ip: None, read_only: false, body }.encode();
        let sent = answers(
            node,
            now + Duration::from_secs(u64::from(n) * 5),
            stranger(u32::from(n) * 70_000),
            &question,
        );
        let bytes: usize = sent.iter().map(Vec::len).sum();
        assert!(bytes <= 3 * question.len(), "{bytes} to {}", question.escape_ascii());
        let is_query =
            |sent: &&Vec<u8>| matches!(Message::decode(sent).expect("ours").body, Body::Query { .. });
        met += sent.iter().filter(is_query).count();
        for probe in sent.iter().filter(is_query) {
            assert!(probe.len() <= crate::dht::rpc::PING_BYTES_MAX);
        }
        node.handle_timeout(now + Duration::from_secs(u64::from(n) * 5 + 4));
    }
    assert!(met >= 8, "{met} were asked whether they are there");
}

/// What is taken from what may be sent for it is what is sent, also where we say that we are read-only.
#[test]
fn no_ping_is_longer_than_it_is_reckoned() {
    let mut longest = 0;
    for read_only in [false, true] {
        let mut node =
            Dht::new(DhtConfig { ipv6: false, read_only, ..DhtConfig::default() }, 1, Instant::ZERO);
        node.handle(Instant::from_secs(1), DhtInput::Node(stranger(1)));
        let Some(DhtEffect::Send { payload, .. }) = node.poll_effect() else { panic!("it is asked") };
        let Body::Query { query: Query::Ping, .. } = Message::decode(&payload).expect("ours").body else {
            panic!("no ping")
        };
        longest = longest.max(payload.len());
    }
    assert_eq!(longest, crate::dht::rpc::PING_BYTES_MAX);
}

#[test]
fn who_showed_a_token_gets_more_peers_than_a_stranger() {
    let (mut world, addr) = settled(120);
    let now = world.now;
    let node = world.node_mut(addr);
    let peers = |answer: Vec<u8>| match Message::decode(&answer).expect("ours").body {
        Body::Response(response) => response.peers.iter().count(),
        other => panic!("{other:?}"),
    };
    let from = stranger(1);
    let first = answer(node, now, from, &get_peers(b"gp")).expect("an answer");
    let token = token_of(&first);
    answer(node, now, from, &announce(&token, 9, TORRENT)).expect("taken");
    let second = answer(node, now, from, &get_peers(b"gp")).expect("an answer");
    assert!(second.len() <= 1_024);
    let (first, second) = (peers(first), peers(second));
    assert!((8..30).contains(&first) && second >= 60, "{first}, then {second}");
}

#[test]
fn row_3_4_a_flood_is_answered_fifty_times_and_then_met_with_silence() {
    let mut node = node();
    let mut now = Instant::from_secs(100);
    let (flooder, other) = (stranger(1), stranger(99_999));
    let ping = question(b"aa", Query::Ping);
    let answered = (0..300).filter(|_| answer(&mut node, now, flooder, &ping).is_some()).count();
    assert!((45..=50).contains(&answered), "{answered} answers");
    assert!(answer(&mut node, now, other, &ping).is_some(), "others are served");
    now += Duration::from_secs(290);
    assert!(answer(&mut node, now, flooder, &ping).is_none());
    assert!(
        answer(&mut node, now, SocketAddr::new(flooder.ip(), 9), &ping).is_none(),
        "nor from another port"
    );
    now += Duration::from_secs(11);
    assert!(answer(&mut node, now, flooder, &ping).is_some());
    // Five a second are nobody's flood.
    for _ in 0..1_000 {
        now += Duration::from_millis(201);
        assert!(answer(&mut node, now, other, &ping).is_some());
    }
}

#[test]
fn row_3_4_who_is_silenced_is_not_let_go_because_of_others() {
    let mut node = node();
    let now = Instant::from_secs(100);
    let (flooder, ping) = (stranger(1), question(b"aa", Query::Ping));
    for _ in 0..60 {
        answer(&mut node, now, flooder, &ping);
    }
    // More than are remembered, and more floods than can be silenced.
    for n in 0..3_000 {
        answer(&mut node, now, stranger(1_000 + n * 70_000), &ping);
    }
    for n in 0..1_200 {
        for _ in 0..51 {
            answers(&mut node, now, stranger(7 + n * 60_000), &ping);
        }
    }
    let later = now + Duration::from_secs(200);
    assert!(answer(&mut node, later, flooder, &ping).is_none());
    assert!(answer(&mut node, later, stranger(5), &ping).is_some(), "others are served");
    assert!(answer(&mut node, now + Duration::from_secs(301), flooder, &ping).is_some());
}

#[test]
fn row_3_4_forged_unreachables_cost_nobody_its_place_and_answers_count() {
    let mut node = node();
    let mut now = Instant::from_secs(100);
    for n in 0..6 {
        node.handle(now, DhtInput::Node(stranger(n * 70_000)));
    }
    let mut report = None;
    let mut lookup = Some(DhtInput::Lookup(crate::dht::LookupId(1), TORRENT));
    for _ in 0..100 {
        while let Some(effect) = node.poll_effect() {
            match effect {
                DhtEffect::Searched { report: ended, .. } => report = Some(ended),
                DhtEffect::Peers { .. } => {}
                DhtEffect::Send { to, payload } => {
                    if lookup.is_none() {
                        (0..3).for_each(|_| node.handle(now, DhtInput::Unreachable(to)));
                    }
                    now += Duration::from_millis(10);
                    let asked = Message::decode(&payload).expect("ours");
                    let id = NodeId(potluck_common::hash::sha1(to.to_string().as_bytes()));
                    let body = Body::Response(Response::bare(id));
                    let transaction = asked.transaction;
                    let answer = Message { transaction, version: None, ip: None, read_only: false, body };
                    node.handle(now, DhtInput::Datagram { from: to, payload: answer.encode().into() });
                }
            }
            node.assert_invariants();
        }
        now += Duration::from_millis(100);
        node.handle_timeout(now);
        if let Some(lookup) = lookup.take() {
            node.handle(now, lookup);
        }
    }
    let report = report.expect("it ends");
    assert_eq!((report.asked, report.answered), (6, 6));
    let status = node.status(now).ipv4.expect("on");
    assert_eq!((status.nodes, status.good), (6, 6));
}

#[test]
fn row_3_4_answers_take_eight_kilobytes_a_second_whoever_asks() {
    let mut node = node();
    let start = Instant::from_secs(100);
    let mut bytes = 0;
    for n in 0..30_000_u32 {
        let now = start + Duration::from_millis(u64::from(n));
        let from = stranger(n.wrapping_mul(2_654_435_761) & 0x0fff_ffff);
        bytes += answer(&mut node, now, from, &get_peers(b"aa")).map_or(0, |answer| answer.len());
    }
    assert!((200_000..=8_000 * 33).contains(&bytes), "{bytes} in 30 s");
}

#[test]
fn row_3_4_tokens_are_of_an_address_a_torrent_and_ten_minutes() {
    let mut node = node();
    let start = Instant::from_secs(600);
    let (from, other) = (stranger(1), stranger(70_000));
    let token = token_of(&answer(&mut node, start, from, &get_peers(b"aa")).expect("an answer"));
    let mut taken = |after: u64, from: SocketAddr, info_hash: InfoHash, token: &[u8]| {
        let now = start + Duration::from_secs(after);
        let answer = answer(&mut node, now, from, &announce(token, 6881, info_hash)).expect("an answer");
        match Message::decode(&answer).expect("ours").body {
            Body::Response(_) => true,
            Body::Error { code, .. } => {
                assert_eq!(code, ErrorCode::Protocol.number());
                false
            }
            Body::Query { .. } => panic!("a question"),
        }
    };
    assert!(taken(1, from, TORRENT, &token));
    assert!(taken(1, SocketAddr::new(from.ip(), 1), TORRENT, &token), "a port says nothing");
    assert!(!taken(1, other, TORRENT, &token));
    assert!(!taken(1, from, InfoHash([1; 20]), &token));
    assert!(!taken(1, from, TORRENT, b""));
    assert!(!taken(1, from, TORRENT, &token[..7]));
    assert!(taken(599, from, TORRENT, &token), "the epoch before counts");
    assert!(!taken(601, from, TORRENT, &token));
}

#[test]
fn row_3_4_the_store_is_bounded_in_every_direction() {
    let config = DhtConfig { ipv6: false, answer_bytes_per_second: u32::MAX, ..DhtConfig::default() };
    let limits =
        DhtConfig { torrents_stored_max: 50, peers_stored_max: 30, peers_stored_total_max: 400, ..config };
    let mut node = Dht::new(limits, 1, Instant::ZERO);
    let mut now = Instant::from_secs(100);
    let put = |node: &mut Dht, now: Instant, from: SocketAddr, port: u16, info_hash: InfoHash| {
        let query = Query::GetPeers { info_hash, want: Want::DEFAULT, no_seeds: false };
        let token = token_of(&answer(node, now, from, &question(b"g", query)).expect("an answer"));
        answer(node, now, from, &announce(&token, port, info_hash)).expect("an answer")
    };
    let torrent = |n: u32| InfoHash(potluck_common::hash::sha1(&n.to_be_bytes()));
    for n in 0..500 {
        put(&mut node, now, stranger(n * 77_777), 1, torrent(0));
    }
    assert_eq!(node.status(now).peers_stored, 30, "of one torrent");
    for port in 1..20 {
        now += Duration::from_secs(1);
        put(&mut node, now, stranger(5), port, torrent(1));
    }
    assert_eq!(node.status(now).peers_stored, 34, "of one party in a torrent");
    for n in 0..900 {
        put(&mut node, now, stranger(n * 77_777 + 3), 1, torrent(n % 300));
    }
    assert_eq!(node.status(now).torrents_stored, 50);
    for n in 900..3_000 {
        put(&mut node, now, stranger(n * 77_777 + 3), 1, torrent(n % 300));
    }
    let stored = node.status(now).peers_stored;
    assert!((370..=400).contains(&stored), "{stored} in all");
    now += Duration::from_secs(46 * 60);
    node.handle_timeout(now);
    assert_eq!((node.status(now).peers_stored, node.status(now).torrents_stored), (0, 0), "all has ended");
}

#[test]
fn row_3_4_one_host_fills_no_store_near_or_far() {
    let torrent = |n: u32| InfoHash(potluck_common::hash::sha1(&n.to_be_bytes()));
    for (host, of_torrent, of_all) in [([10, 0, 0, 9], 50, 500), ([100, 0, 0, 9], 4, 200)] {
        let limits =
            DhtConfig { peers_stored_max: 100, peers_stored_total_max: 5_000, ..DhtConfig::default() };
        let config = DhtConfig { ipv6: false, answer_bytes_per_second: u32::MAX, ..limits };
        let mut node = Dht::new(config, 1, Instant::ZERO);
        let mut now = Instant::from_secs(100);
        let mut token = Vec::new();
        for number in 0..20 {
            for port in 1..=110 {
                let from = SocketAddr::from((host, port));
                now += Duration::from_millis(201);
                if port == 1 || now.as_micros() % 60_000_000 < 201_000 {
                    let query =
                        Query::GetPeers { info_hash: torrent(number), want: Want::DEFAULT, no_seeds: false };
                    token =
                        token_of(&answer(&mut node, now, from, &question(b"g", query)).expect("an answer"));
                    now += Duration::from_millis(201);
                }
                answer(&mut node, now, from, &announce(&token, port, torrent(number)));
            }
            if number == 0 {
                assert_eq!(node.status(now).peers_stored, of_torrent, "{host:?} in one torrent");
            }
        }
        let expected = of_all.min(20 * of_torrent);
        assert_eq!(node.status(now).peers_stored, expected, "{host:?} in all");
        node.assert_invariants();
    }
}

#[test]
fn row_3_4_one_network_and_one_host_fill_no_table() {
    let mut world = World::new(3);
    let victim = World::addr(1);
    world.add(victim, DhtConfig { ipv6: false, ..DhtConfig::default() });
    // Forty nodes in one /24, each with a port of its own on a second host as well.
    for n in 0..40_u8 {
        for (ip, port) in [([77, 1, 2, n], 6881), ([78, 1, 2, 3], 7_000 + u16::from(n))] {
            let bootstrap = vec![victim];
            let config = DhtConfig { ipv6: false, bootstrap, ..DhtConfig::default() };
            world.add(SocketAddr::from((ip, port)), config);
        }
        world.run(Duration::from_millis(500));
    }
    world.run(Duration::from_secs(300));
    let nodes: Vec<NodeInfo> = world.node(victim).nodes().map(|(node, _)| node).collect();
    let of =
        |a: u8| nodes.iter().filter(|node| node.addr.ip().to_string().starts_with(&format!("{a}."))).count();
    assert!((1..=8).contains(&of(77)), "{} of one network", of(77));
    assert_eq!(of(78), 1, "one host is one node");
}

#[test]
fn nobody_makes_us_send_to_where_is_nearer_to_us_than_they_are() {
    let local =
        ["10.0.0.1:80", "127.0.0.1:80", "169.254.169.254:80", "192.168.1.1:53", "224.0.0.1:9", "5.6.7.8:0"];
    for (by, allowed) in [
        ("81.2.69.160:6881", &[][..]),
        ("192.168.0.9:6881", &["10.0.0.1:80", "192.168.1.1:53"]),
        ("127.0.0.1:7000", &["10.0.0.1:80", "127.0.0.1:80", "169.254.169.254:80", "192.168.1.1:53"]),
    ] {
        let by: SocketAddr = by.parse().expect("an address");
        let now = Instant::from_secs(100);
        let mut node = node();
        let id = NodeId([0x77; 20]);
        node.handle(now, DhtInput::Node(by));
        let mut told = Vec::new();
        let mut searched = false;
        while let Some(effect) = node.poll_effect() {
            let (to, payload) = match effect {
                DhtEffect::Send { to, payload } => (to, payload),
                DhtEffect::Peers { peers, .. } => {
                    told.extend(peers.iter().map(|peer| ("told", peer.to_string())));
                    continue;
                }
                DhtEffect::Searched { .. } => continue,
            };
            if to != by {
                told.push(("asked", to.to_string()));
                continue;
            }
            let mut nodes = Vec::new();
            let named = local.iter().enumerate().map(|(n, local)| NodeInfo {
                id: NodeId([0x5a ^ n as u8; 20]),
                addr: local.parse().expect("an address"),
            });
            potluck_common::krpc::write_nodes(&mut nodes, potluck_common::announce::Family::V4, named);
            let mut peers = potluck_common::krpc::PeerList::default();
            for local in local {
                peers.push(local.parse().expect("an address"));
            }
            let asked = Message::decode(&payload).expect("ours");
            let response =
                Response { nodes: CompactNodes::v4(&nodes), peers: peers.as_peers(), ..Response::bare(id) };
            let answer = Message {
                transaction: asked.transaction,
                version: None,
                ip: None,
                read_only: false,
                body: Body::Response(response),
            };
            node.handle(now, DhtInput::Datagram { from: to, payload: answer.encode().into() });
            if !searched {
                searched = true;
                node.handle(now, DhtInput::Lookup(crate::dht::LookupId(1), TORRENT));
            }
        }
        for local in local {
            for how in ["asked", "told"] {
                let is_known = told.contains(&(how, local.to_owned()));
                let may = allowed.contains(&local);
                assert!(may || !is_known, "{by}: {local} is {how}");
                assert!(!may || is_known || how == "asked", "{by}: {local} is not {how}: {told:?}");
            }
        }
    }
}

#[test]
fn peers_of_our_own_network_are_told_to_nobody_from_afar() {
    let mut node = node();
    let now = Instant::from_secs(100);
    let ours = ["192.168.1.5:6881", "127.0.0.1:6881", "10.1.1.1:6881", "169.254.3.3:6881"];
    for peer in ours.into_iter().chain(["81.2.69.160:6881"]) {
        let peer: SocketAddr = peer.parse().expect("an address");
        let token = token_of(&answer(&mut node, now, peer, &get_peers(b"gp")).expect("an answer"));
        answer(&mut node, now, peer, &announce(&token, peer.port(), TORRENT)).expect("taken");
    }
    for (from, told) in [("90.1.1.1:4000", 1), ("192.168.1.9:4000", 3), ("127.0.0.1:4000", 5)] {
        let from: SocketAddr = from.parse().expect("an address");
        let question = get_peers(b"gpgpgpgpgpgpgpgpgpgpgpgpgpgpgpgp");
        let answer = answer(&mut node, now, from, &question).expect("an answer");
        let Body::Response(response) = Message::decode(&answer).expect("ours").body else {
            panic!("no answer")
        };
        let peers: Vec<SocketAddr> = response.peers.iter().collect();
        assert_eq!(peers.len(), told, "{from} is told {peers:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_datagram_breaks_a_node(
        datagrams in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..120), any::<u32>(), 0..4_u8, any::<usize>()), 1..40),
    ) {
        let mut node = node();
        let mut now = Instant::from_secs(1);
        for (bytes, from, kind, at) in datagrams {
            let mut payload = match kind {
                0 => bytes.clone(),
                1 => get_peers(&bytes[..bytes.len().min(32)]),
                2 => announce(&bytes[..bytes.len().min(64)], 7, TORRENT),
                _ => question(b"t", Query::FindNode { target: NodeId([1; 20]), want: Want::BOTH }),
            };
            if let Some(byte) = bytes.first().filter(|_| kind > 0 && !payload.is_empty()) {
                let at = at % payload.len();
                payload[at] = *byte;
            }
            for sent in answers(&mut node, now, SocketAddr::from((from.to_be_bytes(), 1 + from as u16 % 9)), &payload) {
                prop_assert!(sent.len() <= 1_024);
            }
            now += Duration::from_millis(100);
            node.handle_timeout(now);
            node.assert_invariants();
        }
    }
}
