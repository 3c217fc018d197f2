//! How fast a payload in the page cache is checked, and a torrent made of it.
//!
//! `cargo bench -p potluck-peer --bench recheck` does both with one thread and with two, in turn with what each is
//! compared with: one thread that reads the same file and hashes it with the `sha1` crate. Prints each round and the
//! medians as ratios to that. `POTLUCK_BENCH_MIB`, `POTLUCK_BENCH_PIECE_KIB` and `POTLUCK_BENCH_ROUNDS` change the
//! amount.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    error::Error,
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
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
}

const JOBS: [Job; 5] = [
    Job::Plain,
    Job::Check { threads: 1 },
    Job::Check { threads: 2 },
    Job::Create { threads: 1 },
    Job::Create { threads: 2 },
];

fn main() -> Result<()> {
    let setting =
        |name, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let mebibytes: usize = setting("POTLUCK_BENCH_MIB", 1024);
    let piece_length = setting("POTLUCK_BENCH_PIECE_KIB", 1024) * 1024;
    let rounds = setting("POTLUCK_BENCH_ROUNDS", 7);
    let folder = tempfile::tempdir_in(std::env::current_exe()?.parent().ok_or("no folder")?)?;
    let bench = Bench::prepare(folder.path(), mebibytes, piece_length)?;
    println!("{mebibytes} MiB in pieces of {} KiB, {rounds} rounds after a warm-up", piece_length / 1024);
    let mut rates = vec![Vec::new(); JOBS.len()];
    for round in 0..=rounds {
        for (job, rates) in JOBS.iter().zip(&mut rates) {
            let rate = bench.rate(*job)?;
            if round > 0 {
                rates.push(rate);
            }
        }
    }
    let medians: Vec<f64> = rates.iter_mut().map(|rates| median(rates)).collect();
    for (job, rate) in JOBS.iter().zip(&medians) {
        println!("{:24} {rate:5.2} GB/s  {:.2}", format!("{job:?}"), rate / medians[0]);
    }
    Ok(())
}

struct Bench {
    file: PathBuf,
    options: Options,
    storage: Arc<Storage>,
    bytes: usize,
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
        Ok(Self { file, options, storage, bytes: mebibytes * 1024 * 1024 })
    }

    /// Bytes per nanosecond.
    fn rate(&self, job: Job) -> Result<f64> {
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
        }
        Ok(self.bytes as f64 / begun.elapsed().as_nanos() as f64)
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
