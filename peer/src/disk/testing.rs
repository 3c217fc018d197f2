//! Layouts and payloads for tests.

use std::{path::Path, sync::Arc};

use potluck_common::{
    BlockSpan, Geometry, PieceIndex, Rng,
    hash::{Sha1Digest, sha1},
};

use super::{BufferPool, Layout, LayoutFile, OpenFiles, PieceBuffer, Put, Storage};

pub(crate) fn random_bytes(rng: &mut Rng, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rng.fill(&mut bytes);
    bytes
}

/// Files of these lengths named `dir<number % 3>/<number>`; a name that begins with `pad` is padding.
pub(crate) fn files(lengths: &[(&str, u64)]) -> Vec<LayoutFile> {
    let mut offset = 0;
    let mut files = Vec::new();
    for (path, length) in lengths {
        files.push(LayoutFile {
            path: path.into(),
            offset,
            length: *length,
            padding: path.starts_with("pad"),
        });
        offset += length;
    }
    files
}

/// The storage of `payload` in these files below `root`, with right hashes. Writes nothing.
pub(crate) fn storage(
    root: &Path,
    lengths: &[(&str, u64)],
    piece_length: u64,
    payload: &[u8],
) -> Arc<Storage> {
    storage_with(root, lengths, piece_length, payload, &OpenFiles::new(8))
}

pub(crate) fn storage_with(
    root: &Path,
    lengths: &[(&str, u64)],
    piece_length: u64,
    payload: &[u8],
    open_files: &Arc<OpenFiles>,
) -> Arc<Storage> {
    let geometry = Geometry::new(payload.len() as u64, piece_length).expect("valid");
    let hashes: Vec<Sha1Digest> = payload.chunks(piece_length as usize).map(sha1).collect();
    let layout = Layout::new(root.into(), files(lengths), geometry, hashes.into()).expect("valid");
    Storage::new(layout, open_files)
}

/// A storage of one file `name`.
pub(crate) fn one_file(root: &Path, piece_length: u64, payload: &[u8]) -> Arc<Storage> {
    storage(root, &[("file", payload.len() as u64)], piece_length, payload)
}

pub(crate) fn piece(storage: &Storage, number: u32) -> PieceIndex {
    storage.layout().geometry().piece(number).expect("exists")
}

pub(crate) fn span(storage: &Storage, piece: u32, begin: u32, length: u32) -> BlockSpan {
    storage.layout().geometry().span(piece, begin, length).expect("valid")
}

/// A buffer with all blocks of a piece.
pub(crate) fn filled(
    pool: &Arc<BufferPool>,
    storage: &Storage,
    number: u32,
    payload: &[u8],
) -> Arc<PieceBuffer> {
    let geometry = storage.layout().geometry();
    let piece = piece(storage, number);
    let bytes = &payload[geometry.offset_of(piece) as usize..][..geometry.length_of(piece) as usize];
    let buffer = pool.take(geometry.length_of(piece));
    for span in (0..).map_while(|block| geometry.block(piece, block)) {
        let block = &bytes[span.begin as usize..][..span.length as usize];
        assert_ne!(buffer.put(span, block, number.is_multiple_of(2)), Put::Refused);
    }
    assert!(buffer.is_complete());
    Arc::new(buffer)
}
