//! Trouble with the disk: what is waited out, what is looked at again (see [`unread`](super::unread)), and what ends the
//! torrent.
//!
//! A piece that cannot be written for want of space stays in memory. While one does, nothing new is fetched; what was
//! asked for before may still come and waits with it. One piece is tried now and then, and when its write succeeds the
//! others follow. Seeding, announcing and the connections go on meanwhile.

use std::collections::BTreeSet;

use potluck_common::{
    Duration, Instant, PieceIndex, Printable,
    control::{EventKind, TorrentError, TorrentErrorKind},
};

use super::{DiskTrouble, Effect, Life, Torrent, TroubleKind};
use crate::{
    PeerKey,
    choker::ChokerEvent,
    session::{Blame as Fault, SessionCommand},
};

/// The wait before a store is tried again; it doubles up to [`RETRY_MAX`].
const RETRY_FIRST: Duration = Duration::from_secs(5);
/// Long enough to leave a full disk alone, short enough to go on well within a minute of space.
const RETRY_MAX: Duration = Duration::from_secs(20);
/// So many failures of what was thought to be there end the torrent: one bad sector does not, a dying disk does.
const STRIKES_MAX: usize = 3;
/// A failure that is older says nothing about the disk of today.
const STRIKE_TIME: Duration = Duration::from_secs(3600);

/// Complete pieces that could not be written for now.
#[derive(Debug)]
pub(super) struct StoreWait {
    /// What the disk said last.
    trouble: DiskTrouble,
    /// The pieces that wait; their bytes are kept in the shell.
    pieces: BTreeSet<PieceIndex>,
    /// The one that is being tried.
    probe: Option<PieceIndex>,
    /// Tries that failed since one succeeded.
    failures: u32,
    retry_at: Instant,
}

impl StoreWait {
    fn retry_later(&mut self, now: Instant) {
        self.retry_at = now + RETRY_FIRST.saturating_mul(1 << self.failures.min(8)).min(RETRY_MAX);
    }
}

/// When the disk last failed to give what was thought to be there.
#[derive(Debug, Default)]
pub(super) struct Strikes(Vec<Instant>);

impl Strikes {
    /// Counts one more; whether it is one too many.
    fn add(&mut self, now: Instant) -> bool {
        self.0.retain(|at| now.since(*at) < STRIKE_TIME);
        self.0.push(now);
        self.0.len() >= STRIKES_MAX
    }
}

impl Torrent {
    /// A piece is complete. While others wait for space it waits with them, so that a full disk is left alone.
    pub(super) fn store_or_wait(&mut self, now: Instant, piece: PieceIndex) {
        match &mut self.store_wait {
            Some(wait) => drop(wait.pieces.insert(piece)),
            None => self.store(now, piece),
        }
    }

    fn store(&mut self, now: Instant, piece: PieceIndex) {
        self.storing.begin(now, piece);
        let digests = self.blame.is_open(piece);
        self.effects.push_back(Effect::StorePiece { piece, digests });
    }

    /// Whether the blocks of this complete piece wait in memory for space on the disk.
    pub(super) fn waits_to_be_stored(&self, piece: PieceIndex) -> bool {
        self.store_wait.as_ref().is_some_and(|wait| wait.pieces.contains(&piece))
    }

    /// A complete piece that waits for space is not wanted any more; false if it does not wait, or is being tried.
    pub(super) fn waits_no_more(&mut self, piece: PieceIndex) -> bool {
        let waited = self.store_wait.as_mut().is_some_and(|wait| wait.pieces.remove(&piece));
        if waited {
            self.end_store_wait();
        }
        waited
    }

    /// Tries one of the waiting pieces, if that is due.
    pub(super) fn retry_store(&mut self, now: Instant) {
        let Some(wait) = self.store_wait.as_mut().filter(|_| self.life == Life::Running) else { return };
        if wait.probe.is_some() || now < wait.retry_at {
            return;
        }
        wait.probe = wait.pieces.pop_first();
        match wait.probe {
            Some(piece) => self.store(now, piece),
            None => self.end_store_wait(),
        }
    }

    /// A store came to an end other than for want of space: if it was the one that was tried, the others follow.
    pub(super) fn store_answered(&mut self, now: Instant, piece: PieceIndex) {
        let Some(wait) = &mut self.store_wait else { return };
        if wait.probe == Some(piece) {
            wait.probe = None;
            wait.failures = 0;
            wait.retry_at = now;
            for piece in std::mem::take(&mut wait.pieces) {
                self.store(now, piece);
            }
        }
        self.end_store_wait();
    }

    /// The wait is over once nothing waits and every store was answered.
    fn end_store_wait(&mut self) {
        let is_over = |wait: &mut StoreWait| wait.pieces.is_empty() && wait.probe.is_none();
        if self.storing.is_empty() && self.store_wait.take_if(is_over).is_some() {
            self.event(EventKind::DiskFreed);
            self.everyone_may_be_hungry();
        }
    }

    pub(super) fn write_failed(&mut self, now: Instant, piece: PieceIndex, trouble: DiskTrouble) {
        self.storing.end(now, piece);
        let passes = matches!(trouble.kind, TroubleKind::Full | TroubleKind::Passing);
        if passes && self.life == Life::Running {
            return self.wait_to_store(now, piece, trouble);
        }
        self.store_answered(now, piece);
        self.restart(piece);
        match trouble.kind {
            TroubleKind::Full | TroubleKind::Passing => {}
            TroubleKind::Defect => drop(self.strike(now, trouble)),
            TroubleKind::Damaged | TroubleKind::Lasting => self.fail(now, trouble),
        }
    }

    fn wait_to_store(&mut self, now: Instant, piece: PieceIndex, trouble: DiskTrouble) {
        let wait = self.store_wait.get_or_insert_with(|| StoreWait {
            trouble: trouble.clone(),
            pieces: BTreeSet::new(),
            probe: None,
            failures: 0,
            retry_at: now,
        });
        if wait.probe == Some(piece) {
            wait.probe = None;
            wait.failures += 1;
        }
        wait.pieces.insert(piece);
        wait.trouble = trouble;
        wait.retry_later(now);
        self.watch_progress(now);
    }

    /// A block of `piece` could not be read for a peer, who heard a refusal. The piece is looked at as a whole, unless
    /// the disk has failed too often.
    pub(super) fn read_failed(&mut self, now: Instant, piece: PieceIndex, trouble: DiskTrouble) {
        let is_looked_at = self.verifying.contains(&piece) || self.unread.has(piece);
        if !self.picker.have().has(piece) || is_looked_at {
            return;
        }
        match trouble.kind {
            // The peer will ask again.
            TroubleKind::Full | TroubleKind::Passing => {}
            TroubleKind::Lasting => self.fail(now, trouble),
            TroubleKind::Damaged | TroubleKind::Defect => {
                if self.strike(now, trouble) {
                    self.verifying.insert(piece);
                    self.effects.push_back(Effect::VerifyPiece(piece));
                }
            }
        }
    }

    /// Counts a failure of the disk; the torrent goes on if this is true.
    fn strike(&mut self, now: Instant, trouble: DiskTrouble) -> bool {
        if self.strikes.add(now) {
            self.fail(now, trouble);
        }
        self.life == Life::Running
    }

    pub(super) fn piece_verified(
        &mut self,
        now: Instant,
        piece: PieceIndex,
        result: Result<bool, DiskTrouble>,
    ) {
        if self.life != Life::Running {
            return;
        }
        if self.unread.has(piece) {
            return self.looked_again(now, piece, result);
        }
        if !self.verifying.remove(&piece) || !self.picker.have().has(piece) {
            return;
        }
        match result {
            Ok(true) => {}
            Ok(false) => self.lose(now, piece, None),
            Err(trouble) => match trouble.kind {
                TroubleKind::Full | TroubleKind::Passing => {}
                TroubleKind::Damaged | TroubleKind::Defect => self.cannot_read(now, piece, trouble),
                TroubleKind::Lasting => self.fail(now, trouble),
            },
        }
    }

    /// A piece that we had is damaged, or cannot be read because of `why`. There is no message that takes a HAVE back, so
    /// whoever may ask for it is parted from: a new connection says what we have.
    pub(super) fn lose(&mut self, now: Instant, piece: PieceIndex, why: Option<Printable>) {
        let fetched_again = self.config.fetches_damaged;
        self.event(EventKind::PieceLost { piece: piece.get(), fetched_again, why });
        if !fetched_again {
            self.picker.set_priority(piece, crate::picker::Priority::Skip);
        }
        self.picker.lost(piece);
        self.count_wanted();
        let is_wanted = self.picker.is_wanted(piece);
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in keys {
            let peer = self.peers.get_mut(&key).expect("just listed");
            if peer.has.has(piece) {
                peer.interesting += u32::from(is_wanted);
                self.update_interest(key);
            } else {
                self.close(key, Fault::Nobody, "a piece that we offered cannot be had from our disk");
            }
        }
        self.end_super_seeding("a piece cannot be had from our disk");
        if is_wanted {
            self.begin_again(now);
        }
    }

    /// Something is missing again after the download was complete.
    pub(super) fn begin_again(&mut self, now: Instant) {
        self.settled = false;
        self.progress.begin(now);
        if std::mem::replace(&mut self.completed, false) {
            self.choker.handle(now, ChokerEvent::BecameSeed(false));
            self.book.set_seed(false);
            self.book.revive(now);
            self.announcer.want_peers(now);
            let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
            for key in keys {
                self.command(key, SessionCommand::UploadOnly(false));
            }
        }
        self.everyone_may_be_hungry();
    }

    /// The end, until a person acts.
    pub(super) fn fail(&mut self, now: Instant, trouble: DiskTrouble) {
        if self.life != Life::Running {
            return;
        }
        self.event(EventKind::Failed { message: trouble.message.clone() });
        self.life = Life::Failed(trouble);
        self.announcer.stop(now);
        self.close_all("we have trouble with our disk");
        self.store_wait = None;
        for piece in self.open.clone() {
            self.restart(piece);
        }
    }

    /// What it waits for, as a trouble that passes.
    pub(super) fn disk_trouble(&self) -> Option<TorrentError> {
        let wait = self.store_wait.as_ref()?;
        Some(TorrentError { kind: TorrentErrorKind::Disk, message: wait.trouble.message.clone() })
    }

    /// The same in a sentence that does not change while it lasts.
    pub(super) fn why_disk_waits(&self) -> Option<String> {
        let trouble = &self.store_wait.as_ref()?.trouble;
        Some(match trouble.kind {
            TroubleKind::Full => {
                format!("disk full: {}; goes on by itself when there is space", trouble.message)
            }
            _ => format!("{}; tried again by itself", trouble.message),
        })
    }

    /// The same with what is needed: `missing` bytes of the wanted pieces are not on the disk.
    pub(super) fn stall_of_disk(&self, missing: u64) -> Option<Printable> {
        let full = self.store_wait.as_ref()?.trouble.kind == TroubleKind::Full;
        let why = self.why_disk_waits()?;
        let needed = format!("; {:.1} MiB more are needed", missing as f64 / f64::from(1 << 20));
        Some(Printable::new(&if full { why + &needed } else { why }))
    }
}
