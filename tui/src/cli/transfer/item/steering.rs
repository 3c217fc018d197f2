//! A torrent of a command as a person steers it: paused, gone on with, checked anew, removed.

#[cfg(test)]
mod tests;

use std::{mem, path::PathBuf, sync::Arc};

use potluck_common::control::{FilePriority, Limits, TorrentSnapshot, TorrentState};
use potluck_peer::{
    disk::Removal,
    engine::{Engine, TorrentHandle},
};
use tokio::{sync::oneshot, time::Instant};

use super::{GO_ON, Item, Tap};
use crate::{
    cli::{
        exit::{Exit, Failure, Outcome},
        output::Output,
        transfer::{
            course::{Step, Wish},
            exit_of,
            helm::{Answer, Change},
            origin::{Changed, Errand, Stepped},
            past::{Past, at_rest},
        },
    },
    units::count,
};

impl Item {
    /// A person wants something of it, and hears of it when nothing is left to do. The next step, if one is to be taken now.
    pub(in crate::cli::transfer) fn wish(
        &mut self,
        wish: Wish,
        asker: oneshot::Sender<Answer>,
    ) -> Option<Step> {
        if let Some(why) = self.refusal(wish) {
            // Who asked may have left.
            let _ = asker.send(Err(format!("{}: {why}", self.name)));
            return None;
        }
        self.askers.push(asker);
        let step = self.course.wish(wish);
        self.answer_if_settled();
        step
    }

    fn refusal(&self, wish: Wish) -> Option<&'static str> {
        match (self.end, wish) {
            _ if self.course.is_gone() => Some("it is not here any more"),
            (None, Wish::Verify) if self.is_without_metadata() => {
                Some("it waits for its metadata: there is nothing to verify yet")
            }
            (Some(Exit::Done), Wish::Verify) => {
                Some("it is complete, and that was told; potluck verify checks it")
            }
            (None | Some(Exit::Done), _) | (Some(_), Wish::Remove { .. }) => None,
            (Some(_), _) => Some("it has ended; the same command tries again"),
        }
    }

    /// It is limited so, from now on and when it is started again.
    pub(in crate::cli::transfer) fn limit(&mut self, limits: Limits) {
        self.changed.limits = limits;
        self.handle.set_limits(limits);
    }

    /// Files are wanted so much, from now on and when it is started again.
    pub(in crate::cli::transfer) fn want_files(&mut self, files: Vec<(usize, FilePriority)>) {
        self.changed.files.extend(files.iter().copied());
        self.handle.set_files(files);
    }

    /// All that is needed for a step.
    pub(in crate::cli::transfer) fn errand(&mut self, step: Step, engine: &Engine) -> Errand {
        self.started_with = self.changed.clone();
        // A file may have changed while it was out.
        self.is_doubted |= matches!(step, Step::Start { .. });
        Errand {
            step,
            engine: engine.clone(),
            input: self.input.clone(),
            origin: self.origin.clone(),
            changed: self.changed.clone(),
            handle: self.handle.clone(),
        }
    }

    /// A step is done. What changed for whoever shows it, and the next step.
    pub(in crate::cli::transfer) fn stepped(
        &mut self,
        stepped: Stepped,
        number: usize,
        output: &Output,
    ) -> Outcome<(Option<Change>, Option<Step>)> {
        let (change, step) = match stepped {
            Stepped::Stopped => (None, self.stopped(output)?),
            Stepped::Started(Ok(handle)) => {
                let change = self.began(handle, number);
                (Some(change), self.course.started(true))
            }
            Stepped::Started(Err(failure)) => {
                self.refuse_askers(&failure);
                if failure.exit == Exit::Conflict {
                    // Somebody else took it meanwhile: it can be tried again.
                    self.show_rest(output)?;
                } else {
                    self.fail_unless_ended(&failure, output)?;
                }
                (None, self.course.started(false))
            }
            Stepped::Removed(Ok(removal)) => {
                self.removed(&removal, output)?;
                (Some(Change::Gone(number)), self.course.removed(true))
            }
            Stepped::Removed(Err(failure)) => {
                self.refuse_askers(&failure);
                if self.listening.take().is_some() {
                    self.past = Past::of(&self.past.onto(self.handle.snapshot()));
                    self.rested_at = Instant::now();
                }
                self.show_rest(output)?;
                (None, self.course.removed(false))
            }
        };
        self.answer_if_settled();
        Ok((change, step))
    }

    /// A step is done while the command ends: nothing follows it, and nobody can try again.
    pub(in crate::cli::transfer) fn stepped_last(
        &mut self,
        stepped: Stepped,
        number: usize,
        output: &Output,
    ) -> Outcome {
        if let Stepped::Removed(Err(failure)) = &stepped {
            if self.end.is_some() {
                output.fail(failure);
            } else {
                self.fail(failure, output)?;
            }
        }
        self.stepped(stepped, number, output).map(|_| ())
    }

    /// Whether a person wants it to rest, and whether it does, if that is news.
    pub(in crate::cli::transfer) fn rest_news(&mut self) -> Option<(bool, bool)> {
        let rest = (self.course.is_paused(), self.course.is_at_rest());
        (mem::replace(&mut self.told_rest, rest) != rest).then_some(rest)
    }

    /// Its last state stays, and what it counted goes on.
    fn stopped(&mut self, output: &Output) -> Outcome<Option<Step>> {
        self.listening = None;
        let last = self.past.onto(self.handle.snapshot());
        self.past = Past::of(&last);
        self.rested_at = Instant::now();
        if let TorrentState::Failed(error) = &last.state {
            let failure = Failure::new(exit_of(error.kind), &self.input, &error.message, "");
            self.fail_unless_ended(&failure, output)?;
        }
        self.snapshot = last;
        let step = self.course.stopped();
        if step.is_none() {
            self.show_rest(output)?;
        }
        Ok(step)
    }

    fn show_rest(&mut self, output: &Output) -> Outcome {
        self.snapshot = at_rest(&self.snapshot);
        if self.end.is_some() { Ok(()) } else { self.reporter.state(&self.snapshot, output) }
    }

    /// It is in the engine again, and what it rested does not count.
    fn began(&mut self, handle: TorrentHandle, number: usize) -> Change {
        self.rested += self.rested_at.elapsed();
        self.arrived_at = Instant::now();
        // What was changed while it was on its way.
        if self.changed.limits != self.started_with.limits {
            handle.set_limits(self.changed.limits);
        }
        let Changed { files, .. } = &self.started_with;
        let news = self.changed.files.iter().filter(|(file, priority)| files.get(file) != Some(priority));
        let news: Vec<_> = news.map(|(file, priority)| (*file, *priority)).collect();
        if !news.is_empty() {
            handle.set_files(news);
        }
        self.handle = handle.clone();
        self.tap = Some(Tap::new(&handle));
        let events = handle.events();
        Change::Began(number, handle, events, self.past.clone())
    }

    /// It is known what of it is there. The next step, if that was awaited.
    pub(super) fn checked(&mut self) -> Option<Step> {
        let is_whole = self.snapshot.wanted_have == self.snapshot.wanted_size;
        if mem::take(&mut self.is_doubted) && !is_whole {
            // It is fetched again, and then complete anew.
            self.complete_at = None;
        }
        self.course.checked()
    }

    fn removed(&mut self, removal: &Removal, output: &Output) -> Outcome {
        self.listening = None;
        let words = in_words(removal);
        for asker in self.askers.drain(..) {
            let _ = asker.send(Ok(format!("{}{words}", self.name)));
        }
        for left in &removal.left {
            output.warn(format!("{}: {left}", self.name));
        }
        if self.end.is_some() {
            return Ok(());
        }
        if self.is_complete() {
            return self.succeed(output);
        }
        let what = format!("removed by you {}{words}", self.place());
        let remedy = if words.is_empty() { GO_ON } else { "" };
        self.fail(&Failure::new(Exit::Stopped, &self.input, what, remedy), output)
    }

    fn fail_unless_ended(&mut self, failure: &Failure, output: &Output) -> Outcome {
        if self.end.is_some() { Ok(()) } else { self.fail(failure, output) }
    }

    fn refuse_askers(&mut self, failure: &Failure) {
        for asker in self.askers.drain(..) {
            let _ = asker.send(Err(failure.line()));
        }
    }

    fn answer_if_settled(&mut self) {
        if self.course.is_under_way() {
            return;
        }
        for asker in self.askers.drain(..) {
            let _ = asker.send(Ok(self.name.clone()));
        }
    }

    /// Where its payload is, if that is known.
    pub(in crate::cli::transfer) fn payload(&self) -> Option<PathBuf> {
        (!self.is_unnamed && !self.course.is_gone()).then(|| self.directory.join(&self.name))
    }

    /// Its payload is not removed, since `other` may need it.
    pub(in crate::cli::transfer) fn keep_data(&mut self, other: &str, is_running: bool) -> Option<Step> {
        let why = format!("its data stays, as {other}, which does not run, may need it");
        self.refuse_askers(&Failure::new(Exit::Conflict, &self.name, why, "remove that one first"));
        self.course.kept(is_running)
    }

    /// The state of the present run, with what earlier ones did.
    pub(super) fn whole(&self, snapshot: Arc<TorrentSnapshot>) -> Arc<TorrentSnapshot> {
        self.past.onto(snapshot)
    }
}

/// What became of the payload; nothing where it was to stay.
fn in_words(removal: &Removal) -> String {
    let Removal { files, kept, left, .. } = removal;
    if *files == 0 && *kept == 0 && left.is_empty() {
        return String::new();
    }
    let kept = match kept {
        0 => String::new(),
        kept => format!("; {} stay, as another torrent has them", count(*kept as u64, "file")),
    };
    let left = match &left[..] {
        [] => String::new(),
        [first, ..] => format!("; {} could not be removed: {first}", left.len()),
    };
    format!(" and {} of its data{kept}{left}", count(*files as u64, "file"))
}
