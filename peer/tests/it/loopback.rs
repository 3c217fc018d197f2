//! Our engine with itself over loopback: payloads of every awkward shape.

use std::path::PathBuf;
use std::time::Duration;

use libtest_mimic::Trial;
use potluck_peer::engine::Intent;

use crate::clients::Running as _;
use crate::ours::{self, DOWNLOAD, Ours, Settings};
use crate::support::payload::{Payload, Plan};
use crate::support::room::{self, Room};
use crate::support::tracker::{self, Meeting};
use crate::support::transfer::{job, transfer};
use crate::support::{Outcome, wait_for};

const PATIENCE: Duration = Duration::from_secs(60);

const KIB: u64 = 1024;

/// One shape of a payload.
struct Shape {
    name: &'static str,
    piece_length: u64,
    /// Lengths of the files in bytes; one alone is a torrent without a folder.
    files: &'static [u64],
}

const SHAPES: &[Shape] = &[
    Shape { name: "one_byte", piece_length: 16 * KIB, files: &[1] },
    Shape { name: "one_piece_exactly", piece_length: 32 * KIB, files: &[32 * KIB] },
    Shape { name: "one_short_piece", piece_length: 64 * KIB, files: &[33 * KIB + 1] },
    Shape { name: "last_piece_of_one_byte", piece_length: 32 * KIB, files: &[320 * KIB + 1] },
    Shape { name: "pieces_of_one_byte", piece_length: 1, files: &[300] },
    Shape { name: "pieces_of_1000_bytes", piece_length: 1_000, files: &[123_456] },
    Shape { name: "pieces_of_16_kib_and_1", piece_length: 16 * KIB + 1, files: &[500_000] },
    Shape { name: "pieces_of_40_kib", piece_length: 40 * KIB, files: &[1_000_000] },
    Shape { name: "pieces_of_1_mib_less_1", piece_length: KIB * KIB - 1, files: &[5_000_000] },
    Shape { name: "one_piece_of_4_mib", piece_length: 4 * KIB * KIB, files: &[4 * KIB * KIB] },
    Shape { name: "a_file_and_an_empty_one", piece_length: 16 * KIB, files: &[100_000, 0] },
    Shape { name: "empty_files_first_and_last", piece_length: 16 * KIB, files: &[0, 0, 70_000, 0, 5, 0] },
    Shape { name: "only_an_empty_file", piece_length: 16 * KIB, files: &[0] },
    Shape { name: "many_files_in_one_piece", piece_length: 256 * KIB, files: &[7; 100] },
    Shape {
        name: "files_that_end_at_pieces",
        piece_length: 16 * KIB,
        files: &[16 * KIB, 32 * KIB, 16 * KIB],
    },
    Shape {
        name: "files_across_odd_pieces",
        piece_length: 33_333,
        files: &[1, 99_999, 33_333, 2, 66_665, 50_000],
    },
];

impl Shape {
    fn plan(&self) -> Plan {
        let file =
            |(number, length): (usize, &u64)| (PathBuf::from(format!("{}/{number}", number % 3)), *length);
        match self.files {
            [length] => Plan::single(self.name, *length, self.piece_length),
            files => Plan {
                name: self.name.into(),
                piece_length: self.piece_length,
                files: files.iter().enumerate().map(file).collect(),
            },
        }
    }
}

/// The trials of this file.
pub(crate) fn trials() -> Vec<Trial> {
    let trial = |shape: &'static Shape| {
        Trial::test(format!("loopback::{}", shape.name), move || {
            room::run(PATIENCE, |room| {
                let payload = Payload::make(&shape.plan())?;
                transfer(room, &Ours, &Ours, &payload, Meeting::OursHttp)
            })
        })
    };
    let mut trials: Vec<_> = SHAPES.iter().map(trial).collect();
    trials.push(Trial::test("loopback::an_interrupted_download_goes_on_from_what_is_there", || {
        room::run(PATIENCE, interrupted_download)
    }));
    trials
}

/// The first run is ended when it has a third; the second must not fetch that again.
fn interrupted_download(room: &Room) -> Outcome {
    const TOTAL: u64 = 6 * 1024 * 1024;
    let payload = Payload::make(&Plan::single("interrupted.bin", TOTAL, 64 * KIB))?;
    let tracker = tracker::start(room, Meeting::OursHttp, payload.info_hash())?;
    let seeding = job(room, "seeder", &payload, tracker.announce_url())?;
    payload.copy_to(&seeding.payload_folder, false)?;
    let seeder =
        ours::start(&seeding, Settings { intent: Intent::Seed, up_limit: Some(TOTAL / 3), ..DOWNLOAD })?;
    tracker.wait_for_peers(1, room.deadline)?;

    let leeching = job(room, "leecher", &payload, tracker.announce_url())?;
    let first = ours::start(&leeching, DOWNLOAD)?;
    wait_for(room.deadline, "a third is there", || {
        Ok((first.snapshot().have_size >= TOTAL / 3).then_some(()))
    })?;
    drop(first);

    let mut second = ours::start(&leeching, DOWNLOAD)?;
    second.wait_complete("the second run completes", room.deadline)?;
    let fetched = second.snapshot().downloaded;
    drop((seeder, second));
    payload.check_copy(&leeching.payload_folder, true)?;
    if fetched > TOTAL * 2 / 3 {
        return Err(format!("the second run fetched {fetched} bytes of {TOTAL}").into());
    }
    Ok(())
}
