//! Row 6.3: a network that is torn in two for a while.

use std::net::SocketAddr;

use potluck_common::{Duration, Instant};

use super::{Input, PeerKey, STEP, World, geometry, leecher, seeder};
use crate::session::{Blame, CloseReason, SessionCommand};

/// How long the system tries to connect to somebody who does not answer.
const DIAL_TIME: Duration = Duration::from_secs(10);
/// While the network is torn next to nothing happens, and nobody needs to look as often.
const COARSE_STEP: Duration = Duration::from_millis(50);

/// Between whom bytes pass.
#[derive(Default)]
pub(super) struct Network {
    /// The nodes before this one and the others do not hear each other.
    cut: Option<usize>,
    /// Dials that nobody answers: since when, by whom, to where.
    pub(super) hopeless: Vec<(Instant, usize, SocketAddr)>,
    /// Connections whose other end is gone and could not say so.
    pub(super) unheard: Vec<(usize, PeerKey)>,
}

impl Network {
    pub(super) fn is_cut(&self, one: usize, other: usize) -> bool {
        self.cut.is_some_and(|cut| (one < cut) != (other < cut))
    }

    pub(super) fn step(&self) -> Duration {
        if self.cut.is_some() { COARSE_STEP } else { STEP }
    }
}

impl World {
    pub(super) fn time_out_dials(&mut self) {
        let now = self.now;
        let over: Vec<_> =
            self.network.hopeless.extract_if(.., |(since, ..)| now.since(*since) >= DIAL_TIME).collect();
        for (_, from, address) in over {
            self.nodes[from].torrent.handle(now, Input::DialFailed(address));
        }
    }

    fn tear(&mut self, cut: usize) {
        self.network.cut = Some(cut);
    }

    /// The system of an end that is gone says so at the first packet that reaches it.
    fn heal(&mut self) {
        self.network.cut = None;
        for (number, key) in std::mem::take(&mut self.network.unheard) {
            if let Some(connection) = self.nodes[number].connections.get_mut(&key) {
                let reason = CloseReason::new(Blame::Nobody, "reset");
                connection.session.handle(self.now, SessionCommand::Close(reason));
            }
        }
    }

    /// Whether everybody of `numbers` is connected to somebody before `cut`.
    fn are_reconnected(&self, numbers: std::ops::Range<usize>, cut: usize) -> bool {
        numbers.into_iter().all(|number| {
            let mut connections = self.nodes[number].connections.values();
            connections.any(|connection| connection.remote.0 < cut && connection.session.is_open())
        })
    }
}

#[test]
fn row_6_3_after_a_partition_everybody_is_back_within_a_minute_and_completes() {
    let pair = || vec![seeder(100_000), leecher(100_000)];
    let groups = || vec![seeder(100_000), leecher(100_000), leecher(100_000), leecher(100_000)];
    for (members, cut, minutes, seed) in [
        (groups(), 2, 10, 1),
        (groups(), 1, 10, 2),
        (pair(), 1, 10, 3),
        // Whoever has nobody else does not give up.
        (pair(), 1, 90, 4),
    ] {
        let mut world = World::new(geometry(6_000_000, 65_536), seed, &members);
        let count = members.len();
        assert!(!world.run_until(10, World::all_complete), "{minutes}: it is under way");
        assert!(world.are_reconnected(cut..count, cut), "{minutes}: they are connected at the beginning");
        world.tear(cut);
        world.run_until(60 * minutes, |_| false);
        assert!(!world.are_reconnected(cut..count, cut), "{minutes}: they noticed");
        assert!(!world.all_complete(), "{minutes}: something is left to do");
        world.heal();
        let back = |world: &World| world.are_reconnected(cut..count, cut);
        assert!(world.run_until(60, back), "{minutes}: not back within a minute");
        assert!(world.run_until(400, World::all_complete), "{minutes}: not complete");
        (1..count).for_each(|number| world.assert_byte_exact(number));
    }
}
