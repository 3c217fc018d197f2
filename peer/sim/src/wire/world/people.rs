//! What is counted where a scenario of the fluid simulator is played.

use potluck_common::PieceIndex;

use super::{BEGIN, Happening, World, life::Crash};
use crate::wire::{
    fair::Counts,
    net::{End, HostId},
};

impl World<'_> {
    /// From now on what becomes of people is counted.
    pub(in crate::wire) fn count(&mut self, counts: Counts) {
        self.counts = Some(counts);
    }

    pub(in crate::wire) fn counts(&self) -> Option<&Counts> {
        self.counts.as_ref()
    }

    /// Each second; less often where there are many connections and nothing goes wrong.
    pub(super) fn is_time_for_views(&self) -> bool {
        self.counts.is_none() || self.now().since(BEGIN).as_secs().is_multiple_of(10)
    }

    pub(super) fn note_joined(&mut self, host: HostId) {
        if let Some(counts) = &mut self.counts {
            counts.joined(host);
        }
    }

    pub(super) fn note_second(&mut self) {
        let since = self.now().since(BEGIN);
        if let Some(counts) = &mut self.counts {
            counts.second(since);
        }
    }

    pub(super) fn note_sent(&mut self, end: End, host: HostId, bytes: u64) {
        if self.counts.is_none() {
            return;
        }
        let other = self.host_at_other_end(end);
        if let Some((counts, other)) = self.counts.as_mut().zip(other) {
            counts.sent(host, other, bytes);
        }
    }

    pub(super) fn note_stored(&mut self, host: HostId, piece: PieceIndex) {
        if let Some(counts) = &mut self.counts {
            counts.stored(host, piece);
        }
    }

    /// Somebody has all that it wants: nobody is kept.
    pub(super) fn note_done(&mut self, host: HostId) {
        let since = self.now().since(BEGIN);
        if self.counts.as_mut().is_some_and(|counts| counts.done(host, since)) {
            self.agenda.after(potluck_common::Duration::ZERO, Happening::Leave(host));
        }
    }

    /// A leecher that is done goes and does not come back.
    pub(super) fn leave(&mut self, host: HostId) {
        let Some(counts) = &mut self.counts else { return };
        let everything = vec![u64::MAX; (self.plan.geometry.pieces() as usize).div_ceil(64)];
        counts.left(host, &everything);
        self.go_down(host, Crash::Kill);
    }
}
