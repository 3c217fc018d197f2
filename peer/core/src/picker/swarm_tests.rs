//! A download from a handful of simulated sources: it must not take much longer than their rates allow, and few
//! blocks may come for nothing.

use std::collections::{BTreeMap, VecDeque};

use potluck_common::{Bitfield, BlockSpan, Duration, Geometry, Instant, Rng, limits::BLOCK_LENGTH};

use super::{END_GAME_RETRY, Outcome, PickLimits, Picker, PickerConfig};
use crate::{PeerKey, rate::RateMeter};

/// Somebody to download from.
#[derive(Clone, Copy)]
struct Source {
    bytes_per_second: u64,
    round_trip: Duration,
    /// Each block takes between this much less and this much more time, in percent.
    jitter: u32,
    /// It stops for good after so many blocks.
    blocks_max: u32,
}

const MS: Duration = Duration::from_millis(1);

const STEADY: Source = Source {
    bytes_per_second: 1_000_000,
    round_trip: Duration::from_millis(20),
    jitter: 5,
    blocks_max: u32::MAX,
};

/// Something that happens at a time.
#[derive(Clone, Copy)]
enum Event {
    Request(PeerKey, BlockSpan),
    Cancel(PeerKey, BlockSpan),
    Sent(PeerKey),
    Arrives(PeerKey, BlockSpan),
    Retry,
}

/// A source at work, and the downloader's view of it.
struct Link {
    source: Source,
    waiting: VecDeque<BlockSpan>,
    sending: Option<BlockSpan>,
    meter: RateMeter,
    sent: u32,
}

struct Swarm {
    now: Instant,
    geometry: Geometry,
    picker: Picker,
    links: BTreeMap<PeerKey, Link>,
    events: BTreeMap<(Instant, u64), Event>,
    events_ever: u64,
    rng: Rng,
    /// Blocks that came for nothing.
    wasted: u32,
}

impl Swarm {
    fn new(geometry: Geometry, sources: &[Source], seed: u64) -> Self {
        let have = Bitfield::empty(geometry.pieces());
        let mut picker = Picker::new(geometry, &have, seed, PickerConfig::default());
        let mut links = BTreeMap::new();
        for (source, number) in sources.iter().zip(0..) {
            picker.peer_added(&Bitfield::full(geometry.pieces()));
            let (waiting, meter) = (VecDeque::new(), RateMeter::default());
            links.insert(PeerKey(number), Link { source: *source, waiting, sending: None, meter, sent: 0 });
        }
        Self {
            now: Instant::from_secs(1),
            geometry,
            picker,
            links,
            events: BTreeMap::new(),
            events_ever: 0,
            rng: Rng::new(seed),
            wasted: 0,
        }
    }

    fn after(&mut self, delay: Duration, event: Event) {
        self.events_ever += 1;
        self.events.insert((self.now + delay, self.events_ever), event);
    }

    /// Downloads everything; the time it took.
    fn run(&mut self) -> Duration {
        let start = self.now;
        for peer in self.links.keys().copied().collect::<Vec<_>>() {
            self.ask(peer);
        }
        self.after(END_GAME_RETRY, Event::Retry);
        while self.picker.wanted_left() > 0 {
            let ((now, _), event) = self.events.pop_first().expect("it goes on until all is there");
            self.now = now;
            self.happens(event);
            assert!(now.since(start) < Duration::from_secs(3_600), "it hangs");
        }
        let took = self.now.since(start);
        // What is under way when all is there comes for nothing.
        while let Some(((now, _), event)) = self.events.pop_first() {
            self.now = now;
            if !matches!(event, Event::Retry) {
                self.happens(event);
            }
        }
        took
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Request(peer, span) => {
                self.link(peer).waiting.push_back(span);
                self.send_next(peer);
            }
            Event::Cancel(peer, span) => self.link(peer).waiting.retain(|waiting| *waiting != span),
            Event::Sent(peer) => {
                let trip = self.link(peer).source.round_trip / 2;
                let span = self.link(peer).sending.take().expect("it was being sent");
                self.after(trip, Event::Arrives(peer, span));
                self.send_next(peer);
            }
            Event::Arrives(peer, span) => self.arrives(peer, span),
            Event::Retry => {
                for peer in self.links.keys().copied().collect::<Vec<_>>() {
                    self.ask(peer);
                }
                self.after(END_GAME_RETRY, Event::Retry);
            }
        }
    }

    fn link(&mut self, peer: PeerKey) -> &mut Link {
        self.links.get_mut(&peer).expect("sources stay")
    }

    fn send_next(&mut self, peer: PeerKey) {
        let roll = self.rng.below(201);
        let link = self.link(peer);
        if link.sending.is_some() || link.sent == link.source.blocks_max {
            return;
        }
        let Some(span) = link.waiting.pop_front() else { return };
        let percent = 100 + roll * link.source.jitter / 100 - link.source.jitter;
        let micros =
            u64::from(span.length) * 10_000 * u64::from(percent) / link.source.bytes_per_second.max(1);
        link.sending = Some(span);
        link.sent += 1;
        self.after(Duration::from_micros(micros), Event::Sent(peer));
    }

    fn arrives(&mut self, peer: PeerKey, span: BlockSpan) {
        let now = self.now;
        self.link(peer).meter.add(now, u64::from(span.length));
        let receipt = self.picker.received(peer, span);
        self.wasted += u32::from(receipt.outcome != Outcome::New);
        for other in receipt.cancel {
            let trip = self.link(other).source.round_trip / 2;
            self.after(trip, Event::Cancel(other, span));
        }
        if receipt.piece_complete {
            self.picker.stored(span.piece);
        }
        self.ask(peer);
    }

    /// Fills the peer's queue to twice the product of bandwidth and delay.
    fn ask(&mut self, peer: PeerKey) {
        let now = self.now;
        let rate = self.link(peer).meter.recent(now);
        let round_trip = self.link(peer).source.round_trip;
        let product = rate as f64 * round_trip.as_secs_f64() / f64::from(BLOCK_LENGTH);
        let depth = (2.0 * product).clamp(16.0, 250.0) as u32;
        let count = depth.saturating_sub(self.picker.in_flight_count(peer));
        let limits = PickLimits { rate_bytes_per_second: rate, ..PickLimits::default() };
        let has = Bitfield::full(self.geometry.pieces());
        for span in self.picker.pick(now, peer, &has, count, limits) {
            self.after(round_trip / 2, Event::Request(peer, span));
        }
    }
}

/// Downloads 32 MiB; at most 3 % may come for nothing, and it may take 5 % and `slack` longer than the rates allow.
#[track_caller]
fn check(name: &str, piece_length: u64, sources: &[Source], slack: Duration) {
    let geometry = Geometry::new(32 << 20, piece_length).expect("valid");
    let blocks: u32 = geometry.iter().map(|piece| geometry.blocks_in(piece)).sum();
    for seed in 0..3 {
        let mut swarm = Swarm::new(geometry, sources, seed);
        let took = swarm.run();
        swarm.picker.assert_invariants();
        let rate: u64 = sources.iter().filter(|s| s.blocks_max == u32::MAX).map(|s| s.bytes_per_second).sum();
        let ideal = Duration::from_secs_f64(geometry.total() as f64 / rate as f64);
        let waste = 100.0 * f64::from(swarm.wasted) / f64::from(blocks);
        println!("{name} {piece_length}: {took:?} of {ideal:?}, {waste:.2} % wasted");
        assert!(waste <= 3.0, "{name}: {waste:.2} % of the blocks were wasted");
        assert!(took <= ideal.mul_f64(1.05) + slack, "{name}: took {took:?} of {ideal:?}");
    }
}

#[test]
fn the_end_game_is_quick_and_wastes_little() {
    let slow = |bytes_per_second| Source { bytes_per_second, ..STEADY };
    let cases: &[(&str, Vec<Source>, u64)] = &[
        ("alone", vec![STEADY], 500),
        ("equal", vec![STEADY; 8], 1_000),
        ("one slow", vec![STEADY, STEADY, STEADY, slow(20_000)], 2_000),
        ("mixed", vec![slow(10_000), slow(100_000), STEADY, slow(10_000_000)], 2_000),
        ("jitter", vec![Source { jitter: 90, ..STEADY }; 8], 1_500),
        ("far", vec![Source { round_trip: 400 * MS, ..STEADY }; 6], 2_500),
        ("near", vec![Source { bytes_per_second: 200_000_000, round_trip: MS / 5, ..STEADY }; 5], 1_000),
        ("some stop", vec![STEADY, STEADY, STEADY, Source { blocks_max: 100, ..STEADY }], 6_000),
    ];
    for (name, sources, slack) in cases {
        for piece_length in [32 << 10, 1 << 20] {
            check(name, piece_length, sources, MS * *slack as u32);
        }
    }
}
