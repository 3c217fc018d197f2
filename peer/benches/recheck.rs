//! How fast a payload in the page cache is checked, and a torrent made of it.
//!
//! `cargo bench -p potluck-peer --bench recheck` does both with one thread and with two, in turn with what each is
//! compared with: one thread that reads the same file and hashes it with the `sha1` crate; libtorrent (Rasterbar) with
//! two threads, from when it is told to check again to when it has, and for a new torrent; and transmission-create.
//! Prints the medians, and the ratios to one plain thread. What is not installed is left out. `POTLUCK_BENCH_MIB`,
//! `POTLUCK_BENCH_PIECE_KIB` and `POTLUCK_BENCH_ROUNDS` change the amount.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    error::Error,
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
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
    check::check,
    create,
    disk::{Layout, OpenFiles, Progress, Storage},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What is timed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Job {
    Plain,
    Check { threads: usize },
    Create { threads: usize },
    LibtorrentCheck,
    LibtorrentCreate,
    TransmissionCreate,
}

/// Ours with two threads, what it is compared with, and how many times as fast it should be at least.
const COMPARISONS: [(Job, Job, Option<f64>); 3] = [
    (Job::Check { threads: 2 }, Job::LibtorrentCheck, Some(3.0)),
    (Job::Create { threads: 2 }, Job::LibtorrentCreate, None),
    (Job::Create { threads: 2 }, Job::TransmissionCreate, None),
];

/// Debian's interpreter, which has Debian's binding of libtorrent.
const PYTHON: &str = "/usr/bin/python3";
const TRANSMISSION_CREATE: &str = "transmission-create";

fn main() -> Result<()> {
    let setting =
        |name, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let mebibytes: usize = setting("POTLUCK_BENCH_MIB", 1024);
    let piece_length = setting("POTLUCK_BENCH_PIECE_KIB", 1024) * 1024;
    let rounds = setting("POTLUCK_BENCH_ROUNDS", 7);
    let folder = tempfile::tempdir_in(std::env::current_exe()?.parent().ok_or("no folder")?)?;
    let mut bench = Bench::prepare(folder.path(), mebibytes, piece_length)?;
    println!("{mebibytes} MiB in pieces of {} KiB, {rounds} rounds after a warm-up", piece_length / 1024);
    let jobs = bench.jobs();
    let mut rates = vec![Vec::new(); jobs.len()];
    for round in 0..=rounds {
        for (job, rates) in jobs.iter().zip(&mut rates) {
            let rate = bench.rate(*job)?;
            if round > 0 {
                rates.push(rate);
            }
        }
    }
    let medians: Vec<f64> = rates.iter_mut().map(|rates| median(rates)).collect();
    for (job, rate) in jobs.iter().zip(&medians) {
        println!("{:24} {rate:5.2} GB/s  {:.2}", format!("{job:?}"), rate / medians[0]);
    }
    let median_of = |job| jobs.iter().position(|one| *one == job).map(|at| medians[at]);
    for (ours, theirs, goal) in COMPARISONS {
        let (Some(our_rate), Some(their_rate)) = (median_of(ours), median_of(theirs)) else { continue };
        let ratio = our_rate / their_rate;
        let verdict = match goal {
            Some(goal) if ratio >= goal => format!(", goal {goal}: met"),
            Some(goal) => format!(", goal {goal}: MISSED"),
            None => String::new(),
        };
        println!("{ours:?} to {theirs:?}: {ratio:.2}{verdict}");
    }
    Ok(())
}

struct Bench {
    file: PathBuf,
    options: Options,
    storage: Arc<Storage>,
    bytes: usize,
    libtorrent: Option<Libtorrent>,
}

impl Bench {
    fn prepare(folder: &Path, mebibytes: usize, piece_length: usize) -> Result<Self> {
        let file = folder.join("payload");
        let mut rng = Rng::new(1);
        let mut chunk = vec![0; 1024 * 1024];
        let mut writer = File::create(&file)?;
        for _ in 0..mebibytes {
            rng.fill(&mut chunk);
            writer.write_all(&chunk)?;
        }
        let options = Options { piece_length: PieceLength::Fixed(piece_length as u32), ..Options::default() };
        let torrent = create::create(&file, options.clone(), 2, &Progress::new())?.torrent;
        let layout = Layout::from_metainfo(&Metainfo::parse(&torrent)?, folder.into())?;
        let storage = Storage::new(layout, &OpenFiles::new(8));
        let torrent_file = folder.join("payload.torrent");
        fs::write(&torrent_file, torrent)?;
        let libtorrent = Libtorrent::start(&torrent_file, folder, piece_length)?;
        Ok(Self { file, options, storage, bytes: mebibytes * 1024 * 1024, libtorrent })
    }

    /// What can be timed here; the first is what all are compared with.
    fn jobs(&self) -> Vec<Job> {
        let mut jobs = vec![Job::Plain];
        for threads in [1, 2] {
            jobs.extend([Job::Check { threads }, Job::Create { threads }]);
        }
        if self.libtorrent.is_some() {
            jobs.extend([Job::LibtorrentCheck, Job::LibtorrentCreate]);
        }
        let mut version = Command::new(TRANSMISSION_CREATE);
        if version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok() {
            jobs.push(Job::TransmissionCreate);
        }
        jobs
    }

    /// Bytes per nanosecond.
    fn rate(&mut self, job: Job) -> Result<f64> {
        let begun = Instant::now();
        match job {
            Job::Plain => self.hash_plainly()?,
            Job::Check { threads } => {
                let result = check(&self.storage, None, threads, &Progress::new())?;
                assert!(result.is_complete(), "the payload is as it was written");
            }
            Job::Create { threads } => {
                create::create(&self.file, self.options.clone(), threads, &Progress::new())?;
            }
            Job::TransmissionCreate => self.create_with_transmission()?,
            Job::LibtorrentCheck => return self.rate_of_libtorrent("check"),
            Job::LibtorrentCreate => return self.rate_of_libtorrent("create"),
        }
        Ok(self.bytes as f64 / begun.elapsed().as_nanos() as f64)
    }

    fn rate_of_libtorrent(&mut self, job: &str) -> Result<f64> {
        let libtorrent = self.libtorrent.as_mut().ok_or("libtorrent is not installed")?;
        Ok(self.bytes as f64 / libtorrent.time(job)?.as_nanos() as f64)
    }

    fn create_with_transmission(&self) -> Result<()> {
        let mut command = Command::new(TRANSMISSION_CREATE);
        let PieceLength::Fixed(piece_length) = self.options.piece_length else { unreachable!("it is fixed") };
        command.args(["--piecesize", &(piece_length / 1024).to_string(), "--outfile"]);
        command.arg(self.file.with_extension("transmission")).arg(&self.file);
        let status = command.stdout(Stdio::null()).status()?;
        if status.success() { Ok(()) } else { Err(format!("transmission-create: {status}").into()) }
    }

    fn hash_plainly(&self) -> Result<()> {
        let mut reader = File::open(&self.file)?;
        let mut buffer = vec![0; 256 * 1024];
        let mut hasher = Sha1::new();
        loop {
            match reader.read(&mut buffer)? {
                0 => break,
                count => hasher.update(&buffer[..count]),
            }
        }
        std::hint::black_box(hasher.finish());
        Ok(())
    }
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_unstable_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// libtorrent in a process of its own.
struct Libtorrent {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Libtorrent {
    /// `None` where it is not installed.
    fn start(torrent: &Path, folder: &Path, piece_length: usize) -> Result<Option<Self>> {
        let mut import = Command::new(PYTHON);
        import.args(["-c", "import libtorrent"]).stderr(Stdio::null());
        if !import.status().is_ok_and(|status| status.success()) {
            return Ok(None);
        }
        let mut child = Command::new(PYTHON)
            .args(["-c", include_str!("recheck/libtorrent.py")])
            .args([torrent, folder])
            .args(["payload", &piece_length.to_string(), "2"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (input, output) =
            (child.stdin.take().ok_or("no input")?, child.stdout.take().ok_or("no output")?);
        Ok(Some(Self { child, input, output: BufReader::new(output) }))
    }

    /// Lets it do one job. It measures by itself, so that the way to it does not count.
    fn time(&mut self, job: &str) -> Result<Duration> {
        writeln!(self.input, "{job}")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(Duration::from_secs_f64(line.trim().parse().map_err(|_| "libtorrent gave up")?))
    }
}

impl Drop for Libtorrent {
    fn drop(&mut self) {
        // It fails only when it has ended already.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}
