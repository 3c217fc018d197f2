//! What the connections that upload get from a network without a limit of ours, measured each second for
//! [`potluck_core::uplink::pace`], and the pace that follows for those of them that weigh less than others.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use potluck_common::Instant;
use potluck_core::{
    rate::TokenBucket,
    uplink::pace::{Class, Pacer, Tick},
};
use tokio::{
    sync::Notify,
    time::{MissedTickBehavior, interval},
};

use crate::engine::clock::Clock;

/// What everybody weighs who is not held back.
const FULL_PERCENT: u8 = 100;
/// A paced connection looks at least as often whether its pace has changed.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// After so many ticks in which nobody light sent anything, nothing is measured any more.
const QUIET_TICKS_MAX: u32 = 10;
/// The value of [`Pacing::pace`] that stands for none.
const UNPACED: u64 = u64::MAX;

/// The measured connections of an engine.
pub(super) struct Pacing {
    clock: Clock,
    tick: Duration,
    /// What a connection of full weight gets, in bytes per second, while lighter ones are to hold back.
    pace: AtomicU64,
    ids: AtomicU64,
    gauges: Mutex<HashMap<u64, Arc<Gauge>>>,
    /// Nothing is measured, as nobody light sends anything.
    is_asleep: AtomicBool,
    /// Somebody light sends something.
    stirred: Notify,
}

/// What one connection did, written by its task and read once a tick.
#[derive(Debug)]
struct Gauge {
    percent: AtomicU8,
    /// All bytes that its socket took.
    sent: AtomicU64,
    /// Microseconds that it waited for its socket, until `blocked_since`.
    blocked: AtomicU64,
    /// The instant since which it waits, in microseconds; 0 while it does not.
    blocked_since: AtomicU64,
}

impl Gauge {
    fn blocked_until(&self, now: Instant) -> u64 {
        let waits = match self.blocked_since.load(Relaxed) {
            0 => 0,
            since => now.as_micros().saturating_sub(since),
        };
        self.blocked.load(Relaxed) + waits
    }
}

/// What a gauge showed before.
#[derive(Clone, Copy, Default)]
struct Shown {
    sent: u64,
    blocked: u64,
}

impl Pacing {
    pub(super) fn new(clock: Clock, tick: Duration) -> Arc<Self> {
        Arc::new(Self {
            clock,
            tick,
            pace: AtomicU64::new(UNPACED),
            ids: AtomicU64::new(0),
            gauges: Mutex::default(),
            is_asleep: AtomicBool::new(true),
            stirred: Notify::new(),
        })
    }

    /// Measures while somebody light sends something, for ever.
    pub(super) async fn run(self: Arc<Self>) {
        let mut pacer = Pacer::default();
        loop {
            self.pace.store(UNPACED, Relaxed);
            self.is_asleep.store(true, Relaxed);
            self.stirred.notified().await;
            self.is_asleep.store(false, Relaxed);
            let mut ticks = interval(self.tick);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks.tick().await;
            let mut shown = HashMap::new();
            let mut then = self.clock.now();
            self.look(then, then, &mut shown);
            let mut quiet_ticks = 0;
            while quiet_ticks < QUIET_TICKS_MAX {
                ticks.tick().await;
                let now = self.clock.now();
                let tick = self.look(then, now, &mut shown);
                quiet_ticks = if tick.light.flows == 0 { quiet_ticks + 1 } else { 0 };
                let pace = pacer.tick(tick);
                let per_second = |bytes: u64| (bytes as f64 / now.since(then).as_secs_f64().max(1e-3)) as u64;
                self.pace.store(pace.map_or(UNPACED, per_second), Relaxed);
                then = now;
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_paced(&self) -> bool {
        self.pace.load(Relaxed) != UNPACED
    }

    /// What the connections did since the last look.
    fn look(&self, then: Instant, now: Instant, shown: &mut HashMap<u64, Shown>) -> Tick {
        let gauges = self.lock();
        shown.retain(|id, _| gauges.contains_key(id));
        let mut tick = Tick::default();
        let mut blocked_by_full = 0;
        for (id, gauge) in gauges.iter() {
            let shows = Shown { sent: gauge.sent.load(Relaxed), blocked: gauge.blocked_until(now) };
            let before = shown.insert(*id, shows).unwrap_or_default();
            let (sent, blocked) = (shows.sent - before.sent, shows.blocked.saturating_sub(before.blocked));
            let is_full = gauge.percent.load(Relaxed) >= FULL_PERCENT;
            let class = if is_full { &mut tick.full } else { &mut tick.light };
            if sent > 0 || blocked > 0 {
                *class = Class { flows: class.flows + 1, bytes: class.bytes + sent };
                blocked_by_full += if is_full { blocked } else { 0 };
            }
        }
        let time = now.since(then).as_micros() as u64 * tick.full.flows;
        tick.blocked_percent = (blocked_by_full * 100).checked_div(time).unwrap_or(0).min(100);
        tick
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Gauge>>> {
        self.gauges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is measured, and paced if need be.
pub(super) struct Paced {
    pacing: Arc<Pacing>,
    id: u64,
    gauge: Arc<Gauge>,
    /// There while it is paced.
    bucket: Option<TokenBucket>,
}

impl Paced {
    pub(super) fn new(pacing: &Arc<Pacing>, percent: u8) -> Self {
        let gauge = Arc::new(Gauge {
            percent: AtomicU8::new(FULL_PERCENT),
            sent: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
            blocked_since: AtomicU64::new(0),
        });
        let id = pacing.ids.fetch_add(1, Relaxed);
        pacing.lock().insert(id, Arc::clone(&gauge));
        let paced = Self { pacing: Arc::clone(pacing), id, gauge, bucket: None };
        paced.set_weight(percent);
        paced
    }

    pub(super) fn set_weight(&self, percent: u8) {
        self.gauge.percent.store(percent, Relaxed);
    }

    /// When more may go out; now or earlier is at once.
    pub(super) fn free_at(&mut self, now: Instant) -> Instant {
        let percent = self.gauge.percent.load(Relaxed);
        let pace = self.pacing.pace.load(Relaxed);
        if percent >= FULL_PERCENT || pace == UNPACED {
            self.bucket = None;
            return Instant::ZERO;
        }
        let limit = Some(pace.saturating_mul(u64::from(percent)) / 100);
        let bucket = self.bucket.get_or_insert_with(|| TokenBucket::new(limit));
        bucket.set_limit(limit);
        bucket.free_at().min(now + LOOK_EVERY)
    }

    /// So many bytes are about to go out.
    pub(super) fn passed(&mut self, now: Instant, bytes: u64) {
        if let Some(bucket) = &mut self.bucket {
            bucket.reserve(now, bytes);
        }
        if self.pacing.is_asleep.load(Relaxed) && self.gauge.percent.load(Relaxed) < FULL_PERCENT {
            self.pacing.stirred.notify_one();
        }
    }

    /// The socket took so many bytes, and takes no more for now, or has taken everything.
    pub(super) fn wrote(&self, now: Instant, bytes: u64, is_blocked: bool) {
        self.gauge.sent.fetch_add(bytes, Relaxed);
        let since = self.gauge.blocked_since.load(Relaxed);
        if is_blocked && since == 0 {
            self.gauge.blocked_since.store(now.as_micros().max(1), Relaxed);
        } else if !is_blocked && since > 0 {
            self.gauge.blocked.fetch_add(now.as_micros().saturating_sub(since), Relaxed);
            self.gauge.blocked_since.store(0, Relaxed);
        }
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        self.pacing.lock().remove(&self.id);
    }
}
