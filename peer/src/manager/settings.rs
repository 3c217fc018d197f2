//! The settings, and the state of the whole engine.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use potluck_common::{
    InfoHash, Printable,
    control::{CommandError, CommandErrorKind, Limits, SessionSnapshot, SettingsChange},
};
use potluck_core::slots::SLOTS_MAX;
use tokio::time::Instant;

use super::{
    list::{List, Message},
    tickets::{Answer, Asker, refusal},
};

/// Space is looked at as often as this while something moves, and each minute else.
const SPACE_EVERY: Duration = Duration::from_secs(5);

impl List {
    /// Has the engine work as the settings say.
    pub(super) fn apply_settings(&self) {
        let limits = if self.settings.is_slow { self.settings.slow_limits } else { self.settings.limits };
        self.engine.set_limits(limits);
        self.engine.set_slots(self.settings.slots);
    }

    /// New torrents shall go to a folder: it is looked at first, elsewhere, as a disk may take its time.
    pub(super) fn choose_folder(&mut self, asker: Asker, folder: PathBuf) {
        self.folder_asked += 1;
        let (number, sender) = (self.folder_asked, self.sender.clone());
        tokio::spawn(async move {
            let _ = sender.send(Message::Folder(asker, number, looked_at(folder).await));
        });
    }

    pub(super) fn folder_looked_at(
        &mut self,
        asker: Asker,
        number: u64,
        folder: Result<PathBuf, CommandError>,
    ) {
        let answer = if number < self.folder_settled {
            Err(refusal(CommandErrorKind::Invalid, "another folder was chosen meanwhile"))
        } else {
            self.folder_settled = number;
            folder.and_then(|folder| self.change_settings(SettingsChange::Directory(folder)))
        };
        self.answer(asker, answer);
        if self.folder_settled == self.folder_asked {
            for (asker, add) in std::mem::take(&mut self.adds_waiting) {
                self.add(asker, add);
            }
        }
    }

    /// Changes a setting; a folder was looked at before.
    pub(super) fn change_settings(&mut self, change: SettingsChange) -> Answer {
        let words = match change {
            SettingsChange::Directory(directory) => {
                let words = format!("new torrents go to {}", directory.display());
                self.settings.directory = directory;
                self.space_looked_at = None;
                words
            }
            SettingsChange::Limits(limits) => {
                self.settings.limits = usable_limits(limits)?;
                "changed the limits of all torrents together".into()
            }
            SettingsChange::SlowLimits(limits) => {
                self.settings.slow_limits = usable_limits(limits)?;
                "changed the slow limits".into()
            }
            SettingsChange::Slow(is_slow) => {
                self.settings.is_slow = is_slow;
                if is_slow { "the slow limits hold" } else { "the usual limits hold" }.into()
            }
            SettingsChange::Slots(slots) => {
                if slots.is_some_and(|slots| !(1..=SLOTS_MAX).contains(&slots)) {
                    let error =
                        format!("there are 1 to {SLOTS_MAX} upload slots, or as many as the uplink carries");
                    return Err(refusal(CommandErrorKind::Invalid, &error));
                }
                self.settings.slots = slots;
                "changed the upload slots".into()
            }
            SettingsChange::RatioGoal(goal) => {
                if goal.is_some_and(|goal| !goal.is_finite() || goal <= 0.0) {
                    let error = "a ratio goal is a number above 0, such as 1.5";
                    return Err(refusal(CommandErrorKind::Invalid, error));
                }
                self.settings.ratio_goal = goal;
                self.goal_changed();
                goal.map_or("torrents seed without a goal".into(), |goal| {
                    format!("torrents stop at a ratio of {goal}")
                })
            }
            SettingsChange::AddsPaused(adds_paused) => {
                self.settings.adds_paused = adds_paused;
                if adds_paused { "new torrents wait to be started" } else { "new torrents start at once" }
                    .into()
            }
            SettingsChange::DownloadsMax(max) => {
                self.settings.downloads_max = usable_maximum(max)?;
                at_a_time(max, "download")
            }
            SettingsChange::SeedsMax(max) => {
                self.settings.seeds_max = usable_maximum(max)?;
                at_a_time(max, "seed")
            }
        };
        self.apply_settings();
        self.queue_changed();
        self.is_stirred = true;
        self.save_session();
        Ok(Printable::new(&words))
    }

    fn goal_changed(&mut self) {
        let all: Vec<InfoHash> = self.entries.keys().copied().collect();
        for info_hash in all {
            if let Some(entry) = self.entries.get_mut(&info_hash) {
                entry.is_unsaved |= std::mem::take(&mut entry.record.is_exempt);
            }
            self.save_soon(info_hash);
            self.stop_at_goal(info_hash);
        }
    }

    /// The state of all torrents together.
    pub(super) fn session(&mut self) -> SessionSnapshot {
        self.look_at_space();
        let status = self.engine.status();
        let elapsed = self.clock.elapsed();
        SessionSnapshot {
            version: Printable::new(concat!("Potluck ", env!("CARGO_PKG_VERSION"))),
            started_at: (self.clock.began().as_secs_f64()
                - self.engine.now().since(potluck_common::Instant::ZERO).as_secs_f64()
                + elapsed.as_secs_f64())
            .round(),
            // Whole minutes, so that an idle engine has nothing to tell for as long.
            uptime_seconds: elapsed.as_secs() / 60 * 60,
            listen: status.listen,
            down_rate: self.sums.down_rate,
            up_rate: self.sums.up_rate,
            downloaded: self.sums.downloaded,
            uploaded: self.sums.uploaded,
            downloaded_ever: self.sums.downloaded_ever,
            uploaded_ever: self.sums.uploaded_ever,
            connections: status.connections as u32,
            connections_max: status.connections_max as u32,
            dht: status.dht,
            port: status.port,
            free_space: self.free_space,
            slots: status.slots,
            settings: self.settings.clone(),
            trouble: self.write_trouble.clone().or_else(|| self.trouble.clone()),
        }
    }

    fn look_at_space(&mut self) {
        let now = Instant::now();
        let directory = &self.settings.directory;
        // A disk that does not answer keeps one thread waiting, and not one more each time.
        let is_looking = self.looking_at.as_ref() == Some(directory);
        if is_looking || self.space_looked_at.is_some_and(|at| now < at + SPACE_EVERY) {
            return;
        }
        self.space_looked_at = Some(now);
        self.looking_at = Some(directory.clone());
        let (directory, sender) = (directory.clone(), self.sender.clone());
        tokio::task::spawn_blocking(move || {
            let space = crate::disk::free_space(&directory);
            sender.send(Message::Space(directory, space))
        });
    }

    pub(super) fn space_is(&mut self, directory: &Path, space: Option<u64>) {
        if self.looking_at.take_if(|looking_at| looking_at == directory).is_none() {
            return;
        }
        // Others write as well; what nobody would see is not told.
        let is_near = |old: u64, new: u64| old.abs_diff(new) <= old / 1_000;
        let is_same = match (self.free_space, space) {
            (Some(old), Some(new)) => is_near(old, new),
            (old, new) => old == new,
        };
        if !is_same {
            self.free_space = space;
            self.is_stirred = true;
        }
    }
}

/// The absolute path of a folder that somebody named.
pub(super) async fn looked_at(folder: PathBuf) -> Result<PathBuf, CommandError> {
    let defect = "looking at the folder failed unexpectedly; please report this";
    let found = tokio::task::spawn_blocking(move || usable_folder(&folder)).await;
    found.unwrap_or_else(|_| Err(refusal(CommandErrorKind::Internal, defect)))
}

/// The folder to begin with: `wanted`, or one that can be used, and then why. Blocks.
pub(super) fn first_folder(wanted: &Path) -> (PathBuf, Option<String>) {
    let error = match usable_folder(wanted) {
        Ok(folder) => return (folder, None),
        Err(error) => error.message,
    };
    let usable = std::env::home_dir().and_then(|home| usable_folder(&home).ok());
    let folder = usable.unwrap_or_else(std::env::temp_dir);
    let told = format!("new torrents go to {}: {error}", folder.display());
    (folder, Some(told))
}

/// The absolute path of a folder that somebody named. Blocks.
fn usable_folder(folder: &Path) -> Result<PathBuf, CommandError> {
    let shown = Printable::new(&folder.to_string_lossy());
    let invalid = |why: &str| refusal(CommandErrorKind::Invalid, why);
    if folder.as_os_str().is_empty() {
        return Err(invalid("no folder is named; give one"));
    }
    if folder.to_str().is_none() {
        return Err(invalid(&format!("the name of the folder {shown} is no UTF-8; choose another folder")));
    }
    if folder.exists() && !folder.is_dir() {
        return Err(invalid(&format!("{shown} is no folder; choose another one")));
    }
    std::path::absolute(folder).map_err(|error| invalid(&format!("{shown} cannot be used: {error}")))
}

/// Limits that let something through.
pub(super) fn usable_limits(limits: Limits) -> Result<Limits, CommandError> {
    let error = "a limit of 0 would stop everything; pause the torrents instead, or give a limit above 0";
    if [limits.down, limits.up].contains(&Some(0)) {
        return Err(refusal(CommandErrorKind::Invalid, error));
    }
    Ok(limits)
}

/// How many torrents run at a time, if that is limited.
fn usable_maximum(max: Option<u32>) -> Result<Option<u32>, CommandError> {
    let error = "at least one torrent must run at a time; pause the others instead, or give no limit";
    if max == Some(0) {
        return Err(refusal(CommandErrorKind::Invalid, error));
    }
    Ok(max)
}

fn at_a_time(max: Option<u32>, verb: &str) -> String {
    match max {
        None => format!("all torrents {verb} at once"),
        Some(1) => format!("one torrent {verb}s at a time"),
        Some(max) => format!("{max} torrents {verb} at a time"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_used_has_another_in_its_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), "").expect("written");
        for usable in ["", "new"] {
            let (found, told) = first_folder(&path(usable));
            assert_eq!((found, told), (path(usable), None));
        }
        let mut bad = vec![path("file"), PathBuf::new()];
        #[cfg(unix)]
        bad.push(PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(vec![
            b'/', 0xff,
        ])));
        for wanted in bad {
            let (found, told) = first_folder(&wanted);
            assert!(usable_folder(&found).is_ok(), "{}", found.display());
            let told = told.expect("it is said");
            assert!(told.starts_with("new torrents go to "), "{told}");
        }
    }
}
