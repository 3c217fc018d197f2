//! The task of one connection: moves bytes between its socket, its session machine, the pieces being assembled and
//! the cache of what is sent. Payload goes from the socket into the piece here and nowhere else.

use std::{io, sync::Arc};

use bytes::BytesMut;
use potluck_common::{Duration, Instant};
use potluck_core::{
    PeerKey,
    session::{Blame, CloseReason, Session, SessionCommand, SessionEffect, SessionEvent},
    torrent::Input,
};
use tokio::{
    net::TcpStream,
    sync::mpsc,
    time::{Sleep, timeout},
};

use super::{
    limiter::{Limits, Reserved},
    output::Output,
    piece_table::PieceTable,
    report::Reporter,
    uplink::Share,
    uploads::{Fetched, Uploads},
};
use crate::{
    disk::{ChunkCache, Storage},
    engine::{clock::Clock, trouble},
};

/// Control bytes queued for a peer that does not read; beyond them we do not read either.
const CONTROL_BYTES_MAX: usize = 256 * 1024;
/// The first read of a connection; idle ones keep no more.
const READ_BYTES_MIN: usize = 4 * 1024;
/// The largest read: several blocks at once, all still in the processor's cache when they are hashed.
const READ_BYTES_MAX: usize = 256 * 1024;
/// The longest that a peer may read nothing of what waits for it: about as long as it may be silent.
const UNREAD_TIME_MAX: Duration = Duration::from_secs(120);
/// Whoever waits for a limit looks as often as this whether it has changed.
const LIMITS_EVERY: Duration = Duration::from_millis(500);
/// Events of one read that are nothing unusual.
const EVENTS_FEW: usize = 256;
/// How long the last words may take: a reject or a cancel is worth no more.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What a connection's task shares with its torrent.
#[derive(Clone)]
pub(crate) struct PeerContext {
    pub(crate) clock: Clock,
    pub(crate) storage: Arc<Storage>,
    pub(crate) cache: Arc<ChunkCache>,
    pub(crate) pieces: Arc<PieceTable>,
    pub(crate) up: Arc<Share>,
    pub(crate) down: Limits,
    pub(crate) reports: Reporter,
}

/// One connection and its task's state.
pub(crate) struct PeerTask {
    key: PeerKey,
    context: PeerContext,
    stream: TcpStream,
    session: Session,
    commands: mpsc::UnboundedReceiver<Vec<SessionCommand>>,
    input: BytesMut,
    read_bytes: usize,
    /// What was read last; the next read waits until it has passed the download limits.
    read: Option<Reserved>,
    output: Output,
    /// When the peer is given up because it reads nothing; set while something waits for it.
    unread_deadline: Option<Instant>,
    uploads: Uploads,
    closed: bool,
}

/// What woke the task.
enum Wake {
    Readable,
    Writable,
    Commands(Option<Vec<SessionCommand>>),
    Fetched(Fetched),
    /// More may be sent.
    Turn,
    Timer,
}

impl PeerTask {
    pub(crate) fn new(
        key: PeerKey,
        context: PeerContext,
        stream: TcpStream,
        session: Session,
        received: BytesMut,
        commands: mpsc::UnboundedReceiver<Vec<SessionCommand>>,
    ) -> Self {
        let (storage, cache) = (Arc::clone(&context.storage), Arc::clone(&context.cache));
        let uploads = Uploads::new(storage, cache, Arc::clone(&context.up));
        Self {
            key,
            stream,
            session,
            commands,
            input: received,
            read_bytes: READ_BYTES_MIN,
            read: None,
            output: Output::default(),
            unread_deadline: None,
            uploads,
            closed: false,
            context,
        }
    }

    /// Runs until the connection ends; the last report is its `Closed` event. Boxed, since a future holds what it is
    /// given once more for each future around it, and there may be ten thousand idle ones.
    pub(crate) async fn run(mut self: Box<Self>) {
        if !self.input.is_empty() {
            self.session.receive(self.now(), &mut self.input);
        }
        let mut timer = Box::pin(tokio::time::sleep_until(self.context.clock.deadline(Instant::ZERO)));
        loop {
            self.report().await;
            if self.closed {
                break;
            }
            if let Err(error) = self.send() {
                self.lost(&error);
                continue;
            }
            // Sending may have made the session say more: uploads that went out, requests that fell due.
            let wake = self.wait(&mut timer).await;
            self.react(wake);
            // A socket that is always readable must not keep deadlines from being met.
            let now = self.now();
            if self.session.poll_timeout().is_some_and(|at| at <= now) {
                self.session.handle_timeout(now);
            }
        }
        self.last_words().await;
    }

    fn now(&self) -> Instant {
        self.context.clock.now()
    }

    /// Carries out what the session asks for, and tells the torrent what happened, in one batch.
    async fn report(&mut self) {
        let mut events = Vec::new();
        let mut duplicates = Vec::new();
        while let Some(effect) = self.session.poll_effect() {
            match effect {
                SessionEffect::Block { span, payload } => {
                    if !self.context.pieces.put(span, &payload) {
                        duplicates.push(span);
                    }
                }
                SessionEffect::Event(event) => {
                    self.closed |= matches!(event, SessionEvent::Closed(_));
                    events.push(event);
                }
                SessionEffect::Close(_) => self.closed = true,
            }
        }
        #[cfg(test)]
        panic_on_purpose(&events);
        if !events.is_empty() {
            if events.len() > EVENTS_FEW {
                // Tiny messages grow in memory: no more of them at a time than there must be.
                self.read_bytes = READ_BYTES_MIN;
            }
            self.context.reports.tell(self.key, events, duplicates).await;
        }
    }

    /// Queues what is ready to go out and writes as much as the socket takes.
    fn send(&mut self) -> io::Result<()> {
        let now = self.now();
        self.output.push_control(self.session.output());
        loop {
            if self.output.control_queued() == 0 && self.session.next_metadata(now) {
                self.output.push_control(self.session.output());
            }
            self.look_ahead(now);
            while self.output.has_room() {
                let Some((span, payload)) = self.uploads.next_ready(now) else { break };
                self.output.push_block(Session::piece_header(span), payload, span);
            }
            if self.output.is_empty() {
                self.unread_deadline = None;
                return Ok(());
            }
            let queued = self.output.queued();
            let mut sent = 0;
            let (session, uploads) = (&mut self.session, &mut self.uploads);
            self.output.write(&self.stream, |span, is_view| {
                sent += u64::from(span.length);
                session.upload_sent(now, span);
                if is_view {
                    uploads.sent(span);
                }
            })?;
            self.uploads.wrote(now, sent, !self.output.is_empty());
            if self.output.queued() < queued || self.unread_deadline.is_none() {
                self.unread_deadline = Some(now + UNREAD_TIME_MAX);
            }
            if !self.output.is_empty() {
                return Ok(());
            }
        }
    }

    fn look_ahead(&mut self, now: Instant) {
        self.uploads.set_choked(self.session.am_choking());
        self.uploads.set_weight(self.session.weight_percent());
        self.output.set_choked(self.session.am_choking());
        self.uploads.resume();
        while self.uploads.has_room() {
            let Some(span) = self.session.next_upload(now) else { return };
            self.uploads.push(span);
        }
    }

    async fn wait(&mut self, timer: &mut std::pin::Pin<Box<Sleep>>) -> Wake {
        let may_read = self.output.control_queued() + self.session.output().len() < CONTROL_BYTES_MAX;
        let now = self.now();
        let read_turn = self.read_turn(now);
        let read_now = may_read && read_turn.is_none();
        if read_now {
            // From here on it is the peer who keeps us waiting.
            self.session.resume_reading(now);
        }
        let read_turn = read_turn.filter(|_| may_read).map(|at| at.min(now + LIMITS_EVERY));
        // A turn that came since `send` looked must wake us like any other; but a full output waits for the socket.
        let upload_turn = if self.output.has_room() { self.uploads.next_turn(now) } else { None };
        let deadlines = [upload_turn, read_turn, self.unread_deadline, self.session.poll_timeout()];
        let deadline = deadlines.into_iter().flatten().min();
        let deadline = self.context.clock.deadline(deadline.unwrap_or(Instant::FAR_FUTURE));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        tokio::select! {
            biased;
            commands = self.commands.recv() => Wake::Commands(commands),
            fetched = self.uploads.next_wake() => fetched.map_or(Wake::Turn, Wake::Fetched),
            _ = self.stream.writable(), if !self.output.is_empty() => Wake::Writable,
            _ = self.stream.readable(), if read_now => Wake::Readable,
            () = timer.as_mut() => Wake::Timer,
        }
    }

    /// When the download limits let the next read happen; `None` is now.
    fn read_turn(&mut self, now: Instant) -> Option<Instant> {
        let turn = self.context.down.passed_at(self.read?);
        if turn <= now {
            self.read = None;
        }
        self.read.map(|_| turn)
    }

    fn react(&mut self, wake: Wake) {
        let now = self.now();
        match wake {
            Wake::Readable => self.read(now),
            // The socket was not writable this very moment.
            Wake::Timer if self.unread_deadline.is_some_and(|at| at <= now) => {
                self.end("it reads nothing of what we send");
            }
            Wake::Writable | Wake::Turn => {}
            Wake::Timer => {
                // A deadline of the session: what was once a fast connection may be an idle one. (A turn under a rate
                // limit comes to busy ones.)
                if self.input.is_empty() && self.session.poll_timeout().is_some_and(|at| at <= now) {
                    self.input = BytesMut::new();
                    self.read_bytes = READ_BYTES_MIN;
                }
            }
            Wake::Fetched(fetched) => self.block_read(now, fetched),
            Wake::Commands(None) => {
                self.session.handle(
                    now,
                    SessionCommand::Close(CloseReason::new(Blame::Local, "the torrent is gone")),
                );
            }
            Wake::Commands(Some(commands)) => {
                self.obey(now, commands);
                while let Ok(more) = self.commands.try_recv() {
                    self.obey(now, more);
                }
            }
        }
    }

    fn obey(&mut self, now: Instant, commands: Vec<SessionCommand>) {
        for command in commands {
            let chokes = command == SessionCommand::Choke;
            self.session.handle(now, command);
            if chokes {
                // What was taken from the request queue and not yet sent is refused like the rest of it.
                for span in self.uploads.drain() {
                    self.session.upload_failed(now, span);
                }
                // What it does not read may wait for long.
                self.output.compact();
            }
        }
    }

    fn read(&mut self, now: Instant) {
        let limited = self.context.down.is_limited();
        let most = if limited { READ_BYTES_MIN.max(16 * 1024) } else { self.read_bytes };
        self.input.reserve(most);
        match self.stream.try_read_buf(&mut self.input) {
            Ok(0) => self.lost(&io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                // A read that filled its buffer asks for a larger one; small ones let it shrink again.
                if read >= self.read_bytes {
                    self.read_bytes = (self.read_bytes * 2).min(READ_BYTES_MAX);
                } else if read < self.read_bytes / 8 {
                    self.read_bytes = (self.read_bytes / 2).max(READ_BYTES_MIN);
                }
                self.read = limited.then(|| self.context.down.reserve(now, read as u64));
                self.session.receive(now, &mut self.input);
                if self.read_turn(now).is_some() {
                    // That the peer's message is late from now on is our doing.
                    self.session.pause_reading(now);
                }
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => self.lost(&error),
        }
        if self.input.is_empty() && self.read_bytes == READ_BYTES_MIN {
            self.input = BytesMut::new();
        }
    }

    fn block_read(&mut self, now: Instant, (span, result): Fetched) {
        match result {
            Ok(payload) => self.uploads.fetched(span, &payload),
            Err(error) => {
                self.uploads.failed(span);
                self.session.upload_failed(now, span);
                self.context.reports.try_tell(Input::ReadFailed(span.piece, trouble(&error)));
            }
        }
    }

    fn lost(&mut self, error: &io::Error) {
        let why = match error.kind() {
            io::ErrorKind::UnexpectedEof => "the peer closed the connection".to_owned(),
            _ => format!("the connection broke: {error}"),
        };
        self.end(&why);
    }

    fn end(&mut self, why: &str) {
        self.session.handle(self.now(), SessionCommand::Close(CloseReason::new(Blame::Nobody, why)));
    }

    async fn last_words(mut self: Box<Self>) {
        self.output.push_control(self.session.output());
        let _ = timeout(LAST_WORDS, async {
            while !self.output.is_empty() && self.stream.writable().await.is_ok() {
                if self.output.write(&self.stream, |_, _| {}).is_err() {
                    return;
                }
            }
        })
        .await;
    }
}

/// So many tasks panic at the worst moment: blocks were taken, and nobody was told.
#[cfg(test)]
pub(crate) static PANICS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

#[cfg(test)]
fn panic_on_purpose(events: &[SessionEvent]) {
    use std::sync::atomic::Ordering::SeqCst;
    let takes_blocks = events.iter().any(|event| matches!(event, SessionEvent::Received(_)));
    if takes_blocks && PANICS.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
        std::panic::resume_unwind(Box::new("on purpose"));
    }
}
