//! In the place of the kernels, on processors that there are none for.

use crate::kernel::{Lanes, State};

/// A kernel that no processor has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nothing<const LANES: usize> {}

pub(crate) type Avx512 = Nothing<16>;
pub(crate) type Avx2 = Nothing<8>;

/// Likewise.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShaNi {}

impl ShaNi {
    pub(crate) fn detect() -> Option<Self> {
        None
    }

    pub(crate) fn compress(self, _: &mut State, _: &Lanes<'_>, _: usize) {
        match self {}
    }
}

impl<const LANES: usize> Nothing<LANES> {
    pub(crate) fn detect() -> Option<Self> {
        None
    }

    pub(crate) fn compress(self, _: &mut State, _: &Lanes<'_>) {
        match self {}
    }
}
