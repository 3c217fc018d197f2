//! Peers that are found without a tracker: over loopback among ourselves, and with real clients in networks of their own.

mod changes;
mod dht;
#[cfg(target_os = "linux")]
mod lab;
mod local;
#[cfg(target_os = "linux")]
mod lsd;
#[cfg(target_os = "linux")]
mod mapped;
#[cfg(target_os = "linux")]
mod real;

use libtest_mimic::Trial;

/// The trials of these files.
pub(crate) fn trials() -> Vec<Trial> {
    let trials: Vec<Trial> = local::trials().into_iter().chain(changes::trials()).collect();
    #[cfg(target_os = "linux")]
    let trials = [trials, real::trials(), mapped::trials(), lsd::trials()].into_iter().flatten().collect();
    trials
}
