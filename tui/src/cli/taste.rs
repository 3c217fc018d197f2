//! How a person likes the dashboard, remembered from run to run.
//!
//! Options go before the environment, that before the configuration file, and that before what was chosen in the dashboard
//! the last time: what is written down holds. Only what somebody changed is remembered, so that two dashboards that end one
//! after the other keep what was changed in either.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _, Write as _},
    path::Path,
};

use potluck_common::control::HistoryRange;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::{args::LookArgs, config::DashboardConfig, output::Output};
use crate::{
    model::{
        arrange::Toggles,
        columns::{FileColumn, PeerColumn, Sort, TorrentColumn},
        dashboard::{Dashboard, Look},
        setting::Taste,
    },
    theme::ThemeName,
    view::panels::speed::range_name,
};

/// Within the folder of all state.
const FILE: &str = "dashboard.json";
/// No file of ours is longer.
const BYTES_MAX: u64 = 64 * 1024;
/// No terminal has more lines to give away.
const SPLIT_MAX: i16 = 500;

/// What options, the environment and the configuration say of the look.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Wishes {
    /// The colours.
    pub(super) theme: Option<ThemeName>,
    /// ASCII characters only, or others in any case.
    pub(super) ascii: Option<bool>,
    /// Rates in bits.
    pub(super) bits: Option<bool>,
    /// Locale or terminal show nothing but ASCII.
    pub(super) is_ascii_all_that_is_shown: bool,
}

impl Wishes {
    /// The command line and the environment go before the configuration.
    pub(super) fn of(look: LookArgs, config: DashboardConfig, output: &Output) -> Self {
        Self {
            theme: look.theme.or(config.theme),
            ascii: output.ascii_is_asked_for.then_some(true).or(config.ascii),
            bits: config.bits,
            is_ascii_all_that_is_shown: output.ascii,
        }
    }
}

/// How a list is sorted, by the name of the column.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct ChosenSort {
    by: String,
    descending: bool,
}

/// What was chosen in the dashboard; what was not follows wishes and surroundings.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Chosen {
    #[serde(skip_serializing_if = "Option::is_none")]
    theme: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ascii: Option<bool>,
    bits: bool,
    log: bool,
    /// Lines that the list of torrents has beyond the usual.
    split: i16,
    /// How far back graphs reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<String>,
    /// Panels that do not stand beside others.
    hidden: Vec<String>,
    /// Lists that are sorted otherwise than usual.
    sorts: BTreeMap<String, ChosenSort>,
    /// What another version knows beside.
    #[serde(flatten)]
    others: serde_json::Map<String, serde_json::Value>,
    /// There is a file that cannot be understood, which stays as it is.
    #[serde(skip)]
    is_unreadable: bool,
}

impl Chosen {
    /// What `folder` remembers. Where that cannot be read it is as if nothing had ever been chosen.
    pub(super) fn load(folder: Option<&Path>) -> Self {
        let unreadable = || Self { is_unreadable: true, ..Self::default() };
        match folder.map(|folder| read(&folder.join(FILE))) {
            Some(Ok(text)) => serde_json::from_slice(&text).unwrap_or_else(|_| unreadable()),
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => unreadable(),
            Some(Err(_)) | None => Self::default(),
        }
    }

    /// The look with what is wished, which goes before what was chosen; and that before what the surroundings can show. What
    /// is no column or range of this version is as it usually is.
    pub(super) fn look(&self, wishes: Wishes) -> Look {
        let chosen = || self.theme.as_deref().and_then(|name| name.parse().ok());
        let mut look = Dashboard::default().look();
        look.taste = Taste {
            theme: wishes.theme.or_else(chosen).unwrap_or_default(),
            ascii: wishes.ascii.or(self.ascii).unwrap_or(wishes.is_ascii_all_that_is_shown),
            bits: wishes.bits.unwrap_or(self.bits),
            log: self.log,
        };
        look.split = self.split.clamp(-SPLIT_MAX, SPLIT_MAX);
        let is_it = |range: &HistoryRange| Some(range_name(*range)) == self.range.as_deref();
        look.range = HistoryRange::ALL.into_iter().find(is_it).unwrap_or(look.range);
        for (name, is_shown) in look.toggles.named() {
            *is_shown = !self.hidden.iter().any(|hidden| hidden == name);
        }
        look.torrent_sort = self.sort("torrents", TorrentColumn::named).unwrap_or(look.torrent_sort);
        look.file_sort = self.sort("files", FileColumn::named).or(look.file_sort);
        for (place, name) in ["peers", "all_peers"].into_iter().enumerate() {
            look.peer_sorts[place] = self.sort(name, PeerColumn::named).unwrap_or(look.peer_sorts[place]);
        }
        look
    }

    fn sort<C: Copy + PartialEq>(&self, list: &str, named: fn(&str) -> Option<C>) -> Option<Sort<C>> {
        let sort = self.sorts.get(list)?;
        Some(Sort::by(named(&sort.by)?, sort.descending))
    }

    /// Takes in what a person changed, from what it was `before` to what it is `after`: a wish is for one run.
    fn note(&mut self, before: Look, after: Look) {
        let (old, new) = (before.taste, after.taste);
        if new.theme != old.theme {
            self.theme = Some(new.theme.name().to_owned());
        }
        if new.ascii != old.ascii {
            self.ascii = Some(new.ascii);
        }
        take_change(&mut self.bits, old.bits, new.bits);
        take_change(&mut self.log, old.log, new.log);
        take_change(&mut self.split, before.split, after.split);
        if after.range != before.range {
            self.range = Some(range_name(after.range).to_owned());
        }
        self.note_toggles(before.toggles, after.toggles);
        let column = |sort: Sort<TorrentColumn>| (sort.column.name(), sort.descending);
        self.note_sort("torrents", Some(column(before.torrent_sort)), Some(column(after.torrent_sort)));
        let column = |sort: Sort<FileColumn>| (sort.column.name(), sort.descending);
        self.note_sort("files", before.file_sort.map(column), after.file_sort.map(column));
        let column = |sort: Sort<PeerColumn>| Some((sort.column.name(), sort.descending));
        for (place, name) in ["peers", "all_peers"].into_iter().enumerate() {
            self.note_sort(name, column(before.peer_sorts[place]), column(after.peer_sorts[place]));
        }
    }

    /// Those that were neither hidden nor shown again are as the file says, which another run may have changed.
    fn note_toggles(&mut self, mut before: Toggles, mut after: Toggles) {
        for ((name, was_shown), (_, is_shown)) in before.named().into_iter().zip(after.named()) {
            if *was_shown != *is_shown {
                self.hidden.retain(|hidden| hidden != name);
                if !*is_shown {
                    self.hidden.push(name.to_owned());
                }
            }
        }
    }

    fn note_sort(&mut self, list: &str, before: Option<(&str, bool)>, after: Option<(&str, bool)>) {
        if let Some((by, descending)) = after.filter(|_| before != after) {
            self.sorts.insert(list.to_owned(), ChosenSort { by: by.to_owned(), descending });
        }
    }

    /// Keeps it in `folder`, whole or as it was.
    fn save(&self, folder: &Path) -> io::Result<()> {
        if self.is_unreadable {
            let path = folder.join(FILE);
            let words = format!("{} cannot be read, and stays as it is: remove it", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, words));
        }
        let mut file = NamedTempFile::new_in(folder)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.as_file().sync_all()?;
        file.persist(folder.join(FILE))?;
        Ok(())
    }
}

fn take_change<T: Copy + PartialEq>(kept: &mut T, before: T, after: T) {
    if before != after {
        *kept = after;
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// Remembers in `folder` what was changed between `before` and `after`, whatever others have remembered meanwhile.
pub(super) fn remember(folder: &Path, before: Look, after: Look) -> io::Result<()> {
    if before == after {
        return Ok(());
    }
    let mut chosen = Chosen::load(Some(folder));
    chosen.note(before, after);
    chosen.save(folder)
}

#[cfg(test)]
mod tests;
