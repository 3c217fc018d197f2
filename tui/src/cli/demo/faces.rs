//! How the demo shows itself: a screen on a terminal, plain lines or JSON elsewhere.

use std::time::Duration;

use potluck_common::control::Event;
use serde_json::json;

use super::DemoArgs;
use crate::{
    cli::{
        exit::{Exit, Failure, Outcome},
        output::{Output, Progress},
        transfer::Signals,
    },
    io::terminal::{Request, Screen},
    model::demo::{Demo, Member, Phase, Role, Tone},
    theme::Theme,
    units::{Bytes, PerSecond, percent},
    view,
};

/// A plain line is due after so many seconds.
const LINE_SECONDS: f64 = 5.0;
/// A JSON object is due after so many seconds.
const JSON_SECONDS: f64 = 1.0;

/// What a person or a script sees.
pub(super) struct Face<'a> {
    output: &'a Output,
    theme: Theme,
    screen: Option<Screen>,
    phase: Option<Phase>,
    line_at: f64,
    /// Lines of the log that were shown, counted from the beginning of the demo.
    logged: usize,
}

impl<'a> Face<'a> {
    /// Takes the terminal if there is one, and nothing speaks against it.
    pub(super) fn open(args: &DemoArgs, output: &'a Output) -> Outcome<Self> {
        let is_wanted = matches!(output.progress, Progress::Bar | Progress::Lines)
            && !args.plain
            && !output.is_plain
            && !output.json;
        let screen = if is_wanted && output.is_screen {
            let opened = Screen::open().map_err(|error| {
                Failure::new(Exit::Other, "the terminal", error, "--plain shows lines instead")
            });
            Some(opened?)
        } else {
            None
        };
        let theme = Theme::new(output.paint.is_colored(), output.ascii);
        Ok(Self { output, theme, screen, phase: None, line_at: 0.0, logged: 0 })
    }

    /// Shows the demo as it is now, as far as that is due.
    pub(super) fn show(&mut self, demo: &Demo) -> Outcome {
        if let Some(screen) = &mut self.screen {
            return screen.draw(|frame| view::demo::draw(frame, demo, &self.theme)).map_err(|error| {
                Failure::new(Exit::Other, "the terminal", error, "--plain shows lines instead")
            });
        }
        let is_new = self.phase.replace(demo.phase.clone()).as_ref() != Some(&demo.phase);
        let is_due = demo.elapsed >= self.line_at;
        if self.output.json || self.output.progress == Progress::Json {
            if is_new || is_due {
                self.line_at = demo.elapsed + JSON_SECONDS;
                self.json(&progress(demo))?;
            }
        } else if self.output.progress != Progress::None {
            self.milestones(demo);
            if is_new {
                self.output.error_line(&phase_line(demo));
            } else if is_due && demo.phase == Phase::Sharing {
                self.line_at = demo.elapsed + LINE_SECONDS;
                self.output.error_line(&plain_line(demo));
            }
        }
        Ok(())
    }

    /// Tells a script what happened.
    pub(super) fn event(&mut self, demo: &Demo, number: usize, event: &Event) -> Outcome {
        if !self.output.json && self.output.progress != Progress::Json {
            return Ok(());
        }
        let mut value = serde_json::to_value(event).unwrap_or_default();
        value["schema"] = 1.into();
        value["member"] = demo.members[number].name.as_str().into();
        self.json(&value)
    }

    fn json(&self, value: &serde_json::Value) -> Outcome {
        if self.output.progress == Progress::Json {
            self.output.error_line(&value.to_string());
        }
        if self.output.json { self.output.print_json(value) } else { Ok(()) }
    }

    /// Lines of the log that mark a step; the others belong on a screen.
    fn milestones(&mut self, demo: &Demo) {
        let fresh = demo.log.iter().skip(self.logged.saturating_sub(demo.log_forgotten));
        for line in fresh.filter(|line| line.tone != Tone::Plain) {
            self.output.error_line(&format!("{:>5.1}s  {}", line.at, line.text));
        }
        self.logged = demo.log_forgotten + demo.log.len();
    }

    /// What a person asks for. Without a screen that is nothing, for ever.
    pub(super) async fn next_request(&mut self) -> Request {
        match &mut self.screen {
            Some(screen) => screen.next_request().await,
            None => std::future::pending().await,
        }
    }

    /// Lets the last frame stand for a while, unless somebody is in a hurry.
    pub(super) async fn linger(&mut self, time: Duration, signals: &mut Signals) {
        if self.screen.is_none() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            _ = signals.next() => {}
            _ = self.next_request() => {}
        }
    }

    /// Gives the terminal back.
    pub(super) fn close(&mut self) {
        self.screen = None;
    }
}

fn phase_line(demo: &Demo) -> String {
    match &demo.phase {
        Phase::Starting => format!(
            "demo: a tracker, a seeder, six leechers and a free rider share {}",
            Bytes(demo.total_size)
        ),
        Phase::Sharing => format!("demo: they meet at {}", demo.tracker),
        Phase::Verifying => format!("{:>5.1}s  comparing every copy with the payload", demo.elapsed),
        Phase::Over(what) => format!("{:>5.1}s  {what}", demo.elapsed),
    }
}

fn plain_line(demo: &Demo) -> String {
    let share = |member: &Member| {
        member.snapshot.as_ref().map_or(0, |snapshot| percent(snapshot.have_size, snapshot.total_size))
    };
    let of = |role: Role| {
        let shares: Vec<String> =
            demo.members.iter().filter(|member| member.role == role).map(|m| share(m).to_string()).collect();
        shares.join(" ")
    };
    format!(
        "{:>5.1}s  leechers {} %, free rider {} %, swarm {}, seeder gave {:.2} copies",
        demo.elapsed,
        of(Role::Leecher),
        of(Role::FreeRider),
        PerSecond(demo.speed_now()),
        demo.copies_given_by_seeder()
    )
}

fn progress(demo: &Demo) -> serde_json::Value {
    let members: Vec<_> = demo
        .members
        .iter()
        .map(|member| {
            let of = |figure: fn(&potluck_common::control::TorrentSnapshot) -> u64| {
                member.snapshot.as_deref().map(figure)
            };
            json!({
                "name": member.name,
                "have_size": of(|s| s.have_size),
                "down_rate": of(|s| s.down_rate),
                "up_rate": of(|s| s.up_rate),
                "downloaded": of(|s| s.downloaded),
                "uploaded": of(|s| s.uploaded),
            })
        })
        .collect();
    json!({
        "schema": 1,
        "event": "progress",
        "phase": match demo.phase {
            Phase::Starting => "starting",
            Phase::Sharing => "sharing",
            Phase::Verifying => "verifying",
            Phase::Over(_) => "over",
        },
        "seconds": demo.elapsed,
        "total_size": demo.total_size,
        "members": members,
    })
}
