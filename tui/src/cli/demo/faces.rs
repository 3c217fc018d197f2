//! How the demo shows itself: a screen on a terminal, plain lines or JSON elsewhere.

use std::{io, time::Duration};

use crossterm::event::{Event as Input, KeyCode, KeyEventKind};
use potluck_common::control::Event;
use serde_json::json;

use super::{
    DemoArgs,
    near::{Books, Near, Step},
};
use crate::{
    cli::{
        exit::{Exit, Failure, Outcome},
        output::{Output, Progress},
        transfer::{Signals, sleep_without_screen},
    },
    io::terminal::{Request, Screen, request_of},
    model::demo::{Demo, Member, Phase, Role, Tone},
    theme::Theme,
    units::{Bytes, PerSecond, percent},
    update::dashboard::Effect,
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
    /// The member that is looked at from near.
    near: Option<Near>,
    books: Books,
    /// The member that somebody asked to see.
    wanted: Option<usize>,
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
            Some(Screen::open().map_err(|error| terminal_failure(&error))?)
        } else {
            None
        };
        let theme = Theme::new(output.paint.is_colored(), output.ascii);
        Ok(Self {
            output,
            theme,
            screen,
            near: None,
            books: Books::new(),
            wanted: None,
            phase: None,
            line_at: 0.0,
            logged: 0,
        })
    }

    /// Shows the demo as it is now, as far as that is due.
    pub(super) fn show(&mut self, demo: &Demo) -> Outcome {
        self.books.count(demo);
        if self.screen.is_some() {
            return self.show_on_screen(demo).map_err(|error| terminal_failure(&error));
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

    /// The swarm, or the member that somebody looks at.
    fn show_on_screen(&mut self, demo: &Demo) -> io::Result<()> {
        let Some(screen) = &mut self.screen else { return Ok(()) };
        if let Some(member) = self.wanted.take().filter(|member| *member < demo.members.len()) {
            self.near = Some(Near::new(member, demo, self.output.ascii));
        }
        let Some(near) = &mut self.near else {
            return screen.draw(|frame| view::demo::draw(frame, demo, &self.theme));
        };
        near.learn(demo, &mut self.books, screen.size()?);
        let mut hits = None;
        screen.draw(|frame| hits = Some(near.draw(frame, &self.theme)))?;
        if let Some(hits) = hits {
            near.drawn(hits);
        }
        Ok(())
    }

    /// Tells a script what happened.
    pub(super) fn event(&mut self, demo: &Demo, number: usize, event: &Event) -> Outcome {
        self.books.happened(number, event.clone());
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
        loop {
            let Some(screen) = &mut self.screen else { return std::future::pending().await };
            // Without a keyboard there is no terminal any more.
            let Some(input) = screen.next_event().await else { return Request::Quit };
            match self.answer(input) {
                Ok(Some(request)) => return request,
                Ok(None) => {}
                Err(_) => return Request::Quit,
            }
        }
    }

    fn answer(&mut self, input: Input) -> io::Result<Option<Request>> {
        let Some(screen) = &mut self.screen else { return Ok(None) };
        let Some(near) = &mut self.near else {
            if let Input::Resize(..) = input {
                return Ok(Some(Request::Redraw));
            }
            let Input::Key(key) = input else { return Ok(None) };
            match (request_of(key), member_of(key.code)) {
                (Some(Request::Redraw), _) => screen.forget()?,
                (Some(request @ (Request::Quit | Request::Suspend)), _) => return Ok(Some(request)),
                (None, Some(member)) if key.kind != KeyEventKind::Release => self.wanted = Some(member),
                (None, _) => return Ok(None),
            }
            return Ok(Some(Request::Redraw));
        };
        match near.take(input) {
            Step::Back => self.near = None,
            Step::Stay(effects) => {
                for effect in effects {
                    match effect {
                        Effect::Quit => return Ok(Some(Request::Quit)),
                        Effect::Redraw => screen.forget()?,
                        Effect::Suspend => return Ok(Some(Request::Suspend)),
                        Effect::Copy(text) => Screen::copy(&text)?,
                        Effect::Send(_) | Effect::Complete { .. } | Effect::Write { .. } => {}
                    }
                }
            }
        }
        Ok(Some(Request::Redraw))
    }

    /// Leaves the terminal to the shell, and comes back with the process.
    pub(super) fn suspend(&mut self, demo: &Demo) -> Outcome {
        let Some(screen) = &mut self.screen else {
            sleep_without_screen();
            return Ok(());
        };
        screen.suspend().map_err(|error| terminal_failure(&error))?;
        self.show(demo)
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

fn terminal_failure(error: &io::Error) -> Failure {
    Failure::new(Exit::Other, "the terminal", error, "--plain shows lines instead")
}

/// The member that a key stands for: Tab for the first, and the numbers from 1.
fn member_of(code: KeyCode) -> Option<usize> {
    match code {
        KeyCode::Tab => Some(0),
        KeyCode::Char(digit @ '1'..='9') => Some(digit as usize - '1' as usize),
        _ => None,
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
