//! The loop of a `get` or a `seed`: reports, time and signals, until every torrent has ended.

use std::{path::Path, pin::pin, time::Duration};

use potluck_common::Printable;
use potluck_peer::engine::Engine;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, timeout_at},
};

use super::{
    SHUTDOWN_DEADLINE, Signal, Signals,
    course::Step,
    feed::{self, Report},
    helm::{Change, Helm, Order},
    item::Item,
    origin::Stepped,
    port::PortReporter,
};
use crate::cli::{
    exit::{Exit, Outcome, worst},
    output::Output,
};

/// How often the passing of time is looked at.
const TICK: Duration = Duration::from_millis(250);

/// What bounds a run.
pub(super) struct Run<'a> {
    pub(super) engine: &'a Engine,
    pub(super) items: Vec<Item>,
    /// Zero is for ever.
    pub(super) timeout: Duration,
    pub(super) signals: &'a mut Signals,
    pub(super) output: &'a Output,
    /// Where a person steers them.
    pub(super) helm: Helm,
}

/// What is under way while torrents run.
struct Works {
    hooks: JoinSet<(usize, (Vec<Printable>, Outcome))>,
    steps: JoinSet<(usize, Stepped)>,
    reports: mpsc::Sender<Report>,
    /// Whose reports they are, by their number.
    taps: Vec<usize>,
}

impl Run<'_> {
    /// Runs until every torrent has ended or somebody wants the end, says that it is `over`, then stops the engine. The exit
    /// code is that of the worst torrent.
    pub(super) async fn until_the_end(mut self, over: impl FnOnce()) -> Outcome<Exit> {
        let (sender, reports) = feed::channel();
        // The sender stays here, so that the channel never closes.
        let mut works =
            Works { hooks: JoinSet::new(), steps: JoinSet::new(), reports: sender, taps: Vec::new() };
        for number in 0..self.items.len() {
            self.listen(number, &mut works);
        }
        let outcome = self.watch(reports, &mut works).await;
        let steps = works.steps;
        over();
        let mut signal = outcome.as_ref().ok().copied().flatten();
        let torn = self.stop_engine(&mut signal, steps).await;
        outcome?;
        let torn = torn?;
        if let Some(signal) = signal {
            // Whatever was still being removed.
            self.items.iter_mut().try_for_each(|item| item.on_signal(signal, self.output))?;
        }
        Ok(match (torn, signal) {
            (Some(exit), _) => exit,
            (None, Some(Signal::Terminate)) => Exit::Terminated,
            (None, _) => worst(self.items.iter().filter_map(Item::end)),
        })
    }

    async fn watch(
        &mut self,
        mut reports: mpsc::Receiver<Report>,
        works: &mut Works,
    ) -> Outcome<Option<Signal>> {
        let started = Instant::now();
        let mut port = PortReporter::default();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.items.iter().any(|item| item.end().is_none()) {
            tokio::select! {
                Some(report) = reports.recv() => self.on_report(report, works)?,
                Some(Ok((number, result))) = works.hooks.join_next() => self.on_hook_end(number, result)?,
                Some(Ok((number, stepped))) = works.steps.join_next() => {
                    self.on_stepped(number, stepped, works)?;
                }
                Some(order) = self.helm.orders.recv() => self.on_order(order, works)?,
                _ = tick.tick() => {
                    port.tell(&self.engine.port(), self.output)?;
                    self.on_tick(started)?;
                }
                signal = self.signals.next() => {
                    // One that is being removed says how that ends.
                    for item in self.items.iter_mut().filter(|item| !item.course.is_leaving()) {
                        item.on_signal(signal, self.output)?;
                    }
                    return Ok(Some(signal));
                }
            }
        }
        Ok(None)
    }

    /// From now on what a torrent reports of its newest run is heard.
    fn listen(&mut self, number: usize, works: &mut Works) {
        let item = &mut self.items[number];
        if let Some(tap) = item.tap.take() {
            item.listening = Some(works.taps.len());
            tap.forward(works.taps.len(), works.reports.clone());
            works.taps.push(number);
        }
    }

    fn on_report(&mut self, report: Report, works: &mut Works) -> Outcome {
        let (Report::Event(tap, _) | Report::Snapshot(tap, _)) = &report;
        let number = works.taps[*tap];
        let item = &mut self.items[number];
        if item.listening != Some(*tap) {
            // Of a run that is over.
            return Ok(());
        }
        match report {
            Report::Event(_, event) => item.on_event(&event, self.output),
            Report::Snapshot(_, snapshot) => {
                let (hook, step) = item.on_snapshot(snapshot.clone(), self.output)?;
                if let Some(hook) = hook {
                    let (name, directory) = (item.name.clone(), item.directory.clone());
                    let is_held = self.output.is_held();
                    let run = async move { hook.run(&snapshot, &name, &directory, is_held).await };
                    works.hooks.spawn(async move { (number, run.await) });
                }
                self.take(number, step, works)
            }
        }
    }

    /// A person wants something.
    fn on_order(&mut self, order: Order, works: &mut Works) -> Outcome {
        match order {
            Order::Wish(number, wish, asker) => {
                let step = self.items[number].wish(wish, asker);
                self.take(number, step, works)
            }
            Order::Limits(number, limits) => {
                self.items[number].limit(limits);
                Ok(())
            }
            Order::Files(number, files) => {
                self.items[number].want_files(files);
                Ok(())
            }
        }
    }

    fn on_stepped(&mut self, number: usize, stepped: Stepped, works: &mut Works) -> Outcome {
        let (change, step) = self.items[number].stepped(stepped, number, self.output)?;
        // Nobody may be looking.
        if let Some(change) = change {
            let _ = self.helm.changes.send(change);
        }
        self.listen(number, works);
        self.take(number, step, works)
    }

    /// Begins a step, if there is one, and tells where the torrent is.
    fn take(&mut self, number: usize, step: Option<Step>, works: &mut Works) -> Outcome {
        if let Some(step) = step {
            if let Step::Remove { data: true, is_running } = step
                && let Some(other) = self.who_needs_data_of(number)
            {
                let step = self.items[number].keep_data(&other, is_running);
                return self.take(number, step, works);
            }
            let errand = self.items[number].errand(step, self.engine);
            let ended = Stepped::of(step, self.items[number].input.clone(), errand.run());
            works.steps.spawn(async move { (number, ended.await) });
        }
        if let Some((is_paused, is_at_rest)) = self.items[number].rest_news() {
            let _ = self.helm.changes.send(Change::Rest(number, is_paused, is_at_rest));
        }
        Ok(())
    }

    /// Another torrent that may have the same files, and of which the engine does not know what it needs.
    fn who_needs_data_of(&self, number: usize) -> Option<String> {
        let here = self.items[number].payload()?;
        let others = self.items.iter().enumerate().filter(|(other, item)| {
            let overlaps = |there: &Path| here.starts_with(there) || there.starts_with(&here);
            *other != number
                && !item.course.is_running()
                && item.payload().is_some_and(|there| overlaps(&there))
        });
        others.map(|(_, item)| item.name.clone()).next()
    }
    fn on_hook_end(&mut self, number: usize, (said, result): (Vec<Printable>, Outcome)) -> Outcome {
        for line in said {
            self.output.error_line(line.as_str());
        }
        self.items[number].on_hook_end(result, self.output)
    }

    fn on_tick(&mut self, started: Instant) -> Outcome {
        for item in &mut self.items {
            item.on_tick(self.output)?;
            if !self.timeout.is_zero() && started.elapsed() >= self.timeout {
                item.on_timeout(self.timeout, self.output)?;
            }
        }
        Ok(())
    }

    /// Stops the engine gracefully. A second signal ends everything at once; the first asks for what is done anyway.
    async fn stop_engine(
        &mut self,
        first: &mut Option<Signal>,
        steps: JoinSet<(usize, Stepped)>,
    ) -> Outcome<Option<Exit>> {
        let Self { engine, items, signals, output, .. } = self;
        // The engine keeps its deadline; this is for the case that it does not.
        let deadline = Instant::now() + SHUTDOWN_DEADLINE + TICK;
        let engine = timeout_at(deadline, engine.shutdown(SHUTDOWN_DEADLINE));
        let mut stopping = pin!(async { tokio::join!(engine, last_steps(items, steps, deadline, output)).1 });
        loop {
            tokio::select! {
                told = &mut stopping => return told.map(|()| None),
                signal = signals.next_hurry() => match (first.replace(signal), signal) {
                    (None, _) => {}
                    (Some(_), Signal::Interrupt) => return Ok(Some(Exit::Interrupted)),
                    (Some(_), Signal::Terminate) => return Ok(Some(Exit::Terminated)),
                },
            }
        }
    }
}

/// Awaits the steps that are under way and has their ends told, until `deadline`; but a payload is not removed by half, however
/// long that takes.
async fn last_steps(
    items: &mut [Item],
    mut steps: JoinSet<(usize, Stepped)>,
    deadline: Instant,
    output: &Output,
) -> Outcome {
    loop {
        let next = steps.join_next();
        let next = if items.iter().any(|item| item.course.is_leaving()) {
            next.await
        } else {
            timeout_at(deadline, next).await.ok().flatten()
        };
        match next {
            Some(Ok((number, stepped))) => items[number].stepped_last(stepped, number, output)?,
            // It was told as the end of its step.
            Some(Err(_)) => {}
            None => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use potluck_peer::disk::Removal;

    use super::*;
    use crate::{
        cli::transfer::{course::Wish, item::tests::Rig},
        units::SeedGoal,
    };

    #[tokio::test(flavor = "multi_thread")]
    async fn a_removal_is_awaited_beyond_the_deadline() {
        let Rig { item, output, .. } = &mut Rig::new("one", SeedGoal::Forever).await;
        assert!(item.wish(Wish::Remove { data: true }, tokio::sync::oneshot::channel().0).is_some());
        let (done, awaited) = tokio::sync::oneshot::channel();
        let mut steps = JoinSet::new();
        steps.spawn(async move {
            awaited.await.expect("it is said");
            (0, Stepped::Removed(Ok(Removal::default())))
        });
        {
            let mut last = pin!(last_steps(std::slice::from_mut(item), steps, Instant::now(), output));
            let early = timeout_at(Instant::now(), &mut last).await;
            assert!(early.is_err(), "it is under way");
            done.send(()).expect("it waits");
            last.await.expect("written");
        }
        assert_eq!(item.end(), Some(Exit::Stopped));
    }
}
