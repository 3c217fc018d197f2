//! One peer of the simulated swarm.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
};

use potluck_common::{Bitfield, Instant};
use potluck_core::{Identity, blame::Blame, picker::Picker};

use super::{links::LinkId, super_seeding::SuperSeeding};
use crate::scenario::FreeRiderKind;

/// What a node is there for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// It has everything from the start.
    Seed,
    /// It downloads and uploads; those of a mix belong to another group.
    Contributor {
        /// It follows the rule of the scenario's mix.
        mixed: bool,
    },
    /// It downloads and cheats.
    FreeRider(FreeRiderKind),
}

impl Role {
    pub(crate) fn is_free_rider(self) -> bool {
        matches!(self, Self::FreeRider(_))
    }
}

/// How a node answers to the pieces of others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Manners {
    /// It shows what it has, and wants what it lacks.
    Leeches,
    /// It has everything and shows it.
    Seeds,
    /// It shows nothing, or not the same to everybody: look closely.
    Special,
}

/// One peer, but for what is looked at all the time.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) role: Role,
    /// The number of its class of bandwidth.
    pub(crate) class: u16,
    /// Bytes per second.
    pub(crate) up: f64,
    /// Bytes per second.
    pub(crate) down: f64,
    pub(crate) online: bool,
    pub(crate) joined: Instant,
    pub(crate) done: Option<Instant>,
    /// When it leaves, if that is known.
    pub(crate) leaves: Option<Instant>,
    /// What others remember it by.
    address: u32,
    /// It lacks nothing, or is not online.
    pub(crate) complete: bool,
    /// Pieces that it has.
    pub(crate) pieces: u32,
    /// The links it owns, in no order.
    pub(crate) links: Vec<LinkId>,
    /// Who is at the other end of each of these.
    pub(crate) neighbours: Vec<u32>,
    /// When it last asked the tracker.
    pub(crate) announced: Instant,
    /// What it knows of bad data.
    pub(crate) blame: Blame<Identity>,
    /// Whom it does not talk to.
    pub(crate) banned: BTreeSet<Identity>,
    /// Present while it shows each peer only some pieces.
    pub(crate) super_seeding: Option<Box<SuperSeeding>>,
}

impl Node {
    pub(crate) fn new(role: Role, class: u16, up: f64, down: f64, joined: Instant) -> Self {
        Self {
            role,
            class,
            up,
            down,
            online: false,
            joined,
            done: None,
            leaves: None,
            address: 0,
            complete: true,
            pieces: 0,
            links: Vec::new(),
            neighbours: Vec::new(),
            announced: Instant::ZERO,
            blame: Blame::new(),
            banned: BTreeSet::new(),
            super_seeding: None,
        }
    }

    pub(crate) fn is_free_rider(&self) -> bool {
        self.role.is_free_rider()
    }

    pub(crate) fn is_contributor(&self) -> bool {
        matches!(self.role, Role::Contributor { .. })
    }

    /// How it answers to the pieces of others.
    pub(crate) fn manners(&self) -> Manners {
        match () {
            () if !self.shows_pieces() || self.super_seeding.is_some() => Manners::Special,
            () if self.is_complete() => Manners::Seeds,
            () => Manners::Leeches,
        }
    }

    /// Whether it tells others what it has.
    pub(crate) fn shows_pieces(&self) -> bool {
        self.role != Role::FreeRider(FreeRiderKind::HaveHider)
    }

    /// Whether others can get from it what it has.
    pub(crate) fn gives_pieces(&self) -> bool {
        !matches!(self.role, Role::FreeRider(kind) if !kind.gives_pieces())
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// The pieces that it, with this picker, shows over a link of its own; `full` and `empty` are those of the payload.
    pub(crate) fn shown_over<'a>(
        &'a self,
        picker: Option<&'a Picker>,
        id: LinkId,
        full: &'a Bitfield,
        empty: &'a Bitfield,
    ) -> &'a Bitfield {
        match (&self.super_seeding, picker) {
            (Some(state), _) => state.shown(id).unwrap_or(empty),
            _ if !self.shows_pieces() => empty,
            (None, Some(picker)) => picker.have(),
            (None, None) => full,
        }
    }

    pub(crate) fn set_address(&mut self, number: u32) {
        self.address = number;
    }

    pub(crate) fn identity(&self) -> Identity {
        // From 16.0.0.0 on: public addresses, each somebody else.
        let address = Ipv4Addr::from(0x1000_0000 + self.address);
        Identity::of(IpAddr::V4(address))
    }
}
