//! How near one transfer of ours comes to what this machine could do at all.
//!
//! `cargo bench -p potluck-peer --bench loopback` moves 1 GiB from one process of ours to another over loopback,
//! in turn with the limit: the same bytes over one loopback socket, SHA-1-hashed by pieces and written to the same
//! disk by two plain threads. The first round of both is a warm-up and not counted: memory that the page cache takes
//! for the first time distorts. Prints each round and the ratio of the medians. `POTLUCK_BENCH_MIB` and
//! `POTLUCK_BENCH_ROUNDS` change the amount.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    error::Error,
    fs::{self, File},
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use potluck_common::{
    Rng,
    hash::Sha1,
    metainfo::{
        Metainfo,
        create::{Options, PieceLength},
    },
};
use potluck_peer::{
    create,
    disk::Progress,
    engine::{Engine, EngineConfig, Intent, TorrentParams},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PIECE: usize = 1024 * 1024;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--seeder") {
        return seed(Path::new(&arguments[at + 1]), Path::new(&arguments[at + 2]));
    }
    let setting =
        |name, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (mebibytes, rounds) =
        (setting("POTLUCK_BENCH_MIB", 1024usize), setting("POTLUCK_BENCH_ROUNDS", 5usize));
    let folder = tempfile::tempdir_in(std::env::current_exe()?.parent().ok_or("no folder")?)?;
    let bench = Bench::prepare(folder.path(), mebibytes)?;
    println!("{mebibytes} MiB, one peer to one, {rounds} counted rounds after a warm-up");
    let mut limits = Vec::new();
    let mut ours = Vec::new();
    for round in 0..=rounds {
        let (limit, our) = if round % 2 == 0 {
            let limit = bench.limit()?;
            (limit, bench.ours()?)
        } else {
            let our = bench.ours()?;
            (bench.limit()?, our)
        };
        let note = if round == 0 { "  (warm-up)" } else { "" };
        println!("limit {limit}   ours {our}   ratio {:.2}{note}", our.rate() / limit.rate());
        if round > 0 {
            limits.push(limit);
            ours.push(our);
        }
    }
    println!("median ratio of ours to the limit: {:.2}", median(&ours) / median(&limits));
    Ok(())
}

/// One run.
struct Run {
    bytes: u64,
    wall: Duration,
    cpu: Duration,
}

impl Run {
    fn rate(&self) -> f64 {
        self.bytes as f64 / self.wall.as_secs_f64()
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let gib = self.bytes as f64 / f64::from(1 << 30);
        write!(f, "{:5.0} MB/s {:.2} CPU-s/GiB", self.rate() / 1e6, self.cpu.as_secs_f64() / gib)
    }
}

fn median(runs: &[Run]) -> f64 {
    let mut rates: Vec<f64> = runs.iter().map(Run::rate).collect();
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

struct Bench {
    folder: PathBuf,
    payload: PathBuf,
    torrent: PathBuf,
    metainfo: Metainfo,
    bytes: u64,
}

impl Bench {
    fn prepare(folder: &Path, mebibytes: usize) -> Result<Self> {
        let payload = folder.join("seed/payload");
        fs::create_dir(folder.join("seed"))?;
        let mut file = File::create(&payload)?;
        let mut rng = Rng::new(1);
        let mut piece = vec![0; PIECE];
        for _ in 0..mebibytes {
            rng.fill(&mut piece);
            file.write_all(&piece)?;
        }
        let options = Options { piece_length: PieceLength::Fixed(PIECE as u32), ..Options::default() };
        let bytes = create::create(&payload, options, 2, &Progress::new())?.torrent;
        let torrent = folder.join("payload.torrent");
        fs::write(&torrent, &bytes)?;
        let metainfo = Metainfo::parse(&bytes)?;
        Ok(Self { folder: folder.to_owned(), payload, torrent, metainfo, bytes: (mebibytes * PIECE) as u64 })
    }

    /// Two plain threads: one reads and sends, one receives, hashes and writes.
    fn limit(&self) -> Result<Run> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let copy = self.folder.join("limit");
        let start = Start::now();
        let payload = self.payload.clone();
        let sender = thread::spawn(move || -> io::Result<()> {
            let mut stream = TcpStream::connect(address)?;
            let mut file = File::open(payload)?;
            let mut buffer = vec![0; PIECE];
            loop {
                let read = file.read(&mut buffer)?;
                if read == 0 {
                    return Ok(());
                }
                stream.write_all(&buffer[..read])?;
            }
        });
        let target = copy.clone();
        let receiver = thread::spawn(move || -> io::Result<u64> {
            let (mut stream, _) = listener.accept()?;
            let mut file = File::create(target)?;
            let mut buffer = vec![0; PIECE];
            let mut held = 0;
            loop {
                let mut filled = 0;
                while filled < PIECE {
                    let read = stream.read(&mut buffer[filled..])?;
                    if read == 0 {
                        return Ok(held);
                    }
                    filled += read;
                }
                let mut hasher = Sha1::new();
                hasher.update(&buffer);
                held += u64::from(hasher.finish()[0]);
                file.write_all(&buffer)?;
            }
        });
        sender.join().map_err(|_| "the sender panicked")??;
        receiver.join().map_err(|_| "the receiver panicked")??;
        let run = start.stop(self.bytes, Duration::ZERO);
        fs::remove_file(copy)?;
        Ok(run)
    }

    /// Our leecher in this process, our seeder in another.
    fn ours(&self) -> Result<Run> {
        let seeder = Seeder::start(&self.torrent, &self.folder.join("seed"))?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let folder = self.folder.join("leech");
        let cpu_before = seeder.cpu();
        let start = Start::now();
        runtime.block_on(async {
            let config = EngineConfig {
                bind: Some(Ipv4Addr::LOCALHOST.into()),
                ports: 0..=0,
                ..EngineConfig::default()
            };
            let engine = Engine::start(config).await?;
            let mut params = TorrentParams::new(self.metainfo.clone(), folder.clone());
            params.peers.push(seeder.address);
            let torrent = engine.add(params).await?;
            torrent.wait_complete().await.map_err(|error| error.message.to_string())?;
            Ok::<_, Box<dyn Error>>(())
        })?;
        let run = start.stop(self.bytes, seeder.cpu().saturating_sub(cpu_before));
        drop(seeder);
        runtime.shutdown_timeout(Duration::from_secs(2));
        fs::remove_dir_all(folder)?;
        Ok(run)
    }
}

struct Start {
    wall: Instant,
    cpu: Duration,
}

impl Start {
    fn now() -> Self {
        Self { wall: Instant::now(), cpu: cpu_of("self").unwrap_or_default() }
    }

    fn stop(self, bytes: u64, elsewhere: Duration) -> Run {
        let cpu = cpu_of("self").unwrap_or_default().saturating_sub(self.cpu) + elsewhere;
        Run { bytes, wall: self.wall.elapsed(), cpu }
    }
}

/// The processor time of a process, user and system, from `/proc` (zero where there is none).
fn cpu_of(process: &str) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

struct Seeder {
    child: Child,
    address: SocketAddr,
}

impl Seeder {
    fn start(torrent: &Path, folder: &Path) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--seeder")
            .args([torrent, folder])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        io::BufRead::read_line(&mut io::BufReader::new(child.stdout.take().ok_or("no output")?), &mut line)?;
        let address = line.trim().parse()?;
        Ok(Self { child, address })
    }

    fn cpu(&self) -> Duration {
        cpu_of(&self.child.id().to_string()).unwrap_or_default()
    }
}

impl Drop for Seeder {
    fn drop(&mut self) {
        // It ends when its standard input does.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The other process: seeds until its standard input ends.
fn seed(torrent: &Path, folder: &Path) -> Result<()> {
    let metainfo = Metainfo::parse(&fs::read(torrent)?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let config =
            EngineConfig { bind: Some(Ipv4Addr::LOCALHOST.into()), ports: 0..=0, ..EngineConfig::default() };
        let engine = Engine::start(config).await?;
        let params =
            TorrentParams { intent: Intent::Seed, ..TorrentParams::new(metainfo, folder.to_owned()) };
        let torrent = engine.add(params).await?;
        torrent.wait_complete().await.map_err(|error| error.message.to_string())?;
        println!("{}", engine.listen_addrs()[0]);
        tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new())).await??;
        Ok::<_, Box<dyn Error>>(())
    })
}
