//! A whole swarm in virtual time: nodes, hostile peers, the network and disks between and below them.

mod announces;
mod connections;
mod datagrams;
mod dials;
mod disks;
mod faults;
mod life;
mod look;
mod magnets;
mod people;
mod ruses;
mod sharing;
mod torrents;

use std::{collections::BTreeMap, net::SocketAddr};

use bytes::Bytes;
use potluck_common::{BlockSpan, Duration, Instant, Rng, announce::AnnounceReply};
use potluck_core::{
    announce::{AnnounceFailure, AnnounceId},
    dht::DhtSaved,
};

use self::disks::Job;
use super::{
    agenda::Agenda,
    check::{Checks, Violation},
    dht::DhtNode,
    fair::Counts,
    hostile::Hostile,
    metadata::Metadata,
    net::{End, HostId, Network},
    node::{Connection, EarlyConnection, Node, Nodes},
    payload::Payload,
    plan::{Fault, Plan, Role},
    sabotage::Sabotage,
    trace::Trace,
    tracker::Tracker,
};

/// The beginning of virtual time; machines may not think that it is zero.
const BEGIN: Instant = Instant::from_secs(1_000);
/// How often the swarm is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Far more than any run needs: beyond them somebody does much for nothing.
const EVENTS_MAX: u64 = 30_000_000;

/// What can happen.
#[derive(Debug)]
pub(super) enum Happening {
    /// A member comes.
    Join(HostId),
    /// The task of a torrent runs.
    Torrent(HostId, u32),
    /// The task of a connection runs.
    Connection(End),
    /// The uplink of a host is free.
    Uplink(HostId),
    /// Something is to have come to an end.
    Arrival(End),
    /// A host tries to connect to an address.
    Knock {
        from: HostId,
        run: u32,
        to: SocketAddr,
    },
    DialFailed {
        from: HostId,
        run: u32,
        to: SocketAddr,
    },
    /// An end of a connection learns that it stands.
    Established {
        end: End,
        host: HostId,
        run: u32,
        dialled: SocketAddr,
    },
    /// Whoever connected has said nothing of use.
    GreetingOver(End),
    /// More may be sent under the upload limit of a node, or its slots are dealt anew.
    Turn(HostId, u32),
    /// A leecher is done, and nobody keeps it.
    Leave(HostId),
    /// An operation of a disk is done.
    Disk(HostId, u32, Job),
    /// A tracker hears an announce.
    Announce {
        host: HostId,
        run: u32,
        id: AnnounceId,
        /// The torrent knew only its hash when it asked.
        is_magnet: bool,
        request: Box<potluck_common::announce::AnnounceRequest>,
    },
    Announced {
        host: HostId,
        run: u32,
        id: AnnounceId,
        is_magnet: bool,
        outcome: Box<Result<AnnounceReply, AnnounceFailure>>,
    },
    /// Connections were to be handed over by now.
    TookOver(HostId, u32),
    /// What is there is to be claimed.
    Claim(HostId, u32),
    /// A node that was down is up again.
    Restart(HostId, u32),
    /// Its payload is checked.
    Checked(HostId, u32),
    /// It had its time to stop.
    StopOver(HostId, u32),
    /// A person looks after a torrent that failed.
    Person(HostId, u32),
    /// A hostile peer does something.
    Ruse(HostId),
    /// A datagram comes to a host.
    Datagram {
        from: HostId,
        to: HostId,
        payload: Bytes,
    },
    /// The DHT node of a host runs.
    Dht(HostId, u32),
    Fault(Fault),
    /// A torn network is whole again.
    Mend,
    /// The storm is over.
    Heal,
    Look,
}

/// A connection that nobody knows yet what to do with: its first bytes are awaited.
#[derive(Debug)]
struct Arriving {
    since: Instant,
    received: bytes::BytesMut,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    pub(super) virtual_time: Duration,
    /// From the end of the storm.
    pub(super) healed_for: Duration,
    pub(super) events: u64,
    pub(super) completed: usize,
    pub(super) crashes: u32,
    pub(super) faults: u32,
    pub(super) bytes: u64,
}

/// The swarm.
pub(super) struct World<'t> {
    plan: Plan,
    payload: Payload,
    metadata: Metadata,
    /// The metadata as it is given to whoever asks.
    served: Option<Bytes>,
    agenda: Agenda<Happening>,
    rng: Rng,
    network: Network,
    nodes: Nodes,
    hostile: BTreeMap<HostId, Hostile>,
    connections: BTreeMap<End, Connection>,
    /// Those of nodes that know only the hash.
    early: BTreeMap<End, EarlyConnection>,
    arriving: BTreeMap<End, Arriving>,
    tracker: Tracker,
    dht: BTreeMap<HostId, DhtNode>,
    /// What nodes of the DHT wrote down before they ended.
    dht_saved: BTreeMap<HostId, DhtSaved>,
    /// How many members have come.
    joined: usize,
    trace: &'t mut Trace,
    checks: Checks,
    /// Where a scenario of the fluid simulator is played.
    counts: Option<Counts>,
    is_healed: bool,
    deadline: Instant,
    crashes: u32,
    faults: u32,
}

impl<'t> World<'t> {
    pub(super) fn new(plan: Plan, mut rng: Rng, trace: &'t mut Trace) -> Self {
        let payload = Payload::new(plan.geometry, &mut rng);
        let network = Network::new(plan.network, &plan.members, rng.fork());
        let misses_stops = plan.sabotage == Some(Sabotage::MissesStops);
        let tracker = Tracker::new(rng.next_u64(), Duration::from_secs(120), misses_stops);
        let metadata = Metadata::of(&plan, &payload);
        let served = metadata.served(plan.sabotage);
        let mut world = Self {
            payload,
            metadata,
            served,
            agenda: Agenda::new(BEGIN),
            network,
            nodes: Nodes::new(),
            hostile: BTreeMap::new(),
            connections: BTreeMap::new(),
            early: BTreeMap::new(),
            arriving: BTreeMap::new(),
            tracker,
            dht: BTreeMap::new(),
            dht_saved: BTreeMap::new(),
            joined: 0,
            trace,
            checks: Checks::default(),
            counts: None,
            is_healed: false,
            deadline: BEGIN + plan.storm + plan.patience,
            crashes: 0,
            faults: 0,
            rng,
            plan,
        };
        world.populate();
        world.begin_storm();
        world.agenda.after(LOOK_EVERY, Happening::Look);
        world
    }

    /// Plays until everybody is done; what does not hold ends it at once.
    pub(super) fn run(&mut self) -> Result<Ending, Violation> {
        while let Some(what) = self.agenda.next() {
            self.happen(what)?;
            if self.trace.events() > EVENTS_MAX && self.counts.is_none() {
                return Err(Violation::new("effects drained", format!("more than {EVENTS_MAX} events")));
            }
            if self.is_over() {
                if self.counts.is_none() {
                    self.check_the_end()?;
                }
                return Ok(self.ending());
            }
        }
        Err(Violation::new("effects drained", "nothing is to happen any more, and not everybody is done"))
    }

    fn happen(&mut self, what: Happening) -> Result<(), Violation> {
        match what {
            Happening::Join(host) => self.join(host),
            Happening::Torrent(host, run) => return self.run_torrent(host, run),
            Happening::Connection(end) => return self.run_connection(end),
            Happening::Uplink(host) => {
                if let Some(end) = self.network.send_next(&mut self.agenda, host) {
                    self.has_room(end);
                }
            }
            Happening::Arrival(end) => {
                if self.network.arrive(&mut self.agenda, end) {
                    self.has_news(end);
                }
            }
            Happening::Knock { from, run, to } => self.knock(from, run, to),
            Happening::DialFailed { from, run, to } => self.dial_failed(from, run, to),
            Happening::Established { end, host, run, dialled } => self.established(end, host, run, dialled),
            Happening::GreetingOver(end) => self.greeting_over(end),
            Happening::Turn(host, run) => self.take_turns(host, run),
            Happening::Leave(host) => self.leave(host),
            Happening::Disk(host, run, job) => self.disk_done(host, run, job),
            Happening::Announce { host, run, id, is_magnet, request } => {
                self.tracker_hears(host, run, id, is_magnet, &request);
            }
            Happening::Announced { host, run, id, is_magnet, outcome } => {
                self.announced(host, run, id, is_magnet, *outcome);
            }
            Happening::TookOver(host, run) => return self.took_over(host, run),
            Happening::Claim(host, run) => self.claim(host, run),
            Happening::Restart(host, run) => self.restart(host, run),
            Happening::Checked(host, run) => return self.start_machine(host, run),
            Happening::StopOver(host, run) => self.stop_over(host, run),
            Happening::Person(host, run) => self.person_comes(host, run),
            Happening::Ruse(host) => self.ruse(host),
            Happening::Datagram { from, to, payload } => self.datagram(from, to, payload),
            Happening::Dht(host, run) => return self.run_dht(host, run),
            Happening::Fault(fault) => self.fault(fault),
            Happening::Mend => self.mend(),
            Happening::Heal => self.heal(),
            Happening::Look => return self.look(),
        }
        Ok(())
    }

    pub(super) fn now(&self) -> Instant {
        self.agenda.now()
    }

    pub(super) fn role(&self, host: HostId) -> Role {
        self.plan.members[host].role
    }

    pub(super) fn address(&self, host: HostId) -> SocketAddr {
        let [high, low] = (host as u16 + 1).to_be_bytes();
        let first = if self.plan.is_public { [45, 80] } else { [10, 1] };
        SocketAddr::from(([first[0], first[1], high, low], 6_881))
    }

    fn is_sabotaged(&self, by: Sabotage) -> bool {
        self.plan.sabotage == Some(by)
    }

    /// The host at an address.
    pub(super) fn host_at(&self, ip: std::net::IpAddr) -> Option<HostId> {
        (0..self.plan.members.len()).find(|host| self.address(*host).ip() == ip)
    }

    fn task_delay(&mut self) -> Duration {
        self.plan.network.task_delay_max.mul_f64(self.rng.fraction())
    }

    /// Leechers that must end with all they want.
    pub(super) fn waits_for(&self) -> impl Iterator<Item = (&HostId, &Node)> {
        self.nodes.iter().filter(|(_, node)| node.member.role == Role::Leecher)
    }

    fn is_over(&self) -> bool {
        if let Some(counts) = &self.counts {
            return counts.is_over();
        }
        self.is_healed
            && self.joined == self.plan.members.len()
            && self.waits_for().all(|(_, node)| node.is_complete())
    }

    fn ending(&self) -> Ending {
        Ending {
            virtual_time: self.now().since(BEGIN),
            healed_for: self.now().since(BEGIN + self.plan.storm),
            events: self.trace.events(),
            completed: self.waits_for().count(),
            crashes: self.crashes,
            faults: self.faults,
            bytes: self.network.read,
        }
    }

    /// A piece of the world as its disk has it, for whoever uploads it.
    fn bytes_to_send(&self, host: HostId, span: BlockSpan) -> Option<Bytes> {
        let node = self.nodes.get(&host)?;
        let piece = node.disk.read(span.piece)?;
        let block = super::payload::part(piece, span);
        if block.len() != span.length as usize {
            return None;
        }
        let breaks = self.is_sabotaged(Sabotage::BreaksBytes) && span.begin.is_multiple_of(3);
        if node.member.role != Role::Poisoner && !breaks {
            return Some(block);
        }
        let mut wrong = block.to_vec();
        wrong[0] ^= 0xff;
        Some(wrong.into())
    }
}
