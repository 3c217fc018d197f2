//! Our super-seed (BEP 16) and two leechers of other clients: both complete, and little more than one copy is sent.

use std::time::Duration;

use libtest_mimic::Trial;
use potluck_peer::engine::Intent;

use crate::clients::{self, Driver, Running as _};
use crate::ours::{self, DOWNLOAD, Ours, RunningOurs, Settings};
use crate::support::Outcome;
use crate::support::payload::{Case, Payload, Plan};
use crate::support::room::{self, Room};
use crate::support::tracker::{self, Meeting, Tracker};
use crate::support::transfer::job;
use crate::support::trial;

const PATIENCE: Duration = Duration::from_secs(180);

/// Bytes of the payload.
const TOTAL: u64 = 8 * 1024 * 1024;

/// What the seed may send in bytes per second: slowly enough for the leechers' chokers to come round meanwhile. Those of a
/// kind give each other something at once.
fn up_limit(is_a_pair: bool) -> u64 {
    if is_a_pair { TOTAL / 20 } else { TOTAL / 40 }
}

/// The trials of this file.
pub(crate) fn trials() -> Vec<Trial> {
    let drivers = clients::ALL.into_iter().chain([&Ours as &dyn Driver]);
    drivers
        .map(|driver| {
            let name = format!("super_seed::{}_and_another_get_about_one_copy_of_us", driver.name());
            let runner = move || room::run(PATIENCE, |room| one_copy_for_two(room, driver));
            trial::of_parties(
                name,
                &[driver, &clients::Libtorrent],
                Case::Single64Mib,
                Meeting::OursHttp,
                runner,
            )
        })
        .collect()
}

/// Two leechers of a kind. But two of rtorrent give each other nothing for a minute, and two of a kind that dials nobody
/// on loopback do not meet: these have libtorrent beside them.
fn one_copy_for_two(room: &Room, driver: &'static dyn Driver) -> Outcome {
    let payload = Payload::make(&Plan::single("new.bin", TOTAL, 64 * 1024))?;
    let tracker = tracker::start(room, Meeting::OursHttp, payload.info_hash())?;
    let is_a_pair = driver.dials_loopback() && driver.name() != "rtorrent";
    let second: &dyn Driver = if is_a_pair { driver } else { &clients::Libtorrent };
    let mut leechers = Vec::new();
    for (number, driver) in [driver, second].into_iter().enumerate() {
        let leeching = job(room, &format!("leecher-{number}"), &payload, tracker.announce_url())?;
        leechers.push((driver.start(&leeching)?, leeching, driver));
        tracker.wait_for_peers(leechers.len() as u64, room.deadline)?;
    }
    let seeder = super_seed(room, &payload, &tracker, up_limit(is_a_pair))?;
    for (leecher, _, driver) in &mut leechers {
        leecher.wait_complete(driver.name(), room.deadline)?;
    }
    let sent = seeder.snapshot().uploaded;
    for (leecher, leeching, driver) in leechers {
        drop(leecher);
        payload.check_copy(&leeching.payload_folder, driver.creates_empty_files())?;
    }
    if sent * 10 > TOTAL * 13 {
        return Err(format!("the super-seed sent {sent} bytes for {TOTAL} bytes of payload").into());
    }
    Ok(())
}

fn super_seed(room: &Room, payload: &Payload, tracker: &Tracker, up_limit: u64) -> Outcome<RunningOurs> {
    let seeding = job(room, "seeder", payload, tracker.announce_url())?;
    payload.copy_to(&seeding.payload_folder, false)?;
    let settings = Settings { intent: Intent::Seed, up_limit: Some(up_limit), super_seed: true, ..DOWNLOAD };
    let mut seeder = ours::start(&seeding, settings)?;
    seeder.wait_complete("the super-seed checks its payload", room.deadline)?;
    Ok(seeder)
}
