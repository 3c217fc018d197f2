//! Several peers at once: what a swarm is for.

use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;
use potluck_peer::engine::Intent;

use crate::clients::{self, Running as _};
use crate::ours::{self, DOWNLOAD, Ours, RunningOurs, Settings};
use crate::support::payload::{Case, Pantry, Payload, Plan};
use crate::support::room::{self, Room};
use crate::support::tracker::{self, Meeting, Tracker};
use crate::support::transfer::job;
use crate::support::{Outcome, trial};

const PATIENCE: Duration = Duration::from_secs(120);

const LEECHERS: usize = 5;

/// Bytes of the payload of [`five_leechers`].
const TOTAL: u64 = 24 * 1024 * 1024;

/// What the seeder may send in bytes per second: a copy takes 8 s, and five would take 40 s.
const SEEDER_UP_LIMIT: u64 = TOTAL / 8;

/// The trials of this file.
pub(crate) fn trials(pantry: &Arc<Pantry>) -> Vec<Trial> {
    let pantry = Arc::clone(pantry);
    let everyone = move || room::run(PATIENCE, |room| everyone(room, pantry.payload(Case::ManyFiles)));
    vec![
        Trial::test("swarm::a_slow_seeder_sends_less_than_one_and_a_half_copies_to_five_leechers", || {
            room::run(PATIENCE, five_leechers)
        }),
        trial::of_parties(
            "swarm::every_client_leeches_from_us_and_from_each_other".into(),
            &clients::ALL,
            Case::ManyFiles,
            Meeting::OursHttp,
            everyone,
        ),
    ]
}

fn five_leechers(room: &Room) -> Outcome {
    let payload = Payload::make(&Plan::single("shared.bin", TOTAL, 64 * 1024))?;
    let tracker = tracker::start(room, Meeting::OursHttp, payload.info_hash())?;
    let seeder = slow_seeder(room, &payload, &tracker)?;
    tracker.wait_for_peers(1, room.deadline)?;

    let mut leechers = Vec::new();
    for number in 0..LEECHERS {
        let leeching = job(room, &format!("leecher-{number}"), &payload, tracker.announce_url())?;
        leechers.push((ours::start(&leeching, DOWNLOAD)?, leeching));
    }
    for (leecher, _) in &mut leechers {
        leecher.wait_complete("a leecher completes", room.deadline)?;
    }
    let sent = seeder.snapshot().uploaded;
    for (_, leeching) in &leechers {
        payload.check_copy(&leeching.payload_folder, true)?;
    }
    if sent < TOTAL || sent * 2 >= TOTAL * 3 {
        return Err(format!("the seeder sent {sent} bytes for {TOTAL} bytes of payload").into());
    }
    Ok(())
}

fn slow_seeder(room: &Room, payload: &Payload, tracker: &Tracker) -> Outcome<RunningOurs> {
    let seeding = job(room, "seeder", payload, tracker.announce_url())?;
    payload.copy_to(&seeding.payload_folder, false)?;
    let settings = Settings { intent: Intent::Seed, up_limit: Some(SEEDER_UP_LIMIT), ..DOWNLOAD };
    let mut seeder = ours::start(&seeding, settings)?;
    seeder.wait_complete("the seeder checks its payload", room.deadline)?;
    Ok(seeder)
}

/// Who must be dialled starts first, so that the others learn of it when they announce themselves.
fn everyone(room: &Room, payload: &Payload) -> Outcome {
    let tracker = tracker::start(room, Meeting::OursHttp, payload.info_hash())?;
    let mut drivers = clients::ALL.to_vec();
    drivers.push(&Ours);
    drivers.sort_by_key(|driver| driver.dials_loopback());
    let mut leechers = Vec::new();
    let mut seeder = None;
    for driver in drivers {
        if driver.dials_loopback() && seeder.is_none() {
            tracker.wait_for_peers(leechers.len() as u64, room.deadline)?;
            seeder = Some(slow_seeder(room, payload, &tracker)?);
        }
        let leeching = job(room, driver.name(), payload, tracker.announce_url())?;
        leechers.push((driver.start(&leeching)?, leeching, driver));
    }
    for (leecher, _, driver) in &mut leechers {
        leecher.wait_complete(driver.name(), room.deadline)?;
    }
    for (leecher, leeching, driver) in leechers {
        drop(leecher);
        payload
            .check_copy(&leeching.payload_folder, driver.creates_empty_files())
            .map_err(|error| format!("{}: {error}", driver.name()))?;
    }
    Ok(())
}
