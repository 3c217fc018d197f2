//! Lengths that no message has, and messages that are announced and do not come.

use std::time::Duration;

use libtest_mimic::Trial;
use potluck_common::wire::Message;

use super::alone::{self, Memory};
use super::peer::{RawPeer, request};
use super::scene::{Host, Sample, UNCHANGED};
use super::{ensure, trial};
use crate::support::Outcome;
use crate::support::room::Room;

const MIB: u32 = 1024 * 1024;

/// The kinds of messages: BEP 3, 5, 6 and 10, and some that nobody knows.
const KINDS: [u8; 17] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 14, 15, 16, 17, 20, 99];

pub(super) fn trials() -> Vec<Trial> {
    vec![
        alone::trial("row_2_3_absurd_length_prefixes_close_at_once_and_cost_no_memory", absurd_lengths),
        trial("row_2_3_each_kind_of_message_has_its_lengths", wrong_lengths),
        alone::trial("row_2_4_announced_not_sent_memory", announced_not_sent),
        alone::trial("row_2_4_a_flood_of_tiny_messages_is_not_queued_in_memory", tiny_messages),
    ]
}

/// The first five bytes of a message.
fn prefix(length: u32, kind: u8) -> Vec<u8> {
    [&length.to_be_bytes()[..], &[kind]].concat()
}

async fn closes_at(host: &Host, length: u32, kind: u8) -> Outcome {
    let mut peer = host.greeted().await?;
    peer.send(&prefix(length, kind)).await?;
    peer.ends_at_once(&format!("announced a message of kind {kind} and {length} bytes")).await
}

async fn absurd_lengths(room: &Room) -> Outcome {
    // Of 9 pieces.
    let sample = Sample::noise(9 * 32 * 1024, 32 * 1024)?;
    let host = Host::seeder(room, &sample, UNCHANGED).await?;
    closes_at(&host, 16 * MIB, 0).await?;
    let memory = Memory::watch()?;
    for length in [0x8000_0000, 0x8000_0001, 0xffff_fffe, 0xffff_ffff, 16 * MIB] {
        for kind in KINDS {
            closes_at(&host, length, kind).await?;
        }
    }
    memory.ensure_below(u64::from(2 * MIB))?;
    host.shutdown().await;
    Ok(())
}

async fn wrong_lengths(room: &Room) -> Outcome {
    let sample = Sample::noise(9 * 32 * 1024, 32 * 1024)?;
    let host = Host::seeder(room, &sample, UNCHANGED).await?;
    for kind in [0, 1, 2, 3, 14, 15] {
        closes_at(&host, 2, kind).await?;
    }
    for (kind, right) in [(4, 5), (13, 5), (17, 5), (6, 13), (8, 13), (16, 13), (9, 3)] {
        closes_at(&host, right - 1, kind).await?;
        closes_at(&host, right + 1, kind).await?;
    }
    for (kind, wrong) in [
        (5, [2, 4]),
        (7, [8, 9 + 16 * 1024 + 1]),
        (20, [1, 2 + 128 * 1024 + 1]),
        // Whatever it means, it is not skipped at any length.
        (99, [64 * 1024 + 1, MIB]),
    ] {
        for length in wrong {
            closes_at(&host, length, kind).await?;
        }
    }
    let mut peer = host.greeted().await?;
    peer.send(&[&prefix(64 * 1024 + 3, 20)[..], &[0]].concat()).await?;
    peer.ends_at_once("announced an extended handshake above 64 KiB").await?;
    host.shutdown().await;
    Ok(())
}

async fn announced_not_sent(room: &Room) -> Outcome {
    let sample = Sample::noise(9 * 32 * 1024, 32 * 1024)?;
    let host = Host::seeder(room, &sample, UNCHANGED).await?;
    // As many connections as below, so that what they cost is not counted.
    let peers = trickling(&host, &prefix(2 + 128 * 1024, 20)).await?;
    drop(peers);

    let memory = Memory::watch()?;
    for _ in 0..16 {
        closes_at(&host, MIB, 20).await?;
    }
    let mut held = Vec::new();
    // The most that each kind may announce.
    for announced in [prefix(2 + 128 * 1024, 20), prefix(64 * 1024, 99), prefix(9 + 16 * 1024, 7)] {
        held.extend(trickling(&host, &announced).await?);
    }
    memory.ensure_below(u64::from(2 * MIB))?;
    for mut peer in held {
        let closed = peer.ends_within(Duration::from_millis(1)).await;
        ensure(!closed, || "a message that is under way was not waited for".into())?;
    }
    host.shutdown().await;
    Ok(())
}

/// Sixteen peers that announce a message and send some bytes of it, one at a time.
async fn trickling(host: &Host, announced: &[u8]) -> Outcome<Vec<RawPeer>> {
    let mut peers = Vec::new();
    for _ in 0..16 {
        let mut peer = host.greeted().await?;
        peer.send(announced).await?;
        peers.push(peer);
    }
    for _ in 0..20 {
        for peer in &mut peers {
            peer.send(&[1]).await?;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(peers)
}

/// Each is eight bytes on the wire and many times that as an event; the torrent is slower than the sockets.
async fn tiny_messages(room: &Room) -> Outcome {
    let sample = Sample::noise(9 * 32 * 1024, 32 * 1024)?;
    let host = Host::seeder(room, &sample, UNCHANGED).await?;
    let tiny = Message::Extended { id: 0, payload: b"de"[..].into() };
    let flood = async || {
        let mut peer = host.greeted().await?;
        peer.say(&[Message::HaveNone]).await?;
        peer.flood(std::iter::repeat_n(tiny.clone(), 200_000)).await;
        Outcome::Ok(())
    };
    let memory = Memory::watch()?;
    tokio::try_join!(flood(), flood(), flood(), flood())?;
    let mut peer = host.greeted().await?;
    peer.say(&[Message::HaveNone, Message::Interested]).await?;
    peer.hear_this(&Message::Unchoke).await?;
    let whole = request(0, 0, 16 * 1024);
    peer.still_answers(&[whole], |message| matches!(message, Message::Piece { .. })).await?;

    memory.ensure_below(u64::from(16 * MIB))?;
    host.shutdown().await;
    Ok(())
}
