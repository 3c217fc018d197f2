//! One torrent of a `get` or a `seed`: when it is done, and how it ended.

mod steering;
#[cfg(test)]
pub(super) mod tests;

use std::{path::PathBuf, sync::Arc, time::Duration};

use potluck_common::{
    Printable,
    control::{Event, TorrentSnapshot, TorrentState},
};
use potluck_peer::engine::TorrentHandle;
use tokio::{sync::oneshot, time::Instant};

use super::{
    Signal,
    course::{Course, Step},
    exit_of,
    feed::Tap,
    helm::Answer,
    hook::Hook,
    origin::{Changed, Origin},
    past::Past,
    reporter::{Reporter, json_line, result_json},
    status::ratio,
};
use crate::{
    cli::{
        exit::{Exit, Failure, Outcome},
        output::Output,
    },
    units::{Bytes, PerSecond, Seconds, SeedGoal, count, percent},
};

/// What a torrent is run for.
#[derive(Clone, Debug)]
pub(super) enum Task {
    /// Download, then seed up to a goal, if any.
    Get {
        /// What to seed for.
        seed: Option<SeedGoal>,
        /// What to run when it is complete.
        hook: Option<Hook>,
        /// How long nothing may arrive; zero is for ever.
        stall_timeout: Duration,
    },
    /// Seed until stopped.
    Seed {
        /// What to print once the payload has proved to be there: its magnet link.
        magnet: String,
        /// The addresses that we listen on, in words.
        listen: String,
    },
}

/// One torrent of the command line.
pub(super) struct Item {
    /// What the command line calls it.
    pub(super) input: String,
    /// Its name, safe for a terminal and, once its metadata is known, as a file name.
    pub(super) name: String,
    /// The folder that its payload lies in.
    pub(super) directory: PathBuf,
    /// Its reports, until somebody takes them.
    pub(super) tap: Option<Tap>,
    /// Which reports are those of its present run; none while it has none.
    pub(super) listening: Option<usize>,
    /// Where it is, and what a person wants of it.
    pub(super) course: Course,
    /// What was added, to do so again.
    origin: Origin,
    /// What a person changed of it since, and what of that its last start knew.
    changed: Changed,
    started_with: Changed,
    /// Whether a person wants it to rest, and whether it does, as was told last.
    told_rest: (bool, bool),
    /// It, as it is or was in the engine.
    handle: TorrentHandle,
    /// Its name is that of a magnet link.
    is_unnamed: bool,
    /// What earlier runs did.
    past: Past,
    rested_at: Instant,
    /// How long it rested since it was complete.
    rested: Duration,
    /// It was brought in again or is to be checked, and what of it is there is not known yet.
    is_doubted: bool,
    /// Who waits until nothing is left to do.
    askers: Vec<oneshot::Sender<Answer>>,
    task: Task,
    started: Instant,
    snapshot: Arc<TorrentSnapshot>,
    reporter: Reporter,
    /// When payload last arrived.
    arrived_at: Instant,
    complete_at: Option<Instant>,
    /// The program of `--on-done` runs.
    hook_runs: bool,
    end: Option<Exit>,
}

impl Item {
    pub(super) fn new(
        input: String,
        name: &str,
        directory: PathBuf,
        (handle, origin): (&TorrentHandle, Origin),
        task: Task,
        output: &Output,
    ) -> Self {
        let metainfo = handle.metainfo();
        // A link says of itself what it likes.
        let name = match &metainfo {
            Some(metainfo) => metainfo.name().to_owned(),
            None => Printable::new(name).to_string(),
        };
        Self {
            input,
            name,
            directory,
            snapshot: handle.snapshot(),
            tap: Some(Tap::new(handle)),
            listening: None,
            course: Course::begun(),
            origin,
            changed: Changed::default(),
            started_with: Changed::default(),
            told_rest: (false, false),
            handle: handle.clone(),
            is_unnamed: metainfo.is_none(),
            past: Past::default(),
            rested_at: Instant::now(),
            rested: Duration::ZERO,
            is_doubted: false,
            askers: Vec::new(),
            task,
            started: Instant::now(),
            reporter: Reporter::new(output),
            arrived_at: Instant::now(),
            complete_at: None,
            hook_runs: false,
            end: None,
        }
    }

    /// How it ended, if it has.
    pub(super) fn end(&self) -> Option<Exit> {
        self.end
    }

    /// Takes in a new state. Returns the program to run now, if any, and the next step, if that was awaited.
    pub(super) fn on_snapshot(
        &mut self,
        snapshot: Arc<TorrentSnapshot>,
        output: &Output,
    ) -> Outcome<(Option<Hook>, Option<Step>)> {
        if self.end.is_some() {
            return Ok((None, None));
        }
        let snapshot = self.whole(snapshot);
        let hook = self.take(snapshot, output)?;
        let is_judged = matches!(self.snapshot.state, TorrentState::Downloading | TorrentState::Seeding);
        let step = if is_judged && self.end.is_none() { self.checked() } else { None };
        Ok((hook, step))
    }

    fn take(&mut self, snapshot: Arc<TorrentSnapshot>, output: &Output) -> Outcome<Option<Hook>> {
        let checks = matches!(snapshot.state, TorrentState::Checking { .. });
        if checks || snapshot.downloaded != self.snapshot.downloaded {
            self.arrived_at = Instant::now();
        }
        let is_waiting = matches!(snapshot.state, TorrentState::Metadata { .. });
        if is_waiting && snapshot.state != self.snapshot.state {
            self.arrived_at = Instant::now();
        }
        self.snapshot = snapshot;
        if self.is_unnamed
            && let Some(metainfo) = self.handle.metainfo()
        {
            metainfo.name().clone_into(&mut self.name);
            self.is_unnamed = false;
        }
        self.reporter.state(&self.snapshot, output)?;
        match &self.snapshot.state {
            TorrentState::Failed(error) => {
                let failure = Failure::new(exit_of(error.kind), &self.input, &error.message, "");
                self.fail(&failure, output)?;
            }
            TorrentState::Stopped if self.course.is_running() => {
                self.fail(
                    &Failure::new(Exit::Other, &self.input, "stopped by the engine", "try again"),
                    output,
                )?;
            }
            // Not before it is safe on the disk.
            TorrentState::Seeding if self.snapshot.is_durable && self.complete_at.is_none() => {
                return self.complete(output);
            }
            _ => {}
        }
        Ok(None)
    }

    /// Says what happened.
    pub(super) fn on_event(&self, event: &Event, output: &Output) -> Outcome {
        if self.end.is_some() { Ok(()) } else { Reporter::event(event, &self.name, output) }
    }

    /// The program of `--on-done` has ended.
    pub(super) fn on_hook_end(&mut self, result: Outcome, output: &Output) -> Outcome {
        self.hook_runs = false;
        match result {
            Ok(()) => Ok(()),
            Err(failure) => self.fail(&failure, output),
        }
    }

    /// Time has passed.
    pub(super) fn on_tick(&mut self, output: &Output) -> Outcome {
        if self.end.is_some() {
            return Ok(());
        }
        self.reporter.state(&self.snapshot, output)?;
        if !self.course.is_running() {
            // What it rests does not count.
            return Ok(());
        }
        let Task::Get { seed, stall_timeout, .. } = &self.task else { return Ok(()) };
        let Some(complete_at) = self.complete_at else {
            let waited = self.arrived_at.elapsed();
            let is_there = self.snapshot.state == TorrentState::Seeding;
            if is_there || stall_timeout.is_zero() || waited < *stall_timeout {
                return Ok(());
            }
            let failure = self.stalled(waited);
            return self.fail(&failure, output);
        };
        let is_enough = match *seed {
            None => true,
            Some(SeedGoal::Forever) => false,
            Some(SeedGoal::Ratio(goal)) => ratio(&self.snapshot) >= goal,
            Some(SeedGoal::Time(goal)) => complete_at.elapsed().saturating_sub(self.rested) >= goal,
        };
        if is_enough && !self.hook_runs && !self.is_doubted { self.succeed(output) } else { Ok(()) }
    }

    /// The command's time is up.
    pub(super) fn on_timeout(&mut self, timeout: Duration, output: &Output) -> Outcome {
        if self.end.is_some() || self.complete_at.is_some() {
            return Ok(());
        }
        let after = Seconds(timeout.as_secs());
        let what = if self.is_without_metadata() {
            format!("no metadata after {after}: {}", self.snapshot.stall.clone().unwrap_or_default())
        } else {
            format!("not complete after {after}, at {}", self.share())
        };
        self.fail(&Failure::new(Exit::TimedOut, &self.input, what, GO_ON), output)
    }

    /// Someone wants the command to end.
    pub(super) fn on_signal(&mut self, signal: Signal, output: &Output) -> Outcome {
        if self.end.is_some() {
            return Ok(());
        }
        if self.is_complete() || matches!(self.task, Task::Seed { .. }) {
            return self.succeed(output);
        }
        let exit = match signal {
            Signal::Interrupt => Exit::Stopped,
            Signal::Terminate => Exit::Terminated,
        };
        self.fail(&Failure::new(exit, &self.input, format!("stopped {}", self.place()), GO_ON), output)
    }

    /// Fails, unless it has ended, and says so.
    fn fail(&mut self, failure: &Failure, output: &Output) -> Outcome {
        self.end = Some(failure.exit);
        self.reporter.finish();
        output.fail(failure);
        json_line(
            &result_json(&self.input, failure.exit as u8, &failure.line(), Some(&self.snapshot)),
            output,
        )
    }

    fn complete(&mut self, output: &Output) -> Outcome<Option<Hook>> {
        (self.complete_at, self.rested) = (Some(Instant::now()), Duration::ZERO);
        match &self.task {
            Task::Seed { magnet, listen } => {
                let size = Bytes(self.snapshot.total_size);
                output.note(format!("{}: seeding {size}, listening on {listen}; Ctrl-C ends it", self.name));
                if output.json { Ok(None) } else { output.print(magnet).map(|()| None) }
            }
            Task::Get { hook: Some(hook), .. } => {
                self.hook_runs = true;
                Ok(Some(hook.clone()))
            }
            Task::Get { hook: None, .. } => self.on_tick(output).map(|()| None),
        }
    }

    fn succeed(&mut self, output: &Output) -> Outcome {
        self.end = Some(Exit::Done);
        self.reporter.finish();
        let summary = self.summary();
        if !output.json {
            output.print(&summary)?;
        }
        json_line(&self.result(Exit::Done, &summary), output)
    }

    fn result(&self, exit: Exit, message: &str) -> serde_json::Value {
        let mut result = result_json(&self.input, exit as u8, message, Some(&self.snapshot));
        result["seconds"] = self.started.elapsed().as_secs_f64().into();
        result
    }

    /// One line: how much, how long, how fast, what went wrong, what was given back.
    fn summary(&self) -> String {
        let Self { name, snapshot, .. } = self;
        let sent = format!("sent {} ({:.2}x)", Bytes(snapshot.uploaded), ratio(snapshot));
        if matches!(self.task, Task::Seed { .. }) {
            return format!("{name}: seeded for {}, {sent}", Seconds(self.started.elapsed().as_secs()));
        }
        if snapshot.downloaded == 0 {
            return format!("{name}: already complete, {}, {sent}", Bytes(snapshot.wanted_size));
        }
        let taken = self.complete_at.map_or_else(|| self.started.elapsed(), |at| at - self.started);
        let taken = taken.as_secs_f64().max(0.001);
        let rate = PerSecond((snapshot.downloaded as f64 / taken) as u64);
        let wasted = note(snapshot.wasted, |bytes| format!(", {} wasted", Bytes(bytes)));
        let failures = u64::from(snapshot.hash_failures);
        let damaged = note(failures, |pieces| format!(", {} came damaged", count(pieces, "piece")));
        let size = Bytes(snapshot.wanted_size);
        format!("{name}: complete, {size} in {taken:.1} s ({rate}), {sent}{wasted}{damaged}")
    }

    fn stalled(&self, waited: Duration) -> Failure {
        if let Some(trouble) = &self.snapshot.trouble {
            return Failure::new(Exit::Disk, &self.input, &trouble.message, "");
        }
        let what = format!("nothing arrived for {}, {}", Seconds(waited.as_secs()), self.place());
        let what = match &self.snapshot.stall {
            Some(why) => format!("{what}: {why}"),
            None if self.snapshot.seeds_connected + self.snapshot.leechers_connected == 0 => {
                format!("{what}: no peer is connected")
            }
            None => what,
        };
        Failure::new(Exit::TimedOut, &self.input, what, GO_ON)
    }

    /// All of it came, and nothing speaks against that it is still there.
    fn is_complete(&self) -> bool {
        self.complete_at.is_some() && !self.is_doubted
    }

    /// Also while it rests, or goes on and has not said anything yet.
    fn is_without_metadata(&self) -> bool {
        self.is_unnamed || matches!(self.snapshot.state, TorrentState::Metadata { .. })
    }

    /// How far it came.
    fn place(&self) -> String {
        if self.is_without_metadata() {
            "without the metadata".to_owned()
        } else if self.complete_at.is_some() && self.is_doubted {
            "before its check was done".to_owned()
        } else {
            format!("at {}", self.share())
        }
    }

    fn share(&self) -> String {
        format!("{} %", percent(self.snapshot.wanted_have, self.snapshot.wanted_size))
    }
}

/// Nothing for 0, else what `text` makes of it.
fn note(number: u64, text: impl FnOnce(u64) -> String) -> String {
    if number == 0 { String::new() } else { text(number) }
}

const GO_ON: &str = "the same command goes on from there";
