//! How nodes choose whom to upload to: the choker that ships, and simple rules to compare it with.

mod ours;
mod simple;
mod tyrant;

use potluck_common::Instant;
use potluck_core::{
    PeerKey,
    choker::{Choker, ChokerConfig, ChokerEvent, Slots},
};

use self::{ours::Ours, simple::Simple, tyrant::Tyrant};
use crate::scenario::{LeechRule, Scenario, SeedRule};

/// What a rule wants done.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Command {
    Choke(PeerKey),
    Unchoke(PeerKey),
    /// In percent of a full share of the uplink.
    Weight(PeerKey, u8),
    Evict(PeerKey),
    /// Upload no more than this to it, in bytes per second.
    Limit(PeerKey, f64),
}

/// The choker of one node.
#[derive(Debug)]
pub(crate) enum Rule {
    /// Nobody is ever unchoked.
    Never,
    Ours(Box<Ours>),
    Simple(Box<Simple>),
    Tyrant(Box<Tyrant>),
}

impl Rule {
    /// The rule of a leecher that comes now; the scenario's rule of seeds is for when it is done, unless its rule is ours.
    pub(crate) fn leecher(scenario: &Scenario, rule: LeechRule, up: f64, seed: u64, now: Instant) -> Self {
        if rule == LeechRule::Ours {
            Self::ours(scenario, up, scenario.connections_max, seed, now)
        } else {
            let simple = Simple::new(rule, scenario.seed_rule, scenario.slots as usize, seed, now);
            Self::Simple(Box::new(simple))
        }
    }

    /// The rule of a seed that comes now.
    pub(crate) fn seed(scenario: &Scenario, up: f64, seed: u64, now: Instant) -> Self {
        let mut rule = if scenario.seed_rule == SeedRule::Ours {
            Self::ours(scenario, up, scenario.seeds.connections_max, seed, now)
        } else {
            Self::leecher(scenario, LeechRule::Bep3, up, seed, now)
        };
        rule.handle(now, ChokerEvent::BecameSeed(true));
        rule
    }

    /// That of a strategic free rider with this uplink, in bytes per second.
    pub(crate) fn tyrant(up: f64, now: Instant) -> Self {
        Self::Tyrant(Box::new(Tyrant::new(up, now)))
    }

    fn ours(scenario: &Scenario, up: f64, connections_max: u32, seed: u64, now: Instant) -> Self {
        let limit = scenario.auto_slots.then_some(up as u64);
        let config = ChokerConfig {
            slots: Slots::for_uplink(limit),
            piece_length: scenario.piece_bytes,
            connections_max: Some(connections_max),
            decisions_max: 0,
            ..ChokerConfig::default()
        };
        let choker = Choker::new(config, seed, now);
        Self::Ours(Box::new(Ours::new(choker, limit, now)))
    }

    pub(crate) fn handle(&mut self, now: Instant, event: ChokerEvent) {
        match self {
            Self::Never => {}
            Self::Ours(ours) => ours.handle(now, event),
            Self::Simple(simple) => simple.handle(now, event),
            Self::Tyrant(tyrant) => tyrant.handle(event),
        }
    }

    /// Lets time pass.
    pub(crate) fn advance(&mut self, now: Instant) {
        match self {
            Self::Never => {}
            Self::Ours(ours) => ours.advance(now),
            Self::Simple(simple) => simple.advance(now),
            Self::Tyrant(tyrant) => tyrant.advance(now),
        }
    }

    /// When time matters to it next, as long as it hears of nothing.
    pub(crate) fn due(&self) -> Instant {
        match self {
            Self::Ours(ours) => ours.due(),
            Self::Never | Self::Simple(_) | Self::Tyrant(_) => Instant::ZERO,
        }
    }

    pub(crate) fn poll_command(&mut self) -> Option<Command> {
        match self {
            Self::Never => None,
            Self::Ours(ours) => ours.poll_command(),
            Self::Simple(simple) => simple.poll_command(),
            Self::Tyrant(tyrant) => tyrant.poll_command(),
        }
    }

    pub(crate) fn assert_invariants(&self) {
        if let Self::Ours(ours) = self {
            ours.assert_invariants();
        }
    }
}
