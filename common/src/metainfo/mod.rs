//! Metainfo: `.torrent` files, v1 (BEP 3, 47), v2 and hybrid (BEP 52).
//!
//! [`Metainfo::parse`] checks everything that can be checked without the payload and refuses what does not hold
//! together, each with a message that names the place. The info-hash comes from the bytes of `info` as they arrived.
//! Names become [`SafePath`]s; a rename changes nothing but where a file lies.

pub mod create;
pub mod merkle;

mod agree;
mod component;
mod error;
mod files;
mod info;
mod outer;
mod path;
mod tree;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
pub use error::{Disagreement, MetainfoError};
pub use merkle::{FileMerkle, MerkleHasher};
pub(crate) use outer::usable_url;
pub use path::SafePath;

use crate::{
    bencode::{self, Limits},
    geometry::{Geometry, PieceIndex},
    hash::{Sha1Digest, Sha256Digest, sha1, sha256},
    id::{InfoHash, InfoHashV2},
    printable::Printable,
};

/// Which versions of the format a torrent has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// BEP 3.
    V1,
    /// BEP 52 without a part for older clients.
    V2,
    /// Both, describing the same payload.
    Hybrid,
}

impl Version {
    /// Whether there is a v1 part.
    pub fn has_v1(self) -> bool {
        self != Self::V2
    }

    /// Whether there is a v2 part.
    pub fn has_v2(self) -> bool {
        self != Self::V1
    }

    /// `v1`, `v2` or `hybrid`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::Hybrid => "hybrid",
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// One file of a torrent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileEntry {
    /// Where it lies below the download folder; begins with the torrent's name unless it is the only file, whose
    /// path is that name. No two files that are written meet.
    pub path: SafePath,
    /// Length in bytes.
    pub length: u64,
    /// Where it begins in the payload, in bytes.
    pub offset: u64,
    /// Padding (BEP 47): zeros that are part of the payload and of no file on the disk.
    pub padding: bool,
    /// To be executable (BEP 47).
    pub executable: bool,
    /// To be hidden where the system knows that (BEP 47).
    pub hidden: bool,
    /// A symbolic link (BEP 47), which is never created: its length is 0 and it is left out on the disk.
    pub symlink: bool,
    /// The root of the file's hash tree (BEP 52); `None` in v1 and for an empty file.
    pub pieces_root: Option<Sha256Digest>,
}

impl FileEntry {
    /// Whether it is a file on the disk: neither padding nor a symbolic link.
    pub fn is_on_disk(&self) -> bool {
        !self.padding && !self.symlink
    }
}

/// A torrent that was parsed and checked. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metainfo(Arc<Inner>);

/// Invariants: `files` is not empty and in payload order; in v1 and hybrid torrents there is a piece hash for each
/// piece of `geometry` and the files lie end to end; in v2 there is none and each file begins at a piece boundary.
#[derive(Debug)]
struct Inner {
    version: Version,
    info_hash_v1: Option<InfoHash>,
    info_hash_v2: Option<InfoHashV2>,
    info: Bytes,
    name: String,
    single: bool,
    geometry: Geometry,
    files: Box<[FileEntry]>,
    piece_hashes: Box<[Sha1Digest]>,
    layers: tree::Layers,
    private: bool,
    source: Option<Printable>,
    outer: outer::Outer,
}

impl Metainfo {
    /// Parses and checks the bytes of a `.torrent` file.
    pub fn parse(bytes: &[u8]) -> Result<Self, MetainfoError> {
        let document = bencode::parse(bytes, &Limits::METAINFO)?;
        let dict = document.root().as_dict().ok_or(MetainfoError::NotDictionary)?;
        let node = dict.get(b"info").ok_or(MetainfoError::Missing("info"))?;
        let info = info::Info::of(node, dict.get(b"piece layers"))?;
        let outer = outer::Outer::of(&dict)?;
        let span = node.span();
        // The table of a hostile file is large, and what follows needs only the bytes.
        drop(document);
        Ok(Self(Arc::new(Inner::new(info, span, outer))))
    }

    /// Which versions of the format it has.
    pub fn version(&self) -> Version {
        self.0.version
    }

    /// What stands for the torrent in handshakes and announces: the v1 info-hash, or the beginning of the v2
    /// info-hash of a torrent that has no other (BEP 52).
    pub fn info_hash(&self) -> InfoHash {
        let truncated = || self.0.info_hash_v2.map(|hash| hash.truncated());
        self.0.info_hash_v1.or_else(truncated).expect("every version has an info-hash")
    }

    /// The v1 info-hash, unless this is v2 alone.
    pub fn info_hash_v1(&self) -> Option<InfoHash> {
        self.0.info_hash_v1
    }

    /// The v2 info-hash of a v2 or hybrid torrent.
    pub fn info_hash_v2(&self) -> Option<InfoHashV2> {
        self.0.info_hash_v2
    }

    /// The name, safe as a path component: that of the only file, or of the folder that holds the files.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The division of the payload into pieces, padding included. In v2 the ends of files are not filled up with
    /// padding, yet each begins at a piece boundary.
    pub fn geometry(&self) -> Geometry {
        self.0.geometry
    }

    /// The files in payload order, padding included.
    pub fn files(&self) -> &[FileEntry] {
        &self.0.files
    }

    /// Bytes of all files without padding.
    pub fn total_size(&self) -> u64 {
        self.0.files.iter().filter(|file| !file.padding).map(|file| file.length).sum()
    }

    /// Whether the payload is one file without a folder.
    pub fn is_single_file(&self) -> bool {
        self.0.single
    }

    /// The SHA-1 of a piece.
    ///
    /// # Panics
    /// When the torrent is v2 alone: it has none.
    pub fn piece_hash(&self, piece: PieceIndex) -> &Sha1Digest {
        &self.0.piece_hashes[piece.index()]
    }

    /// The SHA-1 of every piece; empty when the torrent is v2 alone.
    pub fn piece_hashes(&self) -> &[Sha1Digest] {
        &self.0.piece_hashes
    }

    /// The piece hashes of the files with this pieces root, which are longer than one piece (BEP 52).
    pub fn piece_layer(&self, pieces_root: &Sha256Digest) -> Option<&[Sha256Digest]> {
        self.0.layers.get(pieces_root).map(|layer| &layer[..])
    }

    /// Whether peers may come from its trackers only (BEP 27).
    pub fn private(&self) -> bool {
        self.0.private
    }

    /// The trackers by tier (BEP 12), without empty tiers, duplicates, and what is no printable text.
    pub fn trackers(&self) -> &[Vec<String>] {
        &self.0.outer.trackers
    }

    /// The web seeds (BEP 19).
    pub fn web_seeds(&self) -> &[String] {
        &self.0.outer.web_seeds
    }

    /// The DHT nodes to begin with (BEP 5), as host and port.
    pub fn nodes(&self) -> &[(String, u16)] {
        &self.0.outer.nodes
    }

    /// The author's remark.
    pub fn comment(&self) -> Option<&Printable> {
        self.0.outer.comment.as_ref()
    }

    /// The program that made the torrent.
    pub fn created_by(&self) -> Option<&Printable> {
        self.0.outer.created_by.as_ref()
    }

    /// When it was made, in seconds since 1970; any number at all.
    pub fn creation_date(&self) -> Option<i64> {
        self.0.outer.creation_date
    }

    /// The tag by which private trackers make the info-hash their own.
    pub fn source(&self) -> Option<&Printable> {
        self.0.source.as_ref()
    }

    /// The encoded `info` dictionary as it arrived (what BEP 9 sends).
    pub fn info_bytes(&self) -> &[u8] {
        &self.0.info
    }

    /// The same, sharing the memory.
    pub fn info(&self) -> Bytes {
        self.0.info.clone()
    }
}

impl Inner {
    fn new(info: info::Info<'_>, span: &[u8], outer: outer::Outer) -> Self {
        let info_hash_v1 = info.version.has_v1().then(|| InfoHash(sha1(span)));
        let info_hash_v2 = info.version.has_v2().then(|| InfoHashV2(sha256(span)));
        let name = component::safe_component(info.name, component::Rules::NATIVE).unwrap_or_else(|| {
            match (info_hash_v1, info_hash_v2) {
                (Some(hash), _) => hash.to_string(),
                (None, hash) => hash.map(|hash| hash.to_string()).unwrap_or_default(),
            }
        });
        Self {
            version: info.version,
            info_hash_v1,
            info_hash_v2,
            info: Bytes::copy_from_slice(span),
            single: info.single,
            geometry: info.geometry,
            files: entries(&name, info.single, &info.files),
            name,
            piece_hashes: info.piece_hashes,
            layers: info.layers,
            private: info.private,
            source: info.source,
            outer,
        }
    }
}

/// The files with safe paths below `name`, or with that path for a single file.
fn entries(name: &str, single: bool, files: &[(files::RawFile<'_>, u64)]) -> Box<[FileEntry]> {
    let raw: Vec<_> = files
        .iter()
        .map(|(file, _)| path::RawPath {
            components: if single { &[] } else { &file.components },
            on_disk: !file.attributes.padding && !file.attributes.symlink,
        })
        .collect();
    let entry = |((file, offset), path): (&(files::RawFile<'_>, u64), SafePath)| FileEntry {
        path,
        length: file.length,
        offset: *offset,
        padding: file.attributes.padding,
        executable: file.attributes.executable,
        hidden: file.attributes.hidden,
        symlink: file.attributes.symlink,
        pieces_root: file.pieces_root,
    };
    files.iter().zip(path::resolve(name, &raw)).map(entry).collect()
}
