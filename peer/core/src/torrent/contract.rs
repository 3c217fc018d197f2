//! What goes into a [`Torrent`](super::Torrent) machine and what comes out of it.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use potluck_common::{
    Bitfield, BlockSpan, Geometry, InfoHash, Instant, PeerId, PieceIndex, Printable,
    announce::{AnnounceReply, ScrapeEntry, TrackerUrl},
    control::{DiscoveryState, EventKind, FilePriority, Limits, PeerSource},
    hash::Sha1Digest,
};

use crate::{
    PeerKey,
    announce::{AnnounceEffect, AnnounceFailure, AnnounceId},
    choker::Demand,
    picker::Priority,
    session::{Direction, SessionCommand, SessionEvent},
};

/// One file of the payload, as far as the machine needs to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TorrentFile {
    /// Its path, for people.
    pub path: Printable,
    /// Where it begins in the payload.
    pub offset: u64,
    /// Its length.
    pub length: u64,
    /// How much the user wants it.
    pub priority: FilePriority,
    /// BEP 47 padding: part of the payload, not of the files.
    pub padding: bool,
}

impl TorrentFile {
    /// The user wants it. Padding nobody wants.
    pub fn is_wanted(&self) -> bool {
        self.priority != FilePriority::Skip && !self.padding
    }
}

/// All that a torrent machine must know at its birth.
#[derive(Clone, Debug)]
pub struct TorrentConfig {
    /// The torrent's id on the wire.
    pub info_hash: InfoHash,
    /// Its name, for people.
    pub name: Printable,
    /// The division of its payload.
    pub geometry: Geometry,
    /// The verified pieces that lie on the disk already.
    pub have: Bitfield,
    /// The files in payload order.
    pub files: Vec<TorrentFile>,
    /// Pieces in order instead of rarest first.
    pub sequential: bool,
    /// BEP 27: peers from its own trackers only.
    pub private: bool,
    /// Peers are told of each other (BEP 11), if the torrent is not private.
    pub pex: bool,
    /// Our id in this torrent.
    pub peer_id: PeerId,
    /// Addresses at which we listen ourselves, never to be dialled.
    pub ours: BTreeSet<SocketAddr>,
    /// Tracker tiers (BEP 12); empty for none.
    pub trackers: Vec<Vec<TrackerUrl>>,
    /// Memory for pieces being assembled or waiting to be written, in bytes; at least one piece always fits.
    pub buffer_bytes_max: u64,
    /// Most connections of this torrent.
    pub connections_max: usize,
    /// Most dials under way at once.
    pub dials_max: usize,
    /// Upload slots, counting the optimistic one; `None` is as many as [`Input::SetSlots`] says, and until then as many as
    /// suit its upload limit, and five at most.
    pub slots: Option<u32>,
    /// How many times as fast as usual the choker's rounds and trials pass, for a swarm in time lapse: 1 to 100; what is
    /// beyond counts as the nearest of them.
    pub choker_pace: u32,
    /// The limits that it is under: of its own and of the whole engine the lower.
    pub limits: Limits,
    /// Super-seed (BEP 16), if all pieces are there at the start.
    pub super_seed: bool,
    /// Whether a piece that turns out to be damaged on the disk is fetched again; else it is offered no more.
    pub fetches_damaged: bool,
}

/// What happened outside.
#[derive(Debug)]
pub enum Input {
    /// A TCP connection stands, and its session will speak under this key.
    PeerConnected {
        /// The connection.
        peer: PeerKey,
        /// Its remote address.
        address: SocketAddr,
        /// Who opened it.
        direction: Direction,
    },
    /// What a session reported since it last did.
    Peer {
        /// The connection.
        peer: PeerKey,
        /// In order.
        events: Vec<SessionEvent>,
        /// Those of the received blocks that the shell did not take, because they were there already.
        duplicates: Vec<BlockSpan>,
    },
    /// A dial came to nothing.
    DialFailed(SocketAddr),
    /// A dial was not tried: the engine has as many connections as it may.
    DialPostponed(SocketAddr),
    /// Addresses became known. Those that a stranger named were judged by who that is (`common::addr::acceptable`).
    Candidates(Vec<SocketAddr>, PeerSource),
    /// What a source of addresses is doing that the shell asks: the DHT, the local network.
    Source(SourceReport),
    /// A piece's hash held and its write succeeded.
    PieceStored(PieceIndex, Vec<Sha1Digest>),
    /// A piece's hash did not hold; these are its blocks' digests.
    PieceMismatch(PieceIndex, Vec<Sha1Digest>),
    /// A piece could not be written.
    WriteFailed(PieceIndex, DiskTrouble),
    /// A block could not be read for an upload.
    ReadFailed(PieceIndex, DiskTrouble),
    /// The answer to [`Effect::VerifyPiece`]: whether the hash of what lies on the disk holds, or why that is not known.
    PieceVerified(PieceIndex, Result<bool, DiskTrouble>),
    /// What was written could not be made durable.
    SyncFailed(DiskTrouble),
    /// What was written is durable since the [`Effect::Completed`] of this number.
    Settled(u64),
    /// A tracker answered or failed.
    Announced(AnnounceId, Result<AnnounceReply, AnnounceFailure>),
    /// A tracker's counts came, or did not.
    Scraped(AnnounceId, Option<ScrapeEntry>),
    /// The engine has too many connections: give up the least useful one.
    EvictOne,
    /// Other memory bound, because torrents came or went.
    BufferBudget(u64),
    /// So many upload slots, in answer to an [`Effect::Demand`] or since another torrent's demand changed. Without effect where
    /// the user has set their number.
    SetSlots(u32),
    /// Other limits, as in [`TorrentConfig::limits`].
    SetLimits(Limits),
    /// How much files are wanted from now on, by their place in [`TorrentConfig::files`]; the others stay as they are. Their
    /// files may be written to from now on.
    SetFiles(Vec<(usize, FilePriority)>),
    /// A person asks for an announce: failed trackers are tried again at once, working ones as early as they allow.
    Reannounce,
    /// Announce `stopped`, close everything.
    Stop,
}

/// What a source of addresses outside of the machine is doing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceReport {
    /// Which source.
    pub source: PeerSource,
    /// What it is doing.
    pub state: DiscoveryState,
    /// The last result, or why it is silent, in words.
    pub message: Printable,
    /// When it is asked again.
    pub next_at: Option<Instant>,
}

/// A disk operation that failed, in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiskTrouble {
    /// One line that names the file and the remedy.
    pub message: Printable,
    /// What may help.
    pub kind: TroubleKind,
}

/// What may help against a [`DiskTrouble`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TroubleKind {
    /// Space: the disk or the quota is full. What could not be written is kept and tried again.
    Full,
    /// Time: the system was short of something. What could not be written is kept and tried again.
    Passing,
    /// These bytes are lost, and others may be well: the device failed there, or the file ends too early.
    Damaged,
    /// Nothing, until a person acts.
    Lasting,
    /// A defect of ours; it costs the piece.
    Defect,
}

/// What the shell must do.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Hand these commands to a session, in order.
    Peer(PeerKey, Vec<SessionCommand>),
    /// Open a connection; answer with [`Input::PeerConnected`] or [`Input::DialFailed`].
    Dial(SocketAddr),
    /// Blocks of this piece may come from now on.
    OpenPiece(PieceIndex),
    /// All blocks of this piece came: hash it, and write it if the hash holds. With `digests`, answer with the
    /// digests of its blocks too. After an [`Input::WriteFailed`] of [`TroubleKind::Full`] or
    /// [`TroubleKind::Passing`] the same piece is to be kept, and comes again.
    StorePiece {
        /// The piece.
        piece: PieceIndex,
        /// Whether the blocks' digests are needed for blame.
        digests: bool,
    },
    /// The blocks of this piece are no longer wanted.
    ClosePiece(PieceIndex),
    /// Read this piece from the disk and compare its hash; answer with [`Input::PieceVerified`].
    VerifyPiece(PieceIndex),
    /// Talk to a tracker; answer with [`Input::Announced`].
    Announce(AnnounceEffect, Statistics),
    /// Few usable peers are left: ask all sources of addresses soon that the shell asks. It comes again while that lasts, about
    /// once a minute; never of a private torrent.
    WantPeers,
    /// What could be used of the session's upload slots: told once a round while somebody wants something, when that begins
    /// and when it ends.
    Demand(Demand),
    /// Tell whoever listens.
    Event(EventKind),
    /// All wanted pieces are there (again), for so many times: make them durable; answer with [`Input::Settled`] of the
    /// same number or [`Input::SyncFailed`].
    Completed(u64),
    /// The machine is done: every tracker heard `stopped`, every connection is closed.
    Finished,
}

/// The counters of an announce (BEP 3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// Payload bytes sent in this run.
    pub uploaded: u64,
    /// Payload bytes received in this run.
    pub downloaded: u64,
    /// Bytes of the whole torrent that are missing.
    pub left: u64,
}

/// The address that a ban or a count of connections goes by.
pub(super) fn ip_of(address: SocketAddr) -> IpAddr {
    address.ip().to_canonical()
}

/// The priority of each piece that follows from the files: the highest of those that it has a part of.
pub(super) fn piece_priorities(geometry: &Geometry, files: &[TorrentFile]) -> Vec<Priority> {
    let mut priorities = vec![Priority::Skip; geometry.pieces() as usize];
    for file in files.iter().filter(|file| file.is_wanted()) {
        let priority = match file.priority {
            FilePriority::Skip => Priority::Skip,
            FilePriority::Low => Priority::Low,
            FilePriority::Normal => Priority::Normal,
            FilePriority::High => Priority::High,
        };
        for piece in geometry.pieces_of_range(file.offset, file.length) {
            let highest = &mut priorities[piece as usize];
            *highest = priority.max(*highest);
        }
    }
    priorities
}
