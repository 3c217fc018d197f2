//! What a person changes of a torrent, or of the whole engine, while it runs.

use std::{collections::VecDeque, sync::Arc};

use potluck_common::control::{FilePriority, Limits};
use potluck_core::torrent::{Input, TorrentFile, TroubleKind};

use super::{
    Engine, Intent, Shared, lock,
    running::Running,
    storing::trouble,
    torrent_task::{Message, change_files, wanted_of},
};
use crate::resume;

/// Changes of files on their way: what may be written to from then on is noted before, one after the other.
#[derive(Debug, Default)]
pub(super) struct FileWishes {
    waiting: VecDeque<(usize, FilePriority)>,
    /// What is being noted.
    noting: Option<Vec<(usize, FilePriority)>>,
}

impl Engine {
    /// Limits all torrents together from now on.
    pub fn set_limits(&self, limits: Limits) {
        let shared = &self.shared;
        *lock(&shared.limits) = limits;
        shared.uplink.set_limit(limits.up);
        shared.slots.set_limit(limits.up);
        shared.down.set_limit(shared.clock.now(), limits.down);
        for entry in lock(&shared.torrents).values() {
            let _ = entry.handle.messages.send(Message::EngineLimits);
        }
    }

    /// From now on all torrents together have so many upload slots, 1 to 200 (what is beyond counts as the nearest); `None`
    /// is as many as the uplink carries. Torrents added with a number of their own keep it.
    pub fn set_slots(&self, slots: Option<u32>) {
        self.shared.slots.set_fixed(slots);
    }
}

impl Shared {
    /// The limits of the engine and these of a torrent, the lower of each.
    pub(super) fn limits_with(&self, own: Limits) -> Limits {
        let engine = *lock(&self.limits);
        let lower = |one: Option<u64>, other: Option<u64>| one.into_iter().chain(other).min();
        Limits { down: lower(own.down, engine.down), up: lower(own.up, engine.up) }
    }
}

impl Running {
    /// Takes a change of limits or files.
    pub(super) fn wish(&mut self, message: Message) {
        match message {
            Message::SetLimits(limits) => self.set_limits(limits),
            Message::EngineLimits => self.tell_limits(),
            Message::SetFiles(files) => {
                self.file_wishes.waiting.extend(files);
                self.note_next_files();
            }
            Message::FilesNoted => {
                if let Some(files) = self.file_wishes.noting.take() {
                    self.set_files(files);
                }
                self.note_next_files();
            }
            Message::Arrived(_) | Message::Dialed(..) => {}
        }
    }

    fn set_limits(&mut self, limits: Limits) {
        (self.base.params.down_limit, self.base.params.up_limit) = (limits.down, limits.up);
        self.context.up.set_limit(limits.up);
        let [_, own] = &self.context.down.0;
        own.set_limit(self.now(), limits.down);
        self.slots.set_limit(limits.up);
        self.tell_limits();
    }

    fn tell_limits(&mut self) {
        let limits = self.base.shared.limits_with(self.base.params.limits());
        self.hand_over(Input::SetLimits(limits));
    }

    /// Notes what waits, unless something is being noted. The torrent hears of it afterwards, as files are marked before they
    /// are written to.
    fn note_next_files(&mut self) {
        if self.file_wishes.noting.is_some() || self.file_wishes.waiting.is_empty() {
            return;
        }
        let changes: Vec<_> = self.file_wishes.waiting.drain(..).collect();
        if self.base.params.intent != Intent::Download {
            // Nothing is written, whatever is wanted.
            return self.set_files(changes);
        }
        let mut files: Vec<TorrentFile> = self.base.files.clone();
        change_files(&mut files, &changes);
        let (wanted, have) = (wanted_of(&files), self.have().clone());
        self.file_wishes.noting = Some(changes);
        let (storage, journal) = (Arc::clone(&self.base.storage), Arc::clone(&self.base.journal));
        let (inputs, messages) = (self.base.input_sender.clone(), self.base.message_sender.clone());
        self.base.shared.spawn(async move {
            let note = move || {
                resume::lock(&journal).wanting(&storage, &wanted, &have);
                storage.create_empty_files(|file| wanted[file])
            };
            match tokio::task::spawn_blocking(note).await {
                Ok(Err(error)) if trouble(&error).kind == TroubleKind::Lasting => {
                    let _ = inputs.send(Input::SyncFailed(trouble(&error)));
                }
                Ok(Err(error)) => tracing::warn!(%error, "an empty file was not made"),
                Ok(Ok(())) | Err(_) => {}
            }
            // The torrent may have ended meanwhile.
            let _ = messages.send(Message::FilesNoted);
        });
    }

    fn set_files(&mut self, changes: Vec<(usize, FilePriority)>) {
        change_files(&mut self.base.files, &changes);
        self.hand_over(Input::SetFiles(changes));
    }
}
