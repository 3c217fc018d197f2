//! What torrents of one engine wait for, and what they leave behind.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use potluck_common::{Rng, control::TorrentState, hash::sha1, metainfo::Metainfo};
use potluck_core::reachability::{MappedBy, Mapping};
use tokio::{net::TcpListener, time::timeout};

use super::{
    AddError, CHECKS_MAX, Engine, EngineConfig, Intent, JUDGEMENTS_MAX, RemoveData, RemoveError,
    TorrentParams, lock,
};
use crate::dht::DhtSettings;

/// Long enough for anything here on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A torrent of one file `f` with this content.
pub(super) fn torrent(payload: &[u8]) -> Metainfo {
    let hashes: Vec<u8> = payload.chunks(65_536).flat_map(|piece| sha1(piece).as_ref().to_vec()).collect();
    let start = format!(
        "d4:infod6:lengthi{}e4:name1:f12:piece lengthi65536e6:pieces{}:",
        payload.len(),
        hashes.len()
    );
    Metainfo::parse(&[start.as_bytes(), &hashes, b"ee"].concat()).expect("valid")
}

async fn engine() -> Engine {
    let bind = Some([127, 0, 0, 1].into());
    Engine::start(EngineConfig { bind, ports: 0..=0, ..EngineConfig::default() }).await.expect("starts")
}

/// The torrent and the folder of the payload `number`, which lies there.
fn payload(folder: &Path, number: u64) -> (Metainfo, PathBuf) {
    let (mut payload, folder) = (vec![0; 300_000], folder.join(number.to_string()));
    Rng::new(number).fill(&mut payload);
    fs::create_dir(&folder).and_then(|()| fs::write(folder.join("f"), &payload)).expect("a payload");
    (torrent(&payload), folder)
}

fn seeds((metainfo, folder): (Metainfo, PathBuf)) -> TorrentParams {
    TorrentParams { intent: Intent::Seed, ..TorrentParams::new(metainfo, folder) }
}

#[tokio::test]
async fn torrents_take_turns_at_their_disk_and_one_that_waits_can_be_stopped() {
    let folder = tempfile::tempdir().expect("folder");
    let engine = engine().await;
    let turns = [(&engine.shared.judgements, JUDGEMENTS_MAX), (&engine.shared.checks, CHECKS_MAX)];
    for (place, (turns, most)) in turns.into_iter().enumerate() {
        let taken = Arc::clone(turns).acquire_many_owned(most as u32).await.expect("all of them");
        let place = 2 * place as u64;
        let first = engine.add(seeds(payload(folder.path(), place))).await.expect("added");
        let second = engine.add(seeds(payload(folder.path(), place + 1))).await.expect("added");
        let early = timeout(Duration::from_millis(200), first.wait_complete()).await;
        assert!(early.is_err(), "others have their turn: {early:?}");
        timeout(PATIENCE, first.stop()).await.expect("stopped while it waits");
        assert_eq!(first.snapshot().state, TorrentState::Stopped);
        drop(taken);
        timeout(PATIENCE, second.wait_complete()).await.expect("its turn").expect("it is whole");
        assert_eq!(turns.available_permits(), most);
    }
    engine.shutdown(PATIENCE).await;
}

/// The router's word reaches trackers, peers and the DHT; a tracker's only counts where it is an address of the internet.
#[tokio::test]
async fn what_the_router_says_is_told_to_others() {
    let (bind, dht) =
        (Some([127, 0, 0, 1].into()), DhtSettings { bootstrap: Vec::new(), ..DhtSettings::default() });
    let config = EngineConfig { bind, ports: 0..=0, dht: Some(dht), ..EngineConfig::default() };
    let engine = Engine::start(config).await.expect("starts");
    let (shared, port) = (&engine.shared, engine.listen_addrs()[0].port());
    let node = shared.dht.node().expect("it is on");
    let (near, far) = (IpAddr::from([192, 168, 0, 9]), IpAddr::from([8, 8, 8, 8]));
    assert_eq!(shared.dht_port_for(far), Some(port));
    shared.dht.seen_by_tracker(near);
    shared.mapped(Mapping::Mapped {
        by: MappedBy::Upnp,
        external_ip: Some([8, 8, 4, 4].into()),
        external_port: 7_777,
        lease: None,
    });
    let told = [shared.public_port(), shared.port_for(far), shared.port_for(near)];
    assert_eq!((told, shared.dht_port_for(far)), ([7_777, 7_777, port], Some(7_777)));
    let known = async {
        while node.status().ipv4.and_then(|ipv4| ipv4.external) != Some([8, 8, 4, 4].into()) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, known).await.expect("the DHT hears of it");
    shared.mapped(Mapping::Asking);
    assert_eq!(shared.public_port(), port);
    engine.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn a_write_that_comes_after_the_end_of_a_torrent_changes_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let engine = engine().await;
    let (metainfo, target) = payload(folder.path(), 1);
    fs::remove_file(target.join("f")).expect("a download");
    let handle = engine.add(TorrentParams::new(metainfo, target.clone())).await.expect("added");
    let runs = |state: &TorrentState| !matches!(state, TorrentState::Checking { .. });
    handle.watch().wait_for(|snapshot| runs(&snapshot.state)).await.expect("it runs");
    let storage = lock(&engine.shared.torrents)[&handle.info_hash()].storage.get().cloned().expect("known");
    handle.stop().await;
    storage.write_at(0, b"late").expect_err("refused");
    assert!(!target.join("f").exists());
    engine.shutdown(PATIENCE).await;
}

/// As when somebody has a torrent checked that rests.
#[tokio::test]
async fn who_is_unheard_dials_nobody_that_was_named() {
    let folder = tempfile::tempdir().expect("folder");
    let engine = engine().await;
    for (number, is_unheard) in [(0, false), (1, true)] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let (metainfo, target) = payload(folder.path(), number);
        fs::remove_file(target.join("f")).expect("a download");
        let peers = vec![listener.local_addr().expect("bound")];
        let link_peers = peers.clone();
        let params = TorrentParams { peers, link_peers, is_unheard, ..TorrentParams::new(metainfo, target) };
        let handle = engine.add(params).await.expect("added");
        let runs = |state: &TorrentState| *state == TorrentState::Downloading;
        handle.watch().wait_for(|snapshot| runs(&snapshot.state)).await.expect("it runs");
        let patience = if is_unheard { Duration::from_millis(500) } else { PATIENCE };
        let is_dialled = timeout(patience, listener.accept()).await.is_ok();
        assert_eq!(is_dialled, !is_unheard);
        handle.stop().await;
    }
    engine.shutdown(PATIENCE).await;
}

/// However soon it is over.
#[tokio::test]
async fn all_that_a_check_read_is_counted() {
    let folder = tempfile::tempdir().expect("folder");
    let engine = engine().await;
    let handle = engine.add(seeds(payload(folder.path(), 1))).await.expect("added");
    timeout(PATIENCE, handle.wait_complete()).await.expect("checked").expect("whole");
    let totals = engine.shared.disk.pool.figures().totals();
    assert_eq!((totals.read, totals.hashed), (300_000, 300_000));
    engine.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn a_torrent_is_added_anew_once_its_removal_is_over() {
    let folder = tempfile::tempdir().expect("folder");
    let engine = engine().await;
    let (metainfo, target) = payload(folder.path(), 1);
    let params = || TorrentParams::new(metainfo.clone(), target.clone());
    let handle = engine.add(params()).await.expect("added");
    timeout(PATIENCE, handle.wait_complete()).await.expect("checked").expect("whole");
    let adds = async {
        loop {
            match engine.add(params()).await {
                Err(AddError::Duplicate(_)) => tokio::task::yield_now().await,
                added => return (added, target.join("f").exists()),
            }
        }
    };
    let both = async { tokio::join!(engine.remove(metainfo.info_hash(), RemoveData::Delete), adds) };
    let (removed, (added, exists)) = timeout(PATIENCE, both).await.expect("in time");
    assert_eq!(removed.expect("removed").files, 1);
    added.expect("added");
    assert!(!exists, "it was added while its files were being removed");

    let reserved = engine.shared.reserve(metainfo.info_hash()).expect("nobody else has");
    let again = engine.remove(metainfo.info_hash(), RemoveData::Delete).await;
    assert!(matches!(again, Err(RemoveError::Unknown(_))), "{again:?}");
    drop(reserved);
    engine.remove(metainfo.info_hash(), RemoveData::Keep).await.expect("removed");
    assert!(lock(&engine.shared.reserved).is_empty());
    engine.shutdown(PATIENCE).await;
}
