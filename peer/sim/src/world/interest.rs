//! Who wants something of whom, as pieces come.
//!
//! Nothing is counted for a link: whether one end wants something follows from the pieces of both, which lie side by
//! side for all nodes. There are more HAVEs than anything else, and for nearly all of them nothing changes.

use potluck_common::{Geometry, PieceIndex};
use potluck_core::choker::ChokerEvent;

use super::{
    Manners, World,
    links::{LinkId, NO_DOWNLOAD, reverse},
};

/// With so many the picker is told at once: rarely, since it hears them whenever it picks.
const HEARD_MAX: usize = 31;

/// Pieces that neighbours have told they have, and that a node's picker has not heard of yet: side by side, since every
/// HAVE of every node adds one.
#[derive(Clone, Debug)]
#[repr(align(128))]
pub(super) struct Heard {
    count: u32,
    pieces: [PieceIndex; HEARD_MAX],
}

const _: () = assert!(size_of::<Heard>() == 128, "what was heard takes two lines");

impl Heard {
    pub(super) fn nothing(geometry: &Geometry) -> Self {
        let any = geometry.piece(0).expect("there is no payload without pieces");
        Self { count: 0, pieces: [any; HEARD_MAX] }
    }

    /// Notes a piece; false if there is no room for it.
    fn push(&mut self, piece: PieceIndex) -> bool {
        let free = self.pieces.get_mut(self.count as usize);
        self.count += u32::from(free.is_some());
        free.map(|place| *place = piece).is_some()
    }

    /// What was heard, in order.
    pub(super) fn pieces(&self) -> &[PieceIndex] {
        &self.pieces[..self.count as usize]
    }

    pub(super) fn clear(&mut self) {
        self.count = 0;
    }
}

impl World {
    pub(super) fn has(&self, number: u32, piece: PieceIndex) -> bool {
        self.pieces_of(number)[piece.index() / 64] >> (piece.index() % 64) & 1 == 1
    }

    /// The pieces that a node has, as bits.
    pub(super) fn pieces_of(&self, number: u32) -> &[u64] {
        &self.haves[number as usize * self.words..][..self.words]
    }

    /// Whether the owner of a link shows a piece that the other end lacks.
    pub(super) fn is_wanted(&self, owner: u32, id: LinkId) -> bool {
        let (node, to) = (&self.nodes[owner as usize], self.links[id].to);
        match &node.super_seeding {
            Some(_) => self.shown(owner, id).iter(&self.geometry).any(|piece| !self.has(to, piece)),
            None => node.shows_pieces() && exceeds(self.pieces_of(owner), self.pieces_of(to)),
        }
    }

    /// Notes whether the owner of a link shows a piece that the other end lacks.
    pub(super) fn set_wants(&mut self, owner: u32, id: LinkId, wants: bool) {
        if std::mem::replace(&mut self.links[id].wants, wants) != wants {
            let download = self.links[id].download;
            if download != NO_DOWNLOAD {
                self.downloads[download].wants = wants;
            }
            let key = self.links.key(id);
            self.tell(owner, ChokerEvent::Interested(key, wants));
            self.super_seed_interests(owner, key, wants);
        }
    }

    /// A node has a piece more, and everybody it is connected to hears of it.
    pub(super) fn tell_neighbours(&mut self, number: u32, piece: PieceIndex) {
        let (word, bit) = (piece.index() / 64, 1 << (piece.index() % 64));
        self.haves[number as usize * self.words + word] |= bit;
        let node = &mut self.nodes[number as usize];
        let (shows, is_done) = (node.shows_pieces(), node.pieces == self.scenario.pieces);
        let (links, neighbours) = (std::mem::take(&mut node.links), std::mem::take(&mut node.neighbours));
        let first = self.who_hears_first(links.len());
        for places in [first..links.len(), 0..first] {
            let (mut links, mut neighbours) = (&links[places.clone()], &neighbours[places]);
            loop {
                let told = if shows { self.tell_plainly(number, neighbours, piece) } else { 0 };
                (links, neighbours) = (&links[told..], &neighbours[told..]);
                let (Some((id, later_links)), Some((other, later))) =
                    (links.split_first(), neighbours.split_first())
                else {
                    break;
                };
                self.tell_closely(number, *id, *other, piece, shows, is_done);
                (links, neighbours) = (later_links, later);
            }
        }
        let node = &mut self.nodes[number as usize];
        (node.links, node.neighbours) = (links, neighbours);
    }

    /// Tells neighbours of a piece that `number` has now, up to the first for whom more may change by it than what its
    /// picker is to hear; how many they were. Nearly always one of the pieces around tells already that nothing changes.
    fn tell_plainly(&mut self, number: u32, neighbours: &[u32], piece: PieceIndex) -> usize {
        let Self { haves, heard, manners, words, .. } = self;
        let (word, bit) = (piece.index() / 64, 1 << (piece.index() % 64));
        let haves = &haves[word..];
        let mine = haves[number as usize * *words];
        for (place, other) in neighbours.iter().map(|other| *other as usize).enumerate() {
            let theirs = haves[other * *words];
            let still = if theirs & bit == 0 { mine & !bit & !theirs } else { theirs & !mine };
            if still == 0 || manners[other] != Manners::Leeches || !heard[other].push(piece) {
                return place;
            }
        }
        neighbours.len()
    }

    /// Tells a neighbour, at the other end of `id`, of a piece that `number` has now.
    fn tell_closely(
        &mut self,
        number: u32,
        id: LinkId,
        other: u32,
        piece: PieceIndex,
        shows: bool,
        is_done: bool,
    ) {
        match self.manners[other as usize] {
            Manners::Leeches => {
                self.compare(number, id, other, piece, shows);
                if shows {
                    self.hear(other, piece);
                }
            }
            Manners::Special => self.tell_special(number, id, piece, shows),
            Manners::Seeds if is_done => self.set_wants(other, reverse(id), false),
            Manners::Seeds => {}
        }
    }

    /// On a network with latency chance decides who hears first, or of all who have something to give the same would always be
    /// asked first for a slot that is filled at once.
    fn who_hears_first(&mut self, neighbours: usize) -> usize {
        if self.scenario.latency_ms == 0 || neighbours == 0 {
            return 0;
        }
        self.rng.below(neighbours as u32) as usize
    }

    /// What changes between `number`, which owns `id` and has a piece now, and `other`, which shows what it has.
    fn compare(&mut self, number: u32, id: LinkId, other: u32, piece: PieceIndex, shows: bool) {
        let (mine, theirs) = (self.pieces_of(number), self.pieces_of(other));
        let (word, bit) = (piece.index() / 64, 1 << (piece.index() % 64));
        if theirs[word] & bit != 0 {
            if !exceeds(theirs, mine) {
                self.set_wants(other, reverse(id), false);
            }
        } else if shows && !exceeds_but(mine, theirs, word, bit) {
            self.set_wants(number, id, true);
        }
    }

    /// `number`, the owner of `id`, has a piece now, and the other end does not show everybody what it has.
    fn tell_special(&mut self, number: u32, id: LinkId, piece: PieceIndex, shows: bool) {
        let other = self.links[id].to;
        let other_has = self.has(other, piece);
        if self.shows(other, reverse(id), piece, other_has) {
            let wants = self.is_wanted(other, reverse(id));
            self.set_wants(other, reverse(id), wants);
        }
        if !shows {
            return;
        }
        if !other_has {
            self.set_wants(number, id, true);
        }
        if !self.nodes[other as usize].is_complete() {
            self.hear(other, piece);
        }
        self.super_seed_hears(other, reverse(id), piece);
    }

    /// A neighbour told this node that it has a piece.
    pub(super) fn hear(&mut self, number: u32, piece: PieceIndex) {
        if !self.heard[number as usize].push(piece) {
            self.flush_heard(number);
            self.heard[number as usize].push(piece);
        }
    }

    /// The picker hears of what neighbours have told since.
    pub(super) fn flush_heard(&mut self, number: u32) {
        let heard = &mut self.heard[number as usize];
        if let Some(picker) = &mut self.pickers[number as usize] {
            picker.peers_have(heard.pieces());
        }
        heard.clear();
    }
}

/// Whether there is a bit in `some` that is not in `others`.
pub(super) fn exceeds(some: &[u64], others: &[u64]) -> bool {
    some.iter().zip(others).any(|(some, others)| some & !others != 0)
}

/// The same for all bits but one.
fn exceeds_but(some: &[u64], others: &[u64], word: usize, bit: u64) -> bool {
    let mut words = some.iter().zip(others).enumerate();
    words.any(|(place, (some, others))| some & !others & !(bit * u64::from(place == word)) != 0)
}
