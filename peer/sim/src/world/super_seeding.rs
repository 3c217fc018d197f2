//! Seeds that super-seed (BEP 16), by the machine that ships.

use std::collections::BTreeMap;

use potluck_common::{Bitfield, Duration, PieceIndex};
use potluck_core::{
    PeerKey,
    choker::ChokerEvent,
    super_seed::{SuperSeed, SuperSeedCommand},
};

use super::{
    Manners, World,
    links::{LinkId, reverse},
};

/// A seed uses its uplink up when it sends this part of it.
const BUSY: f64 = 0.9;

/// The state of one super-seed.
#[derive(Debug)]
pub(crate) struct SuperSeeding {
    machine: SuperSeed,
    /// What each peer was shown, by the links that the seed owns.
    shown: BTreeMap<LinkId, Bitfield>,
    /// Bytes that were sent in the last step.
    sent: f64,
}

impl SuperSeeding {
    /// The pieces that it shows over a link of its own, if there are any.
    pub(super) fn shown(&self, id: LinkId) -> Option<&Bitfield> {
        self.shown.get(&id)
    }
}

impl World {
    pub(super) fn begin_super_seeding(&mut self, number: u32, seed: u64) {
        let machine = SuperSeed::new(self.geometry, seed, self.now);
        let state = SuperSeeding { machine, shown: BTreeMap::new(), sent: 0.0 };
        self.nodes[number as usize].super_seeding = Some(Box::new(state));
        self.manners[number as usize] = Manners::Special;
    }

    /// The pieces that the owner of a link shows to the other end.
    pub(super) fn shown(&self, owner: u32, id: LinkId) -> Bitfield {
        let picker = self.pickers[owner as usize].as_deref();
        self.nodes[owner as usize].shown_over(picker, id, &self.full, &self.empty).clone()
    }

    pub(super) fn forget_shown(&mut self, owner: u32, id: LinkId) {
        // The other end has just taken what it was shown out of its counts.
        let other = self.links[id].to;
        if let Some(state) = &mut self.nodes[other as usize].super_seeding {
            state.shown.remove(&reverse(id));
        }
        debug_assert_eq!(self.links[reverse(id)].to, owner);
    }

    /// Whether the owner of a link shows this piece to the other end; `has` is whether it has it.
    pub(super) fn shows(&self, owner: u32, id: LinkId, piece: PieceIndex, has: bool) -> bool {
        let node = &self.nodes[owner as usize];
        match &node.super_seeding {
            Some(state) => state.shown.get(&id).is_some_and(|shown| shown.has(piece)),
            None => has && node.shows_pieces(),
        }
    }

    fn with_super_seed(&mut self, number: u32, tell: impl FnOnce(&mut SuperSeed)) {
        if let Some(state) = &mut self.nodes[number as usize].super_seeding {
            tell(&mut state.machine);
        }
    }

    pub(super) fn super_seed_meets(&mut self, owner: u32, id: LinkId, other: u32) {
        if self.nodes[owner as usize].super_seeding.is_none() {
            return;
        }
        let has = self.shown(other, reverse(id));
        let (now, key, empty) = (self.now, self.links.key(id), self.empty.clone());
        self.with_super_seed(owner, |machine| {
            machine.peer_came(now, key);
            machine.peer_has_all_of(now, key, &empty, &has);
        });
    }

    pub(super) fn super_seed_parts(&mut self, owner: u32, id: LinkId, other: u32) {
        if self.nodes[owner as usize].super_seeding.is_some() {
            let has = self.shown(other, reverse(id));
            let (now, key) = (self.now, self.links.key(id));
            self.with_super_seed(owner, |machine| machine.peer_gone(now, key, &has));
        }
    }

    pub(super) fn super_seed_hears(&mut self, owner: u32, id: LinkId, piece: PieceIndex) {
        let (now, key) = (self.now, self.links.key(id));
        self.with_super_seed(owner, |machine| machine.peer_has(now, key, piece));
    }

    pub(super) fn super_seed_interests(&mut self, owner: u32, key: PeerKey, interested: bool) {
        let now = self.now;
        self.with_super_seed(owner, |machine| machine.interested(now, key, interested));
    }

    pub(super) fn super_seed_unchokes(&mut self, owner: u32, key: PeerKey, unchoked: bool) {
        let now = self.now;
        self.with_super_seed(owner, |machine| machine.unchoked(now, key, unchoked));
    }

    pub(super) fn super_seed_sent(&mut self, owner: u32, key: PeerKey, bytes: f64) {
        if let Some(state) = &mut self.nodes[owner as usize].super_seeding {
            state.machine.sent(self.now, key, bytes as u64);
            state.sent += bytes;
        }
    }

    /// Super-seeds learn the time, and show what they want to show.
    pub(super) fn advance_super_seeds(&mut self) {
        for number in 0..self.scenario.seeds.count {
            self.advance_super_seed(number);
        }
    }

    fn advance_super_seed(&mut self, number: u32) {
        let capacity = self.nodes[number as usize].up * self.tick.as_secs_f64();
        let (now, is_second) = (self.now, self.every(Duration::from_secs(1)));
        let Some(state) = &mut self.nodes[number as usize].super_seeding else { return };
        if state.machine.poll_timeout().is_some_and(|due| due <= now) {
            state.machine.handle_timeout(now);
        }
        if is_second && state.sent < BUSY * capacity {
            state.machine.uplink_has_room(now);
        }
        state.sent = 0.0;
        while let Some(state) = &mut self.nodes[number as usize].super_seeding {
            match state.machine.poll_command() {
                Some(SuperSeedCommand::Show(key, piece)) => self.show(number, key, piece),
                Some(SuperSeedCommand::End(_)) => self.end_super_seeding(number),
                None => return,
            }
        }
    }

    fn show(&mut self, number: u32, key: PeerKey, piece: PieceIndex) {
        let Some(id) = self.links.of_key(key) else { return };
        let empty = self.empty.clone();
        let state = self.nodes[number as usize].super_seeding.as_mut().expect("the caller looked");
        if !state.shown.entry(id).or_insert(empty).insert(piece) {
            return;
        }
        let other = self.links[id].to;
        let had = self.has(other, piece);
        if self.nodes[other as usize].is_complete() {
            return;
        }
        self.hear(other, piece);
        if !had {
            self.set_wants(number, id, true);
        }
    }

    /// From now on everybody is shown everything.
    fn end_super_seeding(&mut self, number: u32) {
        for place in 0..self.nodes[number as usize].links.len() {
            let id = self.nodes[number as usize].links[place];
            let other = self.links[id].to;
            let shown = self.shown(number, id);
            self.flush_heard(other);
            if let Some(picker) = &mut self.pickers[other as usize] {
                picker.peer_removed(&shown);
                picker.peer_added(&self.full);
            }
            let key = self.links.key(reverse(id));
            self.tell(other, ChokerEvent::UploadOnly(key, true));
        }
        self.nodes[number as usize].super_seeding = None;
        self.manners[number as usize] = Manners::Seeds;
        for place in 0..self.nodes[number as usize].links.len() {
            let id = self.nodes[number as usize].links[place];
            let wants = self.is_wanted(number, id);
            self.set_wants(number, id, wants);
        }
    }
}
