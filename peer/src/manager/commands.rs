//! Carries out what user interfaces ask for.

use std::collections::BTreeSet;

use potluck_common::{
    InfoHash, Printable,
    control::{Command, CommandError, CommandErrorKind, FilePriority, Limits, SettingsChange},
};

use super::{
    entry::Entry,
    jobs::Job,
    list::List,
    settings::usable_limits,
    starting::priorities_of,
    tickets::{Asker, TicketId, refusal},
};

impl List {
    /// Carries out a command, or begins to; it is answered when it is done.
    pub(super) fn carry_out(&mut self, asker: Asker, command: Command) {
        match command {
            Command::Add(add) => self.add(asker, add),
            Command::Pause(torrents) => {
                self.for_each(asker, "paused", torrents, |list, info_hash, ticket| {
                    if list.queue_job(info_hash, Job::Stop, Some(ticket)) {
                        list.want(info_hash, true);
                        list.next_job(info_hash);
                    }
                });
            }
            Command::Start(torrents) => {
                self.for_each(asker, "started", torrents, |list, info_hash, ticket| {
                    if list.queue_job(info_hash, Job::Start, Some(ticket)) {
                        list.want(info_hash, false);
                        list.next_job(info_hash);
                    }
                });
            }
            Command::Remove { torrents, data } => {
                self.for_each(asker, "removed", torrents, |list, info_hash, ticket| {
                    list.give_job(info_hash, Job::Remove { data }, Some(ticket));
                });
            }
            Command::Verify(torrents) => {
                self.for_each(asker, "began to verify", torrents, List::verify);
            }
            Command::Reannounce(torrents) => {
                self.at_once(asker, "asked the trackers of", torrents, List::reannounce);
            }
            Command::SetLimits { torrents, limits } => match usable_limits(limits) {
                Ok(limits) => self.at_once(asker, "limited", torrents, |list, info_hash| {
                    list.limit(info_hash, limits);
                    Ok(())
                }),
                Err(error) => self.answer(asker, Err(error)),
            },
            Command::SetLabels { torrents, labels } => match usable_labels(&labels) {
                Ok(labels) => self.at_once(asker, "labelled", torrents, |list, info_hash| {
                    list.change(info_hash, |entry| entry.record.labels.clone_from(&labels));
                    Ok(())
                }),
                Err(error) => self.answer(asker, Err(error)),
            },
            Command::SetFiles { torrent, files, priority } => {
                self.at_once(asker, "changed the files of", vec![torrent], |list, info_hash| {
                    list.set_files(info_hash, &files, priority)
                });
            }
            Command::AddPeer { torrent, address } => {
                self.at_once(asker, "told of a peer:", vec![torrent], |list, info_hash| {
                    let entry = list.entries.get(&info_hash);
                    let run = entry.and_then(|entry| entry.run.as_ref());
                    let name = entry.map(Entry::name).cloned().unwrap_or_default();
                    let run = run.ok_or_else(|| not_running(&name))?;
                    run.handle.add_peer(address);
                    Ok(())
                });
            }
            Command::Queue { torrents, to } => {
                self.move_in_queue(&torrents.iter().copied().collect(), to);
                self.at_once(asker, "moved in the queue:", torrents, |_, _| Ok(()));
            }
            Command::Set(SettingsChange::Directory(folder)) => self.choose_folder(asker, folder),
            Command::Set(change) => {
                let answer = self.change_settings(change);
                self.answer(asker, answer);
            }
        }
    }

    /// Begins something with each torrent that there is; who asked is answered when the last is done.
    fn for_each(
        &mut self,
        asker: Asker,
        verb: &'static str,
        torrents: Vec<InfoHash>,
        begin: impl Fn(&mut Self, InfoHash, TicketId),
    ) {
        let torrents: BTreeSet<InfoHash> = torrents.into_iter().collect();
        if torrents.is_empty() {
            return self.answer(asker, Err(refusal(CommandErrorKind::Invalid, "no torrent is named")));
        }
        let ticket = self.tickets.open(asker, verb, torrents.len());
        for info_hash in torrents {
            if self.entries.contains_key(&info_hash) {
                begin(self, info_hash, ticket);
            } else {
                self.settle(Some(ticket), Err(unknown(info_hash)));
            }
        }
    }

    /// Has the payload of a torrent checked, where it is known what that is.
    fn verify(&mut self, info_hash: InfoHash, ticket: TicketId) {
        let Some(entry) = self.entries.get(&info_hash) else { return };
        if entry.record.magnet.is_none() {
            return self.give_job(info_hash, Job::Check, Some(ticket));
        }
        let message = format!(
            "{} waits for its metadata: there is nothing to verify yet; start it to have that fetched",
            entry.name()
        );
        self.settle(Some(ticket), Err(refusal(CommandErrorKind::Invalid, &message)));
    }

    /// Does something that takes no time with each torrent that there is.
    fn at_once(
        &mut self,
        asker: Asker,
        verb: &'static str,
        torrents: Vec<InfoHash>,
        change: impl Fn(&mut Self, InfoHash) -> Result<(), CommandError>,
    ) {
        self.for_each(asker, verb, torrents, |list, info_hash, ticket| {
            let name = list.entries.get(&info_hash).map(|entry| entry.name().to_string()).unwrap_or_default();
            let outcome = change(list, info_hash).map(|()| name);
            list.settle(Some(ticket), outcome);
        });
    }

    /// Changes what is kept of a torrent, shows it, and writes it down.
    fn change(&mut self, info_hash: InfoHash, change: impl FnOnce(&mut Entry)) {
        let Some(entry) = self.entries.get_mut(&info_hash) else { return };
        let before = entry.record.clone();
        change(entry);
        if entry.record != before {
            entry.is_unsaved = true;
            self.show(info_hash, None);
            self.save_soon(info_hash);
        }
    }

    /// A person wants a torrent to run, or not to.
    fn want(&mut self, info_hash: InfoHash, is_paused: bool) {
        let goal = self.settings.ratio_goal.map_or(f64::INFINITY, f64::from);
        let is_beyond = self.rows.get(&info_hash).is_some_and(|row| row.ratio() >= goal);
        self.change(info_hash, |entry| {
            entry.record.is_paused = is_paused;
            entry.record.is_exempt = !is_paused && is_beyond;
            entry.is_queued &= !is_paused;
        });
        if !is_paused {
            self.enqueue(info_hash);
        }
    }

    fn limit(&mut self, info_hash: InfoHash, limits: Limits) {
        self.change(info_hash, |entry| {
            entry.record.limits = limits;
            if let Some(run) = &entry.run {
                run.handle.set_limits(limits);
            }
        });
    }

    fn set_files(
        &mut self,
        info_hash: InfoHash,
        files: &[u32],
        priority: FilePriority,
    ) -> Result<(), CommandError> {
        let Some(entry) = self.entries.get(&info_hash) else { return Err(unknown(info_hash)) };
        let record = &entry.record;
        let (name, count) = (&record.name, record.file_count);
        if let Some(position) = files.iter().find(|position| **position >= count) {
            let message = format!("{name} has no file number {}; it has {count}", u64::from(*position) + 1);
            return Err(refusal(CommandErrorKind::NotFound, &message));
        }
        let mut priorities = record.files.clone();
        for position in files {
            match priority {
                FilePriority::Normal => drop(priorities.remove(position)),
                _ => drop(priorities.insert(*position, priority)),
            }
        }
        let skipped = priorities.values().filter(|priority| **priority == FilePriority::Skip).count();
        if skipped >= count as usize {
            let message =
                format!("at least one file of {name} must be wanted; pause or remove the torrent instead");
            return Err(refusal(CommandErrorKind::Invalid, &message));
        }
        self.change(info_hash, |entry| {
            entry.record.files = priorities;
            entry.is_recount_due = !entry.is_judged();
            if let Some(run) = &entry.run
                && let Some(metainfo) = &run.metainfo
            {
                run.handle.set_files(priorities_of(metainfo, &entry.record));
            }
        });
        self.look_at_rest_again(info_hash);
        Ok(())
    }

    fn reannounce(&mut self, info_hash: InfoHash) -> Result<(), CommandError> {
        let Some(entry) = self.entries.get(&info_hash) else { return Err(unknown(info_hash)) };
        let run = entry.run.as_ref().ok_or_else(|| not_running(entry.name()))?;
        run.handle.reannounce();
        Ok(())
    }
}

fn unknown(info_hash: InfoHash) -> CommandError {
    refusal(CommandErrorKind::NotFound, &format!("there is no torrent {info_hash} in the list"))
}

fn not_running(name: &Printable) -> CommandError {
    refusal(CommandErrorKind::Invalid, &format!("{name} does not run; start it first"))
}

/// Labels as they are kept: trimmed, printable, each once.
pub(super) fn usable_labels(labels: &[String]) -> Result<Vec<Printable>, CommandError> {
    let invalid = |why: String| Err(refusal(CommandErrorKind::Invalid, &why));
    let mut usable: Vec<Printable> = Vec::new();
    for label in labels {
        let label = Printable::new(label.trim());
        let is_known = usable.contains(&label);
        if label.as_str().is_empty() || is_known {
            continue;
        }
        if label.as_str().chars().count() > Command::LABEL_CHARS_MAX {
            let shown = Printable::bounded(label.as_str(), Command::LABEL_CHARS_MAX);
            return invalid(format!(
                "the label {shown} is longer than {} characters",
                Command::LABEL_CHARS_MAX
            ));
        }
        if usable.len() == Command::LABELS_MAX {
            return invalid(format!("a torrent has at most {} labels; give fewer", Command::LABELS_MAX));
        }
        usable.push(label);
    }
    Ok(usable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_trimmed_printable_and_each_once() {
        let labels = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            usable_labels(&words).map(|labels| labels.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let many: Vec<String> = (0..17).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let long = "é".repeat(33);
        assert_eq!(labels(&[" linux ", "", "linux", "a\u{1b}"]).expect("usable"), ["linux", "a\\u{1b}"]);
        assert_eq!(labels(&many[..16]).expect("usable").len(), 16);
        assert!(labels(&many).is_err());
        assert!(labels(&[&long]).is_err());
        assert!(labels(&[&long[2..]]).is_ok());
    }
}
