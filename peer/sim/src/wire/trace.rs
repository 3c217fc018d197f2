//! What happened, as a digest and, if somebody wants to read it, in words.

use std::{collections::VecDeque, fmt};

use potluck_common::Instant;

/// Lines kept for whoever asks for the last ones only.
const LAST_LINES: usize = 60;

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
    digest: u64,
    events: u64,
    lines: VecDeque<String>,
}

impl Trace {
    /// A trace of nothing yet.
    pub fn new(record: Record) -> Self {
        Self { record, digest: 0xcbf2_9ce4_8422_2325, events: 0, lines: VecDeque::new() }
    }

    /// A hash over everything that happened until now.
    pub fn digest(&self) -> u64 {
        self.digest
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
        self.mix(now.as_micros());
        for number in numbers {
            self.mix(*number);
        }
        if self.record != Record::Nothing {
            if self.record == Record::Last && self.lines.len() >= LAST_LINES {
                self.lines.pop_front();
            }
            self.lines.push_back(format!("{now:?} {words}"));
        }
    }

    /// Takes bytes into the digest.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.mix(u64::from_le_bytes(last) ^ (bytes.len() as u64) << 56);
    }

    fn mix(&mut self, word: u64) {
        self.digest = (self.digest ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
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
            trace.bytes(bytes);
            trace.digest()
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
