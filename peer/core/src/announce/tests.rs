//! Virtual-time tests of the announcer.

use std::collections::BTreeMap;

use potluck_common::announce::{Failure, Retry};
use proptest::prelude::*;

use super::*;

/// An announcer, the time, and what it asked for.
struct Bench {
    announcer: Announcer,
    now: Instant,
    /// Announces under way: id, URL, event.
    announces: Vec<(AnnounceId, String, Event)>,
    scrapes: Vec<(AnnounceId, String)>,
}

const COMPLETED: Event = Event::Completed;
const STOPPED: Event = Event::Stopped;

impl Bench {
    /// Tiers are separated by spaces, trackers of a tier by commas; `a` stands for `http://a/announce`.
    fn new(tiers: &str, seed: u64) -> Self {
        let now = Instant::from_secs(1_000);
        let announcer = Announcer::new(&parse(tiers), AnnouncerConfig::default(), seed, now);
        Self { announcer, now, announces: Vec::new(), scrapes: Vec::new() }
    }

    fn running(tiers: &str) -> Self {
        let mut bench = Self::new(tiers, 1);
        bench.act(Announcer::start);
        bench
    }

    fn act(&mut self, command: impl FnOnce(&mut Announcer, Instant)) {
        command(&mut self.announcer, self.now);
        self.drain();
    }

    fn drain(&mut self) {
        self.announcer.assert_invariants();
        while let Some(effect) = self.announcer.poll_effect() {
            match effect {
                AnnounceEffect::Announce { id, url, event, numwant, timeout, .. } => {
                    assert_eq!(numwant == 0, event == STOPPED);
                    assert_eq!(timeout == STOPPED_TIMEOUT, event == STOPPED);
                    self.announces.push((id, name(&url), event));
                }
                AnnounceEffect::Scrape { id, url } => self.scrapes.push((id, url.reveal())),
            }
        }
    }

    /// Names and events of what is under way, such as `a started, b`.
    fn under_way(&self) -> String {
        let show = |(_, name, event): &(AnnounceId, String, Event)| match event {
            Event::None => name.clone(),
            event => format!("{name} {event:?}").to_lowercase(),
        };
        self.announces.iter().map(show).collect::<Vec<_>>().join(", ")
    }

    fn answer(&mut self, name: &str, outcome: &Result<AnnounceReply, AnnounceFailure>) {
        let at = self.announces.iter().position(|(_, to, _)| to == name).expect("it is announced to");
        let (id, ..) = self.announces.remove(at);
        self.act(|announcer, now| announcer.handle(now, id, outcome.as_ref()));
    }

    fn reply(&mut self, name: &str) {
        self.answer(name, &Ok(reply()));
    }

    fn fail(&mut self, name: &str) {
        self.answer(name, &Err(dead()));
    }

    /// Waits for the next deadline and returns how long that took.
    fn wait(&mut self) -> Duration {
        let due = self.announcer.poll_timeout().expect("a deadline");
        let waited = due.since(self.now);
        self.now = self.now.max(due);
        self.act(Announcer::handle_timeout);
        waited
    }

    fn order(&self) -> String {
        let rows = self.announcer.status(self.now).into_iter();
        rows.map(|row| name(&TrackerUrl::parse(row.url.as_str()).expect("valid"))).collect()
    }
}

fn url(name: &str) -> TrackerUrl {
    TrackerUrl::parse(&format!("http://{name}/announce")).expect("valid")
}

fn name(url: &TrackerUrl) -> String {
    url.reveal().trim_start_matches("http://").trim_end_matches("/announce").to_owned()
}

fn parse(tiers: &str) -> Vec<Vec<TrackerUrl>> {
    tiers.split_whitespace().map(|tier| tier.split(',').map(url).collect()).collect()
}

fn reply() -> AnnounceReply {
    AnnounceReply {
        interval: Some(Duration::from_secs(1_800)),
        min_interval: Some(Duration::from_secs(900)),
        complete: Some(3),
        incomplete: Some(5),
        peers: vec![([10, 0, 0, 1], 6881).into(); 8],
        ..AnnounceReply::default()
    }
}

fn dead() -> AnnounceFailure {
    AnnounceFailure::Unreachable("no answer".into())
}

fn refused(retry: Option<Retry>) -> AnnounceFailure {
    AnnounceFailure::Refused(Failure { reason: "unregistered torrent".into(), retry })
}

fn secs(range: std::ops::RangeInclusive<u64>, duration: Duration) -> bool {
    Duration::from_secs(*range.start()) <= duration && duration <= Duration::from_secs(*range.end())
}

#[test]
fn a_tier_is_shuffled_by_the_seed_and_tiers_keep_their_order() {
    let orders: Vec<_> = (0..60).map(|seed| Bench::new("a,b,c d", seed).order()).collect();
    assert!(orders.iter().all(|order| order.ends_with('d')), "{orders:?}");
    let mut distinct = orders.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), 6, "{distinct:?}");
    assert_eq!(orders, (0..60).map(|seed| Bench::new("a,b,c d", seed).order()).collect::<Vec<_>>());
}

#[test]
fn the_tracker_that_answers_is_promoted_and_kept() {
    // The third example of BEP 12, with the order that seed 1 gives for 1, 2, 3.
    let mut bench = Bench::running("x,y,z");
    let order = bench.order();
    let [first, second, third] = [&order[0..1], &order[1..2], &order[2..3]];
    assert_eq!(bench.under_way(), format!("{first} started"));
    bench.fail(first);
    assert_eq!(bench.under_way(), format!("{second} started"));
    bench.reply(second);
    assert_eq!(bench.order(), [second, first, third].concat());
    assert!(secs(1_800..=1_890, bench.wait()));
    assert_eq!(bench.under_way(), second);
    bench.fail(second);
    bench.fail(first);
    assert_eq!(bench.under_way(), format!("{third} started"));
    bench.reply(third);
    assert_eq!(bench.order(), [third, second, first].concat());
    assert!(secs(1_800..=1_890, bench.wait()));
    assert_eq!(bench.under_way(), third, "the others are left alone while it works");
}

#[test]
fn row_6_1_tiers_announce_independently() {
    let mut bench = Bench::running("a b c");
    assert_eq!(bench.under_way(), "a started, b started, c started");
    bench.reply("b");
    bench.fail("a");
    assert_eq!(bench.under_way(), "c started");
    assert!(secs(15..=30, bench.wait()));
    assert_eq!(bench.under_way(), "c started, a started");
}

#[test]
fn row_6_1_a_dead_tier_backs_off_to_an_hour_and_recovers() {
    let mut bench = Bench::running("a");
    bench.fail("a");
    let mut longest = Duration::ZERO;
    for round in 0..20 {
        let waited = bench.wait();
        assert!(secs(15..=3_600, waited), "{round}: {waited:?}");
        longest = longest.max(waited);
        assert_eq!(bench.under_way(), "a started");
        bench.fail("a");
    }
    assert!(longest > Duration::from_secs(1_800));
    assert_eq!(bench.announcer.status(bench.now)[0].failures, 21);
    bench.wait();
    bench.reply("a");
    bench.wait();
    bench.fail("a");
    assert!(secs(15..=30, bench.wait()), "an answer ends the backoff");
}

#[test]
fn row_6_1_what_a_failure_says_decides_when_it_is_tried_again() {
    let after = |secs| Some(Retry::After(Duration::from_secs(secs)));
    // The failure, then the wait in seconds; `None` is never.
    let cases = [
        (dead(), Some(15..=30)),
        (AnnounceFailure::Invalid("an HTML page".into()), Some(15..=30)),
        (refused(None), Some(300..=600)),
        (refused(after(120)), Some(120..=120)),
        (refused(after(0)), Some(60..=60)),
        (refused(after(1 << 40)), Some(86_400..=86_400)),
        (refused(Some(Retry::Never)), None),
        (AnnounceFailure::Forbidden("policy".into()), None),
    ];
    for (failure, wait) in cases {
        let mut bench = Bench::running("a");
        bench.answer("a", &Err(failure.clone()));
        let row = &bench.announcer.status(bench.now)[0];
        assert_eq!((row.state, row.message.clone()), (TrackerState::Failed, Some(failure.message())));
        match wait {
            Some(range) => assert!(secs(range, bench.wait()), "{failure:?}"),
            None => assert_eq!(bench.announcer.poll_timeout(), None, "{failure:?}"),
        }
        bench.act(Announcer::announce_now);
        assert_eq!(bench.under_way(), "a started", "a person may ask again");
    }
}

#[test]
fn row_6_2_want_peers_hurries_to_the_minimum_interval_and_no_further() {
    let mut bench = Bench::running("a b");
    bench.reply("a");
    bench.fail("b");
    for _ in 0..3 {
        bench.act(Announcer::want_peers);
    }
    assert_eq!(bench.under_way(), "");
    assert!(secs(15..=30, bench.wait()), "a failed tracker keeps its backoff");
    bench.answer("b", &Err(refused(Some(Retry::Never))));
    let early = bench.now;
    bench.wait();
    assert!(bench.now.since(early) < Duration::from_secs(900) && bench.now == Instant::from_secs(1_900));
    assert_eq!(bench.under_way(), "a");
    bench.reply("a");
    assert!(secs(1_800..=1_890, bench.wait()), "one wish, one announce");
}

#[test]
fn completed_reaches_each_tier_once_and_after_started() {
    let mut bench = Bench::running("a b c,d");
    let second = bench.order()[2..3].to_owned();
    let third = bench.order()[3..4].to_owned();
    bench.reply("a");
    bench.reply(&second);
    bench.act(Announcer::completed);
    bench.act(Announcer::completed);
    assert_eq!(bench.under_way(), format!("b started, a completed, {second} completed"));
    bench.reply("b");
    bench.reply("a");
    bench.fail(&second);
    assert_eq!(bench.under_way(), format!("b completed, {third} started"));
    bench.reply("b");
    bench.reply(&third);
    bench.reply(&third);
    assert_eq!(bench.under_way(), "");
    bench.act(|announcer, now| assert!(announcer.add_tracker(url("e"), 9, now)));
    bench.reply("e");
    assert_eq!(bench.under_way(), "", "a tracker added later has nothing completed to hear of");
    bench.wait();
    assert!(!bench.under_way().contains("completed"), "{}", bench.under_way());
}

#[test]
fn stopped_goes_once_to_those_that_heard_started() {
    let mut bench = Bench::running("a b c d");
    bench.reply("a");
    bench.fail("b");
    bench.wait();
    assert_eq!(bench.under_way(), "c started, d started, b started");
    bench.reply("d");
    bench.act(Announcer::stop);
    assert_eq!(bench.under_way(), "c started, b started, a stopped, d stopped");
    assert!(!bench.announcer.is_quiet());
    bench.reply("c");
    assert_eq!(bench.under_way(), "b started, a stopped, d stopped, c stopped", "it counts us in, late");
    for name in ["a", "d", "c"] {
        bench.fail(name);
    }
    assert!(bench.announcer.is_quiet(), "b failed before and is not waited for");
    bench.reply("b");
    assert_eq!(bench.under_way(), "b stopped", "it lives after all");
    bench.reply("b");
    bench.act(Announcer::stop);
    assert_eq!(bench.under_way(), "");
    assert_eq!(bench.announcer.poll_timeout(), None);
}

#[test]
fn a_restart_waits_for_stopped_to_arrive() {
    let mut bench = Bench::running("a");
    bench.reply("a");
    bench.act(Announcer::stop);
    bench.act(Announcer::start);
    assert_eq!(bench.under_way(), "a stopped");
    bench.reply("a");
    assert_eq!(bench.under_way(), "a started");
    bench.reply("a");
    bench.act(Announcer::stop);
    assert_eq!(bench.under_way(), "a stopped");
}

#[test]
fn a_replaced_list_keeps_state_and_says_goodbye() {
    let mut bench = Bench::running("a b c");
    bench.reply("a");
    bench.reply("b");
    bench.act(|announcer, now| announcer.replace(&parse("d b,d"), now));
    assert_eq!(bench.under_way(), "c started, d started, a stopped");
    assert_eq!(bench.order(), "db");
    bench.reply("c");
    assert_eq!(bench.under_way(), "d started, a stopped, c stopped");
    bench.reply("a");
    bench.reply("c");
    bench.reply("d");
    assert!(!bench.announcer.add_tracker(url("b"), 0, bench.now), "listed");
    let many: Vec<_> = (0..300).map(|number| vec![url(&format!("t{number}"))]).collect();
    bench.act(|announcer, now| announcer.replace(&many, now));
    assert_eq!(bench.announcer.status(bench.now).len(), TRACKERS_MAX);
    assert!(!bench.announcer.add_tracker(url("last"), 0, bench.now), "full");
}

#[test]
fn missing_counts_are_scraped() {
    let mut bench = Bench::running("a");
    let counted = |complete, incomplete| AnnounceReply { complete, incomplete, ..reply() };
    bench.answer("a", &Ok(counted(Some(1), Some(2))));
    assert_eq!(bench.scrapes.len(), 0);
    bench.wait();
    bench.answer("a", &Ok(counted(None, None)));
    let (id, url) = bench.scrapes.pop().expect("a scrape");
    assert_eq!(url, "http://a/announce");
    bench.announcer.handle_scrape(id, Some(ScrapeEntry { complete: 7, incomplete: 9, downloaded: 1 }));
    let row = bench.announcer.status(bench.now).remove(0);
    assert_eq!((row.seeders, row.leechers, row.peers), (Some(7), Some(9), 8));
    bench.wait();
    bench.answer("a", &Ok(counted(None, None)));
    let (id, _) = bench.scrapes.pop().expect("a scrape");
    bench.announcer.handle_scrape(id, None);
    bench.wait();
    bench.answer("a", &Ok(counted(None, None)));
    assert_eq!(bench.scrapes.len(), 0, "a tracker without scrape is not asked again");
}

#[test]
fn status_tells_state_warning_and_who_is_next() {
    let mut bench = Bench::running("a b");
    let row = |bench: &Bench, at: usize| bench.announcer.status(bench.now).remove(at);
    assert_eq!((row(&bench, 0).state, row(&bench, 0).next_at), (TrackerState::Announcing, None));
    bench.answer("a", &Ok(AnnounceReply { warning: Some("slow\x1b[2J".into()), ..reply() }));
    assert_eq!(row(&bench, 0).state, TrackerState::Working);
    assert_eq!(row(&bench, 0).warning.expect("a warning").as_str(), "slow\\u{1b}[2J");
    assert!(secs(1_800..=1_890, row(&bench, 0).next_at.expect("due").since(bench.now)));
    assert_eq!(row(&bench, 1).tier, 1);
    let idle = Bench::new("a", 1);
    assert_eq!((row(&idle, 0).state, row(&idle, 0).next_at), (TrackerState::Idle, None));
}

#[test]
fn row_6_1_five_thousand_torrents_do_not_retry_a_dead_tracker_in_step() {
    let start = Instant::from_secs(1_000);
    let mut per_second = BTreeMap::<u64, u32>::new();
    for seed in 0..5_000 {
        let mut announcer = Announcer::new(&parse("a"), AnnouncerConfig::default(), seed, start);
        let mut now = start;
        announcer.start(now);
        while now.since(start) < Duration::from_secs(3_600) {
            while let Some(AnnounceEffect::Announce { id, .. }) = announcer.poll_effect() {
                *per_second.entry(now.since(start).as_secs()).or_default() += 1;
                announcer.handle(now, id, Err(&dead()));
            }
            now = announcer.poll_timeout().expect("a retry");
            announcer.handle_timeout(now);
        }
    }
    let retries = |from: u64| per_second.range(from..).map(|(_, count)| *count).max().expect("some");
    assert!(retries(1) <= 500, "the first retries, over 15 s: {}", retries(1));
    assert!(retries(600) <= 40, "after ten minutes: {}", retries(600));
    let total: u32 = per_second.values().sum();
    assert!(total <= 5_000 * 12, "{total} announces in an hour");
}

/// One step of the random walk.
#[derive(Clone, Debug)]
enum Step {
    Start,
    Stop,
    Completed,
    WantPeers,
    AnnounceNow,
    Wait,
    Reply { which: usize, interval: Option<u64>, min_interval: Option<u64> },
    Fail { which: usize, kind: u8 },
    Add(u8, usize),
    Replace(String),
}

fn step() -> impl Strategy<Value = Step> {
    let interval = || proptest::option::of(prop_oneof![0u64..100, 100u64..5_000, Just(u64::MAX)]);
    prop_oneof![
        2 => Just(Step::Start),
        1 => Just(Step::Stop),
        1 => Just(Step::Completed),
        2 => Just(Step::WantPeers),
        1 => Just(Step::AnnounceNow),
        6 => Just(Step::Wait),
        6 => (0usize..8, interval(), interval())
            .prop_map(|(which, interval, min_interval)| Step::Reply { which, interval, min_interval }),
        4 => (0usize..8, 0u8..4).prop_map(|(which, kind)| Step::Fail { which, kind }),
        1 => (b'a'..=b'h', 0usize..4).prop_map(|(name, tier)| Step::Add(name, tier)),
        1 => "[a-h](,[a-h]){0,2}( [a-h](,[a-h]){0,2}){0,2}".prop_map(Step::Replace),
    ]
}

/// What a tracker would complain about, kept per tracker name.
#[derive(Default)]
struct Heard {
    in_swarm: bool,
    completed: u32,
    /// The earliest announce without an event that its last outcome allows.
    not_before: Instant,
}

fn walk(steps: Vec<Step>) {
    let mut bench = Bench::new("a,b,c d e,f", 3);
    let mut heard = BTreeMap::<String, Heard>::new();
    let mut seen = 0;
    for step in steps {
        match step {
            Step::Start => bench.act(Announcer::start),
            Step::Stop => bench.act(Announcer::stop),
            Step::Completed => bench.act(Announcer::completed),
            Step::WantPeers => bench.act(Announcer::want_peers),
            Step::AnnounceNow => bench.act(Announcer::announce_now),
            Step::Wait if bench.announcer.poll_timeout().is_some() => {
                let waited = bench.wait();
                assert!(waited <= INTERVAL_MAX, "{waited:?}");
            }
            Step::Add(name, tier) => {
                let name = char::from(name).to_string();
                bench.act(|announcer, now| _ = announcer.add_tracker(url(&name), tier, now));
            }
            Step::Replace(tiers) => bench.act(|announcer, now| announcer.replace(&parse(&tiers), now)),
            Step::Reply { which, interval, min_interval } if !bench.announces.is_empty() => {
                let (id, name, event) = bench.announces.remove(which % bench.announces.len());
                seen -= 1;
                let heard = heard.entry(name).or_default();
                heard.in_swarm = event != STOPPED;
                heard.completed += u32::from(event == COMPLETED);
                let min_interval = min_interval.map(Duration::from_secs);
                let floor = min_interval.unwrap_or(INTERVAL_MIN).clamp(INTERVAL_MIN, INTERVAL_MAX);
                heard.not_before = if event == STOPPED { Instant::ZERO } else { bench.now + floor };
                let summary =
                    AnnounceReply { interval: interval.map(Duration::from_secs), min_interval, ..reply() };
                bench.act(|announcer, now| announcer.handle(now, id, Ok(&summary)));
            }
            Step::Fail { which, kind } if !bench.announces.is_empty() => {
                let (id, ..) = bench.announces.remove(which % bench.announces.len());
                seen -= 1;
                let failure = match kind {
                    0 => refused(None),
                    1 => refused(Some(Retry::Never)),
                    _ => dead(),
                };
                bench.act(|announcer, now| announcer.handle(now, id, Err(&failure)));
            }
            Step::Wait | Step::Reply { .. } | Step::Fail { .. } => {}
        }
        for (_, name, event) in &bench.announces[seen..] {
            let heard = heard.entry(name.clone()).or_default();
            match event {
                Event::Stopped => {
                    assert!(heard.in_swarm, "{name} hears stopped without started");
                    heard.in_swarm = false;
                }
                Event::Completed => assert_eq!(heard.completed, 0, "{name} heard completed"),
                Event::None => {
                    assert!(heard.in_swarm && heard.not_before <= bench.now, "{name} is asked too early");
                }
                Event::Started => {}
            }
        }
        seen = bench.announces.len();
    }
}

proptest! {
    #[test]
    fn any_history_keeps_the_promises_to_trackers(steps in proptest::collection::vec(step(), 1..120)) {
        walk(steps);
    }
}
