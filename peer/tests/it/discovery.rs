//! Peers that are found without a tracker: over loopback among ourselves, and with real clients in networks of their own.

mod dht;
mod lab;
mod local;
mod real;

use libtest_mimic::Trial;

/// The trials of these files.
pub(crate) fn trials() -> Vec<Trial> {
    local::trials().into_iter().chain(real::trials()).collect()
}
