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
pub(super) struct Trials {
    /// Whether each was repaid.
    last: VecDeque<bool>,
    /// All that ever ended, and those of them that were not repaid.
    ended: u32,
    in_vain: u32,
}

impl Trials {
    /// A trial ended in which we sent and got so many bytes.
    pub(super) fn ended(&mut self, sent: u64, got: u64) {
        if sent < SENT_MIN {
            return;
        }
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        let is_repaid = got >= sent.div_ceil(REPAID_PART);
        self.last.push_back(is_repaid);
        self.ended = self.ended.saturating_add(1);
        self.in_vain = self.in_vain.saturating_add(u32::from(!is_repaid));
    }

    /// All trials that ended, and those of them that were not repaid.
    pub(super) fn counts(&self) -> (u32, u32) {
        (self.ended, self.in_vain)
    }

    /// Whether so few were repaid that trials get less.
    pub(super) fn are_in_vain(&self) -> bool {
        let repaid = self.last.iter().filter(|repaid| **repaid).count();
        self.last.len() == REMEMBERED && repaid * REPAID_SHARE < REMEMBERED
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
        assert_eq!(trials.counts(), (25, 20));
    }
}
