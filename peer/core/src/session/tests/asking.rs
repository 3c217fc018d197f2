//! What we ask of a peer: chokes, rejects, allowed-fast pieces, cancels and silence.

use potluck_common::{
    BlockSpan, Duration,
    wire::{Message, Reserved},
};

use super::{
    all_blocks, blocks_geometry, piece, small_geometry,
    subject::{FAST, PLAIN, Subject, block, requests},
};
use crate::session::{SessionCommand, SessionEvent};

fn fifty() -> (potluck_common::Geometry, Vec<BlockSpan>) {
    let geometry = blocks_geometry(50);
    (geometry, all_blocks(&geometry))
}

fn cancels(spans: &[BlockSpan]) -> Vec<Message> {
    spans.iter().map(|span| Message::Cancel((*span).into())).collect()
}

#[test]
fn a_choke_without_bep_6_gives_everything_back() {
    let (geometry, spans) = fifty();
    let mut subject = Subject::leeching(geometry, PLAIN, &spans[..20]);
    subject.hears(&[block(spans[0]), Message::Choke, Message::Choke]);
    let back = spans[1..20].to_vec();
    assert_eq!(
        subject.events(),
        [SessionEvent::Received(vec![spans[0]]), SessionEvent::Released(back), SessionEvent::Choked]
    );
    subject.hears(&[block(spans[1])]);
    assert_eq!(
        (subject.fate(), subject.events()),
        (None, vec![SessionEvent::Wasted(16_384)]),
        "it was under way"
    );
}

#[test]
fn a_choke_with_bep_6_gives_back_what_is_not_sent_and_rejects_the_rest() {
    let (geometry, spans) = fifty();
    let mut subject = Subject::leeching(geometry, FAST, &spans[..20]);
    subject.hears(&[Message::Choke]);
    assert_eq!(subject.events(), [SessionEvent::Released(spans[16..20].to_vec()), SessionEvent::Choked]);
    let reject = |number: usize| Message::Reject(spans[number].into());
    subject.hears(&[block(spans[0]), reject(1), reject(2), block(spans[3]), reject(4)]);
    assert_eq!(
        subject.events(),
        [
            SessionEvent::Received(vec![spans[0]]),
            SessionEvent::Released(vec![spans[1], spans[2]]),
            SessionEvent::Received(vec![spans[3]]),
            SessionEvent::Released(vec![spans[4]]),
        ]
    );
    assert_eq!(subject.session.requests_outstanding(), 11);
    // A peer that forgets its duty to answer does not hold the blocks for ever.
    subject.passes_secs(21);
    assert_eq!(subject.events(), [SessionEvent::Released(spans[5..16].to_vec())]);
    assert!(!subject.session.is_snubbed(), "it owes us nothing");
}

#[test]
fn blocks_assigned_while_choked_come_back_unless_they_are_allowed_fast() {
    let (geometry, spans) = fifty();
    let mut subject = Subject::leeching(geometry, FAST, &[]);
    let granted = subject.granted;
    subject.hears(&[Message::Choke, Message::AllowedFast(7), Message::AllowedFast(7), Message::Suggest(9)]);
    subject.told(SessionCommand::Assign(spans[5..10].to_vec()));
    let refused = [&spans[5..7], &spans[8..10]].concat();
    assert_eq!(
        subject.events(),
        [
            SessionEvent::Choked,
            SessionEvent::AllowedFast(piece(&geometry, 7)),
            SessionEvent::Suggested(piece(&geometry, 9)),
            SessionEvent::Released(refused)
        ]
    );
    assert_eq!(subject.said(), requests(&spans[7..8]));
    assert_eq!(subject.granted - granted, 4, "what was refused is granted again");
    subject.hears(&[block(spans[7])]);
    assert_eq!(subject.blocks, [spans[7]]);
}

/// Else it would ask again as fast as the other refuses, until that takes it for an attack.
#[test]
fn a_piece_whose_block_is_refused_while_choked_is_no_longer_allowed_fast() {
    let (geometry, spans) = fifty();
    let mut subject = Subject::leeching(geometry, FAST, &spans[6..8]);
    let refusal = |span: BlockSpan| Message::Reject(span.into());
    subject.hears(&[Message::AllowedFast(6), Message::AllowedFast(7), Message::Choke, refusal(spans[7])]);
    subject.events();
    subject.told(SessionCommand::Assign(vec![spans[7]]));
    assert_eq!(subject.said(), requests(&spans[7..8]), "what was refused was asked for before the choke");
    subject.hears(&[refusal(spans[7])]);
    assert_eq!(
        subject.events(),
        [SessionEvent::NotAllowedFast(piece(&geometry, 7)), SessionEvent::Released(vec![spans[7]])]
    );
    subject.told(SessionCommand::Assign(vec![spans[7]]));
    assert_eq!(subject.events(), [SessionEvent::Released(vec![spans[7]])]);
    assert_eq!(subject.said(), []);
}

#[test]
fn credit_follows_what_is_held() {
    let (geometry, spans) = fifty();
    let mut subject = Subject::leeching(geometry, FAST, &[]);
    assert_eq!(subject.granted, 20, "a depth of 16 and a quarter");
    subject.told(SessionCommand::Assign(spans[..20].to_vec()));
    assert_eq!((subject.granted, subject.said()), (20, requests(&spans[..16])));
    subject.passes(Duration::from_millis(50));
    for (arrived, granted) in [(1, 20), (2, 20), (3, 20)] {
        subject.hears(&[block(spans[arrived - 1])]);
        assert_eq!(subject.granted, granted, "too little to wake the torrent for");
    }
    assert_eq!(subject.said(), requests(&spans[16..19]), "the margin bridges the time");
    subject.hears(&[block(spans[3])]);
    assert_eq!(subject.granted, 24);
}

#[test]
fn cancels_reach_the_peer_for_what_was_requested() {
    let (geometry, spans) = fifty();
    let mut subject = Subject::leeching(geometry, FAST, &spans[..20]);
    let granted = subject.granted;
    subject.told(SessionCommand::Cancel(vec![spans[3], spans[18], spans[40]]));
    let mut expected = cancels(&spans[3..4]);
    expected.extend(requests(&spans[16..17]));
    assert_eq!(subject.said(), expected);
    assert_eq!((subject.session.requests_outstanding(), subject.session.requests_waiting()), (16, 2));
    assert_eq!(subject.events(), [], "the torrent knows");
    subject.hears(&[Message::Reject(spans[3].into())]);
    assert_eq!((subject.fate(), subject.events()), (None, vec![]), "BEP 6 wants an answer to a cancel, too");
    assert_eq!(subject.granted, granted, "two of twenty are missing");
}

#[test]
fn a_block_requested_again_after_its_cancel_survives_the_answer_to_the_cancel() {
    let (geometry, spans) = fifty();
    let mut subject = Subject::leeching(geometry, FAST, &spans[..1]);
    subject.told(SessionCommand::Cancel(spans[..1].to_vec()));
    subject.told(SessionCommand::Assign(spans[..1].to_vec()));
    subject.hears(&[Message::Reject(spans[0].into())]);
    assert_eq!((subject.events(), subject.session.requests_outstanding()), (vec![], 1));
    subject.hears(&[block(spans[0])]);
    assert_eq!(subject.blocks, [spans[0]]);
}

#[test]
fn the_round_trip_is_not_taken_from_the_answer_to_a_cancelled_request() {
    let (geometry, spans) = fifty();
    let mut subject = Subject::leeching(geometry, FAST, &spans[..1]);
    subject.told(SessionCommand::Cancel(spans[..1].to_vec()));
    subject.passes(Duration::from_millis(80));
    subject.told(SessionCommand::Assign(spans[..2].to_vec()));
    subject.passes(Duration::from_millis(1));
    subject.hears(&[block(spans[0])]);
    assert_eq!(subject.blocks, [spans[0]]);
    assert_eq!(subject.session.round_trip(), None);
    subject.passes(Duration::from_millis(80));
    subject.hears(&[block(spans[1])]);
    assert_eq!(subject.session.round_trip(), Some(Duration::from_millis(81)));
}

#[test]
fn cancelled_requests_are_remembered_within_bounds() {
    let geometry = blocks_geometry(3_000);
    let spans = all_blocks(&geometry);
    let mut subject = Subject::leeching(geometry, PLAIN, &[]);
    for span in &spans {
        subject.told(SessionCommand::Assign(vec![*span]));
        subject.told(SessionCommand::Cancel(vec![*span]));
    }
    subject.hears(&[block(spans[2_999]), block(spans[2_999 - 1_023])]);
    for _ in 0..4 {
        subject.hears(&[block(spans[0])]);
        assert_eq!(subject.fate(), None);
    }
    subject.hears(&[block(spans[2_999 - 1_024])]);
    assert!(subject.fate().is_some(), "beyond the bound nothing is forgiven");
}

#[test]
fn row_2_7_a_peer_that_goes_silent_is_snubbed_probed_and_forgiven() {
    let (geometry, spans) = fifty();
    for reserved in [FAST, PLAIN] {
        let mut subject = Subject::leeching(geometry, reserved, &spans[..20]);
        subject.passes_secs(10);
        subject.hears(&[block(spans[0]), Message::KeepAlive]);
        subject.events();
        subject.said();
        subject.passes(Duration::from_millis(19_999));
        assert_eq!(subject.events(), []);
        subject.passes(Duration::from_millis(1));
        assert_eq!(
            subject.events(),
            [SessionEvent::Snubbed(true), SessionEvent::Released(spans[2..20].to_vec())]
        );
        assert_eq!(subject.said(), cancels(&spans[2..16]), "no more was requested of it, slow as it is");
        assert_eq!((subject.session.requests_outstanding(), subject.session.depth()), (1, 1));

        // More than the one probe is refused.
        subject.told(SessionCommand::Assign(spans[30..32].to_vec()));
        assert_eq!(subject.events(), [SessionEvent::Released(spans[30..32].to_vec())]);

        // The probe is given up at 60 s, and another one may be tried.
        subject.passes_secs(40);
        assert_eq!(
            (subject.events(), subject.said()),
            (vec![SessionEvent::Released(spans[1..2].to_vec())], cancels(&spans[1..2]))
        );
        subject.told(SessionCommand::Assign(spans[30..32].to_vec()));
        assert_eq!(subject.said(), requests(&spans[30..31]));
        assert_eq!(subject.events(), [SessionEvent::Released(spans[31..32].to_vec())]);
        subject.passes_secs(30);
        subject.hears(&[block(spans[30])]);
        assert_eq!(subject.events(), [SessionEvent::Snubbed(false), SessionEvent::Received(vec![spans[30]])]);
        assert_eq!(subject.session.depth(), 16);
    }
}

#[test]
fn a_snub_ends_when_the_peer_chokes_us() {
    let (geometry, spans) = fifty();
    for reserved in [FAST, PLAIN] {
        let mut subject = Subject::leeching(geometry, reserved, &spans[..20]);
        subject.passes_secs(20);
        assert!(subject.session.is_snubbed());
        subject.events();
        subject.hears(&[Message::Choke]);
        assert!(!subject.session.is_snubbed());
        let events = subject.events();
        let choked = events.iter().position(|event| *event == SessionEvent::Choked);
        let over = events.iter().position(|event| *event == SessionEvent::Snubbed(false));
        assert!(choked < over, "{events:?}");
        // It is asked for nothing now, so that it cannot snub us.
        subject.passes_secs(100);
        assert!(!subject.events().contains(&SessionEvent::Snubbed(true)));
    }
}

#[test]
fn a_late_block_shows_that_the_peer_is_back() {
    let (geometry, spans) = fifty();
    let mut subject = Subject::leeching(geometry, FAST, &spans[..20]);
    subject.passes_secs(20);
    subject.events();
    subject.hears(&[block(spans[5])]);
    assert_eq!(subject.events(), [SessionEvent::Snubbed(false), SessionEvent::Wasted(16_384)]);
    assert_eq!(subject.blocks, [], "it may have come from someone else by now");
}

#[test]
fn a_request_that_the_peer_lost_is_given_up_while_others_are_answered() {
    let (geometry, spans) = fifty();
    let mut subject = Subject::leeching(geometry, PLAIN, &spans[..16]);
    let mut lost_at = None;
    for (second, span) in spans[1..].iter().enumerate() {
        subject.passes_secs(1);
        if second >= 15 {
            subject.told(SessionCommand::Assign(vec![*span]));
        }
        subject.hears(&[block(*span)]);
        let said = subject.said();
        if subject.events().contains(&SessionEvent::Released(spans[..1].to_vec())) {
            assert!(said.contains(&Message::Cancel(spans[0].into())), "the peer may yet find it");
            lost_at = Some(second + 1);
        }
    }
    let lost_at = lost_at.expect("the first block was lost");
    assert!((21..45).contains(&lost_at), "{lost_at} s");
    assert_eq!(subject.blocks.len(), 49);
}

#[test]
fn chokes_and_allowed_fast_grants_of_ours_follow_bep_6() {
    let geometry = small_geometry();
    let full = potluck_common::Bitfield::full(4);
    let mut subject = Subject::open(geometry, &full, FAST);
    let spans = all_blocks(&geometry);
    let granted = piece(&geometry, 1);
    subject.told(SessionCommand::AllowFast(vec![granted, granted]));
    assert_eq!(subject.said(), [Message::AllowedFast(1)]);
    subject.told(SessionCommand::Unchoke);
    subject.said();
    // Blocks 3, 4 and 5 are those of piece 1.
    subject.hears(&requests(&spans[..6]));
    subject.told(SessionCommand::Choke);
    let mut expected = vec![Message::Choke];
    expected.extend(spans[..3].iter().map(|span| Message::Reject((*span).into())));
    assert_eq!(subject.said(), expected, "first the choke");
    assert_eq!(subject.session.uploads_queued(), 3);
    let now = subject.now;
    while let Some(span) = subject.session.next_upload(now) {
        assert_eq!(span.piece, granted);
        subject.session.upload_sent(now, span);
    }
    subject.hears(&requests(&spans[3..4]));
    assert_eq!(subject.said(), [Message::Reject(spans[3].into())], "each byte of the grant is served once");
    assert_eq!(subject.events(), [SessionEvent::Uploaded(40_000)]);

    let mut plain = Subject::open(geometry, &full, Reserved::EXTENDED);
    plain.told(SessionCommand::AllowFast(vec![granted]));
    assert_eq!(plain.said(), [], "without BEP 6 there are no grants");
}

#[test]
fn a_choked_peer_weighs_a_quarter_at_most() {
    let geometry = small_geometry();
    let mut subject = Subject::open(geometry, &potluck_common::Bitfield::full(4), FAST);
    let steps = [
        (None, 25),
        (Some(SessionCommand::Unchoke), 100),
        (Some(SessionCommand::Weigh(50)), 50),
        (Some(SessionCommand::Choke), 25),
        (Some(SessionCommand::Weigh(10)), 10),
        (Some(SessionCommand::Unchoke), 10),
        (Some(SessionCommand::Weigh(100)), 100),
    ];
    for (command, percent) in steps {
        if let Some(command) = command {
            subject.told(command);
        }
        assert_eq!(subject.session.weight_percent(), percent);
    }
}
