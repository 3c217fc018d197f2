//! The tracker over real sockets on loopback, and its program.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests may fail a test and say why")]

mod http;
mod program;
mod support;
mod udp;
