//! One connection to one peer, as a pure machine (BEP 3, 6, 10, 21).
//!
//! A session runs in its socket's task. The torrent's task hears of it only through [`SessionEvent`]s (ids, counts
//! and sets, never payload) and steers it through [`SessionCommand`]s.

mod event;

pub use event::{Blame, CloseReason, SessionCommand, SessionEvent};
