//! Peers that nobody but another peer names (BEP 11), or an earlier run: ours among themselves, and with real libtorrent.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use libtest_mimic::Trial;
use potluck_common::control::{PeerSnapshot, PeerSource};
use potluck_common::metainfo::Metainfo;
use potluck_peer::engine::{Engine, EngineConfig, Intent, TorrentParams};
use serde_json::json;

use crate::clients::{self, Driver, Job, Libtorrent};
use crate::ours::{self, DOWNLOAD, RunningOurs, Settings};
use crate::support::payload::{Payload, Plan};
use crate::support::room::{self, Room};
use crate::support::transfer::job;
use crate::support::{Outcome, address, wait_for};

const PATIENCE: Duration = Duration::from_secs(150);
/// Slow enough that nobody is done before all have met: the payload takes a minute and a half.
const UP_LIMIT: u64 = 40_000;
const LENGTH: u64 = 4_000_000;
/// Nobody listens there.
const NO_TRACKER: &str = "http://127.0.0.1:9/announce";

/// The trials of this file.
pub(crate) fn trials() -> Vec<Trial> {
    let ours = |name: &str, run: fn(&Room) -> Outcome| {
        Trial::test(format!("peer_exchange::{name}"), move || room::run(PATIENCE, run))
    };
    let theirs = |name: &str, run: fn(&Room) -> Outcome| {
        if Libtorrent.is_installed() {
            return ours(name, run);
        }
        ours(&format!("{name} (not installed)"), run).with_ignored_flag(true)
    };
    vec![
        ours("two_who_know_only_a_third_meet", three_of_ours),
        ours("who_was_met_in_an_earlier_run_is_met_again", remembered),
        theirs("libtorrent_tells_us", libtorrent_tells_us),
        theirs("we_tell_libtorrent", we_tell_libtorrent),
    ]
}

fn payload() -> Outcome<Payload> {
    Payload::make(&Plan::single("exchanged", LENGTH, 32 * 1024))
}

/// Somebody who has the payload and sends it slowly.
fn seeding(room: &Room, payload: &Payload) -> Outcome<Job> {
    let job = job(room, "hub", payload, NO_TRACKER)?;
    payload.copy_to(&job.payload_folder, false)?;
    Ok(job)
}

const HUB: Settings = Settings { intent: Intent::Seed, up_limit: Some(UP_LIMIT), ..DOWNLOAD };

/// One of ours who knows nobody but `peer`.
fn knows_only(job: &Job, peer: SocketAddr, settings: Settings) -> Outcome<RunningOurs> {
    ours::start_with(job, settings, |params| {
        params.use_trackers = false;
        params.peers = vec![peer];
    })
}

/// Waits until it is connected to a peer like this.
fn meets(
    room: &Room,
    what: &str,
    who: &RunningOurs,
    is_wanted: impl Fn(&PeerSnapshot) -> bool,
) -> Outcome<PeerSnapshot> {
    wait_for(room.deadline, what, || {
        Ok(who.snapshot().detail.peers.iter().find(|peer| is_wanted(peer)).cloned())
    })
}

fn three_of_ours(room: &Room) -> Outcome {
    let payload = payload()?;
    let (hub, one, other) = (
        seeding(room, &payload)?,
        job(room, "one", &payload, NO_TRACKER)?,
        job(room, "other", &payload, NO_TRACKER)?,
    );
    let _hub = ours::start_with(&hub, HUB, |params| params.use_trackers = false)?;
    let first = knows_only(&one, hub.listen, DOWNLOAD)?;
    let second = knows_only(&other, hub.listen, DOWNLOAD)?;
    let is_told = |peer: &PeerSnapshot| peer.source == PeerSource::Pex;
    let met = meets(room, "one meets the other", &first, is_told)?;
    assert_eq!(met.address.ip(), other.listen.ip());
    let met = meets(room, "the other meets one", &second, is_told)?;
    assert_eq!(met.address.ip(), one.listen.ip());
    let lists = &first.snapshot().detail;
    let line = lists.discovery.iter().find(|line| line.source == PeerSource::Pex).ok_or("no line")?;
    assert!(line.found >= 1 && line.connected == 1 && line.message.as_str().contains("tell"), "{line:?}");
    Ok(())
}

fn libtorrent_tells_us(room: &Room) -> Outcome {
    let payload = payload()?;
    let (hub, one, other) = (
        seeding(room, &payload)?,
        job(room, "one", &payload, NO_TRACKER)?,
        job(room, "other", &payload, NO_TRACKER)?,
    );
    let mut running = clients::start_libtorrent_with(&hub, &json!({ "pex": true, "up_limit": UP_LIMIT }))?;
    running.wait_complete("the seeder checks its payload", room.deadline)?;
    // This one neither hears nor tells: only libtorrent can name it.
    let _silent = knows_only(&other, hub.listen, Settings { pex: false, ..DOWNLOAD })?;
    let told = knows_only(&one, hub.listen, DOWNLOAD)?;
    let met = meets(room, "libtorrent names the other", &told, |peer| peer.source == PeerSource::Pex)?;
    assert_eq!(met.address, other.listen);
    Ok(())
}

fn we_tell_libtorrent(room: &Room) -> Outcome {
    let payload = payload()?;
    let (hub, one, other) = (
        seeding(room, &payload)?,
        job(room, "one", &payload, NO_TRACKER)?,
        job(room, "other", &payload, NO_TRACKER)?,
    );
    let _hub = ours::start_with(&hub, HUB, |params| params.use_trackers = false)?;
    let silent = knows_only(&other, hub.listen, Settings { pex: false, ..DOWNLOAD })?;
    let peers = json!([[hub.listen.ip().to_string(), hub.listen.port()]]);
    let _theirs = clients::start_libtorrent_with(&one, &json!({ "pex": true, "peers": peers }))?;
    let there: IpAddr = one.listen.ip();
    meets(room, "libtorrent dials whom we named", &silent, |peer| peer.address.ip() == there)?;
    Ok(())
}

fn remembered(room: &Room) -> Outcome {
    let payload = payload()?;
    let hub = seeding(room, &payload)?;
    let _hub = ours::start_with(&hub, HUB, |params| params.use_trackers = false)?;
    let params = TorrentParams {
        use_trackers: false,
        ..TorrentParams::new(Metainfo::parse(payload.torrent())?, room.folder("downloads")?)
    };
    let state = room.folder("state")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    for (peers, source) in [(vec![hub.listen], PeerSource::User), (Vec::new(), PeerSource::Resume)] {
        let listen = address::unused();
        let config = EngineConfig {
            bind: Some(listen.ip()),
            ports: listen.port()..=listen.port(),
            state_dir: Some(state.clone()),
            ..EngineConfig::default()
        };
        let params = TorrentParams { peers, ..params.clone() };
        let (engine, torrent) = runtime.block_on(async {
            let engine = Engine::start(config).await?;
            let torrent = engine.add(params).await?;
            Outcome::Ok((engine, torrent))
        })?;
        wait_for(room.deadline, "the seeder is met", || {
            let snapshot = torrent.snapshot();
            let is_it = |peer: &PeerSnapshot| peer.source == source && peer.address == hub.listen;
            Ok(snapshot.detail.peers.iter().any(is_it).then_some(()))
        })?;
        runtime.block_on(engine.shutdown(Duration::from_secs(3)));
    }
    assert!(fs::read_dir(&state)?.next().is_some());
    Ok(())
}
