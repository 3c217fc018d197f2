//! Ctrl-C and the request to end.

use tokio::sync::mpsc;

use super::{Exit, Failure, Outcome};
#[cfg(unix)]
use crate::io::terminal;

/// A request to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM; nothing like it exists on Windows.
    Terminate,
}

/// Takes the place of the signals' default action, which would end the process on the spot.
#[derive(Debug)]
pub struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hangup: Option<tokio::signal::unix::Signal>,
    #[cfg(unix)]
    suspend: Option<tokio::signal::unix::Signal>,
    /// Ctrl-C as a key of a screen, which is no signal there.
    keyboard: (mpsc::UnboundedSender<Signal>, mpsc::UnboundedReceiver<Signal>),
}

impl Signals {
    /// Begins to listen; needs a runtime around it. The end of the terminal keeps its meaning, so that `nohup` works.
    pub fn new() -> Outcome<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::SignalKind;
            let (interrupt, terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
            Ok(Self {
                interrupt,
                terminate,
                hangup: None,
                suspend: None,
                keyboard: mpsc::unbounded_channel(),
            })
        }
        #[cfg(not(unix))]
        Ok(Self { keyboard: mpsc::unbounded_channel() })
    }

    /// As [`Signals::new`]; the end of the terminal ends the command gracefully too, and who is to be suspended gives the
    /// terminal back before.
    pub fn of_a_screen() -> Outcome<Self> {
        #[cfg(unix)]
        {
            let hangup = Some(listen(tokio::signal::unix::SignalKind::hangup())?);
            // SIGTSTP, which tokio has no name for.
            let number = rustix::process::Signal::TSTP.as_raw();
            let suspend = Some(listen(tokio::signal::unix::SignalKind::from_raw(number))?);
            Ok(Self { hangup, suspend, ..Self::new()? })
        }
        #[cfg(not(unix))]
        Self::new()
    }

    /// Where a screen tells of its keys.
    pub fn keyboard(&self) -> mpsc::UnboundedSender<Signal> {
        self.keyboard.0.clone()
    }

    /// The next request to end. The process may sleep meanwhile, if a person wants it to; a screen is left by whoever shows
    /// it. Safe to drop while it waits.
    pub async fn next(&mut self) -> Signal {
        loop {
            match self.next_or_suspend().await {
                Some(signal) => return signal,
                None => sleep_without_screen(),
            }
        }
    }

    /// While it ends: the next request to do so at once. The end of the terminal is none, as the shell tells of it and so
    /// does the system, and neither are keys from before. Safe to drop while it waits.
    pub async fn next_hurry(&mut self) -> Signal {
        #[cfg(unix)]
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return Signal::Interrupt,
                _ = self.terminate.recv() => return Signal::Terminate,
                Some(()) = async { self.suspend.as_mut()?.recv().await } => sleep_without_screen(),
            }
        }
        #[cfg(not(unix))]
        {
            interrupted().await;
            Signal::Interrupt
        }
    }

    /// The next request to end; `None` is one to leave the terminal to the shell. Safe to drop while it waits.
    pub async fn next_or_suspend(&mut self) -> Option<Signal> {
        #[cfg(unix)]
        tokio::select! {
            _ = self.interrupt.recv() => Some(Signal::Interrupt),
            _ = self.terminate.recv() => Some(Signal::Terminate),
            Some(()) = async { self.hangup.as_mut()?.recv().await } => Some(Signal::Terminate),
            Some(()) = async { self.suspend.as_mut()?.recv().await } => None,
            Some(signal) = self.keyboard.1.recv() => Some(signal),
        }
        #[cfg(not(unix))]
        {
            tokio::select! {
                () = interrupted() => Some(Signal::Interrupt),
                Some(signal) = self.keyboard.1.recv() => Some(signal),
            }
        }
    }
}

/// The process sleeps here until somebody wakes it (SIGCONT), unless there is a screen to be left before.
pub fn sleep_without_screen() {
    #[cfg(unix)]
    if !terminal::is_open() {
        // Nothing forbids it.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
    }
}

#[cfg(not(unix))]
async fn interrupted() {
    // Without a handler there is nothing to wait for, and the default action ends the process.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(unix)]
fn listen(kind: tokio::signal::unix::SignalKind) -> Outcome<tokio::signal::unix::Signal> {
    tokio::signal::unix::signal(kind)
        .map_err(|error| Failure::new(Exit::Other, "cannot listen for signals", error, ""))
}
