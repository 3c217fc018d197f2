//! Our engines among themselves, over loopback, without a tracker.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use libtest_mimic::Trial;
use potluck_common::control::{DiscoverySnapshot, DiscoveryState, PeerSource};
use potluck_peer::engine::Intent;

use super::dht::{self, Bootstrap};
use crate::clients::Running as _;
use crate::ours::{self, DOWNLOAD, RunningOurs, SEED};
use crate::support::payload::{Payload, Plan};
use crate::support::room::{self, Room};
use crate::support::{Deadline, Outcome, address, wait_for};

const PATIENCE: Duration = Duration::from_secs(90);

type Runner = fn(&Room) -> Outcome;

/// The trials of this file.
pub(crate) fn trials() -> Vec<Trial> {
    let trials: [(&str, Runner); 5] = [
        ("without_a_tracker_peers_are_found", without_a_tracker),
        ("bep_27_of_a_private_torrent_no_node_hears", private_torrent),
        ("bep_5_peers_tell_each_other_of_their_nodes", ports_are_told),
        ("row_3_3_a_syn_of_utp_is_refused_once_a_second", utp_is_refused),
        ("without_dht_there_is_no_udp_socket_and_a_reason", switched_off),
    ];
    let trial = |(name, trial): (&str, Runner)| {
        Trial::test(format!("discovery::local::{name}"), move || room::run(PATIENCE, trial))
    };
    trials.into_iter().map(trial).collect()
}

fn payload() -> Outcome<Payload> {
    Payload::make(&Plan::single("found.bin", 3_000_000, 64 * 1024))
}

/// What a torrent's line of the DHT says, once it does.
fn line_of_dht(room: &Room, ours: &RunningOurs) -> Outcome<DiscoverySnapshot> {
    wait_for(room.deadline, "a line tells of the DHT", || {
        let snapshot = ours.snapshot();
        Ok(snapshot.detail.discovery.iter().find(|line| line.source == PeerSource::Dht).cloned())
    })
}

fn without_a_tracker(room: &Room) -> Outcome {
    let payload = payload()?;
    let bootstrap = Bootstrap::start(address::unused().ip(), 0)?;
    let seeding = dht::job(room, "seeder", &payload, address::unused(), bootstrap.address())?;
    payload.copy_to(&seeding.payload_folder, false)?;
    let seeder = ours::start(&seeding, SEED)?;
    wait_for(room.deadline, "the seed announces itself", || {
        Ok((bootstrap.node().status().peers_stored > 0).then_some(()))
    })?;
    let leeching = dht::job(room, "leecher", &payload, address::unused(), bootstrap.address())?;
    let mut leecher = ours::start(&leeching, DOWNLOAD)?;
    leecher.wait_complete("the leecher completes", room.deadline)?;
    let line = line_of_dht(room, &leecher)?;
    if line.state == DiscoveryState::Off || line.found == 0 {
        return Err(format!("the DHT says of itself: {line:?}").into());
    }
    drop((seeder, leecher));
    payload.check_copy(&leeching.payload_folder, true)
}

/// Everything that reaches the node that the engine joins by is looked through for the info-hash.
fn private_torrent(room: &Room) -> Outcome {
    let public = payload()?;
    let private = public.made_private()?;
    // The third is there to be checked only.
    for (payload, is_unheard, is_heard) in
        [(&private, false, false), (&public, false, true), (&public, true, false)]
    {
        let node = UdpSocket::bind(SocketAddr::new(address::unused().ip(), 0))?;
        node.set_read_timeout(Some(Duration::from_millis(200)))?;
        let name = match (is_unheard, is_heard) {
            (true, _) => "unheard",
            (false, true) => "public",
            (false, false) => "private",
        };
        let job = dht::job(room, name, payload, address::unused(), node.local_addr()?)?;
        let engine = ours::start_with(&job, DOWNLOAD, |params| params.is_unheard = is_unheard)?;
        let mut heard = 0;
        let until = Deadline::after(Duration::from_secs(if is_heard { 60 } else { 8 }));
        let mut datagram = [0; 2_048];
        while !until.remaining().is_zero() && (heard == 0 || !is_heard) {
            let Ok((length, from)) = node.recv_from(&mut datagram) else { continue };
            let datagram = &datagram[..length];
            let hash = payload.info_hash();
            heard += usize::from(datagram.windows(20).any(|window| window == hash.as_bytes()));
            node.send_to(&answer_to(datagram), from)?;
        }
        if (heard > 0) != is_heard {
            return Err(format!("of a {name} torrent {heard} datagrams told").into());
        }
        if is_unheard {
            continue;
        }
        wait_for(room.deadline, "the line of the DHT fits", || {
            let line = line_of_dht(room, &engine)?;
            Ok(((line.state != DiscoveryState::Off) == is_heard).then_some(()))
        })?;
    }
    Ok(())
}

/// As a node answers that knows nobody.
fn answer_to(query: &[u8]) -> Vec<u8> {
    let at = query.windows(3).position(|window| window == b"1:t").map_or(0, |at| at + 3);
    let digit = query.get(at).map_or(0, |digit| digit.wrapping_sub(b'0').min(9));
    let transaction = query.get(at..at + 2 + usize::from(digit)).unwrap_or(b"1:x");
    [b"d1:rd2:id20:nnnnnnnnnnnnnnnnnnnn5:nodes0:5:token1:ae1:t", transaction, b"1:y1:re"].concat()
}

/// One of them knows a node; the other knows only the peer.
fn ports_are_told(room: &Room) -> Outcome {
    let payload = payload()?;
    let bootstrap = Bootstrap::start(address::unused().ip(), 0)?;
    let seeding = dht::job(room, "seeder", &payload, address::unused(), bootstrap.address())?;
    payload.copy_to(&seeding.payload_folder, false)?;
    let seeder = ours::start(&seeding, SEED)?;
    // Nobody is there.
    let nobody = address::unused();
    let leeching = dht::job(room, "leecher", &payload, address::unused(), nobody)?;
    let leecher = ours::start_with(&leeching, DOWNLOAD, |params| params.peers = vec![seeding.listen])?;
    wait_for(room.deadline, "nodes become known by PORT", || {
        Ok((leecher.status().dht.nodes_v4 > 0).then_some(()))
    })?;
    drop((seeder, leecher));
    Ok(())
}

fn utp_is_refused(room: &Room) -> Outcome {
    let payload = payload()?;
    let bootstrap = Bootstrap::start(address::unused().ip(), 0)?;
    let job = dht::job(room, "engine", &payload, address::unused(), bootstrap.address())?;
    let engine = ours::start(&job, DOWNLOAD)?;
    let stranger = UdpSocket::bind(SocketAddr::new(address::unused().ip(), 0))?;
    stranger.set_read_timeout(Some(Duration::from_millis(300)))?;
    let syn = [0x41, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0];
    let data = [0x01, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 1, 2, 3];
    for datagram in [&data[..], b"GET / HTTP/1.1\r\n\r\n", &[], &syn, &syn, &syn] {
        stranger.send_to(datagram, job.listen)?;
    }
    let mut answers = Vec::new();
    let mut answer = [0; 100];
    while let Ok((length, from)) = stranger.recv_from(&mut answer) {
        answers.push((from, answer[..length].to_vec()));
    }
    drop(engine);
    match answers.as_slice() {
        [(from, answer)] if *from == job.listen && answer.len() == 20 && answer[..4] == [0x31, 0, 0, 7] => {
            Ok(())
        }
        other => Err(format!("it was answered with {other:?}").into()),
    }
}

fn switched_off(room: &Room) -> Outcome {
    let payload = payload()?;
    let job = crate::support::transfer::job(room, "engine", &payload, "http://127.0.0.1:1/announce")?;
    let engine = ours::start(&job, DOWNLOAD)?;
    UdpSocket::bind(job.listen).map_err(|error| format!("its UDP port is taken: {error}"))?;
    let line = line_of_dht(room, &engine)?;
    let (words, summary) = (line.message.to_string(), engine.status().dht);
    if line.state != DiscoveryState::Off || !words.contains("switched off") || summary.message != line.message
    {
        return Err(format!("the DHT says {line:?} and {summary:?}").into());
    }
    drop(engine);
    // Its port is taken by somebody else.
    let taken = UdpSocket::bind(job.listen)?;
    let job = crate::clients::Job { dht: Some(taken.local_addr()?), ..job };
    let engine = ours::start(&job, ours::Settings { intent: Intent::Download, ..DOWNLOAD })?;
    let summary = engine.status().dht;
    if summary.state != DiscoveryState::Off || !summary.message.as_str().contains("not free for UDP") {
        return Err(format!("the DHT says {summary:?}").into());
    }
    Ok(())
}
