//! One writer a file. More of them would only wait for each other on the file's lock in the kernel, some of them
//! spinning, where each holds a thread that could hash or write to another file.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, PoisonError},
};

type Write = Box<dyn FnOnce() + Send>;

/// The writes of one storage that run or wait.
#[derive(Default)]
pub(crate) struct WriteGate {
    state: Mutex<State>,
}

/// Invariant: whatever waits is for a file in `busy`.
#[derive(Default)]
struct State {
    /// Files that are being written to, by number.
    busy: BTreeSet<usize>,
    /// In the order in which they came.
    waiting: VecDeque<(usize, Write)>,
}

impl WriteGate {
    /// Runs `write`, which begins in file number `file`, on this thread, or leaves it to the thread that writes to that
    /// file already. Never blocks on another writer; a thread that gets in runs what was left to it before it returns.
    pub(crate) fn run(&self, file: usize, write: Write) {
        let mut next = {
            let mut state = self.lock();
            if !state.busy.insert(file) {
                state.waiting.push_back((file, write));
                return;
            }
            Some(write)
        };
        while let Some(write) = next {
            // The place of a writer that panicked must not be lost. It reported the panic itself.
            let _ = catch_unwind(AssertUnwindSafe(write));
            next = self.next(file);
        }
    }

    fn next(&self, file: usize) -> Option<Write> {
        let mut state = self.lock();
        let next = state.waiting.iter().position(|(other, _)| *other == file);
        if next.is_none() {
            state.busy.remove(&file);
        }
        next.and_then(|place| state.waiting.remove(place)).map(|(_, write)| write)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for WriteGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        write!(f, "WriteGate({} writing, {} waiting)", state.busy.len(), state.waiting.len())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    /// Two files: how many write to each now, the most that ever did, and how many writes are done.
    #[derive(Default)]
    struct Counters {
        inside: [AtomicUsize; 2],
        most: AtomicUsize,
        done: AtomicUsize,
    }

    #[test]
    fn a_file_has_one_writer_and_what_waits_is_run() {
        let gate = Arc::new(WriteGate::default());
        let counters = Arc::new(Counters::default());
        let barrier = Arc::new(Barrier::new(8));
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let (gate, counters, barrier) = (gate.clone(), counters.clone(), barrier.clone());
                std::thread::spawn(move || {
                    barrier.wait();
                    for round in 0..50 {
                        let (counters, file) = (counters.clone(), (thread + round) % 2);
                        let write = move || {
                            let now = counters.inside[file].fetch_add(1, Ordering::SeqCst) + 1;
                            counters.most.fetch_max(now, Ordering::SeqCst);
                            std::thread::yield_now();
                            counters.inside[file].fetch_sub(1, Ordering::SeqCst);
                            counters.done.fetch_add(1, Ordering::SeqCst);
                            if round % 10 == 9 {
                                // A panic that the hook does not print.
                                std::panic::resume_unwind(Box::new(()));
                            }
                        };
                        gate.run(file, Box::new(write));
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("panics of writers stay inside");
        }
        assert_eq!(counters.done.load(Ordering::SeqCst), 400);
        assert_eq!(counters.most.load(Ordering::SeqCst), 1, "one writer a file");
        assert!(gate.lock().busy.is_empty() && gate.lock().waiting.is_empty());
    }

    #[test]
    fn another_file_does_not_wait() {
        let gate = Arc::new(WriteGate::default());
        let (inner, second) = (gate.clone(), Arc::new(AtomicUsize::new(0)));
        let ran = second.clone();
        gate.run(
            0,
            Box::new(move || {
                let done = ran.clone();
                inner.run(1, Box::new(move || done.store(1, Ordering::SeqCst)));
                assert_eq!(ran.load(Ordering::SeqCst), 1, "written while the first is");
            }),
        );
        assert_eq!(second.load(Ordering::SeqCst), 1);
    }
}
