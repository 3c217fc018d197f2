//! What a person changes while torrents run: limits, wanted files, an announce now; and what the engine as a whole says.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use libtest_mimic::Trial;
use potluck_common::control::{FilePriority, Limits, TorrentState, TorrentSummary};
use potluck_common::metainfo::Metainfo;
use potluck_peer::engine::{Engine, EngineConfig, Intent, TorrentHandle, TorrentParams};
use tokio::runtime::Builder;

use crate::support::payload::{Payload, Plan};
use crate::support::room::{self, Room};
use crate::support::tracker::{self, Meeting};
use crate::support::{Outcome, wait_for};

const PATIENCE: Duration = Duration::from_secs(120);
const MIB: u64 = 1024 * 1024;

/// The trials of this file.
pub(crate) fn trials() -> Vec<Trial> {
    type Body = fn(&Room) -> Outcome;
    let trials: [(&str, Body); 4] = [
        ("limits_hold_from_the_moment_they_are_set", limits),
        ("a_limit_that_torrents_share_is_told_by_each", shared_limit),
        ("files_are_wanted_later_and_not_made_before", files),
        ("a_person_asks_the_tracker_now", reannounce),
    ];
    let trial = |(name, body): (&str, Body)| {
        Trial::test(format!("control::{name}"), move || room::run(PATIENCE, body))
    };
    trials.into_iter().map(trial).collect()
}

/// Sets one limit.
type Limit<'a> = &'a dyn Fn(Option<u64>);

/// Engines and what runs them.
struct Stage {
    runtime: tokio::runtime::Runtime,
    engines: Vec<Engine>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        for engine in &self.engines {
            self.runtime.block_on(engine.shutdown(Duration::from_secs(3)));
        }
    }
}

impl Stage {
    fn new() -> Outcome<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        Ok(Self { runtime, engines: Vec::new() })
    }

    fn engine(&mut self, config: EngineConfig) -> Outcome<Engine> {
        let config = EngineConfig { bind: Some([127, 0, 0, 1].into()), ports: 0..=0, ..config };
        let engine = self.runtime.block_on(Engine::start(config))?;
        self.engines.push(engine.clone());
        Ok(engine)
    }

    fn add(&self, engine: &Engine, params: TorrentParams) -> Outcome<TorrentHandle> {
        Ok(self.runtime.block_on(engine.add(params))?)
    }

    /// A seed of `payload`, and where it listens.
    fn seed(&mut self, room: &Room, payload: &Payload) -> Outcome<(TorrentHandle, SocketAddr)> {
        let folder = room.folder("seed")?;
        payload.copy_to(&folder, false)?;
        let engine = self.engine(EngineConfig::default())?;
        let intent = Intent::Seed;
        let handle = self.add(&engine, TorrentParams { intent, ..params(payload, &folder)? })?;
        Ok((handle, engine.listen_addrs()[0]))
    }
}

fn params(payload: &Payload, folder: &Path) -> Outcome<TorrentParams> {
    Ok(TorrentParams::new(Metainfo::parse(payload.torrent())?, folder.to_owned()))
}

fn reaches(
    room: &Room,
    torrent: &TorrentHandle,
    what: &str,
    is_so: impl Fn(&TorrentSummary) -> bool,
) -> Outcome {
    wait_for(room.deadline, what, || Ok(is_so(&torrent.snapshot()).then_some(())))
}

fn limits(room: &Room) -> Outcome {
    let payload = Payload::make(&Plan::single("limits.bin", 200 * MIB, 256 * 1024))?;
    let mut stage = Stage::new()?;
    let (seed, address) = stage.seed(room, &payload)?;
    let up = |up| Limits { down: None, up };
    let down = |down| Limits { down, up: None };
    // So low that a block takes half a minute: whoever waits must hear that it is over.
    seed.set_limits(up(Some(500)));
    let folder = room.folder("get")?;
    let engine = stage.engine(EngineConfig::default())?;
    let getter = stage.add(&engine, TorrentParams { peers: vec![address], ..params(&payload, &folder)? })?;
    reaches(room, &getter, "they meet", |state| state.seeds_connected == 1)?;
    getter.set_limits(down(Some(500_000)));
    seed.set_limits(up(None));
    reaches(room, &getter, "it flows", |state| state.downloaded > 600_000)?;
    let seed_engine = stage.engines[0].clone();
    let limits: [(&str, Limit<'_>); 3] = [
        ("the getter's engine's", &|limit| engine.set_limits(down(limit))),
        ("the seed's own", &|limit| seed.set_limits(up(limit))),
        ("the seed's engine's", &|limit| seed_engine.set_limits(up(limit))),
    ];
    for (who, set) in limits {
        // Without any limit it would not take longer than a blink.
        getter.set_limits(down(Some(8_000_000)));
        let before = getter.snapshot().downloaded;
        reaches(room, &getter, "fast", |state| state.downloaded > before + 8_000_000)?;
        set(Some(1_000_000));
        let is_near = |state: &TorrentSummary| (900_000..1_100_000).contains(&state.down_rate);
        reaches(room, &getter, &format!("{who} limit"), is_near)?;
        // Three seconds by the limit; a snapshot may not tell the last moment before.
        let (began, before) = (Instant::now(), getter.snapshot().downloaded);
        reaches(room, &getter, "it goes on", |state| state.downloaded > before + 3_000_000)?;
        let took = began.elapsed();
        if took < Duration::from_millis(1_500) {
            return Err(format!("{who} limit: 3 MB in {took:?}").into());
        }
        // It may have been less for a moment, on a machine that is busy with other trials.
        reaches(room, &getter, &format!("{who} limit is used again"), is_near)?;
        set(None);
    }
    let status = engine.status();
    let sums = (status.connections, status.downloaded > 10_000_000, status.up_rate, status.slots);
    if sums != (1, true, 0, 5) || status.listen != engine.listen_addrs() || !status.slots_are_automatic {
        return Err(format!("{status:?}").into());
    }
    engine.set_slots(Some(9));
    if (engine.status().slots, engine.status().slots_are_automatic) != (9, false) {
        return Err(format!("{:?}", engine.status()).into());
    }
    engine.set_limits(Limits::default());
    getter.set_limits(Limits::default());
    reaches(room, &getter, "the end", |state| state.state == TorrentState::Seeding)?;
    payload.check_copy(&folder, true)
}

fn shared_limit(room: &Room) -> Outcome {
    let mut stage = Stage::new()?;
    let config = EngineConfig { down_limit: Some(1_000_000), ..EngineConfig::default() };
    let engine = stage.engine(config)?;
    let mut getters = Vec::new();
    for name in ["one", "other"] {
        let payload = Payload::make(&Plan::single(name, 40 * MIB, 256 * 1024))?;
        let (_, address) = stage.seed(room, &payload)?;
        let params = TorrentParams { peers: vec![address], ..params(&payload, &room.folder(name)?)? };
        getters.push(stage.add(&engine, params)?);
    }
    let words = "all torrents together are limited to 1.0 MB/s by you";
    for getter in &getters {
        let says = |state: &TorrentSummary| state.pace.as_ref().is_some_and(|why| why.as_str() == words);
        reaches(room, getter, "it says what limits it", says)?;
    }
    engine.set_limits(Limits::default());
    for getter in &getters {
        reaches(room, getter, "the end", |state| state.state == TorrentState::Seeding)?;
    }
    Ok(())
}

fn files(room: &Room) -> Outcome {
    let plan = Plan {
        name: "files".into(),
        piece_length: 64 * 1024,
        files: vec![("a".into(), 300_000), ("b".into(), 700_000), ("c".into(), 0), ("d".into(), 500_000)],
    };
    let payload = Payload::make(&plan)?;
    let mut stage = Stage::new()?;
    let (_seed, address) = stage.seed(room, &payload)?;
    let (folder, state_dir) = (room.folder("get")?, room.folder("state")?);
    let config = EngineConfig { state_dir: Some(state_dir), ..EngineConfig::default() };
    let engine = stage.engine(config.clone())?;
    let (skip, low) = (FilePriority::Skip, FilePriority::Low);
    let getting = TorrentParams {
        peers: vec![address],
        wanted_files: Some(vec![0]),
        priorities: vec![(0, low)],
        ..params(&payload, &folder)?
    };
    let getter = stage.add(&engine, getting.clone())?;
    reaches(room, &getter, "the first file", |state| state.state == TorrentState::Seeding)?;
    let exists = |name: &str| folder.join("files").join(name).exists();
    // The border of a and b lies within a piece.
    if [exists("a"), exists("c"), exists("d")] != [true, false, false] {
        return Err("files that nobody wants were made".into());
    }
    let shown: Vec<FilePriority> = getter.snapshot().detail.files.iter().map(|file| file.priority).collect();
    if shown != [low, skip, skip, skip] {
        return Err(format!("{shown:?}").into());
    }
    getter.set_files(vec![(2, FilePriority::Normal), (3, FilePriority::High)]);
    let has_two = |state: &TorrentSummary| state.state == TorrentState::Seeding && state.have_size > 800_000;
    reaches(room, &getter, "two more", has_two)?;
    if !exists("c") || fs::metadata(folder.join("files/d"))?.len() != 500_000 {
        return Err("a wanted file is not there".into());
    }
    reaches(room, &getter, "made durable", |state| state.is_durable)?;

    // Another run knows all that is there, and goes on with what is wanted by then.
    stage.runtime.block_on(getter.stop());
    let again = TorrentParams { wanted_files: None, priorities: vec![(1, skip)], ..getting };
    let getter = stage.add(&engine, again)?;
    reaches(room, &getter, "it is known", |state| state.state == TorrentState::Seeding)?;
    if getter.snapshot().downloaded > 0 {
        return Err("something was fetched twice".into());
    }
    getter.set_files(vec![(1, FilePriority::Normal)]);
    reaches(room, &getter, "the last file", |state| state.pieces_have == state.pieces)?;
    reaches(room, &getter, "the end", |state| state.state == TorrentState::Seeding)?;
    payload.check_copy(&folder, true)
}

fn reannounce(room: &Room) -> Outcome {
    let payload = Payload::make(&Plan::single("reannounce.bin", MIB, 64 * 1024))?;
    let mut stage = Stage::new()?;
    let (_seed, address) = stage.seed(room, &payload)?;
    let tracker = tracker::start(room, Meeting::OursHttp, payload.info_hash())?;
    let (url, folder) = (tracker.announce_url().to_owned(), room.folder("get")?);
    let dead = url.replace("127.0.0.1", "127.0.0.7");
    let engine = stage.engine(EngineConfig::default())?;
    let getting =
        TorrentParams { extra_trackers: vec![dead], peers: vec![address], ..params(&payload, &folder)? };
    let getter = stage.add(&engine, getting)?;
    let failures = || getter.snapshot().detail.trackers.first().map_or(0, |tracker| tracker.failures);
    reaches(room, &getter, "it fails", |_| failures() == 1)?;
    // By itself it would wait for a quarter of a minute at least.
    let next = getter.snapshot().detail.trackers[0].next_seconds.unwrap_or(0);
    if next < 5 {
        return Err(format!("it would be asked again in {next} s").into());
    }
    let mut events = getter.events();
    getter.reannounce();
    wait_for(room.deadline, "another failure", || {
        let mut told = std::iter::from_fn(|| events.try_recv().ok());
        let failed = |event: &potluck_common::control::Event| {
            matches!(event.kind, potluck_common::control::EventKind::TrackerFailed { .. })
        };
        Ok((told.by_ref().filter(failed).count() > 0).then_some(()))
    })
}
