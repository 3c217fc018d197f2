//! The upload slots of an engine: what its torrents report goes into the pool, and what it decides comes back to them as
//! inputs. One task waits for the rounds; while nobody wants anything it waits for somebody who does.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use potluck_common::Instant;
use potluck_core::{
    choker::Demand,
    slots::{SlotPool, TorrentId},
    torrent::Input,
};
use tokio::{
    sync::{Notify, mpsc},
    time::timeout_at,
};

use super::{clock::Clock, lock};

/// The pool, and how to reach its torrents.
pub(super) struct SlotShares {
    clock: Clock,
    state: Mutex<State>,
    /// All payload sent, in bytes.
    sent: AtomicU64,
    ids: AtomicU64,
    /// The pool is not empty any more.
    stirred: Notify,
}

struct State {
    pool: SlotPool,
    /// Torrents that have told a demand.
    inputs: HashMap<TorrentId, mpsc::UnboundedSender<Input>>,
}

impl SlotShares {
    /// For an engine with this upload limit, in bytes per second.
    pub(super) fn new(clock: Clock, up_limit: Option<u64>) -> Arc<Self> {
        let state = State { pool: SlotPool::new(up_limit), inputs: HashMap::new() };
        Arc::new(Self {
            clock,
            state: Mutex::new(state),
            sent: AtomicU64::new(0),
            ids: AtomicU64::new(0),
            stirred: Notify::new(),
        })
    }

    /// Deals slots out at the end of each round, for ever.
    pub(super) async fn run(self: Arc<Self>) {
        loop {
            let due = {
                let mut state = self.lock();
                state.pool.handle_timeout(self.clock.now(), self.sent.load(Ordering::Relaxed));
                state.tell();
                state.pool.poll_timeout().unwrap_or(Instant::FAR_FUTURE)
            };
            let _ = timeout_at(self.clock.deadline(due), self.stirred.notified()).await;
        }
    }

    /// Other limits of the engine, in bytes per second.
    pub(super) fn set_limit(&self, up_limit: Option<u64>) {
        self.lock().pool.set_limit(up_limit);
    }

    /// So many slots, or as many as the uplink carries.
    pub(super) fn set_fixed(&self, slots: Option<u32>) {
        let mut state = self.lock();
        state.pool.set_fixed(slots);
        state.tell();
    }

    /// Slots that there are now.
    pub(super) fn size(&self) -> u32 {
        self.lock().pool.size()
    }

    /// What the uplink carries, in bytes per second, as far as that is known.
    pub(super) fn capacity(&self) -> Option<u64> {
        self.lock().pool.capacity()
    }

    /// Whether the number of slots follows what the uplink carries.
    pub(super) fn is_automatic(&self) -> bool {
        self.lock().pool.is_automatic()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Tells torrents how many slots they have from now on.
    fn tell(&mut self) {
        while let Some((id, slots)) = self.pool.poll_change() {
            if let Some(inputs) = self.inputs.get(&id) {
                // The torrent may have ended meanwhile.
                let _ = inputs.send(Input::SetSlots(slots));
            }
        }
    }
}

/// A torrent's way to the pool. The torrent leaves with it.
pub(super) struct SlotShare {
    shares: Arc<SlotShares>,
    id: TorrentId,
    up_limit: Option<u64>,
    inputs: mpsc::UnboundedSender<Input>,
}

impl SlotShare {
    /// For a torrent with an upload limit of its own, in bytes per second.
    pub(super) fn new(
        shares: &Arc<SlotShares>,
        up_limit: Option<u64>,
        inputs: mpsc::UnboundedSender<Input>,
    ) -> Self {
        let id = TorrentId(shares.ids.fetch_add(1, Ordering::Relaxed));
        Self { shares: Arc::clone(shares), id, up_limit, inputs }
    }

    /// The torrent has another upload limit of its own, in bytes per second.
    pub(super) fn set_limit(&mut self, up_limit: Option<u64>) {
        self.up_limit = up_limit;
    }

    /// The torrent sent so many bytes of payload.
    pub(super) fn count_sent(&self, bytes: u64) {
        self.shares.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What the torrent could use.
    pub(super) fn report(&self, demand: Demand) {
        let mut state = self.shares.lock();
        let waits = state.pool.poll_timeout().is_some();
        state.inputs.entry(self.id).or_insert_with(|| self.inputs.clone());
        state.pool.report(self.shares.clock.now(), self.id, demand, self.up_limit);
        state.tell();
        if demand.wanting == 0 {
            state.inputs.remove(&self.id);
        }
        if !waits {
            self.shares.stirred.notify_one();
        }
    }
}

impl Drop for SlotShare {
    fn drop(&mut self) {
        let mut state = self.shares.lock();
        state.pool.leave(self.id);
        state.inputs.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed_with(wanting: u32) -> Demand {
        Demand { seeding: true, wanting, taken: wanting.min(5), slowest_bytes_per_second: Some(1) }
    }

    #[tokio::test(start_paused = true)]
    async fn torrents_are_told_their_slots_and_are_forgotten_when_they_end() {
        let shares = SlotShares::new(Clock::start(), Some(11_469));
        let task = tokio::spawn(Arc::clone(&shares).run());
        let join = || {
            let (inputs, told) = mpsc::unbounded_channel();
            (SlotShare::new(&shares, None, inputs), told)
        };
        let ((first, mut told_first), (second, mut told_second)) = (join(), join());
        first.report(seed_with(9));
        assert!(matches!(told_first.recv().await, Some(Input::SetSlots(5))));
        second.report(seed_with(9));
        assert!(matches!(told_second.recv().await, Some(Input::SetSlots(2))), "seven in all");
        assert!(matches!(told_first.recv().await, Some(Input::SetSlots(4))), "after the round");
        assert!(matches!(told_second.recv().await, Some(Input::SetSlots(3))));
        drop(second);
        assert!(matches!(told_first.recv().await, Some(Input::SetSlots(5))), "the limit keeps seven busy");
        first.report(Demand::default());
        assert!(shares.lock().inputs.is_empty());
        drop(first);
        assert_eq!(shares.lock().pool.poll_timeout(), None);
        task.abort();
    }
}
