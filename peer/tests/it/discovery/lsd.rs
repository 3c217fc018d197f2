//! Local discovery (BEP 14): our engines on one machine, and real clients on one switch, without a tracker or a DHT.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use potluck_common::control::{DiscoveryState, PeerSource};

use super::lab::{self, INTERFACE, Lab, Place};
use crate::clients::{self, Driver, Job, Running as _};
use crate::ours::{self, DOWNLOAD, RunningOurs, SEED};
use crate::support::payload::{Payload, Plan};
use crate::support::room::{self, Room};
use crate::support::{Outcome, address, transfer, wait_for};

/// Clients announce themselves when they start, and again only after minutes.
const PATIENCE: Duration = Duration::from_secs(120);
/// Where parties listen that have a network of their own.
const PORT: u16 = 7_002;
/// No tracker listens here.
const NO_TRACKER: &str = "http://127.0.0.1:1/announce";

/// The trials of this file.
pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        Trial::test("discovery::lsd::two_of_ours_on_one_machine", || room::run(PATIENCE, on_one_machine)),
        Trial::test("discovery::lsd::row_3_5_a_private_torrent_is_not_looked_for", || {
            room::run(PATIENCE, private)
        }),
    ];
    for client in
        clients::ALL.into_iter().filter(|client| client.has_lsd()).chain([&ours::Ours as &dyn Driver])
    {
        let missing = (!client.is_installed()).then_some("not installed");
        let mut add = |what: &str, trial: fn(&Room, &dyn Driver) -> Outcome| {
            let name = format!("discovery::lsd::{}::{what}", client.name());
            let runner = move || room::run(PATIENCE, |room| trial(room, client));
            trials.push(match lab::hindrance().or(missing) {
                None => Trial::test(name, runner),
                Some(why) => Trial::test(format!("{name} ({why})"), runner).with_ignored_flag(true),
            });
        };
        add("seeds_to_us", seeds_to_us);
        add("leeches_from_us", leeches_from_us);
    }
    trials
}

fn payload() -> Outcome<Payload> {
    Payload::make(&Plan::single("near.bin", 3_000_000, 64 * 1024))
}

fn job(room: &Room, name: &str, payload: &Payload, listen: SocketAddr) -> Outcome<Job> {
    let job = transfer::job(room, name, payload, NO_TRACKER)?;
    Ok(Job { listen, lsd: true, ..job })
}

/// What the leecher's line of local discovery says.
fn check_line(leecher: &RunningOurs, wanted: DiscoveryState) -> Outcome {
    let snapshot = leecher.snapshot();
    let line = snapshot.detail.discovery.iter().find(|line| line.source == PeerSource::Lsd);
    match line {
        Some(line) if line.state == wanted => Ok(()),
        other => Err(format!("local discovery is not {wanted:?}: {other:?}").into()),
    }
}

fn on_one_machine(room: &Room) -> Outcome {
    let payload = payload()?;
    let seeding = job(room, "seeder", &payload, address::unused())?;
    payload.copy_to(&seeding.payload_folder, false)?;
    let mut seeder = ours::start(&seeding, SEED)?;
    seeder.wait_complete("the seed checks its payload", room.deadline)?;
    let leeching = job(room, "leecher", &payload, address::unused())?;
    let mut leecher = ours::start(&leeching, DOWNLOAD)?;
    leecher.wait_complete("the leecher completes", room.deadline)?;
    drop((seeder, leecher));
    payload.check_copy(&leeching.payload_folder, true)
}

/// Both look for peers as far as they may, and both say why they do not. Another torrent of theirs would have been found
/// meanwhile: the trial above is as long.
fn private(room: &Room) -> Outcome {
    let payload = payload()?.made_private()?;
    let seeding = job(room, "seeder", &payload, address::unused())?;
    payload.copy_to(&seeding.payload_folder, false)?;
    let mut seeder = ours::start(&seeding, SEED)?;
    seeder.wait_complete("the seed checks its payload", room.deadline)?;
    let leeching = job(room, "leecher", &payload, address::unused())?;
    let leecher = ours::start(&leeching, DOWNLOAD)?;
    wait_for(room.deadline, "the torrent says why it is silent", || {
        Ok(check_line(&leecher, DiscoveryState::Off).is_ok().then_some(()))
    })?;
    let until = Instant::now() + Duration::from_secs(3);
    wait_for(room.deadline, "three seconds pass", || Ok((Instant::now() > until).then_some(())))?;
    let snapshot = leecher.snapshot();
    if snapshot.candidates > 0 || snapshot.seeds_connected > 0 {
        return Err(format!("somebody was found: {:?}", snapshot.summary).into());
    }
    Ok(())
}

/// Two places on one switch.
fn places(room: &Room) -> Outcome<(Lab, Place, Place)> {
    let mut lab = Lab::new()?;
    let (one, other) = (lab.place(room)?, lab.place(room)?);
    Ok((lab, one, other))
}

fn job_at(room: &Room, name: &str, payload: &Payload, place: &Place) -> Outcome<Job> {
    let job = job(room, name, payload, SocketAddr::new(place.ipv4, PORT))?;
    Ok(Job { interface: INTERFACE, ..job })
}

fn seeds_to_us(room: &Room, client: &dyn Driver) -> Outcome {
    let (_lab, there, here) = places(room)?;
    let payload = payload()?;
    let seeding = job_at(room, "seeder", &payload, &there)?;
    payload.copy_to(&seeding.payload_folder, client.stores_padding())?;
    let mut seeder = there.enter(|| client.start(&seeding))?;
    there.enter(|| seeder.wait_complete("the seeder checks its payload", room.deadline))?;
    let leeching = job_at(room, "leecher", &payload, &here)?;
    let began = Instant::now();
    let mut leecher = here.enter(|| ours::start(&leeching, DOWNLOAD))?;
    leecher.wait_complete("we complete", room.deadline)?;
    say(client.name(), "seeded to us", began);
    drop((seeder, leecher));
    payload.check_copy(&leeching.payload_folder, true)
}

fn leeches_from_us(room: &Room, client: &dyn Driver) -> Outcome {
    let (_lab, here, there) = places(room)?;
    let payload = payload()?;
    let seeding = job_at(room, "seeder", &payload, &here)?;
    payload.copy_to(&seeding.payload_folder, false)?;
    let mut seeder = here.enter(|| ours::start(&seeding, SEED))?;
    seeder.wait_complete("the seed checks its payload", room.deadline)?;
    let leeching = job_at(room, "leecher", &payload, &there)?;
    let began = Instant::now();
    let mut leecher = there.enter(|| client.start(&leeching))?;
    there.enter(|| leecher.wait_complete("the leecher completes", room.deadline))?;
    say(client.name(), "leeched from us", began);
    drop((seeder, leecher));
    payload.check_copy(&leeching.payload_folder, client.creates_empty_files())
}

#[expect(clippy::print_stdout, reason = "figures, for whoever reads what the trials print")]
fn say(client: &str, what: &str, began: Instant) {
    println!("local discovery: {client} {what} within {:.1} s", began.elapsed().as_secs_f64());
}
