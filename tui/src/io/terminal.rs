//! The terminal as a screen, and its certain return to what it was.

use std::{
    io::{self, Stdout},
    mem::ManuallyDrop,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use crossterm::{
    cursor,
    event::{
        DisableBracketedPaste, EnableBracketedPaste, Event, EventStream, KeyCode, KeyEvent, KeyEventKind,
        KeyModifiers,
    },
    execute,
    style::Print,
    terminal::{
        Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
    },
};
use futures_util::StreamExt as _;
use ratatui::{Frame, Terminal, backend::CrosstermBackend};
use tokio::{
    runtime::Handle,
    sync::mpsc,
    time::{Instant, sleep_until},
};

/// Buttons and the wheel, not every movement, with coordinates beyond 223.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1002h\x1b[?1006h";
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1002l\x1b[?1000l";

/// How often is looked whether the terminal is still there.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Events that may wait to be heard.
const EVENTS_MAX: usize = 256;

/// The screen is ours at the moment. One process has one terminal.
static IS_OPEN: AtomicBool = AtomicBool::new(false);

/// What a person asks of a screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// The end.
    Quit,
    /// A new frame: the terminal has another size, or somebody pressed Ctrl-L.
    Redraw,
    /// The shell gets the terminal until it gives it back.
    Suspend,
}

/// The terminal while it is a screen. It is given back when this is dropped, and before a panic's message is written.
#[derive(Debug)]
pub struct Screen {
    /// Its own drop shows the cursor, and panics where there is no terminal any more. It ends with the process.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Stdout>>>,
    /// What happens, once somebody listens.
    events: Option<mpsc::Receiver<Event>>,
    /// When is looked next whether the terminal is still there.
    look_at: Instant,
    input: Input,
}

/// What a screen hears beside keys.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Input {
    /// The mouse; the terminal then does not select text with it.
    pub mouse: bool,
    /// Pasted text as one event.
    pub paste: bool,
}

impl Screen {
    /// Takes the terminal of standard output.
    pub fn open() -> io::Result<Self> {
        Self::open_with(Input::default())
    }

    /// Takes the terminal of standard output, to hear more than keys.
    pub fn open_with(input: Input) -> io::Result<Self> {
        take(input)?;
        // From here on an early return gives the terminal back.
        match Terminal::new(CrosstermBackend::new(io::stdout())) {
            Ok(terminal) => Ok(Self {
                terminal: ManuallyDrop::new(terminal),
                events: None,
                look_at: Instant::now(),
                input,
            }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }

    /// Columns and lines.
    pub fn size(&self) -> io::Result<(u16, u16)> {
        self.terminal.size().map(|size| (size.width, size.height))
    }

    /// The next frame is sent whole: something else may have written to the terminal.
    pub fn forget(&mut self) -> io::Result<()> {
        // Where the cursor is does not matter, and not every terminal would answer that question.
        execute!(io::stdout(), Clear(ClearType::All))?;
        // Its buffers are worth a drop, as the terminal is there.
        *self.terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        Ok(())
    }

    /// Gives the terminal to the shell, and comes back with the process.
    #[cfg(unix)]
    pub fn suspend(&mut self) -> io::Result<()> {
        restore();
        // The process sleeps here until somebody wakes it (SIGCONT).
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP)?;
        take(self.input)?;
        self.forget()
    }

    /// There is nothing like it here.
    #[cfg(not(unix))]
    pub fn suspend(&mut self) -> io::Result<()> {
        self.forget()
    }

    /// Puts `text` on the clipboard of the terminal, if it lets us (OSC 52).
    pub fn copy(text: &str) -> io::Result<()> {
        let encoded = data_encoding::BASE64.encode(text.as_bytes());
        execute!(io::stdout(), Print(format!("\x1b]52;c;{encoded}\x07")))
    }

    /// What happens next; `None` once there is no terminal any more. Safe to drop while it waits; needs a runtime around
    /// it.
    pub async fn next_event(&mut self) -> Option<Event> {
        let events = self.events.get_or_insert_with(listen);
        loop {
            tokio::select! {
                event = events.recv() => return event,
                () = sleep_until(self.look_at) => {
                    if is_gone() {
                        return None;
                    }
                    self.look_at = Instant::now() + LOOK_INTERVAL;
                }
            }
        }
    }

    /// Draws one frame; only what has changed is sent. Fails once the screen is no longer ours.
    pub fn draw(&mut self, view: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        if !is_open() {
            return Err(io::Error::other("the screen was given back"));
        }
        self.terminal.draw(view).map(drop)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Begins to listen to the terminal. Whoever reads from one that was hung up may never come back, so a thread does.
fn listen() -> mpsc::Receiver<Event> {
    let (sender, events) = mpsc::channel(EVENTS_MAX);
    let runtime = Handle::current();
    // Without it the channel is closed: then there is no keyboard.
    let _ =
        thread::Builder::new().name("keyboard".to_owned()).spawn(move || runtime.block_on(forward(sender)));
    events
}

async fn forward(sender: mpsc::Sender<Event>) {
    let mut events = EventStream::new();
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = sender.closed() => return,
        };
        let Some(Ok(event)) = event else { return };
        if sender.send(event).await.is_err() {
            return;
        }
    }
}

/// Whether the terminal of standard output was hung up.
#[cfg(unix)]
pub fn is_gone() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let stdout = io::stdout();
    let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
    let answered = poll(&mut polled, Some(&Timespec::default()));
    answered.is_ok() && polled[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL)
}

/// There is nothing to look at here.
#[cfg(not(unix))]
pub fn is_gone() -> bool {
    false
}

/// What a key asks of a screen.
pub fn request_of(key: KeyEvent) -> Option<Request> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        _ if key.kind == KeyEventKind::Release => None,
        KeyCode::Char('c' | 'd') if control => Some(Request::Quit),
        KeyCode::Char('l') if control => Some(Request::Redraw),
        KeyCode::Char('z') if control => Some(Request::Suspend),
        KeyCode::Char('q' | 'Q') | KeyCode::Esc if !control => Some(Request::Quit),
        _ => None,
    }
}

/// Makes the terminal a screen.
fn take(input: Input) -> io::Result<()> {
    enable_raw_mode()?;
    IS_OPEN.store(true, Ordering::SeqCst);
    let opened = execute!(io::stdout(), EnterAlternateScreen, cursor::Hide)
        .and_then(|()| if input.mouse { execute!(io::stdout(), Print(MOUSE_ON)) } else { Ok(()) })
        .and_then(|()| if input.paste { execute!(io::stdout(), EnableBracketedPaste) } else { Ok(()) });
    opened.inspect_err(|_| restore())
}

/// Whether the screen is ours, so that nothing else should write to the terminal.
pub fn is_open() -> bool {
    IS_OPEN.load(Ordering::SeqCst)
}

/// Gives the terminal back if it is ours. May be called at any time from any thread.
pub fn restore() {
    if IS_OPEN.swap(false, Ordering::SeqCst) {
        // A terminal that is gone does not need to be given back.
        let _ = execute!(
            io::stdout(),
            DisableBracketedPaste,
            Print(MOUSE_OFF),
            LeaveAlternateScreen,
            cursor::Show
        );
        let _ = disable_raw_mode();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_keys_quit() {
        let cases = [
            (KeyCode::Char('q'), KeyModifiers::NONE, Some(Request::Quit)),
            (KeyCode::Char('Q'), KeyModifiers::SHIFT, Some(Request::Quit)),
            (KeyCode::Esc, KeyModifiers::NONE, Some(Request::Quit)),
            (KeyCode::Char('c'), KeyModifiers::CONTROL, Some(Request::Quit)),
            (KeyCode::Char('l'), KeyModifiers::CONTROL, Some(Request::Redraw)),
            (KeyCode::Char('z'), KeyModifiers::CONTROL, Some(Request::Suspend)),
            (KeyCode::Char('c'), KeyModifiers::NONE, None),
            (KeyCode::Char('z'), KeyModifiers::NONE, None),
            (KeyCode::Enter, KeyModifiers::NONE, None),
        ];
        for (code, modifiers, request) in cases {
            assert_eq!(request_of(KeyEvent::new(code, modifiers)), request, "{code:?} {modifiers:?}");
        }
    }
}
