//! The tracker: its store that ships, behind the encoding of a real announce.

use std::{collections::BTreeMap, net::IpAddr};

use potluck_common::{
    Duration, Instant, Printable,
    announce::{AnnounceReply, AnnounceRequest, Event, ReplyError, TrackerUrl, http},
};
use potluck_core::announce::AnnounceFailure;
use potluck_tracker_core::{Config, Swarms, Transport};

/// A tracker, and a naive model of what it must know.
#[derive(Debug)]
pub(super) struct Tracker {
    pub(super) url: TrackerUrl,
    swarms: Swarms,
    /// It answers nothing until then.
    pub(super) down_until: Instant,
    /// Who announced and did not stop: when last, and whether it said that it has all.
    known: BTreeMap<(IpAddr, u16), (Instant, bool)>,
    lifetime: Duration,
    /// A defect on purpose.
    misses_stops: bool,
}

impl Tracker {
    pub(super) fn new(seed: u64, interval: Duration, misses_stops: bool) -> Self {
        let config = Config { interval, min_interval: Duration::from_secs(30), ..Config::default() };
        let lifetime = config.lifetime();
        Self {
            url: TrackerUrl::parse("http://tracker.example/announce").expect("well-formed"),
            swarms: Swarms::new(config, seed),
            down_until: Instant::ZERO,
            known: BTreeMap::new(),
            lifetime,
            misses_stops,
        }
    }

    /// An announce as it comes over the wire, and the reply as it goes.
    pub(super) fn announce(
        &mut self,
        now: Instant,
        source: IpAddr,
        request: &AnnounceRequest,
    ) -> Result<AnnounceReply, AnnounceFailure> {
        while let Some(at) = self.swarms.poll_timeout().filter(|at| *at <= now) {
            self.swarms.handle_timeout(at.max(now));
            self.swarms.assert_invariants();
        }
        let url = http::announce_url(&self.url, request);
        let query = url.split_once('?').map_or("", |(_, query)| query);
        let heard = http::parse_announce(query).expect("our own announces are well-formed");
        self.note(now, source, &heard);
        let body = match self.swarms.announce(now, &heard, source, Transport::Http) {
            Ok(reply) => http::encode_announce(&reply, heard.compact),
            Err(failure) => http::encode_failure(&failure),
        };
        http::decode_announce(&body).map_err(|error| match error {
            ReplyError::Failure(failure) => AnnounceFailure::Refused(failure),
            ReplyError::Malformed(why) => AnnounceFailure::Invalid(why),
        })
    }

    fn note(&mut self, now: Instant, source: IpAddr, heard: &AnnounceRequest) {
        let key = (source, heard.port);
        if heard.event == Event::Stopped && !self.misses_stops {
            self.known.remove(&key);
        } else {
            self.known.insert(key, (now, heard.left == 0));
        }
    }

    /// What is wrong with its counts, if anything: every peer that announced lately is there, and nobody who stopped.
    pub(super) fn miscounts(&self, now: Instant) -> Option<String> {
        let totals = self.swarms.totals();
        let fresh = |at: Instant, lifetime: Duration| now.since(at) < lifetime;
        let count = |is_seed: bool, lifetime: Duration| {
            self.known.values().filter(|(at, seed)| *seed == is_seed && fresh(*at, lifetime)).count() as u64
        };
        // It looks for the silent now and then only.
        let longest = self.lifetime + self.lifetime;
        for (is_seed, counted) in [(true, totals.complete), (false, totals.incomplete)] {
            let (least, most) = (count(is_seed, self.lifetime), count(is_seed, longest));
            if !(least..=most).contains(&counted) {
                let who = if is_seed { "seeds" } else { "leechers" };
                return Some(format!("the tracker counts {counted} {who}, and {least} to {most} announced"));
            }
        }
        None
    }
}

/// What somebody hears who asks a tracker that does not answer.
pub(super) fn no_answer() -> AnnounceFailure {
    AnnounceFailure::Unreachable(Printable::new("it does not answer"))
}
