//! How nodes choose whom to upload to: the choker that ships, and simple rules to compare it with.

mod simple;

use potluck_common::Instant;
use potluck_core::{
    PeerKey,
    choker::{Choker, ChokerCommand, ChokerConfig, ChokerEvent},
};

pub(crate) use self::simple::Simple;
use crate::scenario::{LeechRule, SeedRule};

/// What a rule wants done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Command {
    Choke(PeerKey),
    Unchoke(PeerKey),
    /// In percent of a full share of the uplink.
    Weight(PeerKey, u8),
    Evict(PeerKey),
}

/// The choker of one node.
#[derive(Debug)]
pub(crate) enum Rule {
    /// Nobody is ever unchoked.
    Never,
    Ours(Box<Choker>),
    Simple(Box<Simple>),
}

impl Rule {
    /// The rule of a leecher that comes now; `seeding` is for when it is done, unless its rule is ours.
    pub(crate) fn leecher(
        leeching: LeechRule,
        seeding: SeedRule,
        slots: u32,
        seed: u64,
        now: Instant,
    ) -> Self {
        if leeching == LeechRule::Ours {
            Self::Ours(Box::new(Choker::new(ChokerConfig::default(), seed, now)))
        } else {
            Self::Simple(Box::new(Simple::new(leeching, seeding, slots as usize, seed, now)))
        }
    }

    /// The rule of a seed that comes now.
    pub(crate) fn seed(seeding: SeedRule, slots: u32, seed: u64, now: Instant) -> Self {
        let leeching = if seeding == SeedRule::Ours { LeechRule::Ours } else { LeechRule::Bep3 };
        let mut rule = Self::leecher(leeching, seeding, slots, seed, now);
        rule.handle(now, ChokerEvent::BecameSeed(true));
        rule
    }

    pub(crate) fn handle(&mut self, now: Instant, event: ChokerEvent) {
        match self {
            Self::Never => {}
            Self::Ours(choker) => choker.handle(now, event),
            Self::Simple(simple) => simple.handle(now, event),
        }
    }

    /// Lets time pass.
    pub(crate) fn advance(&mut self, now: Instant) {
        match self {
            Self::Never => {}
            Self::Ours(choker) => {
                if choker.poll_timeout().is_some_and(|due| due <= now) {
                    choker.handle_timeout(now);
                }
            }
            Self::Simple(simple) => simple.advance(now),
        }
    }

    pub(crate) fn poll_command(&mut self) -> Option<Command> {
        match self {
            Self::Never => None,
            Self::Ours(choker) => choker.poll_command().map(|command| match command {
                ChokerCommand::Choke { peer, .. } => Command::Choke(peer),
                ChokerCommand::Unchoke { peer, .. } => Command::Unchoke(peer),
                ChokerCommand::Weight { peer, weight } => Command::Weight(peer, weight.percent()),
                ChokerCommand::Evict { peer, .. } => Command::Evict(peer),
            }),
            Self::Simple(simple) => simple.poll_command(),
        }
    }

    pub(crate) fn assert_invariants(&self) {
        if let Self::Ours(choker) = self {
            choker.assert_invariants();
        }
    }
}
