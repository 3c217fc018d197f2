//! Several engines of ours: what a swarm is for.

use std::time::Duration;

use libtest_mimic::Trial;

use crate::clients::Running as _;
use crate::ours::{self, Settings};
use crate::support::Outcome;
use crate::support::payload::{Payload, Plan};
use crate::support::room::{self, Room};
use crate::support::tracker::{self, Meeting};
use crate::support::transfer::job;

const PATIENCE: Duration = Duration::from_secs(120);

const LEECHERS: usize = 5;

/// Bytes of the payload.
const TOTAL: u64 = 24 * 1024 * 1024;

/// What the seeder may send, in bytes per second: a copy takes 8 s, and five would take 40 s.
const SEEDER_UP_LIMIT: u64 = TOTAL / 8;

/// The trials of this file.
pub(crate) fn trials() -> Vec<Trial> {
    let runner = || room::run(PATIENCE, slow_seeder);
    vec![Trial::test("swarm::a_slow_seeder_sends_less_than_one_and_a_half_copies_to_five_leechers", runner)]
}

fn slow_seeder(room: &Room) -> Outcome {
    let payload = Payload::make(&Plan::single("shared.bin", TOTAL, 64 * 1024))?;
    let tracker = tracker::start(room, Meeting::OursHttp, payload.info_hash())?;
    let seeding = job(room, "seeder", &payload, tracker.announce_url())?;
    payload.copy_to(&seeding.payload_folder)?;
    let settings = Settings { up_limit: Some(SEEDER_UP_LIMIT), ..Settings::default() };
    let mut seeder = ours::start(&seeding, settings)?;
    seeder.wait_complete("the seeder checks its payload", room.deadline)?;
    tracker.wait_for_peers(1, room.deadline)?;

    let mut leechers = Vec::new();
    for number in 0..LEECHERS {
        let leeching = job(room, &format!("leecher-{number}"), &payload, tracker.announce_url())?;
        leechers.push((ours::start(&leeching, Settings::default())?, leeching));
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
