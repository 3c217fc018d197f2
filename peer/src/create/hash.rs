//! Hashing what a plan lays out, for v1 and for v2 in one pass.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use potluck_common::{
    PieceIndex,
    hash::{Sha1Digest, Sha256Digest, sha1, sha1_lanes},
    metainfo::{
        FileEntry, FileMerkle,
        create::Plan,
        merkle::{piece_leaves, piece_root},
    },
};

use super::walk::Found;
use crate::disk::{
    DiskError, Layout, LayoutFile, OpenFiles, Progress, Storage,
    scan::{self, PieceReader},
};

/// Files open at once.
const OPEN_FILES_MAX: usize = 128;

/// What [`Plan::finish`] asks for.
#[derive(Debug)]
pub(super) struct Hashes {
    /// Of every piece; empty in v2 alone.
    pub(super) pieces: Vec<Sha1Digest>,
    /// Of every file but padding; empty in v1.
    pub(super) merkles: Vec<FileMerkle>,
}

/// Hashes all pieces; `None` if the job was cancelled.
pub(super) fn hash(
    plan: &Plan,
    found: &Found,
    threads: usize,
    progress: &Progress,
) -> Result<Option<Hashes>, DiskError> {
    let geometry = plan.geometry();
    let pieces: Vec<PieceIndex> = geometry.iter().collect();
    progress.begin(geometry.total());
    let storage = Storage::new(layout(plan, found), &OpenFiles::new(OPEN_FILES_MAX));
    let done = Mutex::new(vec![PieceHashes::default(); pieces.len()]);
    let reader = PieceReader::new(&storage, progress, |_| false);
    let hasher = Hasher { plan, storage: &storage, reader, progress };
    // A tree needs a piece as a whole, and 16 whole pieces may be a lot of memory.
    let group_max = if plan.version().has_v2() { 1 } else { sha1_lanes() };
    scan::each_group(&pieces, group_max, threads, progress, |group, buffer| {
        let hashes = hasher.hash(group, buffer)?;
        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
        for (piece, hashes) in group.iter().zip(hashes) {
            done[piece.index()] = hashes;
        }
        Ok(())
    })?;
    if progress.is_cancelled() {
        return Ok(None);
    }
    Ok(Some(collect(plan, &done.into_inner().unwrap_or_else(PoisonError::into_inner))))
}

/// Where the planned bytes lie on the disk. What is between the files of a v2 torrent reads as padding; the piece
/// hashes are what is sought, and zeros stand for them.
fn layout(plan: &Plan, found: &Found) -> Layout {
    let mut files = Vec::with_capacity(plan.files().len());
    let mut end = 0;
    let mut push = |path: PathBuf, offset: u64, length: u64, padding: bool| {
        files.push(LayoutFile { path, offset, length, padding });
    };
    for planned in plan.files() {
        let entry = &planned.entry;
        if entry.offset > end {
            push("padding".into(), end, entry.offset - end, true);
        }
        match planned.source {
            Some(source) => push(found.files[source].relative(), entry.offset, entry.length, false),
            None => push("padding".into(), entry.offset, entry.length, true),
        }
        end = entry.offset + entry.length;
    }
    let geometry = plan.geometry();
    let hashes = vec![Sha1Digest::default(); geometry.pieces() as usize];
    Layout::new(found.root.clone(), files, geometry, hashes.into())
        .expect("a plan lays out distinct files in order, and gaps were filled up")
}

#[derive(Clone, Copy, Default)]
struct PieceHashes {
    v1: Sha1Digest,
    v2: Sha256Digest,
}

struct Hasher<'a> {
    plan: &'a Plan,
    storage: &'a Storage,
    reader: PieceReader<'a>,
    progress: &'a Progress,
}

impl Hasher<'_> {
    fn hash(&self, pieces: &[PieceIndex], buffer: &mut Vec<u8>) -> Result<Vec<PieceHashes>, DiskError> {
        if self.plan.version().has_v2() {
            return pieces.iter().map(|piece| self.hash_whole(*piece, buffer)).collect();
        }
        let digests = self.reader.sha1(pieces, buffer)?.into_iter();
        // Without a digest the job was cancelled, and nobody looks at the result.
        Ok(digests.map(|v1| PieceHashes { v1: v1.unwrap_or_default(), ..PieceHashes::default() }).collect())
    }

    /// For v2, and v1 along with it.
    fn hash_whole(&self, piece: PieceIndex, buffer: &mut Vec<u8>) -> Result<PieceHashes, DiskError> {
        let geometry = self.plan.geometry();
        let (offset, length) = (geometry.offset_of(piece), geometry.length_of(piece));
        let mut hashes = PieceHashes::default();
        buffer.resize(length as usize, 0);
        self.storage.read_at(offset, buffer)?;
        if self.plan.version().has_v1() {
            hashes.v1 = sha1(buffer);
        }
        let file = owner(self.plan, offset);
        let inside = (file.offset + file.length - offset).min(u64::from(length));
        let leaves = piece_leaves(file.length, geometry.piece_length());
        hashes.v2 = piece_root(&buffer[..inside as usize], leaves);
        self.progress.add(u64::from(length));
        Ok(hashes)
    }
}

/// The file that the piece at `offset` belongs to: in v2 and hybrid torrents each file begins at a piece boundary.
fn owner(plan: &Plan, offset: u64) -> &FileEntry {
    let files = plan.files();
    let behind = files.partition_point(|file| file.entry.offset <= offset);
    let before = files[..behind].iter().rev().map(|file| &file.entry);
    before.into_iter().find(|file| !file.padding && file.length > 0).expect("a piece begins in a file")
}

fn collect(plan: &Plan, hashes: &[PieceHashes]) -> Hashes {
    let pieces =
        if plan.version().has_v1() { hashes.iter().map(|hashes| hashes.v1).collect() } else { Vec::new() };
    if !plan.version().has_v2() {
        return Hashes { pieces, merkles: Vec::new() };
    }
    let geometry = plan.geometry();
    let files = plan.files().iter().map(|file| &file.entry).filter(|file| !file.padding);
    let merkles = files
        .map(|file| {
            let range = geometry.pieces_of_range(file.offset, file.length);
            let roots = hashes[range.start as usize..range.end as usize].iter().map(|hashes| hashes.v2);
            FileMerkle::from_piece_roots(file.length, geometry.piece_length(), roots.collect())
        })
        .collect();
    Hashes { pieces, merkles }
}
