//! Who was refused a uTP connection, so that nobody is answered more than once a second.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
};

use potluck_common::{Duration, Instant, wire::utp::Header};

/// An address, or an IPv6 network that one party has, is answered so often: senders may be forged.
const ANSWERED_EVERY: Duration = Duration::from_secs(1);
/// Most of them remembered. While so many were answered within the second, nobody else is.
const REMEMBERED_MAX: usize = 1_024;

/// The answers of the last second.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    answered: BTreeMap<IpAddr, Instant>,
}

impl Refusals {
    /// What to send to whoever sent `datagram`, which is never more than it was.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        from: IpAddr,
        datagram: &[u8],
        sequence: impl FnOnce() -> u16,
    ) -> Option<[u8; 20]> {
        let header = Header::decode(datagram)?;
        // By this clock, whose low bits are what the packet holds.
        let refusal = header.refusal(now.as_micros() as u32, 0)?;
        self.may_answer(now, party_of(from)).then(|| Header { sequence: sequence(), ..refusal }.encode())
    }

    fn may_answer(&mut self, now: Instant, party: IpAddr) -> bool {
        let is_recent = |at: &Instant| now.since(*at) < ANSWERED_EVERY;
        if self.answered.get(&party).is_some_and(is_recent) {
            return false;
        }
        if self.answered.len() >= REMEMBERED_MAX {
            self.answered.retain(|_, at| is_recent(at));
        }
        let has_room = self.answered.len() < REMEMBERED_MAX || self.answered.contains_key(&party);
        if has_room {
            self.answered.insert(party, now);
        }
        has_room
    }
}

/// The IPv4 address, or the /64 of the IPv6 one.
fn party_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64)).into(),
        ip @ IpAddr::V4(_) => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYN: [u8; 20] = [0x41, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0];

    fn answers(refusals: &mut Refusals, at_millis: u64, from: &str) -> bool {
        let from = from.parse().expect("an address");
        refusals.answer(Instant::from_millis(at_millis), from, &SYN, || 9).is_some()
    }

    #[test]
    fn row_3_3_a_party_is_answered_once_a_second() {
        let mut refusals = Refusals::default();
        for (at_millis, from, is_answered) in [
            (0, "192.0.2.1", true),
            (999, "192.0.2.1", false),
            (999, "192.0.2.2", true),
            (1_000, "192.0.2.1", true),
            (1_998, "192.0.2.2", false),
            (2_000, "2001:db8::1", true),
            (2_000, "2001:db8::2:3:4:5", false),
            (2_000, "2001:db8:0:1::1", true),
        ] {
            assert_eq!(answers(&mut refusals, at_millis, from), is_answered, "{from} at {at_millis} ms");
        }
    }

    #[test]
    fn a_flood_of_forged_senders_costs_bounded_memory_and_few_answers() {
        let mut refusals = Refusals::default();
        let answered = (0..100_000u32).filter(|number| {
            let from = IpAddr::from((0x0b00_0000 + number).to_be_bytes());
            refusals.answer(Instant::from_millis(5), from, &SYN, || 9).is_some()
        });
        assert_eq!(answered.count(), REMEMBERED_MAX);
        assert_eq!(refusals.answered.len(), REMEMBERED_MAX);
        assert!(answers(&mut refusals, 1_005, "192.0.2.1"), "it is over after a second");
        assert_eq!(refusals.answered.len(), 1);
    }
}
