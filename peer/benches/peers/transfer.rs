//! One transfer, measured.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{
    Outcome,
    clients::{Client, Job},
    ground::Ground,
    memory,
    payload::Payload,
    process::Process,
    tracker::Tracker,
    usage::Memory,
};

/// How often the end is looked for; every second time the memory is measured, too.
const POLL: Duration = Duration::from_millis(10);

/// How long a transfer may take: this much, and so many bytes a second more.
const PATIENCE: Duration = Duration::from_secs(60);
const RATE_MIN: u64 = 6 * 1024 * 1024;

/// What both sides may need beside the pages of the copy.
const MEMORY: u64 = 512 * 1024 * 1024;

/// Data moves when this many bytes have crossed the interface: more than all handshakes.
const MOVING: u64 = 1024 * 1024;

/// What one side used.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Usage {
    pub(super) cpu: Duration,
    pub(super) memory: Memory,
}

/// What one transfer took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    /// From when the leecher was told to when it was complete.
    pub(super) wall: Duration,
    /// From when data began to move, where that is known.
    pub(super) moving: Option<Duration>,
    /// From when the leecher was told to when it had made the copy durable, if it does.
    pub(super) durable: Option<Duration>,
    /// The sum of all seeders' processor time, and the memory of the largest.
    pub(super) seeder: Usage,
    pub(super) leecher: Usage,
}

/// Moves `payload` from some processes of one client to one of another.
pub(super) fn transfer(
    ground: &Ground,
    tracker: &Tracker,
    payload: &Payload,
    (seeder, seeders): (&dyn Client, usize),
    leecher: &dyn Client,
    folder: PathBuf,
) -> Outcome<Figures> {
    let room = Room::new(folder)?;
    let job = |name: &str, torrent: &Path, payload_folder: PathBuf| {
        Job::new(payload, torrent, payload_folder, room.0.join(name), ground)
    };
    let mut running = Vec::new();
    let mut addresses = Vec::new();
    for number in 0..seeders {
        let name = format!("seeder-{number}");
        let job = job(&name, &payload.torrent_of_seeders, payload.folder.clone())?;
        running.push(seeder.seed(&job).map_err(|error| format!("{name}: {error}"))?);
        addresses.push(job.listen);
    }
    tracker.name(addresses);
    let copy = room.0.join("copy");
    let job = job("leecher", &payload.torrent_of_leechers, copy.clone())?;
    let waiting = leecher.leech(&job)?;
    running.iter().for_each(Process::forget_peak);
    memory::warm(payload.bytes + MEMORY);

    let mut clock = Clock::start(ground, &running, waiting.cpu());
    let leeching = waiting.tell(&job)?;
    let end = clock.begun + PATIENCE + Duration::from_secs(payload.bytes / RATE_MIN);
    while !leecher.is_complete(&job, &leeching).map_err(|error| format!("the leecher: {error}"))? {
        if Instant::now() > end {
            return Err(format!("not complete after {:?}", clock.begun.elapsed()).into());
        }
        clock.look(ground, &running, &leeching);
        thread::sleep(POLL);
    }
    let begun = clock.begun;
    let mut figures = clock.stop(&running, &leeching);
    while let Some(is_durable) = leecher.is_durable(&job) {
        if is_durable {
            figures.durable = Some(begun.elapsed());
            break;
        }
        if Instant::now() > end || leeching.ended()?.is_some() {
            return Err("it does not say that the copy is durable".into());
        }
        thread::sleep(POLL);
    }
    payload.check_copy(&copy)?;
    Ok(figures)
}

/// A folder whose files are emptied when it is dropped.
///
/// They are not removed before all is done: some file systems take long to give a number to a new file where many
/// files were removed a moment ago, and that would be measured with the next transfer.
struct Room(PathBuf);

impl Room {
    fn new(path: PathBuf) -> Outcome<Self> {
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // What is left goes with the folder of the bench.
        let _ = empty_all(&self.0);
    }
}

fn empty_all(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            empty_all(&entry.path())?;
        } else if kind.is_file() {
            fs::OpenOptions::new().write(true).open(entry.path())?.set_len(0)?;
        }
    }
    Ok(())
}

struct Clock {
    begun: Instant,
    looks: u32,
    crossed: Option<u64>,
    moving_since: Option<Instant>,
    seeders_cpu: Duration,
    leecher_cpu: Duration,
    seeder_memory: Memory,
    leecher_memory: Memory,
}

impl Clock {
    fn start(ground: &Ground, seeders: &[Process], leecher_cpu: Duration) -> Self {
        Self {
            begun: Instant::now(),
            looks: 0,
            crossed: ground.crossed(),
            moving_since: None,
            seeders_cpu: seeders.iter().map(Process::cpu).sum(),
            leecher_cpu,
            seeder_memory: Memory::default(),
            leecher_memory: Memory::default(),
        }
    }

    fn look(&mut self, ground: &Ground, seeders: &[Process], leecher: &Process) {
        if let (Some(before), None) = (self.crossed, self.moving_since)
            && ground.crossed().is_some_and(|crossed| crossed > before + MOVING)
        {
            self.moving_since = Some(Instant::now());
        }
        self.looks += 1;
        if self.looks % 2 == 1 {
            self.look_at_memory(seeders, leecher);
        }
    }

    fn look_at_memory(&mut self, seeders: &[Process], leecher: &Process) {
        for memory in seeders.iter().filter_map(Process::memory) {
            self.seeder_memory = self.seeder_memory.max(memory);
        }
        if let Some(memory) = leecher.memory() {
            self.leecher_memory = self.leecher_memory.max(memory);
        }
    }

    fn stop(mut self, seeders: &[Process], leecher: &Process) -> Figures {
        let now = Instant::now();
        let seeders_cpu: Duration = seeders.iter().map(Process::cpu).sum();
        let leecher_cpu = leecher.cpu();
        self.look_at_memory(seeders, leecher);
        Figures {
            wall: now - self.begun,
            moving: self.moving_since.map(|since| now - since),
            durable: None,
            seeder: Usage { cpu: seeders_cpu.saturating_sub(self.seeders_cpu), memory: self.seeder_memory },
            leecher: Usage { cpu: leecher_cpu.saturating_sub(self.leecher_cpu), memory: self.leecher_memory },
        }
    }
}
