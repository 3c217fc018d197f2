//! Connections that never become a session.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use potluck_common::InfoHash;
use potluck_common::wire::{HANDSHAKE_BYTES, Handshake};
use potluck_peer::engine::Intent;
use tokio::net::TcpListener;

use super::peer::{FAST, RawPeer, new_id};
use super::scene::{Host, Sample, UNCHANGED};
use super::{ensure, trial};
use crate::support::Outcome;
use crate::support::room::Room;

/// The deadline is ten seconds; less than the first shows another deadline, more than the second none.
const BOUNDS: std::ops::Range<Duration> = Duration::from_secs(8)..Duration::from_secs(20);

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("row_2_1_silent_and_slow_handshakes_end_after_ten_seconds", row_2_1),
        trial("row_2_2_a_stranger_to_our_torrents_hears_nothing", unknown_info_hash),
        trial("row_2_2_a_torrent_that_failed_is_as_silent_as_an_unknown_one", failed_torrent),
        trial("row_2_2_what_is_not_a_handshake_closes_at_once", not_a_handshake),
    ]
}

/// A handshake for this host.
fn handshake(info_hash: InfoHash) -> [u8; HANDSHAKE_BYTES] {
    Handshake { reserved: FAST, info_hash, peer_id: new_id() }.encode()
}

async fn row_2_1(room: &Room) -> Outcome {
    let sample = Sample::noise(64 * 1024, 32 * 1024)?;
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let slow = TcpListener::bind("127.0.0.1:0").await?;
    let addresses = [silent.local_addr()?, slow.local_addr()?];
    let host = Host::leecher(room, &sample, &|_, params| params.peers.extend(addresses)).await?;
    let handshake = handshake(host.torrent.info_hash());
    let slow_body = async || {
        let mut peer = RawPeer::connect(host.address).await?;
        peer.send(&handshake[..60]).await?;
        // Its torrent is known, so it is answered; the deadline does not move.
        trickle(peer, &handshake[60..], Duration::from_secs(2), HANDSHAKE_BYTES).await
    };
    let second = Duration::from_secs(1);
    tokio::try_join!(
        async { trickle(RawPeer::connect(host.address).await?, &[], second, 0).await },
        async { trickle(RawPeer::connect(host.address).await?, &handshake, second, 0).await },
        slow_body(),
        async { trickle(RawPeer::accept(&silent).await?, &[], second, HANDSHAKE_BYTES).await },
        async { trickle(RawPeer::accept(&slow).await?, &handshake, second, HANDSHAKE_BYTES).await },
    )?;
    host.shutdown().await;
    Ok(())
}

/// Says a byte of `slowly` at each `pace`, and expects to hear `answer` bytes and then the end, in time.
async fn trickle(mut peer: RawPeer, slowly: &[u8], pace: Duration, answer: usize) -> Outcome {
    let begin = Instant::now();
    let mut slowly = slowly.iter();
    while !peer.ends_within(pace).await {
        ensure(begin.elapsed() < BOUNDS.end, || format!("still open after {:?}", BOUNDS.end))?;
        if let Some(byte) = slowly.next() {
            // It may end this very moment.
            let _closed = peer.stream.try_write(&[*byte]);
        }
    }
    let after = begin.elapsed();
    ensure(BOUNDS.contains(&after), || format!("closed after {after:?}, not within {BOUNDS:?}"))?;
    ensure(peer.unread() == answer, || format!("{} bytes came instead of {answer}", peer.unread()))
}

/// Says `bytes`, and expects the end and not a byte before it.
async fn hears_nothing(host: &Host, what: &str, bytes: &[u8]) -> Outcome {
    let mut peer = RawPeer::connect(host.address).await?;
    peer.send(bytes).await?;
    peer.ends_at_once(what).await?;
    ensure(peer.unread() == 0, || format!("{} bytes came although it {what}", peer.unread()))
}

async fn unknown_info_hash(room: &Room) -> Outcome {
    let sample = Sample::noise(64 * 1024, 32 * 1024)?;
    let host = Host::seeder(room, &sample, UNCHANGED).await?;
    let mut other = host.torrent.info_hash();
    other.0[19] ^= 1;
    hears_nothing(&host, "named another torrent", &handshake(other)).await?;
    hears_nothing(&host, "named another torrent in 48 bytes", &handshake(other)[..48]).await?;
    host.greeted().await?;
    host.shutdown().await;
    Ok(())
}

async fn failed_torrent(room: &Room) -> Outcome {
    let sample = Sample::noise(64 * 1024, 32 * 1024)?;
    let host = Host::start(room, "empty", &sample, Intent::Seed, UNCHANGED).await?;
    ensure(host.torrent.wait_complete().await.is_err(), || "a seeder without a payload goes on".into())?;
    for _ in 0..3 {
        hears_nothing(&host, "named a failed torrent", &handshake(host.torrent.info_hash())).await?;
    }
    host.shutdown().await;
    Ok(())
}

async fn not_a_handshake(room: &Room) -> Outcome {
    let sample = Sample::noise(64 * 1024, 32 * 1024)?;
    let host = Host::seeder(room, &sample, UNCHANGED).await?;
    for first in [0x00, 0x12, 0x14, 0x16, 0x80, 0xff] {
        hears_nothing(&host, &format!("began with {first:#04x}"), &[first]).await?;
    }
    hears_nothing(&host, "spoke HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await?;
    hears_nothing(&host, "named another protocol", b"\x13BitTorrent protocox").await?;
    // Another length of the name with the right name behind it.
    hears_nothing(&host, "began with 18", b"\x12BitTorrent protocol").await?;
    host.greeted().await?;
    host.shutdown().await;
    Ok(())
}
