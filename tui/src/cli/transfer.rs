//! `potluck get` and `potluck seed`.

pub mod status;
