//! What a choker hears, and what it commands.

use std::net::IpAddr;

use super::{Slots, Why};
use crate::PeerKey;

/// Something that happened outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChokerEvent {
    /// A peer came; it is choked and not interested.
    Connected {
        /// The peer.
        peer: PeerKey,
        /// Its network address, by which it is remembered.
        address: IpAddr,
    },
    /// A peer left.
    Gone(PeerKey),
    /// A peer became interested in us, or lost its interest.
    Interested(PeerKey, bool),
    /// A peer gave us payload that we asked for, in bytes.
    Got(PeerKey, u64),
    /// We sent a peer payload, in bytes.
    Sent(PeerKey, u64),
    /// A piece to which this peer contributed failed its hash: what it gave so far counts no more.
    HashFail(PeerKey),
    /// A peer choked or unchoked us. BEP 3's rule judges by what comes and not by this.
    RemoteChoke(PeerKey, bool),
    /// A peer that unchoked us sends nothing although we asked; `false` when it does again.
    Snubbed(PeerKey, bool),
    /// A peer is a seed or a partial seed (BEP 21), or no longer.
    UploadOnly(PeerKey, bool),
    /// We became a seed or a partial seed, or no longer are one.
    BecameSeed(bool),
    /// What we upload in bytes per second, and the limit. BEP 3's rule has a fixed number of slots and does not use
    /// it.
    UplinkSample {
        /// Bytes per second in use.
        used: u64,
        /// The limit in bytes per second.
        cap: Option<u64>,
    },
    /// Changes the number of slots.
    SetSlots(Slots),
}

/// What to tell a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChokerCommand {
    /// Choke it.
    Choke {
        /// The peer.
        peer: PeerKey,
        /// Why.
        why: Why,
    },
    /// Unchoke it.
    Unchoke {
        /// The peer.
        peer: PeerKey,
        /// Why.
        why: Why,
    },
}
