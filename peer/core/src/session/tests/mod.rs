//! Behaviour and abuse of sessions.

mod asking;
mod deadlines;
mod hostile;
mod metadata;
mod pair;
mod properties;
mod subject;
mod transfer;

use std::net::SocketAddr;

use potluck_common::{Bitfield, BlockSpan, Geometry, InfoHash, PeerId, PieceIndex, limits::BLOCK_LENGTH};

use super::{Direction, Extensions, SessionConfig};

/// Six and a half blocks in three pieces of 40,000 bytes (three blocks each, the third short) and a short last piece.
fn small_geometry() -> Geometry {
    Geometry::new(3 * 40_000 + 500, 40_000).expect("valid")
}

/// This many pieces of one block.
fn blocks_geometry(pieces: u32) -> Geometry {
    Geometry::new(u64::from(pieces) * u64::from(BLOCK_LENGTH), u64::from(BLOCK_LENGTH)).expect("valid")
}

fn config(geometry: Geometry, direction: Direction) -> SessionConfig {
    let (id, remote) = match direction {
        Direction::Outgoing => (1, SocketAddr::from(([127, 0, 0, 2], 6881))),
        Direction::Incoming => (2, SocketAddr::from(([127, 0, 0, 1], 50_000))),
    };
    SessionConfig {
        info_hash: InfoHash([7; 20]),
        peer_id: PeerId([id; 20]),
        direction,
        remote,
        geometry,
        listen_port: Some(6881),
        client: "Potluck 0.1.0",
        upload_only: false,
        private: false,
        extensions: Extensions::default(),
    }
}

fn all_blocks(geometry: &Geometry) -> Vec<BlockSpan> {
    let blocks_of = |piece| (0..).map_while(move |number| geometry.block(piece, number));
    geometry.iter().flat_map(blocks_of).collect()
}

fn piece(geometry: &Geometry, number: u32) -> PieceIndex {
    geometry.piece(number).expect("exists")
}

fn field(geometry: &Geometry, pieces: &[u32]) -> Bitfield {
    let mut field = Bitfield::empty(geometry.pieces());
    for number in pieces {
        field.insert(piece(geometry, *number));
    }
    field
}
