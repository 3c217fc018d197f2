//! What happened, as a digest and, if somebody wants to read it, in words.

use std::{collections::VecDeque, fmt};

use potluck_common::Instant;

/// Lines kept for whoever asks for the last ones only.
const LAST_LINES: usize = 25;

/// How much of what happens is put into words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Record {
    /// Nothing: only the digest is made.
    Nothing,
    /// The last lines are kept, for the report of a failure.
    Last,
    /// Every line is kept.
    Everything,
}

/// A digest over everything that happened, and perhaps its words.
#[derive(Debug)]
pub struct Trace {
    record: Record,
    digest: Digest,
    events: u64,
    lines: VecDeque<String>,
}

impl Trace {
    /// A trace of nothing yet.
    pub fn new(record: Record) -> Self {
        Self { record, digest: Digest::default(), events: 0, lines: VecDeque::new() }
    }

    /// A hash over everything that happened until now.
    pub fn digest(&self) -> u64 {
        self.digest.value()
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The recorded lines, oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    /// Notes an event: numbers that say all of it, and words for people.
    pub(super) fn note(&mut self, now: Instant, numbers: &[u64], words: fmt::Arguments<'_>) {
        self.events += 1;
        self.digest.number(now.as_micros());
        for number in numbers {
            self.digest.number(*number);
        }
        if self.record != Record::Nothing {
            if self.record == Record::Last && self.lines.len() >= LAST_LINES {
                self.lines.pop_front();
            }
            self.lines.push_back(format!("{now:?} {words}"));
        }
    }
}

/// A hash of what came one after the other. It is no secret, and it is quick.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    pub(super) fn value(self) -> u64 {
        self.0
    }

    pub(super) fn number(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.number(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.number(u64::from_le_bytes(last));
        self.number(bytes.len() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_an_event_counts() {
        let digest = |now: u64, numbers: &[u64], bytes: &[u8]| {
            let mut trace = Trace::new(Record::Nothing);
            trace.note(Instant::from_micros(now), numbers, format_args!("x"));
            let mut digest = Digest::default();
            digest.bytes(bytes);
            (trace.digest(), digest.value())
        };
        let one = digest(1, &[2, 3], b"abcdefgh1");
        assert_eq!(one, digest(1, &[2, 3], b"abcdefgh1"));
        for other in [
            digest(2, &[2, 3], b"abcdefgh1"),
            digest(1, &[3, 2], b"abcdefgh1"),
            digest(1, &[2, 3], b"abcdefgh2"),
            digest(1, &[2, 3], b"abcdefgh\x31\0"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn the_last_lines_are_kept() {
        let mut trace = Trace::new(Record::Last);
        (0..100).for_each(|n| trace.note(Instant::from_secs(n), &[], format_args!("{n}")));
        assert_eq!(trace.lines().count(), LAST_LINES);
        assert!(trace.lines().last().is_some_and(|line| line.ends_with(" 99")));
    }
}
