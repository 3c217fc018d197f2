//! Dates for people.

/// `seconds` since 1970 as `2026-03-01 13:37 UTC`; `None` outside of the years 1 to 9999.
pub fn utc(seconds: i64) -> Option<String> {
    let (day, rest) = (day(seconds)?, seconds.rem_euclid(86_400));
    Some(format!("{day} {:02}:{:02} UTC", rest / 3600, rest / 60 % 60))
}

/// The day `seconds` after the beginning of 1970, as `2026-03-01`; `None` outside of the years 1 to 9999.
pub fn day(seconds: i64) -> Option<String> {
    let days = seconds.div_euclid(86_400);
    let (mut year, mut day) = (1970, days);
    // Whole cycles of 400 years first, so that the loop below is short.
    let cycles = day.div_euclid(DAYS_IN_400_YEARS);
    (year, day) = (year + 400 * cycles, day - cycles * DAYS_IN_400_YEARS);
    while day >= days_in_year(year) {
        day -= days_in_year(year);
        year += 1;
    }
    let mut month = 1;
    while day >= days_in_month(year, month) {
        day -= days_in_month(year, month);
        month += 1;
    }
    (1..=9999).contains(&year).then(|| format!("{year:04}-{month:02}-{:02}", day + 1))
}

/// The time of day `seconds` after any midnight, as `13:37:00`.
pub fn clock(seconds: i64) -> String {
    let second = seconds.rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
}

const DAYS_IN_400_YEARS: i64 = 146_097;

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_year(year: i64) -> i64 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_5_9_dates_are_those_of_the_calendar_and_absurd_ones_are_none() {
        for (seconds, text) in [
            (0, Some("1970-01-01 00:00 UTC")),
            (951_827_696, Some("2000-02-29 12:34 UTC")),
            (1_767_225_599, Some("2025-12-31 23:59 UTC")),
            (-1, Some("1969-12-31 23:59 UTC")),
            (4_107_542_400, Some("2100-03-01 00:00 UTC")),
            (1 << 62, None),
            (-(1 << 62), None),
            (i64::MAX, None),
            (i64::MIN, None),
        ] {
            assert_eq!(utc(seconds).as_deref(), text, "{seconds}");
        }
    }
}
