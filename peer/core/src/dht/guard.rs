//! What strangers can have of us: datagrams a second, and bytes a second in all.

use std::{
    collections::{BTreeSet, VecDeque},
    net::SocketAddr,
};

use potluck_common::{Duration, Instant};

use super::{generations::Generations, policy::Party};

/// Datagrams a second of one party, and how many at once; who sends more is silenced. (libtorrent's figures.)
const DATAGRAMS_PER_SECOND: u64 = 5;
const DATAGRAMS_BURST: u64 = 50;
/// How long.
const SILENCE: Duration = Duration::from_secs(5 * 60);
/// Parties of one generation.
const PARTIES_MAX: usize = 512;
/// Parties that are silenced at one time. While they are so many nobody else is: who is silenced is not let go before its time
/// because others, whose addresses may be forged, are to be silenced, too.
const SILENCED_MAX: usize = 1_024;
/// Bytes of answers may be sent at once for so many seconds of what is allowed.
const ANSWERS_BURST_SECONDS: u64 = 5;

/// See the module.
#[derive(Debug)]
pub(super) struct Guard {
    /// When the account of each party is level again.
    accounts: Generations<Party, Instant>,
    /// Who is not listened to, and, the first to end first, until when.
    silenced: BTreeSet<Party>,
    silences: VecDeque<(Instant, Party)>,
    answers_per_second: u64,
    /// When the account of answers is level again.
    answers_level_at: Instant,
}

impl Guard {
    pub(super) fn new(answers_per_second: u32) -> Self {
        Self {
            accounts: Generations::new(PARTIES_MAX, SILENCE),
            silenced: BTreeSet::new(),
            silences: VecDeque::new(),
            answers_per_second: u64::from(answers_per_second.max(1)),
            answers_level_at: Instant::ZERO,
        }
    }

    /// Counts a datagram that nobody asked for. Whether it is to be looked at.
    pub(super) fn admits(&mut self, now: Instant, from: SocketAddr) -> bool {
        let party = Party::of(from);
        while let Some((_, ended)) = self.silences.front().filter(|(until, _)| *until <= now) {
            self.silenced.remove(ended);
            self.silences.pop_front();
        }
        if self.silenced.contains(&party) {
            return false;
        }
        let account = self.accounts.entry(now, party, || now);
        let level_at = (*account).max(now) + Duration::from_micros(1_000_000 / DATAGRAMS_PER_SECOND);
        let admits = level_at.since(now) <= Duration::from_secs(DATAGRAMS_BURST / DATAGRAMS_PER_SECOND);
        if admits {
            // What is refused costs nothing, or forged floods would keep their victim out for hours.
            *account = level_at;
        } else if self.silenced.len() < SILENCED_MAX {
            self.silenced.insert(party);
            self.silences.push_back((now + SILENCE, party));
        }
        admits
    }

    /// Takes the bytes of an answer from what may be sent, if they are there. The last half is for those who are known.
    pub(super) fn pays(&mut self, now: Instant, bytes: usize, is_known: bool) -> bool {
        let burst = Duration::from_secs(ANSWERS_BURST_SECONDS);
        let most = if is_known { burst } else { burst / 2 };
        let level_at = self.answers_level_at.max(now)
            + Duration::from_micros(bytes as u64 * 1_000_000 / self.answers_per_second);
        let pays = level_at.since(now) <= most;
        if pays {
            self.answers_level_at = level_at;
        }
        pays
    }

    pub(super) fn assert_invariants(&self) {
        assert!(self.accounts.len() <= 2 * PARTIES_MAX, "too many parties");
        assert!(self.silenced.len() <= SILENCED_MAX && self.silenced.len() == self.silences.len());
        assert!(self.silences.iter().is_sorted_by_key(|(until, _)| *until), "the first to end is first");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stranger(n: u32) -> SocketAddr {
        SocketAddr::from((((100 << 24) + (n << 8) + 1).to_be_bytes(), 4_000))
    }

    #[test]
    fn who_is_refused_while_nobody_else_can_be_silenced_is_soon_heard_again() {
        let mut guard = Guard::new(8_000);
        let now = Instant::from_secs(100);
        for n in 0..SILENCED_MAX as u32 {
            (0..=DATAGRAMS_BURST).for_each(|_| _ = guard.admits(now, stranger(n)));
        }
        let mut admitted = |after: u64, from: SocketAddr, datagrams: u32| {
            let now = now + Duration::from_secs(after);
            (0..datagrams).filter(|_| guard.admits(now, from)).count() as u64
        };
        let victim = stranger(5_000);
        assert_eq!(admitted(0, victim, 10_000), DATAGRAMS_BURST);
        assert_eq!(admitted(1, victim, 100), DATAGRAMS_PER_SECOND, "what comes in a second");
        assert_eq!(admitted(299, victim, 20), 20, "five minutes later");
        assert_eq!(admitted(299, stranger(0), 20), 0, "the others are silenced all the time");
        guard.assert_invariants();
    }
}
