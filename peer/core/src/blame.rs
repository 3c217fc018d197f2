//! Who gave bad data: blame by the digests of blocks.
//!
//! A piece that fails its hash and came whole from one peer is that peer's doing. Of one that several peers gave,
//! the digest of each block is remembered with its giver; once the piece passes, whoever gave other bytes than the
//! true ones is guilty and everybody else is cleared. Whom a peer is remembered as is the
//! torrent's choice, such as an [`Identity`](crate::Identity): a new connection must not help.
//!
//! To make an end of it soon, a failed piece should be downloaded again from one peer only, from the one with the
//! least [`Blame::suspicion`].

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    hash::Hash,
};

use indexmap::IndexMap;
use potluck_common::{PieceIndex, hash::Sha1Digest};

/// Whole bad pieces from one peer alone that lead to a ban. One is forgiven: a bit may flip in a memory or on a
/// disk, ours included.
pub const STRIKES_MAX: u32 = 2;

/// Failed pieces that are remembered; beyond it the oldest is forgotten.
const PIECES_MAX: usize = 64;

/// Block digests that are remembered, about 3 MiB. More than any piece has blocks.
const DIGESTS_MAX: usize = 64 * 1024;

/// Identities with strikes that are remembered; beyond it the oldest is forgotten.
const IDENTITIES_MAX: usize = 4_096;

/// What somebody is guilty of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guilt {
    /// It gave a whole piece that failed its hash, as its `strikes`th one.
    WholePiece {
        /// The piece.
        piece: PieceIndex,
        /// How often it did.
        strikes: u32,
    },
    /// It gave a block of this piece that differs from the true one.
    FalseBlock {
        /// The piece.
        piece: PieceIndex,
    },
    /// It gave different bytes for the same block of this piece.
    TwoVersions {
        /// The piece.
        piece: PieceIndex,
    },
}

impl fmt::Display for Guilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WholePiece { piece, strikes } => {
                write!(f, "gave piece {} wrong, strike {strikes} of {STRIKES_MAX}", piece.get())
            }
            Self::FalseBlock { piece } => write!(f, "gave a wrong block of piece {}", piece.get()),
            Self::TwoVersions { piece } => write!(f, "gave two versions of a block of piece {}", piece.get()),
        }
    }
}

/// A finding about one identity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict<Who> {
    /// Who.
    pub identity: Who,
    /// What it did.
    pub guilt: Guilt,
    /// Whether it is to be banned for it.
    pub ban: bool,
}

/// What was given for the blocks of one piece in the attempts that failed.
#[derive(Debug)]
struct Failure<Who> {
    /// By block and giver.
    given: BTreeMap<(u32, Who), Sha1Digest>,
    /// Those who gave some of it.
    givers: BTreeSet<Who>,
}

/// The memory of bad data of one torrent.
///
/// Invariant: `digests` is the sum of the entries of `failures`; each collection keeps to its limit.
#[derive(Debug)]
pub struct Blame<Who> {
    strikes: IndexMap<Who, u32>,
    /// Failed pieces that several peers gave, in the order in which they failed first.
    failures: IndexMap<PieceIndex, Failure<Who>>,
    digests: usize,
}

impl<Who: Copy + Ord + Hash> Default for Blame<Who> {
    fn default() -> Self {
        Self::new()
    }
}

impl<Who: Copy + Ord + Hash> Blame<Who> {
    /// Nobody is guilty.
    pub fn new() -> Self {
        Self { strikes: IndexMap::new(), failures: IndexMap::new(), digests: 0 }
    }

    /// Whether a digest of each block of `piece` is worth computing even if the piece passes its hash.
    pub fn is_open(&self, piece: PieceIndex) -> bool {
        self.failures.contains_key(&piece)
    }

    /// How many failed pieces this identity may be guilty of.
    pub fn suspicion(&self, identity: Who) -> u32 {
        let mixed = self.failures.values().filter(|failure| failure.givers.contains(&identity)).count();
        mixed as u32 + self.strikes.get(&identity).copied().unwrap_or(0)
    }

    /// `piece` failed its hash. `digests` and `contributors` go by block; `None` is somebody unknown.
    pub fn failed(
        &mut self,
        piece: PieceIndex,
        digests: &[Sha1Digest],
        contributors: &[Option<Who>],
    ) -> Vec<Verdict<Who>> {
        assert_eq!(digests.len(), contributors.len(), "one contributor for each block");
        let given = digests.iter().zip(contributors).zip(0..);
        let given: Vec<_> =
            given.filter_map(|((digest, who), block)| Some(((block, (*who)?), *digest))).collect();
        let mut verdicts = self.two_versions(piece, &given);
        match sole(contributors) {
            Some(identity) if verdicts.is_empty() => verdicts.push(self.strike(piece, identity)),
            Some(_) => {}
            None => self.remember(piece, given),
        }
        verdicts
    }

    /// `piece` passed its hash, so these are the true digests of its blocks. To be called for pieces that
    /// [`Blame::is_open`] names; of others nothing is known.
    pub fn passed(&mut self, piece: PieceIndex, digests: &[Sha1Digest]) -> Vec<Verdict<Who>> {
        let Some(failure) = self.failures.shift_remove(&piece) else { return Vec::new() };
        self.digests -= failure.given.len();
        let is_false =
            |block: u32, given: &Sha1Digest| digests.get(block as usize).is_some_and(|t| t != given);
        let false_ones = failure.given.iter().filter(|((block, _), given)| is_false(*block, given));
        let guilty: BTreeSet<_> = false_ones.map(|((_, identity), _)| *identity).collect();
        let verdict = |identity| Verdict { identity, guilt: Guilt::FalseBlock { piece }, ban: true };
        guilty.into_iter().map(verdict).collect()
    }

    /// Those who gave something else for the same block in an earlier attempt: one of the two was false.
    fn two_versions(&self, piece: PieceIndex, given: &[((u32, Who), Sha1Digest)]) -> Vec<Verdict<Who>> {
        let Some(failure) = self.failures.get(&piece) else { return Vec::new() };
        let differs =
            |(key, digest): &&(_, Sha1Digest)| failure.given.get(key).is_some_and(|old| old != digest);
        let guilty: BTreeSet<_> = given.iter().filter(differs).map(|((_, identity), _)| *identity).collect();
        let verdict = |identity| Verdict { identity, guilt: Guilt::TwoVersions { piece }, ban: true };
        guilty.into_iter().map(verdict).collect()
    }

    fn strike(&mut self, piece: PieceIndex, identity: Who) -> Verdict<Who> {
        let strikes = self.strikes.entry(identity).or_insert(0);
        *strikes += 1;
        let strikes = *strikes;
        if self.strikes.len() > IDENTITIES_MAX {
            self.strikes.shift_remove_index(0);
        }
        Verdict { identity, guilt: Guilt::WholePiece { piece, strikes }, ban: strikes >= STRIKES_MAX }
    }

    fn remember(&mut self, piece: PieceIndex, given: Vec<((u32, Who), Sha1Digest)>) {
        let failure = self
            .failures
            .entry(piece)
            .or_insert_with(|| Failure { given: BTreeMap::new(), givers: BTreeSet::new() });
        self.digests -= failure.given.len();
        failure.givers.extend(given.iter().map(|((_, identity), _)| *identity));
        failure.given.extend(given);
        self.digests += failure.given.len();
        while self.failures.len() > PIECES_MAX || (self.digests > DIGESTS_MAX && self.failures.len() > 1) {
            let (_, forgotten) = self.failures.shift_remove_index(0).expect("there is more than one");
            self.digests -= forgotten.given.len();
        }
    }

    /// Checks every invariant; for tests and simulation.
    pub fn assert_invariants(&self) {
        let digests: usize = self.failures.values().map(|failure| failure.given.len()).sum();
        assert_eq!(self.digests, digests, "the sum of remembered digests");
        assert!(self.strikes.len() <= IDENTITIES_MAX && self.failures.len() <= PIECES_MAX);
        assert!(self.digests <= DIGESTS_MAX || self.failures.len() == 1, "too many digests");
    }
}

/// The one who gave every block, if it is one.
fn sole<Who: Copy + PartialEq>(contributors: &[Option<Who>]) -> Option<Who> {
    let first = (*contributors.first()?)?;
    contributors.iter().all(|who| *who == Some(first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use potluck_common::{Geometry, Rng};
    use proptest::prelude::*;

    use super::*;
    use crate::Identity;

    fn who(number: u8) -> Identity {
        Identity::of(Ipv4Addr::new(10, 0, 0, number).into())
    }

    fn piece(number: u32) -> PieceIndex {
        Geometry::new(100_000, 1).expect("valid").piece(number).expect("exists")
    }

    const TRUE: Sha1Digest = [0; 20];
    const FALSE: Sha1Digest = [1; 20];

    #[test]
    fn whole_bad_pieces_are_forgiven_once() {
        let mut blame = Blame::new();
        let alone = [Some(who(1)); 3];
        assert!(!blame.failed(piece(0), &[FALSE; 3], &alone)[0].ban);
        let verdict = blame.failed(piece(1), &[FALSE; 3], &alone)[0];
        assert_eq!((verdict.identity, verdict.ban), (who(1), true));
        assert_eq!(verdict.guilt.to_string(), "gave piece 1 wrong, strike 2 of 2");
    }

    #[test]
    fn a_mixed_piece_tells_who_it_was_once_it_passes() {
        let mut blame = Blame::new();
        let mixed = [Some(who(1)), Some(who(2)), None];
        assert_eq!(blame.failed(piece(0), &[TRUE, FALSE, TRUE], &mixed), []);
        assert!(blame.is_open(piece(0)) && !blame.is_open(piece(1)));
        assert_eq!([1, 2, 3].map(|number| blame.suspicion(who(number))), [1, 1, 0]);
        let guilt = Guilt::FalseBlock { piece: piece(0) };
        assert_eq!(blame.passed(piece(0), &[TRUE; 3]), [Verdict { identity: who(2), guilt, ban: true }]);
        assert_eq!(blame.suspicion(who(1)), 0, "cleared");
        assert_eq!(blame.passed(piece(0), &[TRUE; 3]), []);
    }

    #[test]
    fn two_versions_of_a_block_are_proof() {
        let mut blame = Blame::new();
        blame.failed(piece(0), &[FALSE, TRUE], &[Some(who(1)), Some(who(2))]);
        let verdicts = blame.failed(piece(0), &[TRUE, FALSE], &[Some(who(1)), Some(who(3))]);
        assert_eq!(
            verdicts.iter().map(|verdict| (verdict.identity, verdict.ban)).collect::<Vec<_>>(),
            [(who(1), true)]
        );
    }

    #[test]
    fn memory_is_bounded() {
        let mut blame = Blame::new();
        for number in 0..200 {
            let contributors: Vec<_> = (0..2_000).map(|block| Some(who((block % 7) as u8))).collect();
            blame.failed(piece(number), &vec![FALSE; 2_000], &contributors);
            blame.assert_invariants();
        }
        assert!(blame.is_open(piece(199)) && !blame.is_open(piece(0)));
    }

    /// A swarm whose peers give random blocks of one piece after the other, some of them falsely.
    struct Swarm {
        blame: Blame<Identity>,
        rng: Rng,
        honest: u8,
        /// Peers that are not banned; those numbered `honest` and above are poisoners.
        peers: Vec<u8>,
        /// One of so many blocks of a poisoner is false.
        one_in: u32,
        /// Bad pieces that each poisoner took part in.
        bad_pieces: BTreeMap<u8, u32>,
    }

    impl Swarm {
        /// Downloads a piece until it passes: first from all, then each time from the least suspect peer.
        fn download(&mut self, piece: PieceIndex, blocks: usize) {
            let mut givers: Vec<u8> =
                (0..blocks).map(|_| *self.rng.choose(&self.peers).expect("the honest stay")).collect();
            while !self.attempt(piece, &givers) {
                self.rng.shuffle(&mut self.peers);
                let least = self.peers.iter().min_by_key(|peer| self.blame.suspicion(who(**peer)));
                givers = vec![*least.expect("the honest stay"); blocks];
            }
        }

        fn attempt(&mut self, piece: PieceIndex, givers: &[u8]) -> bool {
            let mut bad = BTreeSet::new();
            let digests: Vec<_> = givers.iter().map(|giver| self.give(*giver, &mut bad)).collect();
            let contributors: Vec<_> = givers.iter().map(|giver| Some(who(*giver))).collect();
            for giver in &bad {
                *self.bad_pieces.entry(*giver).or_default() += 1;
            }
            let verdicts = if bad.is_empty() {
                self.blame.passed(piece, &digests)
            } else {
                self.blame.failed(piece, &digests, &contributors)
            };
            self.blame.assert_invariants();
            for verdict in verdicts.iter().filter(|verdict| verdict.ban) {
                let banned = (0..=u8::MAX).find(|peer| who(*peer) == verdict.identity).expect("one of them");
                assert!(banned >= self.honest, "an honest peer was banned: {verdict:?}");
                self.peers.retain(|peer| *peer != banned);
            }
            bad.is_empty()
        }

        fn give(&mut self, giver: u8, bad: &mut BTreeSet<u8>) -> Sha1Digest {
            if giver < self.honest || self.rng.below(self.one_in) > 0 {
                return TRUE;
            }
            bad.insert(giver);
            let mut digest = [giver; 20];
            digest[0] = self.rng.below(256) as u8;
            digest
        }
    }

    proptest! {
        #[test]
        fn poisoners_are_banned_soon_and_the_honest_never(
            seed: u64, honest in 1u8..6, poisoners in 1u8..4, blocks in 1usize..20, one_in in 1u32..4,
        ) {
            let peers: Vec<_> = (0..honest + poisoners).collect();
            let (blame, rng) = (Blame::new(), Rng::new(seed));
            let mut swarm = Swarm { blame, rng, honest, peers, one_in, bad_pieces: BTreeMap::new() };
            for number in 0..400 {
                swarm.download(piece(number), blocks);
            }
            prop_assert_eq!(swarm.peers.len(), usize::from(honest), "every poisoner is banned");
            let most = swarm.bad_pieces.values().max().copied().unwrap_or(0);
            prop_assert!(most <= 5, "{:?}", swarm.bad_pieces);
        }
    }
}
