//! Row 5.8: an engine with thousands of torrents ends in time although no tracker answers.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use potluck_common::control::{Aspects, TorrentState};
use potluck_common::hash::sha1;
use potluck_common::metainfo::Metainfo;
use potluck_peer::engine::TorrentParams;
use potluck_peer::resume;
use tokio::net::TcpListener;

use super::{engine, ensure, trial_within};
use crate::support::Outcome;
use crate::support::room::Room;

const TORRENTS: usize = 5_000;
const DEADLINE: Duration = Duration::from_secs(10);
/// For a machine that is busy with other trials.
const GRACE: Duration = Duration::from_secs(5);

/// How long the machine is watched to learn how busy it is.
const WATCHED: Duration = Duration::from_millis(300);

/// To start them takes half a minute of a processor without optimisation, which other trials want as well.
const PATIENCE: Duration = Duration::from_secs(300);

pub(super) fn trials() -> Vec<Trial> {
    vec![trial_within(
        PATIENCE,
        "row_5_8_5000_torrents_with_a_dead_tracker_end_within_10_s_and_are_remembered",
        dead_trackers,
    )]
}

/// The name of a torrent, and the ten bytes of its payload.
fn name(number: usize) -> String {
    format!("tiny {number:05}")
}

fn tiny(number: usize) -> Outcome<Metainfo> {
    let name = name(number);
    let hash = sha1(name.as_bytes());
    let head = format!("d4:infod6:lengthi10e4:name{}:{name}12:piece lengthi16384e6:pieces20:", name.len());
    Ok(Metainfo::parse(&[head.as_bytes(), hash.as_ref(), b"ee"].concat())?)
}

async fn dead_trackers(room: &Room) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let tracker = format!("http://{}/announce", listener.local_addr()?);
    // It accepts and never answers.
    let silent = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let (state, folder) = (room.folder("state")?, room.folder("payload")?);
    let engine = engine(|config| config.state_dir = Some(state.clone())).await?;
    let mut torrents = Vec::new();
    for number in 0..TORRENTS {
        // One in ten is whole.
        if number.is_multiple_of(10) {
            std::fs::write(folder.join(name(number)), name(number))?;
        }
        let mut params = TorrentParams::new(tiny(number)?, folder.clone());
        params.extra_trackers.push(tracker.clone());
        // Nobody looks: lists of all of them each second would keep the processors busy with other things than the end.
        params.aspects = Aspects::NONE;
        torrents.push(engine.add(params).await?);
    }
    for torrent in &torrents {
        let runs = |state: &TorrentState| matches!(state, TorrentState::Downloading | TorrentState::Seeding);
        super::reaches(torrent, "it runs", |state| runs(&state.state)).await?;
    }
    // The ten seconds are those of a machine that has time for us: where others want it as well it is a share of them.
    let before = slowdown();
    let begin = Instant::now();
    engine.shutdown(DEADLINE.mul_f64(before)).await;
    let took = begin.elapsed();
    let busy = before.max(slowdown());
    silent.abort();
    for number in 0..TORRENTS {
        let remembered = resume::peek(&state, &tiny(number)?, &folder).ok_or("it is forgotten")?;
        let is_right = remembered.have.is_full() == number.is_multiple_of(10);
        ensure(is_right, || format!("{number}: {remembered:?}"))?;
    }
    ensure(took < (DEADLINE + GRACE).mul_f64(busy), || {
        format!("it took {took:?} on a machine that is {busy:.1} times slower than alone")
    })
}

/// How many times as long as it works a thread takes here at the moment, as it waits for a processor; 1 where it does not,
/// or where nobody can say.
fn slowdown() -> f64 {
    let before = processor_times();
    let begin = Instant::now();
    while begin.elapsed() < WATCHED {
        std::hint::spin_loop();
    }
    let times = before.zip(processor_times());
    let share = times.map(|(before, after)| {
        let [worked, waited] = [0, 1].map(|time: usize| after[time].saturating_sub(before[time]) as f64);
        (worked + waited) / worked.max(1.0)
    });
    share.unwrap_or(1.0).clamp(1.0, 20.0)
}

/// How long this thread has worked, and how long it has waited for a processor, in nanoseconds.
fn processor_times() -> Option<[u64; 2]> {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let mut times = times.split_whitespace().map(str::parse);
    Some([times.next()?.ok()?, times.next()?.ok()?])
}
