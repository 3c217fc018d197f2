//! The engine.

pub mod announce;
pub mod check;
pub mod create;
pub mod disk;
pub mod fetch;
