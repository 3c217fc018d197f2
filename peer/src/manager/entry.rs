//! One torrent of the list.

use std::{collections::VecDeque, sync::Arc};

use potluck_common::{
    control::{RateRecorder, TorrentDetail, TorrentError, TorrentRow, TorrentSnapshot, TorrentSummary},
    metainfo::Metainfo,
};

use super::{
    jobs::Job,
    store::{Known, Record},
    tickets::TicketId,
};
use crate::engine::{Shown, TorrentHandle};

/// One torrent of the list.
#[derive(Debug)]
pub(super) struct Entry {
    /// What is kept of it.
    pub(super) record: Record,
    /// Its rates over time.
    pub(super) rates: RateRecorder,
    /// It, in the engine.
    pub(super) run: Option<Run>,
    /// What is to be done with it, in order.
    pub(super) jobs: VecDeque<(Job, Vec<TicketId>)>,
    /// A job is under way.
    pub(super) is_busy: bool,
    /// It is in the line of those that are to be started.
    pub(super) is_in_line: bool,
    /// Its payload is being checked because somebody asked for that, or is about to be.
    pub(super) is_checked: bool,
    /// It shall run, and waits for its turn.
    pub(super) is_queued: bool,
    /// Its metainfo: where there is no store, or it was just taken in.
    pub(super) metainfo: Option<Metainfo>,
    /// What came of its magnet link and is not in the store yet: until it is, the entry there names only the link.
    pub(super) unkept: Option<Unkept>,
    /// Its lists while it does not run and somebody looks.
    pub(super) rest: Option<Arc<TorrentDetail>>,
    /// A reading of them is under way, the last of so many.
    pub(super) is_reading: bool,
    pub(super) readings: u64,
    /// Why the last one failed.
    pub(super) rest_trouble: Option<TorrentError>,
    /// Its wanted files changed while no machine counts what they need.
    pub(super) is_recount_due: bool,
    /// What is kept of it is not what is known of it.
    pub(super) is_unsaved: bool,
    /// The same of its rates.
    pub(super) has_unsaved_rates: bool,
}

/// The metadata of a magnet link, before it is known to be in the store.
#[derive(Debug)]
pub(super) struct Unkept {
    pub(super) metainfo: Metainfo,
    /// What stands in its `.torrent` file.
    pub(super) bytes: Vec<u8>,
}

/// A torrent in the engine.
#[derive(Debug)]
pub(super) struct Run {
    /// Which of all runs.
    pub(super) number: u64,
    pub(super) handle: TorrentHandle,
    /// `None` as long as that of a magnet link is not known.
    pub(super) metainfo: Option<Metainfo>,
    /// What it last said.
    pub(super) snapshot: Arc<TorrentSnapshot>,
    /// What was counted of what came and was sent in this run.
    pub(super) counted: [u64; 2],
    /// When it was counted, in milliseconds since 1970.
    pub(super) counted_at: u64,
    /// Which of its lists it was asked for.
    pub(super) shown: Shown,
    /// It runs to check its payload, and is stopped then.
    pub(super) is_check: bool,
}

impl Entry {
    pub(super) fn new(record: Record, rates: RateRecorder, metainfo: Option<Metainfo>) -> Self {
        Self {
            record,
            rates,
            run: None,
            jobs: VecDeque::new(),
            is_busy: false,
            is_in_line: false,
            is_checked: false,
            is_queued: false,
            metainfo,
            unkept: None,
            rest: None,
            is_reading: false,
            readings: 0,
            rest_trouble: None,
            is_recount_due: false,
            is_unsaved: false,
            has_unsaved_rates: false,
        }
    }

    /// How it is shown with what it does.
    pub(super) fn row(&self, summary: TorrentSummary) -> TorrentRow {
        TorrentRow { is_queued: self.is_queued, ..self.record.row(summary) }
    }

    /// Its metainfo, where the store has it not.
    pub(super) fn metainfo(&self) -> Option<Metainfo> {
        self.metainfo.clone().or_else(|| Some(self.unkept.as_ref()?.metainfo.clone()))
    }

    /// Its machine runs or ran, and knows what there is of its payload.
    pub(super) fn is_judged(&self) -> bool {
        self.run.as_ref().is_some_and(|run| Known::is_judged(&run.snapshot.summary))
    }

    /// What is known of it where its machine does not know yet, and what is wrong with what is kept of it.
    pub(super) fn complement(&self, summary: &mut TorrentSummary) {
        if !self.is_judged() {
            self.record.known.fill(summary);
            summary.trouble.clone_from(&self.rest_trouble);
        }
    }
}

impl Run {
    /// It has made the lists that it was asked for.
    pub(super) fn has_lists(&self) -> bool {
        self.snapshot.detail.made.cover(self.shown.aspects) && Known::is_judged(&self.snapshot.summary)
    }
}
