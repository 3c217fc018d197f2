//! What happens when time passes and the peer does nothing.

use potluck_common::{Instant, wire::Message};

use super::{
    Phase, Session,
    config::{KEEP_ALIVE_INTERVAL, REQUEST_TIME_MAX, SNUB_TIME},
    event::{Blame, CloseReason, SessionEvent},
    fault::PeerFault,
    timers::Timer,
};

impl Session {
    /// Acts on the deadlines that have come.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.expired(now) {
            let outcome = self.on_timer(now, timer);
            self.settle(now, outcome);
        }
    }

    /// The next deadline.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Stops the deadlines that wait for the peer's bytes, because we do not read for a reason of our own.
    pub fn pause_reading(&mut self, now: Instant) {
        self.timers.pause_reading(now);
    }

    /// Ends [`Session::pause_reading`]; the deadlines go on with the time that was left.
    pub fn resume_reading(&mut self, now: Instant) {
        self.timers.resume_reading(now);
    }

    fn on_timer(&mut self, now: Instant, timer: Timer) -> Result<(), PeerFault> {
        match timer {
            Timer::Handshake => return Err(PeerFault::HandshakeTime),
            Timer::Message => return Err(PeerFault::MessageTime),
            Timer::Idle => self.close(CloseReason::new(Blame::Nobody, "said nothing for two minutes")),
            Timer::Block => self.on_block_overdue(now),
            Timer::KeepAlive if self.output.is_empty() => self.send(now, &Message::KeepAlive),
            // What waits to be written will do.
            Timer::KeepAlive => self.timers.set(Timer::KeepAlive, now + KEEP_ALIVE_INTERVAL),
        }
        Ok(())
    }

    /// No block came for too long. A peer that does not choke us is left one request as a probe, and loses that one,
    /// too, at the second deadline; then the torrent may try it with another.
    fn on_block_overdue(&mut self, now: Instant) {
        let begins = !self.remote_choking && !self.requests.is_snubbed();
        let given_up = self.requests.give_up_outstanding(usize::from(begins));
        for span in &given_up {
            self.send(now, &Message::Cancel((*span).into()));
        }
        let mut released = given_up;
        if begins {
            self.requests.set_snubbed(true);
            self.timers.set(Timer::Block, now + (REQUEST_TIME_MAX.saturating_sub(SNUB_TIME)));
            self.emit(SessionEvent::Snubbed(true));
        }
        released.extend(self.requests.give_back_backlog(|_| false));
        self.release(released);
    }

    /// Keeps the two deadlines of silence: one inside a message, of which `partial` bytes are in the buffer, and one
    /// between messages.
    pub(super) fn watch_progress(&mut self, now: Instant, complete: bool, partial: usize) {
        if self.phase == Phase::Open {
            self.partial = self.timers.watch_progress(now, complete, partial, self.partial);
        }
    }
}
