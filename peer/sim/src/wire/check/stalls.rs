//! A leecher that gets nothing says why.

use std::collections::BTreeMap;

use potluck_common::{Duration, Instant, control::TorrentState};

use super::{Checks, Violation};
use crate::wire::{net::HostId, node::Node, world::World};

/// How long nothing may come without a word. The machine says it after some seconds.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// When payload last came to each node.
#[derive(Debug, Default)]
pub(super) struct Stalls(BTreeMap<HostId, (Instant, u64)>);

impl Checks {
    pub(in crate::wire) fn machine_started(&mut self, host: HostId, now: Instant) {
        self.stalls.0.insert(host, (now, 0));
    }

    pub(in crate::wire) fn machine_ended(&mut self, host: HostId) {
        self.stalls.0.remove(&host);
    }

    /// Notes that so much has come; says since when nothing did.
    fn still_since(&mut self, host: HostId, now: Instant, downloaded: u64) -> Instant {
        let (since, known) = self.stalls.0.entry(host).or_insert((now, downloaded));
        if *known != downloaded {
            (*since, *known) = (now, downloaded);
        }
        *since
    }
}

impl World<'_> {
    pub(in crate::wire) fn check_stall(&mut self, host: HostId) -> Result<(), Violation> {
        let now = self.now();
        let Some(summary) = self.summary(host) else { return Ok(()) };
        if matches!(summary.state, TorrentState::Metadata { .. })
            && summary.stall.is_none()
            && self.nodes().get(&host).is_some_and(Node::fetches_metadata)
        {
            return Err(Violation::new(
                "each stall has a sentence",
                format!("{host} does not say what it waits for without metadata"),
            ));
        }
        if summary.state != TorrentState::Downloading {
            self.checks_mut().machine_started(host, now);
            return Ok(());
        }
        let since = self.checks_mut().still_since(host, now, summary.downloaded);
        if summary.stall.is_none() && now.since(since) > SILENCE_MAX {
            return Err(Violation::new(
                "each stall has a sentence",
                format!("nothing came to {host} since {since:?}"),
            ));
        }
        Ok(())
    }
}
