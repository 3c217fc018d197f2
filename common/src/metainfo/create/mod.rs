//! Making torrents: the pure part. Reading and hashing the files is a shell's.
//!
//! A [`Plan`] fixes the order of the files, the padding between them and the piece length. The shell hashes what the
//! plan lays out: every piece of [`Plan::geometry`] with SHA-1, padding as zeros, unless the version is v2 alone;
//! and, unless it is v1, every file with a [`MerkleHasher`](super::MerkleHasher), or in parallel piece by piece with
//! [`piece_root`](super::merkle::piece_root). Then [`Plan::finish`] writes the torrent.

mod encode;

#[cfg(test)]
mod tests;

use thiserror::Error;

use super::{FileEntry, FileMerkle, SafePath, Version, path, usable_url};
use crate::{
    geometry::{Geometry, GeometryError},
    hash::Sha1Digest,
    limits::{BLOCK_LENGTH, PATH_COMPONENTS_MAX, TOTAL_SIZE_MAX},
    printable::Printable,
};

/// The smallest and the largest piece length that is chosen by itself.
const AUTO_MIN: u64 = 16 * 1024;
const AUTO_MAX: u64 = 16 * 1024 * 1024;

/// Most pieces when the piece length is chosen by itself, as long as [`AUTO_MAX`] allows: fine enough to spread, and
/// a torrent file of some 40 KiB.
const AUTO_PIECES_MAX: u64 = 2_000;

/// How long pieces are.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum PieceLength {
    /// A power of two from 16 KiB to 16 MiB that makes about 1,000 to 2,000 pieces.
    #[default]
    Auto,
    /// So many bytes; in v2 and hybrid torrents a power of two of at least 16 KiB.
    Fixed(u32),
}

/// What a new torrent says beside its files.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long pieces are.
    pub piece_length: PieceLength,
    /// Which versions of the format it has.
    pub version: Version,
    /// Whether peers may come from the trackers only (BEP 27).
    pub private: bool,
    /// Trackers by tier (BEP 12).
    pub trackers: Vec<Vec<String>>,
    /// Web seeds (BEP 19).
    pub web_seeds: Vec<String>,
    /// A remark.
    pub comment: Option<String>,
    /// The program that makes it.
    pub created_by: Option<String>,
    /// When it is made, in seconds since 1970.
    pub creation_date: Option<i64>,
    /// A tag that makes the info-hash another one.
    pub source: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            piece_length: PieceLength::Auto,
            version: Version::V1,
            private: false,
            trackers: Vec::new(),
            web_seeds: Vec::new(),
            comment: None,
            created_by: None,
            creation_date: None,
            source: None,
        }
    }
}

/// Why no torrent can be made.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum CreateError {
    /// No file, or nothing in any.
    #[error("there is nothing to share: no file, or only empty ones")]
    Empty,
    /// A name that clients change because some system cannot store it.
    #[error("the name \"{0}\" is not safe everywhere, so whoever downloads it gets another: rename it")]
    UnsafeName(Printable),
    /// Two files that some systems cannot store side by side.
    #[error(
        "\"{0}\" meets another file: the same name, but for upper and lower case, or a folder's; rename one"
    )]
    Collision(Printable),
    /// A path is too deep.
    #[error("\"{0}\" lies deeper than {PATH_COMPONENTS_MAX} folders")]
    PathDepth(Printable),
    /// v2 cannot tell a folder that holds just a file of the same name from that file.
    #[error(
        "in v2 a folder that holds only a file of its own name cannot be told from that file: rename one"
    )]
    FolderOfOwnName,
    /// The payload cannot be divided.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// A piece length that v2 does not allow (BEP 52).
    #[error("piece length {0} is not a power of two of at least {BLOCK_LENGTH} bytes, which v2 asks for")]
    PieceLengthV2(u64),
    /// A tracker or web seed that readers would leave out.
    #[error("\"{0}\" is no URL")]
    Url(Printable),
}

/// One file of the payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlannedFile {
    /// As whoever parses the torrent will see it.
    pub entry: FileEntry,
    /// Its place in the list that the plan was made from; `None` for padding.
    pub source: Option<usize>,
}

/// What a torrent will hold and in which order.
///
/// Invariants: `files` is in payload order, which is that of the paths' bytes; in v2 and hybrid torrents every file
/// that is not empty begins at a piece boundary, in hybrid ones because of padding before it.
#[derive(Clone, Debug)]
pub struct Plan {
    name: String,
    single: bool,
    geometry: Geometry,
    files: Vec<PlannedFile>,
    options: Options,
}

impl Plan {
    /// Plans a torrent called `name` of these files, each given by the components of its path below that name and
    /// its length in bytes; when it is a `single_file`, its path is the name and its components do not count.
    pub fn new(
        name: &str,
        files: Vec<(Vec<String>, u64)>,
        single_file: bool,
        options: Options,
    ) -> Result<Self, CreateError> {
        check_urls(&options)?;
        let total = files.iter().try_fold(0u64, |sum, (_, length)| sum.checked_add(*length));
        let total = total.ok_or(GeometryError::TotalSize(u64::MAX))?;
        if total == 0 {
            return Err(CreateError::Empty);
        }
        let piece_length = piece_length(options.piece_length, total);
        if options.version.has_v2()
            && (piece_length < u64::from(BLOCK_LENGTH) || !piece_length.is_power_of_two())
        {
            return Err(CreateError::PieceLengthV2(piece_length));
        }
        Geometry::new(total, piece_length)?;
        let sources = sources(name, files, single_file)?;
        if options.version.has_v2()
            && !single_file
            && matches!(&sources[..], [file] if file.path.components() == [name, name])
        {
            return Err(CreateError::FolderOfOwnName);
        }
        let (files, end) = lay_out(name, sources, piece_length, options.version);
        let geometry = Geometry::new(end, piece_length)?;
        Ok(Self { name: name.to_owned(), single: single_file, geometry, files, options })
    }

    /// The division of the payload into pieces, padding included.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Which versions of the format it has.
    pub fn version(&self) -> Version {
        self.options.version
    }

    /// The files in payload order, padding included.
    pub fn files(&self) -> &[PlannedFile] {
        &self.files
    }

    /// The torrent: the bytes of a `.torrent` file in canonical form.
    ///
    /// # Panics
    /// Unless there is a hash for every piece of [`Self::geometry`] (none in v2 alone), and the result of hashing
    /// for every file of [`Self::files`] but padding, in their order (none in v1).
    pub fn finish(&self, piece_hashes: &[Sha1Digest], merkles: &[FileMerkle]) -> Vec<u8> {
        let pieces = if self.version().has_v1() { self.geometry.pieces() as usize } else { 0 };
        assert_eq!(piece_hashes.len(), pieces, "a hash for every piece");
        let hashed: Vec<_> = self.payload_files().map(|file| file.length).collect();
        let merkle_lengths: Vec<_> = merkles.iter().map(|merkle| merkle.length).collect();
        assert_eq!(
            merkle_lengths,
            if self.version().has_v2() { hashed } else { Vec::new() },
            "every file hashed"
        );
        encode::torrent(self, piece_hashes, merkles)
    }

    fn payload_files(&self) -> impl Iterator<Item = &FileEntry> {
        self.files.iter().map(|file| &file.entry).filter(|file| !file.padding)
    }
}

fn check_urls(options: &Options) -> Result<(), CreateError> {
    let mut urls = options.trackers.iter().flatten().chain(&options.web_seeds);
    match urls.find(|url| usable_url(url.as_bytes()).as_ref() != Some(*url)) {
        Some(url) => Err(CreateError::Url(Printable::new(url))),
        None => Ok(()),
    }
}

fn piece_length(wanted: PieceLength, total: u64) -> u64 {
    match wanted {
        PieceLength::Fixed(length) => u64::from(length),
        PieceLength::Auto => {
            total.div_ceil(AUTO_PIECES_MAX).min(AUTO_MAX).next_power_of_two().clamp(AUTO_MIN, AUTO_MAX)
        }
    }
}

/// A file to share, its name checked.
struct Source {
    path: SafePath,
    length: u64,
    /// Its place in the list given.
    index: usize,
}

/// The files in canonical order, if every name is one that parsing the torrent leaves as it is.
fn sources(
    name: &str,
    files: Vec<(Vec<String>, u64)>,
    single_file: bool,
) -> Result<Vec<Source>, CreateError> {
    let paths: Vec<Vec<&[u8]>> = files
        .iter()
        .map(|(path, _)| if single_file { Vec::new() } else { path.iter().map(String::as_bytes).collect() })
        .collect();
    if let Some(path) = paths.iter().find(|path| path.len() > PATH_COMPONENTS_MAX) {
        return Err(CreateError::PathDepth(Printable::from_bytes(path[path.len() - 1])));
    }
    if paths.iter().any(|path| path.is_empty() != single_file) || (single_file && paths.len() != 1) {
        return Err(CreateError::UnsafeName(Printable::new(name)));
    }
    let raw: Vec<_> = paths.iter().map(|components| path::RawPath { components, on_disk: true }).collect();
    let resolved = path::resolve(name, &raw);
    for (path, raw) in resolved.iter().zip(&paths) {
        let wanted = std::iter::once(name.as_bytes()).chain(raw.iter().copied());
        if !path.components().iter().map(String::as_bytes).eq(wanted.clone()) {
            let shown = Printable::from_bytes(&wanted.clone().collect::<Vec<_>>().join(&b'/'));
            let alone = path::resolve(name, &[path::RawPath { components: raw, on_disk: true }]);
            let safe = alone[0].components().iter().map(String::as_bytes).eq(wanted);
            return Err(if safe { CreateError::Collision(shown) } else { CreateError::UnsafeName(shown) });
        }
    }
    let mut sources: Vec<_> = resolved
        .into_iter()
        .zip(files)
        .enumerate()
        .map(|(index, (path, (_, length)))| Source { path, length, index })
        .collect();
    sources.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    Ok(sources)
}

/// Puts the files one after another and says where the last ends.
fn lay_out(name: &str, sources: Vec<Source>, piece_length: u64, version: Version) -> (Vec<PlannedFile>, u64) {
    let mut files = Vec::with_capacity(sources.len());
    let mut end = 0u64;
    for Source { path, length, index } in sources {
        if length > 0 && version.has_v2() {
            let aligned = end.next_multiple_of(piece_length);
            if aligned > end && version == Version::Hybrid {
                files.push(PlannedFile { entry: padding(name, aligned - end, end), source: None });
            }
            end = aligned;
        }
        files.push(PlannedFile { entry: entry(path, length, end), source: Some(index) });
        // Sums of lengths are below 2⁶⁴, and padding at most doubles what is refused above 2⁴⁸ anyway.
        end = end.saturating_add(length).min(2 * TOTAL_SIZE_MAX);
    }
    (files, end)
}

fn entry(path: SafePath, length: u64, offset: u64) -> FileEntry {
    FileEntry {
        path,
        length,
        offset,
        padding: false,
        executable: false,
        hidden: false,
        symlink: false,
        pieces_root: None,
    }
}

/// Padding under the name that BEP 47 suggests.
fn padding(name: &str, length: u64, offset: u64) -> FileEntry {
    let size = length.to_string();
    let raw = path::RawPath { components: &[b".pad", size.as_bytes()], on_disk: false };
    let path = path::resolve(name, &[raw]).pop().expect("one path for one");
    FileEntry { padding: true, ..entry(path, length, offset) }
}
