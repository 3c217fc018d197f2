//! The integration tests of the engine, one binary: against real clients, over loopback, and of the tests' own tools.
//!
//! Trials that need a program which this machine lacks are ignored, and their names say so.
//! Debian has all of them: `apt-get install transmission-daemon aria2 qbittorrent-nox rtorrent python3-libtorrent
//! opentracker`.

mod clients;
mod control;
mod create;
mod discovery;
mod fairness;
mod faults;
mod harness;
mod hostile;
mod interop;
mod loopback;
mod magnet;
mod manager;
mod ours;
mod peer_exchange;
mod resume;
mod super_seed;
mod support;
mod swarm;

use std::sync::Arc;

use libtest_mimic::Arguments;

use support::payload::Pantry;

/// Trials mostly wait for other programs' timers, so a few more than there are processors run at a time.
const CONCURRENT_TRIALS: usize = 4;

fn main() {
    if hostile::idle_crowd::was_a_crowd() {
        return;
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(CONCURRENT_TRIALS);
    let pantry = Arc::new(Pantry::default());
    let trials = [
        interop::trials(&pantry),
        harness::trials(&pantry),
        create::trials(&pantry),
        loopback::trials(),
        discovery::trials(),
        magnet::trials(&pantry),
        control::trials(),
        manager::trials(),
        resume::trials(),
        swarm::trials(&pantry),
        peer_exchange::trials(),
        fairness::trials(),
        super_seed::trials(),
        hostile::trials(),
        faults::trials(),
    ];
    let trials = trials.into_iter().flatten().collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    // `exit` runs no destructors, and this one removes the payloads.
    drop(pantry);
    conclusion.exit();
}
