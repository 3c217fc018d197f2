//! A defect in one task must cost what the task was for, and leave nobody waiting.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;

/// What people are told where a task of ours panicked.
pub(super) const DEFECT: &str = "a defect in Potluck; please report it";

/// Runs `task` to its end; `None` if it panicked. What it was working on is to be taken for lost.
/// (Not an `async fn`, which would keep a second copy of the task's state.)
pub(super) fn guarded<T>(
    what: &'static str,
    task: impl Future<Output = T>,
) -> impl Future<Output = Option<T>> {
    AssertUnwindSafe(task).catch_unwind().map(move |outcome| {
        if outcome.is_err() {
            tracing::error!(what, "a task panicked");
        }
        outcome.ok()
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, sync::atomic::Ordering, time::Duration};

    use potluck_common::{Rng, control::EventKind};

    use super::DEFECT;
    use crate::{
        engine::{Engine, EngineConfig, Intent, TorrentParams, tests::torrent},
        net::peer_task::PANICS,
    };

    /// A connection's task that panics between taking blocks and telling of them is a closed connection, and what it
    /// was assembling is fetched again; the process, the torrent and its other connections go on.
    #[tokio::test]
    async fn a_panicking_connection_is_a_closed_one() {
        let folder = tempfile::tempdir().expect("folder");
        let (source, target) = (folder.path().join("source"), folder.path().join("target"));
        let mut payload = vec![0; 3_000_000];
        Rng::new(1).fill(&mut payload);
        fs::create_dir(&source).and_then(|()| fs::write(source.join("f"), &payload)).expect("a payload");
        let torrent = torrent(&payload);
        let engine = || {
            Engine::start(EngineConfig {
                bind: Some([127, 0, 0, 1].into()),
                ports: 0..=0,
                ..EngineConfig::default()
            })
        };
        let (seeder, getter) = (engine().await.expect("starts"), engine().await.expect("starts"));
        let seeds = TorrentParams {
            intent: Intent::Seed,
            up_limit: Some(1_000_000),
            ..TorrentParams::new(torrent.clone(), source)
        };
        seeder.add(seeds).await.expect("added");
        let params =
            TorrentParams { peers: seeder.listen_addrs(), ..TorrentParams::new(torrent, target.clone()) };
        let handle = getter.add(params).await.expect("added");
        let mut events = handle.events();
        handle.watch().wait_for(|snapshot| snapshot.pieces_have > 3).await.expect("it goes on");
        PANICS.store(1, Ordering::SeqCst);
        tokio::time::timeout(Duration::from_secs(60), handle.wait_complete())
            .await
            .expect("it does not hang")
            .expect("it completes");
        assert_eq!(PANICS.load(Ordering::SeqCst), 0, "it panicked");
        assert_eq!(fs::read(target.join("f")).expect("there"), payload);
        let mut told = BTreeSet::new();
        while let Ok(event) = events.try_recv() {
            if let EventKind::PeerDisconnected { why, .. } = event.kind {
                told.insert(why.to_string());
            }
        }
        assert!(told.contains(DEFECT), "{told:?}");
        seeder.shutdown(Duration::from_secs(5)).await;
        getter.shutdown(Duration::from_secs(5)).await;
    }
}
