//! The drivers proved without our engine: real clients among themselves. When a trial of the matrix fails and its
//! counterpart here passes, the fault is ours.
//!
//! Two cheap trials always run. With `POTLUCK_IT_HARNESS=1` in the environment there is one for every client, in both
//! directions and with every payload, libtorrent being the other side.

use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;

use crate::clients::{self, Driver, Job};
use crate::support::payload::{Case, Pantry};
use crate::support::room::{self, Room};
use crate::support::tracker::Opentracker;
use crate::support::{Outcome, address, process};

const PATIENCE: Duration = Duration::from_secs(100);

/// The other side of every trial here.
const COUNTERPART: &str = "libtorrent";

/// The trials of this file.
pub(crate) fn trials(pantry: &Arc<Pantry>) -> Vec<Trial> {
    let whole = std::env::var_os("POTLUCK_IT_HARNESS").is_some();
    let mut trials = Vec::new();
    for client in clients::ALL.into_iter().filter(|client| client.name() != COUNTERPART) {
        for case in Case::ALL {
            for seeds in [true, false] {
                if whole || is_cheap(client, case) {
                    trials.push(trial(client, case, seeds, Arc::clone(pantry)));
                }
            }
        }
    }
    trials
}

fn is_cheap(client: &dyn Driver, case: Case) -> bool {
    client.name() == "aria2" && case == Case::Piece40Kib
}

fn trial(client: &'static dyn Driver, case: Case, seeds: bool, pantry: Arc<Pantry>) -> Trial {
    let counterpart = clients::ALL
        .into_iter()
        .find(|client| client.name() == COUNTERPART)
        .expect("the counterpart is a client");
    let (seeder, leecher) = if seeds { (client, counterpart) } else { (counterpart, client) };
    let mut name = format!("harness::{}::seeds_to_{}::{}", seeder.name(), leecher.name(), case.name());
    let is_runnable =
        client.is_installed() && counterpart.is_installed() && process::is_installed(Opentracker::PROGRAM);
    if !is_runnable {
        name.push_str(" (not installed)");
    }
    Trial::test(name, move || room::run(PATIENCE, |room| transfer(room, seeder, leecher, &pantry, case)))
        .with_ignored_flag(!is_runnable)
}

/// The party that must be dialled starts first, so that the other learns of it when it announces itself.
fn transfer(room: &Room, seeder: &dyn Driver, leecher: &dyn Driver, pantry: &Pantry, case: Case) -> Outcome {
    let payload = pantry.payload(case);
    let info_hash = payload.info_hash();
    let mut tracker = Opentracker::start(&room.folder("tracker")?, info_hash)?;
    tracker.wait_ready(room.deadline)?;
    let over_udp = leecher.announces_over_udp() && seeder.announces_over_udp();
    let announce_url = if over_udp { tracker.udp_url() } else { tracker.http_url() };
    let torrent = room.path("it.torrent");
    payload.write_torrent(&torrent, &announce_url)?;
    let job = |name: &str| -> Outcome<Job> {
        Ok(Job {
            torrent: torrent.clone(),
            info_hash,
            payload_folder: room.folder(&format!("{name}-payload"))?,
            home: room.folder(name)?,
            listen: address::unused(),
        })
    };
    let (seeding, leeching) = (job("seeder")?, job("leecher")?);
    payload.copy_to(&seeding.payload_folder)?;

    let mut running_seeder;
    let mut running_leecher;
    if leecher.dials_loopback() {
        running_seeder = seeder.start(&seeding)?;
        running_seeder.wait_complete("the seeder checks its payload", room.deadline)?;
        tracker.wait_for_peers(info_hash, 1, room.deadline)?;
        running_leecher = leecher.start(&leeching)?;
    } else {
        running_leecher = leecher.start(&leeching)?;
        tracker.wait_for_peers(info_hash, 1, room.deadline)?;
        running_seeder = seeder.start(&seeding)?;
    }
    running_leecher.wait_complete("the leecher completes", room.deadline)?;
    drop(running_seeder);
    drop(running_leecher);
    payload.check_copy(&leeching.payload_folder, leecher.creates_empty_files())
}
