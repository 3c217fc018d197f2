//! What happened: which of it is shown, and in words.

use potluck_common::control::{Event, EventKind};

use super::Dashboard;
use crate::{
    date,
    model::{filter::Filter, place::List},
    view::panels::events::words,
};

impl Dashboard {
    /// The events of a list that are shown, the oldest first.
    pub fn shown_events(&self, list: List) -> Vec<&Event> {
        let of = (list == List::Log).then(|| self.selected().map(|row| row.summary.info_hash)).flatten();
        let everything = Filter::default();
        let filter = self.filters.get(&list).unwrap_or(&everything);
        let mut sieve = filter.sieve();
        (self.state.events.iter())
            .filter(|event| of.is_none_or(|info_hash| event.info_hash == info_hash))
            .filter(|event| self.shows(event))
            .filter(|event| filter.is_empty() || sieve.holds_text(&self.told(event)))
            .collect()
    }

    /// An event in words, with the name of its torrent.
    pub fn told(&self, event: &Event) -> String {
        let name = self.state.torrents.get(&event.info_hash).map(|row| row.summary.name.as_str());
        format!("{}: {}", name.unwrap_or("a torrent that is gone"), words(&event.kind))
    }

    /// When the engine started, in seconds since 1970 (UTC); events count from there.
    pub fn started_at(&self) -> f64 {
        self.state.session.as_ref().map_or(0.0, |session| session.started_at)
    }

    /// What a list of events shows, a line each, for a file.
    pub fn events_as_text(&self, list: List) -> String {
        let mut text = String::new();
        for event in self.shown_events(list) {
            let at = (self.started_at() + event.at) as i64;
            let local = at.saturating_add(self.zone.ahead_seconds(at));
            let level = format!("{:?}", event.kind.level()).to_uppercase();
            let (day, clock) = (date::day(local).unwrap_or_default(), date::clock(local));
            let line = format!("{day} {clock} {} {level:<5} {}\n", self.zone.offset(at), self.told(event));
            text.push_str(&line);
        }
        text
    }

    /// Whether an event is shown.
    fn shows(&self, event: &Event) -> bool {
        match (&event.kind, self.chokes_only) {
            (EventKind::Decision(_), true) => true,
            (_, true) => false,
            (kind, false) => kind.level() >= self.level,
        }
    }
}
