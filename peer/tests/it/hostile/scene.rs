//! What a trial plays on: a torrent, and engines that have or want its payload.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use potluck_common::control::{Event, EventKind, TorrentState};
use potluck_common::metainfo::Metainfo;
use potluck_common::wire::{Message, RawSpan};
use potluck_common::{Geometry, PeerId, Rng, hash};
use potluck_peer::engine::{Engine, EngineConfig, Intent, TorrentHandle, TorrentParams};
use tokio::sync::broadcast;

use super::peer::{FAST, RawPeer, block, new_id};
use super::{ensure, within};
use crate::support::room::Room;
use crate::support::{Outcome, address, bencode};

/// The name of the payload's only file.
const FILE: &str = "payload.bin";

/// A torrent of one file.
pub(super) struct Sample {
    pub(super) metainfo: Metainfo,
    /// The payload; empty if it is all zeros.
    content: Vec<u8>,
}

impl Sample {
    /// Of noise.
    pub(super) fn noise(length: usize, piece_length: u32) -> Outcome<Self> {
        let mut content = vec![0; length];
        Rng::new(u64::from(piece_length)).fill(&mut content);
        let pieces: Vec<u8> = content.chunks(piece_length as usize).flat_map(hash::sha1).collect();
        Ok(Self { metainfo: metainfo(length as u64, piece_length, &pieces)?, content })
    }

    /// Of `pieces` pieces of zeros, which neither the disk nor this process must keep.
    pub(super) fn zeros(pieces: usize, piece_length: u32) -> Outcome<Self> {
        let hash = hash::sha1(&vec![0; piece_length as usize]);
        let length = pieces as u64 * u64::from(piece_length);
        Ok(Self { metainfo: metainfo(length, piece_length, &hash.repeat(pieces))?, content: Vec::new() })
    }

    pub(super) fn geometry(&self) -> Geometry {
        self.metainfo.geometry()
    }

    /// The bytes that a request asks for.
    pub(super) fn bytes(&self, span: RawSpan) -> &[u8] {
        let begin = span.piece as usize * self.geometry().piece_length() as usize + span.begin as usize;
        &self.content[begin..begin + span.length as usize]
    }

    /// The true answer to a request.
    pub(super) fn answer(&self, span: RawSpan) -> Message {
        block(span.piece, span.begin, self.bytes(span))
    }

    /// A false answer to a request.
    pub(super) fn lie(&self, span: RawSpan) -> Message {
        let mut payload = self.bytes(span).to_vec();
        payload[0] ^= 0xff;
        block(span.piece, span.begin, &payload)
    }

    fn write(&self, folder: &Path) -> Outcome {
        if self.content.is_empty() {
            return Ok(File::create(folder.join(FILE))?.set_len(self.metainfo.total_size())?);
        }
        Ok(fs::write(folder.join(FILE), &self.content)?)
    }
}

fn metainfo(length: u64, piece_length: u32, pieces: &[u8]) -> Outcome<Metainfo> {
    let mut bytes = b"d4:infod6:length".to_vec();
    bencode::integer(&mut bytes, length);
    bytes.extend_from_slice(b"4:name");
    bencode::bytes(&mut bytes, FILE.as_bytes());
    bytes.extend_from_slice(b"12:piece length");
    bencode::integer(&mut bytes, u64::from(piece_length));
    bytes.extend_from_slice(b"6:pieces");
    bencode::bytes(&mut bytes, pieces);
    bytes.extend_from_slice(b"ee");
    Ok(Metainfo::parse(&bytes)?)
}

/// An engine with one torrent, on a loopback address of its own.
pub(super) struct Host {
    pub(super) engine: Engine,
    pub(super) torrent: TorrentHandle,
    pub(super) address: SocketAddr,
    folder: PathBuf,
    geometry: Geometry,
}

/// What differs from the defaults.
pub(super) type Change<'a> = &'a dyn Fn(&mut EngineConfig, &mut TorrentParams);

/// Nothing differs.
pub(super) const UNCHANGED: Change<'static> = &|_, _| {};

impl Host {
    /// One that has the payload.
    pub(super) async fn seeder(room: &Room, sample: &Sample, change: Change<'_>) -> Outcome<Self> {
        sample.write(&room.folder("seeder")?)?;
        let host = Self::start(room, "seeder", sample, Intent::Seed, change).await?;
        within(30, "the seeder checks its payload", host.complete()).await?;
        Ok(host)
    }

    /// One that wants it.
    pub(super) async fn leecher(room: &Room, sample: &Sample, change: Change<'_>) -> Outcome<Self> {
        Self::start(room, "leecher", sample, Intent::Download, change).await
    }

    /// One with any intent, in a folder of this name.
    pub(super) async fn start(
        room: &Room,
        name: &str,
        sample: &Sample,
        intent: Intent,
        change: Change<'_>,
    ) -> Outcome<Self> {
        let folder = room.folder(name)?;
        let mut params = TorrentParams::new(sample.metainfo.clone(), folder.clone());
        params.intent = intent;
        let bind = address::unused().ip();
        let mut config = EngineConfig { bind: Some(bind), ports: 0..=0, ..EngineConfig::default() };
        change(&mut config, &mut params);
        let engine = Engine::start(config).await?;
        let torrent = engine.add(params).await?;
        let address = *engine.listen_addrs().first().ok_or("the engine listens nowhere")?;
        Ok(Self { engine, torrent, address, folder, geometry: sample.geometry() })
    }

    /// A peer that is past its handshake, with an id of its own.
    pub(super) async fn greeted(&self) -> Outcome<RawPeer> {
        self.greeted_as(new_id()).await
    }

    /// The same with this id.
    pub(super) async fn greeted_as(&self, id: PeerId) -> Outcome<RawPeer> {
        let peer = RawPeer::greet(self.address, self.torrent.info_hash(), id, FAST).await?;
        Ok(peer.knowing(&self.geometry))
    }

    /// A peer that the engine has unchoked.
    pub(super) async fn unchoked(&self) -> Outcome<RawPeer> {
        let mut peer = self.greeted().await?;
        peer.say(&[Message::HaveNone, Message::Interested]).await?;
        peer.hear_this(&Message::Unchoke).await?;
        Ok(peer)
    }

    /// A peer that claims to have everything, and waits for requests.
    pub(super) async fn asked(&self) -> Outcome<RawPeer> {
        let mut peer = self.greeted().await?;
        peer.say(&[Message::HaveAll, Message::Unchoke]).await?;
        Ok(peer)
    }

    /// Whether the file holds what it should.
    pub(super) fn ensure_whole(&self, sample: &Sample) -> Outcome {
        let found = fs::read(self.folder.join(FILE))?;
        ensure(found == sample.content, || "the copy differs from the payload".into())
    }

    /// Whether no byte of payload was written.
    pub(super) fn ensure_untouched(&self) -> Outcome {
        let content = fs::read(self.folder.join(FILE)).unwrap_or_default();
        ensure(content.iter().all(|byte| *byte == 0), || "something was written to the disk".into())?;
        let have = self.torrent.snapshot().pieces_have;
        ensure(have == 0, || format!("{have} pieces count as there"))
    }

    async fn complete(&self) -> Outcome {
        self.torrent.wait_complete().await.map_err(|error| error.message.to_string().into())
    }

    /// Waits until the torrent is complete, and checks every byte.
    pub(super) async fn completes(&self, seconds: u64, sample: &Sample) -> Outcome {
        within(seconds, "the download completes", self.complete()).await?;
        let state = &self.torrent.snapshot().state;
        ensure(*state == TorrentState::Seeding, || format!("the torrent is {state:?}"))?;
        self.ensure_whole(sample)
    }

    /// Waits until a snapshot satisfies `wanted`.
    pub(super) async fn shows(
        &self,
        what: &str,
        mut wanted: impl FnMut(&potluck_common::control::TorrentSnapshot) -> bool,
    ) -> Outcome {
        let mut snapshots = self.torrent.watch();
        let shown = async {
            snapshots.wait_for(|snapshot| wanted(snapshot)).await?;
            Ok(())
        };
        within(20, what, shown).await
    }

    /// Ends the engine.
    pub(super) async fn shutdown(&self) {
        self.engine.shutdown(Duration::from_secs(3)).await;
    }
}

/// All events that came so far.
pub(super) fn drain(events: &mut broadcast::Receiver<Event>) -> Vec<EventKind> {
    let mut kinds = Vec::new();
    loop {
        match events.try_recv() {
            Ok(event) => kinds.push(event.kind),
            Err(broadcast::error::TryRecvError::Lagged(_)) => {}
            Err(_) => return kinds,
        }
    }
}
