//! Shows the progress of one torrent: a bar, plain lines, or JSON.

use std::{collections::BTreeMap, time::Duration};

use indicatif::ProgressBar;
use potluck_common::{
    Printable,
    control::{Event, EventKind, SCHEMA, TorrentSnapshot, TorrentState, TrackerState},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::status::{bar_line, others_in_words, plain_line, progress_json};
use crate::{
    cli::{
        exit::{Outcome, without_numbers},
        output::{Output, Progress},
    },
    theme::{ASCII, UNICODE},
    units::{Bytes, Seconds, percent},
};

/// A plain line is due after this long, or when this share of the whole has come.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
const LINE_PERCENT: u64 = 5;
/// No plain line comes sooner than this, so that a short transfer says nothing but its result.
const LINE_FIRST: Duration = Duration::from_secs(2);
/// A seed has less to tell.
const SEEDING_LINE_INTERVAL: Duration = Duration::from_secs(60);
/// A JSON object is due after this long.
const JSON_INTERVAL: Duration = Duration::from_secs(1);

/// What was said about one torrent, and when.
#[derive(Debug)]
pub(super) struct Reporter {
    bar: ProgressBar,
    /// Before this no plain line is written.
    line_early: Instant,
    state: Option<std::mem::Discriminant<TorrentState>>,
    line_at: Instant,
    line_percent: u64,
    json_at: Instant,
    /// The last failure of each tracker, so that the same is said once.
    tracker_failures: BTreeMap<Printable, Printable>,
}

impl Reporter {
    pub(super) fn new(output: &Output) -> Self {
        let now = Instant::now();
        Self {
            bar: output.status_bar(),
            line_early: now + LINE_FIRST,
            state: None,
            line_at: now + LINE_FIRST,
            line_percent: 0,
            json_at: now,
            tracker_failures: BTreeMap::new(),
        }
    }

    /// Shows the state if that is due.
    pub(super) fn state(&mut self, snapshot: &TorrentSnapshot, output: &Output) -> Outcome {
        // What is remembered is still being read; most often there is nothing to check.
        if matches!(snapshot.state, TorrentState::Checking { total: 0, .. }) {
            return Ok(());
        }
        let state = std::mem::discriminant(&snapshot.state);
        let is_new = self.state.replace(state) != Some(state);
        let now = Instant::now();
        let is_json = output.json || output.progress == Progress::Json;
        if is_json && (is_new || now >= self.json_at) {
            self.json_at = now + JSON_INTERVAL;
            json_line(&progress_json(snapshot), output)?;
        }
        if !is_json {
            self.trackers(snapshot, output);
        }
        match output.progress {
            Progress::Bar => {
                let symbols = if output.ascii { &ASCII } else { &UNICODE };
                self.bar.set_message(bar_line(snapshot, symbols));
            }
            Progress::Lines => self.plain(snapshot, now, output),
            Progress::Json | Progress::None => {}
        }
        Ok(())
    }

    fn plain(&mut self, snapshot: &TorrentSnapshot, now: Instant, output: &Output) {
        let percent = percent(snapshot.wanted_have, snapshot.wanted_size);
        let is_far =
            snapshot.state == TorrentState::Downloading && percent >= self.line_percent + LINE_PERCENT;
        let is_far = is_far && now >= self.line_early;
        if is_far || now >= self.line_at {
            let is_seeding = snapshot.state == TorrentState::Seeding;
            let interval = if is_seeding { SEEDING_LINE_INTERVAL } else { LINE_INTERVAL };
            (self.line_at, self.line_percent) = (now + interval, percent);
            self.line_early = now + LINE_FIRST;
            output.error_line(&plain_line(snapshot));
        }
    }

    /// Says once how each tracker fails, and again when it fails in another way. Snapshots tell that from the first
    /// moment on, events only from when somebody listens.
    fn trackers(&mut self, snapshot: &TorrentSnapshot, output: &Output) {
        for tracker in &snapshot.detail.trackers {
            if tracker.state == TrackerState::Working {
                self.tracker_failures.remove(&tracker.url);
            }
            if tracker.state != TrackerState::Failed {
                continue;
            }
            let before = self.tracker_failures.insert(tracker.url.clone(), tracker.message.clone());
            if before.as_ref() != Some(&tracker.message) {
                let why = without_numbers(tracker.message.as_str());
                let again = tracker
                    .next_seconds
                    .map_or_else(String::new, |s| format!("asking again in {}; ", Seconds(s)));
                let others = others_in_words(snapshot);
                let remedy =
                    if others.is_empty() { "--peer names peers without it".to_owned() } else { others };
                output.warn(format!("tracker {}: {why}; {again}{remedy}", tracker.url));
            }
        }
    }

    /// Tells what happened: everything to a script, what deserves attention to a person.
    pub(super) fn event(event: &Event, name: &str, output: &Output) -> Outcome {
        if output.json || output.progress == Progress::Json {
            let mut value = serde_json::to_value(event).unwrap_or_default();
            value["schema"] = SCHEMA.into();
            return json_line(&value, output);
        }
        match &event.kind {
            EventKind::TrackerReplied { tracker, warning: Some(warning), .. } => {
                output.warn(format!("tracker {tracker} says: {warning}"));
            }
            EventKind::PeerBanned { peer, why } => output.warn(format!("{name}: banned {peer}: {why}")),
            EventKind::HashFailed { piece, .. } => {
                output.warn(format!("{name}: piece {piece} came damaged; fetching it again"));
            }
            EventKind::PieceLost { piece, fetched_again, why: None } => {
                let what = if *fetched_again { "fetching it again" } else { "offering it no more" };
                output.warn(format!("{name}: piece {piece} is damaged on the disk; {what}"));
            }
            EventKind::PieceLost { piece, fetched_again, why: Some(why) } => {
                let what =
                    if *fetched_again { "fetching it again" } else { "not offering it until it can be" };
                output.warn(format!("{name}: piece {piece} cannot be read ({why}); {what}"));
            }
            EventKind::PieceFound { piece } => {
                output.note(format!("{name}: piece {piece} can be read again"));
            }
            EventKind::SuperSeedEnded { why, uploaded } => {
                let sent = Bytes(*uploaded);
                output.note(format!("{name}: super-seeding is over after {sent}: {why}; seeding as usual"));
            }
            EventKind::DiskFull { why } => output.warn(format!("{name}: {why}")),
            EventKind::DiskFreed => output.note(format!("{name}: the disk takes what comes again")),
            EventKind::Stalled { why } if output.progress == Progress::Lines => {
                output.note(format!("{name}: waiting: {why}"));
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes the bar off the screen.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// `--json` speaks on standard output, `--progress json` on standard error.
pub(super) fn json_line(value: &Value, output: &Output) -> Outcome {
    if output.progress == Progress::Json {
        output.error_line(&value.to_string());
    }
    if output.json { output.print_json(value) } else { Ok(()) }
}

/// The JSON event `result`: how one input ended.
pub(super) fn result_json(input: &str, exit: u8, message: &str, snapshot: Option<&TorrentSnapshot>) -> Value {
    json!({
        "schema": SCHEMA,
        "event": "result",
        "input": input,
        "exit": exit,
        "message": message,
        "info_hash": snapshot.map(|s| s.info_hash),
        "name": snapshot.map(|s| &s.name),
        "total_size": snapshot.map(|s| s.total_size),
        "have_size": snapshot.map(|s| s.have_size),
        "downloaded": snapshot.map(|s| s.downloaded),
        "uploaded": snapshot.map(|s| s.uploaded),
        "wasted": snapshot.map(|s| s.wasted),
        "hash_failures": snapshot.map(|s| s.hash_failures),
        "seconds": snapshot.map(|s| s.age_seconds),
    })
}
