//! The drivers proved without our engine: real clients among themselves. When a trial of the matrix fails and its
//! counterpart here passes, the fault is ours.
//!
//! Two cheap trials always run. With `POTLUCK_IT_HARNESS=1` in the environment there is one for every client, in both
//! directions and with every payload, libtorrent being the other side.

use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;

use crate::clients::{self, Driver};
use crate::support::payload::{Case, Pantry};
use crate::support::room;
use crate::support::tracker::Meeting;
use crate::support::transfer::transfer;
use crate::support::trial;

const PATIENCE: Duration = Duration::from_secs(100);

/// The other side of every trial here.
const COUNTERPART: &dyn Driver = &clients::Libtorrent;

/// The trials of this file.
pub(crate) fn trials(pantry: &Arc<Pantry>) -> Vec<Trial> {
    let whole = std::env::var_os("POTLUCK_IT_HARNESS").is_some();
    let mut trials = Vec::new();
    for client in clients::ALL.into_iter().filter(|client| client.name() != COUNTERPART.name()) {
        for case in Case::ALL {
            if whole || is_cheap(client, case) {
                trials.push(trial(client, COUNTERPART, case, pantry));
                trials.push(trial(COUNTERPART, client, case, pantry));
            }
        }
    }
    trials
}

fn is_cheap(client: &dyn Driver, case: Case) -> bool {
    client.name() == "aria2" && case == Case::Piece40Kib
}

fn trial(
    seeder: &'static dyn Driver,
    leecher: &'static dyn Driver,
    case: Case,
    pantry: &Arc<Pantry>,
) -> Trial {
    let over_udp = seeder.announces_over_udp() && leecher.announces_over_udp();
    let meeting = if over_udp { Meeting::OpentrackerUdp } else { Meeting::OpentrackerHttp };
    let name = format!("harness::{}::seeds_to_{}::{}", seeder.name(), leecher.name(), case.name());
    let pantry = Arc::clone(pantry);
    let runner =
        move || room::run(PATIENCE, |room| transfer(room, seeder, leecher, pantry.payload(case), meeting));
    trial::of_parties(name, &[seeder, leecher], case, meeting, runner)
}
