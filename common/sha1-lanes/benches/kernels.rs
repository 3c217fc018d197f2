//! The throughput of every kernel that this processor has, as a ratio to the `sha1` crate in the same run.
//!
//! `cargo bench -p potluck-sha1-lanes` hashes 16 pieces of several lengths on one thread, the ways in turn, and prints
//! the medians.
#![expect(clippy::print_stdout, clippy::disallowed_types, reason = "a benchmark reads the clock and prints")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use potluck_sha1_lanes::{Kernel, LANES_MAX, Sha1Lanes};
use sha1::{Digest as _, Sha1};

/// Rounds that count; one more warms up.
const ROUNDS: usize = 15;

/// Bytes that a way hashes in one round.
const BYTES_PER_ROUND: usize = 64 * 1024 * 1024;

fn main() {
    for length in [16 * 1024, 64 * 1024, 256 * 1024, 1024 * 1024] {
        // Lanes that are a power of two apart would compete for the same lines of the processor's cache.
        let bytes: Vec<u8> = (0..(length + 128) * LANES_MAX).map(|place| ((place * 31) >> 3) as u8).collect();
        let pieces: Vec<&[u8]> = bytes.chunks(length + 128).map(|piece| &piece[..length]).collect();
        let mut ways = vec![Way::Crate];
        ways.extend(Kernel::available().map(Way::Kernel));
        let mut times = vec![Vec::new(); ways.len()];
        for round in 0..=ROUNDS {
            for (way, times) in ways.iter().zip(&mut times) {
                let time = way.time(&pieces);
                if round > 0 {
                    times.push(time);
                }
            }
        }
        let rates: Vec<f64> = times
            .iter_mut()
            .map(|times| BYTES_PER_ROUND as f64 / median(times).as_secs_f64() / 1e9)
            .collect();
        for (way, rate) in ways.iter().zip(&rates) {
            println!("{:4} KiB  {:10} {rate:5.2} GB/s  {:.2}", length / 1024, way.name(), rate / rates[0]);
        }
    }
}

enum Way {
    Crate,
    Kernel(Kernel),
}

impl Way {
    fn name(&self) -> String {
        match self {
            Self::Crate => "sha1 crate".to_owned(),
            Self::Kernel(kernel) => format!("{kernel:?}"),
        }
    }

    fn time(&self, pieces: &[&[u8]]) -> Duration {
        let passes = BYTES_PER_ROUND / (pieces[0].len() * pieces.len());
        let begun = Instant::now();
        for _ in 0..passes {
            match self {
                Self::Crate => pieces.iter().for_each(|piece| {
                    black_box(Sha1::digest(black_box(piece)));
                }),
                Self::Kernel(kernel) => pieces.chunks(kernel.lanes()).for_each(|pieces| {
                    let mut hasher = Sha1Lanes::with_kernel(*kernel, pieces.len());
                    hasher.update(black_box(pieces));
                    black_box(hasher.finish());
                }),
            }
        }
        begun.elapsed()
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
