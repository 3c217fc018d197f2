//! Giving the metadata to whoever asks (BEP 9).

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use potluck_common::{
    Bitfield, Instant,
    wire::{
        ExtendedHandshake, HANDSHAKE_BYTES, Handshake, Message, MetadataMessage, Rules, UT_METADATA, decode,
    },
};

use super::{
    config, small_geometry,
    subject::{FAST, handshake},
};
use crate::session::{Direction, Session, SessionEffect, SessionEvent, config::METADATA_ID};

/// Two whole pieces and a short one.
const SIZE: usize = 2 * 16 * 1024 + 100;
/// The id under which the scripted peer wants to receive metadata.
const THEIR_ID: u8 = 9;

fn info() -> Bytes {
    (0..SIZE).map(|byte| (byte % 251) as u8).collect()
}

struct Asker {
    session: Session,
    now: Instant,
    buffer: BytesMut,
}

impl Asker {
    fn new() -> Self {
        let now = Instant::from_secs(100);
        let geometry = small_geometry();
        let mut config = config(geometry, Direction::Incoming);
        config.extensions.metadata = Some(info());
        let mut asker = Self {
            session: Session::new(config, &Bitfield::full(geometry.pieces()), now),
            now,
            buffer: BytesMut::from(&handshake(FAST).encode()[..]),
        };
        asker.receive();
        let extensions = BTreeMap::from([(UT_METADATA.to_owned(), THEIR_ID)]);
        let hello = ExtendedHandshake { extensions, ..ExtendedHandshake::default() };
        asker.says(&Message::Extended { id: 0, payload: hello.encode().into() });
        asker
    }

    fn says(&mut self, message: &Message) {
        message.encode(&mut self.buffer);
        self.receive();
    }

    fn asks(&mut self, piece: u32) {
        let payload = MetadataMessage::Request(piece).encode().into();
        self.says(&Message::Extended { id: METADATA_ID, payload });
    }

    fn receive(&mut self) {
        self.session.receive(self.now, &mut self.buffer);
        self.session.assert_invariants();
    }

    /// What was said about metadata since the last time.
    fn hears(&mut self) -> Vec<MetadataMessage> {
        let mut said = Vec::new();
        let rules = Rules::of(&small_geometry());
        let output = self.session.output();
        if Handshake::decode(output).is_ok_and(|handshake| handshake.is_some()) {
            let _ = output.split_to(HANDSHAKE_BYTES);
        }
        while let Some(message) = decode(output, rules).expect("we speak the protocol") {
            if let Message::Extended { id: THEIR_ID, payload } = message {
                said.push(MetadataMessage::decode(&payload).expect("we speak the extension"));
            }
        }
        said
    }

    /// The same, taking all that is given in its turn.
    fn takes(&mut self) -> Vec<MetadataMessage> {
        let mut said = self.hears();
        while self.session.next_metadata(self.now) {
            let given = self.hears();
            assert_eq!(given.len(), 1, "one reply at a time");
            said.extend(given);
        }
        said
    }

    fn fate(&mut self) -> Option<String> {
        std::iter::from_fn(|| self.session.poll_effect()).find_map(|effect| match effect {
            SessionEffect::Event(SessionEvent::Closed(reason)) => Some(reason.why.to_string()),
            _ => None,
        })
    }
}

fn data(piece: u32) -> MetadataMessage {
    let begin = piece as usize * 16 * 1024;
    let payload = info().slice(begin..SIZE.min(begin + 16 * 1024));
    MetadataMessage::Data { piece, total_size: Some(SIZE as u32), payload }
}

#[test]
fn the_metadata_is_offered_and_given_piece_by_piece() {
    let mut asker = Asker::new();
    let output = asker.session.output().clone();
    let mut output = BytesMut::from(&output[HANDSHAKE_BYTES..]);
    let mut offered = None;
    while let Some(message) = decode(&mut output, Rules::of(&small_geometry())).expect("valid") {
        if let Message::Extended { id: 0, payload } = message {
            offered = Some(ExtendedHandshake::decode(&payload).expect("valid"));
        }
    }
    let offered = offered.expect("an extended handshake");
    assert_eq!(offered.metadata_size, Some(SIZE as u32));
    assert_eq!(offered.extensions.get(UT_METADATA), Some(&METADATA_ID));
    asker.hears();
    for piece in [2, 0, 1] {
        asker.asks(piece);
    }
    assert_eq!(asker.takes(), [data(2), data(0), data(1)]);
}

#[test]
fn row_2_11_what_does_not_exist_is_rejected() {
    let mut asker = Asker::new();
    for piece in [3, 65_536, i32::MAX as u32, u32::MAX] {
        asker.asks(piece);
        assert_eq!(asker.takes(), [MetadataMessage::Reject(piece)]);
    }
    let absurd = [&b"d8:msg_typei0e5:piecei4294967296ee"[..], b"d8:msg_typei0e5:piecei-1ee", b"x"];
    for payload in absurd.iter().cycle().take(8) {
        asker.says(&Message::Extended { id: METADATA_ID, payload: Bytes::from_static(payload) });
        assert_eq!((asker.takes(), asker.fate()), (vec![], None));
    }
    asker.says(&Message::Extended { id: METADATA_ID, payload: Bytes::from_static(b"y") });
    assert!(asker.fate().is_some(), "it goes on and on");
}

#[test]
fn row_2_11_a_flood_gets_two_times_the_metadata_a_minute_and_rejects() {
    let mut asker = Asker::new();
    let (mut given, mut rejected) = (0, 0);
    for turn in 0..3_000u32 {
        asker.asks(turn % 3);
        for message in asker.takes() {
            match message {
                MetadataMessage::Data { payload, .. } => given += payload.len(),
                MetadataMessage::Reject(_) => rejected += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(given <= 2 * SIZE && given > SIZE, "{given}");
    assert!(rejected >= 2_990, "{rejected}");
    asker.now += potluck_common::Duration::from_secs(60);
    asker.asks(0);
    assert_eq!(asker.takes(), [data(0)], "a minute later");
}

#[test]
fn row_2_11_who_reads_nothing_makes_nobody_hold_more_than_one_reply() {
    let mut asker = Asker::new();
    asker.hears();
    for turn in 0..10_000u32 {
        asker.asks(turn % 3);
    }
    // The shell takes the output only when the socket does, and asks for a reply when it has nothing else to write.
    let output = asker.session.output().len();
    assert!(output <= 10_000 * 40, "no payload waits in the output: {output} bytes");
    assert!(asker.session.next_metadata(asker.now));
    assert!(asker.session.output().len() <= output + 17 * 1024);
}

#[test]
fn who_does_not_offer_it_gives_nothing() {
    let mut asker = Asker::new();
    let hello = ExtendedHandshake {
        extensions: BTreeMap::from([(UT_METADATA.to_owned(), 0)]),
        ..ExtendedHandshake::default()
    };
    asker.says(&Message::Extended { id: 0, payload: hello.encode().into() });
    asker.hears();
    asker.asks(0);
    assert!(asker.takes().is_empty(), "nobody would understand the answer");
}
