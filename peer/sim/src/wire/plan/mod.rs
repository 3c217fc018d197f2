//! What a run is like: all of it is drawn from the seed before anything happens.

mod beyond;
mod draw;
mod faults;

use potluck_common::{Duration, Geometry, control::FilePriority};

use super::sabotage::Sabotage;

pub(super) use self::{
    beyond::Beyond,
    faults::{Fault, FaultPlan},
};

/// Who somebody is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Role {
    /// Has everything from the start, and keeps to the rules.
    Seed,
    /// Keeps to the rules, and must end with all that it wants.
    Leecher,
    /// The machine that ships, told to give nobody anything.
    FreeRider,
    /// The machine that ships over a payload of wrong bytes.
    Poisoner,
    /// A node of the DHT that has no torrent.
    Bystander,
    /// Speaks the protocol, or something like it, with no good intent.
    Hostile(Ruse),
}

impl Role {
    /// Whether it keeps to the rules, so that what is promised must hold for it.
    pub(super) fn is_honest(self) -> bool {
        matches!(self, Self::Seed | Self::Leecher)
    }

    /// Whether it runs the machine that ships.
    pub(super) fn is_node(self) -> bool {
        !matches!(self, Self::Hostile(_) | Self::Bystander)
    }

    pub(super) fn begins_complete(self) -> bool {
        matches!(self, Self::Seed | Self::Poisoner)
    }
}

/// What a hostile peer does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Ruse {
    /// Sends noise, before or after a good handshake.
    Garbage,
    /// Claims to have all, unchokes everybody and answers no request.
    Liar,
    /// Claims to have all and chokes for ever.
    Choker,
    /// Asks for everything again and again and reads slowly.
    Flooder,
    /// Says what a peer says, a byte at a time.
    Slow,
    /// Connects and says nothing.
    Silent,
    /// Claims that the metadata has another size, and gives noise of that size.
    FalseSize,
    /// Gives metadata in which something is wrong.
    FalseMetadata,
    /// Claims to have the metadata and gives none of it.
    MuteGiver,
    /// Claims to have the metadata and rejects every request.
    Refuser,
    /// Asks for metadata again and again, for such pieces, too, as there are none.
    Asker,
}

impl Ruse {
    pub(super) const ALL: [Self; 6] =
        [Self::Garbage, Self::Liar, Self::Choker, Self::Flooder, Self::Slow, Self::Silent];
    /// What is done about metadata, where there is any.
    pub(super) const ABOUT_METADATA: [Self; 5] =
        [Self::FalseSize, Self::FalseMetadata, Self::MuteGiver, Self::Refuser, Self::Asker];
}

/// Of which ports a hostile peer says that its node is there (BEP 5); it has none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FalsePorts {
    /// Of one.
    One,
    /// Of port 0.
    Zero,
    /// Of a thousand, one after another.
    Many,
}

impl FalsePorts {
    pub(super) const ALL: [Self; 3] = [Self::Many, Self::One, Self::Zero];
}

/// One member of the swarm.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) role: Role,
    /// When it comes, after the beginning.
    pub(super) joins_after: Duration,
    /// Bytes per second that it can send.
    pub(super) uplink: u64,
    /// Bytes per second that it can receive.
    pub(super) downlink: Option<u64>,
    /// Bytes per second that it allows itself to read.
    pub(super) down_limit: Option<u64>,
    /// Bytes of payload per second that it allows itself to send; the number of its slots follows.
    pub(super) up_limit: Option<u64>,
    /// Of whom its user tells it, if not of those of the [`Meeting`].
    pub(super) knows: Option<Vec<usize>>,
    /// Whether others can open connections to it; a peer behind NAT is like that.
    pub(super) is_dialable: bool,
    pub(super) connections_max: usize,
    pub(super) buffer_bytes_max: u64,
    pub(super) slots: Option<u32>,
    pub(super) sequential: bool,
    pub(super) super_seed: bool,
    /// Each piece lies on its disk at the start with this chance, in percent.
    pub(super) has_percent: u32,
    /// It knows nothing of the torrent at first but its hash.
    pub(super) begins_with_hash: bool,
    /// How much each file is wanted.
    pub(super) priorities: Vec<FilePriority>,
    pub(super) disk: DiskPlan,
}

/// What a disk is like when nothing is wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct DiskPlan {
    /// Before anything of an operation is done.
    pub(super) seek: Duration,
    pub(super) bytes_per_second: u64,
}

/// What the network is like when nothing is wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct NetworkPlan {
    /// The longest way between two hosts; each pair has its own.
    pub(super) longest_way: Duration,
    /// What comes on top at most, anew for each segment.
    pub(super) jitter_max: Duration,
    /// The longest segment in bytes; shorter ones are drawn.
    pub(super) segment_bytes_max: usize,
    /// The most that one read takes.
    pub(super) read_bytes_max: usize,
    /// How many datagrams are lost, come twice or late, in percent.
    pub(super) datagram_loss_percent: u32,
    /// How long a task waits at most until it runs.
    pub(super) task_delay_max: Duration,
    /// How long the tasks of a torrent do: it is the one that much waits for.
    pub(super) torrent_delay_max: Duration,
}

/// How addresses are learnt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Meeting {
    /// A tracker that works but for its faults.
    Tracker,
    /// Everybody is told of everybody by its user.
    User,
    /// Both.
    Both,
    /// Everybody is told of one seed by its user, and hears of the others from peers.
    Exchange,
    /// By the DHT.
    Dht,
}

/// Everything about a run that does not follow from what happens in it.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) geometry: Geometry,
    /// Lengths of the files in payload order; their sum is the payload's.
    pub(super) files: Vec<u64>,
    pub(super) members: Vec<Member>,
    pub(super) network: NetworkPlan,
    pub(super) meeting: Meeting,
    /// Peers are told of each other (BEP 11).
    pub(super) pex: bool,
    /// Nodes have addresses of the internet or of a private network.
    pub(super) is_public: bool,
    /// How often a torrent's claims are made durable.
    pub(super) claims_every: Duration,
    pub(super) faults: FaultPlan,
    pub(super) beyond: Beyond,
    /// A defect on purpose, in tests of the properties.
    pub(super) sabotage: Option<Sabotage>,
    /// How long there are faults.
    pub(super) storm: Duration,
    /// How long after the storm everybody must be done.
    pub(super) patience: Duration,
}

impl Plan {
    /// Whether nodes of the DHT are among the members.
    pub(super) fn has_dht(&self) -> bool {
        self.meeting == Meeting::Dht || self.beyond.tells_ports
    }

    /// Whether everybody treats the torrent as a private one.
    pub(super) fn is_private(&self) -> bool {
        self.beyond.is_private && self.sabotage != Some(Sabotage::ForgetsPrivacy)
    }

    fn beyond_in_words(&self) -> String {
        let magnets = self.members.iter().filter(|member| member.begins_with_hash).count();
        let metadata = self.beyond.metadata;
        let metadata = metadata.map(|it| format!("{}, {magnets} begin with the hash", it.in_words()));
        let [private, ports, lies, memory] = [
            (self.beyond.is_private, "private"),
            (self.beyond.tells_ports, "words of the DHT"),
            (self.beyond.tells_ports && self.beyond.has_false_ports, "false ones where somebody is hostile"),
            (self.beyond.remembers_peers, "peers are remembered"),
        ]
        .map(|(is_so, words)| is_so.then(|| words.to_owned()));
        let words: Vec<String> = [metadata, private, ports, lies, memory].into_iter().flatten().collect();
        if words.is_empty() { String::new() } else { format!("; {}", words.join("; ")) }
    }

    /// One line for people.
    pub(super) fn in_words(&self) -> String {
        let count =
            |wanted: fn(Role) -> bool| self.members.iter().filter(|member| wanted(member.role)).count();
        format!(
            "{} bytes in {} pieces of {}; {} seeds, {} leechers, {} free riders, {} poisoners, {} hostile; {:?}{}",
            self.geometry.total(),
            self.geometry.pieces(),
            self.geometry.piece_length(),
            count(|role| role == Role::Seed),
            count(|role| role == Role::Leecher),
            count(|role| role == Role::FreeRider),
            count(|role| role == Role::Poisoner),
            count(|role| !role.is_node()),
            self.meeting,
            self.beyond_in_words(),
        )
    }
}
