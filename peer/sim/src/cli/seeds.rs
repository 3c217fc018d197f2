//! A range of seeds on the command line.

use std::str::FromStr;

/// The most seeds of one run.
const SEEDS_MAX: u64 = 10_000;

/// Seeds from the first to the last, both included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seeds {
    first: u64,
    last: u64,
}

impl Seeds {
    pub(crate) fn iter(self) -> impl Iterator<Item = u64> {
        self.first..=self.last
    }
}

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse().map_err(|_| format!("{text:?} is no seed: write 7, or 1..5"));
        let (first, last) = match text.split_once("..") {
            Some((first, last)) => (number(first)?, number(last.strip_prefix('=').unwrap_or(last))?),
            None => (number(text)?, number(text)?),
        };
        if first > last || last - first >= SEEDS_MAX {
            return Err(format!("{first}..{last} is not 1 to {SEEDS_MAX} seeds"));
        }
        Ok(Self { first, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_includes_both_ends() {
        let cases = [
            ("7", Some((7, 7))),
            ("1..5", Some((1, 5))),
            ("1..=5", Some((1, 5))),
            ("5..1", None),
            ("0..10000", None),
            ("a", None),
            ("1..", None),
            ("", None),
        ];
        for (text, wanted) in cases {
            let parsed = text.parse().ok().map(|seeds: Seeds| (seeds.first, seeds.last));
            assert_eq!(parsed, wanted, "{text}");
        }
    }
}
