//! Peers that stop in the middle of something. The engine's clock is put forward, so that nobody waits for minutes.

use std::time::Duration;

use libtest_mimic::Trial;
use potluck_common::wire::Message;

use super::peer::{RawPeer, request};
use super::scene::{Host, Sample, UNCHANGED};
use super::{ensure, pass, trial_with_clock};
use crate::support::Outcome;
use crate::support::room::Room;

/// Long enough for the engine to act on what came or on a deadline that passed.
const A_WHILE: Duration = Duration::from_millis(300);

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial_with_clock("row_2_4_a_message_without_progress_for_60_seconds_closes", unfinished_message),
        trial_with_clock("row_2_16_a_silent_peer_is_kept_for_two_minutes_and_hears_a_keep_alive", silence),
        trial_with_clock("a_peer_that_reads_nothing_for_120_seconds_is_given_up", never_reading),
    ]
}

async fn ensure_open(peer: &mut RawPeer, when: &str) -> Outcome {
    let closed = peer.ends_within(A_WHILE).await;
    ensure(!closed, || format!("closed {when}"))
}

fn sample() -> Outcome<Sample> {
    Sample::noise(64 * 64 * 1024, 64 * 1024)
}

async fn unfinished_message(room: &Room) -> Outcome {
    let host = Host::seeder(room, &sample()?, UNCHANGED).await?;
    let mut peer = host.greeted().await?;
    peer.send(&[0, 0, 0x40, 9, 7, 0]).await?;
    ensure_open(&mut peer, "at once").await?;
    for _ in 0..2 {
        pass(28).await;
        // A byte now and then is no progress.
        peer.send(&[0]).await?;
        ensure_open(&mut peer, "before 60 s were over").await?;
    }
    pass(5).await;
    peer.ends_at_once("made no progress in a message for 60 s").await?;
    host.shutdown().await;
    Ok(())
}

async fn silence(room: &Room) -> Outcome {
    let host = Host::seeder(room, &sample()?, UNCHANGED).await?;
    let mut silent = host.greeted().await?;
    let mut alive = host.greeted().await?;
    ensure_open(&mut silent, "at once").await?;
    pass(110).await;
    silent.hear_this(&Message::KeepAlive).await?;
    // Many clients say theirs every two minutes to the second.
    pass(11).await;
    alive.say(&[Message::KeepAlive]).await?;
    ensure_open(&mut alive, "before two minutes were over").await?;
    ensure_open(&mut silent, "before it missed a keep-alive").await?;
    pass(30).await;
    silent.ends_at_once("said nothing for two and a half minutes").await?;
    ensure_open(&mut alive, "although it sent a keep-alive").await?;
    host.shutdown().await;
    Ok(())
}

/// It goes on to send keep-alives, so that it is not silent; nor is the other, who reads.
async fn never_reading(room: &Room) -> Outcome {
    let host = Host::seeder(room, &sample()?, UNCHANGED).await?;
    let mut alive = host.greeted().await?;
    let mut peer = host.unchoked().await?;
    let all: Vec<_> = (0..256).map(|block| request(block / 4, block % 4 * 16 * 1024, 16 * 1024)).collect();
    // More than the system's buffers take, so that blocks wait in the engine.
    for _ in 0..6 {
        peer.say(&all).await?;
    }
    // The last byte may be taken a moment after the first of these minutes began.
    for minute in 0..4 {
        pass(60).await;
        alive.say(&[Message::KeepAlive]).await?;
        peer.say_in_vain(&[Message::KeepAlive]).await;
        ensure_open(&mut alive, "although it reads").await?;
        if minute == 0 {
            host.shows("both are still there", |snapshot| snapshot.detail.peers.len() == 2).await?;
        }
    }
    host.shows("one is gone", |snapshot| snapshot.detail.peers.len() == 1).await?;
    peer.ends_at_once("read nothing").await?;
    host.shutdown().await;
    Ok(())
}
