//! The demo's members: their folders, engines and addresses, and the tracker they meet at.

use std::{
    fs,
    io::Write as _,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use potluck_common::{
    Rng,
    control::{Aspects, TorrentState},
    metainfo::{
        Metainfo,
        create::{Options, PieceLength},
    },
};
use potluck_peer::{
    create::create,
    disk::Progress,
    engine::{Engine, EngineConfig, Intent, TorrentParams},
};
use potluck_tracker::{TrackerConfig, TrackerServer};
use tempfile::TempDir;
use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    cli::{
        exit::{Exit, Failure, Outcome},
        load,
        transfer::{
            SHUTDOWN_DEADLINE, add_failure,
            feed::{self, Report, Tap},
            start_failure,
        },
    },
    model::demo::{Demo, Member, Role},
};

/// The name of the payload.
pub(super) const PAYLOAD_NAME: &str = "potluck-demo.bin";
/// The payload of every demo of one size is the same.
const PAYLOAD_SEED: u64 = 0x706f_746c_7563_6b21;
const LEECHERS: u8 = 6;
/// Chokers work as fast as if the seeder took so long for one copy: in the real time of a demo they would choose three times.
const ROUNDS_SECONDS: u64 = 180;
/// About so many pieces, for a map that fits on a small screen.
const PIECES: u64 = 192;
const PIECE_LENGTH_MIN: u64 = 16 * 1024;
const PIECE_LENGTH_MAX: u64 = 1024 * 1024;

/// How large, how fast, and where.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    size: u64,
    piece_length: u32,
    /// About how long it takes.
    pub(super) expected: Duration,
    /// Bytes per second.
    seeder_rate: u64,
    leecher_rate: u64,
    /// How many times as fast as usual chokers work.
    pace: u32,
    network: [u8; 2],
}

impl Plan {
    /// The rates follow from the size, so that the duration does not.
    pub(super) fn new(size: u64, fast: bool) -> Self {
        // The seeder alone needs this long to send one copy, and all copies come from it in the end.
        // So fast that uploads of leechers are what is scarce: where everybody waits for the seeder's next piece, their
        // uplinks have nothing better to do than to serve a free rider.
        let seeder_seconds = if fast { 4 } else { 18 };
        let seeder_rate = (size / seeder_seconds).max(1);
        // Another demo may run on this machine; its process has another number.
        let [.., high, low] = std::process::id().to_be_bytes();
        Self {
            size,
            piece_length: (size / PIECES).next_power_of_two().clamp(PIECE_LENGTH_MIN, PIECE_LENGTH_MAX)
                as u32,
            expected: Duration::from_secs(seeder_seconds * 2),
            seeder_rate,
            leecher_rate: seeder_rate * 3 / 7,
            pace: (ROUNDS_SECONDS / seeder_seconds) as u32,
            network: [64 | (high & 63), low],
        }
    }

    /// The demo as a screen shows it before anything has happened.
    pub(super) fn demo(&self) -> Demo {
        let mut members = vec![Member::new("seeder", Role::Seeder, self.ip(1))];
        let leechers = 1..=LEECHERS;
        members.extend(leechers.map(|n| Member::new(&format!("leecher {n}"), Role::Leecher, self.ip(n + 1))));
        members.push(Member::new("free rider", Role::FreeRider, self.ip(LEECHERS + 2)));
        Demo::new(self.size, self.piece_length, self.seeder_rate, members)
    }

    /// How its chokers differ from those of a swarm that lasts longer.
    pub(super) fn time_lapse(&self) -> String {
        let round = 10.0 / f64::from(self.pace);
        format!("time lapse: members choose whom to give to every {round:.1} s instead of every 10 s")
    }

    /// Every member has an address of its own, so that a connection says whose it is.
    fn ip(&self, host: u8) -> IpAddr {
        let [high, low] = self.network;
        IpAddr::from([127, high, low, host])
    }

    fn up_limit(&self, role: Role) -> u64 {
        match role {
            Role::Seeder => self.seeder_rate,
            Role::Leecher | Role::FreeRider => self.leecher_rate,
        }
    }
}

/// What runs, and where its files are.
pub(super) struct Swarm {
    folder: TempDir,
    metainfo: Metainfo,
    engines: Vec<Engine>,
    tracker: Option<TrackerServer>,
    tracker_url: String,
    reports: Option<mpsc::Sender<Report>>,
}

impl Swarm {
    /// Writes the payload and makes its torrent, in a folder that goes away with the value.
    pub(super) fn prepare(plan: &Plan) -> Outcome<Self> {
        let folder = tempfile::Builder::new()
            .prefix("potluck-demo-")
            .tempdir()
            .map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
        let payload = folder.path().join("seeder").join(PAYLOAD_NAME);
        write_payload(&payload, plan.size).map_err(|error| Failure::io(&payload, &error))?;
        let options = Options { piece_length: PieceLength::Fixed(plan.piece_length), ..Options::default() };
        let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let created = create(&payload, options, threads, &Progress::new())
            .map_err(|error| Failure::sentence(Exit::Disk, error))?;
        let metainfo = load::parse(PAYLOAD_NAME, &created.torrent)?;
        Ok(Self {
            folder,
            metainfo,
            engines: Vec::new(),
            tracker: None,
            tracker_url: String::new(),
            reports: None,
        })
    }

    /// Starts the tracker and every member, the free rider too. What they report comes under their number in the demo.
    pub(super) async fn start(&mut self, plan: &Plan) -> Outcome<mpsc::Receiver<Report>> {
        let config =
            TrackerConfig { http: vec![SocketAddr::new(plan.ip(100), 0)], ..TrackerConfig::default() };
        let tracker =
            TrackerServer::bind(&config).map_err(|error| Failure::sentence(Exit::Network, error))?;
        self.tracker_url = tracker.announce_urls().into_iter().next().unwrap_or_default();
        self.tracker = Some(tracker);
        let (sender, receiver) = feed::channel();
        self.reports = Some(sender);
        for (number, member) in plan.demo().members.iter().enumerate() {
            self.join(plan, number, member).await?;
        }
        Ok(receiver)
    }

    async fn join(&mut self, plan: &Plan, number: usize, member: &Member) -> Outcome {
        let engine = Engine::start(EngineConfig {
            bind: Some(member.ip),
            ports: 0..=0,
            up_limit: Some(plan.up_limit(member.role)),
            disk_threads: Some(1),
            buffer_bytes_max: 16 << 20,
            cache_bytes_max: 8 << 20,
            ..EngineConfig::default()
        });
        let engine = engine.await.map_err(|error| start_failure(&error))?;
        let is_seeder = member.role == Role::Seeder;
        let params = TorrentParams {
            intent: if is_seeder { Intent::Seed } else { Intent::Download },
            extra_trackers: vec![self.tracker_url.clone()],
            slots: Some(slots(member.role)),
            choker_pace: plan.pace,
            // Each can be looked at from near.
            aspects: Aspects::ALL,
            ..TorrentParams::new(self.metainfo.clone(), self.directory(&member.name))
        };
        let handle = engine.add(params).await.map_err(|error| add_failure(PAYLOAD_NAME, &error))?;
        if let Some(reports) = &self.reports {
            Tap::new(&handle).forward(number, reports.clone());
        }
        self.engines.push(engine);
        Ok(())
    }

    /// Fails when a member has failed: a demo that can no longer succeed should say why.
    pub(super) fn check(demo: &Demo) -> Outcome {
        for member in &demo.members {
            if let Some(TorrentState::Failed(error)) =
                member.snapshot.as_ref().map(|snapshot| &snapshot.state)
            {
                return Err(Failure::new(Exit::Disk, &member.name, &error.message, ""));
            }
        }
        Ok(())
    }

    /// Where the members meet.
    pub(super) fn tracker_url(&self) -> String {
        self.tracker_url.clone()
    }

    /// Stops every engine, all at once, and the tracker.
    pub(super) async fn stop(&mut self) {
        let mut stops = JoinSet::new();
        for engine in self.engines.drain(..) {
            stops.spawn(async move { engine.shutdown(SHUTDOWN_DEADLINE).await });
        }
        while stops.join_next().await.is_some() {}
        if let Some(tracker) = self.tracker.take() {
            tracker.shutdown().await;
        }
    }

    /// The folder of the member with this name.
    pub(super) fn directory(&self, name: &str) -> PathBuf {
        self.folder.path().join(name.replace(' ', "-"))
    }
}

/// How many members one gives to at a time. Few, so that there is something to choose in a swarm this small.
fn slots(role: Role) -> u32 {
    match role {
        Role::Seeder => 4,
        Role::Leecher => 3,
        Role::FreeRider => 0,
    }
}

fn write_payload(path: &Path, size: u64) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut rng = Rng::new(PAYLOAD_SEED);
    let mut file = fs::File::create(path)?;
    let mut chunk = vec![0; 1 << 20];
    let mut left = size;
    while left > 0 {
        let length = left.min(chunk.len() as u64) as usize;
        rng.fill(&mut chunk[..length]);
        file.write_all(&chunk[..length])?;
        left -= length as u64;
    }
    Ok(())
}
