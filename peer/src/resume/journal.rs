//! The resume state of one torrent together with its payload: what is believed at the start, and what may be claimed
//! when.
//!
//! All methods block on the disk.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use potluck_common::{Bitfield, Geometry, PieceIndex, Printable};

use super::{
    Entry, Totals, Trust, Verdict,
    judge::{all_in, judge, missing, pieces_of},
    state::{FileMark, PEERS_MAX, ResumeState, Written},
};
use crate::disk::{DiskAction, DiskError, DiskErrorKind, FileStamp, LayoutFile, Storage};

/// Files that nobody has modified for this long are on their device by all that systems promise, and need not be synced
/// before what was read of them is claimed: an old payload of many small files is checked without a sync for each.
const LONG_ON_DISK: Duration = Duration::from_secs(3600);

/// So long after a claim at most the next one comes while a file is written to, with a slow sync in between. Were it longer,
/// a crash in between would cost hashing that file.
const WRITES_AFTER_CLAIM_MAX: Duration = Duration::from_secs(360);

/// How a torrent's start is to treat what is remembered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Opening<'a> {
    /// Believe what agrees.
    Trusting,
    /// The caller hashed every file when it was like this.
    Vouched(&'a [FileStamp]),
    /// Believe nothing.
    Doubting,
}

/// The state of one torrent, and how far it may be written down.
#[derive(Debug)]
pub(crate) struct Journal {
    /// `None` remembers nothing beyond this run.
    entry: Option<Entry>,
    state: ResumeState,
    /// As the entry holds it.
    saved: Option<ResumeState>,
    /// Pieces that this run had and that proved damaged. They may turn out well: the next start looks again.
    lost: Bitfield,
    /// What the payload got in earlier runs.
    earlier: Totals,
    /// Why a sync has failed: what was written since the last good one may be lost although it reads well, and nothing
    /// about it may be claimed any more.
    broken: Option<DiskError>,
    /// What others wrote cannot be made durable: nothing more is written down in this run.
    is_mute: bool,
    /// Files that others wrote to and that could not be opened to make them durable.
    owed: BTreeSet<usize>,
    /// An entry that cannot be written was complained about.
    has_complained: bool,
}

impl Journal {
    /// The journal of a torrent of which nothing is known yet.
    pub(crate) fn new(entry: Option<Entry>, unknown: ResumeState) -> Self {
        Self {
            entry,
            lost: Bitfield::empty(unknown.have.pieces()),
            state: unknown,
            saved: None,
            earlier: Totals::default(),
            broken: None,
            is_mute: false,
            owed: BTreeSet::new(),
            has_complained: false,
        }
    }

    /// Whether anything is kept.
    pub(crate) fn keeps(&self) -> bool {
        self.entry.is_some() && !self.is_mute
    }

    /// Reads what is remembered and judges it by the files as they are. `wanted` has one value a file.
    pub(crate) fn open(
        &mut self,
        storage: &Storage,
        wanted: &[bool],
        opening: Opening<'_>,
    ) -> Result<Verdict, DiskError> {
        // What is still open may lie on a drive that has gone meanwhile.
        storage.close_files();
        let stamps = storage.stamps(|_| true)?;
        self.saved = self.entry.as_mut().map_or(Ok(None), Entry::load)?;
        if let Some(saved) = &self.saved {
            self.earlier = Totals { downloaded: saved.downloaded, uploaded: saved.uploaded };
            self.state.peers.clone_from(&saved.peers);
        }
        let remembered = match (opening, &self.saved) {
            (Opening::Vouched(vouched), _) => self.vouched(storage, vouched),
            (_, Some(saved)) => saved.clone(),
            (_, None) => {
                let (pieces, files) = (self.state.have.pieces(), self.state.files.len());
                ResumeState::unknown(self.state.info_hash, pieces, files)
            }
        };
        let verdict = if opening == Opening::Doubting {
            Verdict::Trust(Trust::nothing(remembered.have.pieces()))
        } else {
            judge(storage.layout(), wanted, &remembered, &stamps)
        };
        if let Verdict::Trust(trust) = &verdict {
            self.forget_doubtful(storage, trust);
            self.begin(storage, remembered, trust, &stamps);
            match opening {
                Opening::Vouched(_) => self.sync_volatile(storage),
                Opening::Doubting => {
                    // Who doubts what is not there begins anew.
                    self.forget_lacking(storage, wanted);
                    // Else the next start would believe again what this one was told to doubt.
                    self.save();
                }
                Opening::Trusting => {}
            }
        }
        Ok(verdict)
    }

    /// Where peers were met in earlier runs, once this was opened; whatever became of the files.
    pub(crate) fn peers(&self) -> &[SocketAddr] {
        &self.state.peers
    }

    /// From the next time on that anything is written down, these are the peers for the next run.
    pub(crate) fn note_peers(&mut self, peers: Vec<SocketAddr>) {
        self.state.peers = peers;
        self.state.peers.truncate(PEERS_MAX);
    }

    /// What was hashed may have been read from the system's memory.
    fn sync_volatile(&mut self, storage: &Storage) {
        for (number, file) in storage.layout().files().iter().enumerate() {
            if !self.keeps() || file.padding || !self.may_be_volatile(storage, number) {
                continue;
            }
            self.sync_of_others(number, storage.sync_file(number));
        }
    }

    /// A state that claims everything, for a payload whose files were like this when they were hashed.
    fn vouched(&self, storage: &Storage, vouched: &[FileStamp]) -> ResumeState {
        let pieces = self.state.have.pieces();
        let mut stamps = vouched.iter();
        let files = storage.layout().files().iter().map(|file| {
            let stamp = if file.padding { None } else { stamps.next() };
            stamp.map_or(FileMark::Absent, |stamp| FileMark::Settled(*stamp))
        });
        ResumeState {
            have: Bitfield::full(pieces),
            known: Bitfield::full(pieces),
            files: files.collect(),
            ..self.state.clone()
        }
    }

    /// What an earlier run was writing and could not claim may be in the system's memory only, because its device
    /// refused it: that is to be hashed from the device.
    fn forget_doubtful(&self, storage: &Storage, trust: &Trust) {
        let Some(saved) = &self.saved else { return };
        let geometry = storage.layout().geometry();
        for (mark, file) in saved.files.iter().zip(storage.layout().files()) {
            if !matches!(mark, FileMark::Writing(_)) {
                continue;
            }
            for piece in pieces_of(geometry, file).filter(|piece| trust.check.has(*piece)) {
                let offset = geometry.offset_of(piece).max(file.offset);
                let end = (geometry.offset_of(piece) + u64::from(geometry.length_of(piece)))
                    .min(file.offset + file.length);
                storage.forget_cached(offset, (end - offset) as usize);
            }
        }
    }

    /// What is known from now on: what is trusted, of files as they are.
    fn begin(
        &mut self,
        storage: &Storage,
        remembered: ResumeState,
        trust: &Trust,
        stamps: &[Option<FileStamp>],
    ) {
        let mut known = Bitfield::full(trust.have.pieces());
        for piece in trust.check.iter(storage.layout().geometry()) {
            known.remove(piece);
        }
        (self.state.have, self.state.once) = (remembered.have, remembered.once);
        self.state.set_have(&trust.have, storage.layout().geometry());
        self.state.known = known;
        self.state.files =
            stamps.iter().map(|stamp| stamp.map_or(FileMark::Absent, FileMark::Settled)).collect();
        (self.state.downloaded, self.state.uploaded) = (self.earlier.downloaded, self.earlier.uploaded);
    }

    /// The pieces of wanted files that are not all there are missed no more.
    fn forget_lacking(&mut self, storage: &Storage, wanted: &[bool]) {
        let geometry = storage.layout().geometry();
        for (number, file) in storage.layout().files().iter().enumerate() {
            let length = length_of(self.state.files[number]).unwrap_or(0);
            if wanted[number] && !file.padding && length < file.length {
                for piece in pieces_of(geometry, file) {
                    self.state.once.remove(piece);
                }
            }
        }
    }

    /// After a check, the first wanted file that was there when it began and is missing now, if all that is wanted was
    /// there once: what the check did not find in it says nothing.
    pub(crate) fn missing(&self, storage: &Storage, wanted: &[bool]) -> Result<Option<usize>, DiskError> {
        Ok(missing(storage.layout(), wanted, &self.state, &storage.stamps(|file| wanted[file])?))
    }

    /// Takes in what a check has found so far, and writes it down. `found` holds, and `looked_at` was looked at.
    pub(crate) fn checked(&mut self, storage: &Storage, found: &Bitfield, looked_at: &Bitfield) {
        self.checked_by(storage, found, looked_at, |file| storage.sync_file(file));
    }

    /// As [`Journal::checked`], with `sync` to make what others wrote to a file durable.
    pub(super) fn checked_by(
        &mut self,
        storage: &Storage,
        found: &Bitfield,
        looked_at: &Bitfield,
        sync: impl Fn(usize) -> Result<(), DiskError>,
    ) {
        if !self.keeps() {
            return;
        }
        let geometry = storage.layout().geometry();
        for (number, file) in storage.layout().files().iter().enumerate() {
            let is_news = |piece| found.has(piece) && !self.state.have.has(piece);
            let has_news = !file.padding && pieces_of(geometry, file).any(is_news);
            if has_news && self.may_be_volatile(storage, number) {
                self.sync_of_others(number, sync(number));
            }
        }
        let is_owed = |piece: &PieceIndex| {
            self.owed.iter().any(|file| is_part_of(&storage.layout().files()[*file], geometry, *piece))
        };
        let looked_at: Vec<_> = looked_at.iter(geometry).filter(|piece| !is_owed(piece)).collect();
        for piece in looked_at {
            if found.has(piece) {
                self.state.have.insert(piece);
                self.state.once.remove(piece);
            }
            // One that was there is given up once the check is over: it may be the drive that has gone.
            if !self.state.once.has(piece) {
                self.state.known.insert(piece);
            }
        }
        self.save();
    }

    /// What an earlier run or somebody else wrote to a file must be durable before what was read of it is claimed. Where
    /// that fails the run goes on, and claims nothing; where it could not be tried, nothing of that file for now.
    fn sync_of_others(&mut self, file: usize, synced: Result<(), DiskError>) {
        match synced {
            Ok(()) => drop(self.owed.remove(&file)),
            Err(error) if is_untried(&error) => drop(self.owed.insert(file)),
            Err(error) => {
                tracing::warn!(%error, "what was checked is not remembered");
                self.is_mute = true;
            }
        }
    }

    /// Whether what can be read of a file might not be on its device yet.
    pub(super) fn may_be_volatile(&self, storage: &Storage, file: usize) -> bool {
        let was_writing = |saved: &ResumeState| matches!(saved.files[file], FileMark::Writing(_));
        if self.saved.as_ref().is_some_and(was_writing) {
            return true;
        }
        !is_long_on_disk(storage.changed_ns(file), now_ns())
    }

    /// A run begins that has the pieces `have`. Files that it may write to are marked so before it does: those with
    /// wanted pieces to come, those to be cut to their length, and empty ones to be made.
    pub(crate) fn running(&mut self, storage: &Storage, wanted: &[bool], have: &Bitfield, writes: bool) {
        for file in std::mem::take(&mut self.owed) {
            self.sync_of_others(file, storage.sync_file(file));
        }
        // From now on all that is there is claimed.
        self.is_mute |= !self.owed.is_empty();
        self.state.set_have(have, storage.layout().geometry());
        self.state.known = Bitfield::full(have.pieces());
        if writes {
            self.mark_to_come(storage, wanted, have);
        }
        self.save();
    }

    /// Other files are wanted of a run that has the pieces `have` and downloads; they are marked as in [`Journal::running`].
    pub(crate) fn wanting(&mut self, storage: &Storage, wanted: &[bool], have: &Bitfield) {
        self.mark_to_come(storage, wanted, have);
        self.save();
    }

    /// Marks the files that will be written to if these are wanted.
    fn mark_to_come(&mut self, storage: &Storage, wanted: &[bool], have: &Bitfield) {
        // They are fetched anew, and may stay incomplete.
        self.forget_lacking(storage, wanted);
        let to_come = pieces_to_come(storage, wanted, have);
        let geometry = storage.layout().geometry();
        for (number, file) in storage.layout().files().iter().enumerate().filter(|(_, file)| !file.padding) {
            let length = length_of(self.state.files[number]);
            let is_odd = wanted[number] && length.is_none_or(|length| length > file.length);
            if is_odd || pieces_of(geometry, file).any(|piece| to_come.has(piece)) {
                self.state.files[number] = being_written(stamp_of(self.state.files[number]));
            }
        }
    }

    /// Claims the pieces `have`, all of which were written before this was called: makes them durable, then writes it
    /// down. On an error nothing is claimed, now or later.
    pub(crate) fn claim(
        &mut self,
        storage: &Storage,
        have: &Bitfield,
        totals: Totals,
    ) -> Result<(), DiskError> {
        self.record(storage, have, totals, |file, stamp| {
            // While pieces are to come its time says nothing.
            let is_over = all_in(have, storage.layout().geometry(), file);
            if is_over && stamp.length <= file.length {
                FileMark::Settled(stamp)
            } else {
                being_written(stamp)
            }
        })
    }

    /// As [`Journal::claim`], at the end of a run: nothing is written after this.
    pub(crate) fn close(
        &mut self,
        storage: &Storage,
        have: &Bitfield,
        totals: Totals,
    ) -> Result<(), DiskError> {
        let recorded = self.record(storage, have, totals, |_, stamp| FileMark::Settled(stamp));
        self.release();
        recorded
    }

    /// Gives up the entry, with its lock, whoever still holds this.
    pub(crate) fn release(&mut self) {
        self.entry = None;
    }

    fn record(
        &mut self,
        storage: &Storage,
        have: &Bitfield,
        totals: Totals,
        mark: impl Fn(&LayoutFile, FileStamp) -> FileMark,
    ) -> Result<(), DiskError> {
        self.mark_lost(storage, have);
        // Lengths are taken before the sync, so that no power cut can leave a file shorter than was noted.
        let marks = self.marks_of_written(storage, mark);
        self.sync(storage)?;
        let marks = marks.inspect_err(|error| self.judge_failure(error));
        if !self.keeps() {
            return Ok(());
        }
        self.state.files = marks?;
        self.state.set_have(have, storage.layout().geometry());
        self.state.known = Bitfield::full(have.pieces());
        for piece in self.lost.iter_difference(have, storage.layout().geometry()) {
            self.state.known.remove(piece);
        }
        self.state.downloaded = self.earlier.downloaded.saturating_add(totals.downloaded);
        self.state.uploaded = self.earlier.uploaded.saturating_add(totals.uploaded);
        self.save();
        Ok(())
    }

    /// Pieces that were there and proved damaged are fetched again: the files that they lie in are written to.
    fn mark_lost(&mut self, storage: &Storage, have: &Bitfield) {
        let geometry = storage.layout().geometry();
        let lost: Vec<_> = self.state.have.iter_difference(have, geometry).collect();
        for piece in &lost {
            self.lost.insert(*piece);
        }
        if lost.is_empty() {
            return;
        }
        for (mark, file) in self.state.files.iter_mut().zip(storage.layout().files()) {
            if let FileMark::Settled(stamp) = *mark
                && pieces_of(geometry, file).any(|piece| lost.contains(&piece))
            {
                *mark = being_written(stamp);
            }
        }
    }

    /// Makes what was written durable without claiming it. Once this has failed it fails for good: a second sync would
    /// succeed, and tell nothing about what the first one lost.
    pub(crate) fn sync(&mut self, storage: &Storage) -> Result<(), DiskError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        storage.sync().inspect_err(|error| self.judge_failure(error))
    }

    /// Only where no file could be opened nothing was tried, and nothing lost.
    fn judge_failure(&mut self, error: &DiskError) {
        if error.kind() != DiskErrorKind::TooManyFiles {
            self.broken = Some(error.clone());
        }
    }

    /// New marks for the files that this run may write to. The others keep theirs: were they looked at again, a change
    /// by somebody else would be taken for ours.
    fn marks_of_written(
        &self,
        storage: &Storage,
        mark: impl Fn(&LayoutFile, FileStamp) -> FileMark,
    ) -> Result<Vec<FileMark>, DiskError> {
        let is_written =
            |number: usize| matches!(self.state.files[number], FileMark::Writing(_)) && self.keeps();
        (0..self.state.files.len())
            .filter(|file| is_written(*file))
            .try_for_each(|file| storage.must_be_in_place(file))?;
        let stamps = storage.stamps(is_written)?;
        let files = storage.layout().files().iter().zip(&self.state.files).zip(stamps);
        Ok(files.map(|((file, old), stamp)| stamp.map_or(*old, |stamp| mark(file, stamp))).collect())
    }

    /// Writes the state down if it is another than the last one. A failure costs the next start some hashing, and is
    /// said once.
    fn save(&mut self) {
        let Some(entry) = self.entry.as_mut().filter(|_| !self.is_mute) else { return };
        let is_same = |saved: &ResumeState| {
            *saved == ResumeState { generation: saved.generation, ..self.state.clone() }
        };
        if self.broken.is_some() || self.saved.as_ref().is_some_and(is_same) {
            return;
        }
        let withdraws =
            self.saved.as_ref().is_some_and(|saved| saved.have.count_difference(&self.state.have) > 0);
        let result = entry.save(&mut self.state).and_then(|()| {
            // Else a fallback to it would claim what has proved wrong.
            if withdraws { entry.forget_previous() } else { Ok(()) }
        });
        match result {
            Ok(()) => self.saved = Some(self.state.clone()),
            Err(error) if !self.has_complained => {
                self.has_complained = true;
                let error = Printable::new(&error.to_string());
                tracing::warn!(%error, "the resume state cannot be saved: the next start may have to check more");
            }
            Err(_) => {}
        }
    }
}

/// Whether it failed before anything was tried that could lose data.
fn is_untried(error: &DiskError) -> bool {
    match error.kind() {
        DiskErrorKind::TooManyFiles => true,
        DiskErrorKind::Busy => error.action() == DiskAction::Open,
        _ => false,
    }
}

fn is_part_of(file: &LayoutFile, geometry: &Geometry, piece: PieceIndex) -> bool {
    geometry.pieces_of_range(file.offset, file.length).contains(&piece.get())
}

/// The wanted pieces that are not there.
fn pieces_to_come(storage: &Storage, wanted: &[bool], have: &Bitfield) -> Bitfield {
    let geometry = storage.layout().geometry();
    let mut to_come = Bitfield::empty(geometry.pieces());
    let files = storage.layout().files().iter().zip(wanted);
    for (file, _) in files.filter(|(file, wanted)| **wanted && !file.padding) {
        for piece in pieces_of(geometry, file).filter(|piece| !have.has(*piece)) {
            to_come.insert(piece);
        }
    }
    to_come
}

fn length_of(mark: FileMark) -> Option<u64> {
    match mark {
        FileMark::Absent => None,
        FileMark::Settled(stamp) => Some(stamp.length),
        FileMark::Writing(written) => Some(written.stamp.length),
    }
}

fn stamp_of(mark: FileMark) -> FileStamp {
    match mark {
        FileMark::Absent => FileStamp { length: 0, modified_ns: FileStamp::UNKNOWN },
        FileMark::Settled(stamp) => stamp,
        FileMark::Writing(written) => written.stamp,
    }
}

/// The mark of a file that is like this now and is written to from now on.
fn being_written(stamp: FileStamp) -> FileMark {
    // The time of a file comes from the clock of its server.
    let until_ns = now_ns().max(stamp.modified_ns).saturating_add(WRITES_AFTER_CLAIM_MAX.as_nanos() as i64);
    FileMark::Writing(Written { stamp, until_ns })
}

/// Whether so long has passed since `then` that the system has written everything to the device of its own accord. Both in
/// nanoseconds since 1970; a time in the future tells nothing.
fn is_long_on_disk(then: i64, now: i64) -> bool {
    then != FileStamp::UNKNOWN && then <= now && now.saturating_sub(then) >= LONG_ON_DISK.as_nanos() as i64
}

/// In nanoseconds since 1970, by the system's clock.
fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    i64::try_from(since).unwrap_or(i64::MAX)
}
