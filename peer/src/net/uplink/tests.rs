//! Connections over real sockets share a limit by weight. What counts is where the bytes went, and not how fast: time passes only
//! while all of them wait, so that a busy machine changes nothing.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use bytes::BytesMut;
use potluck_common::{
    Bitfield, InfoHash, PeerId,
    wire::{Handshake, Message, RawSpan, Reserved},
};
use potluck_core::{
    PeerKey,
    session::{Direction, Extensions, Session, SessionCommand, SessionConfig},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    sync::{Semaphore, mpsc},
};

use super::*;
use crate::{
    disk::{BufferPool, ChunkCache, DiskPool, Storage, testing::one_file},
    net::{
        limiter::{Limiter, Limits},
        peer_task::{PeerContext, PeerTask},
        piece_table::PieceTable,
        report,
    },
};

const PIECE: u64 = 256 * 1024;
const PIECES: u32 = 16;
const INFO_HASH: InfoHash = InfoHash([7; 20]);
/// Requests that a downloader keeps waiting.
const DEPTH: usize = 64;

/// What an engine has, as far as uploads need it.
struct Seeder {
    clock: Clock,
    storage: Arc<Storage>,
    cache: Arc<ChunkCache>,
    buffers: Arc<BufferPool>,
    uplink: Arc<Uplink>,
}

impl Seeder {
    fn new(folder: &Path, limit: Option<u64>) -> Self {
        let payload = vec![7; PIECE as usize * PIECES as usize];
        std::fs::write(folder.join("file"), &payload).expect("written");
        let storage = one_file(folder, PIECE, &payload);
        let buffers = BufferPool::new(4 * 1024 * 1024);
        let pool = DiskPool::start(1, 0).expect("threads");
        let cache = ChunkCache::new(&pool, &buffers, 64 * 1024 * 1024);
        let clock = Clock::start();
        let uplink = Uplink::new(clock, limit);
        tokio::spawn(Arc::clone(&uplink).run());
        Self { clock, storage, cache, buffers, uplink }
    }

    /// The context of a torrent's connections, with the torrent's own limit.
    fn torrent(&self, limit: Option<u64>) -> PeerContext {
        let (reports, mut heard) = report::channel();
        tokio::spawn(async move { while heard.recv().await.is_some() {} });
        let geometry = *self.storage.layout().geometry();
        PeerContext {
            clock: self.clock,
            storage: Arc::clone(&self.storage),
            cache: Arc::clone(&self.cache),
            pieces: Arc::new(PieceTable::new(geometry, Arc::clone(&self.buffers))),
            up: Share::new(&self.uplink, limit),
            down: Limits([Arc::new(Limiter::new(None)), Arc::new(Limiter::new(None))]),
            reports,
        }
    }
}

/// A connection that uploads; it ends with this.
type Link = mpsc::UnboundedSender<Vec<SessionCommand>>;

/// An uplink that downloaders share: what may pass, in bytes, in turns.
type Network = Arc<Semaphore>;

/// Bytes of a turn.
const TURN: usize = 4 * 1024;

/// An uplink that carries so many bytes per second.
fn network(bytes_per_second: usize) -> Network {
    let turns = Arc::new(Semaphore::new(0));
    let feed = Arc::clone(&turns);
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        loop {
            ticks.tick().await;
            let more = bytes_per_second / 200;
            // What nobody takes is gone.
            feed.add_permits(more.saturating_sub(feed.available_permits()));
        }
    });
    turns
}

/// Two ends of a connection with small buffers, and the address of the second.
async fn connect() -> std::io::Result<(TcpStream, TcpStream, SocketAddr)> {
    let listener = TcpSocket::new_v4()?;
    listener.set_recv_buffer_size(32 * 1024)?;
    listener.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let listener = listener.listen(1)?;
    let socket = TcpSocket::new_v4()?;
    socket.set_send_buffer_size(32 * 1024)?;
    let ours = socket.connect(listener.local_addr()?).await?;
    let (theirs, remote) = listener.accept().await?;
    Ok((ours, theirs, remote))
}

/// Connects a downloader of this weight, which counts what it reads.
async fn downloader(
    context: &PeerContext,
    percent: u8,
    network: Option<&Network>,
    read: &Arc<AtomicU64>,
) -> Link {
    let geometry = *context.storage.layout().geometry();
    let (ours, theirs, remote) = connect().await.expect("connected");
    let config = SessionConfig {
        info_hash: INFO_HASH,
        peer_id: PeerId([1; 20]),
        direction: Direction::Incoming,
        remote,
        geometry,
        listen_port: None,
        client: "Potluck",
        upload_only: true,
        private: false,
        extensions: Extensions::default(),
    };
    let session = Session::new(config, &Bitfield::full(geometry.pieces()), context.clock.now());
    let (link, commands) = mpsc::unbounded_channel();
    link.send(vec![SessionCommand::Weigh(percent), SessionCommand::Unchoke]).expect("the other end is here");
    let task = PeerTask::new(
        PeerKey(u64::from(remote.port())),
        context.clone(),
        ours,
        session,
        BytesMut::new(),
        commands,
    );
    tokio::spawn(Box::new(task).run());
    tokio::spawn(download(theirs, network.cloned(), Arc::clone(read)));
    link
}

/// Asks for every block again and again, and counts bytes.
async fn download(
    mut stream: TcpStream,
    network: Option<Network>,
    read: Arc<AtomicU64>,
) -> std::io::Result<()> {
    let handshake = Handshake { reserved: Reserved::FAST, info_hash: INFO_HASH, peer_id: PeerId([2; 20]) };
    stream.write_all(&handshake.encode()).await?;
    let mut asked = BytesMut::new();
    Message::HaveNone.encode(&mut asked);
    Message::Interested.encode(&mut asked);
    let blocks = (PIECE / u64::from(BLOCK_LENGTH)) as u32;
    let mut requests = (0..).map(|number: u32| {
        let (piece, begin) = (number / blocks % PIECES, number % blocks * BLOCK_LENGTH);
        Message::Request(RawSpan { piece, begin, length: BLOCK_LENGTH })
    });
    let mut buffer = vec![0; 64 * 1024];
    let (mut total, mut answered) = (0_u64, 0);
    // What was asked for before the unchoke is refused: so it begins with what comes by itself.
    let mut outstanding = 0;
    loop {
        stream.write_all(&asked.split()).await?;
        let most = if let Some(turns) = &network {
            stream.readable().await?;
            turns.acquire_many(TURN as u32).await.expect("never closed").forget();
            TURN
        } else {
            buffer.len()
        };
        let length = stream.read(&mut buffer[..most]).await?;
        if length == 0 {
            return Ok(());
        }
        read.fetch_add(length as u64, Relaxed);
        total += length as u64;
        let blocks_read = (total / u64::from(BLOCK_LENGTH)) as usize;
        outstanding -= std::mem::replace(&mut answered, blocks_read).abs_diff(blocks_read).min(outstanding);
        for request in requests.by_ref().take(DEPTH - outstanding) {
            request.encode(&mut asked);
        }
        outstanding = DEPTH;
    }
}

/// A seeder and downloaders.
struct Rig {
    seeder: Seeder,
    downloaders: Vec<(Link, Arc<AtomicU64>)>,
    _folder: TempDir,
}

impl Rig {
    /// Downloaders of these weights, under the limits of the engine and the torrent and over this network.
    async fn new(weights: &[u8], limits: [Option<u64>; 2], network: Option<&Network>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let seeder = Seeder::new(folder.path(), limits[0]);
        let context = seeder.torrent(limits[1]);
        let mut downloaders = Vec::new();
        for percent in weights {
            let read = Arc::new(AtomicU64::new(0));
            downloaders.push((downloader(&context, *percent, network, &read).await, read));
        }
        Self { seeder, downloaders, _folder: folder }
    }

    fn read(&self) -> Vec<u64> {
        self.downloaders.iter().map(|(_, read)| read.load(Relaxed)).collect()
    }

    /// What each of them reads until they have read so much together. The first of it is not counted: it came while not
    /// all of them had said what they want.
    async fn share_out(&self, bytes: u64) -> Vec<u64> {
        while self.read().iter().any(|bytes| *bytes < 2 * PIECE) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let before = self.read();
        let target = before.iter().sum::<u64>() + bytes;
        while self.read().iter().sum::<u64>() < target {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.read().iter().zip(before).map(|(now, before)| now - before).collect()
    }
}

#[track_caller]
fn assert_shares(read: &[u64], weights: &[u8]) {
    let unit = read.iter().sum::<u64>() as f64 / weights.iter().map(|weight| f64::from(*weight)).sum::<f64>();
    for (bytes, weight) in read.iter().zip(weights) {
        let share = *bytes as f64 / (unit * f64::from(*weight));
        assert!((0.9..=1.1).contains(&share), "{read:?} by weights {weights:?}: {share:.2} of its share");
    }
}

const WEIGHTS: [u8; 6] = [100, 100, 50, 50, 25, 100];

#[tokio::test(start_paused = true)]
async fn an_engines_limit_is_shared_by_weight() {
    let rig = Rig::new(&WEIGHTS, [Some(16_000_000), None], None).await;
    assert_shares(&rig.share_out(24_000_000).await, &WEIGHTS);
}

#[tokio::test(start_paused = true)]
async fn a_torrents_limit_is_shared_by_weight() {
    let rig = Rig::new(&WEIGHTS, [Some(100_000_000), Some(16_000_000)], None).await;
    assert_shares(&rig.share_out(24_000_000).await, &WEIGHTS);
}

#[tokio::test(start_paused = true)]
async fn what_the_network_carries_is_shared_by_weight() {
    let rig = Rig::new(&[100, 100, 100, 50], [None, None], Some(&network(2_000_000))).await;
    while !rig.seeder.uplink.pacing.is_paced() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // What the buffers of the system held by then is not counted.
    rig.share_out(8_000_000).await;
    let read = rig.share_out(24_000_000).await;
    assert!(rig.seeder.uplink.pacing.is_paced(), "the network is not measured any more");
    assert_shares(&read, &[100, 100, 100, 50]);
}
