//! What the screens need of the outside: the terminal.

pub mod terminal;
