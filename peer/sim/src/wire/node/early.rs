//! The task of one connection of a node that knows only the hash, as the engine's: it moves bytes between the network and its
//! session, and in the end gives the connection away.

use std::collections::VecDeque;

use bytes::{Buf, BytesMut};
use potluck_common::Instant;
use potluck_core::{
    PeerKey,
    session::{
        Blame, CloseReason, Direction, MetadataCommand, MetadataEvent, MetadataSession, OUTPUT_BYTES_MAX,
    },
};

use super::magnet::HandedOver;
use crate::wire::{
    agenda::Agenda,
    net::{End, Half, HostId, Network},
    world::Happening,
};

/// The most that is read at once, as in the engine: a piece of metadata and some.
const READ_BYTES: usize = 20 * 1024;

/// What such a task is told.
#[derive(Debug)]
pub(in crate::wire) enum Order {
    /// For its session.
    Commands(Vec<MetadataCommand>),
    /// Give the connection away, or end it.
    HandOver,
}

/// What a run of the task came to.
#[derive(Debug, Default)]
pub(in crate::wire) struct EarlyRan {
    /// What the machine is to hear.
    pub(in crate::wire) events: Vec<MetadataEvent>,
    /// When to run again, if nothing happens before.
    pub(in crate::wire) wake_at: Option<Instant>,
    /// There is more to do at once.
    pub(in crate::wire) goes_on: bool,
    pub(in crate::wire) closed: Option<CloseReason>,
    pub(in crate::wire) handed_over: Option<HandedOver>,
}

/// The task of such a connection.
#[derive(Debug)]
pub(in crate::wire) struct EarlyConnection {
    pub(in crate::wire) key: PeerKey,
    pub(in crate::wire) host: HostId,
    end: End,
    direction: Direction,
    pub(in crate::wire) session: MetadataSession,
    orders: VecDeque<Order>,
    input: BytesMut,
    pub(in crate::wire) wake_at: Option<Instant>,
}

impl EarlyConnection {
    pub(in crate::wire) fn new(
        key: PeerKey,
        host: HostId,
        end: End,
        direction: Direction,
        session: MetadataSession,
        received: BytesMut,
    ) -> Self {
        Self { key, host, end, direction, session, orders: VecDeque::new(), input: received, wake_at: None }
    }

    pub(in crate::wire) fn order(&mut self, order: Order) {
        self.orders.push_back(order);
    }

    /// Does what there is to do at `now`.
    pub(in crate::wire) fn run(&mut self, agenda: &mut Agenda<Happening>, network: &mut Network) -> EarlyRan {
        let now = agenda.now();
        let mut ran = EarlyRan::default();
        while let Some(order) = self.orders.pop_front() {
            match order {
                Order::Commands(commands) => {
                    for command in commands {
                        self.session.handle(now, command);
                    }
                }
                Order::HandOver => ran.handed_over = self.hand_over(agenda, network),
            }
        }
        ran.events.extend(std::iter::from_fn(|| self.session.poll_event()));
        if ran.handed_over.is_some() {
            return ran;
        }
        self.read(agenda, network);
        if self.session.poll_timeout().is_some_and(|at| at <= now) {
            self.session.handle_timeout(now);
        }
        self.write(agenda, network);
        ran.events.extend(std::iter::from_fn(|| self.session.poll_event()));
        ran.closed = ran.events.iter().find_map(|event| match event {
            MetadataEvent::Closed(reason) => Some(reason.clone()),
            _ => None,
        });
        if ran.closed.is_some() {
            network.close(agenda, self.end);
        } else {
            ran.goes_on = self.may_read()
                && network.half(self.end).is_some_and(|half| half.unread_bytes() > 0 || half.is_at_end());
            ran.wake_at = self.session.poll_timeout();
        }
        ran
    }

    fn may_read(&mut self) -> bool {
        self.session.output().len() < OUTPUT_BYTES_MAX
    }

    fn read(&mut self, agenda: &mut Agenda<Happening>, network: &mut Network) {
        if !self.may_read() || self.session.is_closed() {
            return;
        }
        let bytes = network.read(agenda, self.end, READ_BYTES);
        self.input.extend_from_slice(&bytes);
        if !self.input.is_empty() {
            self.session.receive(agenda.now(), &mut self.input);
        }
        if network.half(self.end).is_none_or(Half::is_at_end) {
            self.close(agenda.now(), "the peer closed the connection");
        }
    }

    fn write(&mut self, agenda: &mut Agenda<Happening>, network: &mut Network) {
        let room = network.room(self.end);
        let output = self.session.output();
        let part = output.split_to(room.min(output.len())).freeze();
        network.write(agenda, self.end, part);
    }

    fn hand_over(&mut self, agenda: &mut Agenda<Happening>, network: &mut Network) -> Option<HandedOver> {
        self.write(agenda, network);
        let Some(mut received) = self.session.hand_over() else {
            self.close(agenda.now(), "it cannot be taken over");
            return None;
        };
        received.unsplit(std::mem::take(&mut self.input));
        Some(HandedOver { key: self.key, end: self.end, direction: self.direction, received })
    }

    fn close(&mut self, now: Instant, why: &str) {
        self.session.handle(now, MetadataCommand::Close(CloseReason::new(Blame::Nobody, why)));
    }

    /// Bytes that it keeps for its peer.
    pub(in crate::wire) fn output_bytes(&mut self) -> usize {
        self.session.output().remaining()
    }
}
