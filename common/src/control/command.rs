//! What a user interface asks for, and what it is answered.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{FilePriority, Limits, View};
use crate::{InfoHash, Printable};

/// Something that a user interface asks for; answered by one [`Reply`] of the same number.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by who asks.
    pub number: u64,
    /// What is asked for.
    pub body: RequestBody,
}

/// What can be asked for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestBody {
    /// From now on this is what is to be seen. The next update is a whole snapshot of what was not seen before.
    View(View),
    /// Something is to be done.
    Command(Command),
}

/// Something to be done. Where torrents are listed, unknown ones are an error and the others are done all the same.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Takes a torrent in.
    Add(AddTorrent),
    /// Stops torrents until they are started again; they stay in the list.
    Pause(Vec<InfoHash>),
    /// Starts torrents that were paused or failed.
    Start(Vec<InfoHash>),
    /// Takes torrents out of the list.
    Remove {
        /// Which.
        torrents: Vec<InfoHash>,
        /// Their payload is deleted, too.
        data: bool,
    },
    /// Checks the whole payload anew, whatever is remembered of it.
    Verify(Vec<InfoHash>),
    /// Asks the trackers now, as far as they allow it.
    Reannounce(Vec<InfoHash>),
    /// Limits single torrents.
    SetLimits {
        /// Which.
        torrents: Vec<InfoHash>,
        /// What they may carry from now on.
        limits: Limits,
    },
    /// Replaces the labels of torrents.
    SetLabels {
        /// Which.
        torrents: Vec<InfoHash>,
        /// All labels that they have from now on; at most [`Command::LABELS_MAX`].
        labels: Vec<String>,
    },
    /// Says how much files of a torrent are wanted.
    SetFiles {
        /// Which torrent.
        torrent: InfoHash,
        /// Positions in its list of files, padding left out.
        files: Vec<u32>,
        /// How much they are wanted from now on.
        priority: FilePriority,
    },
    /// Names a peer.
    AddPeer {
        /// Of which torrent.
        torrent: InfoHash,
        /// Its address.
        address: SocketAddr,
    },
    /// Moves torrents in the queue.
    Queue {
        /// Which.
        torrents: Vec<InfoHash>,
        /// Where to.
        to: QueueStep,
    },
    /// Changes settings.
    Set(SettingsChange),
}

/// Where a torrent goes in the queue. Those that download and those that seed have a queue each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueStep {
    /// Before all others.
    First,
    /// Before the one that is before it.
    Up,
    /// Behind the one that is behind it.
    Down,
    /// Behind all others.
    Last,
}

impl Command {
    /// Most labels of one torrent.
    pub const LABELS_MAX: usize = 16;
    /// Most characters of a label.
    pub const LABEL_CHARS_MAX: usize = 32;
}

/// A change of one setting; see [`Settings`](super::Settings).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettingsChange {
    /// Where the payload of new torrents goes.
    Directory(PathBuf),
    /// Limits of all torrents together.
    Limits(Limits),
    /// The limits that hold instead while slow.
    SlowLimits(Limits),
    /// Whether the slow limits hold.
    Slow(bool),
    /// Upload slots of all torrents together.
    Slots(Option<u32>),
    /// When torrents stop by themselves.
    RatioGoal(Option<f32>),
    /// Whether new torrents wait until somebody starts them.
    AddsPaused(bool),
    /// How many torrents download at a time.
    DownloadsMax(Option<u32>),
    /// How many complete torrents seed at a time.
    SeedsMax(Option<u32>),
}

/// A torrent to take in.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AddTorrent {
    /// Where it comes from.
    pub source: TorrentSource,
    /// The folder that holds, or will hold, its payload; `None` is where new torrents go.
    pub directory: Option<PathBuf>,
    /// It waits until somebody starts it; `None` is as the settings say.
    pub paused: Option<bool>,
    /// Its labels.
    pub labels: Vec<String>,
}

/// Where a torrent comes from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TorrentSource {
    /// What stands in a `.torrent` file.
    Metainfo(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A `.torrent` file, as the engine sees it.
    Path(PathBuf),
    /// The URL of a `.torrent` file, or a magnet link.
    Url(String),
}

/// The answer to a [`Request`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// The number of the request.
    pub number: u64,
    /// What was done, in one line; empty where there is nothing to say. Or why it was not.
    pub result: Result<Printable, CommandError>,
}

/// Why something was not done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CommandError {
    /// What kind of trouble; an exit code follows from it.
    pub kind: CommandErrorKind,
    /// One line that names the thing and the remedy.
    pub message: Printable,
}

/// What kind of trouble a [`CommandError`] is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandErrorKind {
    /// No such torrent or file.
    NotFound,
    /// It is there already, or somebody else uses it.
    Exists,
    /// A bad torrent, magnet link or URL.
    BadTorrent,
    /// The network, or who was asked over it.
    Network,
    /// The disk.
    Disk,
    /// An argument out of its bounds.
    Invalid,
    /// It is not known how to do that.
    Unsupported,
    /// A defect of ours.
    Internal,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Aspects, DetailView, HistoryRange, Level};

    #[test]
    fn every_request_is_the_same_after_its_encoding() {
        let torrents = vec![InfoHash([1; 20]), InfoHash([2; 20])];
        let torrent = torrents[0];
        let add = |source| AddTorrent {
            source,
            directory: Some("/data".into()),
            paused: Some(true),
            labels: vec!["linux".into()],
        };
        let limits = Limits { down: None, up: Some(1 << 40) };
        let detail = DetailView {
            info_hash: torrent,
            aspects: Aspects::ALL,
            piece: Some(7),
            history: Some(HistoryRange::Day),
        };
        let view = View { detail: Some(detail), events: Some(Level::Warn), ..View::default() };
        let commands = vec![
            Command::Add(add(TorrentSource::Metainfo(vec![0, 100, 255]))),
            Command::Add(add(TorrentSource::Path("/a.torrent".into()))),
            Command::Add(add(TorrentSource::Url("https://example.org/a.torrent".into()))),
            Command::Pause(torrents.clone()),
            Command::Start(Vec::new()),
            Command::Remove { torrents: torrents.clone(), data: true },
            Command::Verify(torrents.clone()),
            Command::Reannounce(torrents.clone()),
            Command::SetLimits { torrents: torrents.clone(), limits },
            Command::SetLabels { torrents, labels: vec!["é".into()] },
            Command::SetFiles { torrent, files: vec![0, 9], priority: FilePriority::High },
            Command::AddPeer { torrent, address: ([127, 0, 0, 1], 6881).into() },
            Command::Queue { torrents: vec![torrent], to: QueueStep::First },
            Command::Set(SettingsChange::Directory("/new".into())),
            Command::Set(SettingsChange::Limits(limits)),
            Command::Set(SettingsChange::SlowLimits(limits)),
            Command::Set(SettingsChange::Slow(true)),
            Command::Set(SettingsChange::Slots(None)),
            Command::Set(SettingsChange::RatioGoal(Some(1.5))),
            Command::Set(SettingsChange::AddsPaused(true)),
            Command::Set(SettingsChange::DownloadsMax(Some(3))),
            Command::Set(SettingsChange::SeedsMax(None)),
        ];
        let bodies = commands.into_iter().map(RequestBody::Command).chain([RequestBody::View(view)]);
        for (body, number) in bodies.zip(0..) {
            let request = Request { number, body };
            let text = serde_json::to_string(&request).expect("it can be encoded");
            assert_eq!(serde_json::from_str::<Request>(&text).expect("it can be decoded"), request, "{text}");
        }
        let message = Printable::from("there is no such torrent");
        for result in
            [Ok(Printable::from("done")), Err(CommandError { kind: CommandErrorKind::NotFound, message })]
        {
            let reply = Reply { number: 3, result };
            let text = serde_json::to_string(&reply).expect("it can be encoded");
            assert_eq!(serde_json::from_str::<Reply>(&text).expect("it can be decoded"), reply, "{text}");
        }
    }
}
