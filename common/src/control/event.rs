//! What happened, for logs, `--json` and the dashboard.

use std::{collections::VecDeque, net::SocketAddr};

use serde::{Deserialize, Serialize};

use super::PeerSource;
use crate::{InfoHash, Printable};

/// How much attention an event deserves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For those who look closely: choke decisions, connections.
    Debug,
    /// What a person follows.
    Info,
    /// Something went wrong and is being dealt with.
    Warn,
    /// Something is wrong and needs a person.
    Error,
}

/// Something that happened to a torrent.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Seconds since the engine started.
    pub at: f64,
    /// The torrent it happened to.
    pub info_hash: InfoHash,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

impl Event {
    /// Leaves the newest `max` events of each level: many small ones take no place from those that matter.
    pub fn keep_newest(events: &mut VecDeque<Self>, max: usize) {
        if events.len() <= max {
            return;
        }
        let mut surplus = [0_usize; 4];
        for event in &*events {
            surplus[event.kind.level() as usize] += 1;
        }
        surplus = surplus.map(|count| count.saturating_sub(max));
        events.retain(|event| {
            let surplus = &mut surplus[event.kind.level() as usize];
            let stays = *surplus == 0;
            *surplus = surplus.saturating_sub(1);
            stays
        });
    }
}

/// What the choker makes of a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerAction {
    /// Nothing is sent to it from now on.
    Choke,
    /// It is sent what it asks for.
    Unchoke,
    /// The connection is ended, to make room.
    Evict,
}

/// A decision of the choker, with what it was judged by.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PeerDecision {
    /// The peer's address.
    pub peer: SocketAddr,
    /// What happens to it.
    pub action: PeerAction,
    /// Why, in words.
    pub why: Printable,
    /// Its place among those that give us something and want something of us; 1 is the fastest.
    pub rank: Option<u32>,
    /// What it gives us, or while we seed what we give it, in bytes per second.
    pub rate: u64,
    /// What its address took from us beyond what it gave, in bytes.
    pub debt: u64,
    /// Seconds since the connection stands.
    pub age_seconds: f64,
}

/// The kinds of [`Event`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// It is known what lies on the disk: `have` of `pieces` hold.
    Checked {
        /// Pieces that are there.
        have: u32,
        /// All pieces.
        pieces: u32,
        /// Pieces that had to be read and hashed to know that; of the others it was remembered from an earlier run, or
        /// is plain that they are not there.
        rechecked: u32,
    },
    /// A peer finished its handshake.
    PeerConnected {
        /// Its address.
        peer: SocketAddr,
        /// Its program, as it says or its peer id tells.
        client: Option<Printable>,
        /// Where its address is known from.
        #[serde(default)]
        source: PeerSource,
    },
    /// A connection ended.
    PeerDisconnected {
        /// Its address.
        peer: SocketAddr,
        /// Why.
        why: Printable,
    },
    /// An address was banned.
    PeerBanned {
        /// Its address.
        peer: SocketAddr,
        /// Why.
        why: Printable,
    },
    /// A piece arrived whose hash does not hold; it is fetched again.
    HashFailed {
        /// The piece's number.
        piece: u32,
        /// How many peers contributed to it.
        contributors: u32,
    },
    /// Peers gave metadata that is not this torrent's (BEP 9); it is fetched again, from each by itself.
    MetadataFailed {
        /// How many peers contributed to it.
        contributors: u32,
    },
    /// The metadata of a magnet link is there (BEP 9): from now on this is a torrent like any other.
    MetadataComplete {
        /// Its length in bytes.
        bytes: u64,
        /// Peers that gave something of it.
        peers: u32,
    },
    /// A piece that was there is damaged on the disk, or cannot be read.
    PieceLost {
        /// The piece's number.
        piece: u32,
        /// It is fetched again; else it is offered no more.
        fetched_again: bool,
        /// Why it cannot be read, which is tried again; `None` if it was, and its bytes are others.
        #[serde(default)]
        why: Option<Printable>,
    },
    /// A piece that could not be read is there after all.
    PieceFound {
        /// The piece's number.
        piece: u32,
    },
    /// The choker decided about a peer.
    Decision(PeerDecision),
    /// A tracker answered.
    TrackerReplied {
        /// Its URL, without secrets.
        tracker: Printable,
        /// Peers in its answer.
        peers: u32,
        /// Its warning message, if any.
        warning: Option<Printable>,
    },
    /// A tracker failed to answer.
    TrackerFailed {
        /// Its URL, without secrets.
        tracker: Printable,
        /// Why.
        why: Printable,
        /// Seconds until the next try.
        retry_seconds: u64,
    },
    /// All wanted pieces are verified and on the disk.
    Completed {
        /// Bytes of payload received in this run.
        downloaded: u64,
        /// Seconds since the torrent was added.
        seconds: f64,
    },
    /// Peers are no longer told of one piece at a time (BEP 16): from now on this is a seed like any other.
    SuperSeedEnded {
        /// Why, in words.
        why: Printable,
        /// Bytes of payload sent until then.
        uploaded: u64,
    },
    /// What arrives cannot be written for now, as on a full disk; it is kept, and the download goes on by itself.
    DiskFull {
        /// What happened and what to do, in one sentence.
        why: Printable,
    },
    /// All that waited for the disk is written.
    DiskFreed,
    /// Nothing moves, and this is why, in one sentence.
    Stalled {
        /// The sentence.
        why: Printable,
    },
    /// It moves again.
    Resumed,
    /// It has sent as much as it shall, and is paused.
    GoalReached {
        /// What was sent for each byte of the payload.
        ratio: f32,
    },
    /// The torrent stopped because of an error.
    Failed {
        /// What went wrong and what to do.
        message: Printable,
    },
}

impl EventKind {
    /// How much attention it deserves.
    pub fn level(&self) -> Level {
        match self {
            Self::PeerConnected { .. } | Self::PeerDisconnected { .. } | Self::Decision(_) => Level::Debug,
            Self::Checked { .. }
            | Self::TrackerReplied { .. }
            | Self::Completed { .. }
            | Self::MetadataComplete { .. }
            | Self::SuperSeedEnded { .. }
            | Self::DiskFreed
            | Self::PieceFound { .. }
            | Self::Resumed
            | Self::GoalReached { .. } => Level::Info,
            Self::PeerBanned { .. }
            | Self::HashFailed { .. }
            | Self::MetadataFailed { .. }
            | Self::PieceLost { .. }
            | Self::DiskFull { .. }
            | Self::TrackerFailed { .. }
            | Self::Stalled { .. } => Level::Warn,
            Self::Failed { .. } => Level::Error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_small_events_leave_the_ones_that_matter() {
        let event = |at: u32, kind| Event { at: f64::from(at), info_hash: InfoHash([1; 20]), kind };
        let small = |at| {
            event(
                at,
                EventKind::PeerConnected {
                    peer: ([10, 0, 0, 1], 1).into(),
                    client: None,
                    source: PeerSource::Tracker,
                },
            )
        };
        let grave = |at| event(at, EventKind::Failed { message: "no disk".into() });
        let mut events: VecDeque<Event> =
            [grave(0), grave(1)].into_iter().chain((2..100).map(small)).collect();
        events.extend([grave(100), grave(101)]);
        Event::keep_newest(&mut events, 3);
        let times: Vec<u32> = events.iter().map(|event| event.at as u32).collect();
        assert_eq!(times, [1, 97, 98, 99, 100, 101]);
    }
}
