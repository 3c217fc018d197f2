//! The long operations of a torrent: starting, stopping, removing. One at a time for each torrent, in the order in which
//! they were asked for; a few torrents are started at a time.

use std::{collections::VecDeque, sync::Arc};

use potluck_common::{
    InfoHash, Printable,
    control::{CommandError, CommandErrorKind, TorrentError, TorrentErrorKind, TorrentState},
};

use super::{
    entry::{Entry, Run},
    list::{List, Message},
    neighbours::{self, Neighbour},
    starting::{Start, Started, priorities_of},
    store::Record,
    tickets::{TicketId, refusal},
};
use crate::{disk::Removal, engine::Shown};

/// So many torrents are read and added to the engine at a time; it looks at the files of eight at once.
const STARTING_MAX: usize = 8;
/// Most jobs of one torrent that wait.
const JOBS_MAX: usize = 16;

/// Something to be done with a torrent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Job {
    /// It shall run.
    Start,
    /// It shall run, and its payload be checked first; or only that, where it is paused.
    Check,
    /// It shall not run.
    Stop,
    /// It shall not be in the list, and with `data` its payload shall not be there.
    Remove {
        /// The payload, too.
        data: bool,
    },
}

/// How a job ended.
pub(super) enum Finished {
    /// It runs, or cannot.
    Started { outcome: Result<Started, CommandError>, is_check: bool, tickets: Vec<TicketId> },
    /// It does not run any more.
    Stopped { run: u64, tickets: Vec<TicketId> },
    /// It was removed from the engine, and its payload as far as it was asked for.
    Removed { outcome: Result<Removal, CommandError>, data: bool, tickets: Vec<TicketId> },
}

impl List {
    /// Has `job` done after those that wait. What a stop makes pointless is not begun.
    pub(super) fn give_job(&mut self, info_hash: InfoHash, job: Job, ticket: Option<TicketId>) {
        if self.queue_job(info_hash, job, ticket) {
            self.next_job(info_hash);
        }
    }

    /// The same, but nothing is begun yet. Says whether there was room for it; else whoever asked is told.
    pub(super) fn queue_job(&mut self, info_hash: InfoHash, job: Job, ticket: Option<TicketId>) -> bool {
        let Some(entry) = self.entries.get_mut(&info_hash) else { return false };
        let ends = matches!(job, Job::Stop | Job::Remove { .. });
        let skipped = entry.drop_jobs(|waiting| ends && matches!(waiting, Job::Start | Job::Check));
        let name = entry.name().to_string();
        let has_room = entry.jobs.len() < JOBS_MAX;
        let is_taken = match entry.jobs.back_mut() {
            // Twice in a row is once.
            Some((last, tickets)) if *last == job => {
                tickets.extend(ticket);
                true
            }
            _ if has_room => {
                entry.jobs.push_back((job, ticket.into_iter().collect()));
                true
            }
            _ => false,
        };
        if !is_taken {
            let error = format!("{name} has too much to do already; wait a moment");
            self.settle(ticket, Err(refusal(CommandErrorKind::Invalid, &error)));
        }
        for (_, tickets) in skipped {
            self.settle_all(tickets, &Ok(name.clone()));
        }
        is_taken
    }

    /// What was to start waits for its turn again.
    pub(super) fn drop_starts(&mut self, info_hash: InfoHash) {
        let Some(entry) = self.entries.get_mut(&info_hash) else { return };
        let (skipped, name) = (entry.drop_jobs(|waiting| *waiting == Job::Start), entry.name().to_string());
        for (_, tickets) in skipped {
            self.settle_all(tickets, &Ok(name.clone()));
        }
    }

    /// A check is over, well or not: who ran for nothing else stops, unless it is to run by now, which waited for that.
    pub(super) fn end_check(&mut self, info_hash: InfoHash) {
        let Some(entry) = self.entries.get(&info_hash) else { return };
        let starts = entry.jobs.iter().any(|(job, _)| *job == Job::Start);
        let has_failed = entry.run.as_ref().is_some_and(Run::is_failed);
        if starts {
            self.next_job(info_hash);
        } else if (entry.record.is_paused || entry.is_queued) && !has_failed {
            self.give_job(info_hash, Job::Stop, None);
        }
    }

    /// Begins the next job of a torrent, if it has one and none is under way.
    pub(super) fn next_job(&mut self, info_hash: InfoHash) {
        let Some(entry) = self.entries.get_mut(&info_hash) else { return };
        if entry.is_busy {
            return;
        }
        let Some(job) = entry.next_job() else { return };
        let is_failed = entry.run.as_ref().is_some_and(Run::is_failed);
        match job {
            Job::Start | Job::Check if self.is_ending => {
                entry.take_job();
                self.next_job(info_hash);
            }
            // It comes to its turn, or it runs already.
            Job::Start
                if entry.is_queued
                    || entry.run.as_ref().is_some_and(|run| !run.is_failed() && !run.is_check) =>
            {
                let (tickets, name) = (entry.take_job(), entry.name().to_string());
                self.settle_all(tickets, &Ok(name));
                self.next_job(info_hash);
            }
            // A check that was asked for goes on to its end before.
            Job::Start if entry.is_being_checked() => {
                let (tickets, name) = (entry.take_tickets(), entry.name().to_string());
                self.settle_all(tickets, &Ok(name));
            }
            // It must leave the engine before it can be started anew.
            Job::Start | Job::Check if entry.run.is_some() => {
                self.stop_run(info_hash, Vec::new(), !is_failed);
            }
            Job::Start | Job::Check => {
                if !std::mem::replace(&mut entry.is_in_line, true) {
                    self.line.push_back(info_hash);
                }
                self.start_next();
            }
            Job::Stop => {
                let tickets = entry.take_job();
                self.stop_run(info_hash, tickets, true);
            }
            Job::Remove { data } => {
                let tickets = entry.take_job();
                self.remove(info_hash, data, tickets);
            }
        }
    }

    fn stop_run(&mut self, info_hash: InfoHash, tickets: Vec<TicketId>, is_shown: bool) {
        let Some(entry) = self.entries.get_mut(&info_hash) else { return };
        let Some(run) = &entry.run else {
            let name = entry.name().to_string();
            // What failed to start is at rest now.
            self.show(info_hash, Some(TorrentState::Stopped));
            self.settle_all(tickets, &Ok(name));
            return self.next_job(info_hash);
        };
        let (handle, run) = (run.handle.clone(), run.number);
        entry.is_busy = true;
        if is_shown {
            self.show(info_hash, Some(TorrentState::Stopping));
        }
        let sender = self.sender.clone();
        tokio::spawn(async move {
            handle.stop().await;
            let _ = sender.send(Message::Finished(info_hash, Box::new(Finished::Stopped { run, tickets })));
        });
    }

    /// Starts those who wait in line, as many as may be.
    fn start_next(&mut self) {
        while self.starting < STARTING_MAX
            && let Some(info_hash) = self.line.pop_front()
        {
            let Some(entry) = self.entries.get_mut(&info_hash) else { continue };
            entry.is_in_line = false;
            let Some(job @ (Job::Start | Job::Check)) = entry.next_job() else { continue };
            if entry.is_busy || entry.run.is_some() {
                continue;
            }
            let tickets = entry.take_job();
            entry.is_busy = true;
            self.starting += 1;
            entry.is_checked = job == Job::Check;
            let is_check = entry.is_checked && (entry.record.is_paused || entry.is_queued);
            let start = Start {
                engine: self.engine.clone(),
                store: self.store.clone(),
                curiosity: Arc::clone(&self.curiosity),
                metainfo: entry.metainfo(),
                record: entry.record.clone(),
                force_check: entry.is_checked,
                is_check,
            };
            if self.store.is_some() {
                entry.metainfo = None;
            }
            self.show(info_hash, Some(TorrentState::Checking { done: 0, total: 0 }));
            let sender = self.sender.clone();
            tokio::spawn(async move {
                let outcome = start.run().await;
                let finished = Finished::Started { outcome, is_check, tickets };
                let _ = sender.send(Message::Finished(info_hash, Box::new(finished)));
            });
        }
    }

    fn remove(&mut self, info_hash: InfoHash, data: bool, tickets: Vec<TicketId>) {
        let neighbours = if data { self.neighbours_of(info_hash) } else { Vec::new() };
        let Some(entry) = self.entries.get_mut(&info_hash) else { return };
        entry.is_busy = true;
        let start = Start {
            engine: self.engine.clone(),
            store: self.store.clone(),
            curiosity: Arc::clone(&self.curiosity),
            metainfo: entry.run.as_ref().and_then(|run| run.metainfo.clone()).or_else(|| entry.metainfo()),
            record: entry.record.clone(),
            force_check: false,
            is_check: true,
        };
        let is_running = entry.run.is_some();
        let noted = data.then(|| self.note_leaving(info_hash));
        self.show(info_hash, Some(TorrentState::Stopping));
        let sender = self.sender.clone();
        tokio::spawn(async move {
            let outcome = if let Some(conflict) = neighbours::conflict(&start.record, neighbours).await {
                Err(conflict)
            } else {
                if let Some(noted) = noted {
                    // Where it cannot be written it goes all the same: the disk may be full of it.
                    let _ = noted.await;
                }
                start.remove(is_running, data).await
            };
            let finished = Finished::Removed { outcome, data, tickets };
            let _ = sender.send(Message::Finished(info_hash, Box::new(finished)));
        });
    }

    /// Other torrents of which the engine does not know what they need, or may not by the time that it would matter.
    fn neighbours_of(&self, info_hash: InfoHash) -> Vec<Neighbour> {
        let others = self.entries.values().filter(|other| {
            let is_unsure = other.run.is_none() || other.is_busy;
            // The data of one that is leaving is to go in any case.
            // Nor has a magnet link any that is known.
            let has_data = other.record.magnet.is_none() && !other.record.is_leaving;
            other.record.info_hash != info_hash && is_unsure && has_data
        });
        others.map(|other| Neighbour::of(&other.record)).collect()
    }

    /// A job is done; the next begins.
    pub(super) fn finished(&mut self, info_hash: InfoHash, finished: Finished) {
        if let Some(entry) = self.entries.get_mut(&info_hash) {
            entry.is_busy = false;
        }
        match finished {
            Finished::Started { outcome, is_check, tickets } => {
                self.starting -= 1;
                self.started(info_hash, outcome, is_check, tickets);
            }
            Finished::Stopped { run, tickets } => {
                self.run_ended(info_hash, run);
                let name = self.entries.get(&info_hash).map(|entry| entry.name().to_string());
                self.settle_all(tickets, &Ok(name.unwrap_or_default()));
                self.save_soon(info_hash);
            }
            Finished::Removed { outcome, data, tickets } => self.removed(info_hash, outcome, data, tickets),
        }
        self.next_job(info_hash);
        self.start_next();
    }

    fn started(
        &mut self,
        info_hash: InfoHash,
        outcome: Result<Started, CommandError>,
        is_check: bool,
        tickets: Vec<TicketId>,
    ) {
        let now_ms = self.clock.unix_ms();
        let Some(entry) = self.entries.get_mut(&info_hash) else { return };
        let name = entry.name().to_string();
        match outcome {
            Ok(Started { handle, metainfo, record }) => {
                self.runs += 1;
                let number = self.runs;
                let snapshot = handle.snapshot();
                let run = Run {
                    number,
                    handle: handle.clone(),
                    metainfo,
                    snapshot,
                    counted: [0, 0],
                    counted_at: now_ms,
                    shown: Shown::default(),
                    is_check,
                };
                entry.run = Some(run);
                self.follow(&handle, number);
                self.catch_up(info_hash, &record);
                self.show_lists(info_hash);
                self.settle_all(tickets, &Ok(name));
            }
            Err(error) => {
                entry.is_checked = false;
                let failure = TorrentError { kind: kind_of(error.kind), message: error.message.clone() };
                self.show(info_hash, Some(TorrentState::Failed(failure)));
                self.settle_all(tickets, &Err(error));
            }
        }
    }

    /// Tells a run what was changed while it was brought into the engine.
    fn catch_up(&self, info_hash: InfoHash, before: &Record) {
        let Some(entry) = self.entries.get(&info_hash) else { return };
        let Some(run) = &entry.run else { return };
        if entry.record.limits != before.limits {
            run.handle.set_limits(entry.record.limits);
        }
        if entry.record.files != before.files
            && let Some(metainfo) = &run.metainfo
        {
            run.handle.set_files(priorities_of(metainfo, &entry.record));
        }
    }

    fn removed(
        &mut self,
        info_hash: InfoHash,
        outcome: Result<Removal, CommandError>,
        data: bool,
        tickets: Vec<TicketId>,
    ) {
        let removal = match outcome {
            Ok(removal) => removal,
            Err(error) => {
                tracing::warn!("a torrent was not removed: {}", error.message);
                if let Some(entry) = self.entries.get_mut(&info_hash) {
                    entry.is_unsaved |= std::mem::take(&mut entry.record.is_leaving);
                }
                self.save_soon(info_hash);
                self.show(info_hash, Some(TorrentState::Stopped));
                return self.settle_all(tickets, &Err(error));
            }
        };
        if let Some(run) = self.entries.get(&info_hash).and_then(|entry| entry.run.as_ref()) {
            // What came last counts for the whole list.
            self.refresh(info_hash, run.number);
        }
        let Some(entry) = self.entries.remove(&info_hash) else { return };
        if let Some(run) = &entry.run {
            self.count_fairness(run);
        }
        self.drop_row(info_hash);
        self.drop_kept(info_hash);
        let words = if data { with_data(entry.name(), &removal) } else { entry.name().to_string() };
        self.settle_all(tickets, &Ok(words));
        let gone = format!("{} was removed", entry.record.name);
        for (_, tickets) in entry.jobs {
            self.settle_all(tickets, &Err(refusal(CommandErrorKind::NotFound, &gone)));
        }
    }

    /// One torrent of a request is done.
    pub(super) fn settle(&mut self, ticket: Option<TicketId>, outcome: Result<String, CommandError>) {
        if let Some((asker, answer)) = ticket.and_then(|ticket| self.tickets.settle(ticket, outcome)) {
            self.answer(asker, answer);
        }
    }

    /// The same for several requests.
    fn settle_all(&mut self, tickets: Vec<TicketId>, outcome: &Result<String, CommandError>) {
        for ticket in tickets {
            self.settle(Some(ticket), outcome.clone());
        }
    }
}

impl Entry {
    /// It runs for nothing but its check, which is not over.
    fn is_being_checked(&self) -> bool {
        self.is_checked && self.run.as_ref().is_some_and(|run| run.is_check && !run.is_failed())
    }

    /// Who waits for the next job need not wait for its end.
    fn take_tickets(&mut self) -> Vec<TicketId> {
        self.jobs.front_mut().map(|(_, tickets)| std::mem::take(tickets)).unwrap_or_default()
    }

    fn next_job(&self) -> Option<Job> {
        self.jobs.front().map(|(job, _)| *job)
    }

    /// Takes away those that need not be done.
    fn drop_jobs(&mut self, is_pointless: impl Fn(&Job) -> bool) -> VecDeque<(Job, Vec<TicketId>)> {
        let (dropped, jobs) = self.jobs.drain(..).partition(|(job, _)| is_pointless(job));
        self.jobs = jobs;
        dropped
    }

    /// The next job is begun, or need not be: gives who waits for it.
    fn take_job(&mut self) -> Vec<TicketId> {
        self.jobs.pop_front().map(|(_, tickets)| tickets).unwrap_or_default()
    }
}

fn with_data(name: &Printable, removal: &Removal) -> String {
    let files = match removal.files {
        1 => "1 file".to_owned(),
        files => format!("{files} files"),
    };
    let kept = match removal.kept {
        0 => String::new(),
        kept => format!("; {kept} stay, as another torrent has them"),
    };
    let left = match &removal.left[..] {
        [] => String::new(),
        [first, ..] => format!("; {} could not be removed: {first}", removal.left.len()),
    };
    format!("{name} and {files} of its data{kept}{left}")
}

fn kind_of(kind: CommandErrorKind) -> TorrentErrorKind {
    match kind {
        CommandErrorKind::Internal => TorrentErrorKind::Internal,
        _ => TorrentErrorKind::Disk,
    }
}

impl Run {
    pub(super) fn is_failed(&self) -> bool {
        matches!(self.snapshot.summary.state, TorrentState::Failed(_))
    }
}
