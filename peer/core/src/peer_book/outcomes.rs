//! What came of an address: dialled, met, left, failed, banned; and when it is tried again.

use std::net::{IpAddr, SocketAddr};

use potluck_common::{Duration, Instant, PeerId};

use super::{
    BanSubject, PeerBook,
    entry::{Entry, Phase},
};
use crate::Identity;

/// The wait after the first failure; it doubles up to [`RETRY_MAX`].
pub(super) const RETRY_MIN: Duration = Duration::from_secs(5);
/// Long enough to leave a dead peer alone, short enough to be back within a minute of a healed network.
///
/// With the jitter and the ten seconds of a dial that gets no answer it is below a minute.
pub(super) const RETRY_MAX: Duration = Duration::from_secs(40);
/// The wait when it has failed for longer than networks are usually torn.
const RETRY_RARELY: Duration = Duration::from_secs(600);
/// The wait before a peer that broke the protocol is tried again.
const SHUN: Duration = Duration::from_secs(600);
/// The wait before an address is tried again for which there was no room.
const POSTPONE: Duration = Duration::from_secs(15);
/// After so many failures in a row an address is forgotten that the user did not give and nobody was ever met at.
const FAILURES_MAX: u32 = 10;
/// After so many, about a quarter of an hour, it is tried [`RETRY_RARELY`].
const FAILURES_MANY: u32 = 20;

impl PeerBook {
    /// A dial succeeded, so that a connection to this address stands.
    pub(crate) fn dialled(&mut self, address: SocketAddr) {
        if self.entries.get(&address).is_some_and(|entry| entry.phase != Phase::Retired) {
            self.set_phase(address, Phase::Connected);
        }
    }

    /// Who listens at this address is connected without our having dialled it there. What is being dialled is so until
    /// that has come to an end.
    pub(crate) fn connected(&mut self, address: SocketAddr) {
        if self.entries.get(&address).is_some_and(|entry| entry.phase != Phase::Dialing) {
            self.dialled(address);
        }
    }

    /// A connection to who listens at this address ended: due again after a wait, unless it is being dialled already.
    pub(crate) fn left(&mut self, now: Instant, address: SocketAddr) {
        if self.entries.get(&address).is_some_and(|entry| entry.phase != Phase::Dialing) {
            self.failed(now, address);
        }
    }

    /// A peer completed its handshake there: worth more than an address that somebody told us.
    pub(crate) fn met(&mut self, now: Instant, address: SocketAddr) {
        let Some(entry) = self.entries.get_mut(&address) else { return };
        if entry.met_at.replace(now).is_none()
            && let Some(who) = entry.giver
        {
            self.givers.met(who);
        }
    }

    /// Payload passed, so the address is a good one.
    pub(crate) fn proved(&mut self, address: SocketAddr) {
        self.change(address, |entry| {
            entry.failures = 0;
            entry.is_proved = true;
        });
    }

    /// A dial failed: due again after a wait that doubles, with jitter.
    pub(crate) fn failed(&mut self, now: Instant, address: SocketAddr) {
        let Some(entry) = self.entries.get(&address) else { return };
        if matches!(entry.phase, Phase::Parted | Phase::Retired) {
            return;
        }
        let failures = entry.failures.saturating_add(1);
        let (is_of_user, is_met, giver) = (entry.is_of_user(), entry.is_met(), entry.giver);
        // While nobody at all is there, a failure says as much about our own network as about the address.
        let somebody_is_there = self.connected > usize::from(entry.phase == Phase::Connected);
        if failures >= FAILURES_MAX && !is_of_user && !is_met && somebody_is_there {
            self.forget(address);
            return;
        }
        let rarely = failures > FAILURES_MANY && !is_of_user && (!is_met || somebody_is_there);
        let doubled = RETRY_MIN.saturating_mul(1 << (failures - 1).min(8)).min(RETRY_MAX);
        let wait = if rarely { RETRY_RARELY } else { doubled };
        let jitter = wait.mul_f64(0.2 * self.rng.fraction());
        self.change(address, |entry| {
            entry.failures = failures;
            entry.phase = Phase::Waiting(now + wait + jitter);
        });
        if let Some(who) = giver.filter(|_| failures == 1 && !is_met && somebody_is_there)
            && self.givers.failed(who)
        {
            self.forget_word_of(who);
        }
    }

    /// Forgets whatever only this giver knew of and nobody was met at.
    fn forget_word_of(&mut self, who: Identity) {
        let is_his = |entry: &Entry| {
            entry.giver == Some(who) && !entry.is_met() && matches!(entry.phase, Phase::Waiting(_))
        };
        let his: Vec<SocketAddr> =
            self.entries.iter().filter(|(_, entry)| is_his(entry)).map(|(address, _)| *address).collect();
        for address in his {
            self.forget(address);
        }
    }

    /// A peer there broke the protocol: no hurry to be back.
    pub(crate) fn shunned(&mut self, now: Instant, address: SocketAddr) {
        if self.entries.get(&address).is_some_and(|entry| matches!(entry.phase, Phase::Waiting(_))) {
            self.set_phase(address, Phase::Waiting(now + SHUN));
        }
    }

    /// It was not tried, for no fault of its own.
    pub(crate) fn postponed(&mut self, now: Instant, address: SocketAddr) {
        if self.entries.get(&address).is_some_and(|entry| entry.phase == Phase::Dialing) {
            self.set_phase(address, Phase::Waiting(now + POSTPONE));
        }
    }

    /// Do not dial this address again unless [`PeerBook::revive`] says so: it has nothing for us.
    /// What is being dialled is decided about when it answers.
    pub(crate) fn part(&mut self, address: SocketAddr) {
        if self.entries.get(&address).is_some_and(|entry| entry.phase != Phase::Dialing) {
            self.set_phase(address, Phase::Parted);
        }
    }

    /// We lack something again: whoever was complete may be dialled.
    pub(crate) fn revive(&mut self, now: Instant) {
        let is_parted = |(_, entry): &(&SocketAddr, &Entry)| entry.phase == Phase::Parted;
        let parted: Vec<SocketAddr> =
            self.entries.iter().filter(is_parted).map(|(address, _)| *address).collect();
        for address in parted {
            self.set_phase(address, Phase::Waiting(now));
        }
    }

    /// Never dial this address again in this run.
    pub(crate) fn retire(&mut self, address: SocketAddr) {
        self.set_phase(address, Phase::Retired);
    }

    /// Shuts `subject` out for an hour, and with it what it told us. Returns whether it was not shut out already.
    pub(crate) fn ban(&mut self, now: Instant, subject: BanSubject) -> bool {
        self.givers.banned(subject.identity());
        self.forget_word_of(subject.identity());
        self.bans.add(now, subject)
    }

    /// Whether this peer is banned now.
    pub(crate) fn is_banned(&self, now: Instant, ip: IpAddr, peer_id: Option<PeerId>) -> bool {
        self.bans.has(now, ip, peer_id)
    }
}
