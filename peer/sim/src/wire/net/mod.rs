//! The network: connections that carry bytes in order, and what can go wrong on the way.

mod half;
mod paths;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
};

use bytes::Bytes;
use potluck_common::{Duration, Instant, Rng};

pub(super) use self::half::{Half, Segment};
use self::paths::Paths;
use super::{
    agenda::Agenda,
    plan::{Member, NetworkPlan},
    trace::Digest,
    world::Happening,
};

/// What may be on the way to an end and wait there unread, in bytes: the window of TCP.
const WINDOW_BYTES: usize = 256 * 1024;
/// How much of what a task writes its system takes, in bytes.
const SEND_BUFFER_BYTES: usize = 128 * 1024;
/// How long the system tries to connect to somebody who does not answer.
pub(super) const DIAL_TIME: Duration = Duration::from_secs(10);

/// A host by its place among the members.
pub(super) type HostId = usize;

/// One end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct End {
    pub(super) connection: u64,
    /// The end that dialled.
    pub(super) is_dialler: bool,
}

impl End {
    /// The other end.
    pub(super) fn other(self) -> Self {
        Self { is_dialler: !self.is_dialler, ..self }
    }

    /// As a number for the trace.
    pub(super) fn number(self) -> u64 {
        self.connection * 2 + u64::from(self.is_dialler)
    }
}

/// How the bytes of one host go out: a segment at a time, of all its connections in turn.
#[derive(Debug)]
struct Uplink {
    bytes_per_second: u64,
    /// When the last segment has left.
    free_at: Instant,
    /// Ends with something to send.
    turn: VecDeque<End>,
    is_scheduled: bool,
}

/// How the bytes of all connections come to one host: one after the other.
#[derive(Debug)]
struct Downlink {
    bytes_per_second: Option<u64>,
    /// When the last segment has come.
    free_at: Instant,
}

impl Downlink {
    /// When a segment has come whose first byte could come at `at`.
    fn receives(&mut self, at: Instant, segment: &Segment) -> Instant {
        let Some(bytes_per_second) = self.bytes_per_second else { return at };
        let takes = segment.len() as f64 / bytes_per_second as f64;
        self.free_at = self.free_at.max(at) + Duration::from_secs_f64(takes);
        self.free_at
    }
}

/// Every connection and what is on its way.
#[derive(Debug)]
pub(super) struct Network {
    plan: NetworkPlan,
    rng: Rng,
    halves: BTreeMap<End, Half>,
    uplinks: Vec<Uplink>,
    downlinks: Vec<Downlink>,
    pub(super) paths: Paths,
    next_connection: u64,
    /// Bytes that tasks wrote, and that tasks read.
    pub(super) written: u64,
    pub(super) read: u64,
    /// Of all that was read, by whom.
    pub(super) digest: Digest,
}

impl Network {
    pub(super) fn new(plan: NetworkPlan, members: &[Member], mut rng: Rng) -> Self {
        let uplinks: Vec<Uplink> = members
            .iter()
            .map(|member| Uplink {
                bytes_per_second: member.uplink.max(1),
                free_at: Instant::ZERO,
                turn: VecDeque::new(),
                is_scheduled: false,
            })
            .collect();
        let downlinks = members
            .iter()
            .map(|member| Downlink { bytes_per_second: member.downlink, free_at: Instant::ZERO })
            .collect();
        let paths = Paths::new(&plan, rng.fork());
        Self {
            plan,
            rng,
            halves: BTreeMap::new(),
            uplinks,
            downlinks,
            paths,
            next_connection: 1,
            written: 0,
            read: 0,
            digest: Digest::default(),
        }
    }

    /// Opens a connection between two hosts. Each end sees the other at the given address.
    pub(super) fn open(&mut self, dialler: (HostId, SocketAddr), acceptor: (HostId, SocketAddr)) -> End {
        let connection = self.next_connection;
        self.next_connection += 1;
        let end = End { connection, is_dialler: true };
        self.halves.insert(end, Half::new(dialler.0, acceptor.1));
        self.halves.insert(end.other(), Half::new(acceptor.0, dialler.1));
        end
    }

    /// A port that no connection has had.
    pub(super) fn ephemeral_port(&self) -> u16 {
        40_000 + (self.next_connection % 20_000) as u16
    }

    pub(super) fn half(&self, end: End) -> Option<&Half> {
        self.halves.get(&end)
    }

    /// The ends of all connections.
    pub(super) fn ends(&self) -> impl Iterator<Item = (End, &Half)> {
        self.halves.iter().map(|(end, half)| (*end, half))
    }

    /// Whether nothing is on its way on this connection.
    pub(super) fn is_quiet(&self, end: End) -> bool {
        [end, end.other()].iter().all(|end| self.halves.get(end).is_some_and(Half::is_quiet))
    }

    /// How many more bytes the system of this end takes.
    pub(super) fn room(&self, end: End) -> usize {
        self.halves.get(&end).map_or(0, |half| SEND_BUFFER_BYTES.saturating_sub(half.unsent_bytes()))
    }

    /// A task writes. What its system has no room for is not taken.
    pub(super) fn write(&mut self, agenda: &mut Agenda<Happening>, end: End, bytes: Bytes) {
        let Some(half) = self.halves.get_mut(&end).filter(|half| half.is_open()) else { return };
        if !bytes.is_empty() {
            self.written += bytes.len() as u64;
            half.push(Segment::Bytes(bytes));
            self.wants_to_send(agenda, end);
        }
    }

    /// A task reads at most `most` bytes of what has come.
    pub(super) fn read(&mut self, agenda: &mut Agenda<Happening>, end: End, most: usize) -> Bytes {
        let Some(half) = self.halves.get_mut(&end) else { return Bytes::new() };
        let most = most.min(1 + self.rng.below(self.plan.read_bytes_max as u32) as usize);
        let bytes = half.read(most);
        self.read += bytes.len() as u64;
        if !bytes.is_empty() {
            self.digest.number(end.number());
            self.digest.bytes(&bytes);
            // The window is open again.
            self.wants_to_send(agenda, end.other());
        }
        bytes
    }

    /// A task is done with its end: what it wrote still goes out, and then the end of it.
    pub(super) fn close(&mut self, agenda: &mut Agenda<Happening>, end: End) {
        if let Some(half) = self.halves.get_mut(&end).filter(|half| half.is_open()) {
            half.close();
            half.push(Segment::End);
            self.wants_to_send(agenda, end);
        }
    }

    /// The end is no more and says nothing, as when its power is cut.
    pub(super) fn vanish(&mut self, end: End) {
        if let Some(half) = self.halves.get_mut(&end) {
            half.vanish();
        }
        self.forget_if_over(end);
    }

    /// The end is no more, and its system tells the other one.
    pub(super) fn abort(&mut self, agenda: &mut Agenda<Happening>, end: End) {
        self.vanish(end);
        self.tell_reset(agenda, end.other());
    }

    /// A box on the way cuts the connection: both ends hear of it, or one.
    pub(super) fn reset(&mut self, agenda: &mut Agenda<Happening>, end: End, both: bool) {
        self.tell_reset(agenda, end);
        if both {
            self.tell_reset(agenda, end.other());
        }
    }

    fn tell_reset(&mut self, agenda: &mut Agenda<Happening>, end: End) {
        let delay = self.delay(end.other());
        if let Some(half) = self.halves.get_mut(&end) {
            let at = half.arrives(agenda.now() + delay, Segment::Reset);
            agenda.at(at, Happening::Arrival(end));
        }
    }

    fn wants_to_send(&mut self, agenda: &mut Agenda<Happening>, end: End) {
        let Some(half) = self.halves.get_mut(&end) else { return };
        if !half.has_unsent() || std::mem::replace(&mut half.is_in_turn, true) {
            return;
        }
        let host = half.host;
        self.uplinks[host].turn.push_back(end);
        self.schedule(agenda, host);
    }

    fn schedule(&mut self, agenda: &mut Agenda<Happening>, host: HostId) {
        let uplink = &mut self.uplinks[host];
        if !uplink.turn.is_empty() && !std::mem::replace(&mut uplink.is_scheduled, true) {
            agenda.at(uplink.free_at, Happening::Uplink(host));
        }
    }

    /// The uplink of a host is free: the next segment goes out. Says which end has room again for what its task writes.
    pub(super) fn send_next(&mut self, agenda: &mut Agenda<Happening>, host: HostId) -> Option<End> {
        self.uplinks[host].is_scheduled = false;
        let end = self.uplinks[host].turn.pop_front()?;
        let sent = self.send_of(agenda, end);
        self.schedule(agenda, host);
        sent.then_some(end)
    }

    fn send_of(&mut self, agenda: &mut Agenda<Happening>, end: End) -> bool {
        let unread = self.halves.get(&end.other()).map_or(0, Half::waiting_bytes);
        let longest = self.segment_length();
        let delay = self.delay(end);
        let Some(half) = self.halves.get_mut(&end) else { return false };
        half.is_in_turn = false;
        let room = WINDOW_BYTES.saturating_sub(unread);
        let Some(segment) = half.take_segment(longest.min(room)) else { return false };
        let host = half.host;
        let uplink = &mut self.uplinks[host];
        let takes = segment.len() as f64 / uplink.bytes_per_second as f64;
        uplink.free_at = agenda.now() + Duration::from_secs_f64(takes);
        let arrival = uplink.free_at + delay;
        if let Some(other) = self.halves.get_mut(&end.other()) {
            let arrival = self.downlinks[other.host].receives(arrival, &segment);
            let at = other.arrives(arrival, segment);
            agenda.at(at, Happening::Arrival(end.other()));
        }
        self.wants_to_send(agenda, end);
        true
    }

    fn segment_length(&mut self) -> usize {
        let most = self.plan.segment_bytes_max as u32;
        // Most are full; some are cut anywhere.
        if self.rng.below(8) == 0 { 1 + self.rng.below(most) as usize } else { most as usize }
    }

    /// From this end to the other.
    fn delay(&mut self, from: End) -> Duration {
        let hosts = self.halves.get(&from).zip(self.halves.get(&from.other()));
        let (one, other) = hosts.map_or((0, 0), |(from, to)| (from.host, to.host));
        self.paths.delay(one, other)
    }

    /// Something is to have come to this end: takes what has. Says whether there is news for its task.
    pub(super) fn arrive(&mut self, agenda: &mut Agenda<Happening>, end: End) -> bool {
        let now = agenda.now();
        let Some(hosts) = self.halves.get(&end.other()).zip(self.halves.get(&end)) else { return false };
        let (from, to) = (hosts.0.host, hosts.1.host);
        if let Some(until) = self.paths.held_until(now, from, to) {
            if until < Instant::FAR_FUTURE {
                agenda.at(until, Happening::Arrival(end));
            }
            return false;
        }
        let half = self.halves.get_mut(&end).expect("just seen");
        let comes = half.take_arrivals(now);
        if comes.is_for_nobody && self.paths.is_up(to) {
            // The system of a host that is there says that nobody knows of this connection.
            self.tell_reset(agenda, end.other());
        }
        if comes.is_reset {
            self.halves.get_mut(&end).expect("nothing was forgotten").vanish();
        }
        // What was thrown away takes no part of the window.
        self.wants_to_send(agenda, end.other());
        self.forget_if_over(end);
        comes.is_news
    }

    fn forget_if_over(&mut self, end: End) {
        let is_over = |half: Option<&Half>| half.is_none_or(Half::is_over);
        if is_over(self.halves.get(&end)) && is_over(self.halves.get(&end.other())) {
            self.halves.remove(&end);
            self.halves.remove(&end.other());
        }
    }

    /// Everything that was held comes now, or soon.
    pub(super) fn let_go(&mut self, agenda: &mut Agenda<Happening>) {
        let waiting: Vec<End> =
            self.halves.iter().filter(|(_, half)| half.has_arriving()).map(|(end, _)| *end).collect();
        for end in waiting {
            // Whoever was not acknowledged tries again after a while.
            let again = Duration::from_millis(u64::from(self.rng.below(3_000)));
            agenda.after(again, Happening::Arrival(end));
        }
    }
}
