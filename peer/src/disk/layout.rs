//! Where each byte of a torrent's payload lies: its files in order below one root folder.

use std::{
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use potluck_common::{Geometry, PieceIndex, Printable, hash::Sha1Digest, metainfo::Metainfo};
use thiserror::Error;

/// One file of the payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LayoutFile {
    /// Its path below the root: at least one component, each an ordinary name.
    pub path: PathBuf,
    /// Where it begins in the payload, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// Padding (BEP 47) is all zeros and never touches the disk. A symbolic link, of length 0, does not either.
    pub padding: bool,
}

/// Why files cannot be the layout of a payload.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum LayoutError {
    /// A path is empty, absolute, or climbs out of its folder.
    #[error("the path {0} does not stay below its folder")]
    Path(Printable),
    /// A file does not begin where the one before it ends.
    #[error("the file {0} does not begin where the one before it ends")]
    Gap(Printable),
    /// The files add up to another total than the pieces.
    #[error("the files add up to {files} bytes and the pieces to {pieces}")]
    Total {
        /// Bytes of all files.
        files: u64,
        /// Bytes of all pieces.
        pieces: u64,
    },
    /// Two files have the same path.
    #[error("two files have the path {0}")]
    Twice(Printable),
    /// There are more or fewer hashes than pieces.
    #[error("{hashes} piece hashes for {pieces} pieces")]
    Hashes {
        /// The number of hashes.
        hashes: usize,
        /// The number of pieces.
        pieces: u32,
    },
}

/// The files of one torrent below a root folder, its division into pieces and their hashes.
///
/// Invariants: the files are contiguous from 0 to `geometry.total()`; every path stays below the root by its form,
/// and no two files that touch the disk share one; there is one hash per piece.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
    files: Vec<LayoutFile>,
    geometry: Geometry,
    hashes: Arc<[Sha1Digest]>,
}

impl Layout {
    /// Checks and joins the parts. `root` is the user's own choice: it may be or lead through a symbolic link.
    pub fn new(
        root: PathBuf,
        files: Vec<LayoutFile>,
        geometry: Geometry,
        hashes: Arc<[Sha1Digest]>,
    ) -> Result<Self, LayoutError> {
        let mut end = 0;
        for file in &files {
            if !is_confined(&file.path) {
                return Err(LayoutError::Path(shown(&file.path)));
            }
            if file.offset != end {
                return Err(LayoutError::Gap(shown(&file.path)));
            }
            end = end.checked_add(file.length).ok_or_else(|| LayoutError::Gap(shown(&file.path)))?;
        }
        if end != geometry.total() {
            return Err(LayoutError::Total { files: end, pieces: geometry.total() });
        }
        if hashes.len() != geometry.pieces() as usize {
            return Err(LayoutError::Hashes { hashes: hashes.len(), pieces: geometry.pieces() });
        }
        refuse_equal_paths(&files)?;
        Ok(Self { root, files, geometry, hashes })
    }

    /// The layout of a v1 or hybrid torrent below the download folder `root`. A torrent of v2 alone has no layout of
    /// this kind: its files do not lie end to end, and it has no SHA-1.
    pub fn from_metainfo(metainfo: &Metainfo, root: PathBuf) -> Result<Self, LayoutError> {
        let files = metainfo.files().iter().map(|file| LayoutFile {
            path: file.path.to_path_buf(),
            offset: file.offset,
            length: file.length,
            padding: !file.is_on_disk(),
        });
        Self::new(root, files.collect(), metainfo.geometry(), metainfo.piece_hashes().into())
    }

    /// The folder below which all files lie.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The files in the order of the payload.
    pub fn files(&self) -> &[LayoutFile] {
        &self.files
    }

    /// The division into pieces.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The SHA-1 that `piece` must have.
    pub fn hash_of(&self, piece: PieceIndex) -> &Sha1Digest {
        &self.hashes[piece.index()]
    }

    /// The full path of file number `file`.
    pub fn path_of(&self, file: usize) -> PathBuf {
        self.root.join(&self.files[file].path)
    }

    /// The parts of files that the byte range `offset..offset + length` of the payload lies in, in order. Empty
    /// files have no part in any range.
    pub fn parts(&self, offset: u64, length: usize) -> impl Iterator<Item = Part> + '_ {
        let end = offset.saturating_add(length as u64);
        let first = self.files.partition_point(|file| file.offset + file.length <= offset);
        let touched = self.files[first..].iter().enumerate().take_while(move |(_, file)| file.offset < end);
        let parts = touched.map(move |(number, file)| {
            let from = offset.max(file.offset);
            let to = end.min(file.offset + file.length);
            Part {
                file: first + number,
                offset: from - file.offset,
                start: (from - offset) as usize,
                length: (to - from) as usize,
            }
        });
        parts.filter(|part| part.length > 0)
    }
}

/// The part of a byte range that lies in one file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// The number of the file.
    pub file: usize,
    /// Where the part begins in the file, in bytes.
    pub offset: u64,
    /// Where the part begins in the range, in bytes.
    pub start: usize,
    /// Its length in bytes, never 0.
    pub length: usize,
}

fn is_confined(path: &Path) -> bool {
    let mut components = path.components().peekable();
    components.peek().is_some() && components.all(|component| matches!(component, Component::Normal(_)))
}

fn refuse_equal_paths(files: &[LayoutFile]) -> Result<(), LayoutError> {
    let mut paths: Vec<&Path> =
        files.iter().filter(|file| !file.padding).map(|file| file.path.as_path()).collect();
    paths.sort_unstable();
    match paths.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(LayoutError::Twice(shown(pair[0]))),
        None => Ok(()),
    }
}

fn shown(path: &Path) -> Printable {
    Printable::new(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, offset: u64, length: u64) -> LayoutFile {
        LayoutFile { path: path.into(), offset, length, padding: false }
    }

    fn build(files: Vec<LayoutFile>, total: u64) -> Result<Layout, LayoutError> {
        let geometry = Geometry::new(total, 10).expect("valid");
        Layout::new("/root".into(), files, geometry, vec![[0; 20]; geometry.pieces() as usize].into())
    }

    #[test]
    fn only_contiguous_confined_files_are_a_layout() {
        assert!(build(vec![file("a", 0, 3), file("b/c", 3, 9)], 12).is_ok());
        assert!(build(vec![], 0).is_ok());
        for path in ["", "..", "a/../b", "/a", "../a"] {
            assert!(matches!(build(vec![file(path, 0, 1)], 1), Err(LayoutError::Path(_))), "{path:?}");
        }
        assert!(matches!(build(vec![file("a", 1, 3)], 4), Err(LayoutError::Gap(_))));
        assert!(matches!(build(vec![file("a", 0, 3), file("b", 2, 3)], 5), Err(LayoutError::Gap(_))));
        assert!(matches!(
            build(vec![file("a", 0, u64::MAX), file("b", u64::MAX, 3)], 5),
            Err(LayoutError::Gap(_))
        ));
        assert!(matches!(build(vec![file("a", 0, 3)], 4), Err(LayoutError::Total { files: 3, pieces: 4 })));
        assert!(matches!(build(vec![file("a", 0, 3), file("a", 3, 1)], 4), Err(LayoutError::Twice(_))));
        let geometry = Geometry::new(11, 10).expect("valid");
        let one_hash = Layout::new("/root".into(), vec![file("a", 0, 11)], geometry, vec![[0; 20]].into());
        assert!(matches!(one_hash, Err(LayoutError::Hashes { hashes: 1, pieces: 2 })));
    }

    #[test]
    fn a_hybrid_keeps_its_padding_off_the_disk() {
        let info = [
            &b"d5:filesl"[..],
            b"d6:lengthi3e4:pathl1:aee",
            b"d4:attr1:p6:lengthi16381e4:pathl4:.pad5:16381ee",
            b"d4:attr1:l6:lengthi0e4:pathl4:linke12:symlink pathl1:aee",
            b"d6:lengthi2e4:pathl3:sub1:bee",
            b"e4:name3:top12:piece lengthi16384e6:pieces40:",
            &[b'x'; 40],
            b"e",
        ]
        .concat();
        let metainfo = Metainfo::parse(&[b"d4:info", &info[..], b"e"].concat()).expect("valid");
        let layout = Layout::from_metainfo(&metainfo, "/d".into()).expect("valid");
        let files: Vec<_> = layout
            .files()
            .iter()
            .map(|file| (file.path.to_string_lossy().replace('\\', "/"), file.offset, file.padding))
            .collect();
        let on_disk: Vec<_> = files.iter().filter(|(_, _, padding)| !padding).collect();
        assert_eq!(files.len(), 4);
        assert_eq!(on_disk, [&("top/a".to_owned(), 0, false), &("top/sub/b".to_owned(), 16_384, false)]);
        assert_eq!(layout.hash_of(layout.geometry().piece(1).expect("exists")), &[b'x'; 20]);
    }

    #[test]
    fn parts_skip_empty_files_and_cover_the_range() {
        let files = vec![file("a", 0, 3), file("empty", 3, 0), file("b", 3, 4), file("last", 7, 0)];
        let layout = build(files, 7).expect("valid");
        let parts: Vec<_> = layout.parts(1, 5).collect();
        assert_eq!(
            parts,
            [
                Part { file: 0, offset: 1, start: 0, length: 2 },
                Part { file: 2, offset: 0, start: 2, length: 3 }
            ]
        );
        assert_eq!(layout.parts(7, 0).count(), 0);
        assert_eq!(layout.parts(2, 0).count(), 0);
    }
}
