//! How the models change: pure functions of a model and a message.

pub mod dashboard;
pub mod demo;
