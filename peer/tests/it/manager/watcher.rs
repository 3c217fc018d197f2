//! A user interface that sees what it is told.

use std::collections::BTreeMap;
use std::time::Duration;

use potluck_common::InfoHash;
use potluck_common::control::{
    AddTorrent, Command, CommandError, Request, RequestBody, State, TorrentRow, TorrentSource, Update,
    UpdateBody, VERSION, View,
};
use potluck_peer::manager::{Client, Manager};
use tokio::time::{Instant, timeout, timeout_at};

use crate::support::{Error, Outcome};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Watcher {
    client: Client,
    pub(super) state: State,
    requests: u64,
    updates: u64,
    /// Updates that were no answers.
    pub(super) told: u64,
}

impl Watcher {
    /// One that looks at `view`; it has its first snapshot.
    pub(super) async fn attach(manager: &Manager, view: View) -> Outcome<Self> {
        let client = manager.connect();
        let mut watcher = Self { client, state: State::default(), requests: 0, updates: 0, told: 0 };
        watcher.look(view).await?;
        watcher.until("the first snapshot", |state| state.session.is_some()).await?;
        Ok(watcher)
    }

    pub(super) async fn look(&mut self, view: View) -> Outcome {
        self.ask(RequestBody::View(view)).await.map(drop)
    }

    /// What a command is answered, in words.
    pub(super) async fn command(&mut self, command: Command) -> Outcome<String> {
        self.ask(RequestBody::Command(command)).await
    }

    /// The words of a command that must be refused.
    pub(super) async fn refused(&mut self, command: Command) -> Outcome<CommandError> {
        match self.send(RequestBody::Command(command)).await? {
            Ok(words) => Err(format!("it was not refused: {words}").into()),
            Err(error) => Ok(error),
        }
    }

    pub(super) async fn add(&mut self, torrent: Vec<u8>) -> Outcome<String> {
        let source = TorrentSource::Metainfo(torrent);
        self.command(Command::Add(AddTorrent {
            source,
            directory: None,
            paused: None,
            labels: vec!["new".into()],
        }))
        .await
    }

    async fn ask(&mut self, body: RequestBody) -> Outcome<String> {
        self.send(body).await?.map_err(|error| format!("{:?}: {}", error.kind, error.message).into())
    }

    async fn send(&mut self, body: RequestBody) -> Outcome<Result<String, CommandError>> {
        self.requests += 1;
        let number = self.requests;
        self.client.requests.send(Request { number, body }).map_err(|_| "the list is gone")?;
        loop {
            let next =
                timeout(PATIENCE, self.next()).await.map_err(|_| format!("no answer to {number}"))??;
            if let UpdateBody::Reply(reply) = next
                && reply.number == number
            {
                return Ok(reply.result.map(|words| words.to_string()));
            }
        }
    }

    /// What commands are answered that are all asked for before the first answer, in their order.
    pub(super) async fn burst(
        &mut self,
        commands: Vec<Command>,
    ) -> Outcome<Vec<Result<String, CommandError>>> {
        let mut answers: BTreeMap<u64, Result<String, CommandError>> = BTreeMap::new();
        let count = commands.len();
        let first = self.requests + 1;
        for command in commands {
            self.requests += 1;
            let request = Request { number: self.requests, body: RequestBody::Command(command) };
            self.client.requests.send(request).map_err(|_| "the list is gone")?;
        }
        while answers.len() < count {
            let next = timeout(PATIENCE, self.next()).await.map_err(|_| format!("only {answers:?}"))??;
            if let UpdateBody::Reply(reply) = next
                && reply.number >= first
            {
                answers.insert(reply.number, reply.result.map(|words| words.to_string()));
            }
        }
        Ok(answers.into_values().collect())
    }

    /// Asks for something and does not wait for the answer.
    pub(super) fn ask_only(&mut self, command: Command) -> Outcome {
        self.requests += 1;
        let request = Request { number: self.requests, body: RequestBody::Command(command) };
        Ok(self.client.requests.send(request).map_err(|_| "the list is gone")?)
    }

    /// Waits until it sees something.
    pub(super) async fn until(&mut self, what: &str, seen: impl Fn(&State) -> bool) -> Outcome {
        let deadline = Instant::now() + PATIENCE;
        while !seen(&self.state) {
            timeout_at(deadline, self.next())
                .await
                .map_err(|_| format!("{what}: not seen in {:#?}", self.state))??;
        }
        Ok(())
    }

    /// Waits until it sees a torrent like that.
    pub(super) async fn until_row(
        &mut self,
        what: &str,
        info_hash: InfoHash,
        seen: impl Fn(&TorrentRow) -> bool,
    ) -> Outcome {
        self.until(what, |state| state.torrents.get(&info_hash).is_some_and(&seen)).await
    }

    /// Counts what it is told for so long.
    pub(super) async fn listen(&mut self, time: Duration) -> Outcome<u64> {
        let before = self.told;
        let deadline = Instant::now() + time;
        while let Ok(next) = timeout_at(deadline, self.next()).await {
            next?;
        }
        Ok(self.told - before)
    }

    /// The next update, which passed through its encoding.
    async fn next(&mut self) -> Result<UpdateBody, Error> {
        let update = self.client.updates.recv().await.ok_or("the list ended")?;
        let text = serde_json::to_string(&update)?;
        let update: Update = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
        self.updates += 1;
        if update.number != self.updates {
            return Err(format!("update {} is said to be {}", self.updates, update.number).into());
        }
        if matches!(update.body, UpdateBody::Hello { version: VERSION }) != (self.updates == 1) {
            return Err(format!("the first update names the version, and no other: {text}").into());
        }
        self.told += u64::from(matches!(update.body, UpdateBody::Snapshot(_) | UpdateBody::Delta(_)));
        self.state.apply(update.body.clone());
        Ok(update.body)
    }
}
