//! What always holds of a picker.

use super::{Picker, Priority};
use crate::PeerKey;

impl Picker {
    /// Checks every invariant; for tests and simulation.
    pub fn assert_invariants(&self) {
        self.rarity.assert_invariants();
        for piece in self.geometry.iter() {
            let had = self.have.has(piece);
            let skipped = self.rarity.priority(piece) == Priority::Skip;
            let started = self.started.contains_key(&piece);
            let reserved = self.reserved.contains_key(&piece);
            assert_eq!(self.unwanted.has(piece), had || skipped, "{piece:?}: wanted");
            let startable = !(had || skipped || started || reserved);
            assert_eq!(self.rarity.is_open(piece), startable, "{piece:?}: startable");
            assert!(!(had && (started || reserved)), "{piece:?}: had and under way");
        }
        let mut asks = 0;
        for (piece, started) in self.started.iter() {
            started.assert_invariants(*piece);
            let in_line = started.open > 0 && !self.reserved.contains_key(piece);
            assert_eq!(self.line.contains_key(&(started.rank, *piece)), in_line, "{piece:?}: in line");
            assert_eq!(started.in_line, in_line, "{piece:?}: knows whether it is in line");
            for (block, ask) in started.asks() {
                let request = self.askers.get(&ask.peer).and_then(|asker| asker.request(ask.turn));
                let request = request.expect("every ask is a request");
                assert_eq!((request.piece, request.block), (*piece, block), "{ask:?}");
                asks += 1;
            }
            let helps =
                |peer: PeerKey| self.askers.get(&peer).is_some_and(|asker| asker.pieces.contains(piece));
            assert!(started.helpers.iter().all(|helper| helps(helper.peer)), "{piece:?}: helpers know of it");
        }
        assert!(
            self.line.keys().all(|(_, piece)| self.started.contains_key(piece)),
            "only started pieces in line"
        );
        let requests: usize = self.askers.iter().map(|(_, asker)| asker.requests().len()).sum();
        assert_eq!(requests, asks, "every request is an ask");
        for (peer, asker) in self.askers.iter() {
            for piece in &asker.pieces {
                let started =
                    self.started.get(piece).expect("whoever works on a piece works on a started one");
                assert!(
                    started.helpers.iter().any(|helper| helper.peer == *peer),
                    "{peer:?} helps {piece:?}"
                );
            }
        }
    }
}
