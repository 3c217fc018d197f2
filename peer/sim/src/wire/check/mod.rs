//! What must always hold, one file a property, and what is remembered for that.

mod asked;
mod blame;
mod collected;
mod drained;
mod ends;
mod givers;
mod have;
mod memory;
mod metadata;
mod ports;
mod private;
mod remembered;
mod stalls;
mod views;

use std::fmt;

use potluck_common::Rng;

use self::{drained::Drained, ports::Ports, private::Named, stalls::Stalls};

/// A property that does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Its name.
    pub property: &'static str,
    /// What was seen instead.
    pub what: String,
}

impl Violation {
    pub(super) fn new(property: &'static str, what: impl Into<String>) -> Self {
        Self { property, what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.property, self.what)
    }
}

/// One in so many steps is followed by recounts, which cost more than the steps.
const RECOUNT_ONE_IN: u32 = 40;

/// What the properties need to remember.
#[derive(Debug, Default)]
pub(super) struct Checks {
    drained: Drained,
    stalls: Stalls,
    named: Named,
    ports: Ports,
}

impl Checks {
    pub(super) fn is_time_for_recounts(rng: &mut Rng) -> bool {
        rng.below(RECOUNT_ONE_IN) == 0
    }
}
