//! How many requests may be under way: in all, and to one host, so that a dead tracker cannot keep the others waiting.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use potluck_common::announce::TrackerUrl;
use potluck_core::announce::AnnounceFailure;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// Most announces and scrapes under way in an engine (libtorrent's figure).
pub const IN_FLIGHT_MAX: usize = 50;

/// Most of them to one host and port.
pub const IN_FLIGHT_PER_HOST_MAX: usize = 10;

/// Hosts remembered before those that nobody asks are dropped.
const HOSTS_KEPT: usize = 256;

/// The slots of an engine.
pub(super) struct Slots {
    all: Arc<Semaphore>,
    per_host_max: usize,
    hosts: Mutex<BTreeMap<String, Weak<Host>>>,
}

/// A host that somebody asks or waits to ask.
struct Host {
    slots: Arc<Semaphore>,
    /// When it was last found not to answer, and why.
    unreachable: Mutex<Option<(Instant, AnnounceFailure)>>,
}

/// A request under way.
pub(super) struct Slot {
    host: Arc<Host>,
    _permits: [OwnedSemaphorePermit; 2],
}

impl Slots {
    /// So many in all, at least one. However few they are, one host gets half of them at most.
    pub(super) fn new(in_flight_max: usize) -> Self {
        let all = Arc::new(Semaphore::new(in_flight_max.max(1)));
        let per_host_max = (in_flight_max / 2).clamp(1, IN_FLIGHT_PER_HOST_MAX);
        Self { all, per_host_max, hosts: Mutex::default() }
    }

    /// Waits for a slot. Fails with what the others learned if the host was found not to answer in the meantime: so a
    /// long queue for a dead host ends with the first timeout, not with one per turn.
    pub(super) async fn enter(&self, url: &TrackerUrl) -> Result<Slot, AnnounceFailure> {
        let queued = Instant::now();
        let host = self.host(url);
        let host_permit = acquire(&host.slots).await;
        host.check(queued)?;
        let permit = acquire(&self.all).await;
        host.check(queued)?;
        Ok(Slot { host, _permits: [host_permit, permit] })
    }

    fn host(&self, url: &TrackerUrl) -> Arc<Host> {
        let key = format!("{}://{}:{}", url.scheme().as_str(), url.host(), url.port());
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(&key).and_then(Weak::upgrade) {
            return host;
        }
        if hosts.len() >= HOSTS_KEPT {
            hosts.retain(|_, host| host.strong_count() > 0);
        }
        let slots = Arc::new(Semaphore::new(self.per_host_max));
        let host = Arc::new(Host { slots, unreachable: Mutex::default() });
        hosts.insert(key, Arc::downgrade(&host));
        host
    }
}

impl Host {
    /// Fails if the host was found not to answer since `queued`.
    fn check(&self, queued: Instant) -> Result<(), AnnounceFailure> {
        match &*self.unreachable.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((at, failure)) if *at >= queued => Err(failure.clone()),
            _ => Ok(()),
        }
    }
}

impl Slot {
    /// Frees the slot and leaves word for those who wait for the same host.
    pub(super) fn leave<T>(self, outcome: &Result<T, AnnounceFailure>) {
        let mut unreachable = self.host.unreachable.lock().unwrap_or_else(PoisonError::into_inner);
        *unreachable = match outcome {
            Err(failure @ AnnounceFailure::Unreachable(_)) => Some((Instant::now(), failure.clone())),
            _ => None,
        };
    }
}

async fn acquire(slots: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(slots).acquire_owned().await.expect("the semaphore is never closed")
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn url(host: usize) -> TrackerUrl {
        TrackerUrl::parse(&format!("http://h{host}.example/announce")).expect("a tracker URL")
    }

    fn enter(slots: &Slots, host: usize) -> Option<Result<Slot, AnnounceFailure>> {
        slots.enter(&url(host)).now_or_never()
    }

    #[test]
    fn row_6_1_slots_are_bounded_per_host_and_in_all() {
        let slots = Slots::new(IN_FLIGHT_MAX);
        let mut taken = Vec::new();
        for host in 0..10 {
            while let Some(slot) = enter(&slots, host) {
                taken.push(slot.expect("nothing failed"));
            }
            assert_eq!(taken.len(), ((host + 1) * IN_FLIGHT_PER_HOST_MAX).min(IN_FLIGHT_MAX));
        }
        taken.pop().expect("taken").leave(&Ok(()));
        assert!(enter(&slots, 9).is_some(), "a slot that was left is free");
    }

    #[tokio::test]
    async fn row_6_1_a_queue_for_a_dead_host_ends_with_the_first_timeout() {
        let slots = Slots::new(IN_FLIGHT_MAX);
        let taken: Vec<_> = (0..IN_FLIGHT_PER_HOST_MAX).map(|_| enter(&slots, 1).expect("free")).collect();
        let (dead, alive) = (url(1), url(2));
        let mut queue: Vec<_> = (0..5_000).map(|_| Box::pin(slots.enter(&dead))).collect();
        assert!(queue.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        assert!(slots.enter(&alive).now_or_never().is_some(), "other hosts do not wait");
        let failure = AnnounceFailure::Unreachable("no answer".into());
        for slot in taken {
            slot.expect("nothing failed").leave(&Err::<(), _>(failure.clone()));
        }
        for waiting in queue {
            assert_eq!(waiting.await.err(), Some(failure.clone()));
        }
        assert!(enter(&slots, 1).expect("free").is_ok(), "the next one tries anew");
    }

    #[test]
    fn hosts_that_nobody_asks_are_forgotten() {
        let slots = Slots::new(IN_FLIGHT_MAX);
        for host in 0..10 * HOSTS_KEPT {
            drop(enter(&slots, host));
        }
        assert!(slots.hosts.lock().unwrap().len() <= HOSTS_KEPT);
    }
}
