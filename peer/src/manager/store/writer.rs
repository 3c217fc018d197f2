//! The thread that writes the store, so that nobody waits for the disk. Changes that wait are made durable together.

use std::{
    io,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

use super::{Change, Store};

/// Most changes that are made durable together: whoever waits for the first waits for all of them.
const GROUP_MAX: usize = 256;

/// What happens when a change is durable, or is not.
type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

/// Writes a store, in the order in which it is told to. Everything is written before it is dropped.
pub(crate) struct Writer {
    queue: Option<mpsc::Sender<(Change, Done)>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(store: Arc<Store>) -> io::Result<Self> {
        let (queue, changes) = mpsc::channel();
        let thread = thread::Builder::new().name("list".into()).spawn(move || run(&store, &changes))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Writes `change` soon, and then says so by `done`.
    pub(crate) fn write(&self, change: Change, done: impl FnOnce(io::Result<()>) + Send + 'static) {
        let queue = self.queue.as_ref().expect("it is there until this is dropped");
        // The thread ends only after the queue, or with a panic, which drops `done`.
        let _ = queue.send((change, Box::new(done)));
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(store: &Store, queue: &mpsc::Receiver<(Change, Done)>) {
    while let Ok(first) = queue.recv() {
        let group = std::iter::once(first).chain(queue.try_iter().take(GROUP_MAX - 1));
        let (changes, done): (Vec<Change>, Vec<Done>) = group.unzip();
        for (done, result) in done.into_iter().zip(store.apply(&changes)) {
            done(result);
        }
    }
}
