//! A long job of the disk, with its progress shown.

use std::{
    thread,
    time::{Duration, Instant},
};

use potluck_peer::disk::Progress as DiskProgress;
use serde_json::json;

use super::output::{Output, Progress};
use crate::{
    theme::{ASCII, UNICODE},
    units::{Bytes, PerSecond, percent},
    view::bar,
};

/// How often a bar is redrawn.
const REDRAW_INTERVAL: Duration = Duration::from_millis(100);
/// How often a plain line is due, and the share of the work after which one is due earlier.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
const LINE_PERCENT: u64 = 5;
/// A job shorter than this says nothing in plain lines.
const LINE_FIRST: Duration = Duration::from_secs(2);
const BAR_WIDTH: usize = 24;

/// Runs `work` on a thread of its own while `progress` is shown as `verb`: "hashing", "checking".
pub fn watched<T: Send>(
    verb: &str,
    progress: &DiskProgress,
    output: &Output,
    work: impl FnOnce() -> T + Send,
) -> T {
    thread::scope(|scope| {
        let waiting = thread::current();
        let worker = scope.spawn(move || {
            let result = work();
            waiting.unpark();
            result
        });
        let mut shown = Shown::new(verb, output);
        while !worker.is_finished() {
            shown.update(progress.done(), progress.total());
            thread::park_timeout(REDRAW_INTERVAL);
        }
        shown.clear();
        match worker.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

struct Shown<'a> {
    verb: &'a str,
    output: &'a Output,
    bar: indicatif::ProgressBar,
    began: Instant,
    line_at: Instant,
    line_percent: u64,
}

impl<'a> Shown<'a> {
    fn new(verb: &'a str, output: &'a Output) -> Self {
        let began = Instant::now();
        Self { verb, output, bar: output.status_bar(), began, line_at: began + LINE_FIRST, line_percent: 0 }
    }

    fn update(&mut self, done: u64, total: u64) {
        match self.output.progress {
            Progress::None => {}
            Progress::Bar => self.bar.set_message(self.bar_line(done, total)),
            Progress::Lines | Progress::Json => self.line(done, total),
        }
    }

    fn bar_line(&self, done: u64, total: u64) -> String {
        let symbols = if self.output.ascii { &ASCII } else { &UNICODE };
        let (filled, rest) = bar(done, total.max(1), BAR_WIDTH, symbols);
        let rate = done as f64 / self.began.elapsed().as_secs_f64().max(0.001);
        let (percent, rate) = (percent(done, total.max(1)), PerSecond(rate as u64));
        format!("{} {percent:>3} % {filled}{rest} {}/{}  {rate}", self.verb, Bytes(done), Bytes(total))
    }

    fn line(&mut self, done: u64, total: u64) {
        let now = Instant::now();
        let percent = percent(done, total.max(1));
        if now < self.line_at && (now < self.began + LINE_FIRST || percent < self.line_percent + LINE_PERCENT)
        {
            return;
        }
        (self.line_at, self.line_percent) = (now + LINE_INTERVAL, percent);
        let line = if self.output.progress == Progress::Json {
            json!({"schema": 1, "event": self.verb, "done": done, "total": total}).to_string()
        } else {
            format!("{}: {percent} %, {} of {}", self.verb, Bytes(done), Bytes(total))
        };
        self.output.error_line(&line);
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
