//! Which entries of a list are shown: fuzzy words, and terms such as `state:seed ratio>2 label:x`.

use nucleo_matcher::{
    Config, Matcher, Utf32Str,
    pattern::{CaseMatching, Normalization, Pattern},
};
use potluck_common::control::{TorrentRow, TorrentState};

use crate::{
    model::order::moves,
    units::{parse_rate, parse_size},
};

/// What a person typed, and what it means.
#[derive(Clone, Default, Debug)]
pub struct Filter {
    text: String,
    terms: Vec<Term>,
    words: Option<Pattern>,
    /// Parts of a text, in small letters.
    parts: Vec<String>,
    trouble: Option<String>,
}

/// A condition on a torrent.
#[derive(Clone, PartialEq, Debug)]
enum Term {
    State(StateWord),
    /// Part of a label, in small letters.
    Label(String),
    Private(bool),
    Compare(Figure, Comparison, f64),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum StateWord {
    Active,
    Checking,
    Downloading,
    Failed,
    Paused,
    Queued,
    Seeding,
    Stalled,
}

const STATE_WORDS: [(&str, StateWord); 8] = [
    ("active", StateWord::Active),
    ("checking", StateWord::Checking),
    ("downloading", StateWord::Downloading),
    ("failed", StateWord::Failed),
    ("paused", StateWord::Paused),
    ("queued", StateWord::Queued),
    ("seeding", StateWord::Seeding),
    ("stalled", StateWord::Stalled),
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Figure {
    Ratio,
    Size,
    Done,
    Down,
    Up,
    Peers,
    Seeds,
    Copies,
}

const FIGURES: [(&str, Figure); 8] = [
    ("ratio", Figure::Ratio),
    ("size", Figure::Size),
    ("done", Figure::Done),
    ("down", Figure::Down),
    ("up", Figure::Up),
    ("peers", Figure::Peers),
    ("seeds", Figure::Seeds),
    ("copies", Figure::Copies),
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Comparison {
    Above,
    AtLeast,
    Equal,
    AtMost,
    Below,
}

/// The longer ones first, so that `>=` is not read as `>`.
const COMPARISONS: [(&str, Comparison); 5] = [
    (">=", Comparison::AtLeast),
    ("<=", Comparison::AtMost),
    (">", Comparison::Above),
    ("<", Comparison::Below),
    ("=", Comparison::Equal),
];

impl Filter {
    /// Reads words and terms. Those that make no sense are left out, and [`Filter::trouble`] says why.
    pub fn of_torrents(text: &str) -> Self {
        let mut filter = Self { text: text.to_owned(), ..Self::default() };
        let mut words = Vec::new();
        for word in text.split_whitespace() {
            match term(word) {
                Some(Ok(term)) => filter.terms.push(term),
                Some(Err(trouble)) => filter.trouble = Some(trouble),
                None => words.push(word),
            }
        }
        filter.words = pattern(&words.join(" "));
        filter
    }

    /// Reads words only.
    pub fn of_words(text: &str) -> Self {
        Self { text: text.to_owned(), words: pattern(text), ..Self::default() }
    }

    /// Reads words that stand in a text as they are: in a sentence nearly any letters follow each other somewhere.
    pub fn of_text(text: &str) -> Self {
        let parts = text.split_whitespace().map(str::to_lowercase).collect();
        Self { text: text.to_owned(), parts, ..Self::default() }
    }

    /// What was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Everything is shown.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty() && self.words.is_none() && self.parts.is_empty()
    }

    /// What of it makes no sense, in one sentence.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Something that compares many entries with it.
    pub fn sieve(&self) -> Sieve<'_> {
        let matcher = self.words.is_some().then(|| Matcher::new(Config::DEFAULT));
        Sieve { filter: self, matcher, buffer: Vec::new() }
    }
}

/// A filter at work.
pub struct Sieve<'a> {
    filter: &'a Filter,
    matcher: Option<Matcher>,
    buffer: Vec<char>,
}

impl Sieve<'_> {
    /// Whether a torrent is shown.
    pub fn holds(&mut self, row: &TorrentRow) -> bool {
        self.filter.terms.iter().all(|term| term.holds(row)) && self.holds_text(row.summary.name.as_str())
    }

    /// Whether the words are found in `text`.
    pub fn holds_text(&mut self, text: &str) -> bool {
        if !self.filter.parts.is_empty() {
            let text = text.to_lowercase();
            return self.filter.parts.iter().all(|part| text.contains(part));
        }
        let (Some(words), Some(matcher)) = (&self.filter.words, &mut self.matcher) else { return true };
        words.score(Utf32Str::new(text, &mut self.buffer), matcher).is_some()
    }
}

fn pattern(words: &str) -> Option<Pattern> {
    let pattern = Pattern::parse(words, CaseMatching::Ignore, Normalization::Smart);
    (!pattern.atoms.is_empty()).then_some(pattern)
}

/// A term, or why it is none; `None` for a word.
fn term(word: &str) -> Option<Result<Term, String>> {
    if let Some((name, value)) = word.split_once(':') {
        return named(name, value);
    }
    let (at, sign, comparison) = (COMPARISONS.iter())
        .filter_map(|(sign, comparison)| Some((word.find(sign)?, *sign, *comparison)))
        .min_by_key(|(at, sign, _)| (*at, 2 - sign.len()))?;
    let (name, value) = (&word[..at], &word[at + sign.len()..]);
    let Some((_, figure)) = FIGURES.iter().find(|(known, _)| *known == name) else {
        let known: Vec<&str> = FIGURES.iter().map(|(name, _)| *name).collect();
        return Some(Err(format!("{name:?} cannot be compared; {} can", known.join(", "))));
    };
    Some(
        number(*figure, value)
            .map(|number| Term::Compare(*figure, comparison, number))
            .ok_or_else(|| format!("{word:?} makes no sense; write {name}{sign}{}", example(*figure))),
    )
}

fn named(name: &str, value: &str) -> Option<Result<Term, String>> {
    let value = value.to_lowercase();
    match name {
        "state" => {
            let found = STATE_WORDS.iter().find(|(word, _)| !value.is_empty() && word.starts_with(&value));
            let known: Vec<&str> = STATE_WORDS.iter().map(|(word, _)| *word).collect();
            Some(
                found
                    .map(|(_, state)| Term::State(*state))
                    .ok_or_else(|| format!("there is no state {value:?}; write {}", known.join(", "))),
            )
        }
        "label" => Some(Ok(Term::Label(value))),
        "private" => match value.as_str() {
            "yes" | "no" => Some(Ok(Term::Private(value == "yes"))),
            _ => Some(Err("write private:yes or private:no".to_owned())),
        },
        // A name may hold a colon.
        _ if value.is_empty() || name.is_empty() => None,
        _ => Some(Err(format!("{name:?} is not known before a colon; state, label and private are"))),
    }
}

fn number(figure: Figure, value: &str) -> Option<f64> {
    match figure {
        Figure::Size => parse_size(value).ok().map(|bytes| bytes as f64),
        Figure::Down | Figure::Up => parse_rate(value).ok().map(|rate| rate.0.unwrap_or(0) as f64),
        _ => value.trim_end_matches('%').parse::<f64>().ok().filter(|number| number.is_finite()),
    }
}

fn example(figure: Figure) -> &'static str {
    match figure {
        Figure::Ratio => "1.5",
        Figure::Size => "2G",
        Figure::Done => "50",
        Figure::Down | Figure::Up => "100k",
        Figure::Peers | Figure::Seeds | Figure::Copies => "1",
    }
}

impl Term {
    fn holds(&self, row: &TorrentRow) -> bool {
        match self {
            Self::State(word) => word.holds(row),
            Self::Label(part) => row.labels.iter().any(|label| label.as_str().to_lowercase().contains(part)),
            Self::Private(wanted) => row.is_private == *wanted,
            Self::Compare(figure, comparison, number) => comparison.holds(figure.of(row), *number),
        }
    }
}

impl StateWord {
    fn holds(self, row: &TorrentRow) -> bool {
        let summary = &row.summary;
        match self {
            Self::Active => moves(row),
            Self::Checking => matches!(summary.state, TorrentState::Checking { .. }),
            Self::Downloading => summary.state == TorrentState::Downloading,
            Self::Failed => matches!(summary.state, TorrentState::Failed(_)) && !row.is_queued,
            Self::Paused => row.is_paused,
            Self::Queued => row.is_queued,
            Self::Seeding => summary.state == TorrentState::Seeding,
            Self::Stalled => summary.stall.is_some() || summary.trouble.is_some(),
        }
    }
}

impl Figure {
    fn of(self, row: &TorrentRow) -> f64 {
        let summary = &row.summary;
        match self {
            Self::Ratio => row.ratio(),
            Self::Size => summary.wanted_size as f64,
            Self::Done => summary.wanted_have as f64 * 100.0 / summary.wanted_size.max(1) as f64,
            Self::Down => summary.down_rate as f64,
            Self::Up => summary.up_rate as f64,
            Self::Peers => f64::from(summary.seeds_connected + summary.leechers_connected),
            Self::Seeds => f64::from(summary.seeds_connected),
            Self::Copies => f64::from(summary.distributed_copies),
        }
    }
}

impl Comparison {
    fn holds(self, figure: f64, number: f64) -> bool {
        match self {
            Self::Above => figure > number,
            Self::AtLeast => figure >= number,
            // Figures are shown with two decimals.
            Self::Equal => (figure - number).abs() < 0.005,
            Self::AtMost => figure <= number,
            Self::Below => figure < number,
        }
    }
}
