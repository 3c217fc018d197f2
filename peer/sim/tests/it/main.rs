//! Whole runs: the same seed gives the same bytes, bytes are neither made nor lost, and simple rules come out as they are
//! known to.

mod calibration;
mod program;
mod scenarios;
