//! From the task of a link to the task of a torrent: the metadata is read, whoever added the link says how to go on, and the
//! connections are taken over.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use potluck_common::{
    Printable,
    control::{EventKind, TorrentError, TorrentErrorKind, TorrentState},
    magnet::Magnet,
    metainfo::{Metainfo, Version},
};
use potluck_core::{
    PeerKey,
    session::{Blame, CloseReason, MetadataEvent},
    torrent::{
        Input, Source,
        magnet::{MagnetEffect, MagnetInput},
    },
};

use super::{bad_torrent, name_of, task::MagnetTask};
use crate::{
    engine::{
        AddError, TorrentParams,
        searches::Searches,
        torrent_task::{Continued, Message, TorrentTask, internal},
    },
    net::metadata_task::Order,
};

/// So long connections have to be handed over; those that have not by then are opened anew.
const HAND_OVER_TIME: Duration = Duration::from_secs(1);

/// What becomes of a torrent whose metadata came.
type Resolved = Result<Option<TorrentParams>, TorrentError>;

impl MagnetTask {
    /// Goes on with this metadata, whose hash held.
    pub(super) async fn go_on(mut self, info: Bytes) -> Option<TorrentTask> {
        // The torrent that follows is looked for by itself.
        self.searches = Searches::default();
        self.take_over().await;
        let resolving = self.resolving(info);
        let Some(resolved) = self.unless_stopped(resolving).await else {
            self.end().await;
            return None;
        };
        match resolved {
            Ok(Some(params)) => match self.become_torrent(params).await {
                Ok(task) => Some(*task),
                Err(failed) => {
                    let (this, error) = *failed;
                    this.fail(error).await;
                    None
                }
            },
            Ok(None) => {
                self.publish_state(TorrentState::Stopped);
                None
            }
            Err(error) => {
                self.fail(error).await;
                None
            }
        }
    }

    /// Takes the connections over from their sessions, as far as that goes.
    async fn take_over(&mut self) {
        for link in self.sessions.values() {
            let _ = link.orders.send(Order::HandOver);
        }
        let all = async {
            while !self.sessions.is_empty()
                && let Some(report) = self.reports.recv().await
            {
                self.hear(report);
            }
        };
        if tokio::time::timeout(HAND_OVER_TIME, all).await.is_err() {
            tracing::debug!("a connection was not handed over in time");
        }
        self.sessions.clear();
    }

    /// Reads the metadata, and asks what is to be done with it.
    fn resolving(&self, info: Bytes) -> impl Future<Output = Resolved> + use<> {
        let link = self.params.magnet.clone();
        let resolve = Arc::clone(&self.params.resolve);
        let told = self.channels.metainfo.clone();
        async move {
            let read = tokio::task::spawn_blocking(move || read(&link, &info)).await;
            let metainfo = read.map_err(|_| internal("reading the metadata failed unexpectedly"))??;
            told.send_replace(Some(metainfo.clone()));
            // It may write files, to whatever disk.
            let resolved = tokio::task::spawn_blocking(move || resolve(metainfo)).await;
            resolved.unwrap_or_else(|_| Err(internal("taking the metadata in failed unexpectedly")))
        }
    }

    /// What comes of `work`; `None` if a stop was asked for before that. What it does on the disk goes on then, and is of no
    /// use.
    async fn unless_stopped<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        while self.stop_deadline.is_none() {
            tokio::select! {
                outcome = &mut work => return Some(outcome),
                Some(input) = self.channels.inputs.recv() => self.take(input),
            }
        }
        None
    }

    /// The end of one that was stopped between its metadata and its payload: its trackers hear of it.
    async fn end(mut self) {
        let now = self.now();
        for (peer, _) in std::mem::take(&mut self.handed_over) {
            let closed = MetadataEvent::Closed(CloseReason::new(Blame::Nobody, "we are stopping"));
            self.machine.handle(now, MagnetInput::Peer(peer, vec![closed]));
        }
        self.drive().await;
        self.publish_state(TorrentState::Stopped);
    }

    /// Whom the torrent goes on with.
    fn continued(&mut self, is_private: bool) -> Continued {
        let mut known: Vec<(SocketAddr, Source)> = self.machine.addresses(is_private).collect();
        known.sort_by_key(|(_, source)| *source);
        let open = std::mem::take(&mut self.handed_over).into_iter();
        let (stays, goes): (Vec<_>, Vec<_>) =
            open.partition(|(peer, _)| self.machine.goes_on(*peer, is_private));
        self.part_from(goes.iter().map(|(peer, _)| *peer));
        Continued { known, connections: stays.into_iter().map(|(_, handed)| handed).collect() }
    }

    /// Says of connections that they end: those of a private torrent whom nobody named who may.
    fn part_from(&mut self, peers: impl Iterator<Item = PeerKey>) {
        let now = self.now();
        let why = "the torrent is private, and neither a tracker nor you or the link named it";
        for peer in peers {
            let closed = MetadataEvent::Closed(CloseReason::new(Blame::Nobody, why));
            self.machine.handle(now, MagnetInput::Peer(peer, vec![closed]));
        }
        // Nothing else is done by a machine whose work is over.
        while let Some(effect) = self.machine.poll_effect() {
            if let MagnetEffect::Event(kind) = effect {
                self.tell(kind);
            }
        }
    }

    /// The same torrent as a task that transfers it.
    async fn become_torrent(
        mut self,
        params: TorrentParams,
    ) -> Result<Box<TorrentTask>, Box<(Self, TorrentError)>> {
        let continued = self.continued(params.metainfo.private());
        let shared = Arc::clone(&self.shared);
        let preparing = tokio::task::spawn_blocking(move || {
            let prepared = TorrentTask::prepare_parts(&shared, &params);
            (params, prepared)
        });
        let (params, parts) = match preparing.await {
            Ok((params, Ok(parts))) => (params, parts),
            Ok((_, Err(error))) => return Err(Box::new((self, failure(&error)))),
            Err(_) => return Err(Box::new((self, internal("taking the torrent in failed unexpectedly")))),
        };
        self.shared.has_storage(self.info_hash, &parts.storage);
        let mut task = TorrentTask::new(&self.shared, params, parts, self.channels);
        task.continued = continued;
        if let Some(bytes) = self.buffer_bytes_max {
            task.buffer_bytes_max = bytes;
        }
        if let Some(limits) = self.limits {
            task.change(Message::SetLimits(limits));
        }
        if !self.files.is_empty() {
            task.change(Message::SetFiles(self.files));
        }
        task.show_first_snapshot();
        Ok(Box::new(task))
    }

    /// A torrent that cannot go on stays visible as failed until it is stopped.
    async fn fail(mut self, error: TorrentError) {
        self.tell(EventKind::Failed { message: error.message.clone() });
        self.publish_state(TorrentState::Failed(error));
        self.handed_over.clear();
        loop {
            tokio::select! {
                // Whoever connects hears nothing, as from a torrent that we do not know.
                Some(_) = self.channels.messages.recv() => {}
                Some(input) = self.channels.inputs.recv() => {
                    if matches!(input, Input::Stop) {
                        return;
                    }
                }
            }
        }
    }
}

/// Reads the metadata of a link like that of a torrent file.
fn read(link: &Magnet, info: &[u8]) -> Result<Metainfo, TorrentError> {
    let metainfo = Metainfo::parse(&link.torrent_file(info)).map_err(|error| {
        let name = name_of(link);
        bad_torrent(&format!("the metadata of {name} is no usable torrent: {error}; get another link"))
    })?;
    let name = Printable::new(metainfo.name());
    if metainfo.version() == Version::V2 {
        return Err(bad_torrent(&AddError::V2Only(name).to_string()));
    }
    if metainfo.info_hash() != link.info_hash() {
        let better = Magnet::from(&metainfo);
        let why = "has a v1 info-hash too, which its peers go by";
        return Err(bad_torrent(&format!("{name} {why}; use this link: {better}")));
    }
    Ok(metainfo)
}

/// Why a torrent whose metadata is known cannot be added, as people are told.
fn failure(error: &AddError) -> TorrentError {
    let kind = match error {
        AddError::Layout(_) | AddError::V2Only(_) | AddError::V2Link(_) => TorrentErrorKind::BadTorrent,
        AddError::InUse { .. } => TorrentErrorKind::Conflict,
        AddError::Duplicate(_) | AddError::Defect(_) => TorrentErrorKind::Internal,
    };
    TorrentError { kind, message: Printable::new(&error.to_string()) }
}
