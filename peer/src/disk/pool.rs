//! The disk threads: a few, so that a slow disk has a short queue in the kernel and a long one here, where it is
//! counted and where sessions can wait for it.

use std::{
    collections::VecDeque,
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use tokio::sync::{Notify, oneshot};

use super::{
    error::{DiskAction, DiskError},
    figures::Figures,
    hashing::HashLine,
    storage::Storage,
};

type Job = Box<dyn FnOnce() + Send>;

/// Threads that do what blocks: hash, write and read. Jobs are done in the order in which they came.
#[derive(Debug)]
pub struct DiskPool {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Complete pieces that are not hashed yet.
    pub(super) to_hash: Arc<HashLine>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    backlog: Backlog,
    pub(super) figures: Figures,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

/// What was handed to the threads and is not done yet.
#[derive(Debug)]
struct Backlog {
    jobs: AtomicUsize,
    bytes: AtomicU64,
    bytes_max: u64,
    shrunk: Notify,
}

impl DiskPool {
    /// Starts `threads` threads (at least 1). [`DiskPool::is_full`] once more than `backlog_bytes_max` bytes of pieces
    /// wait to be stored. Fails if the system refuses a thread.
    pub fn start(threads: usize, backlog_bytes_max: u64) -> io::Result<Arc<Self>> {
        let backlog = Backlog {
            jobs: AtomicUsize::new(0),
            bytes: AtomicU64::new(0),
            bytes_max: backlog_bytes_max,
            shrunk: Notify::new(),
        };
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            work: Condvar::new(),
            backlog,
            figures: Figures::default(),
        });
        let pool = Self { shared: Arc::clone(&shared), threads: Mutex::default(), to_hash: Arc::default() };
        for number in 0..threads.max(1) {
            let shared = Arc::clone(&shared);
            let name = format!("disk-{number}");
            let thread = thread::Builder::new().name(name).spawn(move || shared.work())?;
            pool.lock_threads().push(thread);
        }
        Ok(Arc::new(pool))
    }

    /// The number of threads that suits this machine: one per processor, but at least two, so that a slow read does
    /// not hold up the writes, and at most eight, which hash more than any disk takes.
    pub fn default_threads() -> usize {
        thread::available_parallelism().map_or(2, usize::from).clamp(2, 8)
    }

    /// What was done so far.
    pub fn figures(&self) -> &Figures {
        &self.shared.figures
    }

    /// Bytes of pieces that were handed over and are not stored yet.
    pub fn backlog_bytes(&self) -> u64 {
        self.shared.backlog.bytes.load(Ordering::Acquire)
    }

    /// Jobs of any kind that were handed over and are not done yet.
    pub fn backlog_jobs(&self) -> usize {
        self.shared.backlog.jobs.load(Ordering::Acquire)
    }

    /// Whether the disk is behind by more than the bound: whoever reads payload from a socket should stop and wait
    /// for [`DiskPool::room`]. Nothing is refused: pieces that are in memory already may still be handed over.
    pub fn is_full(&self) -> bool {
        self.backlog_bytes() > self.shared.backlog.bytes_max
    }

    /// Waits until the disk is not [full](DiskPool::is_full).
    pub async fn room(&self) {
        self.wait_until(|| !self.is_full()).await;
    }

    /// Waits until every job that was handed over is done, its callback included.
    pub async fn idle(&self) {
        self.wait_until(|| self.backlog_jobs() == 0).await;
    }

    async fn wait_until(&self, reached: impl Fn() -> bool) {
        loop {
            let shrunk = self.shared.backlog.shrunk.notified();
            let mut shrunk = std::pin::pin!(shrunk);
            // Registered before the look, so that what happens in between is not missed.
            shrunk.as_mut().enable();
            if reached() {
                return;
            }
            shrunk.await;
        }
    }

    /// Runs `job` on a disk thread. A job that panics ends alone.
    pub fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        self.push(0, |ticket| {
            Box::new(move || {
                job();
                drop(ticket);
            })
        });
    }

    /// Runs `job` on a disk thread and waits for its result; `None` if it panicked or the pool was shut down before.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (sender, receiver) = oneshot::channel();
        self.spawn(move || {
            // Nobody may wait for it any more.
            let _ = sender.send(job());
        });
        receiver.await.ok()
    }

    /// Does what is queued, then ends the threads; blocks until then. Later jobs are dropped: stores and fetches among
    /// them report an error.
    pub fn shut_down(&self) {
        self.shared.close();
        let threads = std::mem::take(&mut *self.lock_threads());
        for thread in threads {
            // A disk thread that dropped the last handle to the pool would wait for itself.
            if thread.thread().id() != thread::current().id() {
                // Its panics were caught; there is nothing in the result.
                let _ = thread.join();
            }
        }
    }

    /// Queues the job that `make` builds around its ticket.
    pub(crate) fn push(&self, bytes: u64, make: impl FnOnce(Ticket) -> Job) {
        let job = make(Ticket::new(&self.shared, bytes));
        let mut queue = self.shared.lock();
        if queue.closed {
            drop(queue);
            // Dropping it tells whoever waits for it.
            return drop(job);
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.shared.work.notify_one();
    }

    fn lock_threads(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for DiskPool {
    /// The threads do what is queued and end by themselves; nobody waits for them.
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Shared {
    fn work(&self) {
        while let Some(job) = self.next() {
            // The panic hook has told about it, and whoever waits for the job is told by its drop.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if queue.closed {
                return None;
            }
            queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn close(&self) {
        self.lock().closed = true;
        self.work.notify_all();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Queue({} jobs, closed: {})", self.jobs.len(), self.closed)
    }
}

/// The place of one job in the backlog, until it is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    shared: Arc<Shared>,
    bytes: u64,
    began: Instant,
}

impl Ticket {
    fn new(shared: &Arc<Shared>, bytes: u64) -> Self {
        shared.backlog.jobs.fetch_add(1, Ordering::AcqRel);
        shared.backlog.bytes.fetch_add(bytes, Ordering::AcqRel);
        Self { shared: Arc::clone(shared), bytes, began: Instant::now() }
    }

    pub(super) fn figures(&self) -> &Figures {
        &self.shared.figures
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.shared.figures.waited(self.began.elapsed());
        }
        self.shared.backlog.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        self.shared.backlog.jobs.fetch_sub(1, Ordering::AcqRel);
        self.shared.backlog.shrunk.notify_waiters();
    }
}

/// The answer that a job owes. It is always given, once: a job that panics or is never run answers with an error.
pub(crate) struct Reply<T> {
    callback: Option<Callback<T>>,
    storage: Arc<Storage>,
    action: DiskAction,
}

pub(crate) type Callback<T> = Box<dyn FnOnce(Result<T, DiskError>) + Send>;

impl<T> Reply<T> {
    pub(crate) fn new(storage: &Arc<Storage>, action: DiskAction, callback: Callback<T>) -> Self {
        Self { callback: Some(callback), storage: Arc::clone(storage), action }
    }

    pub(crate) fn send(mut self, result: Result<T, DiskError>) {
        if let Some(callback) = self.callback.take() {
            callback(result);
        }
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if let Some(callback) = self.callback.take() {
            callback(Err(self.storage.defect(self.action, "the disk thread did not finish its job")));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn jobs_run_in_order_and_a_panic_ends_only_its_own() {
        let pool = DiskPool::start(1, 0).expect("threads");
        let (sender, receiver) = mpsc::channel();
        for number in 0..20 {
            let sender = sender.clone();
            pool.spawn(move || {
                if number % 5 == 4 {
                    std::panic::resume_unwind(Box::new(()));
                }
                sender.send(number).expect("received");
            });
        }
        pool.idle().await;
        let expected: Vec<i32> = (0..20).filter(|number| number % 5 != 4).collect();
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), expected);
        assert_eq!(pool.run(|| 7).await, Some(7));
        assert_eq!(pool.run(|| -> i32 { std::panic::resume_unwind(Box::new(())) }).await, None);
        pool.shut_down();
        assert_eq!(pool.run(|| 7).await, None);
        assert_eq!(pool.backlog_jobs(), 0);
    }

    #[tokio::test]
    async fn a_full_backlog_is_told_and_waited_for() {
        let pool = DiskPool::start(1, 100).expect("threads");
        let (release, held) = mpsc::channel::<()>();
        pool.push(101, |ticket| {
            Box::new(move || {
                held.recv().expect("released");
                drop(ticket);
            })
        });
        assert!(pool.is_full());
        let waiter = tokio::spawn({
            let pool = pool.clone();
            async move { pool.room().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiter.is_finished());
        release.send(()).expect("held");
        waiter.await.expect("room");
        assert_eq!(pool.backlog_bytes(), 0);
    }
}
