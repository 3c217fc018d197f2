//! Potluck and the clients that are installed, measured in the same run on the same payload.
//!
//! `cargo bench -p potluck-peer --bench peers` moves a payload from one process to another over loopback: between two
//! of ours, and for each other client between two of its own, from it to ours and from ours to it, pair after pair in
//! alternating order. It prints medians and what they are relative to ours to ours in the same round.
//! `-- --help` tells the options.
//!
//! The method: every seeder has checked its payload, which is in the page cache, before the clock starts. It starts when
//! the leecher is told of the torrent (those that are a service) or started with it (those that are a command, ours
//! among them), and ends when the leecher says that it has all pieces: by the hook that it runs then, by an alert, by its
//! exit, or by its state. (Ours then makes them durable before it tells its user that it is complete; the others leave
//! that to the system.) All learn of the seeders from the same tracker, in this process, which answers at once. Everything that is
//! not a plain TCP connection is switched off, limits are off, all else is as each client comes. Where the system
//! permits, all this happens in a network namespace of its own, with addresses that are not of 127.0.0.0/8 but as local:
//! there every client dials, and what crosses the interface tells when data begins to move. Each copy is compared byte
//! by byte. Before each transfer as much memory as it may need is taken and given back, so that none is the first to
//! touch it, and the first transfer is not counted.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

mod arguments;
mod clients;
mod ground;
#[path = "../../tests/it/support/http.rs"]
mod http;
mod memory;
mod payload;
#[path = "../support/process.rs"]
mod process;
#[path = "../support/program.rs"]
mod program;
mod scenario;
mod table;
mod tracker;
mod transfer;
mod usage;

use std::error::Error;

use self::{arguments::Arguments, ground::Ground, scenario::Bench};

/// What most functions of this bench give back.
type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    let Some(arguments) = Arguments::parse(std::env::args().skip(1))? else {
        print!("{}", arguments::HELP);
        return Ok(());
    };
    if arguments.isolated || !ground::can_isolate() {
        let ground = Ground::new(arguments.isolated)?;
        return Bench::new(&arguments, &ground)?.run();
    }
    let potluck = arguments.potluck.clone().map_or_else(program::built, Ok)?;
    ground::run_isolated(&potluck)
}
