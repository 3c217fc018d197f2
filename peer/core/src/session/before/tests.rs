//! A session without metadata against one that has it, and against peers that misbehave.

use bytes::{BufMut as _, Bytes, BytesMut};
use potluck_common::{
    Bitfield, Duration, Geometry, InfoHash, Instant, PeerId,
    wire::{Handshake, Message, RawSpan, Reserved},
};

use super::{MetadataCommand, MetadataEvent, MetadataSession, MetadataSessionConfig};
use crate::session::{Direction, Extensions, Session, SessionConfig, SessionEffect, SessionEvent};

const HASH: InfoHash = InfoHash([7; 20]);
const BOTH: Reserved = Reserved::FAST.with(Reserved::EXTENDED);

fn info() -> Bytes {
    (0..40_000u32).map(|byte| (byte % 251) as u8).collect()
}

fn geometry() -> Geometry {
    Geometry::new(100_000, 32 * 1024).expect("valid")
}

fn waiting(direction: Direction, now: Instant) -> MetadataSession {
    let config = MetadataSessionConfig {
        info_hash: HASH,
        peer_id: PeerId([1; 20]),
        direction,
        remote: ([127, 0, 0, 1], 1).into(),
        listen_port: Some(6881),
        client: "Potluck 0.1.0",
        extensions: Extensions { pex: true, dht_port: Some(6881), ..Extensions::default() },
    };
    MetadataSession::new(config, now)
}

fn config(peer_id: u8, direction: Direction, metadata: Option<Bytes>) -> SessionConfig {
    SessionConfig {
        info_hash: HASH,
        peer_id: PeerId([peer_id; 20]),
        direction,
        remote: ([127, 0, 0, 1], 2).into(),
        geometry: geometry(),
        listen_port: None,
        client: "Potluck 0.1.0",
        upload_only: true,
        private: false,
        extensions: Extensions { metadata, ..Extensions::default() },
    }
}

fn events(session: &mut MetadataSession) -> Vec<MetadataEvent> {
    session.assert_invariants();
    std::iter::from_fn(|| session.poll_event()).collect()
}

fn session_events(session: &mut Session) -> Vec<SessionEvent> {
    let event = |effect| if let SessionEffect::Event(event) = effect { Some(event) } else { None };
    std::iter::from_fn(|| session.poll_effect()).filter_map(event).collect()
}

/// Carries what both say until neither says anything, a few bytes at a time. Gives what the one without metadata heard.
fn talk(now: Instant, one: &mut MetadataSession, other: &mut Session, chunk: usize) -> Vec<MetadataEvent> {
    let (mut to_one, mut to_other, mut heard) = (BytesMut::new(), BytesMut::new(), Vec::new());
    loop {
        let said = one.output().split().to_vec();
        for part in said.chunks(chunk) {
            to_other.extend_from_slice(part);
            other.receive(now, &mut to_other);
        }
        if other.output().is_empty() {
            other.next_metadata(now);
        }
        let answered = other.output().split().to_vec();
        for part in answered.chunks(chunk) {
            to_one.extend_from_slice(part);
            one.receive(now, &mut to_one);
            heard.extend(events(one));
        }
        if said.is_empty() && answered.is_empty() {
            return heard;
        }
    }
}

#[test]
fn metadata_is_fetched_and_the_connection_goes_on_with_the_payload() {
    for (direction, chunk) in
        [(Direction::Outgoing, 7), (Direction::Incoming, 1), (Direction::Outgoing, 5_000)]
    {
        let now = Instant::from_secs(100);
        let other_way =
            if direction == Direction::Outgoing { Direction::Incoming } else { Direction::Outgoing };
        let mut one = waiting(direction, now);
        let everything = Bitfield::full(geometry().pieces());
        let mut seed = Session::new(config(2, other_way, Some(info())), &everything, now);
        let heard = talk(now, &mut one, &mut seed, chunk);
        let size = heard.iter().find_map(|event| match event {
            MetadataEvent::Extended { gives_metadata: true, metadata_size, .. } => *metadata_size,
            _ => None,
        });
        assert_eq!(size, Some(40_000));
        let mut came = BytesMut::new();
        for piece in 0..3 {
            one.handle(now, MetadataCommand::Ask(piece));
            for event in talk(now, &mut one, &mut seed, chunk) {
                if let MetadataEvent::Data { payload, .. } = event {
                    came.extend_from_slice(&payload);
                }
            }
        }
        assert_eq!(came.freeze(), info());
        session_events(&mut seed);

        // The same connection: what the seed said before is known, and nobody greets anybody again.
        let mut replay = one.hand_over().expect("nothing waits");
        let nothing = Bitfield::empty(geometry().pieces());
        let mut next = Session::continued(config(1, direction, Some(info())), &nothing, now);
        next.receive(now, &mut replay);
        next.assert_invariants();
        assert!(next.is_open() && replay.is_empty());
        let known = session_events(&mut next);
        assert!(
            known.iter().any(|event| matches!(event, SessionEvent::Bitfield(all) if all.is_full())),
            "{known:?}"
        );
        let mut said = next.output().split();
        seed.receive(now, &mut said);
        let heard = session_events(&mut seed);
        assert!(
            !heard
                .iter()
                .any(|event| matches!(event, SessionEvent::Closed(_) | SessionEvent::Handshaken { .. })),
            "{heard:?}"
        );
    }
}

/// One that has greeted a scripted peer with these reserved bits.
fn greeted(reserved: Reserved) -> MetadataSession {
    let mut session = waiting(Direction::Incoming, Instant::from_secs(1));
    let handshake = Handshake { reserved, info_hash: HASH, peer_id: PeerId([9; 20]) };
    session.receive(Instant::from_secs(1), &mut BytesMut::from(&handshake.encode()[..]));
    events(&mut session);
    session
}

fn hears(session: &mut MetadataSession, messages: &[Message]) -> Vec<MetadataEvent> {
    let mut wire = BytesMut::new();
    for message in messages {
        message.encode(&mut wire);
    }
    session.receive(Instant::from_secs(2), &mut wire);
    events(session)
}

fn is_closed(events: &[MetadataEvent]) -> bool {
    events.iter().any(|event| matches!(event, MetadataEvent::Closed(_)))
}

#[test]
fn rows_2_1_and_2_4_deadlines_hold_before_the_metadata() {
    let now = Instant::from_secs(1);
    let mut silent = waiting(Direction::Incoming, now);
    assert_eq!(silent.poll_timeout(), Some(now + Duration::from_secs(10)));
    silent.handle_timeout(now + Duration::from_secs(10));
    assert!(is_closed(&events(&mut silent)));
    assert!(silent.output().is_empty(), "a stranger hears nothing");

    let mut slow = greeted(BOTH);
    let mut part = BytesMut::new();
    part.put_u32(100_000);
    part.put_u8(5);
    slow.receive(Instant::from_secs(2), &mut part);
    assert_eq!(slow.poll_timeout(), Some(Instant::from_secs(62)));
    slow.handle_timeout(Instant::from_secs(62));
    assert!(is_closed(&events(&mut slow)));
}

#[test]
fn row_2_2_another_torrent_and_row_2_3_lengths_are_refused() {
    let mut session = waiting(Direction::Incoming, Instant::from_secs(1));
    let handshake = Handshake { reserved: BOTH, info_hash: InfoHash([8; 20]), peer_id: PeerId([9; 20]) };
    session.receive(Instant::from_secs(1), &mut BytesMut::from(&handshake.encode()[..]));
    assert!(is_closed(&events(&mut session)) && session.output().is_empty());
    for (id, length) in [(5, 300_000), (20, 1 << 20), (7, 1 << 24), (0, 2), (4, 6)] {
        let mut session = greeted(BOTH);
        let mut header = BytesMut::new();
        header.put_u32(length);
        header.put_u8(id);
        session.receive(Instant::from_secs(2), &mut header);
        assert!(is_closed(&events(&mut session)), "{id} {length}");
    }
}

#[test]
fn what_is_said_of_pieces_is_written_down_within_bounds() {
    let mut session = greeted(BOTH);
    let have: Vec<Message> = (0..100_000).map(Message::Have).collect();
    assert!(!is_closed(&hears(&mut session, &have)));
    session.output().clear();
    assert!(session.hand_over().is_none(), "it said more than was written down");

    let mut session = greeted(Reserved::EXTENDED);
    assert!(is_closed(&hears(&mut session, &[Message::HaveAll])), "without BEP 6");

    let mut session = greeted(BOTH);
    let span = RawSpan { piece: 0, begin: 0, length: 16_384 };
    session.output().clear();
    hears(&mut session, &[Message::Request(span)]);
    let mut expected = BytesMut::new();
    Message::Reject(span).encode(&mut expected);
    assert_eq!(session.output(), &expected);
    let flood = vec![Message::Request(span); 301];
    assert!(is_closed(&hears(&mut session, &flood)));
}

#[test]
fn others_are_heard_of() {
    let mut session = greeted(BOTH);
    let told = hears(
        &mut session,
        &[
            Message::Port(0),
            Message::Port(7),
            Message::Extended { id: 1, payload: Bytes::from_static(b"de") },
        ],
    );
    assert_eq!(told, [MetadataEvent::DhtPort(7), MetadataEvent::Pex(Bytes::from_static(b"de"))]);
}
