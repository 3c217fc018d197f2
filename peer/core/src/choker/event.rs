//! What a choker hears, and what it commands.

use super::{Slots, Weight, Why};
use crate::{Identity, PeerKey};

/// Something that happened outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChokerEvent {
    /// A peer came; it is choked and not interested.
    Connected {
        /// The peer.
        peer: PeerKey,
        /// What it is remembered by.
        identity: Identity,
    },
    /// A peer left.
    Gone(PeerKey),
    /// A peer became interested in us, or lost its interest.
    Interested(PeerKey, bool),
    /// A peer gave us payload that we asked for, in bytes.
    Got(PeerKey, u64),
    /// We sent a peer payload, in bytes.
    Sent(PeerKey, u64),
    /// A piece failed its hash of which this peer gave so many bytes: they count no more.
    HashFail(PeerKey, u64),
    /// A peer choked or unchoked us. BEP 3's rule judges by what comes and not by this.
    RemoteChoke(PeerKey, bool),
    /// A peer that unchoked us sends nothing although we asked; `false` when it does again.
    Snubbed(PeerKey, bool),
    /// A peer is a seed or a partial seed (BEP 21), or no longer.
    UploadOnly(PeerKey, bool),
    /// We became a seed or a partial seed, or no longer are one.
    BecameSeed(bool),
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
    /// While the uplink is saturated, give it this share of it. Told before the unchoke it goes with; until it is told, the
    /// weight is [`Weight::FULL`].
    Weight {
        /// The peer.
        peer: PeerKey,
        /// What it counts for.
        weight: Weight,
    },
    /// Part with it: there are nearly as many connections as there may be, and it is worth least.
    Evict {
        /// The peer.
        peer: PeerKey,
        /// Why.
        why: Why,
    },
}
