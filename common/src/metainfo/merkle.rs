//! The hash trees of BEP 52: leaves are SHA-256 of 16 KiB blocks, and what lies past a file's end is zero.

use crate::{
    hash::{Sha256, Sha256Digest, sha256},
    limits::BLOCK_LENGTH,
};

/// The hash of a block that lies past the end of a file.
const ZERO: Sha256Digest = [0; 32];

/// The hash of the node above `left` and `right`.
fn parent(left: &Sha256Digest, right: &Sha256Digest) -> Sha256Digest {
    let mut both = [0; 64];
    both[..32].copy_from_slice(left);
    both[32..].copy_from_slice(right);
    sha256(&both)
}

/// The root of the smallest full tree over `nodes`, where every missing node is the root of a tree of zero leaves
/// of height `height`. Linear in `nodes`; the memory is one copy of them.
pub fn root_of_layer(nodes: &[Sha256Digest], height: u32) -> Sha256Digest {
    let mut padding = (0..height).fold(ZERO, |hash, _| parent(&hash, &hash));
    let mut layer = nodes.to_vec();
    while layer.len() > 1 {
        layer = layer.chunks(2).map(|pair| parent(&pair[0], pair.get(1).unwrap_or(&padding))).collect();
        padding = parent(&padding, &padding);
    }
    layer.first().copied().unwrap_or(padding)
}

/// The height of the piece layer above the blocks; `piece_length` is a power of two of at least a block.
pub fn piece_height(piece_length: u32) -> u32 {
    debug_assert!(piece_length.is_power_of_two() && piece_length >= BLOCK_LENGTH);
    (piece_length / BLOCK_LENGTH).ilog2()
}

/// The number of leaves under the hash of a piece: all that a piece can have, or, in a file of one piece, as many as
/// the smallest full tree over its blocks has, for that hash is the pieces root then.
pub fn piece_leaves(file_length: u64, piece_length: u32) -> u32 {
    let within = file_length.min(u64::from(piece_length)) as u32;
    within.div_ceil(BLOCK_LENGTH).next_power_of_two()
}

/// The hash of one piece's `data`, as a tree over `leaves` blocks ([`piece_leaves`]).
pub fn piece_root(data: &[u8], leaves: u32) -> Sha256Digest {
    assert!(leaves.is_power_of_two() && data.len() as u64 <= u64::from(leaves) * u64::from(BLOCK_LENGTH));
    let blocks: Vec<_> = data.chunks(BLOCK_LENGTH as usize).map(sha256).collect();
    fill_up(root_of_layer(&blocks, 0), blocks.len() as u32, leaves)
}

/// The root over `leaves` leaves of which the first `used` make the smallest full tree with this `root`.
fn fill_up(mut root: Sha256Digest, used: u32, leaves: u32) -> Sha256Digest {
    let mut width = used.next_power_of_two();
    let mut padding = (0..width.ilog2()).fold(ZERO, |hash, _| parent(&hash, &hash));
    while width < leaves {
        root = parent(&root, &padding);
        padding = parent(&padding, &padding);
        width *= 2;
    }
    root
}

/// What v2 says about the content of one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileMerkle {
    /// The file's length in bytes.
    pub length: u64,
    /// The root of the tree over the whole file; `None` for an empty one.
    pub root: Option<Sha256Digest>,
    /// The hashes of the file's pieces; empty unless it is longer than one.
    pub layer: Vec<Sha256Digest>,
}

impl FileMerkle {
    /// Puts together a file's piece hashes, each made by [`piece_root`], perhaps in parallel.
    ///
    /// # Panics
    /// When their number is not that of the file's pieces.
    pub fn from_piece_roots(length: u64, piece_length: u32, pieces: Vec<Sha256Digest>) -> Self {
        assert_eq!(pieces.len() as u64, length.div_ceil(u64::from(piece_length)), "a hash for every piece");
        let root = (length > 0).then(|| root_of_layer(&pieces, piece_height(piece_length)));
        let layer = if pieces.len() > 1 { pieces } else { Vec::new() };
        Self { length, root, layer }
    }
}

/// Hashes one file as its bytes come.
#[derive(Clone, Debug)]
pub struct MerkleHasher {
    piece_length: u32,
    length: u64,
    block: Sha256,
    /// The finished blocks of the current piece.
    blocks: Vec<Sha256Digest>,
    /// The finished pieces.
    pieces: Vec<Sha256Digest>,
}

impl MerkleHasher {
    /// A hasher of a file in a torrent of this piece length, a power of two of at least 16 KiB.
    pub fn new(piece_length: u32) -> Self {
        assert!(piece_length.is_power_of_two() && piece_length >= BLOCK_LENGTH, "a piece length of v2");
        Self { piece_length, length: 0, block: Sha256::new(), blocks: Vec::new(), pieces: Vec::new() }
    }

    /// Appends `bytes` to the file.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = u64::from(BLOCK_LENGTH) - self.length % u64::from(BLOCK_LENGTH);
            let (now, later) = bytes.split_at(bytes.len().min(room as usize));
            self.block.update(now);
            self.length += now.len() as u64;
            if now.len() as u64 == room {
                self.end_block();
            }
            bytes = later;
        }
    }

    /// What v2 says about the file that all the bytes make.
    pub fn finish(mut self) -> FileMerkle {
        if !self.length.is_multiple_of(u64::from(BLOCK_LENGTH)) {
            self.end_block();
        }
        if !self.blocks.is_empty() {
            self.end_piece();
        }
        FileMerkle::from_piece_roots(self.length, self.piece_length, self.pieces)
    }

    fn end_block(&mut self) {
        self.blocks.push(std::mem::take(&mut self.block).finish());
        if self.blocks.len() as u32 == self.piece_length / BLOCK_LENGTH {
            self.end_piece();
        }
    }

    fn end_piece(&mut self) {
        let used = self.blocks.len() as u32;
        let leaves = if self.pieces.is_empty() && self.length < u64::from(self.piece_length) {
            used.next_power_of_two()
        } else {
            self.piece_length / BLOCK_LENGTH
        };
        self.pieces.push(fill_up(root_of_layer(&self.blocks, 0), used, leaves));
        self.blocks.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rng::Rng;

    /// The definition of BEP 52, word for word: all leaves of the full tree, then layer by layer.
    fn naive(data: &[u8], piece_length: usize) -> FileMerkle {
        let blocks = data.len().div_ceil(16_384).max(1);
        let leaves =
            blocks.next_power_of_two().max(if data.len() > piece_length { piece_length / 16_384 } else { 1 });
        let mut layer: Vec<_> = data.chunks(16_384).map(sha256).collect();
        layer.resize(leaves, [0; 32]);
        let mut pieces = Vec::new();
        let mut width = 16_384;
        loop {
            if width == piece_length && data.len() > piece_length {
                pieces = layer[..data.len().div_ceil(piece_length)].to_vec();
            }
            if layer.len() == 1 {
                break;
            }
            layer = layer.chunks(2).map(|pair| sha256(&pair.concat())).collect();
            width *= 2;
        }
        FileMerkle { length: data.len() as u64, root: (!data.is_empty()).then_some(layer[0]), layer: pieces }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn trees_equal_their_definition(blocks in 0usize..40, extra in 0usize..3, height in 0u32..4, seed: u64) {
            let piece_length = 16_384 << height;
            let mut data = vec![0; (blocks * 16_384 + extra).saturating_sub(1)];
            let mut rng = Rng::new(seed);
            rng.fill(&mut data);
            let expected = naive(&data, piece_length as usize);

            let mut hasher = MerkleHasher::new(piece_length);
            let mut rest = &data[..];
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(1 + rng.below(50_000) as usize));
                hasher.update(now);
                rest = later;
            }
            prop_assert_eq!(hasher.finish(), expected.clone());

            let leaves = piece_leaves(data.len() as u64, piece_length);
            let pieces = data.chunks(piece_length as usize).map(|piece| piece_root(piece, leaves)).collect();
            prop_assert_eq!(FileMerkle::from_piece_roots(data.len() as u64, piece_length, pieces), expected);
        }
    }
}
