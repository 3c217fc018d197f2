//! Row 5.2 of the threat table: a download is killed (-9) at random moments, again and again.
//!
//! After each kill every piece that is claimed must hash right, and the next start must check what was not claimed and
//! nothing else. Ten kills by default; `POTLUCK_KILLS` says how many (`just kills`), `POTLUCK_KILLS_SEED` repeats a run.

use std::{
    fs,
    io::{self, Write as _},
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use libtest_mimic::Trial;
use potluck_common::{Bitfield, Rng, metainfo::Metainfo};
use potluck_peer::{
    check::{Findings, check_noting},
    disk::{Layout, OpenFiles, Progress, Storage},
    resume::{FileMark, ResumeState, peek},
};
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    sandbox::{Running, Sandbox, assert_same},
    test,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![test("row_5_2_kills_cost_nothing_that_was_claimed", kills_cost_nothing_that_was_claimed)]
}

/// What the seeder sends a second, so that a download lasts for several kills.
const RATE: &str = "4M";
/// The moments of the kills, after the start.
const LIFE_MS_MIN: u32 = 50;
const LIFE_MS_RANGE: u32 = 1_400;
/// Often enough that most kills find something claimed.
const STATE_INTERVAL_MS: u32 = 100;

fn kills_cost_nothing_that_was_claimed() {
    let setting = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let kills = setting("POTLUCK_KILLS").unwrap_or(10) as usize;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seed = setting("POTLUCK_KILLS_SEED").unwrap_or(now);
    say(&format!("{kills} kills, POTLUCK_KILLS_SEED={seed}"));
    let mut rng = Rng::new(seed);
    // Half in a torrent of several files, half in one of a single one.
    let mut total = Tally::default();
    for (kills, files) in [
        (
            kills.div_ceil(2),
            &[(3_000_000, "d/a"), (0, "d/empty"), (12_000_123, "d/big"), (70_001, "d/z")][..],
        ),
        (kills / 2, &[(15_000_000, "d")][..]),
    ] {
        let scene = Scene::new(files);
        let tally = scene.kill(kills, &mut rng);
        say(&format!("{} file(s): {tally:?}", files.len()));
        total.claimed += tally.claimed;
    }
    assert!(kills < 10 || total.claimed > 0, "kills that find nothing claimed prove nothing");
}

/// Tells whoever runs it by hand.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// What was seen.
#[derive(Default, Debug)]
struct Tally {
    kills: usize,
    /// Downloads that came to their end.
    completed: usize,
    /// Kills that found something claimed.
    with_claims: usize,
    /// Pieces, summed over the starts after a kill: claimed, read and hashed again, and not there.
    claimed: u64,
    rechecked: u64,
    absent: u64,
}

/// A torrent, its seeder and its folder.
struct Scene {
    sandbox: Sandbox,
    metainfo: Metainfo,
    _seed: Running,
    line: String,
}

impl Scene {
    fn new(files: &[(usize, &str)]) -> Self {
        let sandbox = Sandbox::new();
        for (number, (length, name)) in files.iter().enumerate() {
            sandbox.file(&format!("src/{name}"), *length, number as u64 + 1);
        }
        sandbox.create("src/d --piece 32k -o d.torrent");
        let (seed, address) = sandbox.seed(&format!("d.torrent -o src --up {RATE}"));
        let metainfo = Metainfo::parse(&fs::read(sandbox.path("d.torrent")).expect("made")).expect("valid");
        let line = format!(
            "get d.torrent -o dst --json --port 0 --bind {} --peer {address} --state-interval-ms {STATE_INTERVAL_MS}",
            sandbox.ip()
        );
        Self { sandbox, metainfo, _seed: seed, line }
    }

    /// Kills so often, and lets the last download come to its end.
    fn kill(&self, kills: usize, rng: &mut Rng) -> Tally {
        let mut tally = Tally::default();
        let mut before = Expected::nothing(self.metainfo.geometry().pieces());
        while tally.kills < kills {
            let mut get = self.sandbox.start(&self.line);
            let life = Duration::from_millis(u64::from(LIFE_MS_MIN + rng.below(LIFE_MS_RANGE)));
            if get.ends_within(life) {
                self.completes(get, &before, &mut tally);
                before = Expected::nothing(self.metainfo.geometry().pieces());
                self.begin_anew();
                continue;
            }
            get.signal(Signal::KILL);
            let done = get.finish();
            before.agrees_with(&done.stdout, &mut tally);
            tally.kills += 1;
            before = self.look(&before);
            tally.with_claims += usize::from(before.claimed > 0);
        }
        self.completes(self.sandbox.start(&self.line), &before, &mut tally);
        tally
    }

    fn completes(&self, get: Running, before: &Expected, tally: &mut Tally) {
        let done = get.finish();
        assert_eq!(done.code, Some(0), "{done:?}");
        before.agrees_with(&done.stdout, tally);
        assert_same(&self.sandbox.path("src/d"), &self.sandbox.path("dst/d"));
        let state = self.state().expect("it was kept");
        assert!(state.have.is_full(), "{state:?}");
        assert!(state.files.iter().all(|mark| matches!(mark, FileMark::Settled(_))), "{state:?}");
        let again = self.sandbox.potluck(&self.line);
        let checked = checked(&again.stdout).expect("it looks at what is there");
        assert_eq!(checked["rechecked"], 0, "{again:?}");
        tally.completed += 1;
    }

    fn begin_anew(&self) {
        fs::remove_dir_all(self.sandbox.path("dst")).expect("there");
        fs::remove_dir_all(self.sandbox.path("state")).expect("there");
    }

    fn state(&self) -> Option<ResumeState> {
        peek(&self.sandbox.path("state"), &self.metainfo, &self.folder())
    }

    fn folder(&self) -> PathBuf {
        self.sandbox.path("dst")
    }

    /// What a kill left: whether every claim holds, and what the next start has to find.
    fn look(&self, before: &Expected) -> Expected {
        let pieces = self.metainfo.geometry().pieces();
        let state = self.state();
        assert!(state.is_some() || before.generation == 0, "a state was lost");
        let state = state.unwrap_or(ResumeState {
            info_hash: self.metainfo.info_hash(),
            generation: 0,
            have: Bitfield::empty(pieces),
            known: Bitfield::empty(pieces),
            once: Bitfield::empty(pieces),
            files: Vec::new(),
            downloaded: 0,
            uploaded: 0,
            peers: Vec::new(),
        });
        assert!(state.generation >= before.generation, "an older state came back");
        let claimed = self.check(&state.have);
        assert_eq!(claimed.have, state.have, "every piece that is claimed hashes right");
        // While it is written to, what is not claimed may have come; before that, what is known is known.
        let is_written_to = state.files.iter().any(|mark| matches!(mark, FileMark::Writing(_)));
        let settled = if is_written_to { &state.have } else { &state.known };
        let mut others = Bitfield::full(pieces);
        for piece in settled.iter(&self.metainfo.geometry()) {
            others.remove(piece);
        }
        let found = self.check(&others);
        Expected {
            generation: state.generation,
            claimed: state.have.count(),
            have: state.have.count() + found.have.count(),
            rechecked: found.read,
            pieces,
        }
    }

    fn check(&self, only: &Bitfield) -> potluck_peer::check::Found {
        let layout = Layout::from_metainfo(&self.metainfo, self.folder()).expect("valid");
        let storage = Storage::new(layout, &OpenFiles::new(8));
        let findings = Findings::new(self.metainfo.geometry().pieces());
        check_noting(&storage, Some(only), 2, &Progress::new(), &findings).expect("checked");
        findings.so_far()
    }
}

/// What a start has to find.
#[derive(Debug)]
struct Expected {
    generation: u64,
    claimed: u32,
    have: u32,
    rechecked: u32,
    pieces: u32,
}

impl Expected {
    fn nothing(pieces: u32) -> Self {
        Self { generation: 0, claimed: 0, have: 0, rechecked: 0, pieces }
    }

    /// Compares with what the start said, if it came so far.
    fn agrees_with(&self, stdout: &str, tally: &mut Tally) {
        let Some(checked) = checked(stdout) else { return };
        assert_eq!(checked["have"], self.have, "{self:?} {checked}");
        assert_eq!(
            checked["rechecked"], self.rechecked,
            "only what was not claimed is read: {self:?} {checked}"
        );
        tally.claimed += u64::from(self.claimed);
        tally.rechecked += u64::from(self.rechecked);
        tally.absent += u64::from(self.pieces - self.have);
    }
}

/// The event of this name, if it came. The last line may be torn.
fn checked(stdout: &str) -> Option<Value> {
    let events = stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.into_iter().find(|event| event["event"] == "checked")
}
