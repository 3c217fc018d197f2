//! The kernels for x86-64, and what proves that the processor can run them.
#![expect(unsafe_code, reason = "instructions that not every processor has")]

mod avx2;
mod avx512;
mod sha_ni;

use std::is_x86_feature_detected;

use crate::kernel::{Lanes, State};

/// The processor has AVX-512 F and BW. Only [`Avx512::detect`] makes one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avx512(());

impl Avx512 {
    pub(crate) fn detect() -> Option<Self> {
        let has_all = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
        has_all.then_some(Self(()))
    }

    pub(crate) fn compress(self, state: &mut State, lanes: &Lanes<'_>) {
        let Self(()) = self;
        // SAFETY: `self` exists, so the processor has the instructions that `compress` was compiled for.
        unsafe { avx512::compress(state, lanes) }
    }
}

/// The processor has AVX2. Only [`Avx2::detect`] makes one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    pub(crate) fn compress(self, state: &mut State, lanes: &Lanes<'_>) {
        let Self(()) = self;
        // SAFETY: `self` exists, so the processor has the instructions that `compress` was compiled for.
        unsafe { avx2::compress(state, lanes) }
    }
}

/// The processor has instructions for SHA-1 itself. Only [`ShaNi::detect`] makes one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShaNi(());

impl ShaNi {
    pub(crate) fn detect() -> Option<Self> {
        let has_all = is_x86_feature_detected!("sha")
            && is_x86_feature_detected!("ssse3")
            && is_x86_feature_detected!("sse4.1");
        has_all.then_some(Self(()))
    }

    pub(crate) fn compress(self, state: &mut State, lanes: &Lanes<'_>, streams: usize) {
        let Self(()) = self;
        // SAFETY: `self` exists, so the processor has the instructions that `compress` was compiled for.
        unsafe { sha_ni::compress(state, lanes, streams) }
    }
}

/// The 80 steps of FIPS 180-4 §6.1.2 on vectors: `$a`…`$e` are the working variables and `$words` the last 16 words of
/// the message schedule. Written out, so that each index is a constant and every vector can stay in a register. Uses
/// the caller's `splat`, `add`, `rotate`, `xor3`, `xor4`, `choose` and `majority`.
macro_rules! rounds {
    ($a:ident $b:ident $c:ident $d:ident $e:ident $words:ident) => {
        rounds!(@twenty $a $b $c $d $e $words choose 0x5a82_7999
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
        rounds!(@twenty $a $b $c $d $e $words xor3 0x6ed9_eba1
            20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39);
        rounds!(@twenty $a $b $c $d $e $words majority 0x8f1b_bcdc
            40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59);
        rounds!(@twenty $a $b $c $d $e $words xor3 0xca62_c1d6
            60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79);
    };
    (@twenty $a:ident $b:ident $c:ident $d:ident $e:ident $words:ident $mix:ident $constant:literal
        $($step:literal)*) => {
        let constant = splat($constant);
        $(
            if $step >= 16 {
                let mixed = xor4(
                    $words[($step + 13) % 16],
                    $words[($step + 8) % 16],
                    $words[($step + 2) % 16],
                    $words[$step % 16],
                );
                $words[$step % 16] = rotate::<1, 31>(mixed);
            }
            let early = add(add($e, constant), $words[$step % 16]);
            let next = add(add(early, $mix($b, $c, $d)), rotate::<5, 27>($a));
            ($e, $d, $c, $b, $a) = ($d, $c, rotate::<30, 2>($b), $a, next);
        )*
    };
}
use rounds;
