//! Who told us of addresses, and what these came to: nobody goes on naming addresses where nobody ever is.

use std::collections::BTreeMap;

use crate::Identity;

/// When so many addresses of one giver were tried and nobody was met at any of them, it gives no more. Of honest peers one
/// address in five can be reached, or more: one in a hundred of them is misjudged.
pub(super) const FAILURES_MAX: u32 = 20;
/// Most givers kept; who gave least is forgotten first.
const GIVERS_MAX: usize = 256;

/// The givers of one torrent, at most [`GIVERS_MAX`].
#[derive(Default, Debug)]
pub(super) struct Givers(BTreeMap<Identity, Giver>);

#[derive(Clone, Copy, Default, Debug)]
struct Giver {
    /// Addresses that nobody else had given.
    given: u32,
    /// Of these: at how many somebody was met, and at how many the first try failed.
    met: u32,
    failed: u32,
    /// It was banned for something else.
    is_banned: bool,
}

impl Giver {
    fn is_trusted(self) -> bool {
        !self.is_banned && (self.met > 0 || self.failed < FAILURES_MAX)
    }
}

impl Givers {
    /// Whether addresses are taken from it.
    pub(super) fn is_trusted(&self, who: Identity) -> bool {
        self.0.get(&who).is_none_or(|giver| giver.is_trusted())
    }

    /// It gave an address that was not known.
    pub(super) fn gave(&mut self, who: Identity) {
        self.entry(who).given += 1;
    }

    /// Somebody was met at an address that it gave.
    pub(super) fn met(&mut self, who: Identity) {
        if let Some(giver) = self.0.get_mut(&who) {
            giver.met += 1;
        }
    }

    /// The first try of an address that it gave failed. Returns whether that was once too often.
    pub(super) fn failed(&mut self, who: Identity) -> bool {
        let Some(giver) = self.0.get_mut(&who) else { return false };
        let was_trusted = giver.is_trusted();
        giver.failed += 1;
        was_trusted && !giver.is_trusted()
    }

    /// It was banned.
    pub(super) fn banned(&mut self, who: Identity) {
        self.entry(who).is_banned = true;
    }

    fn entry(&mut self, who: Identity) -> &mut Giver {
        if self.0.len() >= GIVERS_MAX && !self.0.contains_key(&who) {
            let least = self.0.iter().min_by_key(|(_, giver)| (!giver.is_trusted(), giver.given));
            let least = least.map(|(who, _)| *who);
            least.map(|who| self.0.remove(&who));
        }
        self.0.entry(who).or_default()
    }

    pub(super) fn assert_invariants(&self) {
        assert!(self.0.len() <= GIVERS_MAX, "givers are bounded");
    }
}
