//! To whom nothing was sent: a datagram of theirs came through whatever stands before us of its own accord.

use std::{collections::BTreeSet, mem, net::IpAddr};

use potluck_common::{Duration, Instant};

/// A router lets answers in for minutes after a datagram went out; who has heard nothing for so long is a stranger again.
const KNOWN_FOR: Duration = Duration::from_secs(60 * 60);
/// Addresses that are remembered of each such time.
const KNOWN_MAX: usize = 8_192;

/// The addresses that something was sent to: each for at least [`KNOWN_FOR`].
#[derive(Clone, Debug)]
pub struct Strangers {
    /// Of this hour, and of the one before.
    young: BTreeSet<IpAddr>,
    old: BTreeSet<IpAddr>,
    began_at: Instant,
    /// More were there than are remembered, in this hour and in the one before: any may be one of them.
    is_lossy: [bool; 2],
}

impl Strangers {
    /// Nothing was sent to anybody by `now`.
    pub fn new(now: Instant) -> Self {
        Self { young: BTreeSet::new(), old: BTreeSet::new(), began_at: now, is_lossy: [false; 2] }
    }

    /// Something is sent there. Routers that are strict open themselves for an address and port, most for an address.
    pub fn sent_to(&mut self, now: Instant, ip: IpAddr) {
        self.turn(now);
        if self.young.len() < KNOWN_MAX {
            self.young.insert(ip);
        } else if !self.young.contains(&ip) {
            self.is_lossy[0] = true;
        }
    }

    /// Whether nothing was sent there, for certain.
    pub fn is_stranger(&mut self, now: Instant, ip: IpAddr) -> bool {
        self.turn(now);
        self.is_lossy == [false; 2] && !self.young.contains(&ip) && !self.old.contains(&ip)
    }

    fn turn(&mut self, now: Instant) {
        let passed = now.since(self.began_at);
        if passed < KNOWN_FOR {
            return;
        }
        let (last, was_lossy) = (mem::take(&mut self.young), self.is_lossy[0]);
        let is_recent = passed < KNOWN_FOR * 2;
        self.old = if is_recent { last } else { BTreeSet::new() };
        self.is_lossy = [false, was_lossy && is_recent];
        self.began_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(number: usize) -> IpAddr {
        IpAddr::from((0x0800_0000 + number as u32).to_be_bytes())
    }

    #[test]
    fn who_heard_of_us_lately_is_no_stranger() {
        for (sent_at, asked_at, is_stranger) in [
            (0, 0, false),
            (0, 3_599, false),
            // Of the hour before.
            (0, 3_600, false),
            (3_599, 7_198, false),
            (0, 7_200, true),
            (3_000, 20_000, true),
        ] {
            let mut strangers = Strangers::new(Instant::ZERO);
            assert!(strangers.is_stranger(Instant::from_secs(sent_at), ip(1)));
            strangers.sent_to(Instant::from_secs(sent_at), ip(1));
            assert!(strangers.is_stranger(Instant::from_secs(sent_at), ip(2)));
            let answer = strangers.is_stranger(Instant::from_secs(asked_at), ip(1));
            assert_eq!(answer, is_stranger, "sent at {sent_at}, asked at {asked_at}");
        }
    }

    #[test]
    fn where_too_many_were_told_nobody_is_a_stranger_for_two_hours() {
        let mut strangers = Strangers::new(Instant::ZERO);
        for number in 0..KNOWN_MAX {
            strangers.sent_to(Instant::ZERO, ip(number));
        }
        strangers.sent_to(Instant::ZERO, ip(5));
        assert!(strangers.is_stranger(Instant::ZERO, ip(KNOWN_MAX)));
        strangers.sent_to(Instant::ZERO, ip(KNOWN_MAX));
        for (at, is_stranger) in [(0, false), (3_600, false), (7_199, false), (7_200, true)] {
            assert_eq!(strangers.is_stranger(Instant::from_secs(at), ip(KNOWN_MAX + 1)), is_stranger, "{at}");
        }
        assert!(strangers.young.len() + strangers.old.len() <= 2 * KNOWN_MAX);
    }
}
