//! Our engine against every real client: both directions, every payload, found through a tracker.

use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;

use crate::clients::{self, Driver};
use crate::ours::Ours;
use crate::support::payload::{Case, Pantry};
use crate::support::room;
use crate::support::tracker::Meeting;
use crate::support::transfer::transfer;
use crate::support::trial;

const PATIENCE: Duration = Duration::from_secs(120);

/// The trials of this file.
pub(crate) fn trials(pantry: &Arc<Pantry>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for client in clients::ALL {
        for case in Case::ALL {
            let meeting = meeting_of(client, case);
            for direction in [Direction::SeedsToUs, Direction::LeechesFromUs] {
                trials.push(trial(client, direction, case, meeting, pantry));
            }
        }
    }
    let further = [
        (Case::ManyFiles, Meeting::OpentrackerUdp),
        (Case::Piece40Kib, Meeting::OursHttpIpv6),
        (Case::Piece40Kib, Meeting::OursUdpIpv6),
    ];
    for (case, meeting) in further {
        for direction in [Direction::SeedsToUs, Direction::LeechesFromUs] {
            trials.push(trial(&clients::Libtorrent, direction, case, meeting, pantry));
        }
    }
    trials
}

/// Our tracker over HTTP, but over UDP for one of the payloads with clients that can.
fn meeting_of(client: &dyn Driver, case: Case) -> Meeting {
    if case == Case::Piece40Kib && client.announces_over_udp() { Meeting::OursUdp } else { Meeting::OursHttp }
}

#[derive(Clone, Copy)]
enum Direction {
    SeedsToUs,
    LeechesFromUs,
}

fn trial(
    client: &'static dyn Driver,
    direction: Direction,
    case: Case,
    meeting: Meeting,
    pantry: &Arc<Pantry>,
) -> Trial {
    let verb = match direction {
        Direction::SeedsToUs => "seeds_to_us",
        Direction::LeechesFromUs => "leeches_from_us",
    };
    let name = format!("interop::{}::{verb}::{}::{}", client.name(), case.name(), meeting.name());
    let pantry = Arc::clone(pantry);
    let runner = move || {
        room::run(PATIENCE, |room| {
            let (seeder, leecher): (&dyn Driver, &dyn Driver) = match direction {
                Direction::SeedsToUs => (client, &Ours),
                Direction::LeechesFromUs => (&Ours, client),
            };
            transfer(room, seeder, leecher, pantry.payload(case), meeting)
        })
    };
    trial::of_parties(name, &[client], case, meeting, runner)
}
