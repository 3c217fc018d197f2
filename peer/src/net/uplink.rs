//! Whose turn it is to upload: under the limits of an engine and its torrents [`potluck_core::uplink`] decides it, under a lock
//! that is held for a few steps, once for several blocks, and one task for all waits for the time to pass. Where
//! the network is the limit, see [`super::pacing`].

use std::{
    collections::HashMap,
    future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use potluck_common::{Instant, limits::BLOCK_LENGTH};
use potluck_core::uplink::{FlowId, GroupId, Uplink as Machine};
use tokio::{sync::Notify, time::timeout_at};

use super::pacing::{Paced, Pacing};
use crate::engine::clock::Clock;

/// Blocks that a connection under a limit has ready at least. They are beyond the reach of the peer's CANCEL, so they are few.
const WINDOW_MIN: u64 = 4;
/// And at most.
const WINDOW_MAX: u64 = 64;
/// What the limit lets pass in this time must be wanted at once, or whoever comes first gets it and not whose turn it
/// is: timers are no finer than a millisecond.
const WINDOW_PER_SECOND: u64 = 250;

/// Stands for no limit.
const UNLIMITED: u64 = u64::MAX;

/// How often it is measured what the network lets connections send.
const TICK: Duration = Duration::from_secs(1);

/// The uplink of an engine.
pub(crate) struct Uplink {
    clock: Clock,
    /// The engine's limit, in bytes per second, or [`UNLIMITED`].
    limit: AtomicU64,
    state: Mutex<State>,
    /// Something is to be dealt out sooner than the task that waits knows.
    stirred: Notify,
    pacing: Arc<Pacing>,
}

struct State {
    machine: Machine,
    /// Connections under a limit, and how to wake them.
    sleepers: HashMap<FlowId, Arc<Notify>>,
    /// When the task that waits wakes by itself.
    wakes_at: Instant,
}

impl Uplink {
    /// With the engine's limit, in bytes per second; `None` is no limit.
    pub(crate) fn new(clock: Clock, bytes_per_second: Option<u64>) -> Arc<Self> {
        let state = State {
            machine: Machine::new(bytes_per_second),
            sleepers: HashMap::new(),
            wakes_at: Instant::FAR_FUTURE,
        };
        Arc::new(Self {
            clock,
            limit: AtomicU64::new(bytes_per_second.unwrap_or(UNLIMITED)),
            state: Mutex::new(state),
            stirred: Notify::new(),
            pacing: Pacing::new(clock, TICK),
        })
    }

    /// Changes the engine's limit, in bytes per second; `None` is no limit.
    pub(crate) fn set_limit(&self, bytes_per_second: Option<u64>) {
        self.limit.store(bytes_per_second.unwrap_or(UNLIMITED), Relaxed);
        let mut state = self.lock();
        let now = self.clock.now();
        state.machine.set_limit(now, bytes_per_second);
        state.run(now);
        self.stirred.notify_one();
    }

    /// Deals out what falls due, and measures, for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        tokio::join!(self.deal_out(), Arc::clone(&self.pacing).run());
    }

    async fn deal_out(&self) {
        loop {
            let due = {
                let mut state = self.lock();
                state.run(self.clock.now());
                state.wakes_at = state.machine.poll_timeout().unwrap_or(Instant::FAR_FUTURE);
                state.wakes_at
            };
            let _ = timeout_at(self.clock.deadline(due), self.stirred.notified()).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Deals out what the limits let pass, and wakes whoever gets something.
    fn run(&mut self, now: Instant) {
        self.machine.run(now);
        while let Some(flow) = self.machine.poll_granted() {
            if let Some(sleeper) = self.sleepers.get(&flow) {
                sleeper.notify_one();
            }
        }
    }
}

/// A torrent's share of the uplink.
pub(crate) struct Share {
    uplink: Arc<Uplink>,
    group: GroupId,
    /// The torrent's own limit, in bytes per second, or [`UNLIMITED`].
    limit: AtomicU64,
}

impl Share {
    /// With the torrent's own limit.
    pub(crate) fn new(uplink: &Arc<Uplink>, bytes_per_second: Option<u64>) -> Arc<Self> {
        let group = uplink.lock().machine.add_group(bytes_per_second);
        let limit = AtomicU64::new(bytes_per_second.unwrap_or(UNLIMITED));
        Arc::new(Self { uplink: Arc::clone(uplink), group, limit })
    }

    /// Changes the torrent's own limit, in bytes per second; `None` is no limit.
    pub(crate) fn set_limit(&self, bytes_per_second: Option<u64>) {
        self.limit.store(bytes_per_second.unwrap_or(UNLIMITED), Relaxed);
        let mut state = self.uplink.lock();
        let now = self.uplink.clock.now();
        state.machine.set_group_limit(now, self.group, bytes_per_second);
        state.run(now);
        self.uplink.stirred.notify_one();
    }

    /// The lower of both limits, or [`UNLIMITED`].
    fn limit(&self) -> u64 {
        self.limit.load(Relaxed).min(self.uplink.limit.load(Relaxed))
    }

    /// How many blocks a connection has ready.
    pub(super) fn window(&self) -> usize {
        let window = self.limit() / WINDOW_PER_SECOND / u64::from(BLOCK_LENGTH);
        window.clamp(WINDOW_MIN, WINDOW_MAX) as usize
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.uplink.lock().machine.remove_group(self.group);
    }
}

/// One connection's way to its share.
pub(super) struct Turns {
    share: Arc<Share>,
    /// There from the first block on that met a limit.
    flow: Option<Flow>,
    /// There from the first block on.
    paced: Option<Paced>,
    /// It may not send yet, because it is paced.
    waits_for_pace: bool,
    percent: u8,
    /// What may be sent, in bytes.
    credit: u64,
}

struct Flow {
    id: FlowId,
    granted: Arc<Notify>,
}

impl Turns {
    pub(super) fn new(share: Arc<Share>) -> Self {
        Self { share, flow: None, paced: None, waits_for_pace: false, percent: 100, credit: 0 }
    }

    pub(super) fn share(&self) -> &Share {
        &self.share
    }

    /// What the connection counts for, in hundredths of an ordinary one.
    pub(super) fn set_weight(&mut self, percent: u8) {
        if std::mem::replace(&mut self.percent, percent) == percent {
            return;
        }
        if let Some(flow) = &self.flow {
            self.share.uplink.lock().machine.set_weight(flow.id, percent);
        }
        if let Some(paced) = &self.paced {
            paced.set_weight(percent);
        }
    }

    /// Whether so many bytes may be sent now. If not, more may at [`Turns::free_at`] or when [`Turns::granted`] ends. `next`
    /// tells how many could follow them at once.
    pub(super) fn pass(&mut self, now: Instant, bytes: u64, next: impl FnOnce() -> u64) -> bool {
        let (pacing, percent) = (&self.share.uplink.pacing, self.percent);
        let paced = self.paced.get_or_insert_with(|| Paced::new(pacing, percent));
        self.waits_for_pace = paced.free_at(now) > now;
        if self.waits_for_pace || !self.has_credit(now, bytes, next) {
            return false;
        }
        if let Some(paced) = &mut self.paced {
            paced.passed(now, bytes);
        }
        true
    }

    /// When more may be sent, if at the last [`Turns::pass`] it was the pace that forbade it; that may have come by now.
    pub(super) fn free_at(&mut self, now: Instant) -> Option<Instant> {
        self.paced.as_mut().filter(|_| self.waits_for_pace).map(|paced| paced.free_at(now))
    }

    /// The socket took so many bytes of blocks, and takes no more for now, or has taken everything.
    pub(super) fn wrote(&self, now: Instant, bytes: u64, is_blocked: bool) {
        if let Some(paced) = &self.paced {
            paced.wrote(now, bytes, is_blocked);
        }
    }

    /// Uses up what the limits let pass, if it is enough.
    fn has_credit(&mut self, now: Instant, bytes: u64, next: impl FnOnce() -> u64) -> bool {
        if self.share.limit() == UNLIMITED {
            // What it waited for under a limit that is gone.
            self.leave();
            return true;
        }
        let group = self.share.group;
        if self.credit < bytes {
            let uplink = &self.share.uplink;
            let mut state = uplink.lock();
            let State { machine, sleepers, .. } = &mut *state;
            let flow = self.flow.get_or_insert_with(|| Flow::new(machine, sleepers, group, self.percent));
            self.credit += machine.take(flow.id);
            machine.want(now, flow.id, (bytes + next()).saturating_sub(self.credit));
            machine.run(now);
            self.credit += machine.take(flow.id);
            // Others may have had their turn with it.
            state.run(now);
            if state.machine.poll_timeout().is_some_and(|at| at < state.wakes_at) {
                uplink.stirred.notify_one();
            }
        }
        let passes = self.credit >= bytes;
        self.credit -= if passes { bytes } else { 0 };
        passes
    }

    /// Waits until more may be sent than at the last [`Turns::pass`]; for ever, if nothing was asked for.
    pub(super) async fn granted(&self) {
        match &self.flow {
            Some(flow) => flow.granted.notified().await,
            None => future::pending().await,
        }
    }

    /// Nothing is to be sent any more.
    pub(super) fn give_up(&mut self) {
        self.credit = 0;
        self.paced = None;
        self.leave();
    }

    fn leave(&mut self) {
        if let Some(flow) = self.flow.take() {
            let mut state = self.share.uplink.lock();
            state.machine.remove_flow(flow.id);
            state.sleepers.remove(&flow.id);
        }
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Flow {
    fn new(
        machine: &mut Machine,
        sleepers: &mut HashMap<FlowId, Arc<Notify>>,
        group: GroupId,
        percent: u8,
    ) -> Self {
        let id = machine.add_flow(group);
        machine.set_weight(id, percent);
        let granted = Arc::new(Notify::new());
        sleepers.insert(id, Arc::clone(&granted));
        Self { id, granted }
    }
}

#[cfg(test)]
mod tests;
