//! Trials that need programs of someone else.

use libtest_mimic::{Failed, Trial};

use super::payload::Case;
use super::tracker::Meeting;
use crate::clients::Driver;

/// A trial of `parties` who meet at `meeting` for the payload of `case`. It is ignored, and its name says why, when
/// one of them is not installed or cannot do it.
pub(crate) fn of_parties(
    name: String,
    parties: &[&dyn Driver],
    case: Case,
    meeting: Meeting,
    runner: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    match hindrance(parties, case, meeting) {
        None => Trial::test(name, runner),
        Some(hindrance) => Trial::test(format!("{name} ({hindrance})"), runner).with_ignored_flag(true),
    }
}

fn hindrance(parties: &[&dyn Driver], case: Case, meeting: Meeting) -> Option<&'static str> {
    if parties.iter().any(|party| !party.is_installed()) {
        return Some("not installed");
    }
    meeting.hindrance().or_else(|| parties.iter().find_map(|party| party.unable(case)))
}
