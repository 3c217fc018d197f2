//! The engine.

pub mod announce;
pub mod check;
pub mod disk;
pub mod fetch;
