//! Effects are drained and timers go on: nobody is woken again and again for nothing.

use std::collections::BTreeMap;

use potluck_common::Instant;

use super::{Checks, Violation};
use crate::wire::net::{End, HostId};

/// Wakes by a timer in one second of virtual time: a choker round of a tenth of a second, ticks and super-seeding together
/// are far fewer.
const TIMER_WAKES_MAX: u32 = 200;
/// Runs at one moment, each because the one before asked for it.
const RUNS_AT_ONCE_MAX: u32 = 50;

/// Wakes of one task.
#[derive(Clone, Copy, Debug, Default)]
struct Wakes {
    second: u64,
    by_timer: u32,
    at: Instant,
    at_once: u32,
}

impl Wakes {
    /// Counts one more; says what is too much.
    fn count(&mut self, now: Instant, is_by_timer: bool) -> Option<String> {
        let second = now.as_micros() / 1_000_000;
        if second != self.second {
            *self = Self { second, ..Self::default() };
        }
        if now != self.at {
            (self.at, self.at_once) = (now, 0);
        }
        self.by_timer += u32::from(is_by_timer);
        self.at_once += 1;
        if self.by_timer > TIMER_WAKES_MAX {
            return Some(format!("{} wakes by a timer in a second", self.by_timer));
        }
        (self.at_once > RUNS_AT_ONCE_MAX).then(|| format!("{} runs at one moment", self.at_once))
    }
}

/// Wakes of every task.
#[derive(Debug, Default)]
pub(super) struct Drained {
    torrents: BTreeMap<HostId, Wakes>,
    connections: BTreeMap<End, Wakes>,
    dht: BTreeMap<HostId, Wakes>,
}

impl Checks {
    /// The task of a torrent runs, with something to hear or because of a timer.
    pub(in crate::wire) fn torrent_woke(
        &mut self,
        host: HostId,
        now: Instant,
        is_by_timer: bool,
    ) -> Result<(), Violation> {
        let wakes = self.drained.torrents.entry(host).or_default();
        judge(wakes.count(now, is_by_timer), format_args!("the torrent of {host}"))
    }

    /// The task of a connection runs.
    pub(in crate::wire) fn connection_woke(&mut self, end: End, now: Instant) -> Result<(), Violation> {
        let wakes = self.drained.connections.entry(end).or_default();
        judge(wakes.count(now, false), format_args!("the task of {end:?}"))
    }

    /// The DHT node of a host runs.
    pub(in crate::wire) fn dht_woke(&mut self, host: HostId, now: Instant) -> Result<(), Violation> {
        let wakes = self.drained.dht.entry(host).or_default();
        judge(wakes.count(now, false), format_args!("the DHT node of {host}"))
    }

    pub(in crate::wire) fn connection_closed(&mut self, end: End) {
        self.drained.connections.remove(&end);
    }
}

fn judge(excess: Option<String>, who: std::fmt::Arguments<'_>) -> Result<(), Violation> {
    match excess {
        Some(excess) => Err(Violation::new("nobody is woken for nothing", format!("{who}: {excess}"))),
        None => Ok(()),
    }
}
