//! Magnet links: our engine fetches metadata from every real client and from itself, gives it to each, and goes on with the
//! download over the same connections.

use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use potluck_common::control::{EventKind, TorrentState};
use potluck_common::metainfo::Metainfo;
use potluck_peer::engine::Intent;
use tokio::runtime::Builder;

use crate::clients::{self, Driver, Running as _};
use crate::ours::{self, DOWNLOAD, Ours, Settings};
use crate::support::payload::{Case, Pantry, Payload, Plan};
use crate::support::room::{self, Room};
use crate::support::tracker::{self, Meeting};
use crate::support::transfer::{Link, job, transfer_by};
use crate::support::{Outcome, trial, wait_for};

const PATIENCE: Duration = Duration::from_secs(120);

/// Metadata of one piece, of several, and without the piece layers of its v2 part.
const CASES: [Case; 3] = [Case::Piece40Kib, Case::ManyFiles, Case::Hybrid];

type Run = fn(&Room) -> Outcome;

/// The trials of this file.
pub(crate) fn trials(pantry: &Arc<Pantry>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for client in clients::ALL {
        for case in CASES {
            for gives in [true, false] {
                trials.push(with_client(client, case, gives, pantry));
            }
        }
    }
    let alone: [(&str, Run); 6] = [
        ("ours_to_ours_by_a_tracker", by_a_tracker),
        ("a_peer_of_the_link_alone", by_a_peer_of_the_link),
        ("whoever_dials_us_is_asked_and_goes_on_over_the_same_connection", by_who_dials_us),
        ("the_files_of_the_link_are_downloaded_alone", with_a_selection),
        ("what_waits_says_for_what_and_stops_at_once", that_waits),
        ("a_stop_is_heard_while_the_metadata_is_taken_in", stopped_meanwhile),
    ];
    trials.extend(
        alone.map(|(name, run)| Trial::test(format!("magnet::{name}"), move || room::run(PATIENCE, run))),
    );
    trials
}

fn with_client(client: &'static dyn Driver, case: Case, gives: bool, pantry: &Arc<Pantry>) -> Trial {
    let verb = if gives { "gives_to_us" } else { "takes_from_us" };
    let name = format!("magnet::{}::{verb}::{}", client.name(), case.name());
    let pantry = Arc::clone(pantry);
    let runner = move || {
        room::run(PATIENCE, |room| {
            if !gives && !client.announces_as_leecher_by_magnet() {
                return dialled(room, client, pantry.payload(case));
            }
            let (seeder, leecher): (&dyn Driver, &dyn Driver) =
                if gives { (client, &Ours) } else { (&Ours, client) };
            transfer_by(room, seeder, leecher, pantry.payload(case), Meeting::OursHttp, Link::Magnet)
        })
    };
    trial::of_parties(name, &[client], case, Meeting::OursHttp, runner)
}

/// The client is dialled by us, as no tracker names us to it.
fn dialled(room: &Room, client: &dyn Driver, payload: &Payload) -> Outcome {
    let tracker = tracker::start(room, Meeting::OursHttp, payload.info_hash())?;
    let seeding = job(room, "seeder", payload, tracker.announce_url())?;
    let mut leeching = job(room, "leecher", payload, tracker.announce_url())?;
    leeching.magnet = Some(payload.magnet(tracker.announce_url()));
    payload.copy_to(&seeding.payload_folder, false)?;
    let mut leecher = client.start(&leeching)?;
    tracker.wait_for_peers(1, room.deadline)?;
    let settings = Settings { intent: Intent::Seed, ..DOWNLOAD };
    let seeder = ours::start_with(&seeding, settings, |params| params.peers.push(leeching.listen))?;
    leecher.wait_complete("the leecher completes", room.deadline)?;
    drop((seeder, leecher));
    payload.check_copy(&leeching.payload_folder, client.creates_empty_files())
}

/// Three pieces of metadata.
fn payload() -> Outcome<Payload> {
    Payload::make(&Plan::single("by magnet.bin", 2_000_000, 1_000))
}

fn by_a_tracker(room: &Room) -> Outcome {
    transfer_by(room, &Ours, &Ours, &payload()?, Meeting::OursUdp, Link::Magnet)
}

fn seed(room: &Room, payload: &Payload, tracker: &str) -> Outcome<(ours::RunningOurs, std::net::SocketAddr)> {
    let seeding = job(room, "seeder", payload, tracker)?;
    payload.copy_to(&seeding.payload_folder, false)?;
    let mut seeder = ours::start(&seeding, Settings { intent: Intent::Seed, ..DOWNLOAD })?;
    seeder.wait_complete("the seeder checks its payload", room.deadline)?;
    Ok((seeder, seeding.listen))
}

/// `x.pe` alone, without a tracker.
fn by_a_peer_of_the_link(room: &Room) -> Outcome {
    let payload = payload()?;
    let nowhere = "http://127.0.0.1:1/announce";
    let (seeder, address) = seed(room, &payload, nowhere)?;
    let mut leeching = job(room, "leecher", &payload, nowhere)?;
    leeching.magnet = Some(format!("magnet:?xt=urn:btih:{}&x.pe={address}", payload.info_hash()));
    let mut leecher = ours::start_magnet(&leeching, |_| {})?;
    leecher.wait_complete("the leecher completes", room.deadline)?;
    let metainfo = leecher.torrent().metainfo().ok_or("the metadata is known")?;
    let expected = Metainfo::parse(payload.torrent())?;
    if metainfo.info_bytes() != expected.info_bytes() {
        return Err("other metadata".into());
    }
    drop((seeder, leecher));
    payload.check_copy(&leeching.payload_folder, true)
}

/// The waiting side dials nobody: the seeder is told of it.
fn by_who_dials_us(room: &Room) -> Outcome {
    let payload = payload()?;
    let nowhere = "http://127.0.0.1:1/announce";
    let mut leeching = job(room, "leecher", &payload, nowhere)?;
    leeching.magnet = Some(format!("magnet:?xt=urn:btih:{}", payload.info_hash()));
    let mut leecher = ours::start_magnet(&leeching, |_| {})?;
    let mut events = leecher.events();
    let (seeder, _) = seed(room, &payload, nowhere)?;
    seeder.torrent().add_peer(leeching.listen);
    leecher.wait_complete("the leecher completes", room.deadline)?;
    let mut connected = 0;
    let mut is_metadata_here = false;
    while let Ok(event) = events.try_recv() {
        match event.kind {
            EventKind::PeerConnected { .. } => connected += 1,
            EventKind::MetadataComplete { .. } => is_metadata_here = true,
            EventKind::Completed { .. } => break,
            EventKind::PeerDisconnected { why, .. } => return Err(format!("it was closed: {why}").into()),
            _ => {}
        }
    }
    // Once for the metadata and once for the payload.
    if !is_metadata_here
        || connected != 2
        || seeder.snapshot().leechers_connected + seeder.snapshot().seeds_connected > 1
    {
        return Err(format!("{connected} greetings, metadata: {is_metadata_here}").into());
    }
    drop((seeder, leecher));
    payload.check_copy(&leeching.payload_folder, true)
}

/// BEP 53.
fn with_a_selection(room: &Room) -> Outcome {
    let files = (0..4).map(|number| (number.to_string().into(), 64 * 1024)).collect();
    let payload = Payload::make(&Plan { name: "four".into(), piece_length: 32 * 1024, files })?;
    let nowhere = "http://127.0.0.1:1/announce";
    let (seeder, address) = seed(room, &payload, nowhere)?;
    let mut leeching = job(room, "leecher", &payload, nowhere)?;
    leeching.magnet = Some(format!("magnet:?xt=urn:btih:{}&x.pe={address}&so=1,3", payload.info_hash()));
    let mut leecher = ours::start_magnet(&leeching, |_| {})?;
    leecher.wait_complete("the leecher completes", room.deadline)?;
    drop((seeder, leecher));
    let there = |number: &str| leeching.payload_folder.join("four").join(number).exists();
    match ["0", "1", "2", "3"].map(there) {
        [false, true, false, true] => Ok(()),
        there => Err(format!("{there:?}").into()),
    }
}

fn that_waits(room: &Room) -> Outcome {
    let payload = payload()?;
    let tracker = tracker::start(room, Meeting::OursHttp, payload.info_hash())?;
    let mut waiting = job(room, "leecher", &payload, tracker.announce_url())?;
    waiting.magnet = Some(payload.magnet(tracker.announce_url()));
    let waiter = ours::start_magnet(&waiting, |_| {})?;
    wait_for(room.deadline, "it says what it waits for", || {
        let snapshot = waiter.snapshot();
        let words = snapshot.stall.as_ref().map(ToString::to_string).unwrap_or_default();
        let says =
            words.starts_with("waiting for a peer that has the metadata") && words.contains("no peers");
        match snapshot.state {
            TorrentState::Metadata { have: 0, size: None } => Ok(says.then_some(())),
            ref other => Err(format!("{other:?}").into()),
        }
    })?;
    let begun = Instant::now();
    drop(waiter);
    let took = begun.elapsed();
    if took > Duration::from_secs(3) { Err(format!("it took {took:?} to stop").into()) } else { Ok(()) }
}

/// Whoever takes the metadata in may wait for its disk; a stop does not.
fn stopped_meanwhile(room: &Room) -> Outcome {
    let payload = payload()?;
    let nowhere = "http://127.0.0.1:1/announce";
    let (_seeder, address) = seed(room, &payload, nowhere)?;
    let mut leeching = job(room, "leecher", &payload, nowhere)?;
    leeching.magnet = Some(format!("magnet:?xt=urn:btih:{}&x.pe={address}", payload.info_hash()));
    let (begins, begun) = mpsc::channel();
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let leecher = ours::start_magnet(&leeching, |params| {
        params.resolve = Arc::new(move |_| {
            let _ = begins.send(());
            // Until the other end says so, or is gone.
            let _ = held.lock().map(|held| held.recv());
            Ok(None)
        });
    })?;
    let left = || room.deadline.remaining();
    begun.recv_timeout(left())?;
    let torrent = leecher.torrent().clone();
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let stopped = runtime.block_on(async { tokio::time::timeout(left(), torrent.stop()).await });
    let state = leecher.snapshot().state.clone();
    drop(release);
    match (stopped, state) {
        (Ok(()), TorrentState::Stopped) => Ok(()),
        (Ok(()), other) => Err(format!("{other:?}").into()),
        (Err(_), other) => Err(format!("nobody hears the stop: {other:?}").into()),
    }
}
