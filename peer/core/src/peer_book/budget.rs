//! How fast addresses are dialled on the word of strangers.

use potluck_common::{Duration, Instant};

/// One dial in so long. A dial that is refused is over at once, and whoever names a victim's address must not make it many.
const EACH: Duration = Duration::from_millis(200);
/// So much unused time may be made up for at once: a swarm begins with some 20 dials.
const BURST: Duration = Duration::from_secs(4);

/// A budget of dials: the time at which the next one is free, up to [`BURST`] in the past.
#[derive(Default, Debug)]
pub(super) struct Budget(Instant);

impl Budget {
    /// Whether one more may be dialled.
    pub(super) fn has(&self, now: Instant) -> bool {
        self.0 <= now
    }

    /// One is dialled.
    pub(super) fn spend(&mut self, now: Instant) {
        self.0 = self.0.max(now - BURST) + EACH;
    }
}
