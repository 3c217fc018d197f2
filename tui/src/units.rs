//! Sizes, rates, durations and ports: read from the command line and written for people.
//!
//! `k`, `M`, `G` and `T` count in steps of 1,024 as in aria2 and curl (`kB`, `MB` … in steps of 1,000); what is
//! shown always says which (`MiB`).

use std::{fmt, ops::RangeInclusive, str::FromStr, time::Duration};

/// When to stop seeding after a download.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum SeedGoal {
    /// Not before someone stops it.
    Forever,
    /// When this many times the payload was sent.
    Ratio(f64),
    /// After this long.
    Time(Duration),
}

/// Distributed copies with two digits, never rounded up: what is a little less than a copy must not look like one.
#[derive(Clone, Copy, Debug)]
pub struct Copies(pub f32);

impl fmt::Display for Copies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A hundredth that no float hits must not fall to the one below.
        write!(f, "{:.2}", (f64::from(self.0) * 100.0 + 0.001).floor() / 100.0)
    }
}

/// A size in bytes, such as `500k`, `2M`, `1.5GiB`, `16384`.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit) = split_number(text);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(format!("{text:?} is not a size; write one such as 500k, 2M or 1.5G")),
    };
    let value: f64 =
        number.parse().map_err(|_| format!("{text:?} is not a size; write one such as 500k, 2M or 1.5G"))?;
    let bytes = value * factor as f64;
    // Above 2⁵³ a float no longer holds every byte count, and no disk is that large.
    if bytes > 9_007_199_254_740_992.0 {
        return Err(format!("{text:?} is too large"));
    }
    Ok(bytes.round() as u64)
}

/// A rate in bytes per second; `0` (and `none`) mean no limit.
pub fn parse_rate(text: &str) -> Result<Rate, String> {
    if text == "none" {
        return Ok(Rate(None));
    }
    let bytes = parse_size(text.strip_suffix("/s").unwrap_or(text)).map_err(|_| {
        format!("{text:?} is not a rate; write bytes per second such as 500k or 2M, 0 for no limit")
    })?;
    Ok(Rate((bytes > 0).then_some(bytes)))
}

/// A rate limit in bytes per second; `None` is no limit.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Rate(pub Option<u64>);

/// A duration, such as `90`, `30s`, `5m`, `1.5h`, `2d`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split_number(text);
    let seconds = match unit {
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(not_a_duration(text)),
    };
    let value: f64 = number.parse().map_err(|_| not_a_duration(text))?;
    Duration::try_from_secs_f64(value * seconds).map_err(|_| not_a_duration(text))
}

fn not_a_duration(text: &str) -> String {
    format!("{text:?} is not a duration; write one such as 90, 30s, 5m or 2h")
}

impl FromStr for SeedGoal {
    type Err = String;

    /// `forever`, a ratio (`1.5`, `2x`) or a time (`30m`).
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "forever" {
            return Ok(Self::Forever);
        }
        if let Ok(ratio) = text.strip_suffix('x').unwrap_or(text).parse::<f64>() {
            return if ratio.is_finite() && ratio >= 0.0 {
                Ok(Self::Ratio(ratio))
            } else {
                Err(format!("{text:?} is not a ratio"))
            };
        }
        parse_duration(text)
            .map(Self::Time)
            .map_err(|_| format!("{text:?} is neither a ratio such as 1.5 nor a time such as 30m"))
    }
}

/// One port or a range of them: `6881`, `6881-6889`; `0` is any free port.
pub fn parse_ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let bad =
        || format!("{text:?} is not a port; write one such as 6881, a range such as 6881-6889, or 0 for any");
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let low: u16 = low.parse().map_err(|_| bad())?;
    let high: u16 = high.parse().map_err(|_| bad())?;
    if low > high || (low == 0 && high != 0) { Err(bad()) } else { Ok(low..=high) }
}

/// Splits `12.5MiB` into `12.5` and `MiB`.
fn split_number(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

/// Shows a number of bytes with three significant digits: `3.71 GiB`.
#[derive(Clone, Copy)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1024 {
            return f.pad(&format!("{} B", self.0));
        }
        let (mut value, mut unit) = (self.0 as f64 / 1024.0, "KiB");
        for next in ["MiB", "GiB", "TiB"] {
            // 999.5 and more would show four digits.
            if value < 999.5 {
                break;
            }
            (value, unit) = (value / 1024.0, next);
        }
        let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
        f.pad(&format!("{value:.decimals$} {unit}"))
    }
}

/// Shows a rate in bytes per second: `6.10 MiB/s`, `-` when nothing moves.
#[derive(Clone, Copy)]
pub struct PerSecond(pub u64);

impl fmt::Display for PerSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { f.pad("-") } else { f.pad(&format!("{}/s", Bytes(self.0))) }
    }
}

/// Shows a rate that is given in bytes per second in bits per second: `48.8 Mbit/s`, in steps of 1,000 as networks are sold;
/// `-` when nothing moves.
#[derive(Clone, Copy)]
pub struct BitsPerSecond(pub u64);

impl fmt::Display for BitsPerSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.pad("-");
        }
        let (mut value, mut unit) = (self.0 as f64 * 8.0, "bit/s");
        for next in ["kbit/s", "Mbit/s", "Gbit/s"] {
            if value < 999.5 {
                break;
            }
            (value, unit) = (value / 1000.0, next);
        }
        let decimals = if unit == "bit/s" || value >= 99.95 { 0 } else { 1 + usize::from(value < 9.995) };
        f.pad(&format!("{value:.decimals$} {unit}"))
    }
}

/// Shows a number of bytes in at most four cells, in steps of 1,024: `812`, `3.7G`, `148M`.
#[derive(Clone, Copy)]
pub struct Short(pub u64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&short(self.0, 1024.0))
    }
}

/// Shows a number of things in at most four cells, in steps of 1,000: `812`, `3.7k`, `148k`.
#[derive(Clone, Copy)]
pub struct ShortCount(pub u64);

impl fmt::Display for ShortCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&short(self.0, 1000.0))
    }
}

fn short(number: u64, step: f64) -> String {
    let mut value = number as f64;
    if number < 1000 {
        return number.to_string();
    }
    let mut unit = "";
    for next in ["k", "M", "G", "T", "P", "E"] {
        // What would show four digits has the next unit.
        if value < 999.5 {
            break;
        }
        (value, unit) = (value / step, next);
    }
    let decimals = usize::from(value < 9.95);
    format!("{value:.decimals$}{unit}")
}

/// Shows a number of seconds with its two largest units: `3m40s`, `2h05m`, `4d02h`.
#[derive(Clone, Copy)]
pub struct Seconds(pub u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, hours) = (self.0 / 86_400, self.0 / 3_600 % 24);
        let (minutes, seconds) = (self.0 / 60 % 60, self.0 % 60);
        f.pad(&match (days, hours, minutes) {
            (0, 0, 0) => format!("{seconds}s"),
            (0, 0, _) => format!("{minutes}m{seconds:02}s"),
            (0, _, _) => format!("{hours}h{minutes:02}m"),
            _ => format!("{days}d{hours:02}h"),
        })
    }
}

/// `part` of `whole` in percent, rounded down: 100 only when nothing is missing.
pub fn percent(part: u64, whole: u64) -> u64 {
    if whole == 0 { 100 } else { (u128::from(part) * 100 / u128::from(whole)) as u64 }
}

/// `1 piece`, `2 pieces`, `1,234 pieces`.
pub fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", Grouped(number))
}

/// Shows a number with its thousands apart: `1,234,567`.
#[derive(Clone, Copy)]
pub struct Grouped(pub u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::with_capacity(digits.len() * 4 / 3);
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_rates_are_read() {
        let cases = [
            ("0", Some(0)),
            ("16384", Some(16_384)),
            ("500k", Some(512_000)),
            ("500 K", Some(512_000)),
            ("2M", Some(2 << 20)),
            ("1.5GiB", Some(3 << 29)),
            ("2MB", Some(2_000_000)),
            ("1T", Some(1 << 40)),
            ("", None),
            ("k", None),
            ("-1", None),
            ("2X", None),
            ("1e9", None),
            ("1..2", None),
            ("99999999T", None),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse_size(text).ok(), bytes, "{text}");
        }
        assert_eq!(parse_rate("0"), Ok(Rate(None)));
        assert_eq!(parse_rate("none"), Ok(Rate(None)));
        assert_eq!(parse_rate("1M/s"), Ok(Rate(Some(1 << 20))));
        assert!(parse_rate("fast").is_err());
    }

    #[test]
    fn durations_goals_and_ports_are_read() {
        assert_eq!(parse_duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("1.5h"), Ok(Duration::from_secs(5400)));
        assert!(["", "-5", "5x", "h"].iter().all(|text| parse_duration(text).is_err()));
        assert_eq!("1.5".parse(), Ok(SeedGoal::Ratio(1.5)));
        assert_eq!("2x".parse(), Ok(SeedGoal::Ratio(2.0)));
        assert_eq!("30m".parse(), Ok(SeedGoal::Time(Duration::from_secs(1800))));
        assert!(["nan", "inf", "-1", "soon"].iter().all(|text| text.parse::<SeedGoal>().is_err()));
        assert_eq!(parse_ports("6881-6889"), Ok(6881..=6889));
        assert_eq!(parse_ports("0"), Ok(0..=0));
        assert!(["", "0-5", "9-8", "65536", "a", "1-2-3"].iter().all(|text| parse_ports(text).is_err()));
    }

    #[test]
    fn numbers_are_shown_for_people() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (10_240, "10.0 KiB"),
            (1_048_575, "1.00 MiB"),
            (3_983_560_704, "3.71 GiB"),
            (u64::MAX, "16777216 TiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
        for (bytes, text) in [
            (0, "-"),
            (1, "8 bit/s"),
            (125, "1.00 kbit/s"),
            (6_100_000, "48.8 Mbit/s"),
            (125_000_000, "1.00 Gbit/s"),
        ] {
            assert_eq!(BitsPerSecond(bytes).to_string(), text);
        }
        for (bytes, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1.0k"),
            (10_240, "10k"),
            (1_022_000, "998k"),
            (1_047_000, "1.0M"),
            (3_983_560_704, "3.7G"),
            (u64::MAX, "16E"),
        ] {
            assert_eq!(Short(bytes).to_string(), text);
        }
        assert_eq!([153, 1_049, 20_400].map(|count| ShortCount(count).to_string()), ["153", "1.0k", "20k"]);
        for (seconds, text) in [(0, "0s"), (220, "3m40s"), (7_500, "2h05m"), (352_860, "4d02h")] {
            assert_eq!(Seconds(seconds).to_string(), text);
        }
        assert_eq!(percent(999, 1000), 99);
        assert_eq!(percent(0, 0), 100);
        assert_eq!(count(1, "piece"), "1 piece");
        assert_eq!(count(1_234_567, "piece"), "1,234,567 pieces");
        assert_eq!(format!("{:>8}|{:<6}|", Bytes(5), PerSecond(0)), "     5 B|-     |");
    }
}
