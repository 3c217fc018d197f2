//! SHA-1 of many messages at once: one message in each 32-bit lane of wide registers.
//!
//! One SHA-1 is a chain of 80 dependent steps a block, which leaves most of a processor idle. Pieces of a torrent are
//! independent of each other, so 16 of them (8 with AVX2) go through the same steps together. Where the processor has
//! instructions for SHA-1 itself, up to four go through those in turn, each in the time that the others wait. What the
//! processor has is asked at run time. Where there are none, or too few messages, there is no [`Sha1Lanes`] and they are
//! better hashed one after another with the `sha1` crate, which is also what the tests compare with.
//!
//! All `unsafe` code of the workspace is in this crate's `x86` module: calling functions that were compiled for
//! instructions which not every processor has, and loads and stores of whole registers.

#[cfg(not(target_arch = "x86_64"))]
mod elsewhere;
mod kernel;
mod stream;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

use sha1::{Digest as _, Sha1};

#[cfg(not(target_arch = "x86_64"))]
use elsewhere as processor;
#[cfg(target_arch = "x86_64")]
use x86 as processor;

pub use self::{kernel::Kernel, stream::Sha1Lanes};

/// A SHA-1 digest.
pub type Sha1Digest = [u8; 20];

/// Bytes of a block, the unit that SHA-1 (FIPS 180-4 §6.1) works in.
pub const BLOCK_LENGTH: usize = 64;

/// No kernel has more lanes than this.
pub const LANES_MAX: usize = 16;

/// How many messages are best hashed at once on this processor; 1 if it has no kernel.
pub fn lanes() -> usize {
    Kernel::best().map_or(1, Kernel::lanes)
}

/// The SHA-1 of each of `messages`, in their order. Those of equal length are hashed together.
pub fn sha1_many(messages: &[&[u8]]) -> Vec<Sha1Digest> {
    let mut order: Vec<usize> = (0..messages.len()).collect();
    order.sort_by_key(|number| messages[*number].len());
    let mut digests = vec![Sha1Digest::default(); messages.len()];
    for equal in order.chunk_by(|a, b| messages[*a].len() == messages[*b].len()) {
        for group in groups(equal) {
            let members: Vec<&[u8]> = group.iter().map(|number| messages[*number]).collect();
            for (number, digest) in group.iter().zip(sha1_group(&members)) {
                digests[*number] = digest;
            }
        }
    }
    digests
}

/// Cuts messages of one length into groups that are fast to hash: full lanes, and fours of what is left over.
fn groups(numbers: &[usize]) -> impl Iterator<Item = &[usize]> {
    let mut rest = numbers;
    std::iter::from_fn(move || {
        let fits = |count: &usize| *count <= rest.len() && Kernel::for_streams(*count).is_some();
        let count = (1..=lanes().max(1)).rev().find(fits).unwrap_or(rest.len().min(1));
        let (group, after) = rest.split_at(count);
        rest = after;
        (!group.is_empty()).then_some(group)
    })
}

/// The SHA-1 of each of at most [`lanes`] messages of one length.
fn sha1_group(messages: &[&[u8]]) -> Vec<Sha1Digest> {
    match Sha1Lanes::new(messages.len()) {
        Some(mut hasher) => {
            hasher.update(messages);
            hasher.finish()
        }
        None => messages.iter().map(|message| Sha1::digest(message).into()).collect(),
    }
}
