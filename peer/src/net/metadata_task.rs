//! The task of one connection of a torrent whose metadata is not known: it moves bytes between its socket and its session
//! machine, and in the end gives the socket away.

use std::{io, net::SocketAddr};

use bytes::{Buf as _, BytesMut};
use potluck_common::{Duration, Instant};
use potluck_core::{
    PeerKey,
    session::{
        Blame, CloseReason, Direction, MetadataCommand, MetadataEvent, MetadataSession, OUTPUT_BYTES_MAX,
    },
};
use tokio::{net::TcpStream, sync::mpsc};

use crate::engine::clock::Clock;

/// The most that is read at once: a piece of metadata and some.
const READ_BYTES: usize = 20 * 1024;
/// The longest that a peer may read nothing of what waits for it.
const UNREAD_TIME_MAX: Duration = Duration::from_secs(120);

/// What such a task is told.
pub(crate) enum Order {
    /// For its session.
    Commands(Vec<MetadataCommand>),
    /// Give the connection away, or end it.
    HandOver,
}

/// What it tells.
pub(crate) enum MetadataReport {
    /// What its session did.
    Events(PeerKey, Vec<MetadataEvent>),
    /// The connection is somebody else's from here on. Nothing follows.
    HandedOver(PeerKey, HandedOver),
}

/// An open connection that another session goes on with.
pub(crate) struct HandedOver {
    pub(crate) stream: TcpStream,
    pub(crate) remote: SocketAddr,
    pub(crate) direction: Direction,
    /// What the peer said, for that session.
    pub(crate) received: BytesMut,
}

/// One connection and its task's state.
pub(crate) struct MetadataTask {
    pub(crate) key: PeerKey,
    pub(crate) clock: Clock,
    pub(crate) stream: TcpStream,
    pub(crate) remote: SocketAddr,
    pub(crate) direction: Direction,
    pub(crate) session: MetadataSession,
    pub(crate) input: BytesMut,
    pub(crate) orders: mpsc::UnboundedReceiver<Order>,
    pub(crate) reports: mpsc::Sender<MetadataReport>,
}

impl MetadataTask {
    /// Runs until the connection ends or is given away; the last report says so.
    pub(crate) async fn run(mut self) {
        if !self.input.is_empty() {
            self.session.receive(self.clock.now(), &mut self.input);
        }
        let mut unread: Option<Instant> = None;
        loop {
            let over = self.report().await;
            let progress = self.write();
            if over {
                return;
            }
            match progress {
                Err(error) => {
                    self.lost(&error);
                    continue;
                }
                Ok(true) => unread = None,
                Ok(false) => {}
            }
            let now = self.clock.now();
            let waits = !self.session.output().is_empty();
            unread = waits.then(|| unread.unwrap_or(now + UNREAD_TIME_MAX));
            let may_read = self.session.output().len() < OUTPUT_BYTES_MAX;
            let wake = self.session.poll_timeout().into_iter().chain(unread).min();
            let wake = self.clock.deadline(wake.unwrap_or(Instant::FAR_FUTURE));
            tokio::select! {
                biased;
                order = self.orders.recv() => match order {
                    Some(Order::Commands(commands)) => self.obey(commands),
                    Some(Order::HandOver) => return self.hand_over().await,
                    None => self.end(Blame::Local, "the torrent is gone"),
                },
                _ = self.stream.writable(), if waits => {}
                _ = self.stream.readable(), if may_read => self.read(),
                () = tokio::time::sleep_until(wake) => {
                    let now = self.clock.now();
                    if unread.is_some_and(|at| at <= now) {
                        self.end(Blame::Nobody, "it reads nothing of what we send");
                    }
                    self.session.handle_timeout(now);
                }
            }
        }
    }

    /// Tells what happened; says whether the session is over.
    async fn report(&mut self) -> bool {
        let events: Vec<_> = std::iter::from_fn(|| self.session.poll_event()).collect();
        if !events.is_empty() {
            // Nobody listens at the engine's end.
            let _ = self.reports.send(MetadataReport::Events(self.key, events)).await;
        }
        self.session.is_closed()
    }

    /// Writes what the socket takes; says whether it took something.
    fn write(&mut self) -> io::Result<bool> {
        let output = self.session.output();
        let mut took = false;
        while !output.is_empty() {
            match self.stream.try_write(output) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    output.advance(written);
                    took = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(took)
    }

    fn read(&mut self) {
        self.input.reserve(READ_BYTES);
        match self.stream.try_read_buf(&mut self.input) {
            Ok(0) => self.lost(&io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => self.session.receive(self.clock.now(), &mut self.input),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => self.lost(&error),
        }
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
    }

    fn obey(&mut self, commands: Vec<MetadataCommand>) {
        let now = self.clock.now();
        for command in commands {
            self.session.handle(now, command);
        }
    }

    async fn hand_over(mut self) {
        let handed = self.write().ok().and_then(|_| self.session.hand_over());
        let Some(mut received) = handed else {
            self.end(Blame::Nobody, "it cannot be taken over");
            self.report().await;
            return;
        };
        received.unsplit(std::mem::take(&mut self.input));
        let Self { key, stream, remote, direction, reports, .. } = self;
        let handed = HandedOver { stream, remote, direction, received };
        let _ = reports.send(MetadataReport::HandedOver(key, handed)).await;
    }

    fn lost(&mut self, error: &io::Error) {
        let why = match error.kind() {
            io::ErrorKind::UnexpectedEof => "the peer closed the connection".to_owned(),
            _ => format!("the connection broke: {error}"),
        };
        self.end(Blame::Nobody, &why);
    }

    fn end(&mut self, blame: Blame, why: &str) {
        let reason = CloseReason::new(blame, why);
        self.session.handle(self.clock.now(), MetadataCommand::Close(reason));
    }
}
