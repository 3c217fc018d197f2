//! Many connections, and connections that are one too many.

use std::fs::File;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use potluck_common::wire::{Handshake, Message, RawSpan};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::alone::{self, descriptors};
use super::peer::{FAST, RawPeer, new_id, request};
use super::scene::{Host, Sample, UNCHANGED};
use super::{ensure, pass, trial, trial_with_clock, within};
use crate::support::Outcome;
use crate::support::room::Room;

/// Within which a newcomer is served, whoever else is there.
const SERVED_WITHIN: Duration = Duration::from_secs(2);

/// Connections that are reset, one after the other.
const RESETS: usize = 1_000;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        alone::trial("row_2_14_a_newcomer_is_served_beside_250_silent_connections", async |room: &Room| {
            newcomer_beside(room, 250, Stage::Silent).await
        }),
        alone::trial("row_2_14_a_newcomer_is_served_beside_250_half_handshakes", async |room: &Room| {
            newcomer_beside(room, 250, Stage::Routed).await
        }),
        alone::trial("row_2_14_a_newcomer_is_served_beside_300_idle_peers", async |room: &Room| {
            newcomer_beside(room, 300, Stage::Idle).await
        }),
        alone::trial("row_2_14_a_newcomer_stays_beside_300_peers_that_claim_interest", among_the_interested),
        alone::trial("row_2_14_half_handshakes_do_not_displace_a_peer_that_is_served", busy_peer_stays),
        trial_with_clock("row_2_14_a_leecher_full_of_idle_peers_still_finds_a_seeder", full_house),
        alone::trial("row_2_14_a_newcomer_is_served_beside_300_idle_and_250_half_open", beside_both),
        alone::trial("row_2_14_forty_from_one_address_are_all_served", forty_from_one_address),
        alone::trial("row_2_15_with_no_descriptor_left_a_newcomer_is_served", no_descriptor_left),
        alone::trial("row_6_6_a_thousand_resets_leave_neither_descriptors_nor_tasks_behind", resets),
        trial("of_connections_with_one_peer_id_one_stays", one_id),
        trial("a_connection_to_ourselves_ends_and_is_not_tried_again", ourselves),
    ]
}

/// How far the connections of a crowd go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Connected, and nothing said.
    Silent,
    /// The torrent is named, the handshake is incomplete.
    Routed,
    /// Handshaken, and wanting nothing.
    Idle,
    /// Handshaken, and wanting a slot.
    Interested,
    /// Asking for blocks, and reading none.
    Asking,
}

fn sample() -> Outcome<Sample> {
    Sample::noise(256 * 1024, 64 * 1024)
}

async fn join(host: &Host, stage: Stage) -> Outcome<RawPeer> {
    let mut peer = RawPeer::connect(host.address).await?;
    let info_hash = host.torrent.info_hash();
    let handshake = Handshake { reserved: FAST, info_hash, peer_id: new_id() }.encode();
    match stage {
        Stage::Silent => {}
        Stage::Routed => peer.send(&handshake[..60]).await?,
        Stage::Idle | Stage::Interested | Stage::Asking => {
            peer.send(&handshake).await?;
            peer.hear_handshake().await?;
            peer.say(&[Message::HaveNone]).await?;
            if stage != Stage::Idle {
                peer.say(&[Message::Interested]).await?;
            }
            if stage == Stage::Asking {
                peer.hear_this(&Message::Unchoke).await?;
                let block = |number: u32| request(number / 4, number % 4 * 16 * 1024, 16 * 1024);
                peer.say(&(0..16).map(block).collect::<Vec<_>>()).await?;
            }
        }
    }
    Ok(peer)
}

async fn crowd(host: &Host, count: usize, stage: Stage) -> Outcome<Vec<RawPeer>> {
    let mut peers = Vec::new();
    for _ in 0..count {
        peers.push(join(host, stage).await?);
    }
    Ok(peers)
}

/// Gets the whole payload, as an honest peer would.
async fn is_served(host: &Host, sample: &Sample) -> Outcome {
    let mut peer = host.unchoked().await?;
    for piece in 0..4 {
        let span = RawSpan { piece, begin: 0, length: 16 * 1024 };
        let answer = sample.answer(span);
        peer.still_answers(&[Message::Request(span)], |message| *message == answer).await?;
    }
    Ok(())
}

async fn newcomer_beside(room: &Room, count: usize, stage: Stage) -> Outcome {
    let sample = sample()?;
    let host = Host::seeder(room, &sample, UNCHANGED).await?;
    let before = descriptors()?;
    let crowd = crowd(&host, count, stage).await?;
    if matches!(stage, Stage::Silent | Stage::Routed) {
        // Fifty may wait to name a torrent, and fifty to end their handshake.
        settle_below(before + count + 120).await?;
    }
    newcomers_are_served(&host, &sample).await?;
    drop(crowd);
    host.shutdown().await;
    Ok(())
}

/// Five of them, of whom one or two may have been held up by something else on this machine.
async fn newcomers_are_served(host: &Host, sample: &Sample) -> Outcome {
    let mut waits = Vec::new();
    for _ in 0..5 {
        let begin = Instant::now();
        within(20, "a newcomer is served", is_served(host, sample)).await?;
        waits.push(begin.elapsed());
    }
    waits.sort();
    ensure(waits[2] < SERVED_WITHIN, || format!("newcomers waited {waits:?}"))
}

/// Idle ones that say nothing and idle peers, and handshakes that stop half way.
async fn beside_both(room: &Room) -> Outcome {
    let sample = sample()?;
    let host = Host::seeder(room, &sample, UNCHANGED).await?;
    let mut crowds = Vec::new();
    for (count, stage) in [(150, Stage::Idle), (150, Stage::Silent), (250, Stage::Routed)] {
        crowds.push(crowd(&host, count, stage).await?);
    }
    newcomers_are_served(&host, &sample).await?;
    // They come on, and so do newcomers.
    for (count, stage) in [(150, Stage::Silent), (250, Stage::Routed), (150, Stage::Idle)] {
        crowds.push(crowd(&host, count, stage).await?);
        newcomers_are_served(&host, &sample).await?;
    }
    drop(crowds);
    host.shutdown().await;
    Ok(())
}

/// Something else in the process takes every descriptor that is left; then room is made among those who idle.
async fn no_descriptor_left(room: &Room) -> Outcome {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let sample = sample()?;
    let host = Host::seeder(room, &sample, UNCHANGED).await?;
    let crowd = crowd(&host, 20, Stage::Idle).await?;
    host.shows("all are there", |snapshot| snapshot.detail.peers.len() == 20).await?;
    // Their own ends must not need one later.
    let sockets: Vec<TcpSocket> = (0..3).map(|_| TcpSocket::new_v4()).collect::<Result<_, _>>()?;
    let limits = getrlimit(Resource::Nofile);
    let most = descriptors()? as u64 + 30;
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limits.maximum })?;
    let mut hog: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    ensure(!hog.is_empty() && File::open("/dev/null").is_err(), || "something is left".into())?;
    for socket in sockets {
        let mut newcomer = RawPeer::over(socket.connect(host.address).await?);
        let info_hash = host.torrent.info_hash();
        newcomer.send(&Handshake { reserved: FAST, info_hash, peer_id: new_id() }.encode()).await?;
        newcomer.hear_handshake().await?;
        newcomer.say(&[Message::HaveNone, Message::Interested]).await?;
        newcomer.hear_this(&Message::Unchoke).await?;
        for piece in 0..4 {
            let span = RawSpan { piece, begin: 0, length: 16 * 1024 };
            let answer = sample.answer(span);
            newcomer.still_answers(&[Message::Request(span)], |message| *message == answer).await?;
        }
        // A descriptor that became free is taken again.
        hog.extend(std::iter::from_fn(|| File::open("/dev/null").ok()));
    }
    host.shows("some made room", |snapshot| snapshot.detail.peers.len() < 20).await?;
    let left = host.torrent.snapshot().detail.peers.len();
    ensure(left >= 5, || format!("only {left} peers are left of 20"))?;
    drop(hog);
    setrlimit(Resource::Nofile, limits)?;
    is_served(&host, &sample).await?;
    drop(crowd);
    host.shutdown().await;
    Ok(())
}

/// A lab behind one address.
async fn forty_from_one_address(room: &Room) -> Outcome {
    let sample = sample()?;
    let host = Host::seeder(room, &sample, &|_, params| params.slots = Some(40)).await?;
    let mut lab = crowd(&host, 40, Stage::Interested).await?;
    for peer in &mut lab {
        let span = RawSpan { piece: 0, begin: 0, length: 16 * 1024 };
        peer.hear_this(&Message::Unchoke).await?;
        let answer = sample.answer(span);
        peer.still_answers(&[Message::Request(span)], |message| *message == answer).await?;
    }
    host.shutdown().await;
    Ok(())
}

/// Each of them may be a peer that waits for its turn; none of them may keep the others from waiting.
async fn among_the_interested(room: &Room) -> Outcome {
    let host = Host::seeder(room, &sample()?, UNCHANGED).await?;
    let crowd = crowd(&host, 300, Stage::Interested).await?;
    for _ in 0..5 {
        let mut newcomer = join(&host, Stage::Interested).await?;
        let evicted = newcomer.ends_within(Duration::from_secs(1)).await;
        ensure(!evicted, || "the newcomer was evicted for those who idle longer".into())?;
    }
    let most = host.torrent.snapshot().detail.peers.len();
    ensure(most <= 200 + 50, || format!("{most} peers are connected"))?;
    drop(crowd);
    host.shutdown().await;
    Ok(())
}

async fn busy_peer_stays(room: &Room) -> Outcome {
    let sample = sample()?;
    let host = Host::seeder(room, &sample, UNCHANGED).await?;
    let mut busy = host.unchoked().await?;
    let span = RawSpan { piece: 0, begin: 0, length: 16 * 1024 };
    let answer = sample.answer(span);
    let mut others = Vec::new();
    for round in 0..300 {
        let stage = if round % 4 == 3 { Stage::Idle } else { Stage::Routed };
        others.push(join(&host, stage).await?);
        if round % 10 == 0 {
            busy.still_answers(&[Message::Request(span)], |message| *message == answer).await?;
        }
    }
    busy.still_answers(&[Message::Request(span)], |message| *message == answer).await?;
    host.shutdown().await;
    Ok(())
}

/// Idle peers who say that they have everything; only somebody whom we dial has it.
async fn full_house(room: &Room) -> Outcome {
    let sample = sample()?;
    let seeder = Host::seeder(room, &sample, UNCHANGED).await?;
    let leecher = Host::leecher(room, &sample, &|config, _| config.connections_max = 20).await?;
    let mut idlers = Vec::new();
    for _ in 0..20 {
        let mut idler = leecher.greeted().await?;
        idler.say(&[Message::HaveAll, Message::Interested]).await?;
        idlers.push(idler);
    }
    leecher.shows("the house is full", |snapshot| snapshot.detail.peers.len() == 20).await?;
    pass(11).await;
    leecher.torrent.add_peer(seeder.address);
    leecher.completes(20, &sample).await?;
    seeder.shutdown().await;
    leecher.shutdown().await;
    Ok(())
}

/// Waits until fewer than `most` descriptors are open: a connection that is given up lives on for its last words.
async fn settle_below(most: usize) -> Outcome {
    let settled = async {
        while descriptors()? >= most {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    };
    within(10, &format!("fewer than {most} descriptors are open"), settled).await
}

async fn resets(room: &Room) -> Outcome {
    let sample = sample()?;
    let host = Host::seeder(room, &sample, UNCHANGED).await?;
    let stages = [Stage::Silent, Stage::Routed, Stage::Idle, Stage::Interested, Stage::Asking];
    for stage in stages {
        drop(join(&host, stage).await?);
    }
    is_served(&host, &sample).await?;
    host.shows("nobody is connected", |snapshot| snapshot.detail.peers.is_empty()).await?;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = (descriptors()?, tasks());
    for round in 0..RESETS {
        let peer = join(&host, stages[round % stages.len()]).await?;
        // Closing resets the connection instead of ending it.
        peer.stream.set_zero_linger()?;
        drop(peer);
        if round % 200 == 0 {
            is_served(&host, &sample).await?;
        }
    }
    is_served(&host, &sample).await?;
    settle_below(before.0 + 5).await?;
    host.shows("nobody is connected", |snapshot| snapshot.detail.peers.is_empty()).await?;
    let ended = async {
        while tasks() > before.1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    within(10, "as many tasks run as before", ended).await?;
    host.shutdown().await;
    Ok(())
}

async fn one_id(room: &Room) -> Outcome {
    let sample = sample()?;
    let host = Host::seeder(room, &sample, UNCHANGED).await?;
    let id = new_id();
    let mut first = host.greeted_as(id).await?;
    first.say(&[Message::HaveNone, Message::Interested]).await?;
    first.hear_this(&Message::Unchoke).await?;
    for _ in 0..20 {
        let mut other = host.greeted_as(id).await?;
        other.ends_at_once("has the id of a connected peer").await?;
    }
    let span = RawSpan { piece: 1, begin: 0, length: 16 * 1024 };
    let answer = sample.answer(span);
    first.still_answers(&[Message::Request(span)], |message| *message == answer).await?;
    host.shows("one peer is connected", |snapshot| snapshot.detail.peers.len() == 1).await?;
    host.shutdown().await;
    Ok(())
}

/// Behind another address, as behind a router, we meet ourselves.
async fn ourselves(room: &Room) -> Outcome {
    let host = Host::leecher(room, &sample()?, UNCHANGED).await?;
    let relay = TcpListener::bind("127.0.0.1:0").await?;
    host.torrent.add_peer(relay.local_addr()?);
    let meet = async {
        let (mut dialled, _) = relay.accept().await?;
        let mut accepted = TcpStream::connect(host.address).await?;
        // Either end may reset the connection.
        let _ended = copy_bidirectional(&mut dialled, &mut accepted).await;
        Ok(())
    };
    within(15, "both ends hang up", meet).await?;
    let mut snapshots = host.torrent.watch();
    for _ in 0..3 {
        snapshots.changed().await?;
    }
    let snapshot = host.torrent.snapshot();
    ensure(snapshot.detail.peers.is_empty(), || "we are connected to ourselves".into())?;
    ensure(snapshot.candidates == 0, || "we would dial ourselves again".into())?;
    host.shutdown().await;
    Ok(())
}
