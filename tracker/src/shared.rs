//! What all sockets of one tracker share: the store behind its lock, the clock and the secret of the connection ids.

use std::{
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time,
};

use potluck_common::{
    InfoHash, Instant,
    announce::{AnnounceReply, AnnounceRequest, Failure, ScrapeEntry},
};
use potluck_tracker_core::{ConnectionIds, Swarms, Totals, Transport};
use tokio::sync::Notify;

use crate::{BindError, TrackerConfig};

/// The tracker behind its sockets.
#[derive(Debug)]
pub(crate) struct Shared {
    started: time::Instant,
    swarms: Mutex<Swarms>,
    connection_ids: ConnectionIds,
    /// There is something to expire now, where there was nothing before.
    woken: Notify,
}

impl Shared {
    pub(crate) fn new(config: &TrackerConfig) -> Result<Self, BindError> {
        let mut key = [0; 32];
        let mut seed = [0; 8];
        getrandom::fill(&mut key).and_then(|()| getrandom::fill(&mut seed)).map_err(BindError::Entropy)?;
        Ok(Self {
            started: time::Instant::now(),
            swarms: Mutex::new(Swarms::new(config.swarms.clone(), u64::from_le_bytes(seed))),
            connection_ids: ConnectionIds::new(key, config.connection_id_validity),
            woken: Notify::new(),
        })
    }

    /// Microseconds since the start.
    fn now(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn swarms(&self) -> MutexGuard<'_, Swarms> {
        // A panic would end one request; the others go on with what is stored.
        self.swarms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn announce(
        &self,
        request: &AnnounceRequest,
        source: IpAddr,
        transport: Transport,
    ) -> Result<AnnounceReply, Failure> {
        let now = self.now();
        let mut swarms = self.swarms();
        let slept = swarms.poll_timeout().is_none();
        let reply = swarms.announce(now, request, source, transport);
        if slept {
            self.woken.notify_one();
        }
        reply
    }

    pub(crate) fn scrape(&self, info_hashes: &[InfoHash]) -> Vec<ScrapeEntry> {
        self.swarms().scrape(info_hashes)
    }

    pub(crate) fn totals(&self) -> Totals {
        self.swarms().totals()
    }

    pub(crate) fn uptime(&self) -> time::Duration {
        self.started.elapsed()
    }

    pub(crate) fn issue_connection_id(&self, ip: IpAddr) -> u64 {
        self.connection_ids.issue(self.now(), ip)
    }

    pub(crate) fn accepts_connection_id(&self, ip: IpAddr, id: u64) -> bool {
        self.connection_ids.accepts(self.now(), ip, id)
    }

    /// Forgets silent peers whenever it is time to, for ever.
    pub(crate) async fn expire(&self) {
        loop {
            let deadline = self.swarms().poll_timeout();
            match deadline {
                None => self.woken.notified().await,
                Some(deadline) => {
                    tokio::time::sleep(deadline.since(self.now())).await;
                    let now = self.now();
                    // A timer may fire a little early.
                    if now >= deadline {
                        self.swarms().handle_timeout(now);
                    }
                }
            }
        }
    }
}
