//! What happens when: the virtual clock.

use std::{cmp::Reverse, collections::BinaryHeap};

use potluck_common::{Duration, Instant};

/// One entry; those of the same time come in the order in which they were made.
#[derive(Debug)]
struct Entry<T> {
    at: Instant,
    number: u64,
    what: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// A queue of what is to happen. Time goes on only by [`Agenda::next`].
#[derive(Debug)]
pub(super) struct Agenda<T> {
    now: Instant,
    queue: BinaryHeap<Reverse<Entry<T>>>,
    made: u64,
}

impl<T> Agenda<T> {
    pub(super) fn new(now: Instant) -> Self {
        Self { now, queue: BinaryHeap::new(), made: 0 }
    }

    /// The present.
    pub(super) fn now(&self) -> Instant {
        self.now
    }

    /// Something is to happen at `at`, or now if that has passed.
    pub(super) fn at(&mut self, at: Instant, what: T) {
        let number = self.made;
        self.made += 1;
        self.queue.push(Reverse(Entry { at: at.max(self.now), number, what }));
    }

    /// Something is to happen after `delay`.
    pub(super) fn after(&mut self, delay: Duration, what: T) {
        self.at(self.now + delay, what);
    }

    /// Goes on to what happens next.
    pub(super) fn next(&mut self) -> Option<T> {
        let Reverse(entry) = self.queue.pop()?;
        self.now = entry.at;
        Some(entry.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_equals_in_order() {
        let mut agenda = Agenda::new(Instant::from_secs(1));
        for (seconds, name) in [(3, 'c'), (2, 'a'), (3, 'd'), (2, 'b'), (0, '0')] {
            agenda.at(Instant::from_secs(seconds), name);
        }
        let order: String = std::iter::from_fn(|| agenda.next()).collect();
        assert_eq!(order, "0abcd");
        assert_eq!(agenda.now(), Instant::from_secs(3));
    }
}
