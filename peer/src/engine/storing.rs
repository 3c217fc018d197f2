//! What a running torrent asks of its disk: to store a piece, to look at one again, to settle when all is there.

use std::{io, sync::Arc, time::Duration};

use potluck_common::{PieceIndex, Printable, hash::sha1};
use potluck_core::torrent::{DiskTrouble, Input, TroubleKind};

use super::{Intent, running::Running};
use crate::{
    disk::{DiskAction, DiskError, DiskErrorKind, Storage, StoreOutcome},
    resume,
};

/// The wait before what could not be settled for want of descriptors is tried again.
const SETTLE_AGAIN: Duration = Duration::from_secs(5);

impl Running {
    /// Hashes and writes a piece that is complete in memory, or writes one again that could not be written before.
    pub(super) fn store(&self, piece: PieceIndex, digests: bool) {
        let inputs = self.base.input_sender.clone();
        let pieces = Arc::clone(&self.context.pieces);
        let storage = Arc::clone(&self.base.storage);
        let (unwritten, buffer) = (pieces.take_unwritten(piece), pieces.take(piece));
        let done = move |outcome| {
            let input = match outcome {
                StoreOutcome::Stored { digests } => Input::PieceStored(piece, digests),
                StoreOutcome::HashMismatch { digests } => Input::PieceMismatch(piece, digests),
                StoreOutcome::Failed { error, unwritten } => {
                    if let Some(unwritten) = unwritten {
                        pieces.keep(piece, unwritten);
                    }
                    Input::WriteFailed(piece, trouble(&error))
                }
            };
            // The torrent may have ended meanwhile.
            let _ = inputs.send(input);
        };
        let pool = &self.base.shared.disk.pool;
        match (unwritten, buffer) {
            (Some(unwritten), _) => pool.store_again(storage, piece, unwritten, done),
            (None, Some(buffer)) => pool.store_piece(storage, piece, buffer, digests, done),
            (None, None) => {
                let error = storage.defect(DiskAction::Write, "a finished piece was not in memory");
                done(StoreOutcome::Failed { error, unwritten: None });
            }
        }
    }

    /// Looks at a piece again that could not be read.
    pub(super) fn verify(&self, piece: PieceIndex) {
        let inputs = self.base.input_sender.clone();
        let storage = Arc::clone(&self.base.storage);
        let pool = Arc::clone(&self.base.shared.disk.pool);
        self.context.cache.invalidate_piece(storage.id(), piece);
        self.base.shared.spawn(async move {
            let lost = storage.defect(DiskAction::Read, "looking at a piece was not answered");
            let looked = pool.run(move || holds(&storage, piece)).await;
            let result = looked.unwrap_or(Err(lost)).map_err(|error| trouble(&error));
            // The torrent may have ended meanwhile.
            let _ = inputs.send(Input::PieceVerified(piece, result));
        });
    }

    /// Everything is there: a file that was longer before loses what the torrent does not have, and what was written
    /// becomes durable, while the torrent seeds already. `time` is the number of the effect.
    pub(super) fn settle_on_disk(&self, time: u64) {
        let inputs = self.base.input_sender.clone();
        let tell = move |input| {
            // The torrent may have ended meanwhile.
            let _ = inputs.send(input);
        };
        if self.base.params.intent != Intent::Download {
            // Nothing was written.
            return tell(Input::Settled(time));
        }
        let (storage, wanted) = (Arc::clone(&self.base.storage), Arc::new(self.base.wanted_on_disk()));
        let journal = Arc::clone(&self.base.journal);
        self.base.shared.spawn(async move {
            let lost = storage.defect(DiskAction::Sync, "making the payload durable was not answered");
            let settled = loop {
                let (storage, wanted, journal) =
                    (Arc::clone(&storage), Arc::clone(&wanted), Arc::clone(&journal));
                let settle = move || {
                    storage.trim_long_files(|file| wanted.contains(&file))?;
                    resume::lock(&journal).sync(&storage)
                };
                match tokio::task::spawn_blocking(settle).await.unwrap_or_else(|_| Err(lost.clone())) {
                    // Nothing was lost, and others need their descriptors only for a while.
                    Err(error) if trouble(&error).kind == TroubleKind::Passing => {
                        tokio::time::sleep(SETTLE_AGAIN).await;
                    }
                    settled => break settled,
                }
            };
            tell(settled.map_or_else(|error| Input::SyncFailed(trouble(&error)), |()| Input::Settled(time)));
        });
    }
}

/// Whether the hash of a piece holds that lies on the disk, where the paths of its files lead to now. Where one leads
/// nowhere, as after the drive was pulled, nothing may be fetched into its place: an error that no piece is lost for.
fn holds(storage: &Storage, piece: PieceIndex) -> Result<bool, DiskError> {
    let layout = storage.layout();
    let geometry = layout.geometry();
    let mut bytes = vec![0; geometry.length_of(piece) as usize];
    let offset = geometry.offset_of(piece);
    for part in layout.parts(offset, bytes.len()).filter(|part| !layout.files()[part.file].padding) {
        if storage.stamp(part.file)?.is_none() {
            let path = layout.path_of(part.file);
            return Err(DiskError::new(DiskAction::Read, &path, io::ErrorKind::NotFound.into()));
        }
    }
    // A handle leads to the file that once had the name.
    storage.close_files();
    storage.read_at(offset, &mut bytes)?;
    Ok(sha1(&bytes) == *layout.hash_of(piece))
}

/// What the torrent's machine is to think of a failure.
pub(crate) fn trouble(error: &DiskError) -> DiskTrouble {
    let reads = matches!(error.action(), DiskAction::Open | DiskAction::Read | DiskAction::Inspect);
    let kind = match error.kind() {
        DiskErrorKind::NoSpace => TroubleKind::Full,
        DiskErrorKind::TooManyFiles | DiskErrorKind::Busy => TroubleKind::Passing,
        DiskErrorKind::Device | DiskErrorKind::ShortFile if reads => TroubleKind::Damaged,
        DiskErrorKind::Internal => TroubleKind::Defect,
        _ => TroubleKind::Lasting,
    };
    DiskTrouble { message: Printable::new(&error.to_string()), kind }
}
