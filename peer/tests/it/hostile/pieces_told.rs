//! What a peer says that it has.

use libtest_mimic::Trial;
use potluck_common::wire::{Message, Reserved};
use potluck_common::{Bitfield, Rng};

use super::peer::{RawPeer, new_id};
use super::scene::{Host, Sample, UNCHANGED};
use super::{ensure, trial};
use crate::support::Outcome;
use crate::support::room::Room;

/// Nine pieces: two bytes of bitfield, seven spare bits.
const PIECES: usize = 9;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("row_2_5_wrong_bitfields_and_haves_close", wrong),
        trial("row_2_5_late_repeated_and_empty_bitfields_are_taken", repeated),
    ]
}

fn sample() -> Outcome<Sample> {
    Sample::noise(PIECES * 32 * 1024 - 5, 32 * 1024)
}

fn bitfield(bytes: &[u8]) -> Message {
    Message::Bitfield(bytes.to_vec().into())
}

async fn wrong(room: &Room) -> Outcome {
    let host = Host::leecher(room, &sample()?, UNCHANGED).await?;
    for (why, message) in [
        ("sent a short bitfield", bitfield(&[0xff])),
        ("sent a long bitfield", bitfield(&[0xff, 0x80, 0])),
        ("set the first spare bit", bitfield(&[0, 0x40])),
        ("set the last spare bit", bitfield(&[0, 0x01])),
        ("has piece 9 of 9", Message::Have(PIECES as u32)),
        ("has piece 2^31", Message::Have(1 << 31)),
        ("has piece 2^32 - 1", Message::Have(u32::MAX)),
        ("suggests piece 9 of 9", Message::Suggest(PIECES as u32)),
        ("allows piece 2^32 - 1", Message::AllowedFast(u32::MAX)),
    ] {
        let mut peer = host.greeted().await?;
        peer.say(&[message]).await?;
        peer.ends_at_once(why).await?;
    }
    let mut peer =
        RawPeer::greet(host.address, host.torrent.info_hash(), new_id(), Reserved::EXTENDED).await?;
    peer.say(&[Message::HaveAll]).await?;
    peer.ends_at_once("used the fast extension without saying so").await?;
    host.shutdown().await;
    Ok(())
}

async fn repeated(room: &Room) -> Outcome {
    let sample = sample()?;
    let geometry = sample.geometry();
    let host = Host::leecher(room, &sample, UNCHANGED).await?;
    let mut fickle = host.greeted().await?;
    let mut other = host.greeted().await?;
    let mut rng = Rng::new(25);
    let mut last = Bitfield::empty(geometry.pieces());
    for _ in 0..1_000 {
        last = Bitfield::empty(geometry.pieces());
        for piece in geometry.iter().filter(|_| rng.below(2) == 0) {
            last.insert(piece);
        }
        fickle.say(&[bitfield(last.as_wire()), Message::KeepAlive]).await?;
    }
    // Late, after other messages, and repeated word for word.
    let haves = Message::Have(8);
    other.say(&[Message::NotInterested, haves.clone(), bitfield(&[0xf0, 0]), haves, bitfield(&[])]).await?;
    other.say(&[bitfield(&[0x0f, 0]), bitfield(&[0x0f, 0])]).await?;

    let mut other_has = Bitfield::empty(geometry.pieces());
    for piece in geometry.iter().filter(|piece| (4..8).contains(&piece.get())) {
        other_has.insert(piece);
    }
    let expected: Vec<u16> =
        geometry.iter().map(|piece| u16::from(last.has(piece)) + u16::from(other_has.has(piece))).collect();
    host.shows("the availability agrees with a recount", |snapshot| {
        snapshot.detail.pieces.iter().map(|state| state.availability).eq(expected.iter().copied())
    })
    .await?;
    ensure(host.torrent.snapshot().detail.peers.len() == 2, || "a peer was closed for its bitfields".into())?;

    // And what was said last is what we are asked for.
    ensure(last.count() > 0, || "the seed makes an empty bitfield".into())?;
    fickle.say(&[Message::Unchoke]).await?;
    let asked = fickle.hear_request().await?;
    let piece = geometry.piece(asked.piece).ok_or("a request for no piece")?;
    ensure(last.has(piece), || format!("asked for piece {}, which it does not have", asked.piece))?;
    host.shutdown().await;
    Ok(())
}
