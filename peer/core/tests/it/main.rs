//! Tests of the whole of `potluck-core`, and of the shape of the workspace that keeps it pure.

mod fuzz;
mod purity;
