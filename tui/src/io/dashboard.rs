//! The dashboard's loop: what happens outside becomes messages, and what they ask for is done.

use std::{
    fs::{self, OpenOptions},
    future::Future,
    io::{self, Write as _},
    path::Path,
    pin::pin,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crossterm::event::{Event, MouseButton, MouseEvent, MouseEventKind};
use potluck_common::control::{Request, Update};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};

use super::{
    completion::complete,
    terminal::{Screen, is_gone},
};
use crate::{
    keymap::Key,
    model::{dashboard::Dashboard, setting::Taste},
    theme::Theme,
    update::dashboard::{Effect, Message, Mouse, MouseKind, update},
    view,
};

/// Frames are at least so far apart.
const FRAME_INTERVAL: Duration = Duration::from_millis(16);
/// Updates that are taken in before a key may be heard again.
const UPDATES_PER_WAKE_MAX: usize = 16;
/// Who quits waits so long for the answers to what they asked for.
const ANSWERS_WAIT: Duration = Duration::from_secs(1);

/// Where the dashboard's requests go, and where its updates come from.
#[derive(Debug)]
pub struct Link {
    /// What it asks for.
    pub requests: mpsc::UnboundedSender<Request>,
    /// What it is told.
    pub updates: mpsc::Receiver<Update>,
}

/// Something outside that the loop must hear of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call<E> {
    /// The end, and why.
    End(E),
    /// The shell wants the terminal for a while.
    Suspend,
}

/// Why the loop ended.
#[derive(Debug)]
pub enum Ended<E> {
    /// A person wants the end.
    Quit,
    /// Something outside does.
    Called(E),
    /// There is no terminal any more.
    Gone,
    /// The terminal cannot be used.
    Failed(io::Error),
}

/// The dashboard on a terminal.
pub struct Board<'a> {
    /// What is shown.
    pub model: &'a mut Dashboard,
    /// Where.
    pub screen: &'a mut Screen,
    /// How it looks.
    pub theme: &'a dyn Fn(&Taste) -> Theme,
    /// The engine's end, once it is there.
    link: Option<Link>,
    /// Requests that wait for it.
    waiting: Vec<Request>,
    completions: (mpsc::UnboundedSender<Message>, mpsc::UnboundedReceiver<Message>),
    /// Files that are being written.
    writes: usize,
    is_dirty: bool,
    next_frame: Instant,
    ended: bool,
}

impl<'a> Board<'a> {
    /// A dashboard that is drawn by [`Board::run`].
    pub fn new(model: &'a mut Dashboard, screen: &'a mut Screen, theme: &'a dyn Fn(&Taste) -> Theme) -> Self {
        Self {
            model,
            screen,
            theme,
            link: None,
            waiting: Vec::new(),
            completions: mpsc::unbounded_channel(),
            writes: 0,
            is_dirty: true,
            next_frame: Instant::now(),
            ended: false,
        }
    }

    /// Asks for something as soon as there is somebody to ask.
    pub fn ask(&mut self, request: Request) {
        self.waiting.push(request);
    }

    /// Shows the dashboard until somebody wants the end. The first frame does not wait for `starting`, which ends in the
    /// engine's end of the link; its error ends everything. `calls` says what else concerns the screen. However it ends,
    /// what was started is returned.
    pub async fn run<T, E, F>(
        &mut self,
        starting: impl Future<Output = Result<(T, Link), F>>,
        calls: impl AsyncFnMut() -> Call<E>,
    ) -> Result<(Option<T>, Ended<E>), F> {
        let mut started = None;
        let ended = match self.go_on(starting, &mut started, calls).await {
            Ok(ended) => ended?,
            Err(_) if is_gone() => Ended::Gone,
            Err(error) => Ended::Failed(error),
        };
        Ok((started, ended))
    }

    async fn go_on<T, E, F>(
        &mut self,
        starting: impl Future<Output = Result<(T, Link), F>>,
        started: &mut Option<T>,
        mut calls: impl AsyncFnMut() -> Call<E>,
    ) -> io::Result<Result<Ended<E>, F>> {
        let mut starting = pin!(starting);
        let (width, height) = self.screen.size()?;
        self.take(Message::Resize(width, height))?;
        self.draw()?;
        while !self.ended {
            tokio::select! {
                () = sleep_until(self.next_frame), if self.is_dirty => self.draw()?,
                event = self.screen.next_event() => match event {
                    Some(event) => self.happened(event)?,
                    None => return Ok(Ok(Ended::Gone)),
                },
                result = &mut starting, if started.is_none() => match result {
                    Ok((end, link)) => {
                        *started = Some(end);
                        self.connect(link);
                    }
                    Err(failure) => return Ok(Err(failure)),
                },
                update = next_update(&mut self.link) => self.told(update)?,
                Some(message) = self.completions.1.recv() => self.take(message)?,
                () = sleep(until_change(self.model)), if self.model.changes_at().is_some() => {
                    self.take(Message::Tick(unix_seconds()))?;
                }
                call = calls() => match call {
                    Call::End(why) => return Ok(Ok(Ended::Called(why))),
                    Call::Suspend => self.suspend()?,
                },
            }
        }
        self.settle(&mut calls).await?;
        Ok(Ok(Ended::Quit))
    }

    /// What a person asked for a moment ago is not dropped: it is waited for, for a while.
    async fn settle<E>(&mut self, calls: &mut impl AsyncFnMut() -> Call<E>) -> io::Result<()> {
        let deadline = Instant::now() + ANSWERS_WAIT;
        while self.writes > 0 || self.link.is_some() && !self.model.pending.is_empty() {
            tokio::select! {
                () = sleep_until(deadline) => break,
                Some(message) = self.completions.1.recv() => self.take(message)?,
                update = next_update(&mut self.link) => self.told(update)?,
                // Who is called away does not wait.
                _ = calls() => break,
            }
        }
        Ok(())
    }

    fn connect(&mut self, link: Link) {
        for request in self.waiting.drain(..) {
            // That it is gone is told by its updates.
            let _ = link.requests.send(request);
        }
        self.link = Some(link);
    }

    fn told(&mut self, first: Option<Update>) -> io::Result<()> {
        let Some(first) = first else {
            self.link = None;
            return self.take(Message::Lost);
        };
        let mut next = Some(first);
        for _ in 0..UPDATES_PER_WAKE_MAX {
            let Some(update) = next else { break };
            self.take(Message::Control(update))?;
            next = self.link.as_mut().and_then(|link| link.updates.try_recv().ok());
        }
        Ok(())
    }

    fn happened(&mut self, event: Event) -> io::Result<()> {
        message_of(event).map_or(Ok(()), |message| self.take(message))
    }

    fn take(&mut self, message: Message) -> io::Result<()> {
        self.writes -= usize::from(matches!(message, Message::Written { .. }));
        let mut effects = update(self.model, Message::Tick(unix_seconds()));
        effects.extend(update(self.model, message));
        self.is_dirty = true;
        effects.into_iter().try_for_each(|effect| self.carry_out(effect))
    }

    fn carry_out(&mut self, effect: Effect) -> io::Result<()> {
        match effect {
            Effect::Send(request) => match &self.link {
                Some(link) => drop(link.requests.send(request)),
                None => self.waiting.push(request),
            },
            Effect::Complete { prefix, path, folders_only } => {
                let sender = self.completions.0.clone();
                tokio::task::spawn_blocking(move || {
                    let paths = complete(&prefix, &path, folders_only);
                    // Nobody waits for it after the end.
                    let _ = sender.send(Message::Completed { prefix, paths });
                });
            }
            Effect::Write { path, text } => {
                self.writes += 1;
                let sender = self.completions.0.clone();
                tokio::task::spawn_blocking(move || {
                    let result = write_new(&path, &text).map_err(|error| error.to_string());
                    let _ = sender.send(Message::Written { path, result });
                });
            }
            Effect::Copy(text) => Screen::copy(&text)?,
            Effect::Redraw => self.screen.forget()?,
            Effect::Suspend => self.suspend()?,
            Effect::Quit => self.ended = true,
        }
        Ok(())
    }

    fn suspend(&mut self) -> io::Result<()> {
        self.screen.suspend()?;
        let (width, height) = self.screen.size()?;
        self.take(Message::Resize(width, height))
    }

    fn draw(&mut self) -> io::Result<()> {
        let theme = (self.theme)(&self.model.taste);
        let mut hits = None;
        let model = &*self.model;
        self.screen.draw(|frame| hits = Some(view::screen::draw(frame, model, &theme)))?;
        self.is_dirty = false;
        self.next_frame = Instant::now() + FRAME_INTERVAL;
        if let Some(hits) = hits {
            let effects = update(self.model, Message::Drawn(hits));
            effects.into_iter().try_for_each(|effect| self.carry_out(effect))?;
        }
        Ok(())
    }
}

/// What an event of the terminal means, if anything.
pub fn message_of(event: Event) -> Option<Message> {
    match event {
        Event::Key(key) => Key::of(key).map(Message::Key),
        Event::Mouse(mouse) => mouse_message(mouse),
        Event::Paste(text) => Some(Message::Paste(text)),
        Event::Resize(width, height) => Some(Message::Resize(width, height)),
        Event::FocusGained | Event::FocusLost => None,
    }
}

/// The next update; waits for ever where there is nobody to tell one.
async fn next_update(link: &mut Option<Link>) -> Option<Update> {
    match link {
        Some(link) => link.updates.recv().await,
        None => std::future::pending().await,
    }
}

/// How long nothing changes by itself.
fn until_change(model: &Dashboard) -> Duration {
    let seconds = model.changes_at().map_or(0.0, |at| at - unix_seconds());
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn mouse_message(mouse: MouseEvent) -> Option<Message> {
    let kind = match mouse.kind {
        MouseEventKind::Down(MouseButton::Left) => MouseKind::Click,
        MouseEventKind::Drag(MouseButton::Left) => MouseKind::Drag,
        MouseEventKind::ScrollUp => MouseKind::WheelUp,
        MouseEventKind::ScrollDown => MouseKind::WheelDown,
        _ => return None,
    };
    Some(Message::Mouse(Mouse { kind, column: mouse.column, row: mouse.row }))
}

/// The time of day, in seconds since 1970 (UTC).
pub fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// Writes a file, whole or not at all; one that is there stays as it is.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes()).inspect_err(|_| {
        // A part of it is of no use, and would be in the way of another try.
        let _ = fs::remove_file(path);
    })
}
