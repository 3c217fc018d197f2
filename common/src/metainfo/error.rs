//! Why a `.torrent` file is refused.

use thiserror::Error;

use crate::{
    bencode::{BencodeError, DecodeError},
    geometry::GeometryError,
    limits::{BLOCK_LENGTH, FILE_LIST_BYTES_MAX, FILES_MAX, PATH_COMPONENTS_MAX, TOTAL_SIZE_MAX},
    printable::Printable,
};

/// Why bytes are not a metainfo file that can be used. Each says what is wrong and where.
#[derive(Debug, Error)]
pub enum MetainfoError {
    /// Not bencode within the limits.
    #[error("not a torrent file: {0}")]
    Bencode(#[from] BencodeError),
    /// Bencode, but no dictionary.
    #[error("not a torrent file: the outermost value is not a dictionary")]
    NotDictionary,
    /// The parts that a typed decode reads did not fit it.
    #[error("not a torrent file: {0}")]
    Decode(#[from] DecodeError),
    /// A key that must be there is not.
    #[error("the key \"{0}\" is missing")]
    Missing(&'static str),
    /// A key has a value of another type, or an integer beyond 64 bits.
    #[error("the key \"{key}\" is not {expected}")]
    WrongType {
        /// The key.
        key: &'static str,
        /// What it has to be, with its article.
        expected: &'static str,
    },
    /// The `info` dictionary of a v2 torrent is not in canonical form (BEP 52 asks for it).
    #[error("the info dictionary is not in the canonical form of a v2 torrent: {0}")]
    InfoNotCanonical(BencodeError),
    /// `meta version` names a version that does not exist yet.
    #[error("meta version {0} is not supported")]
    Version(i64),
    /// The payload cannot be divided.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// A negative piece length.
    #[error("piece length {0} is negative")]
    PieceLengthNegative(i64),
    /// A piece length that v2 does not allow (BEP 52).
    #[error("piece length {0} of a v2 torrent is not a power of two of at least {BLOCK_LENGTH} bytes")]
    PieceLengthV2(u64),
    /// A file's length is missing, no integer, negative or beyond the limit.
    #[error("file \"{path}\" has no valid length (0 to {TOTAL_SIZE_MAX} bytes)")]
    FileLength {
        /// The file.
        path: Printable,
    },
    /// `length` and `files` exclude each other (BEP 3).
    #[error("the info dictionary has both \"length\" and \"files\"")]
    LengthAndFiles,
    /// No file at all.
    #[error("the torrent has no files")]
    NoFiles,
    /// An entry of `files` is no dictionary.
    #[error("entry {0} of \"files\" is not a dictionary")]
    FileEntry(usize),
    /// A file's path is missing, empty, or not a list of strings.
    #[error("entry {0} of \"files\" has no valid path")]
    FilePath(usize),
    /// A path is too deep.
    #[error("file \"{path}\" lies deeper than {PATH_COMPONENTS_MAX} folders")]
    PathDepth {
        /// The file.
        path: Printable,
    },
    /// There are too many files.
    #[error("the torrent has more than {FILES_MAX} files")]
    FileCount,
    /// The files and their paths together are too much.
    #[error("the list of all files takes more than {FILE_LIST_BYTES_MAX} bytes of memory")]
    FileListBytes,
    /// A symbolic link that claims payload (BEP 47).
    #[error("file \"{path}\" is a symbolic link with a length")]
    SymlinkLength {
        /// The file.
        path: Printable,
    },
    /// `pieces` is no whole number of SHA-1 digests.
    #[error("\"pieces\" is {0} bytes long, not a multiple of 20")]
    PiecesLength(usize),
    /// `pieces` has another number of digests than the payload has pieces.
    #[error("\"pieces\" has {found} hashes where the files make {expected} pieces")]
    PiecesCount {
        /// What the payload's length asks for.
        expected: u32,
        /// What is there.
        found: usize,
    },
    /// A node of the file tree is not a dictionary with a file or further nodes (BEP 52).
    #[error("\"{path}\" in the file tree is neither a file nor a folder")]
    TreeNode {
        /// Where in the tree.
        path: Printable,
    },
    /// A node of the file tree is a file and a folder at once.
    #[error("\"{path}\" in the file tree is both a file and a folder")]
    TreeFileAndFolder {
        /// Where in the tree.
        path: Printable,
    },
    /// The file tree holds a padding file, which v2 has no use for.
    #[error("\"{path}\" in the file tree is a padding file")]
    TreePadding {
        /// Where in the tree.
        path: Printable,
    },
    /// A file's `pieces root` is missing or not a SHA-256 digest.
    #[error("file \"{path}\" has no valid pieces root (32 bytes)")]
    PiecesRoot {
        /// The file.
        path: Printable,
    },
    /// A file's `pieces root` is all zeros, which no data hashes to.
    #[error("file \"{path}\" has a pieces root of zeros")]
    PiecesRootZero {
        /// The file.
        path: Printable,
    },
    /// A file longer than a piece has no piece layer.
    #[error("file \"{path}\" has no piece layer")]
    LayerMissing {
        /// The file.
        path: Printable,
    },
    /// A piece layer has another number of hashes than its file has pieces.
    #[error("the piece layer of file \"{path}\" is {found} bytes long where its pieces need {expected}")]
    LayerLength {
        /// The file.
        path: Printable,
        /// 32 bytes for each piece.
        expected: u64,
        /// What is there.
        found: usize,
    },
    /// A piece layer does not hash to the root that its file names.
    #[error("the piece layer of file \"{path}\" does not hash to its pieces root")]
    LayerRoot {
        /// The file.
        path: Printable,
    },
    /// A piece layer that no file asks for.
    #[error("\"piece layers\" has an entry that belongs to no file: {0}")]
    LayerUnknown(Printable),
    /// The v1 and the v2 half of a hybrid torrent describe different payloads (BEP 52).
    #[error("the v1 and v2 parts of this hybrid torrent disagree: {0}")]
    Hybrid(Disagreement),
}

/// How the two halves of a hybrid torrent differ.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Disagreement {
    /// One describes a single file, the other a folder.
    #[error("one describes a single file, the other a folder")]
    Shape,
    /// They have different numbers of files.
    #[error("{v1} files in v1, {v2} in v2")]
    FileCount {
        /// Files of the v1 list that are no padding.
        v1: usize,
        /// Files of the file tree.
        v2: usize,
    },
    /// A file has different names, or the files are in a different order.
    #[error("file \"{v1}\" in v1 is \"{v2}\" in v2")]
    Path {
        /// The path in v1.
        v1: Printable,
        /// The path in v2.
        v2: Printable,
    },
    /// A file has different lengths.
    #[error("file \"{path}\" has {v1} bytes in v1 and {v2} in v2")]
    Length {
        /// The file.
        path: Printable,
        /// Bytes in v1.
        v1: u64,
        /// Bytes in v2.
        v2: u64,
    },
    /// A file does not begin at a piece's beginning in v1: padding is missing or too long.
    #[error("file \"{path}\" is not padded to a piece boundary in v1")]
    Alignment {
        /// The file.
        path: Printable,
    },
    /// Padding after the last file makes further pieces.
    #[error("padding after the last file")]
    Tail,
}
