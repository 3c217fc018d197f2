//! What the dashboard says of its torrent in one sentence.

use potluck_common::control::{TorrentRow, TorrentState};

use super::Dashboard;
use crate::{
    keymap::Action,
    model::place::Place,
    units::{BitsPerSecond, Bytes, PerSecond, Seconds, count, percent},
    view::text,
};

/// Cells that a name has before the sentence on the narrowest terminal.
const NAME_WIDTH_MIN: usize = 12;

/// How much attention a sentence deserves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    /// All is well.
    Plain,
    /// Something waits.
    Waiting,
    /// Something is wrong.
    Bad,
}

impl Dashboard {
    /// What the status line says: of what was just asked for, else why the selected torrent goes as it goes.
    pub fn sentence(&self) -> (Tone, String) {
        if self.is_lost {
            let quit = self.hint(Action::Quit, "; ", " quits");
            return (Tone::Bad, format!("the engine is gone, and nothing here moves any more{quit}"));
        }
        if let Some(notice) = &self.notice {
            return (if notice.is_bad { Tone::Bad } else { Tone::Plain }, notice.text.to_string());
        }
        if let Some(words) = self.pending.values().next_back() {
            return (Tone::Plain, format!("{words} {}", self.dots()));
        }
        let Some(session) = &self.state.session else {
            return (Tone::Waiting, format!("starting {}", self.dots()));
        };
        if let Some(trouble) = &session.trouble {
            return (Tone::Bad, trouble.to_string());
        }
        match self.selected() {
            Some(row) => {
                let (tone, sentence) = self.pace(row);
                (tone, format!("{}{sentence}", self.named(row)))
            }
            None if self.state.torrents.is_empty() => {
                let add = self.hint(Action::Add, "press ", " to add a torrent, or ");
                (Tone::Plain, format!("nothing here yet: {add}paste its URL"))
            }
            None => {
                let back = self.hint(Action::Back, "; ", " takes it away");
                (Tone::Waiting, format!("the filter shows nothing{back}"))
            }
        }
    }

    /// What a key of this screen does, between `start` and `end`; nothing where no key does it.
    pub fn hint(&self, action: Action, start: &str, end: &str) -> String {
        self.keymap.hint(self.screen_context(), action, start, end)
    }

    /// The name before the sentence, so short that the sentence is read; the screen of one torrent says it already.
    fn named(&self, row: &TorrentRow) -> String {
        if self.place == Place::Detail {
            return String::new();
        }
        let width = usize::from(self.size.0 / 4).max(NAME_WIDTH_MIN);
        format!("{}: ", text::fitted(row.summary.name.as_str(), width, self.dots()))
    }

    /// What stands for that it goes on.
    fn dots(&self) -> &'static str {
        if self.taste.ascii { "..." } else { "…" }
    }

    /// Why a torrent goes as it goes.
    fn pace(&self, row: &TorrentRow) -> (Tone, String) {
        let summary = &row.summary;
        if row.is_queued && matches!(summary.state, TorrentState::Failed(_) | TorrentState::Stopped) {
            return (Tone::Waiting, self.wait(row));
        }
        if let TorrentState::Failed(error) = &summary.state {
            return (Tone::Bad, error.message.to_string());
        }
        if row.is_paused {
            // Who stopped it may say so.
            let said = summary.stall.as_ref().filter(|_| summary.state == TorrentState::Stopped);
            let words = match said {
                Some(said) => format!("{said}{}", self.hint(Action::Pause, ": ", " goes on")),
                None => format!("paused{}", self.hint(Action::Pause, "; ", " goes on")),
            };
            return (Tone::Waiting, words);
        }
        if let Some(trouble) = &summary.trouble {
            return (Tone::Bad, trouble.message.to_string());
        }
        if let Some(why) = &summary.stall {
            return (Tone::Waiting, why.to_string());
        }
        let motion = self.motion(row);
        (Tone::Plain, summary.pace.as_ref().map_or(motion.clone(), |why| format!("{motion}; {why}")))
    }

    /// What a torrent in the queue waits for.
    fn wait(&self, row: &TorrentRow) -> String {
        let Some(session) = &self.state.session else { return "queued".to_owned() };
        let (max, what) = if row.is_complete() {
            (session.settings.seeds_max, "seed")
        } else {
            (session.settings.downloads_max, "download")
        };
        let Some(max) = max else { return "queued; it starts in a moment".to_owned() };
        let others = self.state.torrents.values().filter(|other| other.is_complete() == row.is_complete());
        let (waiting, rest): (Vec<_>, Vec<_>) = others.partition(|other| other.is_queued);
        let runs = |other: &&TorrentRow| {
            !other.is_paused
                && !matches!(other.summary.state, TorrentState::Failed(_) | TorrentState::Stopped)
        };
        let running = rest.into_iter().filter(runs).count();
        let before = waiting.iter().filter(|other| other.queue_place < row.queue_place).count();
        let next = match before {
            0 => "this is the next".to_owned(),
            before => format!("next after {}", count(before as u64, "other")),
        };
        let verb = if max == 1 { format!("{what} runs") } else { format!("{what}s run") };
        format!("queued: {running} of {max} {verb}, {next}")
    }

    fn motion(&self, row: &TorrentRow) -> String {
        let summary = &row.summary;
        let peers = u64::from(summary.seeds_connected + summary.leechers_connected);
        match &summary.state {
            TorrentState::Checking { total: 0, .. } => "looking at what is there".to_owned(),
            TorrentState::Checking { done, total } => {
                let share = percent(u64::from(*done), u64::from(*total));
                format!("checking what is there, {share} % of {}", count(u64::from(*total), "piece"))
            }
            TorrentState::Metadata { have, size: Some(size) } if *have > 0 => {
                format!("fetching the metadata, {} of {}", Bytes(*have), Bytes(*size))
            }
            TorrentState::Metadata { .. } => "looking for a peer that has the metadata".to_owned(),
            TorrentState::Downloading if peers == 0 => "looking for peers".to_owned(),
            TorrentState::Downloading if summary.down_rate == 0 => {
                format!("waiting for the first pieces of {}", count(peers, "peer"))
            }
            TorrentState::Downloading => {
                let left = summary.wanted_size.saturating_sub(summary.wanted_have);
                let eta = summary.eta_seconds.map_or(String::new(), |seconds| {
                    format!(", {} left in {}", Bytes(left), Seconds(seconds))
                });
                let rate = self.rate(summary.down_rate);
                format!("{rate} from {} of {}{eta}", summary.unchoked_by, count(peers, "peer"))
            }
            TorrentState::Seeding if peers == 0 => "complete; nobody is connected".to_owned(),
            TorrentState::Seeding if summary.unchoked == 0 => {
                format!("complete; nobody of {} wants anything at the moment", count(peers, "peer"))
            }
            TorrentState::Seeding => {
                let rate = self.rate(summary.up_rate);
                format!("complete; giving {rate} to {} of {}", summary.unchoked, count(peers, "peer"))
            }
            TorrentState::Stopping => "stopping".to_owned(),
            TorrentState::Stopped => format!("stopped{}", self.hint(Action::Pause, "; ", " starts it")),
            TorrentState::Failed(error) => error.message.to_string(),
        }
    }

    fn rate(&self, bytes: u64) -> String {
        if self.taste.bits { BitsPerSecond(bytes).to_string() } else { PerSecond(bytes).to_string() }
    }
}
