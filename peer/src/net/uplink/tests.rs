//! Connections over real sockets share a limit by weight. What counts is where the bytes went, and not how fast.

use std::{net::Ipv4Addr, path::Path, sync::atomic::AtomicU64, sync::atomic::Ordering::Relaxed};

use bytes::BytesMut;
use potluck_common::{
    Bitfield, InfoHash, PeerId,
    wire::{Handshake, Message, RawSpan, Reserved},
};
use potluck_core::{
    PeerKey,
    session::{Direction, Session, SessionCommand, SessionConfig},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
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

/// Connects a downloader of this weight, which counts what it reads.
async fn downloader(context: &PeerContext, percent: u8, read: &Arc<AtomicU64>) -> Link {
    let geometry = *context.storage.layout().geometry();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("bound");
    let address = listener.local_addr().expect("bound");
    let ours = TcpStream::connect(address).await.expect("connected");
    let (theirs, remote) = listener.accept().await.expect("accepted");
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
    tokio::spawn(download(theirs, Arc::clone(read)));
    link
}

/// Asks for every block again and again, and counts bytes.
async fn download(mut stream: TcpStream, read: Arc<AtomicU64>) -> std::io::Result<()> {
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
        let length = stream.read(&mut buffer).await?;
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

/// Runs downloaders of these weights until they have read so much together; returns what each read.
async fn share_out(weights: &[u8], limit: Option<u64>, torrent: Option<u64>, bytes: u64) -> Vec<u64> {
    let folder = tempfile::tempdir().expect("a folder");
    let seeder = Seeder::new(folder.path(), limit);
    let context = seeder.torrent(torrent);
    let mut downloaders = Vec::new();
    for percent in weights {
        let read = Arc::new(AtomicU64::new(0));
        downloaders.push((downloader(&context, *percent, &read).await, read));
    }
    let read = || downloaders.iter().map(|(_, read)| read.load(Relaxed)).collect::<Vec<_>>();
    // The first of it came while not all of them had said what they want.
    let count_from = loop {
        let now = read();
        if now.iter().all(|bytes| *bytes > 2 * PIECE) {
            break now;
        }
        tokio::task::yield_now().await;
    };
    let target = count_from.iter().sum::<u64>() + bytes;
    while read().iter().sum::<u64>() < target {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    read().iter().zip(count_from).map(|(now, before)| now - before).collect()
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engines_limit_is_shared_by_weight() {
    let read = share_out(&WEIGHTS, Some(16_000_000), None, 24_000_000).await;
    assert_shares(&read, &WEIGHTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torrents_limit_is_shared_by_weight() {
    let read = share_out(&WEIGHTS, Some(100_000_000), Some(16_000_000), 24_000_000).await;
    assert_shares(&read, &WEIGHTS);
}
