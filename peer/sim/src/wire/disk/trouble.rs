//! What is wrong with a disk, and until when.

use potluck_common::{Instant, Printable};
use potluck_core::torrent::{DiskTrouble, TroubleKind};

/// Until when each lasts.
#[derive(Clone, Copy, Default, Debug)]
pub(in crate::wire) struct Troubles {
    /// No space is left.
    pub(in crate::wire) full: Instant,
    /// The system is short of something.
    pub(in crate::wire) busy: Instant,
    /// The device does not take what is written.
    pub(in crate::wire) write_fails: Instant,
    /// The device does not give what is read.
    pub(in crate::wire) read_fails: Instant,
    pub(in crate::wire) sync_fails: Instant,
    pub(in crate::wire) slow: Instant,
}

impl Troubles {
    /// Nothing is wrong from now on.
    pub(in crate::wire) fn end(&mut self, now: Instant) {
        let all = [
            &mut self.full,
            &mut self.busy,
            &mut self.write_fails,
            &mut self.read_fails,
            &mut self.sync_fails,
            &mut self.slow,
        ];
        for until in all {
            *until = (*until).min(now);
        }
    }

    pub(super) fn is_slow(&self, now: Instant) -> bool {
        now < self.slow
    }

    /// Why a write fails now.
    pub(in crate::wire) fn of_write(&self, now: Instant) -> Option<DiskTrouble> {
        if now < self.full {
            Some(trouble(TroubleKind::Full, "no space left on the disk"))
        } else if now < self.busy {
            Some(trouble(TroubleKind::Passing, "too many open files"))
        } else if now < self.write_fails {
            Some(trouble(TroubleKind::Lasting, "input/output error"))
        } else {
            None
        }
    }

    /// Why a read fails now.
    pub(in crate::wire) fn of_read(&self, now: Instant) -> Option<DiskTrouble> {
        if now < self.read_fails {
            Some(trouble(TroubleKind::Damaged, "input/output error"))
        } else if now < self.busy {
            Some(trouble(TroubleKind::Passing, "too many open files"))
        } else {
            None
        }
    }

    /// Why a sync fails now.
    pub(in crate::wire) fn of_sync(&self, now: Instant) -> Option<DiskTrouble> {
        (now < self.sync_fails).then(|| trouble(TroubleKind::Lasting, "sync: input/output error"))
    }
}

pub(in crate::wire) fn trouble(kind: TroubleKind, why: &str) -> DiskTrouble {
    DiskTrouble { message: Printable::new(&format!("file f: {why}")), kind }
}
