//! Which ways of hashing in lanes this processor has.

use std::fmt;

use crate::{
    BLOCK_LENGTH, LANES_MAX,
    processor::{Avx2, Avx512, ShaNi},
};

/// From how many messages on wide registers are surely faster than the `sha1` crate with each in turn. Idle lanes cost
/// as much as busy ones, and the crate is fast where the processor has instructions for SHA-1: measured there, all lanes
/// are worth 2.5 to 3.5 times the crate with AVX-512 and 2.2 times with AVX2.
const WIDE_STREAMS_MIN: usize = 6;

/// From how many messages on wide registers are faster than SHA-1's own instructions for four messages and then the
/// others: measured, two in turn are worth 1.7 times the crate and four 2.5 times.
const WIDE_STREAMS_MIN_BESIDE_SHA_NI: usize = 12;

/// The five words of SHA-1's state, each for all lanes. A kernel of fewer lanes uses the first ones.
pub(crate) type State = [[u32; LANES_MAX]; 5];

/// The blocks of each lane, equally many. A kernel of fewer lanes looks at the first ones.
pub(crate) type Lanes<'a> = [&'a [[u8; BLOCK_LENGTH]]; LANES_MAX];

/// One way of hashing in lanes.
///
/// Invariant, on which memory safety rests: a value exists only where the processor has the instructions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Kernel(Kind);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Avx512(Avx512),
    ShaNi(ShaNi),
    Avx2(Avx2),
}

impl Kernel {
    /// All kernels that this processor can run, the fastest first.
    pub fn available() -> impl Iterator<Item = Self> {
        let kinds = [
            Avx512::detect().map(Kind::Avx512),
            ShaNi::detect().map(Kind::ShaNi),
            Avx2::detect().map(Kind::Avx2),
        ];
        kinds.into_iter().flatten().map(Self)
    }

    /// The fastest kernel when there are messages for all of its lanes, if there is one.
    pub fn best() -> Option<Self> {
        Self::available().next()
    }

    /// The fastest kernel for so many messages at once; `None` if one after another is as fast, or no kernel has so
    /// many lanes.
    pub(crate) fn for_streams(streams: usize) -> Option<Self> {
        let sha_ni = ShaNi::detect().map(|kernel| Self(Kind::ShaNi(kernel)));
        let least = if sha_ni.is_some() { WIDE_STREAMS_MIN_BESIDE_SHA_NI } else { WIDE_STREAMS_MIN };
        let wide = Self::available().find(|kernel| (least..=kernel.lanes()).contains(&streams));
        wide.or_else(|| sha_ni.filter(|kernel| (2..=kernel.lanes()).contains(&streams)))
    }

    /// How many messages it hashes at once.
    pub fn lanes(self) -> usize {
        match self.0 {
            Kind::Avx512(_) => 16,
            Kind::ShaNi(_) => 4,
            Kind::Avx2(_) => 8,
        }
    }

    /// Appends blocks to every lane, of which the first `streams` matter.
    pub(crate) fn compress(self, state: &mut State, lanes: &Lanes<'_>, streams: usize) {
        assert!(lanes.iter().all(|blocks| blocks.len() == lanes[0].len()), "lanes run in step");
        match self.0 {
            Kind::Avx512(kernel) => kernel.compress(state, lanes),
            Kind::ShaNi(kernel) => kernel.compress(state, lanes, streams),
            Kind::Avx2(kernel) => kernel.compress(state, lanes),
        }
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Avx512(_) => "AVX-512",
            Kind::ShaNi(_) => "SHA-NI",
            Kind::Avx2(_) => "AVX2",
        })
    }
}
