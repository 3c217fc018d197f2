//! Drives the real `potluck`: exit codes, messages, JSON, transfers between processes, and the screen.
//!
//! Everything runs on loopback addresses and in folders that are removed. What this machine cannot do (mounting a file
//! system takes rights) is ignored by name.

#[cfg(unix)]
mod config;
#[cfg(unix)]
mod dashboard;
mod demo;
#[cfg(unix)]
mod descriptors;
#[cfg(unix)]
mod dht;
#[cfg(target_os = "linux")]
mod faults;
mod info;
#[cfg(unix)]
mod kills;
mod links;
mod make;
mod messages;
#[cfg(target_os = "linux")]
mod mounts;
mod pipes;
#[cfg(unix)]
mod resume;
mod sandbox;
#[cfg(unix)]
mod stops;
mod swarm;
mod terminal;
#[cfg(unix)]
mod tracker;
mod trouble;
#[cfg(unix)]
mod window;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

/// What a test returns.
type Checked = Result<(), Failed>;

fn main() -> ExitCode {
    if std::env::var_os(demo::PANICS).is_some() {
        demo::panic_on_a_screen();
    }
    let arguments = Arguments::from_args();
    // The demos take longest, and mostly wait: the others run beside them.
    let trials = [
        demo::trials(),
        #[cfg(unix)]
        dashboard::trials(),
        #[cfg(unix)]
        window::trials(),
        messages::trials(),
        #[cfg(unix)]
        config::trials(),
        #[cfg(unix)]
        dht::trials(),
        info::trials(),
        links::trials(),
        make::trials(),
        pipes::trials(),
        swarm::trials(),
        #[cfg(unix)]
        stops::trials(),
        #[cfg(unix)]
        descriptors::trials(),
        trouble::trials(),
        #[cfg(unix)]
        resume::trials(),
        #[cfg(unix)]
        kills::trials(),
        #[cfg(target_os = "linux")]
        mounts::trials(),
        #[cfg(target_os = "linux")]
        faults::trials(),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}

/// A test that panics when it fails.
fn test(name: &str, run: fn()) -> Trial {
    Trial::test(name, move || -> Checked {
        run();
        Ok(())
    })
}
