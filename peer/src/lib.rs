//! The engine.

pub mod disk;
