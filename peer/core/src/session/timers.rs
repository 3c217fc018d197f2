//! The deadlines of a session, in one table.

use potluck_common::{Duration, Instant};

use super::{
    Phase,
    config::{IDLE_TIME_MAX, MESSAGE_PROGRESS_BYTES, MESSAGE_TIME_MAX},
};

/// What a session may wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Timer {
    /// The handshake's last byte. Absolute: bytes that trickle in do not move it.
    Handshake,
    /// The last byte of the message under way. Set exactly while a part of a message is in the buffer.
    Message,
    /// Any message at all. Set exactly while no part of a message is in the buffer.
    Idle,
    /// The next block. Set exactly while requests are outstanding.
    Block,
    /// Our next keep-alive.
    KeepAlive,
}

const TIMERS: [Timer; 5] = [Timer::Handshake, Timer::Message, Timer::Idle, Timer::Block, Timer::KeepAlive];

impl Timer {
    /// Whether it waits for bytes of the peer, which cannot come while we do not read.
    fn waits_for_reading(self) -> bool {
        matches!(self, Self::Message | Self::Idle | Self::Block)
    }
}

/// The table.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers {
    deadlines: [Option<Instant>; TIMERS.len()],
    /// When reading stopped, if it did.
    paused_at: Option<Instant>,
}

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, deadline: Instant) {
        self.deadlines[timer as usize] = Some(deadline);
    }

    pub(super) fn clear(&mut self, timer: Timer) {
        self.deadlines[timer as usize] = None;
    }

    pub(super) fn clear_all(&mut self) {
        *self = Self::default();
    }

    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.deadlines[timer as usize].is_some()
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        TIMERS.into_iter().filter_map(|timer| self.running(timer)).min()
    }

    /// Takes a timer whose deadline has come off the table.
    pub(super) fn expired(&mut self, now: Instant) -> Option<Timer> {
        let due = |timer: &Timer| self.running(*timer).is_some_and(|deadline| deadline <= now);
        let timer = TIMERS.into_iter().find(due)?;
        self.clear(timer);
        Some(timer)
    }

    /// Keeps the two deadlines of silence: one inside a message, of which `partial` bytes are in the buffer, and one between
    /// messages. `counted` of them were there when the first was set, and what comes back takes its place.
    pub(super) fn watch_progress(
        &mut self,
        now: Instant,
        complete: bool,
        partial: usize,
        counted: usize,
    ) -> usize {
        if partial == 0 {
            self.clear(Timer::Message);
            if complete || !self.is_set(Timer::Idle) {
                self.set(Timer::Idle, now + IDLE_TIME_MAX);
            }
            return counted;
        }
        self.clear(Timer::Idle);
        let progress = partial.saturating_sub(counted) >= MESSAGE_PROGRESS_BYTES;
        if !complete && !progress && self.is_set(Timer::Message) {
            return counted;
        }
        self.set(Timer::Message, now + MESSAGE_TIME_MAX);
        partial
    }

    /// Checks that a session which has come this far waits for what it must.
    ///
    /// # Panics
    /// When it does not.
    pub(super) fn assert_fit(&self, phase: Phase) {
        let opening = matches!(phase, Phase::Silent | Phase::Greeted);
        assert_eq!(self.is_set(Timer::Handshake), opening, "a handshake has a deadline");
        let waits = self.is_set(Timer::Message) ^ self.is_set(Timer::Idle);
        assert_eq!(waits, phase == Phase::Open, "an open session waits for one of the two");
        assert!(phase != Phase::Closed || self.next().is_none(), "nothing is due after the end");
    }

    /// Stops the timers that wait for bytes.
    pub(super) fn pause_reading(&mut self, now: Instant) {
        self.paused_at.get_or_insert(now);
    }

    /// Starts them again with the time that was left.
    pub(super) fn resume_reading(&mut self, now: Instant) {
        let Some(paused_at) = self.paused_at.take() else { return };
        let pause: Duration = now.since(paused_at);
        for timer in TIMERS.into_iter().filter(|timer| timer.waits_for_reading()) {
            if let Some(deadline) = &mut self.deadlines[timer as usize] {
                *deadline += pause;
            }
        }
    }

    fn running(&self, timer: Timer) -> Option<Instant> {
        let stopped = self.paused_at.is_some() && timer.waits_for_reading();
        self.deadlines[timer as usize].filter(|_| !stopped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_deadline_is_next_and_a_pause_moves_those_that_wait_for_bytes() {
        let at = Instant::from_secs;
        let mut timers = Timers::default();
        assert_eq!(timers.next(), None);
        timers.set(Timer::Idle, at(120));
        timers.set(Timer::KeepAlive, at(200));
        assert_eq!(timers.next(), Some(at(120)));
        timers.pause_reading(at(100));
        timers.pause_reading(at(110));
        assert_eq!(timers.next(), Some(at(200)));
        assert_eq!(timers.expired(at(150)), None);
        timers.resume_reading(at(160));
        assert_eq!(timers.next(), Some(at(180)), "20 s were left");
        assert_eq!(timers.expired(at(180)), Some(Timer::Idle));
        assert_eq!(timers.expired(at(180)), None);
        assert_eq!(timers.expired(at(300)), Some(Timer::KeepAlive));
        assert_eq!(timers.next(), None);
    }
}
