//! Rows 2.1, 2.4 and 2.16: deadlines that trickled bytes do not move.

use bytes::BytesMut;
use potluck_common::{Bitfield, wire::Message};

use super::{
    all_blocks, small_geometry,
    subject::{FAST, Subject, block, handshake},
};

fn open() -> Subject {
    Subject::open(small_geometry(), &Bitfield::empty(4), FAST)
}

#[test]
fn row_2_1_the_whole_handshake_has_ten_seconds() {
    let bytes = handshake(FAST).encode();
    for at_once in [0, 1, 20, 48, 58] {
        let mut subject = Subject::silent(small_geometry(), &Bitfield::full(4));
        subject.hears_bytes(&bytes[..at_once]);
        for byte in &bytes[at_once..at_once + 9] {
            subject.passes_secs(1);
            subject.hears_bytes(&[*byte]);
            assert_eq!(subject.fate(), None);
        }
        subject.passes_secs(1);
        assert_eq!(subject.fate().as_deref(), Some("Nobody: did not complete its handshake in time"));
    }
}

#[test]
fn row_2_4_a_message_that_trickles_has_a_minute_and_its_length_buys_nothing() {
    let mut subject = open();
    subject.hears_bytes(&[0, 0]);
    subject.passes_secs(59);
    subject.hears_bytes(&[0, 1, 2]);
    assert_eq!(subject.fate(), None, "it completed in time");
    let header: Vec<u8> = [&u32::to_be_bytes(128 * 1024)[..], &[20, 3]].concat();
    subject.hears_bytes(&header);
    for _ in 0..59 {
        subject.passes_secs(1);
        subject.hears_bytes(&[0]);
    }
    assert_eq!(subject.fate(), None);
    subject.passes_secs(1);
    assert_eq!(subject.fate().as_deref(), Some("Nobody: began a message and did not complete it in time"));
}

#[test]
fn row_2_4_a_slow_block_of_an_honest_peer_is_waited_for() {
    let geometry = small_geometry();
    let spans = all_blocks(&geometry);
    let mut subject = Subject::leeching(geometry, FAST, &spans[..1]);
    let mut wire = BytesMut::new();
    block(spans[0]).encode(&mut wire);
    block(spans[0]).encode(&mut wire);
    for part in wire[..20_000].chunks(200) {
        subject.passes_secs(5);
        subject.hears_bytes(part);
        assert_eq!(subject.fate(), None);
    }
    subject.passes_secs(60);
    assert!(subject.fate().is_some(), "and a stalled one is not");
}

#[test]
fn row_2_16_two_minutes_without_a_message_end_the_session() {
    let mut subject = open();
    for _ in 0..3 {
        // Many clients send their keep-alives every two minutes to the second.
        subject.passes_secs(121);
        subject.hears(&[Message::KeepAlive]);
    }
    assert_eq!(subject.fate(), None);
    subject.passes_secs(140);
    assert_eq!(subject.fate().as_deref(), Some("Nobody: said nothing for two minutes"));
}

#[test]
fn row_2_16_we_are_never_silent_for_long() {
    let mut subject = open();
    for _ in 0..5 {
        subject.passes_secs(50);
        subject.hears(&[Message::KeepAlive]);
        assert_eq!(subject.said(), []);
        subject.passes_secs(50);
        subject.hears(&[Message::KeepAlive]);
        assert_eq!(subject.said(), [Message::KeepAlive]);
    }
    // What cannot be written is not added to.
    subject.told(crate::session::SessionCommand::Interested);
    let unsent = subject.session.output().len();
    for _ in 0..5 {
        subject.passes_secs(90);
        subject.hears(&[Message::KeepAlive]);
    }
    assert_eq!(subject.session.output().len(), unsent);
}

#[test]
fn row_5_9_a_session_of_ten_years_or_over_a_jump_of_the_clock_does_not_overflow() {
    let geometry = small_geometry();
    let year = 365 * 86_400;
    let mut subject = Subject::leeching(geometry, FAST, &all_blocks(&geometry)[..2]);
    subject.passes_secs(10 * year);
    assert!(subject.fate().is_some(), "it was silent");
    let mut subject = open();
    for _ in 0..10 {
        subject.session.pause_reading(subject.now);
        subject.passes_secs(year);
        subject.session.resume_reading(subject.now);
        subject.hears(&[Message::KeepAlive, Message::Interested, Message::NotInterested]);
        assert_eq!(subject.fate(), None);
    }
}

#[test]
fn a_pause_of_our_own_is_not_the_peers_silence() {
    let geometry = small_geometry();
    let mut subject = Subject::leeching(geometry, FAST, &all_blocks(&geometry)[..2]);
    subject.hears_bytes(&[0, 0, 0]);
    subject.passes_secs(10);
    subject.session.pause_reading(subject.now);
    subject.passes_secs(1_000);
    assert_eq!(subject.events(), []);
    subject.session.resume_reading(subject.now);
    subject.passes_secs(9);
    assert!(!subject.session.is_snubbed());
    subject.passes_secs(1);
    assert!(subject.session.is_snubbed(), "the time that was left");
    subject.passes_secs(40);
    assert!(subject.fate().is_some());
}
