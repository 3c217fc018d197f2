//! Pieces that fail their hash: who gave false blocks, and what becomes of it.

use std::{cmp::Reverse, collections::BTreeSet};

use potluck_common::{PieceIndex, hash::Sha1Digest};
use potluck_core::{Identity, PeerKey, blame::Verdict, choker::ChokerEvent};

use super::{
    Role, World,
    links::{NO_DOWNLOAD, reverse},
};
use crate::scenario::FreeRiderKind;

/// What stands for the digest of a true block, and of a false one.
const TRUE: Sha1Digest = [0; 20];
const FALSE: Sha1Digest = [1; 20];

impl World {
    /// Whether somebody gives false blocks.
    pub(super) fn has_garbage(&self) -> bool {
        matches!(&self.scenario.free_riders, Some(riders) if riders.kind == FreeRiderKind::Garbage)
    }

    /// Looks at who gave the blocks of a complete piece; `true` if its hash holds. Otherwise it is wanted again.
    pub(super) fn verify(&mut self, number: u32, piece: PieceIndex) -> bool {
        if !self.has_garbage() {
            return true;
        }
        let picker = self.pickers[number as usize].as_ref().expect("whoever completes a piece lacked it");
        let givers = picker.contributors(piece);
        let digests: Vec<_> = givers.iter().map(|giver| self.digest(*giver)).collect();
        if digests.contains(&FALSE) {
            self.mismatch(number, piece, &givers, &digests);
            return false;
        }
        let verdicts = self.nodes[number as usize].blame.passed(piece, &digests);
        self.punish(number, verdicts);
        true
    }

    fn digest(&self, giver: Option<PeerKey>) -> Sha1Digest {
        let owner = giver.and_then(|key| self.node_of(key));
        let is_false = owner
            .is_some_and(|owner| self.nodes[owner as usize].role == Role::FreeRider(FreeRiderKind::Garbage));
        if is_false { FALSE } else { TRUE }
    }

    /// The node that somebody calls `key`, if they are still connected.
    fn node_of(&self, key: PeerKey) -> Option<u32> {
        self.links.of_key(key).map(|id| self.links[id].to)
    }

    fn mismatch(
        &mut self,
        number: u32,
        piece: PieceIndex,
        givers: &[Option<PeerKey>],
        digests: &[Sha1Digest],
    ) {
        let distinct: BTreeSet<PeerKey> = givers.iter().copied().flatten().collect();
        for giver in &distinct {
            let blocks = givers.iter().filter(|by| **by == Some(*giver)).count();
            let bytes = (blocks as f64 * self.scenario.block_bytes()) as u64;
            self.tell(number, ChokerEvent::HashFail(*giver, bytes));
        }
        // What was heard before comes before, however much of it is kept back.
        self.flush_heard(number);
        let identity = |key: PeerKey| Some(self.nodes[self.node_of(key)? as usize].identity());
        let contributors: Vec<_> = givers.iter().map(|giver| giver.and_then(identity)).collect();
        let node = &mut self.nodes[number as usize];
        let verdicts = node.blame.failed(piece, digests, &contributors);
        let picker = self.pickers[number as usize].as_mut().expect("whoever fails a piece lacks it");
        picker.failed(piece);
        self.punish(number, verdicts);
        if distinct.len() > 1 {
            self.fetch_again_from_one(number, piece, &distinct);
        }
    }

    /// As a torrent does it: from somebody who is not suspected and did not give before, the fastest of them.
    fn fetch_again_from_one(&mut self, number: u32, piece: PieceIndex, givers: &BTreeSet<PeerKey>) {
        let mut able = Vec::new();
        for id in &self.nodes[number as usize].links {
            let (link, other) = (self.links[reverse(*id)], self.links[*id].to);
            if link.download != NO_DOWNLOAD && self.shows(other, reverse(*id), piece, self.has(other, piece))
            {
                let key = self.links.key(*id);
                let suspicion =
                    self.nodes[number as usize].blame.suspicion(self.nodes[other as usize].identity());
                let rate = self.downloads[link.download].rate as u64;
                able.push((suspicion, givers.contains(&key), Reverse(rate), key));
            }
        }
        let chosen = able.into_iter().min().map(|best| best.3);
        let picker = self.pickers[number as usize].as_mut().expect("whoever fails a piece lacks it");
        picker.set_exclusive(piece, chosen);
    }

    fn punish(&mut self, number: u32, verdicts: Vec<Verdict<Identity>>) {
        for verdict in verdicts.into_iter().filter(|verdict| verdict.ban) {
            self.nodes[number as usize].banned.insert(verdict.identity);
            let links = &self.nodes[number as usize].links;
            let is_banned =
                |id: &&u32| self.nodes[self.links[**id].to as usize].identity() == verdict.identity;
            let banned: Vec<_> = links.iter().filter(is_banned).copied().collect();
            for id in banned {
                self.disconnect(id);
            }
        }
    }
}
