//! Sessions under arbitrary bytes, arbitrary chunking and arbitrary operations.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use potluck_common::{
    Bitfield, BlockSpan, Duration, Geometry,
    wire::{Message, Reserved},
};
use proptest::prelude::*;

use super::{
    all_blocks, field,
    pair::{Pair, payload_of},
    piece, small_geometry,
    subject::{FAST, PLAIN, Subject, block, handshake, raw},
};
use crate::session::{SessionCommand, SessionEvent};

/// What the peer or the torrent does next.
#[derive(Clone, Debug)]
enum Step {
    /// The peer answers our request number so and so, with the block or (with BEP 6) with a reject.
    Answer { nth: usize, reject: bool },
    /// The peer says this.
    Hear(Message),
    /// The torrent says this, whatever it is owed.
    Tell(SessionCommand),
    /// The torrent assigns as many blocks as it has credit for, from this one on.
    Assign { from: usize, count: usize },
    /// The torrent cancels blocks of those it has assigned.
    Cancel { from: usize, count: usize },
    /// The shell sends blocks, or fails to.
    Upload { count: usize, fails: bool },
    /// Time passes.
    Pass(u64),
    /// The shell stops and later starts to read.
    Pause(u64),
}

fn reserved() -> impl Strategy<Value = Reserved> {
    prop_oneof![Just(FAST), Just(PLAIN), Just(Reserved::EXTENDED), Just(Reserved::FAST)]
}

/// Spans that are mostly good.
fn span() -> impl Strategy<Value = (u32, u32, u32)> {
    let begin = prop_oneof![Just(0u32), Just(16_384), Just(32_768), 0u32..50_000];
    let length = prop_oneof![Just(16_384u32), Just(7_232), 0u32..20_000, any::<u32>()];
    (0u32..5, begin, length)
}

/// Messages that are mostly good.
fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        2 => Just(Message::Choke),
        4 => Just(Message::Unchoke),
        1 => Just(Message::Interested),
        1 => Just(Message::NotInterested),
        2 => (0u32..4).prop_map(Message::Have),
        1 => (0u8..16).prop_map(|bits| Message::Bitfield(vec![bits << 4].into())),
        1 => Just(Message::HaveAll),
        1 => Just(Message::HaveNone),
        1 => (0u32..4).prop_map(Message::Suggest),
        1 => (0u32..4).prop_map(Message::AllowedFast),
        6 => span().prop_map(|(piece, begin, length)| Message::Request(raw(piece, begin, length))),
        2 => span().prop_map(|(piece, begin, length)| Message::Cancel(raw(piece, begin, length))),
        1 => span().prop_map(|(piece, begin, length)| Message::Reject(raw(piece, begin, length))),
        1 => Just(Message::KeepAlive),
        1 => (1i64..40).prop_map(|depth| {
            Message::Extended { id: 0, payload: format!("d4:reqqi{depth}ee").into_bytes().into() }
        }),
    ]
}

fn command() -> impl Strategy<Value = SessionCommand> {
    let geometry = small_geometry();
    let pieces = proptest::collection::vec(0u32..4, 0..3).prop_map(move |numbers| {
        numbers.into_iter().map(|number| piece(&geometry, number)).collect::<Vec<_>>()
    });
    prop_oneof![
        2 => Just(SessionCommand::Choke),
        4 => Just(SessionCommand::Unchoke),
        1 => Just(SessionCommand::Interested),
        1 => Just(SessionCommand::NotInterested),
        1 => pieces.clone().prop_map(SessionCommand::Have),
        1 => pieces.prop_map(SessionCommand::AllowFast),
        1 => any::<bool>().prop_map(SessionCommand::UploadOnly),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0usize..20, any::<bool>()).prop_map(|(nth, reject)| Step::Answer { nth, reject }),
        6 => message().prop_map(Step::Hear),
        3 => command().prop_map(Step::Tell),
        6 => (0usize..10, 0usize..20).prop_map(|(from, count)| Step::Assign { from, count }),
        2 => (0usize..10, 0usize..4).prop_map(|(from, count)| Step::Cancel { from, count }),
        3 => (0usize..5, any::<bool>()).prop_map(|(count, fails)| Step::Upload { count, fails }),
        2 => (0u64..30_000).prop_map(Step::Pass),
        1 => (0u64..200_000).prop_map(Step::Pause),
    ]
}

/// Without BEP 6 these close the session at once, which would end most runs early.
fn is_fast(message: &Message) -> bool {
    use Message::{AllowedFast, HaveAll, HaveNone, Reject, Suggest};
    matches!(message, HaveAll | HaveNone | Suggest(_) | Reject(_) | AllowedFast(_))
}

/// A naive picture of what the torrent and the peer know about our requests.
struct Model {
    subject: Subject,
    fast: bool,
    /// Assigned and neither received, released nor cancelled.
    held: Vec<BlockSpan>,
    /// All blocks that were ever assigned.
    assigned: u32,
    /// Requests that the peer saw and has not answered.
    asked: VecDeque<BlockSpan>,
}

impl Model {
    fn new(reserved: Reserved) -> Self {
        let geometry = small_geometry();
        let mut subject = Subject::open(geometry, &field(&geometry, &[0, 2]), reserved);
        subject.hears(&[Message::Bitfield(Bytes::from_static(&[0xf0])), Message::Unchoke]);
        let fast = reserved.has(Reserved::FAST);
        Self { subject, fast, held: Vec::new(), assigned: 0, asked: VecDeque::new() }
    }

    fn take(&mut self, step: Step) {
        let subject = &mut self.subject;
        match step {
            Step::Answer { nth, reject } => self.answer(nth, reject),
            Step::Hear(message) if is_fast(&message) && !self.fast => {}
            Step::Hear(message) => subject.hears(&[message]),
            Step::Tell(command) => subject.told(command),
            Step::Assign { from, count } => self.assign(from, count),
            Step::Cancel { from, count } => {
                let end = (from + count).min(self.held.len());
                let spans: Vec<_> = self.held.drain(from.min(end)..end).collect();
                subject.told(SessionCommand::Cancel(spans));
            }
            Step::Upload { count, fails } => self.upload(count, fails),
            Step::Pass(millis) => subject.passes(Duration::from_millis(millis)),
            Step::Pause(millis) => {
                subject.session.pause_reading(subject.now);
                subject.passes(Duration::from_millis(millis));
                subject.session.resume_reading(subject.now);
            }
        }
        self.check();
    }

    fn answer(&mut self, nth: usize, reject: bool) {
        let Some(span) = self.asked.remove(nth) else { return };
        let answer = if reject && self.fast { Message::Reject(span.into()) } else { block(span) };
        self.subject.hears(&[answer]);
    }

    fn assign(&mut self, from: usize, count: usize) {
        let credit = (self.subject.granted - self.assigned) as usize;
        let free = all_blocks(&self.subject.geometry).into_iter().filter(|span| !self.held.contains(span));
        let spans: Vec<_> = free.skip(from).take(count.min(credit)).collect();
        self.assigned += spans.len() as u32;
        self.held.extend(&spans);
        self.subject.told(SessionCommand::Assign(spans));
    }

    fn upload(&mut self, count: usize, fails: bool) {
        let (session, now) = (&mut self.subject.session, self.subject.now);
        for _ in 0..count {
            let Some(span) = session.next_upload(now) else { break };
            assert!(session.has_piece(span.piece) && span.length <= 16_384);
            if fails { session.upload_failed(now, span) } else { session.upload_sent(now, span) }
        }
        self.subject.hears(&[]);
    }

    /// Every assigned block is in the session, or was told to be received or released exactly once.
    fn check(&mut self) {
        for event in self.subject.events() {
            match event {
                SessionEvent::Received(spans) | SessionEvent::Released(spans) => {
                    for span in spans {
                        let place = self.held.iter().position(|held| *held == span);
                        self.held.remove(place.expect("it was assigned and not told of before"));
                    }
                }
                SessionEvent::Closed(_) => self.held.clear(),
                _ => {}
            }
        }
        let session = &self.subject.session;
        assert_eq!(self.held.len(), session.requests_outstanding() + session.requests_waiting());
        for message in self.subject.said() {
            match message {
                Message::Request(raw) => self.asked.extend(raw.mint(&self.subject.geometry)),
                Message::Reject(_) if !self.fast => panic!("there is no such word"),
                _ => {}
            }
        }
    }
}

/// Events with one block each, so that they are the same in any chunking.
fn flatten(events: Vec<SessionEvent>) -> Vec<SessionEvent> {
    let flat = events.into_iter().flat_map(|event| match event {
        SessionEvent::Received(spans) => {
            spans.into_iter().map(|span| SessionEvent::Received(vec![span])).collect()
        }
        SessionEvent::Released(spans) => {
            spans.into_iter().map(|span| SessionEvent::Released(vec![span])).collect()
        }
        event => vec![event],
    });
    flat.collect()
}

fn transfer_geometry(total: u64, piece_length: u64) -> Geometry {
    Geometry::new(total, piece_length).expect("valid")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_operation_breaks_the_books(
        reserved in reserved(),
        steps in proptest::collection::vec(step(), 0..120),
    ) {
        let mut model = Model::new(reserved);
        for step in steps {
            if model.subject.session.is_closed() {
                break;
            }
            model.take(step);
        }
    }

    #[test]
    fn arbitrary_bytes_end_in_order(
        reserved in reserved(),
        chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..20),
        plausible: bool,
    ) {
        let mut subject = Subject::silent(small_geometry(), &Bitfield::full(4));
        if plausible {
            subject.hears_bytes(&handshake(reserved).encode());
        }
        for mut chunk in chunks {
            // Half the time the length prefixes are small, so that bodies are reached too.
            if plausible && chunk.len() > 3 {
                chunk[..3].fill(0);
            }
            subject.hears_bytes(&chunk);
            subject.passes_secs(1);
        }
        subject.passes_secs(1_000);
        prop_assert!(subject.session.is_closed(), "silence ends every session");
    }

    #[test]
    fn chunks_do_not_matter(
        reserved in reserved(),
        messages in proptest::collection::vec(message(), 0..40),
        cuts in proptest::collection::vec(1usize..50, 1..10),
    ) {
        let spans = all_blocks(&small_geometry());
        let mut wire = BytesMut::new();
        for (number, message) in messages.iter().enumerate() {
            message.encode(&mut wire);
            if let Some(span) = spans.get(number) {
                block(*span).encode(&mut wire);
            }
        }
        let mut whole = Subject::leeching(small_geometry(), reserved, &spans);
        whole.hears_bytes(&wire);
        let mut cut = Subject::leeching(small_geometry(), reserved, &spans);
        let mut rest = &wire[..];
        for length in cuts.into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, later) = rest.split_at(length.min(rest.len()));
            cut.hears_bytes(chunk);
            rest = later;
        }
        prop_assert_eq!(flatten(whole.events()), flatten(cut.events()));
        prop_assert_eq!(whole.blocks, cut.blocks);
    }

    #[test]
    fn every_transfer_completes_whatever_the_chokes(
        total in 1u64..300_000,
        piece_length in 1_000u64..100_000,
        seed: u64,
        chunk_max in 1_000u32..200_000,
        fast: bool,
        turns in proptest::collection::vec((any::<bool>(), any::<bool>(), 0u64..30_000), 0..12),
    ) {
        let geometry = transfer_geometry(total, piece_length);
        let (empty, full) = (Bitfield::empty(geometry.pieces()), Bitfield::full(geometry.pieces()));
        let mut pair = Pair::new(geometry, &empty, &full).with_chunks(seed, chunk_max);
        if !fast {
            pair = pair.without_fast();
        }
        pair.out.wanted = all_blocks(&geometry).into();
        pair.command_out(SessionCommand::Interested);
        for (unchoke, uploading, millis) in turns {
            pair.inc.uploading = uploading;
            pair.command_inc(if unchoke { SessionCommand::Unchoke } else { SessionCommand::Choke });
            pair.advance(Duration::from_millis(millis));
        }
        pair.inc.uploading = true;
        pair.command_inc(SessionCommand::Unchoke);
        for _ in 0..3 {
            pair.advance(Duration::from_secs(70));
        }
        let mut blocks = pair.out.blocks.clone();
        blocks.sort();
        prop_assert_eq!(blocks, all_blocks(&geometry));
        prop_assert_eq!(pair.inc.uploaded(), geometry.total() + pair.out.session.wasted());
        prop_assert_eq!((&pair.out.closed, &pair.inc.closed), (&None, &None));
    }
}

#[test]
fn payloads_differ() {
    let spans = all_blocks(&small_geometry());
    assert_ne!(payload_of(spans[0]), payload_of(spans[1]), "a swapped block would be noticed");
}
