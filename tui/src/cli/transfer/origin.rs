//! How a torrent of a command is brought into the engine again, and taken out of it.

use std::{collections::BTreeMap, sync::Arc};

use potluck_common::{
    control::{Aspects, FilePriority, Limits},
    metainfo::Metainfo,
};
use potluck_peer::{
    disk::Removal,
    engine::{
        Engine, MagnetParams, RemoveData, RemoveError, Shown, TorrentHandle, TorrentParams, named_peers,
    },
};

use super::{add_failure, course::Step};
use crate::cli::exit::{Exit, Failure, Outcome};

/// How a link goes on when its metadata is known.
pub(super) type Resolved = Arc<dyn Fn(Metainfo) -> Outcome<TorrentParams> + Send + Sync>;

/// What a torrent was added as.
#[derive(Clone)]
pub(super) enum Origin {
    /// A torrent.
    Torrent(Box<TorrentParams>),
    /// A magnet link.
    Magnet(Box<MagnetParams>, Resolved),
}

impl Origin {
    /// That of a torrent that is added with `params`. What was asked for once is not done at each start.
    pub(super) fn torrent(params: &TorrentParams) -> Self {
        Self::Torrent(Box::new(TorrentParams { force_check: false, vouched: None, ..params.clone() }))
    }
}

/// What a person changed of a torrent since.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Changed {
    pub(super) limits: Limits,
    /// By the indices of files in the metainfo.
    pub(super) files: BTreeMap<usize, FilePriority>,
}

/// How a step ended.
pub(super) enum Stepped {
    Stopped,
    Started(Outcome<TorrentHandle>),
    Removed(Outcome<Removal>),
}

impl Stepped {
    /// How a step ends that `run` takes. A defect there ends it, too: else it would never be over.
    pub(super) async fn of(
        step: Step,
        input: String,
        run: impl Future<Output = Self> + Send + 'static,
    ) -> Self {
        if let Ok(stepped) = tokio::spawn(run).await {
            return stepped;
        }
        let failed = |what| Failure::new(Exit::Other, input, what, "please report this defect");
        match step {
            Step::Stop => Self::Stopped,
            Step::Start { .. } => Self::Started(Err(failed("starting it failed unexpectedly"))),
            Step::Remove { .. } => Self::Removed(Err(failed("removing it failed unexpectedly"))),
        }
    }
}

/// A step, with all that it needs.
pub(super) struct Errand {
    pub(super) step: Step,
    pub(super) engine: Engine,
    /// What the command line calls the torrent.
    pub(super) input: String,
    pub(super) origin: Origin,
    pub(super) changed: Changed,
    /// It, as it is or was in the engine.
    pub(super) handle: TorrentHandle,
}

impl Errand {
    /// Takes the step.
    pub(super) async fn run(self) -> Stepped {
        match self.step {
            Step::Stop => {
                // Its last state is all that is to be seen of it while it rests.
                self.handle.show(Shown { aspects: Aspects::ALL, ..Shown::default() });
                self.handle.stop().await;
                Stepped::Stopped
            }
            Step::Start { check, is_unheard } => Stepped::Started(self.start(check, is_unheard).await),
            Step::Remove { data, is_running } => Stepped::Removed(self.remove(data, is_running).await),
        }
    }

    async fn start(&self, check: bool, is_unheard: bool) -> Outcome<TorrentHandle> {
        let explain = |error| add_failure(&self.input, &error);
        let (mut params, link) = match (&self.origin, self.handle.metainfo()) {
            (Origin::Torrent(params), _) => (TorrentParams::clone(params), None),
            (Origin::Magnet(link, resolved), Some(metainfo)) => (resolved(metainfo)?, Some(&link.magnet)),
            // Whoever has no metadata asks for it, and is heard.
            (Origin::Magnet(..), None) if is_unheard => {
                return Err(Failure::new(Exit::Conflict, &self.input, "nothing to verify yet", ""));
            }
            (Origin::Magnet(link, _), None) => {
                let handle = self.engine.add_magnet(MagnetParams::clone(link)).map_err(explain)?;
                handle.set_limits(self.changed.limits);
                return Ok(handle);
            }
        };
        if let Some(link) = link.filter(|_| !is_unheard) {
            params.link_peers = named_peers(link).await;
        }
        params.priorities.extend(self.changed.files.iter().map(|(file, priority)| (*file, *priority)));
        let Limits { down, up } = self.changed.limits;
        let params =
            TorrentParams { force_check: check, is_unheard, down_limit: down, up_limit: up, ..params };
        self.engine.add(params).await.map_err(explain)
    }

    /// One that rests is taken in before its payload is removed, unheard of by anybody: only the engine knows what of it others
    /// need.
    async fn remove(&self, data: bool, is_running: bool) -> Outcome<Removal> {
        if !is_running {
            if !data || self.handle.metainfo().is_none() {
                return Ok(Removal::default());
            }
            self.start(false, true).await?;
        }
        let what = if data { RemoveData::Delete } else { RemoveData::Keep };
        match self.engine.remove(self.handle.info_hash(), what).await {
            Ok(removal) => Ok(removal),
            // It ended by itself meanwhile.
            Err(RemoveError::Unknown(_)) if !data => Ok(Removal::default()),
            Err(error) => Err(Failure::new(Exit::Other, &self.input, error, "its data stays")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_step_ends_also_by_a_defect() {
        let ended = async |step| Stepped::of(step, "a".to_owned(), async { panic!("a defect") }).await;
        assert!(matches!(ended(Step::Stop).await, Stepped::Stopped));
        let start = Step::Start { check: false, is_unheard: false };
        assert!(matches!(ended(start).await, Stepped::Started(Err(_))));
        let remove = Step::Remove { data: true, is_running: true };
        assert!(matches!(ended(remove).await, Stepped::Removed(Err(_))));
        let well = Stepped::of(remove, "a".to_owned(), async { Stepped::Stopped }).await;
        assert!(matches!(well, Stepped::Stopped));
    }
}
