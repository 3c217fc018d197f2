//! How many file descriptors the process may have, and how an engine divides them.
//!
//! A process that runs out of descriptors fails wherever it stands at that moment: at a peer, at a tracker, at the state
//! that it must save. So every kind of use has a share that is fixed before anything is opened, and some are kept for
//! what has no share: names, hooks, logs, whoever else lives in the process.

use thiserror::Error;

/// What the soft limit is raised to, where the hard one allows it. More than an engine ever has, and few enough that
/// a program which closes every possible descriptor before it runs another one still can.
pub const DESCRIPTORS_MAX: u64 = 65_536;

/// Open from the beginning to the end: three standard streams, seven of the runtime and its signals, two sockets to listen
/// on and two for UDP trackers, and two spare ones for accepting.
const FIXED: u64 = 16;
/// Kept for what has no share of its own, but never more than a quarter of all.
const RESERVE_MAX: u64 = 32;
/// Descriptors of one announce: a tracker is asked over IPv4 and IPv6 at once.
const PER_ANNOUNCE: u64 = 2;
/// Connections being opened come in three kinds, each with a room of its own: dialled, and incoming ones before and
/// after they named a torrent.
const HALF_OPEN_KINDS: u64 = 3;

/// The shares, or what an engine would like them to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shares {
    /// Payload files.
    pub(crate) files: usize,
    /// Peers past their handshake.
    pub(crate) connections: usize,
    /// Connections being opened, of each kind.
    pub(crate) half_open: usize,
    /// Announces under way.
    pub(crate) announces: usize,
}

/// The least with which an engine is of use.
const LEAST: Shares = Shares { files: 4, connections: 8, half_open: 2, announces: 1 };

/// An engine needs more descriptors than the system grants.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("{limit} open files are too few, {least} are the least; raise the limit with ulimit -n")]
pub struct TooFewDescriptors {
    limit: u64,
    least: u64,
}

impl Shares {
    fn sum(&self) -> u64 {
        self.files as u64
            + self.connections as u64
            + HALF_OPEN_KINDS * self.half_open as u64
            + PER_ANNOUNCE * self.announces as u64
    }

    /// How many locks of resume states, one a torrent, may be held beside these under `limit`: as many as are left, or
    /// a quarter of the reserve.
    pub(crate) fn locks_beside(&self, limit: u64) -> usize {
        let reserve = (limit / 4).min(RESERVE_MAX);
        let left = limit.min(DESCRIPTORS_MAX).saturating_sub(FIXED + reserve + self.sum());
        left.max(reserve / 4) as usize
    }

    /// What can be had of these under `limit`: all, or of everything the least and an equal part of the rest.
    pub(crate) fn within(self, limit: u64) -> Result<Self, TooFewDescriptors> {
        let free = limit.saturating_sub(FIXED + (limit / 4).min(RESERVE_MAX));
        if self.sum() <= free {
            return Ok(self);
        }
        let least = Self {
            files: self.files.min(LEAST.files),
            connections: self.connections.min(LEAST.connections),
            half_open: self.half_open.min(LEAST.half_open),
            announces: self.announces.min(LEAST.announces),
        };
        let Some(more) = free.checked_sub(least.sum()) else {
            return Err(TooFewDescriptors { limit, least: limit_for(least.sum()) });
        };
        // Greater than zero, since the whole does not fit and the least does.
        let wanted = u128::from(self.sum() - least.sum());
        let part =
            |all: usize, least: usize| least + ((all - least) as u128 * u128::from(more) / wanted) as usize;
        Ok(Self {
            files: part(self.files, least.files),
            connections: part(self.connections, least.connections),
            half_open: part(self.half_open, least.half_open),
            announces: part(self.announces, least.announces),
        })
    }
}

/// The smallest limit that leaves `free` descriptors: a quarter of it, or less, is kept in reserve.
fn limit_for(free: u64) -> u64 {
    let needed = free + FIXED;
    ((needed - 1) * 4 / 3 + 1).min(needed + RESERVE_MAX)
}

/// The number of descriptors that this process may have; `None` where no limit is known.
#[cfg(unix)]
pub(super) fn limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
pub(super) fn limit() -> Option<u64> {
    None
}

/// Lets this process have as many descriptors as the system allows it, and at least as many as before, up to
/// [`DESCRIPTORS_MAX`]. For a program's start: the limit is the whole process's, and its children inherit it.
pub fn raise_descriptor_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        // Where the hard limit says infinity, some systems have another one that they do not tell.
        const FALLBACK: u64 = 10_240;
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        for target in [DESCRIPTORS_MAX, FALLBACK] {
            let target = target.min(maximum.unwrap_or(u64::MAX));
            // No limit at all is more than any.
            if current.is_none_or(|current| current >= target)
                || setrlimit(Resource::Nofile, Rlimit { current: Some(target), maximum }).is_ok()
            {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: Shares = Shares { files: 256, connections: 200, half_open: 50, announces: 50 };

    #[test]
    fn row_2_15_everything_gets_its_share_and_some_are_kept() {
        let shares =
            |files, connections, half_open, announces| Shares { files, connections, half_open, announces };
        for (limit, wanted, expected) in [
            (u64::MAX, DEFAULTS, DEFAULTS),
            (1_024, DEFAULTS, DEFAULTS),
            (754, DEFAULTS, DEFAULTS),
            (753, DEFAULTS, shares(255, 199, 49, 49)),
            (256, DEFAULTS, shares(73, 60, 15, 14)),
            (64, DEFAULTS, shares(8, 11, 2, 1)),
            (47, DEFAULTS, LEAST),
            // What asks for less than the least gets no more than it asks for.
            (64, shares(1, 1, 1, 1), shares(1, 1, 1, 1)),
            (64, shares(2, 10_000, 1, 1), shares(2, 25, 1, 1)),
        ] {
            let got = wanted.within(limit).unwrap_or_else(|error| panic!("{limit}: {error}"));
            assert_eq!(got, expected, "{limit}");
            assert!(got.sum() + FIXED + (limit / 4).min(RESERVE_MAX) <= limit, "{limit}");
        }
    }

    #[test]
    fn row_2_15_the_locks_of_torrents_get_what_is_left() {
        for (limit, locks) in [
            (u64::MAX, 64_782),
            (65_536, 64_782),
            (1_024, 270),
            (800, 46),
            (754, 8),
            (256, 8),
            (64, 5),
            (47, 2),
        ] {
            let shares = DEFAULTS.within(limit).expect("enough");
            assert_eq!(shares.locks_beside(limit), locks, "{limit}");
        }
    }

    #[test]
    fn row_2_15_too_few_are_an_error_that_names_the_least() {
        for limit in [0, 3, 20, 46] {
            let error = DEFAULTS.within(limit).expect_err("too few");
            assert_eq!(
                error.to_string(),
                format!("{limit} open files are too few, 47 are the least; raise the limit with ulimit -n")
            );
        }
        for free in 1..400 {
            let limit = limit_for(free);
            let left = |limit: u64| limit.saturating_sub(FIXED + (limit / 4).min(RESERVE_MAX));
            assert!(left(limit) >= free && left(limit - 1) < free, "{free}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn row_2_15_the_limit_is_raised_and_never_lowered() {
        let before = limit();
        raise_descriptor_limit();
        let raised = limit();
        assert!(raised.is_none() || raised >= before, "{before:?} to {raised:?}");
        let hard = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
        let most = DESCRIPTORS_MAX.min(hard.unwrap_or(u64::MAX));
        assert!(raised.is_none_or(|raised| raised >= most.min(10_240)), "{raised:?} under {hard:?}");
    }
}
