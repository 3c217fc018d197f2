//! One end of a connection as its system sees it.

use std::{collections::VecDeque, net::SocketAddr};

use bytes::{Bytes, BytesMut};
use potluck_common::Instant;

use super::HostId;

/// What is sent in one go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::wire) enum Segment {
    Bytes(Bytes),
    /// Nothing more comes.
    End,
    /// The connection is not known there.
    Reset,
}

impl Segment {
    /// What it takes of an uplink, in bytes.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len() + 40,
            Self::End | Self::Reset => 40,
        }
    }
}

/// What came of looking at arrivals.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Comes {
    /// The task of this end has something to do.
    pub(super) is_news: bool,
    pub(super) is_reset: bool,
    /// Something came for a task that is gone.
    pub(super) is_for_nobody: bool,
}

/// How an end is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Open,
    /// Its task closed it: what was written goes out, what comes is for nobody.
    Closed,
    /// Nothing is known of it any more.
    Gone,
}

/// One end: what its task wrote, and what comes to it.
#[derive(Debug)]
pub(in crate::wire) struct Half {
    pub(super) host: HostId,
    /// Where this end sees the other.
    pub(in crate::wire) remote: SocketAddr,
    state: State,
    unsent: VecDeque<Segment>,
    unsent_bytes: usize,
    pub(super) is_in_turn: bool,
    /// On the way to this end, in order.
    arriving: VecDeque<(Instant, Segment)>,
    arriving_bytes: usize,
    unread: BytesMut,
    /// The other end closed, or nobody knows of the connection there.
    is_ended: bool,
}

impl Half {
    pub(super) fn new(host: HostId, remote: SocketAddr) -> Self {
        Self {
            host,
            remote,
            state: State::Open,
            unsent: VecDeque::new(),
            unsent_bytes: 0,
            is_in_turn: false,
            arriving: VecDeque::new(),
            arriving_bytes: 0,
            unread: BytesMut::new(),
            is_ended: false,
        }
    }

    pub(in crate::wire) fn host(&self) -> HostId {
        self.host
    }

    pub(in crate::wire) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether its task will read nothing more: all that came is read, and nothing more comes.
    pub(in crate::wire) fn is_at_end(&self) -> bool {
        self.is_ended && self.unread.is_empty()
    }

    pub(super) fn is_over(&self) -> bool {
        match self.state {
            State::Open => false,
            State::Closed => self.unsent.is_empty() && self.arriving.is_empty(),
            State::Gone => self.arriving.is_empty(),
        }
    }

    pub(super) fn push(&mut self, segment: Segment) {
        if let Segment::Bytes(bytes) = &segment {
            self.unsent_bytes += bytes.len();
        }
        self.unsent.push_back(segment);
    }

    pub(in crate::wire) fn unsent_bytes(&self) -> usize {
        self.unsent_bytes
    }

    pub(super) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Whether nothing is on its way from this end or to it, or waits there.
    pub(super) fn is_quiet(&self) -> bool {
        self.unsent.is_empty() && self.waiting_bytes() == 0 && self.arriving.is_empty() && !self.is_ended
    }

    pub(super) fn has_arriving(&self) -> bool {
        !self.arriving.is_empty()
    }

    /// What is on its way to this end and what waits there.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.arriving_bytes + self.unread.len()
    }

    /// The next segment, of at most `longest` bytes; `None` if there is none or no room at the other end.
    pub(super) fn take_segment(&mut self, longest: usize) -> Option<Segment> {
        let Segment::Bytes(bytes) = self.unsent.front_mut()? else { return self.unsent.pop_front() };
        if longest == 0 {
            return None;
        }
        let taken = bytes.split_to(longest.min(bytes.len()));
        if bytes.is_empty() {
            self.unsent.pop_front();
        }
        self.unsent_bytes -= taken.len();
        Some(Segment::Bytes(taken))
    }

    /// A segment will come at `at`, or after those before it. Says when.
    pub(super) fn arrives(&mut self, at: Instant, segment: Segment) -> Instant {
        let at = self.arriving.back().map_or(at, |(last, _)| at.max(*last));
        if let Segment::Bytes(bytes) = &segment {
            self.arriving_bytes += bytes.len();
        }
        self.arriving.push_back((at, segment));
        at
    }

    pub(super) fn take_arrivals(&mut self, now: Instant) -> Comes {
        let mut comes = Comes::default();
        while self.arriving.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, segment)) = self.arriving.pop_front() else { break };
            if let Segment::Bytes(bytes) = &segment {
                self.arriving_bytes -= bytes.len();
            }
            if self.state != State::Open {
                comes.is_for_nobody |= matches!(segment, Segment::Bytes(_));
                continue;
            }
            comes.is_news = true;
            match segment {
                Segment::Bytes(bytes) => self.unread.extend_from_slice(&bytes),
                Segment::End => self.is_ended = true,
                Segment::Reset => {
                    // What was not read is lost, as the system has it.
                    self.unread.clear();
                    self.is_ended = true;
                    comes.is_reset = true;
                }
            }
        }
        comes
    }

    pub(super) fn read(&mut self, most: usize) -> Bytes {
        let length = most.min(self.unread.len());
        self.unread.split_to(length).freeze()
    }

    pub(in crate::wire) fn unread_bytes(&self) -> usize {
        self.unread.len()
    }

    pub(super) fn close(&mut self) {
        self.state = State::Closed;
        self.unread.clear();
    }

    pub(super) fn vanish(&mut self) {
        self.state = State::Gone;
        self.unsent.clear();
        self.unsent_bytes = 0;
        self.unread.clear();
    }
}
