//! A network that goes black between two engines, and heals.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::scene::{Host, Sample};
use super::{ensure, pass, trial_with_clock};
use crate::support::Outcome;
use crate::support::room::Room;

const PIECE_LENGTH: u32 = 64 * 1024;
/// Slow enough that a good part is left when the network goes black.
const RATE: u64 = 512 * 1024;

pub(super) fn trials() -> Vec<Trial> {
    vec![trial_with_clock(
        "row_6_3_a_download_goes_on_after_ten_minutes_without_a_network",
        black_for_ten_minutes,
    )]
}

/// Something between the two that can go black: then it forwards nothing, and whoever connects hears nothing.
struct Relay {
    address: SocketAddr,
    is_black: watch::Sender<bool>,
}

impl Relay {
    async fn to(target: SocketAddr) -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (is_black, black) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                let black = black.clone();
                tokio::spawn(async move {
                    // Either end may hang up.
                    let _ended = relay(caller, target, black).await;
                });
            }
        });
        Ok(Self { address, is_black })
    }
}

async fn relay(caller: TcpStream, target: SocketAddr, black: watch::Receiver<bool>) -> Outcome {
    light(&black).await?;
    let called = TcpStream::connect(target).await?;
    let (caller_in, caller_out) = caller.into_split();
    let (called_in, called_out) = called.into_split();
    tokio::select! {
        ended = forward(caller_in, called_out, black.clone()) => ended,
        ended = forward(called_in, caller_out, black) => ended,
    }
}

async fn light(black: &watch::Receiver<bool>) -> Outcome {
    black.clone().wait_for(|is_black| !is_black).await?;
    Ok(())
}

async fn forward(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    black: watch::Receiver<bool>,
) -> Outcome {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        light(&black).await?;
        let read = from.read(&mut buffer).await?;
        // What was under way is lost for as long as it is dark.
        light(&black).await?;
        match read {
            0 => return Ok(()),
            read => to.write_all(&buffer[..read]).await?,
        }
    }
}

async fn black_for_ten_minutes(room: &Room) -> Outcome {
    let sample = Arc::new(Sample::noise(64 * PIECE_LENGTH as usize, PIECE_LENGTH)?);
    let seeder = Host::seeder(room, &sample, &|config, _| config.up_limit = Some(RATE)).await?;
    let relay = Relay::to(seeder.address).await?;
    let leecher = Host::leecher(room, &sample, &|_, params| params.peers.push(relay.address)).await?;
    leecher.shows("some of it is there", |snapshot| snapshot.pieces_have >= 8).await?;
    relay.is_black.send_replace(true);
    for _ in 0..120 {
        pass(5).await;
        // For the engines to act on what has passed.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let snapshot = leecher.torrent.snapshot();
    ensure(snapshot.pieces_have < 60, || format!("{} pieces came through", snapshot.pieces_have))?;
    leecher.shows("the peer is gone", |snapshot| snapshot.detail.peers.is_empty()).await?;

    relay.is_black.send_replace(false);
    let mut waited = 0;
    while leecher.torrent.snapshot().detail.peers.is_empty() {
        ensure(waited < 60, || "not connected again within a minute".into())?;
        waited += 1;
        pass(1).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    leecher.completes(60, &sample).await?;
    seeder.shutdown().await;
    leecher.shutdown().await;
    Ok(())
}
