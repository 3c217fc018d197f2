//! Who is shut out, and for how long.

use std::{collections::BTreeMap, net::IpAddr};

use potluck_common::{AddrScope, Duration, Instant, PeerId};

use crate::Identity;

/// How long a ban lasts.
pub(super) const BAN: Duration = Duration::from_secs(3600);
/// Most bans kept; the oldest end first.
const BANS_MAX: usize = 1_000;

/// Whom a ban shuts out: an address as a whole where addresses are dear, one peer where many share an address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum BanSubject {
    /// A public IPv4 address, or the /64 of a public IPv6 address.
    Address(IpAddr),
    /// A peer on a loopback or private address: a lab behind one NAT must not be shut out for one bad member.
    Peer(IpAddr, PeerId),
}

impl BanSubject {
    /// The subject that a misbehaving peer stands for.
    pub fn of(ip: IpAddr, peer_id: PeerId) -> Self {
        match (AddrScope::of(ip), ip.to_canonical()) {
            (AddrScope::Global, IpAddr::V6(ip)) => {
                let mut segments = ip.segments();
                segments[4..].fill(0);
                Self::Address(IpAddr::from(segments))
            }
            (AddrScope::Global, ip) => Self::Address(ip),
            (_, ip) => Self::Peer(ip, peer_id),
        }
    }

    /// What its deeds are remembered by.
    pub(super) fn identity(self) -> Identity {
        match self {
            Self::Address(ip) => Identity::of(ip),
            Self::Peer(ip, id) => Identity::of_peer(ip, id),
        }
    }
}

/// The bans of one torrent, at most [`BANS_MAX`].
#[derive(Default, Debug)]
pub(super) struct Bans(BTreeMap<BanSubject, Instant>);

impl Bans {
    /// Shuts `subject` out from `now` on. Returns whether it was not shut out already.
    pub(super) fn add(&mut self, now: Instant, subject: BanSubject) -> bool {
        if self.0.len() >= BANS_MAX
            && let Some(oldest) = self.0.iter().min_by_key(|(_, until)| **until).map(|(subject, _)| *subject)
        {
            self.0.remove(&oldest);
        }
        self.0.insert(subject, now + BAN).is_none_or(|until| until <= now)
    }

    /// Whether this peer is shut out now; without an id, whether nobody there is let in.
    pub(super) fn has(&self, now: Instant, ip: IpAddr, peer_id: Option<PeerId>) -> bool {
        let anyone = PeerId([0; 20]);
        let subject = BanSubject::of(ip, peer_id.unwrap_or(anyone));
        self.0.get(&subject).is_some_and(|until| *until > now)
    }

    pub(super) fn assert_invariants(&self) {
        assert!(self.0.len() <= BANS_MAX, "bans are bounded");
    }
}
