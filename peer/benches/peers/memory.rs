//! Making memory equal for all that is compared.

use std::hint::black_box;

/// Small enough that the allocator takes each block from the system and gives it back there, in pages of any size.
const BLOCK: usize = 1024 * 1024;

/// Takes this much memory, touches all of it and gives it back, so that what is measured next finds that much which the
/// machine has behind it already. In a virtual machine the first touch of a page may cost more than all that a transfer
/// does with it, and whom it hits is chance.
pub(crate) fn warm(bytes: u64) {
    let count = usize::try_from(bytes).unwrap_or(0) / BLOCK;
    let blocks: Vec<Vec<u8>> = (0..count).map(|_| black_box(vec![1; BLOCK])).collect();
    drop(black_box(blocks));
}
