//! What peers do wrong, after the rows of the threat table: 2.2 to 2.7 and 2.10.

use bytes::Bytes;
use potluck_common::{
    Bitfield, BlockSpan, PeerId,
    limits::{BLOCK_LENGTH, REQUEST_QUEUE_MAX},
    wire::{Message, RawSpan, Reserved},
};

use super::{
    all_blocks, blocks_geometry, field, piece, small_geometry,
    subject::{FAST, PLAIN, Subject, block, handshake, raw, requests},
};
use crate::session::{SessionCommand, SessionEvent, config::REQUEST_QUEUE_PLAIN_MAX};

#[test]
fn row_2_2_a_stranger_is_sent_nothing() {
    let mut other = handshake(FAST);
    other.info_hash.0[19] ^= 1;
    let cases = [
        (other.encode().to_vec(), "Peer: opened the connection for another torrent"),
        (vec![0x12], "Peer: does not open with a plain BitTorrent handshake"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "Peer: does not open with a plain BitTorrent handshake"),
    ];
    for (bytes, fate) in cases {
        let mut subject = Subject::silent(small_geometry(), &Bitfield::full(4));
        subject.hears_bytes(&bytes);
        assert_eq!(subject.fate().as_deref(), Some(fate));
        assert!(subject.session.output().is_empty());
    }
}

#[test]
fn a_connection_to_ourselves_ends() {
    let mut subject = Subject::silent(small_geometry(), &Bitfield::full(4));
    let mut ours = handshake(FAST);
    ours.peer_id = PeerId([2; 20]);
    subject.hears_bytes(&ours.encode());
    assert_eq!(subject.fate().as_deref(), Some("Peer: is ourselves"));
    let told = subject.events();
    let id = PeerId([2; 20]);
    assert!(
        matches!(told[0], SessionEvent::Handshaken { peer_id, .. } if peer_id == id),
        "the torrent hears whom it met: {told:?}"
    );
    assert_eq!(subject.session.output().len(), 68, "and so does our other end");
}

#[test]
fn the_handshake_is_answered_as_soon_as_the_torrent_is_known() {
    let mut subject = Subject::silent(small_geometry(), &Bitfield::full(4));
    let bytes = handshake(FAST).encode();
    subject.hears_bytes(&bytes[..47]);
    assert!(subject.session.output().is_empty());
    subject.hears_bytes(&bytes[47..48]);
    assert_eq!(subject.session.output().len(), 68, "our id for a peer that waits for it");
    subject.hears_bytes(&bytes[48..]);
    assert!(subject.session.is_open());
}

#[test]
fn row_2_3_a_length_no_message_has_closes_before_the_rest_comes() {
    for (length, id) in [(u32::MAX, 20), (1 << 31, 7), (16 << 20, 20), (1 << 20, 5), (2, 0), (200_000, 99)] {
        let mut subject = Subject::open(small_geometry(), &Bitfield::full(4), FAST);
        let header: Vec<u8> = [&u32::to_be_bytes(length)[..], &[id]].concat();
        subject.hears_bytes(&header);
        let fate = format!("Peer: sent a message of kind {id} with a length of {length} bytes");
        assert_eq!(subject.fate(), Some(fate));
    }
}

#[test]
fn row_2_5_bitfields_and_haves_are_checked() {
    let spare = "Peer: sent a bitfield with bits set past the last piece";
    let missing = "Peer: named piece 4, which does not exist";
    let length = |bytes| format!("Peer: sent a message of kind 5 with a length of {bytes} bytes");
    let bitfield = |bytes: &'static [u8]| Message::Bitfield(Bytes::from_static(bytes));
    let cases = [
        (bitfield(&[0xf0]), None),
        (bitfield(&[]), None),
        (bitfield(&[0xf8]), Some(spare.to_owned())),
        (bitfield(&[0xf1]), Some(spare.to_owned())),
        (bitfield(&[0xf0, 0]), Some(length(3))),
        (Message::Have(3), None),
        (Message::Have(4), Some(missing.to_owned())),
        (Message::Have(u32::MAX), Some(format!("Peer: named piece {}, which does not exist", u32::MAX))),
        (Message::AllowedFast(4), Some(missing.to_owned())),
        (Message::Suggest(4), Some(missing.to_owned())),
    ];
    for (message, fate) in cases {
        let mut subject = Subject::open(small_geometry(), &Bitfield::empty(4), FAST);
        subject.hears(std::slice::from_ref(&message));
        assert_eq!(subject.fate(), fate, "{message:?}");
    }
}

#[test]
fn row_2_5_late_and_repeated_bitfields_replace_what_was_known() {
    let geometry = small_geometry();
    let mut subject = Subject::open(geometry, &Bitfield::empty(4), FAST);
    subject.hears(&[Message::Have(2), Message::Have(2), Message::Unchoke]);
    for round in 0..1_000u32 {
        let bits = if round.is_multiple_of(2) { 0x90 } else { 0x60 };
        subject.hears(&[Message::Bitfield(vec![bits].into())]);
    }
    subject.hears(&[Message::Bitfield(vec![0x60].into()), Message::Have(0)]);
    assert_eq!(*subject.session.remote_pieces(), field(&geometry, &[0, 1, 2]));
    let events = subject.events();
    let replayed = events.iter().fold(Bitfield::empty(4), |known, event| match event {
        SessionEvent::Bitfield(field) => field.clone(),
        SessionEvent::Have(piece) => {
            let mut known = known;
            assert!(known.insert(*piece), "told once");
            known
        }
        _ => known,
    });
    assert_eq!(replayed, *subject.session.remote_pieces(), "the events tell the same");
    assert_eq!(events.len(), 1_003, "redundant messages make no event");
}

#[test]
fn row_2_5_five_bytes_cannot_cost_a_bitfield_each_for_ever() {
    let mut subject = Subject::open(small_geometry(), &Bitfield::empty(4), FAST);
    subject.hears(&vec![Message::HaveAll; 1_000]);
    assert_eq!(subject.events().len(), 1);
    for _ in 0..20 {
        subject.hears(&[Message::HaveNone, Message::HaveAll]);
    }
    let fate = subject.fate();
    assert_eq!(fate.as_deref(), Some("Peer: changed between having all and no pieces too often"));
    assert!(subject.events().len() < 12);
}

#[test]
fn fast_messages_need_the_fast_extension() {
    for message in [
        Message::HaveAll,
        Message::HaveNone,
        Message::Suggest(0),
        Message::AllowedFast(0),
        Message::Reject(raw(0, 0, 1)),
    ] {
        let mut subject = Subject::open(small_geometry(), &Bitfield::full(4), Reserved::EXTENDED);
        subject.hears(&[message]);
        let fate = subject.fate();
        assert_eq!(fate.as_deref(), Some("Peer: used the fast extension without announcing it"));
    }
}

/// A session that has pieces 0 to 2 and not 3, with the peer unchoked.
fn serving(reserved: Reserved) -> Subject {
    let geometry = small_geometry();
    let mut subject = Subject::open(geometry, &field(&geometry, &[0, 1, 2]), reserved);
    subject.told(SessionCommand::Unchoke);
    subject.said();
    subject
}

#[test]
fn row_2_6_requests_that_cannot_be_served_are_rejected_and_counted() {
    let bad = [
        raw(4, 0, 1),
        raw(u32::MAX, u32::MAX, u32::MAX),
        raw(0, 0, 0),
        raw(0, 40_000, 1),
        raw(0, 39_999, 2),
        raw(0, u32::MAX, 2),
        raw(0, 0, BLOCK_LENGTH + 1),
        raw(0, 0, 40_000),
        raw(3, 0, 500),
    ];
    for span in bad {
        let mut subject = serving(FAST);
        subject.hears(&[Message::Request(span)]);
        assert_eq!(subject.said(), [Message::Reject(span)]);
        assert_eq!(subject.session.uploads_queued(), 0);
        subject.hears(&vec![Message::Request(span); 31]);
        assert_eq!(subject.fate(), None);
        subject.hears(&[Message::Request(span)]);
        assert_eq!(subject.fate().as_deref(), Some("Peer: sent too many invalid requests"));

        let mut subject = serving(PLAIN);
        subject.hears(&[Message::Request(span)]);
        assert_eq!(subject.said(), [], "there is no word for it");
    }
}

#[test]
fn row_2_6_requests_are_served_once_in_order_and_cancels_are_answered() {
    let mut subject = serving(FAST);
    let [first, second, third] = [raw(0, 0, 100), raw(2, 16_384, 16_384), raw(1, 39_999, 1)];
    let all = [first, second, third].map(Message::Request);
    subject.hears(&all);
    subject.hears(&all);
    assert_eq!(subject.session.uploads_queued(), 3, "duplicates are ignored");
    subject.hears(&[Message::Cancel(second), Message::Cancel(raw(9, 9, 9)), Message::Cancel(raw(0, 1, 1))]);
    assert_eq!(subject.said(), [Message::Reject(second)], "one answer per request");
    let now = subject.now;
    let popped: Vec<_> = std::iter::from_fn(|| subject.session.next_upload(now)).collect();
    assert_eq!(popped.iter().copied().map(RawSpan::from).collect::<Vec<_>>(), [first, third]);
    subject.hears(&[Message::Cancel(first)]);
    assert_eq!(subject.said(), [], "what is being sent is the answer");
    subject.session.upload_sent(now, popped[0]);
    subject.session.upload_failed(now, popped[1]);
    subject.hears(&[]);
    assert_eq!(subject.events(), [SessionEvent::Uploaded(100)]);
    assert_eq!(subject.said(), [Message::Reject(third)]);
}

/// More requests than the queue holds, each for another byte.
fn flood(count: u32) -> Vec<Message> {
    (0..count).map(|number| Message::Request(raw(number / 40_000, number % 40_000, 1))).collect()
}

#[test]
fn row_2_6_the_queue_holds_what_we_advertise_and_a_flood_closes() {
    let mut subject = serving(FAST);
    subject.hears(&flood(REQUEST_QUEUE_MAX + 3));
    assert_eq!(subject.session.uploads_queued(), REQUEST_QUEUE_MAX as usize);
    assert_eq!(subject.said().len(), 3);
    subject.hears(&flood(100_000));
    let fate = subject.fate();
    assert_eq!(fate.as_deref(), Some("Peer: sent more requests than the queue we advertise holds"));
    assert_eq!(subject.session.uploads_queued(), 0);

    // A peer that overdoes it a little and takes its blocks is no flood.
    let mut subject = serving(FAST);
    for _ in 0..3 {
        subject.hears(&flood(REQUEST_QUEUE_MAX + 400));
        let now = subject.now;
        while let Some(span) = subject.session.next_upload(now) {
            subject.session.upload_sent(now, span);
        }
    }
    assert_eq!(subject.fate(), None);

    let mut subject = serving(PLAIN);
    subject.hears(&flood(REQUEST_QUEUE_PLAIN_MAX as u32));
    assert_eq!(subject.fate(), None, "rtorrent asks ahead for seconds of its rate and knows no reject");
    subject.hears(&flood(REQUEST_QUEUE_PLAIN_MAX as u32 + 1));
    assert!(subject.fate().is_some(), "it could only wait for ever");
}

#[test]
fn a_peer_that_changes_its_mind_thousands_of_times_is_closed() {
    for pair in [vec![Message::Interested, Message::NotInterested], vec![Message::Unchoke, Message::Choke]] {
        let mut subject = serving(FAST);
        for _ in 0..10 {
            subject.hears(&vec![pair.clone(); 100].concat());
            subject.passes_secs(60);
            subject.hears(&[Message::KeepAlive]);
        }
        assert_eq!(subject.fate(), None);
        subject.hears(&vec![pair.clone(); 1_001].concat());
        let fate = subject.fate();
        assert_eq!(fate.as_deref(), Some("Peer: changed its mind thousands of times in a minute"));
    }
}

#[test]
fn what_a_super_seed_did_not_show_is_refused_and_no_offence() {
    let geometry = small_geometry();
    let mut subject = Subject::open(geometry, &Bitfield::empty(4), FAST);
    let shown = geometry.piece(2).expect("exists");
    subject.told(SessionCommand::Have(vec![shown]));
    subject.told(SessionCommand::Unchoke);
    assert_eq!(subject.said(), [Message::Have(2), Message::Unchoke]);
    for span in all_blocks(&geometry) {
        subject.hears(&[Message::Request(span.into())]);
        let refused = (span.piece != shown).then(|| Message::Reject(span.into()));
        assert_eq!(subject.said(), refused.into_iter().collect::<Vec<_>>());
    }
    assert_eq!(subject.fate(), None);
    assert_eq!(subject.session.uploads_queued() as u32, geometry.blocks_in(shown));
}

#[test]
fn row_2_6_requests_while_choked_are_rejected_and_a_flood_closes() {
    let geometry = small_geometry();
    let mut subject = Subject::open(geometry, &Bitfield::full(4), FAST);
    subject.hears(&flood(300));
    assert_eq!(subject.said().len(), 300);
    assert_eq!((subject.fate(), subject.session.uploads_queued()), (None, 0));
    subject.hears(&flood(1));
    assert_eq!(subject.fate().as_deref(), Some("Peer: sent too many requests while choked"));

    // Each choke counts anew.
    let mut subject = serving(FAST);
    for _ in 0..3 {
        subject.told(SessionCommand::Choke);
        subject.passes_secs(6);
        subject.hears(&flood(200));
        subject.told(SessionCommand::Unchoke);
    }
    assert_eq!(subject.fate(), None);

    // What was under way when we choked is no offence.
    let mut subject = serving(FAST);
    subject.told(SessionCommand::Choke);
    subject.hears(&flood(500));
    assert_eq!(subject.fate(), None);
    subject.passes_secs(6);
    subject.hears(&flood(301));
    assert!(subject.fate().is_some());
}

#[test]
fn row_2_7_blocks_that_were_not_asked_for_are_dropped_and_counted() {
    let geometry = small_geometry();
    let asked = all_blocks(&geometry)[0];
    let other = |change: fn(&mut BlockSpan)| {
        let mut span = asked;
        change(&mut span);
        span
    };
    let wrong = [
        other(|span| span.begin = 1),
        other(|span| span.length -= 1),
        other(|span| span.begin = 16_384),
        BlockSpan { piece: piece(&geometry, 1), ..asked },
    ];
    for reserved in [FAST, PLAIN] {
        for span in wrong {
            let mut subject = Subject::leeching(geometry, reserved, &[asked]);
            subject.hears(&vec![block(span); 4]);
            let wasted = vec![SessionEvent::Wasted(u64::from(span.length)); 4];
            assert_eq!((subject.fate(), subject.events()), (None, wasted));
            subject.hears(&[block(asked)]);
            assert_eq!(subject.blocks, [asked], "the right one is taken all the same");
            subject.hears(&[block(asked)]);
            let fate = subject.fate();
            assert_eq!(fate.as_deref(), Some("Peer: sent too many blocks that were not asked for"));
            assert_eq!(subject.session.wasted(), 4 * u64::from(span.length) + 16_384);
        }
    }
    let outside = Message::Piece { piece: 77, begin: u32::MAX, payload: Bytes::from_static(b"abc") };
    let nothing = Message::Piece { piece: 0, begin: 0, payload: Bytes::new() };
    let mut subject = Subject::leeching(geometry, FAST, &[asked]);
    subject.hears(&[outside.clone(), nothing.clone(), outside, nothing]);
    assert_eq!((subject.fate(), subject.blocks.len()), (None, 0));
}

#[test]
fn row_2_7_a_block_that_comes_after_its_cancel_is_dropped_without_blame() {
    let geometry = blocks_geometry(50);
    let spans = all_blocks(&geometry);
    for reserved in [FAST, PLAIN] {
        let mut subject = Subject::leeching(geometry, reserved, &spans[..20]);
        subject.told(SessionCommand::Cancel(spans[..20].to_vec()));
        assert_eq!(subject.session.requests_outstanding() + subject.session.requests_waiting(), 0);
        let late: Vec<_> = spans[..16].iter().copied().map(block).collect();
        subject.hears(&late);
        assert_eq!((subject.fate(), subject.blocks.len()), (None, 0));
        assert_eq!(subject.session.wasted(), 16 * 16_384);
        // Each was forgiven once, and the four that were never requested are not forgiven at all.
        subject.hears(&late[..4]);
        assert_eq!(subject.fate(), None);
        subject.hears(&[block(spans[16])]);
        assert!(subject.fate().is_some());
    }
}

#[test]
fn rejects_of_nothing_and_rejects_of_everything_close() {
    let geometry = blocks_geometry(50);
    let spans = all_blocks(&geometry);
    let mut subject = Subject::leeching(geometry, FAST, &spans[..1]);
    subject.hears(&vec![Message::Reject(spans[7].into()); 8]);
    assert_eq!(subject.fate(), None);
    subject.hears(&[Message::Reject(raw(99, 0, 0))]);
    assert_eq!(subject.fate().as_deref(), Some("Peer: rejected too many requests that were not sent"));

    let mut subject = Subject::leeching(geometry, FAST, &[]);
    for round in 1..3_000 {
        subject.told(SessionCommand::Assign(spans[..1].to_vec()));
        let served = round % 1_000 == 0;
        subject.hears(&[if served { block(spans[0]) } else { Message::Reject(spans[0].into()) }]);
    }
    assert_eq!(subject.fate(), None, "a block in between shows good will");

    let mut subject = Subject::leeching(geometry, FAST, &[]);
    let mut rounds = 0;
    while subject.fate().is_none() {
        subject.told(SessionCommand::Assign(spans[..1].to_vec()));
        subject.hears(&[Message::Reject(spans[0].into())]);
        rounds += 1;
    }
    assert_eq!(rounds, 1_025);
    assert_eq!(subject.fate().as_deref(), Some("Nobody: rejects every request although it does not choke"));
}

#[test]
fn row_2_10_extended_handshakes_are_bounded_and_may_repeat() {
    let extended = |payload: &[u8]| Message::Extended { id: 0, payload: Bytes::copy_from_slice(payload) };
    let mut subject = Subject::open(small_geometry(), &Bitfield::empty(4), FAST);
    subject.hears(&[extended(b"d4:reqqi3e11:upload_onlyi1ee"), extended(b"de"), extended(b"d4:reqqi-1ee")]);
    let upload_only: Vec<_> = subject
        .events()
        .into_iter()
        .filter_map(|event| match event {
            SessionEvent::Extended { upload_only, .. } => Some(upload_only),
            _ => None,
        })
        .collect();
    assert_eq!(upload_only, [true, true, true], "a handshake changes only what it names");
    assert_eq!(subject.session.depth(), 1);
    for payload in [&b"le"[..], b"d1:v", &[b'l'; 6_000]] {
        let mut subject = Subject::open(small_geometry(), &Bitfield::empty(4), FAST);
        subject.hears(&[extended(payload)]);
        assert!(subject.fate().is_some_and(|fate| fate.starts_with("Peer: sent an extended handshake that")));
    }
}

#[test]
fn row_2_10_few_extended_handshakes_a_minute_are_heard() {
    let extended = Message::Extended { id: 0, payload: Bytes::from_static(b"d1:pi7ee") };
    let mut subject = Subject::open(small_geometry(), &Bitfield::empty(4), FAST);
    for _ in 0..5 {
        for _ in 0..32 {
            subject.hears(std::slice::from_ref(&extended));
        }
        assert_eq!(subject.fate(), None, "now and then something changes");
        subject.now += potluck_common::Duration::from_secs(60);
    }
    for _ in 0..33 {
        subject.hears(std::slice::from_ref(&extended));
    }
    assert_eq!(subject.fate().as_deref(), Some("Peer: repeated its extended handshake too often"));
}

#[test]
fn what_is_not_known_is_skipped() {
    let mut subject = Subject::open(small_geometry(), &Bitfield::empty(4), FAST);
    let other = Message::Extended { id: 3, payload: vec![0; 100_000].into() };
    subject.hears(&[Message::Port(6881), other, Message::KeepAlive]);
    subject.hears_bytes(&[0, 0, 0, 3, 99, 1, 2]);
    subject.hears(&[Message::Interested, Message::Interested]);
    assert_eq!(subject.events(), [SessionEvent::Interested]);
}

#[test]
fn floods_of_requests_do_not_reach_past_a_close() {
    let mut subject = serving(FAST);
    subject.hears(&requests(&all_blocks(&small_geometry())[..3]));
    subject.told(SessionCommand::Close(crate::session::CloseReason::new(
        crate::session::Blame::Local,
        "we stop",
    )));
    assert_eq!(subject.fate().as_deref(), Some("Local: we stop"));
    let (now, events) = (subject.now, subject.events().len());
    assert_eq!(events, 1);
    assert_eq!(subject.session.next_upload(now), None);
    subject.session.handle(now, SessionCommand::Unchoke);
    subject.session.receive(now, &mut bytes::BytesMut::from(&b"\0\0\0\0"[..]));
    subject.session.handle_timeout(now + potluck_common::Duration::from_secs(1_000));
    assert_eq!(subject.session.poll_effect(), None);
    assert!(subject.session.output().is_empty());
}
