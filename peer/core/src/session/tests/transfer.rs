//! Two sessions that do everything right.

use bytes::Bytes;
use potluck_common::{Bitfield, Duration, wire::Message};

use super::{
    all_blocks, blocks_geometry, field,
    pair::Pair,
    piece, small_geometry,
    subject::{FAST, PLAIN, Subject, handshake},
};
use crate::session::{Direction, Extensions, SessionCommand, SessionEvent};

#[test]
fn a_seed_serves_a_leecher_whole_pieces_in_any_chunks() {
    for (seed, chunk_max) in [(1, 1), (2, 7), (3, 1_000), (4, 1 << 20)] {
        let geometry = small_geometry();
        let (empty, full) = (Bitfield::empty(geometry.pieces()), Bitfield::full(geometry.pieces()));
        let mut pair = Pair::new(geometry, &empty, &full).with_chunks(seed, chunk_max);
        pair.out.wanted = all_blocks(&geometry).into();
        pair.run();
        assert!(pair.out.events.contains(&SessionEvent::Bitfield(full)), "{:?}", pair.out.events);
        assert!(pair.inc.events.contains(&SessionEvent::Bitfield(empty)));
        pair.command_out(SessionCommand::Interested);
        assert!(pair.inc.session.peer_interested());
        pair.command_inc(SessionCommand::Unchoke);
        let mut blocks = pair.out.blocks.clone();
        blocks.sort();
        assert_eq!(blocks, all_blocks(&geometry));
        assert_eq!(pair.inc.uploaded(), geometry.total());
        pair.command_out(SessionCommand::Have(geometry.iter().collect()));
        assert_eq!(pair.inc.count(|event| matches!(event, SessionEvent::Have(_))), 4);
        assert!(pair.inc.session.remote_pieces().is_full());
    }
}

#[test]
fn each_side_learns_who_the_other_is() {
    let geometry = small_geometry();
    let empty = Bitfield::empty(geometry.pieces());
    let mut pair = Pair::new(geometry, &empty, &empty);
    pair.run();
    let SessionEvent::Handshaken { peer_id, fast: true, extended: true } = &pair.out.events[0] else {
        panic!("{:?}", pair.out.events);
    };
    assert_eq!(peer_id.0, [2; 20]);
    let extended = |upload_only| SessionEvent::Extended {
        client: Some("Potluck 0.1.0".into()),
        listen_port: Some(6881),
        your_ip: Some([127, 0, 0, 2].into()),
        upload_only,
        pex: false,
    };
    assert!(pair.inc.events.contains(&extended(false)), "{:?}", pair.inc.events);
    pair.command_out(SessionCommand::UploadOnly(true));
    pair.command_out(SessionCommand::UploadOnly(true));
    assert_eq!(pair.inc.count(|event| *event == extended(true)), 1, "told once");
}

#[test]
fn what_we_have_is_said_first_and_never_in_vain() {
    let geometry = small_geometry();
    let [none, some, all] = [&[][..], &[1, 3], &[0, 1, 2, 3]].map(|pieces| field(&geometry, pieces));
    let bitfield = |bits: u8| Message::Bitfield(vec![bits].into());
    let cases = [
        (&none, FAST, Some(Message::HaveNone)),
        (&some, FAST, Some(bitfield(0x50))),
        (&all, FAST, Some(Message::HaveAll)),
        (&none, PLAIN, None),
        (&some, PLAIN, Some(bitfield(0x50))),
        (&all, PLAIN, Some(bitfield(0xf0))),
    ];
    for (have, reserved, expected) in cases {
        let mut subject = Subject::silent(geometry, have);
        subject.hears_bytes(&handshake(reserved).encode());
        let _ = subject.session.output().split_to(68);
        let said = subject.said();
        let extended =
            said.iter().filter(|message| matches!(message, Message::Extended { id: 0, .. })).count();
        assert_eq!(extended, usize::from(reserved == FAST));
        assert_eq!(said.len(), extended + usize::from(expected.is_some()));
        assert!(expected.is_none_or(|expected| said[0] == expected), "{said:?}");
    }
}

#[test]
fn commands_before_the_handshake_are_not_lost() {
    let geometry = small_geometry();
    let empty = Bitfield::empty(geometry.pieces());
    let mut pair = Pair::new(geometry, &empty, &empty);
    for command in
        [SessionCommand::Interested, SessionCommand::Unchoke, SessionCommand::Have(vec![piece(&geometry, 1)])]
    {
        pair.inc.session.handle(pair.now, command);
    }
    pair.run();
    assert!(pair.out.session.peer_interested() && !pair.out.session.remote_choking());
    assert_eq!(pair.out.session.remote_pieces().count(), 1);
    assert_eq!(pair.out.closed, None);
}

#[test]
fn requests_never_exceed_the_depth_and_credit_keeps_the_pipe_full() {
    let geometry = blocks_geometry(200);
    let mut pair = Pair::new(geometry, &Bitfield::empty(200), &Bitfield::full(200));
    pair.out.wanted = all_blocks(&geometry).into();
    pair.inc.uploading = false;
    pair.run();
    pair.command_inc(SessionCommand::Unchoke);
    assert_eq!(pair.out.session.requests_outstanding(), 16);
    assert_eq!(pair.out.session.requests_waiting(), 4, "a quarter more, to refill from at once");
    assert_eq!(pair.inc.session.uploads_queued(), 16);
    pair.inc.uploading = true;
    pair.advance(Duration::from_millis(1));
    assert_eq!(pair.out.blocks.len(), 200);
    assert_eq!(pair.out.session.depth(), 64, "no time passed, so the link is nearby");
}

#[test]
fn what_finds_peers_is_spoken_only_where_both_offer_it_and_never_of_a_private_torrent() {
    let geometry = small_geometry();
    let empty = Bitfield::empty(geometry.pieces());
    let both = Extensions { pex: true, dht_port: Some(6881), ..Extensions::default() };
    for (out, inc, private, spoken) in [
        (both.clone(), both.clone(), false, true),
        (both.clone(), Extensions::default(), false, false),
        (Extensions::default(), both.clone(), false, false),
        (both.clone(), both.clone(), true, false),
    ] {
        let mut pair = Pair::with(geometry, [&empty, &empty], |direction, config| {
            let extensions = if direction == Direction::Outgoing { &out } else { &inc };
            (config.extensions, config.private) = (extensions.clone(), private);
        });
        pair.run();
        pair.command_out(SessionCommand::Pex(Bytes::from_static(b"de")));
        pair.run();
        let events = &pair.inc.events;
        let heard = events.contains(&SessionEvent::Pex(Bytes::from_static(b"de")));
        let port = events.contains(&SessionEvent::DhtPort(6881));
        assert_eq!((heard, port), (spoken, spoken), "private: {private}, {events:?}");
    }
}
