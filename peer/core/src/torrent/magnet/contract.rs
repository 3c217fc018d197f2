//! What goes into a [`Magnet`](super::Magnet) machine and what comes out of it.

use std::{collections::BTreeSet, net::SocketAddr};

use bytes::Bytes;
use potluck_common::{
    InfoHash, PeerId, Printable,
    announce::{AnnounceReply, ScrapeEntry, TrackerUrl},
    control::EventKind,
};

use crate::{
    PeerKey,
    announce::{AnnounceEffect, AnnounceFailure, AnnounceId},
    metadata::Expected,
    session::{Direction, MetadataCommand, MetadataEvent},
    torrent::{Source, SourceReport, Statistics},
};

/// All that the machine must know at its birth.
#[derive(Clone, Debug)]
pub struct MagnetConfig {
    /// The torrent's id on the wire.
    pub info_hash: InfoHash,
    /// What the hash of the metadata must be.
    pub expected: Expected,
    /// Its name, for people: the link's, or the hash.
    pub name: Printable,
    /// Our id in this torrent.
    pub peer_id: PeerId,
    /// Addresses at which we listen ourselves, never to be dialled.
    pub ours: BTreeSet<SocketAddr>,
    /// Tracker tiers; empty for none.
    pub trackers: Vec<Vec<TrackerUrl>>,
    /// Most connections of this torrent, if that is less than [`PEERS_MAX`](super::PEERS_MAX).
    pub connections_max: usize,
    /// Most dials under way at once.
    pub dials_max: usize,
}

/// What happened outside.
#[derive(Debug)]
pub enum MagnetInput {
    /// A connection stands, and its session will speak under this key.
    PeerConnected {
        /// The connection.
        peer: PeerKey,
        /// Its remote address.
        address: SocketAddr,
        /// Who opened it.
        direction: Direction,
    },
    /// What a session reported since it last did, in order.
    Peer(PeerKey, Vec<MetadataEvent>),
    /// A dial came to nothing.
    DialFailed(SocketAddr),
    /// A dial was not tried: the engine has as many connections as it may.
    DialPostponed(SocketAddr),
    /// Addresses became known.
    Candidates(Vec<SocketAddr>, Source),
    /// A tracker answered or failed.
    Announced(AnnounceId, Result<AnnounceReply, AnnounceFailure>),
    /// A tracker's counts came, or did not.
    Scraped(AnnounceId, Option<ScrapeEntry>),
    /// What a source of addresses is doing that the shell asks.
    Source(SourceReport),
    /// The engine has too many connections: give up the least useful one.
    EvictOne,
    /// A person asks for an announce.
    Reannounce,
    /// Announce `stopped`, close everything.
    Stop,
}

/// What the shell must do.
#[derive(Clone, PartialEq, Debug)]
pub enum MagnetEffect {
    /// Hand these commands to a session, in order.
    Peer(PeerKey, Vec<MetadataCommand>),
    /// Open a connection; answer with [`MagnetInput::PeerConnected`] or [`MagnetInput::DialFailed`].
    Dial(SocketAddr),
    /// Talk to a tracker; answer with [`MagnetInput::Announced`] or [`MagnetInput::Scraped`].
    Announce(AnnounceEffect, Statistics),
    /// Few peers are known: ask all sources of addresses soon that the shell asks. It comes again while that lasts, once a
    /// minute.
    WantPeers,
    /// A node of the DHT is said to be here (BEP 5).
    DhtNode(SocketAddr),
    /// Tell whoever listens.
    Event(EventKind),
    /// The metadata is there, and its hash holds. Nothing more is asked of anybody.
    Complete(Bytes),
    /// The machine is done: every tracker heard `stopped`, every connection is closed.
    Finished,
}
