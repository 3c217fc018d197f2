//! An iterative lookup in one address family: who is closest to an id, and what they say.
//!
//! The closest candidates are asked, a few at a time; whom they name becomes a candidate. It ends when the eight closest
//! have answered that have an id of their address (BEP 42) and named somebody who answered, too: those who name nobody,
//! or nobody who is there, could else end it at its first step. Whoever names nodes that do not answer loses its word: its
//! other nodes are not asked, unless somebody else names them, too; and none that are closer than they can be.

use std::net::{IpAddr, SocketAddr};

use potluck_common::{
    Duration,
    announce::Family,
    krpc::{Distance, NodeId, NodeInfo},
};

use super::{
    policy::{Party, crowd_of, invents, is_ahead, may_name},
    table::BUCKET_NODES,
};

/// Questions that are waited for at one time; those that are late do not count.
const ALPHA: usize = 4;
/// Questions without an answer at one time, late ones included.
const OPEN_MAX: usize = 12;
/// Candidates that are remembered.
const CANDIDATES_MAX: usize = 100;
/// Questions in all.
const ASKED_MAX: u32 = 150;
/// Nodes that are taken from one answer: as many as it should have.
const NAMED_MAX: usize = BUCKET_NODES;
/// Candidates of one network.
const CROWD_MAX: usize = 2;
/// Candidates that one node named and that are asked at one time, before any of them has answered and after.
const WAITING_MAX: [u32; 2] = [2, 4];
/// Silent nodes, and nobody else, that one node may name before it is not believed.
const SILENT_MAX: u32 = 3;
/// Nodes with an id that is not of their address which are asked, beside half of all.
const STRANGERS_MAX: u32 = 8;

/// Where the words about a candidate came from: our own table, or a node that answered.
#[derive(Clone, Copy, Default, Debug)]
struct Voice {
    waiting: u32,
    silent: u32,
    answered: u32,
    /// Somebody whom it named has answered, with an id of its address.
    is_confirmed: bool,
}

/// The voice of our own table and of what was saved.
const OURS: usize = 0;

#[derive(Clone, PartialEq, Eq, Debug)]
enum State {
    Fresh,
    Asked,
    /// It was asked long ago; an answer still counts.
    Late,
    Answered {
        token: Option<Box<[u8]>>,
    },
    Silent,
}

#[derive(Clone, Debug)]
struct Candidate {
    /// Unknown for a bootstrap node that has not answered.
    id: Option<NodeId>,
    addr: SocketAddr,
    distance: Distance,
    rtt: Option<Duration>,
    complies: bool,
    /// Steps from our own table.
    depth: u32,
    voice: usize,
    /// Somebody else named it, too.
    second: Option<usize>,
    /// The voice of what it named itself.
    own: Option<usize>,
    state: State,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Leg {
    pub(super) family: Family,
    pub(super) target: NodeId,
    own: NodeId,
    /// Closest first.
    candidates: Vec<Candidate>,
    voices: Vec<Voice>,
    waiting: usize,
    late: usize,
    strangers: u32,
    pub(super) asked: u32,
    pub(super) answered: u32,
    /// Steps to the farthest node that answered.
    pub(super) depth: u32,
    /// It is over, and its announces are under way.
    pub(super) is_closed: bool,
}

/// Whom to ask next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Next {
    pub(super) addr: SocketAddr,
    pub(super) id: Option<NodeId>,
    pub(super) rtt: Option<Duration>,
}

impl Leg {
    pub(super) fn new(family: Family, own: NodeId, target: NodeId) -> Self {
        Self {
            family,
            target,
            own,
            candidates: Vec::new(),
            voices: vec![Voice::default()],
            waiting: 0,
            late: 0,
            strangers: 0,
            asked: 0,
            answered: 0,
            depth: 0,
            is_closed: false,
        }
    }

    /// Begins with a node of our own table, or one that was saved.
    pub(super) fn begin_with(&mut self, node: NodeInfo, rtt: Option<Duration>) {
        self.add(Some(node.id), node.addr, rtt, 1, OURS);
    }

    /// Begins with a node of which only the address is known.
    pub(super) fn begin_at(&mut self, addr: SocketAddr) {
        self.add(None, addr, None, 1, OURS);
    }

    fn add(&mut self, id: Option<NodeId>, addr: SocketAddr, rtt: Option<Duration>, depth: u32, voice: usize) {
        if Family::of(addr.ip()) != self.family || id == Some(self.own) {
            return;
        }
        let party = Party::of(addr);
        let same =
            |known: &&mut Candidate| Party::of(known.addr) == party || (id.is_some() && known.id == id);
        if let Some(known) = self.candidates.iter_mut().find(same) {
            if known.addr == addr && known.id == id && known.voice != voice && known.own != Some(voice) {
                known.second.get_or_insert(voice);
                self.voices[voice].is_confirmed |=
                    known.complies && matches!(known.state, State::Answered { .. });
            }
            return;
        }
        let crowd: Option<IpAddr> = crowd_of(addr);
        let in_crowd = |known: &&Candidate| crowd.is_some() && crowd_of(known.addr) == crowd;
        if voice != OURS && self.candidates.iter().filter(in_crowd).count() >= CROWD_MAX {
            return;
        }
        let distance = id.map_or(Distance([0xff; 20]), |id| id.distance(&self.target));
        let at = self.candidates.partition_point(|known| known.distance <= distance);
        let complies = id.is_none_or(|id| id.complies_with(addr.ip()));
        let (second, own, state) = (None, None, State::Fresh);
        let candidate = Candidate { id, addr, distance, rtt, complies, depth, voice, second, own, state };
        self.candidates.insert(at, candidate);
        if self.candidates.len() > CANDIDATES_MAX {
            let farthest = self.candidates.iter().rposition(|known| {
                matches!(known.state, State::Fresh | State::Silent | State::Answered { .. })
            });
            // Fewer are open than there are candidates.
            self.candidates.remove(farthest.expect("some are not open"));
        }
    }

    /// Whether this candidate may be asked in the end; `now` if it may be at once.
    fn may_ask(&self, candidate: &Candidate, at_once: bool) -> bool {
        let voice = self.voices[candidate.voice];
        let is_stranger = !candidate.complies;
        if is_stranger && self.strangers >= STRANGERS_MAX + self.asked / 2 {
            return false;
        }
        if candidate.voice == OURS || candidate.second.is_some() {
            return true;
        }
        if voice.answered == 0 && voice.silent >= SILENT_MAX {
            return false;
        }
        !at_once || voice.waiting < WAITING_MAX[usize::from(voice.answered > 0)]
    }

    /// Whether it is one of those who can end the lookup.
    fn counts(&self, candidate: &Candidate) -> bool {
        candidate.complies
            && matches!(candidate.state, State::Answered { .. })
            && candidate.own.is_some_and(|voice| self.voices[voice].is_confirmed)
    }

    /// Whether it came to know anybody whom somebody else knows, too. Where it did not, our table may hold liars only.
    pub(super) fn is_confirmed(&self) -> bool {
        self.candidates.iter().any(|candidate| self.counts(candidate))
    }

    /// Whom to ask now; it counts as asked.
    pub(super) fn next(&mut self) -> Option<Next> {
        if self.is_closed
            || self.waiting >= ALPHA
            || self.waiting + self.late >= OPEN_MAX
            || self.asked >= ASKED_MAX
        {
            return None;
        }
        let mut answered = 0;
        let at = self.candidates.iter().position(|candidate| {
            answered += usize::from(self.counts(candidate));
            answered < BUCKET_NODES && candidate.state == State::Fresh && self.may_ask(candidate, true)
        })?;
        let candidate = &mut self.candidates[at];
        candidate.state = State::Asked;
        self.voices[candidate.voice].waiting += 1;
        self.strangers += u32::from(!candidate.complies);
        self.asked += 1;
        self.waiting += 1;
        Some(Next { addr: candidate.addr, id: candidate.id, rtt: candidate.rtt })
    }

    /// Whether nobody is left whose answer could change anything.
    pub(super) fn is_done(&self) -> bool {
        let mut answered = 0;
        let is_exhausted = self.asked >= ASKED_MAX;
        for candidate in &self.candidates {
            match candidate.state {
                State::Answered { .. } => answered += usize::from(self.counts(candidate)),
                State::Asked => return false,
                State::Fresh if !is_exhausted && self.may_ask(candidate, false) => return false,
                State::Fresh | State::Late | State::Silent => {}
            }
            if answered == BUCKET_NODES {
                return true;
            }
        }
        self.late == 0
    }

    /// The candidate at this address that was asked.
    fn open_at(&self, addr: SocketAddr) -> Option<usize> {
        let is_open = |known: &Candidate| matches!(known.state, State::Asked | State::Late);
        self.candidates.iter().position(|known| known.addr == addr && is_open(known))
    }

    /// A question is late. Somebody else may be asked in the meantime.
    pub(super) fn late(&mut self, addr: SocketAddr) {
        let Some(at) = self.open_at(addr) else { return };
        let candidate = &mut self.candidates[at];
        if candidate.state == State::Asked {
            candidate.state = State::Late;
            self.waiting -= 1;
            self.late += 1;
            let voice = &mut self.voices[candidate.voice];
            voice.waiting -= 1;
            voice.silent += 1;
        }
    }

    /// Nobody answers there, or somebody else than was named.
    pub(super) fn silent(&mut self, addr: SocketAddr) {
        self.late(addr);
        let Some(at) = self.open_at(addr) else { return };
        self.candidates[at].state = State::Silent;
        self.late -= 1;
    }

    /// A node has answered: how many steps from our own table it is, if it was asked by this lookup.
    pub(super) fn answered(
        &mut self,
        from: NodeInfo,
        token: Option<&[u8]>,
        named: impl Iterator<Item = NodeInfo>,
    ) -> Option<u32> {
        let at = self.open_at(from.addr)?;
        let candidate = &mut self.candidates[at];
        let was_late = candidate.state == State::Late;
        let (depth, by, second) = (candidate.depth, candidate.voice, candidate.second);
        candidate.state = State::Answered { token: token.map(Into::into) };
        if candidate.id.is_none() {
            // Now that its id is known it has a place.
            candidate.id = Some(from.id);
            candidate.complies = from.id.complies_with(from.addr.ip());
            candidate.distance = from.id.distance(&self.target);
            let candidate = self.candidates.remove(at);
            let at = self.candidates.partition_point(|known| known.distance <= candidate.distance);
            self.candidates.insert(at, candidate);
        }
        if from.id.complies_with(from.addr.ip()) {
            [Some(by), second].into_iter().flatten().for_each(|voice| self.voices[voice].is_confirmed = true);
        }
        let voice = &mut self.voices[by];
        voice.answered += 1;
        if was_late {
            self.late -= 1;
            voice.silent -= 1;
        } else {
            self.waiting -= 1;
            voice.waiting -= 1;
        }
        self.answered += 1;
        self.depth = self.depth.max(depth);
        self.take_named(from, named, depth + 1);
        Some(depth)
    }

    fn take_named(&mut self, by: NodeInfo, named: impl Iterator<Item = NodeInfo>, depth: u32) {
        let mut named: Vec<NodeInfo> =
            named.take(4 * NAMED_MAX).filter(|node| may_name(by.addr, node.addr)).collect();
        if invents(&by.id, &self.target, named.iter().copied()) {
            // They may be there, placed beside a target that is known to all, and then its honest neighbours name them, too:
            // what else these say still counts.
            named.retain(|node| !is_ahead(&by.id, &self.target, &node.id));
        }
        if named.is_empty() {
            return;
        }
        named.sort_by_cached_key(|node| node.id.distance(&self.target));
        self.voices.push(Voice::default());
        let voice = self.voices.len() - 1;
        if let Some(known) = self.candidates.iter_mut().find(|known| known.addr == by.addr) {
            known.own = Some(voice);
        }
        for node in named.into_iter().take(NAMED_MAX) {
            self.add(Some(node.id), node.addr, None, depth, voice);
        }
    }

    /// Whom to tell of us: the closest that answered with a token, first those with an id of their address.
    pub(super) fn announce_to(&self) -> Vec<(NodeInfo, Box<[u8]>)> {
        let answered = |complies: bool| {
            self.candidates.iter().filter(move |candidate| candidate.complies == complies).filter_map(
                |known| match (&known.state, known.id) {
                    (State::Answered { token: Some(token) }, Some(id)) => {
                        Some((NodeInfo { id, addr: known.addr }, token.clone()))
                    }
                    _ => None,
                },
            )
        };
        answered(true).chain(answered(false)).take(BUCKET_NODES).collect()
    }

    pub(super) fn assert_invariants(&self) {
        let count = |state: &State| self.candidates.iter().filter(|known| known.state == *state).count();
        assert_eq!((count(&State::Asked), count(&State::Late)), (self.waiting, self.late));
        assert!(self.waiting <= ALPHA && self.waiting + self.late <= OPEN_MAX);
        assert!(self.candidates.len() <= CANDIDATES_MAX && self.asked <= ASKED_MAX);
        assert!(self.candidates.is_sorted_by_key(|known| known.distance), "closest first");
        assert_eq!(self.voices.iter().map(|voice| voice.waiting).sum::<u32>() as usize, self.waiting);
    }
}
