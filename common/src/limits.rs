//! A named limit on everything that comes from outside, each with its reason.

/// The block of a request: every client asks for 16 KiB and most refuse more (BEP 3, practice).
pub const BLOCK_LENGTH: u32 = 16 * 1024;

/// Largest piece length accepted, 512 MiB less 16 KiB: libtorrent's bound, far above any torrent in use.
pub const PIECE_LENGTH_MAX: u32 = 32_767 * BLOCK_LENGTH;

/// Most pieces of one torrent: libtorrent's bound. Their hashes alone are then 40 MiB.
pub const PIECES_MAX: u32 = 0x20_0000;

/// Largest payload of one torrent: file offsets stay below 2⁴⁸, as in libtorrent, so that sums cannot wrap.
pub const TOTAL_SIZE_MAX: u64 = 1 << 48;

/// Largest `.torrent` file read from a disk: room for [`PIECES_MAX`] hashes and a long file list.
pub const METAINFO_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Largest `.torrent` file fetched by URL (reliability: the sender is not the user).
pub const METAINFO_URL_BYTES_MAX: usize = 10 * 1024 * 1024;

/// Deepest nesting of a bencoded value from outside; libtorrent's bound.
pub const BENCODE_DEPTH_MAX: usize = 100;

/// Most tokens of a bencoded metainfo file; libtorrent's bound.
pub const BENCODE_TOKENS_MAX: usize = 3_000_000;

/// Most components of one file's path in a torrent; libtorrent's bound.
pub const PATH_COMPONENTS_MAX: usize = 100;

/// Largest component of a path, in bytes: file systems take 255, and a rename may append to it.
pub const PATH_COMPONENT_BYTES_MAX: usize = 240;

/// Most files of one torrent, padding included: the largest in use have some ten thousand, and each costs about half a
/// kilobyte in the end.
pub const FILES_MAX: usize = 100_000;

/// Most memory for the file list of one torrent, in bytes: twelve bytes of a torrent make a path component of a hundred,
/// and a v2 file tree names a folder once for many files, so that a small torrent could otherwise grow a thousandfold.
/// With the table of [`BENCODE_TOKENS_MAX`] values, which is dropped before the list is at its largest, parsing stays
/// within 64 MiB above the bytes of the torrent and the copies that are kept of them.
pub const FILE_LIST_BYTES_MAX: usize = 56 * 1024 * 1024;

/// Most trackers kept from one torrent or magnet link; long lists have about 50.
pub const TRACKERS_MAX: usize = 200;

/// Most web seeds, bootstrap nodes or peers kept from one torrent or magnet link.
pub const SOURCES_MAX: usize = 100;

/// Longest URL kept from a torrent or magnet link, in bytes: what HTTP servers take.
pub const URL_BYTES_MAX: usize = 8 * 1024;

/// Longest magnet link, in bytes: it fits in a command line, and holds hundreds of trackers.
pub const MAGNET_BYTES_MAX: usize = 128 * 1024;

/// Largest extended handshake (BEP 10) and its depth and tokens: real ones are under 1 KiB.
pub const EXTENDED_HANDSHAKE_BYTES_MAX: usize = 64 * 1024;
/// Deepest nesting of an extended handshake.
pub const EXTENDED_HANDSHAKE_DEPTH_MAX: usize = 20;
/// Most tokens of an extended handshake.
pub const EXTENDED_HANDSHAKE_TOKENS_MAX: usize = 2_000;

/// Largest message of an extension (BEP 10) once the metadata is known.
pub const EXTENDED_MESSAGE_BYTES_MAX: u32 = 128 * 1024;

/// Incoming requests that may wait in one peer's queue; also what we advertise as `reqq` (BEP 10).
pub const REQUEST_QUEUE_MAX: u32 = 2_000;

/// Largest body of a tracker's HTTP reply after decompression: libtorrent's bound.
pub const TRACKER_REPLY_BYTES_MAX: usize = 1024 * 1024;

/// The piece in which peers give each other an `info` dictionary (BEP 9), in bytes.
pub const METADATA_PIECE_BYTES: u32 = 16 * 1024;

/// Largest `info` dictionary fetched from or given to peers, in bytes: a size from a stranger. A torrent of a million pieces
/// has 20 MB of hashes; whoever makes one that large gives its file.
pub const METADATA_BYTES_MAX: u32 = 16 * 1024 * 1024;
