//! The terminal as a screen, and its certain return to what it was.

use std::{
    io::{self, Stdout},
    sync::atomic::{AtomicBool, Ordering},
};

use crossterm::{
    cursor,
    event::{Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
    execute,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use futures_util::StreamExt as _;
use ratatui::{Frame, Terminal, backend::CrosstermBackend};

/// The screen is ours at the moment. One process has one terminal.
static IS_OPEN: AtomicBool = AtomicBool::new(false);

/// What a person asks of a screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// The end.
    Quit,
    /// A new frame: the terminal has another size, or somebody pressed Ctrl-L.
    Redraw,
}

/// The terminal while it is a screen. It is given back when this is dropped, and before a panic's message is written.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    events: EventStream,
}

impl Screen {
    /// Takes the terminal of standard output.
    pub fn open() -> io::Result<Self> {
        enable_raw_mode()?;
        IS_OPEN.store(true, Ordering::SeqCst);
        // From here on an early return gives the terminal back.
        let opened = execute!(io::stdout(), EnterAlternateScreen, cursor::Hide)
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        match opened {
            Ok(terminal) => Ok(Self { terminal, events: EventStream::new() }),
            Err(error) => {
                restore();
                Err(error)
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

    /// What a person asks for next. Safe to drop while it waits.
    pub async fn next_request(&mut self) -> Request {
        loop {
            match self.events.next().await {
                Some(Ok(Event::Resize(..))) => return Request::Redraw,
                Some(Ok(Event::Key(key))) => match request_of(key) {
                    Some(Request::Redraw) => {
                        // Something else may have written to the screen.
                        let _ = self.terminal.clear();
                        return Request::Redraw;
                    }
                    Some(request) => return request,
                    None => {}
                },
                Some(Ok(_)) => {}
                // Without a keyboard there is no terminal any more.
                Some(Err(_)) | None => return Request::Quit,
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

fn request_of(key: KeyEvent) -> Option<Request> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        _ if key.kind == KeyEventKind::Release => None,
        KeyCode::Char('c' | 'd') if control => Some(Request::Quit),
        KeyCode::Char('l') if control => Some(Request::Redraw),
        KeyCode::Char('q' | 'Q') | KeyCode::Esc if !control => Some(Request::Quit),
        _ => None,
    }
}

/// Whether the screen is ours, so that nothing else should write to the terminal.
pub fn is_open() -> bool {
    IS_OPEN.load(Ordering::SeqCst)
}

/// Gives the terminal back if it is ours. May be called at any time from any thread.
pub fn restore() {
    if IS_OPEN.swap(false, Ordering::SeqCst) {
        // A terminal that is gone does not need to be given back.
        let _ = execute!(io::stdout(), LeaveAlternateScreen, cursor::Show);
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
            (KeyCode::Char('c'), KeyModifiers::NONE, None),
            (KeyCode::Enter, KeyModifiers::NONE, None),
        ];
        for (code, modifiers, request) in cases {
            assert_eq!(request_of(KeyEvent::new(code, modifiers)), request, "{code:?} {modifiers:?}");
        }
    }
}
