//! Our engine with itself over loopback: payloads of every awkward shape.

use std::path::PathBuf;
use std::time::Duration;

use libtest_mimic::Trial;

use crate::ours::Ours;
use crate::support::payload::{Payload, Plan};
use crate::support::room;
use crate::support::tracker::Meeting;
use crate::support::transfer::transfer;

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
    SHAPES.iter().map(trial).collect()
}
