//! How many blocks per second two sessions can take and serve, without sockets, disks and hashing.
//!
//! `cargo run --release -p potluck-core --example session_throughput`
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this program is a shell: it reads a clock"
)]
#![expect(clippy::print_stdout, reason = "it prints its figure")]

use std::{net::SocketAddr, time::Instant as Clock};

use bytes::BytesMut;
use potluck_common::{Bitfield, BlockSpan, Geometry, InfoHash, Instant, PeerId, limits::BLOCK_LENGTH};
use potluck_core::session::{
    Direction, Extensions, Session, SessionCommand, SessionConfig, SessionEffect, SessionEvent,
};

/// Blocks per piece: a piece of 1 MiB.
const BLOCKS_PER_PIECE: u64 = 64;
/// 16 GiB in all.
const PIECES: u64 = 16 * 1024;
/// What a shell writes at once.
const BATCH: usize = 16;

fn main() {
    let piece_length = BLOCKS_PER_PIECE * u64::from(BLOCK_LENGTH);
    let geometry = Geometry::new(PIECES * piece_length, piece_length).expect("in bounds");
    let pieces = geometry.pieces();
    let start = Clock::now();
    let now = || Instant::from_micros(start.elapsed().as_micros() as u64 + 1);
    let mut leech = Session::new(config(geometry, Direction::Outgoing), &Bitfield::empty(pieces), now());
    let mut seed = Session::new(config(geometry, Direction::Incoming), &Bitfield::full(pieces), now());
    seed.handle(now(), SessionCommand::Unchoke);
    let spans = |piece| (0..).map_while(move |number| geometry.block(piece, number));
    let mut wanted = geometry.iter().flat_map(spans);

    let payload = vec![0x5a; BLOCK_LENGTH as usize];
    let (mut to_leech, mut to_seed) = (BytesMut::new(), BytesMut::new());
    let (mut taking, mut serving) = (0.0, 0.0);
    let mut counted = Counted::default();
    let total = PIECES * BLOCKS_PER_PIECE;
    while counted.blocks < total {
        let began = Clock::now();
        leech.receive(now(), &mut to_leech);
        counted.drain(&mut leech);
        let unchoked = !leech.remote_choking();
        if unchoked && counted.credit > 0 {
            let assigned: Vec<_> = wanted.by_ref().take(counted.credit).collect();
            counted.credit -= assigned.len();
            leech.handle(now(), SessionCommand::Assign(assigned));
            counted.drain(&mut leech);
        }
        taking += began.elapsed().as_secs_f64();
        to_seed.unsplit(leech.output().split());

        let began = Clock::now();
        seed.receive(now(), &mut to_seed);
        Counted::default().drain(&mut seed);
        let batch: Vec<BlockSpan> = std::iter::from_fn(|| seed.next_upload(now())).take(BATCH).collect();
        let headers: Vec<_> = batch.iter().map(|span| Session::piece_header(*span)).collect();
        for span in &batch {
            seed.upload_sent(now(), *span);
        }
        serving += began.elapsed().as_secs_f64();

        // What the socket would do.
        to_leech.unsplit(seed.output().split());
        to_leech.reserve(BATCH * (BLOCK_LENGTH as usize + 13));
        for header in headers {
            to_leech.extend_from_slice(&header);
            to_leech.extend_from_slice(&payload);
        }
    }
    println!("depth {}, {} blocks in {} wakes", leech.depth(), counted.blocks, counted.wakes);
    for (name, seconds) in [("taking", taking), ("serving", serving)] {
        let rate = total as f64 / seconds;
        println!("{name}: {rate:.0} blocks/s, {:.0} ns per block", 1e9 / rate);
    }
}

#[derive(Default)]
struct Counted {
    blocks: u64,
    credit: usize,
    wakes: u64,
}

impl Counted {
    fn drain(&mut self, session: &mut Session) {
        while let Some(effect) = session.poll_effect() {
            match effect {
                SessionEffect::Event(SessionEvent::Wants(credit)) => self.credit += credit as usize,
                SessionEffect::Event(SessionEvent::Received(spans)) => {
                    self.blocks += spans.len() as u64;
                    self.wakes += 1;
                }
                SessionEffect::Close(reason) => panic!("closed: {}", reason.why),
                SessionEffect::Block { .. } | SessionEffect::Event(_) => {}
            }
        }
    }
}

fn config(geometry: Geometry, direction: Direction) -> SessionConfig {
    SessionConfig {
        info_hash: InfoHash([7; 20]),
        peer_id: PeerId([direction as u8; 20]),
        direction,
        remote: SocketAddr::from(([127, 0, 0, 1], 6881)),
        geometry,
        listen_port: None,
        client: "Potluck",
        upload_only: false,
        private: false,
        extensions: Extensions::default(),
    }
}
