//! The demo's swarm: its members, what the tracker says, and what happened.

use std::{collections::VecDeque, net::IpAddr, sync::Arc};

use potluck_common::control::{PeerSnapshot, TorrentSnapshot, TorrentState};

/// Most lines that are kept of what happened; no screen shows more.
pub const LOG_LINES_MAX: usize = 200;
/// Most samples that are kept of the swarm's speed: enough for a demo on the widest screen.
pub const SPEED_SAMPLES_MAX: usize = 400;

/// What a member of the swarm does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Has everything from the beginning.
    Seeder,
    /// Wants everything, and gives what it has.
    Leecher,
    /// Wants everything, and gives nothing.
    FreeRider,
}

/// One member of the swarm.
#[derive(Clone, Debug)]
pub struct Member {
    /// What it is called.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Its address, which no other member has.
    pub ip: IpAddr,
    /// Its newest state.
    pub snapshot: Option<Arc<TorrentSnapshot>>,
    /// When it came, in seconds since the start.
    pub joined_at: Option<f64>,
    /// When it got its first piece, in seconds since the start.
    pub first_piece_at: Option<f64>,
    /// When it was complete, in seconds since the start.
    pub complete_at: Option<f64>,
    /// What it gave to the free rider.
    pub gave_rider: Gift,
    /// What of that it had given when it was complete, in bytes.
    pub gave_rider_unfinished: u64,
}

/// Payload that went from one to another, over all connections between them.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Gift {
    before: u64,
    now: u64,
}

impl Gift {
    /// Bytes in all.
    pub fn bytes(self) -> u64 {
        self.before + self.now
    }

    /// Takes in what went over the connection that stands; less than before means that it is another one, or none.
    pub fn update(&mut self, now: u64) {
        if now < self.now {
            self.before += self.now;
        }
        self.now = now;
    }
}

/// How far the demo is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Phase {
    /// The engines start.
    Starting,
    /// The swarm shares.
    Sharing,
    /// The copies are compared with the payload.
    Verifying,
    /// It is over: what came of it, in one sentence.
    Over(String),
}

/// How serious a line of the log is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    /// A detail, for those who look closely.
    Faint,
    /// An ordinary thing.
    Plain,
    /// A milestone.
    Good,
    /// To be noticed.
    Warning,
}

/// Something that happened.
#[derive(Clone, PartialEq, Debug)]
pub struct LogLine {
    /// When, in seconds since the start.
    pub at: f64,
    /// What, in words.
    pub text: String,
    /// How serious it is.
    pub tone: Tone,
}

/// The whole demo at one moment.
#[derive(Clone, Debug)]
pub struct Demo {
    /// How far it is.
    pub phase: Phase,
    /// Seconds since the start.
    pub elapsed: f64,
    /// Bytes of the payload.
    pub total_size: u64,
    /// Bytes per piece.
    pub piece_length: u32,
    /// Number of pieces.
    pub pieces: u32,
    /// What the seeder may send per second.
    pub seeder_rate_max: u64,
    /// The tracker's URL.
    pub tracker: String,
    /// The seeder first, the free rider last.
    pub members: Vec<Member>,
    /// Newest last.
    pub log: VecDeque<LogLine>,
    /// Lines that were in the log before the oldest that is kept.
    pub log_forgotten: usize,
    /// Payload that all members together received per second, newest last.
    pub speed: VecDeque<u64>,
    /// Every piece exists outside of the seeder.
    pub is_spread: bool,
}

impl Demo {
    /// A demo that has not begun. `members` begins with the seeder.
    pub fn new(total_size: u64, piece_length: u32, seeder_rate_max: u64, members: Vec<Member>) -> Self {
        assert!(piece_length > 0, "a torrent has a piece length");
        Self {
            phase: Phase::Starting,
            elapsed: 0.0,
            total_size,
            piece_length,
            pieces: total_size.div_ceil(u64::from(piece_length)) as u32,
            seeder_rate_max,
            tracker: String::new(),
            members,
            log: VecDeque::new(),
            log_forgotten: 0,
            speed: VecDeque::new(),
            is_spread: false,
        }
    }

    /// Payload that all members together receive per second.
    pub fn speed_now(&self) -> u64 {
        self.snapshots().map(|snapshot| snapshot.down_rate).sum()
    }

    /// How many times the payload the seeder has sent.
    pub fn copies_given_by_seeder(&self) -> f64 {
        let sent: u64 = self
            .members
            .iter()
            .filter(|member| member.role == Role::Seeder)
            .filter_map(|member| member.snapshot.as_ref())
            .map(|snapshot| snapshot.uploaded)
            .sum();
        sent as f64 / self.total_size.max(1) as f64
    }

    /// How many members have each piece.
    pub fn copies(&self) -> Vec<u32> {
        let mut copies = vec![0; self.pieces as usize];
        for snapshot in self.snapshots() {
            for (count, piece) in copies.iter_mut().zip(&snapshot.detail.pieces) {
                *count += u32::from(piece.have);
            }
        }
        copies
    }

    /// Every member that wants everything and gives what it has is complete.
    pub fn leechers_are_complete(&self) -> bool {
        self.members.iter().all(|member| member.role != Role::Leecher || member.complete_at.is_some())
    }

    /// The member that takes and never gives.
    pub fn free_rider(&self) -> Option<&Member> {
        self.members.iter().find(|member| member.role == Role::FreeRider)
    }

    /// The member with this address.
    pub fn member_at(&self, ip: IpAddr) -> Option<&Member> {
        self.members.iter().find(|member| member.ip == ip)
    }

    /// What the tracker counted for the member that asked last: seeds and leechers.
    pub fn tracker_counts(&self) -> Option<(u32, u32)> {
        let trackers = self.snapshots().flat_map(|snapshot| &snapshot.detail.trackers);
        trackers.filter_map(|tracker| Some((tracker.seeders?, tracker.leechers?))).max_by_key(|(s, l)| s + l)
    }

    fn snapshots(&self) -> impl Iterator<Item = &TorrentSnapshot> {
        self.members.iter().filter_map(|member| member.snapshot.as_deref())
    }
}

impl Member {
    /// A member nothing is known of yet.
    pub fn new(name: &str, role: Role, ip: IpAddr) -> Self {
        Self {
            name: name.to_owned(),
            role,
            ip,
            snapshot: None,
            joined_at: None,
            first_piece_at: None,
            complete_at: None,
            gave_rider: Gift::default(),
            gave_rider_unfinished: 0,
        }
    }

    /// It has everything.
    pub fn is_complete(&self) -> bool {
        self.snapshot.as_ref().is_some_and(|snapshot| snapshot.state == TorrentState::Seeding)
    }

    /// What it makes of the member with this address. Of two connections, that which it gives through.
    pub fn treats(&self, ip: IpAddr) -> Option<&PeerSnapshot> {
        let peers = self.snapshot.iter().flat_map(|snapshot| &snapshot.detail.peers);
        peers.filter(|peer| peer.address.ip() == ip).min_by_key(|peer| peer.we_choke)
    }

    /// Payload that it has given to the member with this address on the connection that stands, in bytes.
    pub fn gives(&self, ip: IpAddr) -> u64 {
        let peers = self.snapshot.iter().flat_map(|snapshot| &snapshot.detail.peers);
        peers.filter(|peer| peer.address.ip() == ip).map(|peer| peer.uploaded).sum()
    }

    /// Bytes per second that it sends to the member with this address, and whether it has it unchoked.
    pub fn gives_to(&self, ip: IpAddr) -> Option<(u64, bool)> {
        let peers = self.snapshot.iter().flat_map(|snapshot| &snapshot.detail.peers);
        peers
            .filter(|peer| peer.address.ip() == ip)
            .map(|peer| (peer.up_rate, !peer.we_choke && peer.is_interested))
            .reduce(|(rate, open), (more, also)| (rate + more, open || also))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gift_outlives_its_connections() {
        let mut gift = Gift::default();
        for (now, bytes) in [(0, 0), (5, 5), (9, 9), (0, 9), (0, 9), (3, 12), (4, 13), (1, 14)] {
            gift.update(now);
            assert_eq!(gift.bytes(), bytes, "at {now}");
        }
    }
}
