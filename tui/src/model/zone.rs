//! What a clock on the wall shows.

use tz::{LocalTimeType, TimeZone};

/// A time zone; without anything else it is UTC.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Zone(Option<TimeZone>);

impl Zone {
    /// The one that these rules describe.
    pub fn new(rules: TimeZone) -> Self {
        Self(Some(rules))
    }

    /// Seconds that a clock there is ahead of UTC, so many seconds after 1970.
    pub fn ahead_seconds(&self, at: i64) -> i64 {
        self.rules_at(at).map_or(0, |rules| rules.ut_offset().into())
    }

    /// How its time is called then: `CET`, or `+05:30` where it has no letters.
    pub fn name(&self, at: i64) -> String {
        let Some(rules) = self.rules_at(at) else { return "UTC".to_owned() };
        let name = rules.time_zone_designation();
        if name.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
            name.to_owned()
        } else {
            self.offset(at)
        }
    }

    /// The same as numbers: `+01:00`.
    pub fn offset(&self, at: i64) -> String {
        let ahead = self.ahead_seconds(at);
        let (sign, minutes) = (if ahead < 0 { '-' } else { '+' }, ahead.abs() / 60);
        format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }

    fn rules_at(&self, at: i64) -> Option<&LocalTimeType> {
        self.0.as_ref()?.find_local_time_type(at).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_has_its_summer_and_its_name() {
        let zone = |rules| Zone::new(TimeZone::from_posix_tz(rules).expect("it is a rule"));
        // 21 November and 21 June 2026, at noon.
        let (winter, summer) = (1_795_262_400, 1_782_043_200);
        for (zone, at, ahead, name, offset) in [
            (Zone::default(), winter, 0, "UTC", "+00:00"),
            (zone("CET-1CEST,M3.5.0,M10.5.0/3"), winter, 3_600, "CET", "+01:00"),
            (zone("CET-1CEST,M3.5.0,M10.5.0/3"), summer, 7_200, "CEST", "+02:00"),
            (zone("NST3:30"), winter, -12_600, "NST", "-03:30"),
            (zone("<+0545>-5:45"), winter, 20_700, "+05:45", "+05:45"),
        ] {
            assert_eq!((zone.ahead_seconds(at), &*zone.name(at), &*zone.offset(at)), (ahead, name, offset));
        }
    }
}
