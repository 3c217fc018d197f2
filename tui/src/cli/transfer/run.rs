//! The loop of a `get` or a `seed`: reports, time and signals, until every torrent has ended.

use std::{pin::pin, time::Duration};

use potluck_common::Printable;
use potluck_peer::engine::Engine;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::{
    SHUTDOWN_DEADLINE, Signal, Signals,
    feed::{self, Report},
    item::Item,
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
}

impl Run<'_> {
    /// Runs until every torrent has ended or somebody wants the end, says that it is `over`, then stops the engine. The exit
    /// code is that of the worst torrent.
    pub(super) async fn until_the_end(mut self, over: impl FnOnce()) -> Outcome<Exit> {
        let (sender, reports) = feed::channel();
        for (number, item) in self.items.iter_mut().enumerate() {
            if let Some(tap) = item.tap.take() {
                tap.forward(number, sender.clone());
            }
        }
        // The sender stays here, so that the channel never closes.
        let outcome = self.watch(reports).await;
        drop(sender);
        over();
        let mut signal = outcome.as_ref().ok().copied().flatten();
        let torn = self.stop_engine(&mut signal).await;
        outcome?;
        Ok(match (torn, signal) {
            (Some(exit), _) => exit,
            (None, Some(Signal::Terminate)) => Exit::Terminated,
            (None, _) => worst(self.items.iter().filter_map(Item::end)),
        })
    }

    async fn watch(&mut self, mut reports: mpsc::Receiver<Report>) -> Outcome<Option<Signal>> {
        let started = Instant::now();
        let mut port = PortReporter::default();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut hooks = JoinSet::new();
        while self.items.iter().any(|item| item.end().is_none()) {
            tokio::select! {
                Some(report) = reports.recv() => self.on_report(report, &mut hooks)?,
                Some(Ok((number, result))) = hooks.join_next() => self.on_hook_end(number, result)?,
                _ = tick.tick() => {
                    port.tell(&self.engine.port(), self.output)?;
                    self.on_tick(started)?;
                }
                signal = self.signals.next() => {
                    for item in &mut self.items {
                        item.on_signal(signal, self.output)?;
                    }
                    return Ok(Some(signal));
                }
            }
        }
        Ok(None)
    }

    fn on_report(
        &mut self,
        report: Report,
        hooks: &mut JoinSet<(usize, (Vec<Printable>, Outcome))>,
    ) -> Outcome {
        match report {
            Report::Event(number, event) => self.items[number].on_event(&event, self.output),
            Report::Snapshot(number, snapshot) => {
                let item = &mut self.items[number];
                if let Some(hook) = item.on_snapshot(snapshot.clone(), self.output)? {
                    let (name, directory) = (item.name.clone(), item.directory.clone());
                    let is_held = self.output.is_held();
                    let run = async move { hook.run(&snapshot, &name, &directory, is_held).await };
                    hooks.spawn(async move { (number, run.await) });
                }
                Ok(())
            }
        }
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
    async fn stop_engine(&mut self, first: &mut Option<Signal>) -> Option<Exit> {
        // The engine keeps its deadline; this is for the case that it does not.
        let mut stopping = pin!(timeout(SHUTDOWN_DEADLINE + TICK, self.engine.shutdown(SHUTDOWN_DEADLINE)));
        loop {
            tokio::select! {
                _ = &mut stopping => return None,
                signal = self.signals.next_hurry() => match (first.replace(signal), signal) {
                    (None, _) => {}
                    (Some(_), Signal::Interrupt) => return Some(Exit::Interrupted),
                    (Some(_), Signal::Terminate) => return Some(Exit::Terminated),
                },
            }
        }
    }
}
