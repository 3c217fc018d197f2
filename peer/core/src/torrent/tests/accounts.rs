//! What the choker is told that a peer gave, and who gets its allowed-fast pieces.

use potluck_common::{Bitfield, BlockSpan, Geometry, hash::sha1};

use super::alone::{Alone, geometry};
use crate::{PeerKey, session::SessionEvent, torrent::Input};

/// What each was sent at the start, so that every byte that counts shows in its debt.
const SENT: u64 = 10 << 20;

/// A leecher and a peer that has all, unchokes it, and was sent [`SENT`] bytes.
fn with_giver(alone: &mut Alone, address: &str, name: u64) -> PeerKey {
    let key = alone.join_as(address, name);
    let all = Bitfield::full(geometry().pieces());
    let events = vec![
        SessionEvent::Bitfield(all),
        SessionEvent::Uploaded(SENT),
        SessionEvent::Unchoked,
        SessionEvent::Wants(4),
    ];
    alone.says(key, events);
    key
}

fn given(alone: &Alone, key: PeerKey) -> u64 {
    SENT - alone.torrent.choker.why(key).expect("it is connected").debt_bytes
}

fn length(spans: &[BlockSpan]) -> u64 {
    spans.iter().map(|span| u64::from(span.length)).sum()
}

fn asked_of(alone: &mut Alone, key: PeerKey) -> Vec<BlockSpan> {
    let (its, others) = std::mem::take(&mut alone.assigned).into_iter().partition(|asked| asked.0 == key);
    alone.assigned = others;
    let its: Vec<(PeerKey, BlockSpan)> = its;
    its.into_iter().map(|asked| asked.1).collect()
}

/// The peer gives blocks until a piece is whole, which is the number of the piece, and the bytes that it gave.
fn gives_a_piece(alone: &mut Alone, key: PeerKey) -> (BlockSpan, u64) {
    let geometry: Geometry = geometry();
    let mut bytes = 0;
    let mut blocks = std::collections::BTreeMap::<_, u32>::new();
    loop {
        let spans = asked_of(alone, key);
        assert!(!spans.is_empty(), "it is asked");
        bytes += length(&spans);
        alone.says(key, vec![SessionEvent::Received(spans.clone()), SessionEvent::Wants(spans.len() as u32)]);
        for span in spans {
            let count = blocks.entry(span.piece).or_default();
            *count += 1;
            if *count == geometry.blocks_in(span.piece) {
                return (span, bytes);
            }
        }
    }
}

fn fails(alone: &mut Alone, span: BlockSpan) {
    let digests = (0..geometry().blocks_in(span.piece)).map(|n| sha1(&n.to_be_bytes())).collect();
    alone.torrent.handle(alone.now, Input::PieceMismatch(span.piece, digests));
    alone.settle();
}

#[test]
fn what_comes_twice_or_unasked_does_not_count() {
    let mut alone = Alone::leecher(20);
    let key = with_giver(&mut alone, "9.9.9.9", 1);
    let spans = asked_of(&mut alone, key);
    assert_eq!(given(&alone, key), 0);
    alone.says(key, vec![SessionEvent::Received(spans.clone())]);
    assert_eq!(given(&alone, key), length(&spans));
    alone.says(key, vec![SessionEvent::Received(spans.clone()), SessionEvent::Wasted(1 << 20)]);
    assert_eq!(given(&alone, key), length(&spans), "the same again, and what was cancelled");
    let duplicates = spans.clone();
    let events = vec![SessionEvent::Received(spans.clone())];
    alone.torrent.handle(alone.now, Input::Peer { peer: key, events, duplicates });
    assert_eq!(given(&alone, key), length(&spans), "what was there already");
}

#[test]
fn what_was_in_a_bad_piece_is_taken_back() {
    let mut alone = Alone::leecher(20);
    let key = with_giver(&mut alone, "9.9.9.9", 1);
    let (piece, bytes) = gives_a_piece(&mut alone, key);
    assert_eq!(given(&alone, key), bytes);
    fails(&mut alone, piece);
    let length = u64::from(geometry().length_of(piece.piece));
    assert_eq!(given(&alone, key), bytes - length);
}

#[test]
fn leaving_does_not_save_what_was_in_a_bad_piece() {
    let length = u64::from(geometry().length_of(geometry().piece(0).expect("exists")));
    for returns_before in [true, false] {
        let mut alone = Alone::leecher(20);
        let key = with_giver(&mut alone, "9.9.9.9", 1);
        let (piece, bytes) = gives_a_piece(&mut alone, key);
        alone.leaves(key);
        if !returns_before {
            fails(&mut alone, piece);
        }
        // Another port, and another name.
        let again = alone.join_as("9.9.9.9", 2);
        if returns_before {
            assert_eq!(given(&alone, again), bytes);
            fails(&mut alone, piece);
        }
        assert_eq!(given(&alone, again), bytes - length, "{returns_before}");
        alone.leaves(again);
        let third = alone.join_as("9.9.9.9", 3);
        assert_eq!(given(&alone, third), bytes - length, "once");
    }
}

#[test]
fn a_snub_counts_after_a_minute() {
    let mut alone = Alone::leecher(20);
    let key = with_giver(&mut alone, "9.9.9.9", 1);
    alone.says(key, vec![SessionEvent::Interested]);
    let told = |alone: &Alone| alone.torrent.peers[&key].snub_told_at.is_none();
    // The session says so after 20 s.
    alone.says(key, vec![SessionEvent::Snubbed(true)]);
    alone.pass(39);
    assert!(!told(&alone));
    alone.pass(2);
    assert!(told(&alone));
}

#[test]
fn a_snub_that_ended_before_a_minute_does_not_count() {
    let mut alone = Alone::leecher(20);
    let key = with_giver(&mut alone, "9.9.9.9", 1);
    alone.says(key, vec![SessionEvent::Unchoked, SessionEvent::Snubbed(true)]);
    alone.pass(20);
    // As a session says when its peer chokes us.
    alone.says(key, vec![SessionEvent::Choked, SessionEvent::Snubbed(false)]);
    let peer = &alone.torrent.peers[&key];
    assert_eq!((peer.snubs_us, peer.snub_told_at), (false, None));
}

#[test]
fn a_peer_that_stops_being_a_seed_is_heard() {
    let mut alone = Alone::seed(20);
    let key = alone.join("9.9.9.9");
    alone.says(key, vec![SessionEvent::Interested]);
    let unchoked = |alone: &Alone| alone.torrent.choker.is_unchoked(key);
    assert!(unchoked(&alone));
    let mut leecher = Alone::leecher(20);
    let key = leecher.join("9.9.9.9");
    let full = SessionEvent::Bitfield(Bitfield::full(geometry().pieces()));
    let empty = SessionEvent::Bitfield(Bitfield::empty(geometry().pieces()));
    leecher.says(key, vec![full, SessionEvent::Interested]);
    leecher.pass(1);
    assert!(!leecher.torrent.choker.is_unchoked(key), "a seed wants nothing");
    leecher.says(key, vec![empty]);
    leecher.pass(1);
    assert!(leecher.torrent.choker.is_unchoked(key), "it took it back");
}
