//! Datagrams to and from a UDP tracker (BEP 15, 41).

use potluck_common::{
    Printable,
    announce::{
        Family, SCRAPE_HASHES_MAX,
        udp::{Reply, ReplyBody, Request, RequestBody, RequestHeader},
    },
};

use super::assert_printable;

/// Reads a datagram in both directions; what was understood survives being written and read again.
pub fn run(bytes: &[u8]) {
    request(bytes);
    for family in [Family::V4, Family::V6] {
        match Reply::decode(bytes, family) {
            Ok(decoded) => reply(decoded, family),
            Err(error) => assert_printable(error),
        }
    }
}

fn request(bytes: &[u8]) {
    let header = RequestHeader::decode(bytes);
    match Request::decode(bytes) {
        Ok(request) => {
            let header = header.expect("a whole request has a header");
            assert_eq!(header.connection_id, request.connection_id);
            assert_eq!(header.transaction_id, request.transaction_id);
            assert_eq!(header.is_connect, request.body == RequestBody::Connect);
            if let RequestBody::Scrape(info_hashes) = &request.body {
                assert!((1..=SCRAPE_HASHES_MAX).contains(&info_hashes.len()));
            }
            assert_eq!(Request::decode(&request.encode()), Ok(request));
        }
        Err(error) => assert_printable(error),
    }
}

fn reply(mut reply: Reply, family: Family) {
    match &mut reply.body {
        // An IPv4 address can stand in an IPv6 reply, but is not written into one.
        ReplyBody::Announce(announce) => announce.peers.retain(|peer| Family::of(peer.ip()) == family),
        // The text may be cut once more, because escapes are longer than what they stand for.
        ReplyBody::Error(text) => {
            assert_printable(&*text);
            *text = Printable::new(text.as_str());
        }
        ReplyBody::Connect { .. } | ReplyBody::Scrape(_) => {}
    }
    assert_eq!(Reply::decode(&reply.encode(family), family), Ok(reply));
}
