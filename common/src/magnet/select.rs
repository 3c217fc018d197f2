//! The file selection of BEP 53.

use std::fmt;

use crate::limits::SOURCES_MAX;

/// Numbers of files, counted from 0 in the order of the torrent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileSelection {
    /// Inclusive ranges in ascending order with a gap between each; not empty.
    ranges: Vec<(u32, u32)>,
}

impl FileSelection {
    /// Parses numbers and ranges such as `0,2,4-7`; `None` when the text is anything else or names too many ranges.
    pub fn parse(text: &str) -> Option<Self> {
        let mut ranges = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if first > last || ranges.len() == 10 * SOURCES_MAX {
                return None;
            }
            ranges.push((first, last));
        }
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::new();
        for (first, last) in ranges {
            match merged.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        Some(Self { ranges: merged })
    }

    /// Whether the file with this number is selected.
    pub fn contains(&self, file: usize) -> bool {
        let covers = |(first, last): &(u32, u32)| (*first as usize..=*last as usize).contains(&file);
        self.ranges.iter().any(covers)
    }
}

/// A plain number: digits only.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

impl fmt::Display for FileSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.ranges.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "," })?;
            if first == last { write!(f, "{first}")? } else { write!(f, "{first}-{last}")? }
        }
        Ok(())
    }
}
