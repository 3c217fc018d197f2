//! Connections that end at the wrong moment, and engines that end among peers who do not care.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::timeout;

use super::peer::{RawPeer, encode, request};
use super::scene::{Host, Sample};
use super::{ensure, trial, within};
use crate::support::Outcome;
use crate::support::room::Room;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("200_peers_that_leave_within_a_block_do_not_harm_a_download", leaving),
        trial("an_engine_ends_in_time_with_dead_trackers_and_stuck_peers", shutdown),
    ]
}

async fn leaving(room: &Room) -> Outcome {
    let sample = Sample::noise(4 * 1024 * 1024, 64 * 1024)?;
    let seeder = Host::seeder(room, &sample, &|config, _| config.up_limit = Some(1024 * 1024)).await?;
    let leecher = Host::leecher(room, &sample, &|_, params| params.peers.push(seeder.address)).await?;
    let leaves = || leave_many(&leecher, &sample, 50);
    tokio::try_join!(leaves(), leaves(), leaves(), leaves(), leecher.completes(60, &sample))?;
    seeder.shutdown().await;
    leecher.shutdown().await;
    Ok(())
}

/// Peers one after the other that are asked for a block and leave when half of it is sent.
async fn leave_many(leecher: &Host, sample: &Sample, count: usize) -> Outcome {
    for _ in 0..count {
        let mut peer = leecher.asked().await?;
        // Nothing is asked of it once all is there or asked for elsewhere, and then it leaves as it came.
        if let Ok(Ok(span)) = timeout(Duration::from_secs(1), peer.hear_request()).await {
            let answer = encode(&[sample.answer(span)]);
            let _closed = peer.send(&answer[..answer.len() / 2]).await;
        }
    }
    Ok(())
}

async fn shutdown(room: &Room) -> Outcome {
    let dead_http = TcpListener::bind("127.0.0.1:0").await?;
    let dead_udp = UdpSocket::bind("127.0.0.1:0").await?;
    let trackers = [
        format!("http://{}/announce", dead_http.local_addr()?),
        format!("udp://{}/announce", dead_udp.local_addr()?),
    ];
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let silent_address = silent.local_addr()?;
    let sample = Sample::noise(4 * 1024 * 1024, 64 * 1024)?;
    let host = Host::seeder(room, &sample, &|_, params| {
        params.extra_trackers.extend(trackers.clone());
        params.peers.push(silent_address);
    })
    .await?;
    // One that asks for everything and reads nothing, one that is silent, one that was dialled and is silent, one
    // within a handshake and one within a message.
    let mut greedy = host.unchoked().await?;
    let requests: Vec<_> =
        (0..256).map(|block| request(block / 4, block % 4 * 16 * 1024, 16 * 1024)).collect();
    greedy.say(&requests).await?;
    let mute = RawPeer::connect(host.address).await?;
    let dialled = RawPeer::accept(&silent).await?;
    let mut hesitant = RawPeer::connect(host.address).await?;
    hesitant.send(b"\x13BitTorrent").await?;
    let mut slow = host.greeted().await?;
    slow.send(&[0, 0, 0, 5, 4, 0]).await?;
    let announced = async { Ok(dead_http.accept().await?) };
    let _asked = within(10, "the dead tracker is asked", announced).await?;

    let begin = Instant::now();
    let deadline = Duration::from_secs(4);
    host.engine.shutdown(deadline).await;
    let took = begin.elapsed();
    ensure(took < deadline + Duration::from_secs(3), || format!("it took {took:?}"))?;
    for (what, mut peer) in [("greedy", greedy), ("dialled", dialled), ("slow", slow)] {
        peer.ends_at_once(&format!("is {what} and the engine ended")).await?;
    }
    drop((mute, hesitant));
    let refused = RawPeer::connect(host.address).await.is_err();
    ensure(refused, || "the engine still listens".into())
}
