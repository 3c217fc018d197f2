//! Blocks that nobody asked for.

use libtest_mimic::Trial;
use potluck_common::wire::{Message, RawSpan};

use super::peer::block;
use super::scene::{Host, Sample, UNCHANGED};
use super::{ensure, trial};
use crate::support::Outcome;
use crate::support::room::Room;

const BLOCK: u32 = 16 * 1024;
const PIECE_LENGTH: u32 = 64 * 1024;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("row_2_7_unsolicited_blocks_are_dropped_and_the_fifth_closes", unsolicited),
        trial("row_2_7_blocks_with_another_place_or_length_are_dropped_and_the_fifth_closes", misplaced),
        trial("row_2_7_a_block_after_its_cancel_is_never_written", after_cancel),
    ]
}

fn sample() -> Outcome<Sample> {
    Sample::noise(4 * PIECE_LENGTH as usize, PIECE_LENGTH)
}

/// Five blocks, of which the first four are tolerated.
async fn closes_at_the_fifth(host: &Host, peer: &mut super::peer::RawPeer, blocks: &[Message; 5]) -> Outcome {
    peer.say(&blocks[..4]).await?;
    // An answer to a request shows that all four were taken, and the connection with them.
    let asked = Message::Request(RawSpan { piece: 0, begin: 0, length: 1 });
    peer.still_answers(&[asked], |message| matches!(message, Message::Reject(_))).await?;
    peer.say_in_vain(&blocks[4..]).await;
    peer.ends_at_once("sent a fifth block that was not asked for").await?;
    host.ensure_untouched()
}

async fn unsolicited(room: &Room) -> Outcome {
    let sample = sample()?;
    let host = Host::leecher(room, &sample, UNCHANGED).await?;
    for _ in 0..3 {
        // It chokes, so it is asked for nothing. The blocks are true: that does not matter.
        let mut peer = host.greeted().await?;
        peer.say(&[Message::HaveAll]).await?;
        let blocks = std::array::from_fn(|number| {
            sample.answer(RawSpan { piece: 0, begin: number as u32 % 4 * BLOCK, length: BLOCK })
        });
        closes_at_the_fifth(&host, &mut peer, &blocks).await?;
    }
    host.shows("what came is accounted as nothing", |snapshot| snapshot.downloaded == 0).await?;
    host.shutdown().await;
    Ok(())
}

async fn misplaced(room: &Room) -> Outcome {
    let sample = sample()?;
    let host = Host::leecher(room, &sample, UNCHANGED).await?;
    let mut peer = host.asked().await?;
    // Everything is asked for: 16 requests for 16 blocks.
    let mut asked = Vec::new();
    while asked.len() < 16 {
        asked.push(peer.hear_request().await?);
    }
    let RawSpan { piece, begin, .. } = asked[0];
    let noise = vec![7; BLOCK as usize];
    let blocks = [
        block(piece, begin + 1, &noise),
        block(piece, begin, &noise[1..]),
        block(piece, u32::MAX - 5, &noise),
        block(u32::MAX, begin, &noise),
        block(piece, begin, &[]),
    ];
    closes_at_the_fifth(&host, &mut peer, &blocks).await?;

    // Nor do they keep the true ones out.
    let mut honest = host.asked().await?;
    for _ in 0..16 {
        let span = honest.hear_request().await?;
        honest.say(&[sample.answer(span)]).await?;
    }
    host.completes(20, &sample).await?;
    host.shutdown().await;
    Ok(())
}

/// In the end game two peers are asked for the last block. The one that is told to forget it sends another one, and
/// later.
async fn after_cancel(room: &Room) -> Outcome {
    let sample = Sample::noise(2 * PIECE_LENGTH as usize, PIECE_LENGTH)?;
    let host = Host::leecher(room, &sample, UNCHANGED).await?;
    let mut late = host.asked().await?;
    let mut asked = vec![late.hear_request().await?];
    let mut honest = host.asked().await?;
    for _ in 0..8 {
        let span = honest.hear_request().await?;
        honest.say(&[sample.answer(span)]).await?;
    }
    let cancelled = loop {
        match late.hear().await? {
            Message::Cancel(span) => break span,
            Message::Request(span) => asked.push(span),
            _ => {}
        }
    };
    ensure(asked.contains(&cancelled), || format!("{cancelled:?} was cancelled and never asked for"))?;
    // The connection may be closed by now, as nothing is left to ask for; what matters is the disk.
    late.say_in_vain(&vec![sample.lie(cancelled); 3]).await;
    host.completes(20, &sample).await?;
    let failures = host.torrent.snapshot().hash_failures;
    ensure(failures == 0, || format!("{failures} pieces failed their hash"))?;
    host.shutdown().await;
    host.ensure_whole(&sample)
}
