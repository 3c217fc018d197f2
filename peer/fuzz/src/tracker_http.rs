//! What an HTTP tracker answers (BEP 3, 7, 23, 24, 31, 48).

use std::net::SocketAddr;

use potluck_common::{
    Printable,
    announce::{
        AnnounceReply, REPLY_PEERS_MAX, ReplyError,
        http::{decode_announce, decode_scrape, encode_announce, encode_failure, encode_scrape},
    },
};

use super::assert_printable;

/// Above this a reply may, written in our way, pass the bound on replies.
const SMALL: usize = 16 * 1024;

/// Reads a body as both kinds of reply; what was understood survives being written and read again.
pub fn run(bytes: &[u8]) {
    match decode_announce(bytes) {
        Ok(reply) => announce(reply),
        Err(error) => refusal(&error),
    }
    match decode_scrape(bytes) {
        Ok(reply) if bytes.len() <= SMALL => assert_eq!(decode_scrape(&encode_scrape(&reply)), Ok(reply)),
        Ok(_) => {}
        Err(error) => refusal(&error),
    }
}

fn announce(reply: AnnounceReply) {
    assert!(reply.peers.len() <= REPLY_PEERS_MAX);
    reply.warning.iter().for_each(assert_printable);
    // The text may be cut once more, because escapes are longer than what they stand for.
    let warning = reply.warning.as_ref().map(|warning| Printable::new(warning.as_str()));
    let mut reply = AnnounceReply { warning, ..reply };
    let listed = decode_announce(&encode_announce(&reply, false)).expect("we write what we read");
    assert_eq!(listed, reply);
    let compact = decode_announce(&encode_announce(&reply, true)).expect("we write what we read");
    // The compact form has the families apart.
    reply.peers.sort_by_key(SocketAddr::is_ipv6);
    assert_eq!(compact, reply);
}

fn refusal(error: &ReplyError) {
    assert_printable(error);
    if let ReplyError::Failure(failure) = error {
        let Err(ReplyError::Failure(again)) = decode_announce(&encode_failure(failure)) else {
            panic!("a failure is read as one");
        };
        assert_eq!(again.retry, failure.retry);
        assert_eq!(again.reason, Printable::new(failure.reason.as_str()));
    }
}
