//! What a torrent turns out to be, and what it ceases to be: the DHT hears of it, or does not hear of it any more.

use std::fs::{self, File};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use libtest_mimic::Trial;
use potluck_common::InfoHash;
use potluck_common::control::{DiscoveryState, EventKind, PeerSource};
use potluck_common::metainfo::Metainfo;
use potluck_peer::dht::DhtSettings;
use potluck_peer::engine::TorrentParams;
use tokio::runtime::Builder;

use super::dht;
use crate::clients::{Job, Running as _};
use crate::faults::{reaches, start};
use crate::ours::{self, SEED};
use crate::support::payload::{Payload, Plan};
use crate::support::room::{self, Room};
use crate::support::{Outcome, address, wait_for};

const PATIENCE: Duration = Duration::from_secs(90);
const PIECE: u64 = 64 * 1024;
const TOTAL: u64 = 16 * PIECE;

type Runner = fn(&Room) -> Outcome;

/// The trials of this file.
pub(crate) fn trials() -> Vec<Trial> {
    let trials: [(&str, Runner); 2] = [
        ("bep_27_a_magnet_that_is_private_drops_whom_the_dht_named", private_magnet),
        ("bep_33_who_is_no_longer_complete_asks_for_seeds_again", no_longer_complete),
    ];
    let trial = |(name, trial): (&str, Runner)| {
        Trial::test(format!("discovery::changes::{name}"), move || room::run(PATIENCE, trial))
    };
    trials.into_iter().map(trial).collect()
}

/// The only node of a DHT. It keeps what it hears, and names one peer, or none, for every torrent.
struct Node {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Node {
    fn start(ip: IpAddr, peer: Option<SocketAddr>) -> Outcome<Self> {
        let socket = UdpSocket::bind((ip, 0))?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let address = socket.local_addr()?;
        let (heard, is_over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (notes, end) = (Arc::clone(&heard), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            let mut datagram = [0; 2_048];
            while !end.load(Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut datagram) else { continue };
                let query = &datagram[..length];
                notes.lock().unwrap_or_else(PoisonError::into_inner).push(query.to_vec());
                // Whoever asked may be gone.
                let _lost = socket.send_to(&answer_to(query, peer), from);
            }
        });
        Ok(Self { address, heard, is_over, thread: Some(thread) })
    }

    /// How many datagrams of a torrent are as wanted.
    fn count(&self, info_hash: InfoHash, is_wanted: impl Fn(&[u8]) -> bool) -> usize {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.iter().filter(|query| has(query, info_hash.as_bytes()) && is_wanted(query)).count()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.is_over.store(true, Relaxed);
        let _panicked = self.thread.take().map(JoinHandle::join);
    }
}

fn has(datagram: &[u8], part: &[u8]) -> bool {
    datagram.windows(part.len()).any(|window| window == part)
}

/// Asks for peers: of a seed, or of one that wants seeds.
fn asks(query: &[u8], is_seed: bool) -> bool {
    has(query, b"9:get_peers") && has(query, b"6:noseedi1e") == is_seed
}

/// The answer to any query.
fn answer_to(query: &[u8], peer: Option<SocketAddr>) -> Vec<u8> {
    let at = query.windows(3).position(|window| window == b"1:t").map_or(0, |at| at + 3);
    let digit = query.get(at).map_or(0, |digit| digit.wrapping_sub(b'0').min(9));
    let transaction = query.get(at..at + 2 + usize::from(digit)).unwrap_or(b"1:x");
    let mut answer = b"d1:rd2:id20:nnnnnnnnnnnnnnnnnnnn5:nodes0:5:token1:a".to_vec();
    if let Some(SocketAddr::V4(peer)) = peer
        && has(query, b"9:get_peers")
    {
        answer.extend_from_slice(b"6:valuesl6:");
        answer.extend_from_slice(&peer.ip().octets());
        answer.extend_from_slice(&peer.port().to_be_bytes());
        answer.push(b'e');
    }
    answer.extend_from_slice(b"e1:t");
    answer.extend_from_slice(transaction);
    answer.extend_from_slice(b"1:y1:re");
    answer
}

/// Its metadata comes from a peer that the DHT named, who then gives no payload; it does when the user names it.
fn private_magnet(room: &Room) -> Outcome {
    let payload = Payload::make(&Plan::single("secret.bin", TOTAL, PIECE))?.made_private()?;
    let seeding = dht::job(room, "seeder", &payload, address::unused(), address::unused())?;
    payload.copy_to(&seeding.payload_folder, false)?;
    let seeding = Job { dht: None, ..seeding };
    let mut seeder = ours::start(&seeding, SEED)?;
    seeder.wait_complete("the seeder checks its payload", room.deadline)?;
    let node = Node::start(address::unused().ip(), Some(seeding.listen))?;
    let leeching = dht::job(room, "leecher", &payload, address::unused(), node.address)?;
    let magnet = format!("magnet:?xt=urn:btih:{}", payload.info_hash());
    let leeching = Job { magnet: Some(magnet), ..leeching };
    let mut leecher = ours::start_magnet(&leeching, |_| {})?;
    let torrent = leecher.torrent().clone();
    let mut happened = torrent.events();
    wait_for(room.deadline, "the metadata comes", || Ok(torrent.metainfo().map(|_| ())))?;
    wait_for(room.deadline, "nobody is connected, and the DHT is told to be off", || {
        let snapshot = torrent.snapshot();
        let mut lines = snapshot.detail.discovery.iter().filter(|line| line.source == PeerSource::Dht);
        let is_off = lines.any(|line| {
            line.state == DiscoveryState::Off && line.message.as_str().contains("the torrent is private")
        });
        Ok((is_off && snapshot.seeds_connected + snapshot.leechers_connected == 0).then_some(()))
    })?;
    wait_for(room.deadline, "whoever gave the metadata is told to be gone", || {
        let told = std::iter::from_fn(|| happened.try_recv().ok());
        let is_told = |kind| matches!(kind, EventKind::PeerDisconnected { why, .. } if why.as_str().contains("is private"));
        Ok(told.map(|event| event.kind).any(is_told).then_some(()))
    })?;
    // What was sent before may still be on its way.
    let before = wait_for(room.deadline, "the DHT has heard all that was asked", || {
        let heard = node.count(payload.info_hash(), |_| true);
        thread::sleep(Duration::from_secs(1));
        Ok((node.count(payload.info_hash(), |_| true) == heard).then_some(heard))
    })?;
    if before == 0 || torrent.snapshot().downloaded > 0 {
        return Err(format!("asked {before} times, and {} bytes came", torrent.snapshot().downloaded).into());
    }
    torrent.add_peer(seeding.listen);
    leecher.wait_complete("the leecher completes", room.deadline)?;
    let after = node.count(payload.info_hash(), |_| true);
    drop((seeder, leecher));
    if after != before {
        return Err(format!("the DHT heard {} more of a private torrent", after - before).into());
    }
    payload.check_copy(&leeching.payload_folder, true)
}

fn no_longer_complete(room: &Room) -> Outcome {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = runtime.block_on(loses_a_piece(room));
    runtime.shutdown_timeout(Duration::from_secs(2));
    result
}

/// A seed is cut by a byte, which it notices when somebody wants it.
async fn loses_a_piece(room: &Room) -> Outcome {
    let payload = Payload::make(&Plan::single("cut.bin", TOTAL, PIECE))?;
    let (metainfo, folder) = (Metainfo::parse(payload.torrent())?, room.folder("whole")?);
    payload.copy_to(&folder, false)?;
    let node = Node::start(address::unused().ip(), None)?;
    let dht = DhtSettings { bootstrap: vec![node.address.into()], ..DhtSettings::default() };
    let whole = start(TorrentParams::new(metainfo.clone(), folder.clone()), |config| {
        (config.cache_bytes_max, config.dht) = (0, Some(dht));
    })
    .await?;
    reaches(&whole.1, "it is whole", |state| state.is_durable).await?;
    let heard = |what: &str, is_seed| {
        let count = || node.count(payload.info_hash(), |query| asks(query, is_seed));
        wait_for(room.deadline, what, || Ok((count() > 0).then_some(())))
    };
    tokio::task::block_in_place(|| heard("it looks for whoever wants something", true))?;
    if node.count(payload.info_hash(), |query| asks(query, false)) > 0 {
        return Err("a seed asked for seeds".into());
    }
    File::options().write(true).open(folder.join("cut.bin"))?.set_len(TOTAL - 1)?;
    let mut other = TorrentParams::new(metainfo, room.folder("other")?);
    other.peers = whole.0.listen_addrs();
    let _other = start(other, |_| ()).await?;
    reaches(&whole.1, "it is no longer whole", |state| state.pieces_have < state.pieces).await?;
    tokio::task::block_in_place(|| heard("it looks for seeds", false))?;
    let is_cut = fs::metadata(folder.join("cut.bin"))?.len() < TOTAL;
    if is_cut { Ok(()) } else { Err("it came from somewhere".into()) }
}
