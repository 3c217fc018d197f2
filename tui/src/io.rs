//! What the screens need of the outside: the terminal, the clock, and the names of files.

pub mod completion;
pub mod dashboard;
pub mod terminal;
pub mod zone;
