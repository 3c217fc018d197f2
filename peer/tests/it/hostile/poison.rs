//! Peers that give false blocks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;
use potluck_common::control::EventKind;
use potluck_common::wire::{Message, RawSpan};

use super::peer::{RawPeer, new_id};
use super::scene::{Host, Sample, drain};
use super::{ensure, trial};
use crate::support::Outcome;
use crate::support::room::Room;

const PIECE_LENGTH: u32 = 64 * 1024;
const PIECES: usize = 64;

/// What the honest give, in bytes per second: slow enough that a poisoner is asked, too.
const HONEST_RATE: u64 = 2 * 1024 * 1024;

/// Bad pieces before a lone poisoner must be banned.
const BAD_PIECES_MAX: usize = 5;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("row_2_8_a_lone_poisoner_is_banned_within_five_bad_pieces", async |room: &Room| {
            beside_a_seeder(room, |_| true).await
        }),
        trial("row_2_8_a_poisoner_of_single_blocks_is_banned_within_five_bad_pieces", async |room: &Room| {
            beside_a_seeder(room, |span| span.begin == 0).await
        }),
        trial("row_2_8_a_poisoner_that_falls_silent_does_not_stop_a_download", falling_silent),
        trial("row_2_8_honest_peers_beside_two_poisoners_are_never_banned", among_honest),
    ]
}

/// Answers every request, falsely where `lies`, until the engine hangs up.
async fn give(mut peer: RawPeer, sample: Arc<Sample>, lies: fn(RawSpan) -> bool, pause: Duration) {
    while let Ok(span) = peer.hear_request().await {
        let answer = if lies(span) { sample.lie(span) } else { sample.answer(span) };
        tokio::time::sleep(pause).await;
        if peer.say(&[answer]).await.is_err() {
            return;
        }
    }
}

/// Every ban so far, and how many bad pieces came before the first.
fn bans(events: &[EventKind]) -> (Vec<SocketAddr>, usize) {
    let mut banned = Vec::new();
    let mut bad_pieces = 0;
    for event in events {
        match event {
            EventKind::PeerBanned { peer, .. } => banned.push(*peer),
            EventKind::HashFailed { .. } if banned.is_empty() => bad_pieces += 1,
            _ => {}
        }
    }
    (banned, bad_pieces)
}

async fn beside_a_seeder(room: &Room, lies: fn(RawSpan) -> bool) -> Outcome {
    let sample = Arc::new(Sample::noise(PIECES * PIECE_LENGTH as usize, PIECE_LENGTH)?);
    let seeder = Host::seeder(room, &sample, &|config, _| config.up_limit = Some(HONEST_RATE)).await?;
    let leecher = Host::leecher(room, &sample, &|_, params| params.peers.push(seeder.address)).await?;
    let mut events = leecher.torrent.events();
    let id = new_id();
    let mut poisoner = leecher.greeted_as(id).await?;
    poisoner.say(&[Message::HaveAll, Message::Unchoke]).await?;
    let from = poisoner.stream.local_addr()?;
    let giving = tokio::spawn(give(poisoner, Arc::clone(&sample), lies, Duration::ZERO));
    leecher.completes(60, &sample).await?;

    let (banned, bad_pieces) = bans(&drain(&mut events));
    ensure(banned == [from], || format!("banned are {banned:?} and not just {from}"))?;
    ensure((1..=BAD_PIECES_MAX).contains(&bad_pieces), || format!("{bad_pieces} bad pieces before the ban"))?;
    giving.await?;
    // Nor can it come back under its name.
    let mut again = leecher.greeted_as(id).await?;
    again.ends_at_once("is banned").await?;
    seeder.shutdown().await;
    leecher.shutdown().await;
    Ok(())
}

/// It holds what it was asked for, and what may be reserved for it since its lie.
async fn falling_silent(room: &Room) -> Outcome {
    let sample = Arc::new(Sample::noise(16 * PIECE_LENGTH as usize, PIECE_LENGTH)?);
    let leecher = Host::leecher(room, &sample, super::scene::UNCHANGED).await?;
    let mut events = leecher.torrent.events();
    let mut griefer = leecher.asked().await?;
    let honest = leecher.asked().await?;
    let honest_address = honest.stream.local_addr()?;
    let asked = griefer.hear_request().await?;
    griefer.say(&[sample.lie(asked)]).await?;
    tokio::spawn(give(honest, Arc::clone(&sample), |_| false, Duration::ZERO));
    leecher.completes(60, &sample).await?;
    let (banned, _) = bans(&drain(&mut events));
    ensure(!banned.contains(&honest_address), || "the honest peer was banned".into())?;
    leecher.shutdown().await;
    Ok(())
}

async fn among_honest(room: &Room) -> Outcome {
    let sample = Arc::new(Sample::noise(PIECES * PIECE_LENGTH as usize, PIECE_LENGTH)?);
    let leecher = Host::leecher(room, &sample, super::scene::UNCHANGED).await?;
    let mut events = leecher.torrent.events();
    // A thousandth of a second for a block is up to 16 MiB/s.
    let pause = Duration::from_millis(1);
    let lies: [fn(RawSpan) -> bool; 5] =
        [|_| true, |span| span.piece % 2 == 0 && span.begin == 0, |_| false, |_| false, |_| false];
    let mut poisoners = Vec::new();
    for lies in lies {
        let peer = leecher.asked().await?;
        if lies(RawSpan { piece: 0, begin: 0, length: 1 }) {
            poisoners.push(peer.stream.local_addr()?);
        }
        tokio::spawn(give(peer, Arc::clone(&sample), lies, pause));
    }
    leecher.completes(60, &sample).await?;
    let (banned, _) = bans(&drain(&mut events));
    ensure(banned.iter().all(|peer| poisoners.contains(peer)), || {
        format!("banned are {banned:?}, and poisoners only {poisoners:?}")
    })?;
    ensure(banned.contains(&poisoners[0]), || "whoever lied with each block was not banned".into())?;
    leecher.shutdown().await;
    Ok(())
}
