//! Which files of a torrent are wanted: patterns and numbers.

use globset::GlobBuilder;
use potluck_common::metainfo::Metainfo;

use super::exit::{Exit, Failure, Outcome};

/// A file that can be selected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    /// Its number for people, from 1.
    pub number: usize,
    /// Its index among all files of the torrent, padding included.
    pub index: usize,
    /// Its path below the download folder.
    pub path: String,
    /// Its length in bytes.
    pub length: u64,
}

/// The files of `metainfo` that come to lie on the disk.
pub fn choices(metainfo: &Metainfo) -> Vec<Choice> {
    let on_disk = metainfo.files().iter().enumerate().filter(|(_, file)| file.is_on_disk());
    on_disk
        .enumerate()
        .map(|(place, (index, file))| Choice {
            number: place + 1,
            index,
            path: file.path.to_string(),
            length: file.length,
        })
        .collect()
}

/// The indices that `patterns` select, in order; `None` without patterns: all of them.
///
/// A pattern is a number, a range of numbers (`2-5`), or a glob without regard to case that is tried on the whole
/// path, on the path below the torrent's own folder, and on the file's name.
pub fn select(patterns: &[String], choices: &[Choice]) -> Outcome<Option<Vec<usize>>> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let mut wanted = vec![false; choices.len()];
    for pattern in patterns {
        let matches = matcher(pattern)?;
        let mut found = false;
        for (choice, wanted) in choices.iter().zip(&mut wanted) {
            if matches(choice) {
                found = true;
                *wanted = true;
            }
        }
        if !found {
            let what = format!("no file of the torrent matches (it has {})", choices.len());
            return Err(Failure::new(Exit::NotFound, pattern, what, "--list shows the files"));
        }
    }
    let indices = choices.iter().zip(wanted).filter(|(_, wanted)| *wanted).map(|(choice, _)| choice.index);
    Ok(Some(indices.collect()))
}

type Matcher = Box<dyn Fn(&Choice) -> bool>;

fn matcher(pattern: &str) -> Outcome<Matcher> {
    if let Some((low, high)) = numbers(pattern) {
        return Ok(Box::new(move |choice| (low..=high).contains(&choice.number)));
    }
    let glob = GlobBuilder::new(pattern).case_insensitive(true).build().map_err(|error| {
        Failure::new(
            Exit::Usage,
            pattern,
            format!("bad pattern: {}", error.kind()),
            "quote special characters",
        )
    })?;
    let glob = glob.compile_matcher();
    Ok(Box::new(move |choice| {
        let below = choice.path.split_once('/').map_or("", |(_, below)| below);
        let name = choice.path.rsplit('/').next().unwrap_or_default();
        [choice.path.as_str(), below, name].into_iter().any(|text| !text.is_empty() && glob.is_match(text))
    }))
}

fn numbers(pattern: &str) -> Option<(usize, usize)> {
    let (low, high) = pattern.split_once('-').unwrap_or((pattern, pattern));
    Some((low.parse().ok()?, high.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case<'a> = (&'a [&'a str], Result<&'a [usize], Exit>);

    #[test]
    fn patterns_and_numbers_select() {
        let paths = ["album/01 Intro.flac", "album/02 Song.FLAC", "album/art/cover.jpg", "album/notes.txt"];
        let choices: Vec<Choice> = (paths.iter().enumerate())
            .map(|(place, path)| Choice {
                number: place + 1,
                // There is padding before each.
                index: place * 2 + 1,
                path: (*path).to_owned(),
                length: 1,
            })
            .collect();
        let cases: [Case<'_>; 10] = [
            (&["*.flac"], Ok(&[1, 3])),
            (&["3"], Ok(&[5])),
            (&["2-3"], Ok(&[3, 5])),
            (&["notes.txt", "1"], Ok(&[1, 7])),
            (&["art/*"], Ok(&[5])),
            (&["album/*"], Ok(&[1, 3, 5, 7])),
            (&["*.mp3"], Err(Exit::NotFound)),
            (&["*.flac", "9"], Err(Exit::NotFound)),
            (&["0"], Err(Exit::NotFound)),
            (&["[a"], Err(Exit::Usage)),
        ];
        for (patterns, wanted) in cases {
            let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
            let selected = select(&patterns, &choices).map_err(|failure| failure.exit);
            assert_eq!(selected, wanted.map(|indices| Some(indices.to_vec())), "{patterns:?}");
        }
        assert_eq!(select(&[], &choices), Ok(None));
    }
}
