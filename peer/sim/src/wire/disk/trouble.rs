//! What is wrong with a disk, and until when.

use potluck_common::{Instant, Printable};
use potluck_core::torrent::{DiskTrouble, TroubleKind};

/// Each lasts until its time.
#[derive(Clone, Copy, Default, Debug)]
pub(in crate::wire) struct Troubles {
    /// No space is left.
    pub(in crate::wire) full_until: Instant,
    /// The system is short of something.
    pub(in crate::wire) busy_until: Instant,
    /// The device does not take what is written.
    pub(in crate::wire) write_fails_until: Instant,
    /// The device does not give what is read.
    pub(in crate::wire) read_fails_until: Instant,
    pub(in crate::wire) sync_fails_until: Instant,
    pub(in crate::wire) slow_until: Instant,
}

impl Troubles {
    pub(super) fn is_slow(&self, now: Instant) -> bool {
        now < self.slow_until
    }

    /// Why a write fails now.
    pub(in crate::wire) fn of_write(&self, now: Instant) -> Option<DiskTrouble> {
        if now < self.full_until {
            Some(trouble(TroubleKind::Full, "no space left on the disk"))
        } else if now < self.busy_until {
            Some(trouble(TroubleKind::Passing, "too many open files"))
        } else if now < self.write_fails_until {
            Some(trouble(TroubleKind::Lasting, "input/output error"))
        } else {
            None
        }
    }

    /// Why a read fails now.
    pub(in crate::wire) fn of_read(&self, now: Instant) -> Option<DiskTrouble> {
        if now < self.read_fails_until {
            Some(trouble(TroubleKind::Damaged, "input/output error"))
        } else if now < self.busy_until {
            Some(trouble(TroubleKind::Passing, "too many open files"))
        } else {
            None
        }
    }

    /// Why a sync fails now.
    pub(in crate::wire) fn of_sync(&self, now: Instant) -> Option<DiskTrouble> {
        (now < self.sync_fails_until).then(|| trouble(TroubleKind::Lasting, "sync: input/output error"))
    }
}

pub(in crate::wire) fn trouble(kind: TroubleKind, why: &str) -> DiskTrouble {
    DiskTrouble { message: Printable::new(&format!("file f: {why}")), kind }
}
