//! Contributors of ours and a pure free rider of libtorrent's: a short case of what `benches/fairness` measures.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::Trial;
use potluck_common::control::{Event, EventKind, PeerAction, PeerDecision, TorrentState};
use potluck_peer::engine::Intent;
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;

use crate::clients::{Driver as _, Job, Libtorrent, PYTHON, Running as _};
use crate::ours::{self, DOWNLOAD, RunningOurs, Settings};
use crate::support::payload::{Payload, Plan};
use crate::support::process::Process;
use crate::support::room::{self, Room};
use crate::support::tracker::{self, Meeting};
use crate::support::transfer::job;
use crate::support::{Outcome, wait_for};

const PATIENCE: Duration = Duration::from_secs(120);

const CONTRIBUTORS: usize = 5;
/// Long enough for each contributor to try the free rider a second time, which uses up its credit.
const TOTAL: u64 = 18_000_000;
const PIECE_LENGTH: u64 = 64 * 1024;
/// Bytes per second. Contributors do not all wait for the seeder's next piece: else their uplinks would have nothing better
/// to do than to serve the free rider.
const SEEDER_UP: u64 = 900_000;
const CONTRIBUTOR_UP: u64 = 300_000;
/// Choke rounds of 2 s: the swarm is too short for those of 10 s.
const PACE: u32 = 5;
/// Fewer than there are others: somebody always waits.
const SLOTS: u32 = 3;
/// What a newcomer may owe of a torrent with small pieces.
const CREDIT: u64 = 512 * 1024;

/// The trials of this file.
pub(crate) fn trials() -> Vec<Trial> {
    let name = "fairness::contributors_give_more_to_each_other_than_to_a_free_rider_of_libtorrent";
    let trial = if Libtorrent.is_installed() {
        Trial::test(name, || room::run(PATIENCE, free_rider))
    } else {
        Trial::test(format!("{name} (not installed)"), || Ok(())).with_ignored_flag(true)
    };
    vec![trial]
}

fn free_rider(room: &Room) -> Outcome {
    let payload = Payload::make(&Plan::single("shared.bin", TOTAL, PIECE_LENGTH))?;
    let tracker = tracker::start(room, Meeting::OursHttp, payload.info_hash())?;
    let riding = job(room, "free-rider", &payload, tracker.announce_url())?;
    let _rider = start_free_rider(room, &riding)?;
    let seeding = job(room, "seeder", &payload, tracker.announce_url())?;
    payload.copy_to(&seeding.payload_folder, false)?;
    let settings = Settings { intent: Intent::Seed, up_limit: Some(SEEDER_UP), ..DOWNLOAD };
    let _seeder = ours::start_with(&seeding, settings, |params| params.choker_pace = PACE)?;

    let mut contributors = Vec::new();
    for number in 0..CONTRIBUTORS {
        let leeching = job(room, &format!("contributor-{number}"), &payload, tracker.announce_url())?;
        contributors.push(Contributor::start(leeching)?);
    }
    let rider = riding.listen.ip();
    wait_for(room.deadline, "every contributor is complete", || {
        let mut all = true;
        for contributor in &mut contributors {
            all &= contributor.look(rider)?;
        }
        Ok(all.then_some(()))
    })?;
    for contributor in &contributors {
        payload.check_copy(&contributor.job.payload_folder, true)?;
    }
    check_decisions(&contributors)?;
    check_gifts(&contributors, rider)?;
    let told = last_line(&riding)?;
    if told["uploaded"] != 0 {
        return Err(format!("a free rider gives nothing: {told}").into());
    }
    Ok(())
}

/// One that takes all it can get, and gives nothing: no slot, no optimistic slot, no allowed-fast piece.
fn start_free_rider(room: &Room, job: &Job) -> Outcome<Process> {
    let ready = job.home.join("ready");
    let options = json!({
        "torrent": job.torrent,
        "folder": job.payload_folder,
        "listen": job.listen.to_string(),
        "ip": job.listen.ip().to_string(),
        "ready": ready,
        "seeds": false,
        "slots": 0,
        "up": 0,
        "down": 0,
    });
    let mut command = Command::new(PYTHON);
    let script = include_str!("../../benches/fairness/libtorrent_session.py");
    command.args(["-c", script, &options.to_string()]);
    let mut process = Process::start(&mut command, &job.home)?;
    wait_for(room.deadline, "libtorrent is ready", || {
        process.ensure_running()?;
        Ok(ready.exists().then_some(()))
    })?;
    Ok(process)
}

/// The newest that it told of itself.
fn last_line(job: &Job) -> Outcome<Value> {
    let text = fs::read_to_string(job.home.join("output.log"))?;
    let last = text.lines().rev().find_map(|line| serde_json::from_str(line).ok());
    last.ok_or_else(|| "the free rider told nothing".into())
}

/// One of ours that downloads.
struct Contributor {
    job: Job,
    engine: RunningOurs,
    events: Receiver<Event>,
    /// What it gave to each address while it lacked something, in bytes.
    given: BTreeMap<IpAddr, u64>,
    /// What it decided about the free rider.
    decisions: Vec<PeerDecision>,
}

impl Contributor {
    fn start(job: Job) -> Outcome<Self> {
        let settings = Settings { up_limit: Some(CONTRIBUTOR_UP), ..DOWNLOAD };
        let engine = ours::start_with(&job, settings, |params| {
            (params.choker_pace, params.slots) = (PACE, Some(SLOTS));
        })?;
        let events = engine.events();
        Ok(Self { job, engine, events, given: BTreeMap::new(), decisions: Vec::new() })
    }

    /// Notes what it gave and decided since the last look, and says whether it is complete.
    fn look(&mut self, rider: IpAddr) -> Outcome<bool> {
        let snapshot = self.engine.snapshot();
        let is_downloading = snapshot.state == TorrentState::Downloading;
        for peer in snapshot.detail.peers.iter().filter(|_| is_downloading) {
            let given = self.given.entry(peer.address.ip()).or_default();
            *given = peer.uploaded.max(*given);
        }
        while let Ok(event) = self.events.try_recv() {
            match event.kind {
                EventKind::Decision(decision) if is_downloading && decision.peer.ip() == rider => {
                    self.decisions.push(decision);
                }
                _ => {}
            }
        }
        self.engine.is_complete()
    }
}

/// Whoever gives nothing earns no slot, and its trials end when its credit is used up.
fn check_decisions(contributors: &[Contributor]) -> Outcome {
    let decisions = || contributors.iter().flat_map(|contributor| &contributor.decisions);
    if let Some(earned) = decisions().find(|decision| decision.why.as_str().starts_with("repays")) {
        return Err(format!("a free rider earned a slot: {earned:?}").into());
    }
    let is_refused = |decision: &&PeerDecision| {
        decision.action == PeerAction::Choke
            && decision.why.as_str().starts_with("credit used")
            && decision.debt >= CREDIT
    };
    if decisions().find(is_refused).is_none() {
        return Err(format!("nobody choked it for its debt: {:?}", decisions().collect::<Vec<_>>()).into());
    }
    Ok(())
}

/// From one contributor to another goes more than from one to the free rider, in the mean.
fn check_gifts(contributors: &[Contributor], rider: IpAddr) -> Outcome {
    let (mut to_contributors, mut to_rider) = (0, 0);
    for giver in contributors {
        to_rider += giver.given.get(&rider).copied().unwrap_or_default();
        let others = contributors.iter().filter_map(|other| giver.given.get(&other.job.listen.ip()));
        to_contributors += others.sum::<u64>();
    }
    let pairs = contributors.len() as u64 * (contributors.len() as u64 - 1);
    let (to_a_contributor, to_the_rider) = (to_contributors / pairs, to_rider / contributors.len() as u64);
    if to_the_rider >= to_a_contributor {
        return Err(
            format!("{to_the_rider} bytes to the free rider, {to_a_contributor} to a contributor").into()
        );
    }
    Ok(())
}
