//! How trials end: when hardly any is repaid, somebody lives off them.

use std::collections::VecDeque;

use potluck_common::limits::BLOCK_LENGTH;

/// So many trials are remembered.
const REMEMBERED: usize = 20;

/// With fewer than one in so many repaid, we are under attack.
const REPAID_SHARE: usize = 4;

/// A trial counts as repaid when the peer gave a quarter of what it took.
const REPAID_PART: u64 = 4;

/// A trial in which less was sent says nothing.
const SENT_MIN: u64 = BLOCK_LENGTH as u64;

/// The outcomes of the last trials.
#[derive(Debug, Default)]
pub(super) struct Trials(VecDeque<bool>);

impl Trials {
    /// A trial ended in which we sent and got so many bytes.
    pub(super) fn ended(&mut self, sent: u64, got: u64) {
        if sent < SENT_MIN {
            return;
        }
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(got >= sent.div_ceil(REPAID_PART));
    }

    /// Whether so few were repaid that trials get less.
    pub(super) fn are_in_vain(&self) -> bool {
        let repaid = self.0.iter().filter(|repaid| **repaid).count();
        self.0.len() == REMEMBERED && repaid * REPAID_SHARE < REMEMBERED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_than_a_quarter_of_twenty_repaid_is_an_attack() {
        let mut trials = Trials::default();
        for _ in 0..19 {
            trials.ended(100_000, 0);
        }
        assert!(!trials.are_in_vain(), "nineteen say too little");
        trials.ended(100_000, 24_999);
        assert!(trials.are_in_vain());
        for _ in 0..30 {
            trials.ended(SENT_MIN - 1, 0);
            trials.ended(3, 3);
        }
        assert!(trials.are_in_vain(), "what is as good as empty says nothing");
        for repaid in 1..=5 {
            assert!(trials.are_in_vain(), "{repaid}");
            trials.ended(100_000, 25_000);
        }
        assert!(!trials.are_in_vain(), "five of twenty");
    }
}
