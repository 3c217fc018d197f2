//! What the announcer is told about failures, and what it tells people about its trackers.

use potluck_common::{
    Instant, Printable,
    announce::{Failure, ReplyError},
};

/// Why an announce or a scrape brought nothing, by what may be done about it. No text in it shows a passkey.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AnnounceFailure {
    /// No answer: the name does not resolve, nobody listens, or the time ran out.
    #[error("{0}")]
    Unreachable(Printable),
    /// An answer that is none: an HTTP error, or bytes that do not parse.
    #[error("{0}")]
    Invalid(Printable),
    /// The tracker's own `failure reason` (BEP 3), with its `retry in` (BEP 31).
    #[error(transparent)]
    Refused(Failure),
    /// Our own policy keeps us from asking this URL; nothing was sent.
    #[error("{0}")]
    Forbidden(Printable),
}

impl AnnounceFailure {
    /// The failure in words for people.
    pub fn message(&self) -> Printable {
        Printable::new(&self.to_string())
    }
}

impl From<ReplyError> for AnnounceFailure {
    fn from(error: ReplyError) -> Self {
        match error {
            ReplyError::Failure(failure) => Self::Refused(failure),
            ReplyError::Malformed(_) => Self::Invalid(Printable::new(&error.to_string())),
        }
    }
}

/// How it stands with a tracker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrackerState {
    /// Not asked in this run.
    Idle,
    /// An announce is under way.
    Announcing,
    /// The last announce was answered.
    Working,
    /// The last announce failed.
    Failed,
}

/// A tracker, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrackerStatus {
    /// Its URL without secrets.
    pub url: Printable,
    /// Its tier, from 0.
    pub tier: usize,
    /// How it stands.
    pub state: TrackerState,
    /// Why the last announce failed.
    pub message: Option<Printable>,
    /// The warning of the last reply.
    pub warning: Option<Printable>,
    /// Failures since the last answer.
    pub failures: u32,
    /// When it will be announced to, if it is its tier's next.
    pub next_at: Option<Instant>,
    /// Seeders, as it last said.
    pub seeders: Option<u32>,
    /// Leechers, as it last said.
    pub leechers: Option<u32>,
    /// Peers that its last reply brought.
    pub peers: usize,
}
