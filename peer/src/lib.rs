//! The engine.

pub mod check;
pub mod disk;
