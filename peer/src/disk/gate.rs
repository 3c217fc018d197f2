//! A bound on the writers of one storage. More of them would only queue up on the file's lock in the kernel, where
//! each holds a thread that another torrent could use.

use std::{
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, PoisonError},
};

type Write = Box<dyn FnOnce() + Send>;

/// How many threads write to one storage at once.
const WRITERS_MAX: usize = 2;

/// The writes of one storage that run or wait.
#[derive(Default)]
pub(crate) struct WriteGate {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    writers: usize,
    waiting: VecDeque<Write>,
}

impl WriteGate {
    /// Runs `write` on this thread, or leaves it to a thread that is writing already. Never blocks on other writers;
    /// a thread that gets in runs what was left to it before it returns.
    pub(crate) fn run(&self, write: Write) {
        let mut next = {
            let mut state = self.lock();
            if state.writers == WRITERS_MAX {
                state.waiting.push_back(write);
                return;
            }
            state.writers += 1;
            Some(write)
        };
        while let Some(write) = next {
            // The place of a writer that panicked must not be lost. It reported the panic itself.
            let _ = catch_unwind(AssertUnwindSafe(write));
            next = self.next();
        }
    }

    fn next(&self) -> Option<Write> {
        let mut state = self.lock();
        let next = state.waiting.pop_front();
        if next.is_none() {
            state.writers -= 1;
        }
        next
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for WriteGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        write!(f, "WriteGate({} writing, {} waiting)", state.writers, state.waiting.len())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    #[test]
    fn writers_are_bounded_and_what_waits_is_run() {
        let gate = Arc::new(WriteGate::default());
        let (inside, most, done) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let counters = Arc::new((inside, most, done));
        let barrier = Arc::new(Barrier::new(8));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (gate, counters, barrier) = (gate.clone(), counters.clone(), barrier.clone());
                std::thread::spawn(move || {
                    barrier.wait();
                    for round in 0..50 {
                        let counters = counters.clone();
                        gate.run(Box::new(move || {
                            let now = counters.0.fetch_add(1, Ordering::SeqCst) + 1;
                            counters.1.fetch_max(now, Ordering::SeqCst);
                            std::thread::yield_now();
                            counters.0.fetch_sub(1, Ordering::SeqCst);
                            counters.2.fetch_add(1, Ordering::SeqCst);
                            if round % 10 == 9 {
                                // A panic that the hook does not print.
                                std::panic::resume_unwind(Box::new(()));
                            }
                        }));
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("panics of writers stay inside");
        }
        assert_eq!(counters.2.load(Ordering::SeqCst), 400);
        assert!(counters.1.load(Ordering::SeqCst) <= WRITERS_MAX);
        assert_eq!(gate.lock().writers, 0);
    }
}
