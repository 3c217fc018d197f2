//! Peers that ask for much and read nothing.

use libtest_mimic::Trial;
use potluck_common::wire::Message;

use super::alone::{self, Memory};
use super::peer::{RawPeer, request};
use super::scene::{Host, Sample};
use crate::support::Outcome;
use crate::support::room::Room;

const MIB: u32 = 1024 * 1024;
const PIECES: u32 = 480;

/// What the engine may keep of what it read, in bytes.
const CACHE: u64 = 8 * MIB as u64;

pub(super) fn trials() -> Vec<Trial> {
    vec![alone::trial("peers_that_never_read_hold_little_memory", never_reading)]
}

/// Each block of a request lies in another chunk of what is read from the disk: whoever keeps the one must not keep
/// the other.
async fn never_reading(room: &Room) -> Outcome {
    let sample = Sample::zeros(PIECES as usize, MIB)?;
    let host = Host::seeder(room, &sample, &|config, _| config.cache_bytes_max = CACHE).await?;
    let requests: Vec<_> = (0..PIECES).map(|piece| request(piece, 0, 16 * 1024)).collect();
    // What is read for one who reads fills the cache and the spare buffers.
    let mut honest = host.unchoked().await?;
    read_all(&mut honest, &requests).await?;
    let memory = Memory::watch()?;
    let mut stuck: Vec<RawPeer> = Vec::new();
    for _ in 0..4 {
        let mut peer = host.unchoked().await?;
        peer.say(&requests).await?;
        stuck.push(peer);
    }
    // Time enough for the others to be given all that they get.
    for _ in 0..4 {
        read_all(&mut honest, &requests).await?;
    }
    memory.ensure_below(32 * u64::from(MIB))?;
    host.shutdown().await;
    Ok(())
}

async fn read_all(peer: &mut RawPeer, requests: &[Message]) -> Outcome {
    peer.say(requests).await?;
    for _ in requests {
        peer.hear_until(|message| matches!(message, Message::Piece { .. }).then_some(())).await?;
    }
    Ok(())
}
