//! Fetching the `info` dictionary of a torrent of which only the hash is known, from several peers at once (BEP 9).
//!
//! The [`Collector`] decides whom to ask for what, and whom to believe; [`crate::torrent::magnet`] gives it peers.

mod attempt;
mod collector;
mod contract;
mod giver;
#[cfg(test)]
mod tests;

pub use collector::{Collector, REQUESTS_MAX, ROUNDS_MAX};
pub use contract::{Expected, Progress, Standing, Wish};
