//! The task of one connection: moves bytes between the network and its session, as the engine's does.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use potluck_common::{BlockSpan, Duration, Instant};
use potluck_core::{
    PeerKey,
    session::{Blame, CloseReason, OUTPUT_BYTES_MAX, Session, SessionCommand, SessionEffect, SessionEvent},
    torrent::Input,
};

use super::{Machine, Sharing, pieces::Pieces, sharing::Turns};
use crate::wire::{
    agenda::Agenda,
    net::{End, Half, HostId, Network},
    world::Happening,
};

/// Blocks that are read ahead of what the network takes.
const READ_AHEAD: usize = 16;
/// The same under an upload limit: what is ready is what the uplink knows that it could send.
const READ_AHEAD_LIMITED: usize = 4;
/// Blocks that are queued for the network.
const OUTPUT_BLOCKS: usize = 4;

/// A block on its way to the peer.
#[derive(Debug)]
enum Upload {
    Reading(BlockSpan),
    Ready(BlockSpan, Bytes),
}

/// What waits for room in the network.
#[derive(Debug)]
enum Output {
    Control(Bytes),
    /// A block with its header, until its last byte is written.
    Block(BlockSpan, Bytes),
}

/// What a run of the task asks for.
#[derive(Debug, Default)]
pub(in crate::wire) struct Ran {
    /// What the torrent is to hear.
    pub(in crate::wire) report: Option<Input>,
    /// Blocks to be read from the disk.
    pub(in crate::wire) reads: Vec<BlockSpan>,
    /// When to run again, if nothing happens before.
    pub(in crate::wire) wake_at: Option<Instant>,
    /// There is more to do at once.
    pub(in crate::wire) goes_on: bool,
    pub(in crate::wire) closed: Option<CloseReason>,
    /// Payload that the network took, in bytes.
    pub(in crate::wire) sent: u64,
}

/// The task of a connection.
#[derive(Debug)]
pub(in crate::wire) struct Connection {
    key: PeerKey,
    pub(in crate::wire) host: HostId,
    end: End,
    pub(in crate::wire) session: Session,
    commands: VecDeque<Vec<SessionCommand>>,
    input: BytesMut,
    uploads: VecDeque<Upload>,
    turns: Turns,
    output: VecDeque<Output>,
    /// Payload that the network took, in bytes.
    sent: u64,
    down_limit: Option<u64>,
    read_again_at: Instant,
    reason: Option<CloseReason>,
    /// A defect on purpose: metadata goes out two times.
    pub(in crate::wire) gives_twice: bool,
    pub(in crate::wire) wake_at: Option<Instant>,
    /// The deadline that it waits for, if for nothing else.
    pub(in crate::wire) sleeps_until: Option<Instant>,
}

impl Connection {
    pub(in crate::wire) fn new(
        key: PeerKey,
        host: HostId,
        end: End,
        session: Session,
        received: BytesMut,
        down_limit: Option<u64>,
    ) -> Self {
        Self {
            key,
            host,
            end,
            session,
            commands: VecDeque::new(),
            input: received,
            uploads: VecDeque::new(),
            turns: Turns::default(),
            output: VecDeque::new(),
            sent: 0,
            down_limit,
            read_again_at: Instant::ZERO,
            reason: None,
            gives_twice: false,
            wake_at: None,
            sleeps_until: None,
        }
    }

    pub(in crate::wire) fn command(&mut self, commands: Vec<SessionCommand>) {
        self.commands.push_back(commands);
    }

    pub(in crate::wire) fn end(&self) -> End {
        self.end
    }

    /// Whether the session stands and nothing is to be done or said by this end.
    pub(in crate::wire) fn is_quiet(&self) -> bool {
        self.session.is_open()
            && self.commands.is_empty()
            && self.output.is_empty()
            && self.input.is_empty()
            && self.wake_at.is_none_or(|at| Some(at) == self.sleeps_until)
    }

    /// Blocks that were asked for and are being read.
    pub(in crate::wire) fn uploads_waiting(&self) -> usize {
        self.uploads.len()
    }

    /// Bytes that it keeps for its peer.
    pub(in crate::wire) fn output_bytes(&mut self) -> usize {
        let waiting: usize = self
            .output
            .iter()
            .map(|output| match output {
                Output::Control(bytes) | Output::Block(_, bytes) => bytes.len(),
            })
            .sum();
        waiting + self.session.output().len()
    }

    /// Does what there is to do at `now`.
    pub(in crate::wire) fn run(
        &mut self,
        agenda: &mut Agenda<Happening>,
        network: &mut Network,
        machine: &mut Machine,
    ) -> Ran {
        let now = agenda.now();
        let Machine { pieces, sharing, .. } = machine;
        let mut sharing = sharing.as_mut();
        while let Some(commands) = self.commands.pop_front() {
            self.obey(now, commands, sharing.as_deref_mut());
        }
        self.read(agenda, network);
        if self.session.poll_timeout().is_some_and(|at| at <= now) {
            self.session.handle_timeout(now);
        }
        let mut ran = Ran::default();
        if !self.session.is_closed() {
            self.send(agenda, network, sharing.as_deref_mut(), &mut ran);
        }
        self.report(pieces, &mut ran);
        if self.session.is_closed() {
            self.last_words(agenda, network);
            if let Some(sharing) = sharing.as_deref_mut() {
                self.turns.give_up(sharing);
            }
            ran.closed = self.reason.clone();
        } else {
            self.plan_wake(agenda, network, &mut ran);
        }
        ran.sent = std::mem::take(&mut self.sent);
        if let Some(sharing) = sharing {
            sharing.count_sent(ran.sent);
        }
        ran
    }

    fn obey(&mut self, now: Instant, commands: Vec<SessionCommand>, mut sharing: Option<&mut Sharing>) {
        for command in commands {
            let chokes = command == SessionCommand::Choke;
            self.session.handle(now, command);
            if chokes {
                if let Some(sharing) = sharing.as_deref_mut() {
                    self.turns.give_up(sharing);
                }
                for upload in std::mem::take(&mut self.uploads) {
                    let (Upload::Reading(span) | Upload::Ready(span, _)) = upload;
                    self.session.upload_failed(now, span);
                }
            }
        }
    }

    fn may_read(&mut self) -> bool {
        self.output_bytes() < OUTPUT_BYTES_MAX
    }

    fn read(&mut self, agenda: &mut Agenda<Happening>, network: &mut Network) {
        let now = agenda.now();
        if !self.may_read() || now < self.read_again_at || self.session.is_closed() {
            return;
        }
        self.session.resume_reading(now);
        let bytes = network.read(agenda, self.end, 256 * 1024);
        self.input.extend_from_slice(&bytes);
        if !self.input.is_empty() {
            self.session.receive(now, &mut self.input);
        }
        if let Some(limit) = self.down_limit.filter(|_| !bytes.is_empty()) {
            let takes = bytes.len() as f64 / limit as f64;
            self.read_again_at = now + Duration::from_secs_f64(takes);
            self.session.pause_reading(now);
        }
        if network.half(self.end).is_none_or(Half::is_at_end) {
            let reason = CloseReason::new(Blame::Nobody, "the peer closed the connection");
            self.session.handle(now, SessionCommand::Close(reason));
        }
    }

    fn report(&mut self, pieces: &mut Pieces, ran: &mut Ran) {
        let (mut events, mut duplicates) = (Vec::new(), Vec::new());
        while let Some(effect) = self.session.poll_effect() {
            match effect {
                SessionEffect::Block { span, payload } => {
                    if !pieces.put(span, payload) {
                        duplicates.push(span);
                    }
                }
                SessionEffect::Event(event) => {
                    if let SessionEvent::Closed(reason) = &event {
                        self.reason = Some(reason.clone());
                    }
                    events.push(event);
                }
                SessionEffect::Close(_) => {}
            }
        }
        if !events.is_empty() {
            ran.report = Some(Input::Peer { peer: self.key, events, duplicates });
        }
    }

    fn send(
        &mut self,
        agenda: &mut Agenda<Happening>,
        network: &mut Network,
        mut sharing: Option<&mut Sharing>,
        ran: &mut Ran,
    ) {
        let now = agenda.now();
        self.push_control();
        if let Some(sharing) = sharing.as_deref_mut() {
            self.turns.set_weight(sharing, self.session.weight_percent());
        }
        let ahead = if sharing.is_some() { READ_AHEAD_LIMITED } else { READ_AHEAD };
        while self.uploads.len() < ahead {
            let Some(span) = self.session.next_upload(now) else { break };
            self.uploads.push_back(Upload::Reading(span));
            ran.reads.push(span);
        }
        self.queue_ready(now, sharing.as_deref_mut());
        loop {
            while self.write(agenda, network) {
                self.queue_ready(now, sharing.as_deref_mut());
            }
            if !self.output.is_empty() || !self.session.next_metadata(now) {
                return;
            }
            let metadata = self.session.output().clone().freeze();
            self.push_control();
            if self.gives_twice {
                self.output.push_back(Output::Control(metadata));
            }
        }
    }

    fn push_control(&mut self) {
        let control = self.session.output().split().freeze();
        if !control.is_empty() {
            self.output.push_back(Output::Control(control));
        }
    }

    /// Blocks go out in the order in which they were asked for.
    fn queue_ready(&mut self, now: Instant, mut sharing: Option<&mut Sharing>) {
        let is_block = |output: &&Output| matches!(output, Output::Block(..));
        while self.output.iter().filter(is_block).count() < OUTPUT_BLOCKS
            && matches!(self.uploads.front(), Some(Upload::Ready(..)))
            && self.is_its_turn(now, sharing.as_deref_mut())
        {
            let Some(Upload::Ready(span, payload)) = self.uploads.pop_front() else { return };
            let mut bytes = BytesMut::with_capacity(payload.len() + 13);
            bytes.extend_from_slice(&Session::piece_header(span));
            bytes.extend_from_slice(&payload);
            self.output.push_back(Output::Block(span, bytes.freeze()));
        }
    }

    /// Whether the first block, which is ready, may be sent under the upload limit.
    fn is_its_turn(&mut self, now: Instant, sharing: Option<&mut Sharing>) -> bool {
        let Some(sharing) = sharing else { return true };
        let ready = self.uploads.iter().map_while(|upload| match upload {
            Upload::Ready(_, payload) => Some(payload.len() as u64),
            Upload::Reading(_) => None,
        });
        let (first, all) = (ready.clone().next().unwrap_or(0), ready.sum::<u64>());
        self.turns.pass(sharing, self.end, now, first, all - first)
    }

    /// Writes what the system takes of the first thing in the queue; whether it was all of it.
    fn write(&mut self, agenda: &mut Agenda<Happening>, network: &mut Network) -> bool {
        let room = network.room(self.end);
        let Some(first) = self.output.front_mut() else { return false };
        let (Output::Control(bytes) | Output::Block(_, bytes)) = first;
        let part = bytes.split_to(room.min(bytes.len()));
        let is_all = bytes.is_empty();
        network.write(agenda, self.end, part);
        if is_all && let Some(Output::Block(span, _)) = self.output.pop_front() {
            self.sent += u64::from(span.length);
            self.session.upload_sent(agenda.now(), span);
        }
        is_all
    }

    fn last_words(&mut self, agenda: &mut Agenda<Happening>, network: &mut Network) {
        self.push_control();
        while self.write(agenda, network) {}
        network.close(agenda, self.end);
    }

    fn plan_wake(&mut self, agenda: &Agenda<Happening>, network: &Network, ran: &mut Ran) {
        let unread = network.half(self.end).is_some_and(|half| half.unread_bytes() > 0 || half.is_at_end());
        let reads_later = self.read_again_at > agenda.now();
        ran.goes_on = unread && !reads_later && self.may_read();
        let read_again = Some(self.read_again_at).filter(|_| unread && reads_later);
        ran.wake_at = self.session.poll_timeout().into_iter().chain(read_again).min();
    }

    /// A block was read from the disk, or was not.
    pub(in crate::wire) fn fetched(&mut self, now: Instant, span: BlockSpan, payload: Option<Bytes>) {
        let is_it = |upload: &Upload| matches!(upload, Upload::Reading(waiting) if *waiting == span);
        let Some(place) = self.uploads.iter().position(is_it) else { return };
        if let Some(payload) = payload {
            self.uploads[place] = Upload::Ready(span, payload);
        } else {
            self.uploads.remove(place);
            self.session.upload_failed(now, span);
        }
    }
}
