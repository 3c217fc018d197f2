//! The examples of the BEPs, what real nodes write, round trips, and bytes that make no sense.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::{announce::Family, bencode};

fn id(text: &[u8; 20]) -> NodeId {
    NodeId(*text)
}

fn message<'b>(transaction: &'b [u8], body: Body<'b>) -> Message<'b> {
    Message { transaction, version: None, ip: None, read_only: false, body }
}

fn query(query: Query<'_>) -> Message<'_> {
    message(b"aa", Body::Query { id: id(b"abcdefghij0123456789"), query })
}

fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

const TARGET: &[u8; 20] = b"mnopqrstuvwxyz123456";

/// A datagram is read as a message, and the message written as that datagram.
#[track_caller]
fn check(datagram: &[u8], expected: Message<'_>) {
    assert_eq!(Message::decode(datagram), Ok(expected));
    assert_eq!(expected.encode().escape_ascii().to_string(), datagram.escape_ascii().to_string());
}

#[test]
fn the_examples_of_bep_5() {
    check(b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe", query(Query::Ping));
    check(
        b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe",
        query(Query::FindNode { target: id(TARGET), want: Want::DEFAULT }),
    );
    check(
        b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe",
        query(Query::GetPeers { info_hash: InfoHash(*TARGET), want: Want::DEFAULT, no_seeds: false }),
    );
    check(
        b"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e\
          5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe",
        query(Query::AnnouncePeer {
            info_hash: InfoHash(*TARGET),
            port: 6881,
            implied_port: true,
            token: b"aoeusnth",
            seed: false,
        }),
    );
    check(
        b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re",
        message(b"aa", Body::Response(Response::bare(id(TARGET)))),
    );
    check(
        b"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee",
        message(b"aa", Body::Error { code: ErrorCode::Generic.number(), text: b"A Generic Error Ocurred" }),
    );
    let mut peers = PeerList::default();
    for peer in ["97.120.106.101:11893", "105.100.104.116:28269"].map(addr) {
        peers.push(peer);
    }
    let response = Response {
        token: Some(b"aoeusnth"),
        peers: peers.as_peers(),
        ..Response::bare(id(b"abcdefghij0123456789"))
    };
    check(
        b"d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re",
        message(b"aa", Body::Response(response)),
    );
}

#[test]
fn both_families_and_the_words_of_later_beps() {
    let want = Want::BOTH;
    check(
        b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz1234564:wantl2:n42:n6ee1:q9:find_node1:t2:aa1:y1:qe",
        query(Query::FindNode { target: id(TARGET), want }),
    );
    let read_only = Message { read_only: true, version: Some(b"PT01"), ..query(Query::Ping) };
    check(b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping2:roi1e1:t2:aa1:v4:PT011:y1:qe", read_only);
    let told = Message {
        ip: Some(addr("1.2.3.4:258")),
        ..message(b"aa", Body::Response(Response::bare(id(TARGET))))
    };
    check(b"d2:ip6:\x01\x02\x03\x04\x01\x021:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re", told);

    let nodes = [(b"0123456789abcdefghij", "[2606::9]:6881"), (TARGET, "1.2.3.4:5")];
    let nodes = nodes.map(|(name, at)| NodeInfo { id: id(name), addr: addr(at) });
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    write_nodes(&mut v4, Family::V4, nodes);
    write_nodes(&mut v6, Family::V6, nodes);
    assert_eq!((v4.len(), v6.len()), (26, 38));
    let response = Response {
        nodes: CompactNodes::v4(&v4),
        nodes6: CompactNodes::v6(&v6),
        ..Response::bare(id(TARGET))
    };
    let datagram = message(b"t", Body::Response(response)).encode();
    let Ok(Message { body: Body::Response(read), .. }) = Message::decode(&datagram) else {
        panic!("a response")
    };
    assert_eq!(read.nodes.iter().chain(read.nodes6.iter()).collect::<Vec<_>>(), [nodes[1], nodes[0]]);
}

#[test]
fn what_real_nodes_get_wrong_is_tolerated() {
    let ping = query(Query::Ping);
    for datagram in [
        // No `y`; keys in another order; bytes after the end; a version that is no string; a read-only of zero.
        &b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aae"[..],
        b"d1:y1:q1:t2:aa1:q4:ping1:ad2:id20:abcdefghij0123456789ee",
        b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe\0\0garbage",
        b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping2:roi0e1:t2:aa1:vi7e1:y1:qe",
    ] {
        assert_eq!(Message::decode(datagram), Ok(ping), "{}", datagram.escape_ascii());
    }
    let read = |datagram: &'static [u8]| match Message::decode(datagram).expect("understood").body {
        Body::Response(response) => response,
        other => panic!("{other:?}"),
    };
    // A part of a node at the end, and peers of both families among what is none.
    let response = read(
        b"d1:rd2:id20:mnopqrstuvwxyz1234565:nodes30:aaaaaaaaaaaaaaaaaaaa\x01\x02\x03\x04\x00\x05half\
          6:valuesl6:\x01\x02\x03\x04\x00\x0918:\x26\x0600000000000000\x00\x073:odd6:\x05\x06\x07\x08\x00\x01ee1:t1:x1:y1:re",
    );
    let nodes: Vec<_> = response.nodes.iter().map(|node| node.addr).collect();
    assert_eq!(nodes, [addr("1.2.3.4:5")]);
    let peers: Vec<_> = response.peers.iter().map(|peer| peer.port()).collect();
    assert_eq!(peers, [9, 7, 1]);
    // `values` that is no list, a token that is too long to echo.
    let token = b"d1:rd2:id20:mnopqrstuvwxyz1234565:token65:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa6:values6:abcdefe1:t1:x1:y1:re";
    assert_eq!(read(token), Response::bare(id(TARGET)));
    // Errors in any shape.
    for (datagram, code, text) in [
        (&b"d1:eli203ee1:t1:x1:y1:ee"[..], 203, &b""[..]),
        (b"d1:e3:bad1:t1:x1:y1:ee", 0, b"bad"),
        (b"d1:el3:badi204ee1:t1:x1:y1:ee", 204, b"bad"),
    ] {
        assert_eq!(Message::decode(datagram), Ok(message(b"x", Body::Error { code, text })));
    }
    // Addresses without a port, and of the other family.
    for (ip, expected) in [
        (&b"4:\x01\x02\x03\x04"[..], Some("1.2.3.4:0")),
        (b"18:\0\0\0\0\0\0\0\0\0\0\xff\xff\x01\x02\x03\x04\x00\x05", Some("1.2.3.4:5")),
        (b"5:12345", None),
    ] {
        let datagram = [b"d2:ip", ip, b"1:rd2:id20:mnopqrstuvwxyz123456e1:t1:x1:y1:re"].concat();
        assert_eq!(Message::decode(&datagram).expect("understood").ip, expected.map(addr));
    }
}

#[test]
fn what_cannot_be_answered_says_why() {
    let missing = |missing| Err(KrpcError::Query { transaction: b"aa", missing });
    for (datagram, expected) in [
        (&b"i1e"[..], Err(KrpcError::NoTransaction)),
        (b"d1:y1:qe", Err(KrpcError::NoTransaction)),
        (b"d1:t33:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1:y1:qe", Err(KrpcError::NoTransaction)),
        (b"d1:t2:aae", Err(KrpcError::NoBody)),
        (b"d1:t2:aa1:y1:ze", Err(KrpcError::NoBody)),
        (b"d1:rle1:t2:aa1:y1:re", Err(KrpcError::NoBody)),
        (b"d1:rd2:id3:abce1:t2:aa1:y1:re", Err(KrpcError::NoId)),
        (b"d1:t2:aa1:y1:qe", missing("a method")),
        (b"d1:q4:ping1:t2:aa1:y1:qe", missing("arguments")),
        (b"d1:ade1:q4:ping1:t2:aa1:y1:qe", missing("an id of 20 bytes")),
        (b"d1:ad2:id20:abcdefghij0123456789e1:q9:find_node1:t2:aa1:y1:qe", missing("a target of 20 bytes")),
        (
            b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:porti65536e5:token1:ae\
              1:q13:announce_peer1:t2:aa1:y1:qe",
            missing("a port"),
        ),
    ] {
        assert_eq!(Message::decode(datagram), expected, "{}", datagram.escape_ascii());
    }
    let nested = [&b"d1:t2:aa1:x"[..], &[b'l'; 3_000], &[b'e'; 3_000], b"e"].concat();
    assert!(matches!(Message::decode(&nested), Err(KrpcError::Bencode(_))));
    let endless =
        [&b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:v9999:"[..], &[b'x'; 9_999], b"e"].concat();
    assert!(matches!(Message::decode(&endless), Err(KrpcError::Bencode(_))));
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..=most)
}

fn any_query() -> impl Strategy<Value = (Vec<u8>, [u8; 20], u16, [bool; 4], u8)> {
    (bytes(TOKEN_BYTES_MAX), any::<[u8; 20]>(), 1..u16::MAX, any::<[bool; 4]>(), 0..5_u8)
}

proptest! {
    #[test]
    fn queries_survive_the_wire(
        (token, target, port, [first, second, third, read_only], kind) in any_query(),
        transaction in bytes(TRANSACTION_BYTES_MAX),
    ) {
        let want = Want { ipv4: first, ipv6: second };
        let query = match kind {
            0 => Query::Ping,
            1 => Query::FindNode { target: NodeId(target), want },
            2 => Query::GetPeers { info_hash: InfoHash(target), want, no_seeds: third },
            3 => {
                let info_hash = InfoHash(target);
                Query::AnnouncePeer { info_hash, port, implied_port: first, token: &token, seed: third }
            }
            _ => Query::Other { method: b"sample_infohashes", target: third.then_some(NodeId(target)), want },
        };
        let body = Body::Query { id: NodeId(target), query };
        let message = Message { transaction: &transaction, version: Some(&token), ip: None, read_only, body };
        let datagram = message.encode();
        prop_assert_eq!(Message::decode(&datagram), Ok(message));
        let strict = bencode::Limits::lenient(DEPTH_MAX, TOKENS_MAX, DATAGRAM_BYTES_MAX).strict();
        prop_assert!(bencode::parse(&datagram, &strict).is_ok(), "canonical");
    }

    #[test]
    fn responses_survive_the_wire(
        own: [u8; 20],
        nodes in bytes(26 * 8),
        nodes6 in bytes(38 * 8),
        peers: Vec<(bool, [u8; 16], u16)>,
        token in proptest::option::of(bytes(TOKEN_BYTES_MAX)),
        ip: ([u8; 4], u16),
    ) {
        let mut list = PeerList::default();
        let peers: Vec<SocketAddr> = peers.iter().take(30).map(|(v4, ip, port)| {
            let [a, b, c, d, ..] = *ip;
            let ip: std::net::IpAddr = if *v4 { [a, b, c, d].into() } else { (*ip).into() };
            crate::addr::canonical((ip, *port).into())
        }).collect();
        for peer in &peers {
            list.push(*peer);
        }
        let response = Response {
            id: NodeId(own),
            nodes: CompactNodes::v4(&nodes),
            nodes6: CompactNodes::v6(&nodes6),
            peers: list.as_peers(),
            token: token.as_deref(),
        };
        let message = Message { ip: Some(ip.into()), ..message(b"t", Body::Response(response)) };
        let datagram = message.encode();
        prop_assert_eq!(Message::decode(&datagram), Ok(message));
        prop_assert_eq!(response.peers.iter().collect::<Vec<_>>(), peers);
    }

    #[test]
    fn nonsense_is_an_error_and_never_a_panic(datagram in bytes(200), at: usize, byte: u8) {
        let _ = Message::decode(&datagram);
        let mut broken = query(Query::GetPeers { info_hash: InfoHash(*TARGET), want: Want::BOTH, no_seeds: true }).encode();
        let at = at % broken.len();
        broken[at] = byte;
        if let Ok(message) = Message::decode(&broken) {
            let again = message.encode();
            prop_assert_eq!(Message::decode(&again), Ok(message));
        }
        broken.truncate(at);
        let _ = Message::decode(&broken);
    }
}
