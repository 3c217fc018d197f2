//! Coming and going: the tracker, peer exchange, connections and their end.

use potluck_common::{Duration, Instant};
use potluck_core::{
    choker::ChokerEvent,
    picker::{Picker, PickerConfig},
};

use super::{
    Node, Role, World,
    deliver::span_of,
    links::{LinkId, NO_DOWNLOAD, reverse},
};
use crate::{
    rules::Rule,
    scenario::{FreeRiderKind, LeechRule},
};

/// Peers that the tracker gives for one announce.
const NUMWANT: usize = 50;

/// The tracker is not asked more often than this by one peer.
const ANNOUNCE_MIN: Duration = Duration::from_secs(60);

/// Peers that peer exchange tells one node at once.
const EXCHANGED: usize = 10;

/// The connections that a large view has.
const LARGE_VIEW: usize = 199;

impl World {
    /// Everybody whose time has come joins.
    pub(super) fn arrive(&mut self) {
        let mut came = Vec::new();
        while let Some(number) = self.pending.pop_if(|next| self.nodes[*next as usize].joined <= self.now) {
            self.enter(number);
            came.push(number);
        }
        for number in &came {
            // A large view grows later, once everybody has had the time to look around.
            let wanted = self.connections_wanted(&self.nodes[*number as usize]);
            self.announce(*number, wanted.min(self.scenario.neighbours as usize));
        }
        came.retain(|number| self.nodes[*number as usize].role != Role::Seed);
        self.meet_seeds(&mut came);
    }

    /// A node comes online, and the tracker knows it.
    fn enter(&mut self, number: u32) {
        let seed = self.rng.next_u64();
        let picker_seed = self.rng.next_u64();
        let rule = self.rule_of(&self.nodes[number as usize], seed);
        self.addresses += 1;
        let address = self.addresses;
        let node = &mut self.nodes[number as usize];
        node.online = true;
        self.leave_next = node.leaves.map_or(self.leave_next, |leaves| self.leave_next.min(leaves));
        self.capacity = None;
        self.rules[number as usize] = rule;
        self.wakes[number as usize] = Instant::ZERO;
        node.set_address(address);
        if node.role == Role::Seed {
            node.pieces = self.scenario.pieces;
            let from = number as usize * self.words;
            for piece in 0..self.scenario.pieces as usize {
                self.haves[from + piece / 64] |= 1 << (piece % 64);
            }
        } else {
            let picker = Picker::new(self.geometry, &self.empty, picker_seed, PickerConfig::default());
            node.complete = false;
            self.pickers[number as usize] = Some(Box::new(picker));
        }
        let node = &self.nodes[number as usize];
        self.manners[number as usize] = node.manners();
        self.tally.entered(node.role == Role::Seed);
        self.swarm.push(number);
        if self.scenario.seeds.super_seeding && self.nodes[number as usize].role == Role::Seed {
            self.begin_super_seeding(number, picker_seed);
        }
    }

    fn rule_of(&self, node: &Node, seed: u64) -> Rule {
        let (scenario, now) = (&self.scenario, self.now);
        match node.role {
            Role::Seed => Rule::seed(scenario, node.up, seed, now),
            Role::Contributor { mixed } => {
                let other = scenario.mix.filter(|_| mixed).map(|mix| mix.rule);
                Rule::leecher(scenario, other.unwrap_or(scenario.rule), node.up, seed, now)
            }
            Role::FreeRider(FreeRiderKind::Bittyrant) => Rule::tyrant(node.up, now),
            Role::FreeRider(kind) if kind.uploads() => {
                Rule::leecher(scenario, LeechRule::Bep3, node.up, seed, now)
            }
            Role::FreeRider(_) => Rule::Never,
        }
    }

    /// The connections that a node looks for.
    fn connections_wanted(&self, node: &Node) -> usize {
        match node.role {
            Role::Seed => 0,
            Role::FreeRider(kind) if kind.has_large_view() => {
                LARGE_VIEW.max(self.scenario.neighbours as usize)
            }
            Role::FreeRider(_) | Role::Contributor { .. } => self.scenario.neighbours as usize,
        }
    }

    /// The connections that a node accepts.
    pub(super) fn connections_max(&self, node: &Node) -> usize {
        match node.role {
            Role::Seed => self.scenario.seeds.connections_max as usize,
            Role::FreeRider(kind) if kind.has_large_view() => {
                LARGE_VIEW.max(self.scenario.connections_max as usize)
            }
            Role::FreeRider(_) | Role::Contributor { .. } => self.scenario.connections_max as usize,
        }
    }

    /// Asks the tracker for peers, and connects until there are as many connections as are wanted. (For a large view
    /// that takes several announces in a row, each under another key.)
    fn announce(&mut self, number: u32, wanted: usize) {
        let links = self.nodes[number as usize].links.len();
        let numwant = NUMWANT.max(2 * wanted.saturating_sub(links));
        self.nodes[number as usize].announced = self.now;
        for _ in 0..numwant {
            if self.nodes[number as usize].links.len() >= wanted {
                return;
            }
            let drawn = self.rng.below(self.swarm.len() as u32) as usize;
            self.try_connect(number, self.swarm[drawn]);
        }
    }

    /// Seeds have room for many, and look for those who come; not all seeds in the same order, or the same few would have a slot
    /// with each.
    fn meet_seeds(&mut self, came: &mut [u32]) {
        for seed in 0..self.scenario.seeds.count {
            self.rng.shuffle(came);
            for number in came.iter() {
                self.try_connect(*number, seed);
            }
        }
    }

    /// Those who have fewer connections than they want ask the peers of their peers, and those who have few the tracker.
    pub(super) fn replenish(&mut self) {
        for number in 0..self.nodes.len() as u32 {
            let node = &self.nodes[number as usize];
            let is_greedy = matches!(node.role, Role::FreeRider(kind) if kind.has_large_view());
            let wanted = self.connections_wanted(node);
            let has_few = node.links.len() * 2 < wanted && self.scenario.replenish;
            let is_due = self.now.since(node.announced) >= ANNOUNCE_MIN && has_few;
            let grows = is_greedy && node.links.len() < wanted;
            if !node.online || node.is_complete() {
                continue;
            }
            if self.scenario.replenish && node.links.len() < wanted && self.is_exchange_due(number) {
                self.exchange(number, wanted);
            }
            if is_due || grows {
                self.announce(number, wanted);
            }
        }
    }

    /// Peers are exchanged once a minute (BEP 11), not by everybody at the same time.
    fn is_exchange_due(&self, number: u32) -> bool {
        let round = self.now.since(Instant::ZERO).as_secs() / 10;
        (round + u64::from(number)).is_multiple_of(6)
    }

    /// Peer exchange: connects to peers of peers, as far as more connections are wanted.
    fn exchange(&mut self, number: u32, wanted: usize) {
        for _ in 0..EXCHANGED {
            let neighbours = &self.nodes[number as usize].neighbours;
            if neighbours.len() >= wanted {
                return;
            }
            let Some(neighbour) = self.rng.choose(neighbours) else { return };
            let Some(other) = self.rng.choose(&self.nodes[*neighbour as usize].neighbours) else { return };
            self.try_connect(number, *other);
        }
    }

    /// Connects two nodes, if both are there, have room and are not connected.
    fn try_connect(&mut self, from: u32, to: u32) {
        let (a, b) = (&self.nodes[from as usize], &self.nodes[to as usize]);
        let has_room = |node: &Node| node.online && node.links.len() < self.connections_max(node);
        let useless = a.is_complete() && b.is_complete();
        let fewer = if a.links.len() < b.links.len() { (a, to) } else { (b, from) };
        let known = fewer.0.neighbours.contains(&fewer.1);
        let banned = a.banned.contains(&b.identity()) || b.banned.contains(&a.identity());
        if banned {
            return;
        }
        if from != to && has_room(a) && has_room(b) && !useless && !known {
            self.connect(from, to);
        }
    }

    fn connect(&mut self, from: u32, to: u32) {
        let id = self.links.connect(from, to);
        self.begin(id, from, to);
        self.begin(reverse(id), to, from);
        self.greet(id, from, to);
        self.greet(reverse(id), to, from);
    }

    /// What the owner of a link knows of the other end.
    fn begin(&mut self, id: LinkId, owner: u32, other: u32) {
        self.links[id].wants = self.is_wanted(owner, id);
        let shown = self.shown(other, reverse(id));
        self.flush_heard(owner);
        let node = &mut self.nodes[owner as usize];
        node.links.push(id);
        node.neighbours.push(other);
        if let Some(picker) = &mut self.pickers[owner as usize] {
            picker.peer_added(&shown);
        }
    }

    fn greet(&mut self, id: LinkId, owner: u32, other: u32) {
        let peer = self.links.key(id);
        let identity = self.nodes[other as usize].identity();
        self.tell(owner, ChokerEvent::Connected { peer, identity });
        let pretends = self.nodes[other as usize].super_seeding.is_some();
        if self.nodes[other as usize].is_complete() && !pretends {
            self.tell(owner, ChokerEvent::UploadOnly(peer, true));
        }
        if self.links[id].wants {
            self.tell(owner, ChokerEvent::Interested(peer, true));
        }
        self.super_seed_meets(owner, id, other);
    }

    pub(super) fn disconnect(&mut self, id: LinkId) {
        let (other, owner) = (self.links[id].to, self.links[reverse(id)].to);
        self.choke(owner, id);
        self.choke(other, reverse(id));
        self.super_seed_parts(owner, id, other);
        self.super_seed_parts(other, reverse(id), owner);
        self.part(id, owner, other);
        self.part(reverse(id), other, owner);
        self.links.disconnect(id);
    }

    fn part(&mut self, id: LinkId, owner: u32, other: u32) {
        let peer = self.links.key(id);
        self.tell(owner, ChokerEvent::Gone(peer));
        self.flush_heard(owner);
        let shown = self.shown(other, reverse(id));
        self.forget_shown(owner, id);
        let node = &mut self.nodes[owner as usize];
        let place = node.links.iter().position(|link| *link == id).expect("a link is among its owner's");
        node.links.swap_remove(place);
        node.neighbours.swap_remove(place);
        if let Some(picker) = &mut self.pickers[owner as usize] {
            if self.scenario.lean {
                picker.peer_gone(peer);
            }
            picker.peer_removed(&shown);
        }
    }

    /// A node goes offline for good.
    pub(super) fn leave(&mut self, number: u32) {
        self.part_with_all(number);
        let place = self.swarm.iter().position(|other| *other == number).expect("whoever is online is known");
        self.swarm.swap_remove(place);
        let have = &self.haves[number as usize * self.words..][..self.words];
        self.tally.left(&self.nodes[number as usize], have);
        let node = &mut self.nodes[number as usize];
        node.online = false;
        self.capacity = None;
        node.complete = true;
        self.rules[number as usize] = Rule::Never;
        self.pickers[number as usize] = None;
    }

    fn part_with_all(&mut self, number: u32) {
        while let Some(id) = self.nodes[number as usize].links.last() {
            self.disconnect(*id);
        }
    }

    /// Free riders of that kind come back to the same neighbours as somebody else.
    pub(super) fn reset_identities(&mut self) {
        for number in 0..self.nodes.len() as u32 {
            let node = &self.nodes[number as usize];
            let resets = matches!(node.role, Role::FreeRider(kind) if kind.resets_identity());
            if !node.online || !resets {
                continue;
            }
            let neighbours = node.neighbours.clone();
            self.part_with_all(number);
            self.addresses += 1;
            self.nodes[number as usize].set_address(self.addresses);
            for other in neighbours {
                self.try_connect(number, other);
            }
        }
    }

    /// The owner of a link begins to upload over it.
    pub(super) fn unchoke(&mut self, owner: u32, id: LinkId) {
        if self.links[id].download != NO_DOWNLOAD {
            return;
        }
        let latency = self.rng.below(self.scenario.latency_ms + 1);
        let ready = self.now + Duration::from_millis(u64::from(latency));
        let download = self.downloads.begin(id, &self.links[id], ready);
        self.links[id].download = download;
        self.uplinks[owner as usize].unchoked.push(download);
        let other = self.links[id].to;
        let peer = self.links.key(reverse(id));
        self.tell(other, ChokerEvent::RemoteChoke(peer, false));
    }

    /// The owner of a link uploads over it no more; what the other end had asked for is asked elsewhere.
    pub(super) fn choke(&mut self, owner: u32, id: LinkId) {
        let number = self.links[id].download;
        if number == NO_DOWNLOAD {
            return;
        }
        self.tell_of_bytes(owner, number);
        let other = self.links[id].to;
        let peer = self.links.key(reverse(id));
        let geometry = self.geometry;
        if let Some(picker) = &mut self.pickers[other as usize] {
            for block in self.downloads.blocks(number) {
                picker.released(peer, span_of(&geometry, self.scenario.blocks_per_piece, block));
            }
            picker.peer_gone(peer);
        }
        let snubbed = self.downloads[number].snubbed;
        self.end_download(owner, id);
        if snubbed {
            self.tell(other, ChokerEvent::Snubbed(peer, false));
        }
        self.tell(other, ChokerEvent::RemoteChoke(peer, true));
    }

    /// The owner of a link chose to choke or unchoke the other end.
    pub(super) fn note_flip(&mut self, id: LinkId) {
        let now_ms = (self.now.since(Instant::ZERO).as_millis()) as u32;
        let last = std::mem::replace(&mut self.links[id].flipped_ms, now_ms);
        if last != u32::MAX && now_ms - last < 10_000 {
            self.tally.quick_flips += 1;
        }
    }

    fn end_download(&mut self, owner: u32, id: LinkId) {
        let link = &mut self.links[id];
        let number = std::mem::replace(&mut link.download, NO_DOWNLOAD);
        link.carry = self.downloads[number].carry;
        self.downloads.end(number);
        let unchoked = &mut self.uplinks[owner as usize].unchoked;
        let place = unchoked.iter().position(|other| *other == number);
        unchoked.swap_remove(place.expect("a link with a download is unchoked"));
    }
}
