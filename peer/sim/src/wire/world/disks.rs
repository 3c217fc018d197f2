//! What is asked of disks, and what they answer.

use bytes::Bytes;
use potluck_common::{Bitfield, BlockSpan, PieceIndex};
use potluck_core::torrent::{Input, TroubleKind};

use super::{Happening, World};
use crate::wire::{
    check::Violation,
    disk::trouble,
    net::{End, HostId},
    node::{Hashed, Unwritten},
    sabotage::Sabotage,
};

/// An operation of a disk.
#[derive(Debug)]
pub(in crate::wire) enum Job {
    Store(PieceIndex, Unwritten),
    Mismatch(PieceIndex, Vec<potluck_common::hash::Sha1Digest>),
    Verify(PieceIndex),
    Read(End, BlockSpan),
    /// Everything is there: a sync.
    Settle {
        time: u64,
        mark: u64,
    },
    /// What is there is made durable, and then claimed.
    Claim {
        have: Bitfield,
        mark: u64,
    },
    /// The metadata is written down.
    Metadata,
}

impl World<'_> {
    pub(super) fn begin_store(
        &mut self,
        host: HostId,
        run: u32,
        piece: PieceIndex,
        digests: bool,
    ) -> Result<(), Violation> {
        let now = self.now();
        let node = self.nodes.get_mut(&host).expect("it runs");
        let machine = node.machine.as_mut().expect("it runs");
        if self.plan.sabotage == Some(Sabotage::LosesBlocks) {
            machine.pieces.close(piece);
        }
        let Some(hashed) = machine.pieces.take_to_store(piece, &self.payload, digests) else {
            return Err(Violation::new("what is to be stored is in memory", format!("{host} {piece:?}")));
        };
        let at = node.disk.done_at(now, self.payload.geometry.length_of(piece) as usize);
        let job = match hashed {
            Hashed::Holds(mut unwritten) => {
                if !digests {
                    unwritten.digests.clear();
                }
                Job::Store(piece, unwritten)
            }
            Hashed::Mismatch(digests) => Job::Mismatch(piece, digests),
        };
        self.agenda.at(at, Happening::Disk(host, run, job));
        Ok(())
    }

    pub(super) fn begin_read(&mut self, end: End, host: HostId, run: u32, span: BlockSpan) {
        let now = self.agenda.now();
        let Some(node) = self.nodes.get_mut(&host) else { return };
        let at = node.disk.done_at(now, span.length as usize);
        self.agenda.at(at, Happening::Disk(host, run, Job::Read(end, span)));
    }

    pub(super) fn disk_done(&mut self, host: HostId, run: u32, job: Job) {
        let now = self.now();
        let Some(node) = self.nodes.get_mut(&host).filter(|node| node.run == run) else { return };
        if !node.is_running() {
            return;
        }
        match job {
            Job::Metadata => self.metadata_written(host),
            Job::Store(piece, unwritten) => self.store(host, run, piece, unwritten),
            Job::Mismatch(piece, digests) => {
                self.tell_torrent(host, run, Input::PieceMismatch(piece, digests));
            }
            Job::Verify(piece) => {
                let result = match (node.disk.troubles.of_read(now), node.disk.read(piece)) {
                    (Some(trouble), _) => Err(trouble),
                    (None, Some(bytes)) => Ok(self.payload.holds(piece, bytes)),
                    (None, None) => {
                        Err(trouble(TroubleKind::Damaged, "the file is shorter than it should be"))
                    }
                };
                self.tell_torrent(host, run, Input::PieceVerified(piece, result));
            }
            Job::Read(end, span) => self.read_done(end, host, run, span),
            Job::Settle { time, mark } => {
                let input = if let Some(trouble) = node.disk.troubles.of_sync(now) {
                    node.has_lost_sync = true;
                    Input::SyncFailed(trouble)
                } else {
                    node.disk.synced(mark);
                    Input::Settled(time)
                };
                self.tell_torrent(host, run, input);
            }
            Job::Claim { have, mark } => self.claim_done(host, run, have, mark),
        }
    }

    fn store(&mut self, host: HostId, run: u32, piece: PieceIndex, unwritten: Unwritten) {
        let now = self.agenda.now();
        let node = self.nodes.get_mut(&host).expect("the caller looked");
        let input = if let Some(trouble) = node.disk.troubles.of_write(now) {
            if matches!(trouble.kind, TroubleKind::Full | TroubleKind::Passing)
                && let Some(machine) = &mut node.machine
            {
                machine.pieces.keep(piece, unwritten);
            }
            Input::WriteFailed(piece, trouble)
        } else {
            if self.plan.sabotage != Some(Sabotage::ForgetsWrites) {
                node.disk.write(piece, unwritten.bytes);
            }
            node.rotten.remove(&piece);
            self.note_stored(host, piece);
            Input::PieceStored(piece, unwritten.digests)
        };
        self.tell_torrent(host, run, input);
    }

    fn read_done(&mut self, end: End, host: HostId, run: u32, span: BlockSpan) {
        let now = self.agenda.now();
        let trouble_now = self.nodes.get(&host).and_then(|node| node.disk.troubles.of_read(now));
        let payload: Option<Bytes> =
            if trouble_now.is_some() { None } else { self.bytes_to_send(host, span) };
        if payload.is_none() {
            let short = || trouble(TroubleKind::Damaged, "the file is shorter than it should be");
            let trouble = trouble_now.unwrap_or_else(short);
            self.tell_torrent(host, run, Input::ReadFailed(span.piece, trouble));
        }
        if let Some(connection) = self.connections.get_mut(&end) {
            connection.fetched(now, span, payload);
            self.wake_connection(end);
        }
    }

    /// The engine's keeper: what is there now is to be claimed once it is durable.
    pub(super) fn claim(&mut self, host: HostId, run: u32) {
        let now = self.now();
        let every = self.plan.claims_every;
        let Some(node) = self.nodes.get_mut(&host).filter(|node| node.run == run) else { return };
        if node.machine.is_some() {
            // What could not be written is tried again.
            node.keep_metadata(now);
        }
        let Some(machine) = &node.machine else { return };
        let (have, mark) = (machine.torrent.have().clone(), node.disk.mark());
        if self.plan.beyond.remembers_peers && !self.plan.is_private() {
            node.remembered = machine.torrent.good_peers();
        }
        if self.plan.sabotage == Some(Sabotage::ClaimsEarly) {
            node.claims = have;
        } else if have != node.claims {
            let at = node.disk.done_at(now, 0);
            self.agenda.at(at, Happening::Disk(host, run, Job::Claim { have, mark }));
        }
        self.agenda.after(every, Happening::Claim(host, run));
    }

    fn claim_done(&mut self, host: HostId, run: u32, have: Bitfield, mark: u64) {
        let now = self.agenda.now();
        let node = self.nodes.get_mut(&host).expect("the caller looked");
        if let Some(trouble) = node.disk.troubles.of_sync(now) {
            node.has_lost_sync = true;
            return self.tell_torrent(host, run, Input::SyncFailed(trouble));
        }
        node.disk.synced(mark);
        if !node.has_lost_sync {
            node.claims = have;
        }
    }
}
