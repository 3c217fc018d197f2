//! What a peer may not ask for, and how often.

use libtest_mimic::Trial;
use potluck_common::wire::{Message, RawSpan, Reserved};

use super::alone::{self, Memory};
use super::peer::{RawPeer, new_id, request};
use super::scene::{Host, Sample, UNCHANGED};
use super::{ensure, trial};
use crate::support::Outcome;
use crate::support::room::Room;

const BLOCK: u32 = 16 * 1024;
const PIECE_LENGTH: u32 = 64 * 1024;
/// The last piece is short.
const TOTAL: u32 = 9 * PIECE_LENGTH + 100;

/// What we advertise as `reqq`.
const QUEUE: usize = 500;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("row_2_6_invalid_requests_get_rejects_and_never_a_block", invalid),
        trial("row_2_6_requests_while_choked_get_rejects_and_then_the_end", choked),
        alone::trial("row_2_6_a_flood_of_requests_unread_costs_no_memory", flood),
        alone::trial("row_2_6_a_flood_of_requests_and_cancels_unread_costs_no_memory", flood_with_cancels),
        trial("row_2_6_without_a_word_for_no_a_full_queue_ends_the_connection", flood_without_fast),
    ]
}

fn sample() -> Outcome<Sample> {
    Sample::noise(TOTAL as usize, PIECE_LENGTH)
}

/// Everything that must not be answered with a block, and why.
const INVALID: [(&str, RawSpan); 12] = {
    const fn span(piece: u32, begin: u32, length: u32) -> RawSpan {
        RawSpan { piece, begin, length }
    }
    [
        ("past the last piece", span(10, 0, BLOCK)),
        ("piece 2^32 - 1", span(u32::MAX, 0, BLOCK)),
        ("past the end of its piece", span(0, PIECE_LENGTH - BLOCK + 1, BLOCK)),
        ("at the end of its piece", span(0, PIECE_LENGTH, 1)),
        ("past the end of the short piece", span(9, 0, 101)),
        ("behind the short piece", span(9, 100, 1)),
        ("wrapping to the beginning", span(0, u32::MAX, 2)),
        ("wrapping in 32 bits", span(0, u32::MAX - BLOCK + 1, BLOCK)),
        ("of no bytes", span(0, 0, 0)),
        ("of 16 KiB and a byte", span(0, 0, BLOCK + 1)),
        ("of 32 KiB", span(0, 0, 2 * BLOCK)),
        ("of 2^32 - 1 bytes", span(0, 0, u32::MAX)),
    ]
};

async fn invalid(room: &Room) -> Outcome {
    let sample = sample()?;
    let host = Host::seeder(room, &sample, UNCHANGED).await?;
    let mut peer = host.unchoked().await?;
    let good = RawSpan { piece: 9, begin: 3, length: 97 };
    for (what, span) in INVALID {
        peer.say(&[Message::Request(span), Message::Request(good)]).await?;
        let mut answers = Vec::new();
        while answers.len() < 2 {
            let message = peer.hear().await?;
            if matches!(message, Message::Piece { .. } | Message::Reject(_)) {
                answers.push(message);
            }
        }
        ensure(answers == [Message::Reject(span), sample.answer(good)], || {
            format!("a request {what}: {answers:?}")
        })?;
    }
    // Some are forgiven, but not for ever.
    peer.say_in_vain(&vec![request(10, 0, BLOCK); 32]).await;
    peer.ends_at_once("sent 44 invalid requests").await?;
    host.shutdown().await;
    Ok(())
}

async fn choked(room: &Room) -> Outcome {
    let host = Host::seeder(room, &sample()?, &|_, params| params.slots = Some(0)).await?;
    let mut peer = host.greeted().await?;
    peer.say(&[Message::HaveNone, Message::Interested]).await?;
    let asked = RawSpan { piece: 0, begin: 0, length: BLOCK };
    peer.say(&vec![Message::Request(asked); 300]).await?;
    for _ in 0..300 {
        peer.hear_this(&Message::Reject(asked)).await?;
    }
    peer.say_in_vain(&vec![Message::Request(asked); 300]).await;
    peer.ends_at_once("sent 600 requests while choked").await?;
    let heard = peer.heard()?;
    ensure(!heard.iter().any(|message| matches!(message, Message::Piece { .. })), || {
        "a block came although it was choked".into()
    })?;
    host.shutdown().await;
    Ok(())
}

/// As many different requests as one likes, each of them good.
fn many(count: u32) -> impl Iterator<Item = RawSpan> {
    let begins = PIECE_LENGTH - BLOCK;
    (0..count).map(move |number| RawSpan {
        piece: number / begins % 9,
        begin: number % begins,
        length: BLOCK,
    })
}

async fn warmed_up(room: &Room, sample: &Sample) -> Outcome<Host> {
    let host = Host::seeder(room, sample, UNCHANGED).await?;
    let mut peer = host.unchoked().await?;
    for span in many(64) {
        peer.still_answers(&[Message::Request(span)], |message| matches!(message, Message::Piece { .. }))
            .await?;
    }
    Ok(host)
}

async fn flood(room: &Room) -> Outcome {
    let sample = sample()?;
    let host = warmed_up(room, &sample).await?;
    let mut peer = host.unchoked().await?;
    let memory = Memory::watch()?;
    peer.flood(many(100_000).map(Message::Request)).await;
    memory.ensure_below(8 * 1024 * 1024)?;

    peer.ends_at_once("sent 100,000 requests").await?;
    let heard = peer.heard()?;
    let mut blocks = 0;
    for message in &heard {
        if let Message::Piece { piece, begin, payload } = message {
            let span = RawSpan { piece: *piece, begin: *begin, length: payload.len() as u32 };
            ensure(*payload == sample.bytes(span), || format!("a wrong block for {span:?}"))?;
            blocks += 1;
        }
    }
    // The queue, and what was on its way to the socket, which the system's buffers make a little more.
    ensure(blocks <= 2 * QUEUE, || format!("{blocks} blocks were sent"))?;
    host.shutdown().await;
    Ok(())
}

async fn flood_with_cancels(room: &Room) -> Outcome {
    let sample = sample()?;
    let host = warmed_up(room, &sample).await?;
    let mut peer = host.unchoked().await?;
    let memory = Memory::watch()?;
    peer.flood(many(1_500_000).flat_map(|span| [Message::Request(span), Message::Cancel(span)])).await;
    memory.ensure_below(8 * 1024 * 1024)?;
    host.shutdown().await;
    Ok(())
}

async fn flood_without_fast(room: &Room) -> Outcome {
    let sample = sample()?;
    let host = Host::seeder(room, &sample, UNCHANGED).await?;
    let mut peer = RawPeer::greet(host.address, host.torrent.info_hash(), new_id(), Reserved::NONE).await?;
    peer = peer.knowing(&sample.geometry());
    peer.say(&[Message::Interested]).await?;
    peer.hear_this(&Message::Unchoke).await?;
    peer.flood(many(20_000).map(Message::Request)).await;
    peer.ends_at_once("sent 20,000 requests").await?;
    host.shutdown().await;
    Ok(())
}
