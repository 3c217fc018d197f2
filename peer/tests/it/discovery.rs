//! Peers that are found without a tracker: over loopback among ourselves, and with real clients in networks of their own.

mod dht;
#[cfg(target_os = "linux")]
mod lab;
mod local;
#[cfg(target_os = "linux")]
mod lsd;
#[cfg(target_os = "linux")]
mod real;

use libtest_mimic::Trial;

/// The trials of these files.
pub(crate) fn trials() -> Vec<Trial> {
    let trials = local::trials();
    #[cfg(target_os = "linux")]
    let trials = trials.into_iter().chain(real::trials()).chain(lsd::trials()).collect();
    trials
}
