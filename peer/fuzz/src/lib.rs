//! What each fuzz target does with its bytes, and what must hold whatever they are.
//!
//! `cargo fuzz` calls these drivers with bytes that it makes up. `peer/core/tests/it/fuzz.rs` takes in this same file and
//! calls them with the inputs of `corpus/`, so that what was once found stays found on a stable toolchain.
//!
//! One target for as long as one likes, what it finds kept out of the tree:
//! `cargo +nightly fuzz run --fuzz-dir peer/fuzz wire target/fuzz-corpus/wire peer/fuzz/corpus/wire`. An input that broke
//! something goes to `corpus/<target>/` under a name that says what it was.

pub mod bencode;
pub mod dht;
pub mod extended;
pub mod krpc;
pub mod lsd;
pub mod magnet;
pub mod metainfo;
pub mod picker;
pub mod session;
pub mod tracker_http;
pub mod tracker_query;
pub mod tracker_udp;
pub mod tracker_url;
pub mod ut_metadata;
pub mod ut_pex;
pub mod wire;

use std::fmt::Display;

/// What a target does with the bytes that it gets.
pub type Driver = fn(&[u8]);

/// Every target by the name of its program and of its folder in `corpus/`.
pub const TARGETS: &[(&str, Driver)] = &[
    ("bencode", bencode::run),
    ("dht", dht::run),
    ("extended", extended::run),
    ("krpc", krpc::run),
    ("lsd", lsd::run),
    ("magnet", magnet::run),
    ("metainfo", metainfo::run),
    ("picker", picker::run),
    ("session", session::run),
    ("tracker_http", tracker_http::run),
    ("tracker_query", tracker_query::run),
    ("tracker_udp", tracker_udp::run),
    ("tracker_url", tracker_url::run),
    ("ut_metadata", ut_metadata::run),
    ("ut_pex", ut_pex::run),
    ("wire", wire::run),
];

/// Checks that what is shown of a foreign value cannot steer a terminal.
fn assert_printable(shown: impl Display) {
    let text = shown.to_string();
    assert!(!text.contains(char::is_control), "{text:?} would reach a terminal");
}
