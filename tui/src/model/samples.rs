//! A sample of everything that a dashboard can be told, made of a seed: for tests, benchmarks and pictures.

mod detail;
mod log;
mod torrents;

use potluck_common::{
    InfoHash, Rng,
    control::{
        Delta, Detail, DetailDelta, DhtSummary, DiscoveryState, DiskSnapshot, FolderSpace, History,
        HistoryRange, Limits, ListDelta, PeerSnapshot, PieceState, PortSummary, SessionSnapshot, Settings,
        State, TorrentDetail, TorrentPeer, TorrentRow, Update, UpdateBody,
    },
};

/// When the sample's engine started: 21 November 2026, 10:00 (UTC), in seconds since 1970.
pub const STARTED_AT: f64 = 1_795_255_200.0;
/// How long it has been running, in seconds.
pub const UPTIME_SECONDS: u64 = 4 * 86_400 + 2 * 3_600 + 11 * 60;
/// Pieces of the torrent that is seen from near.
pub const PIECES: u32 = 2_960;

/// Forty torrents, and the first from near with sixty peers.
pub fn state() -> State {
    sized(1, 40, 60)
}

/// Nothing yet: an engine that has just started, without torrents.
pub fn empty() -> State {
    let mut state = sized(1, 0, 0);
    state.session.as_mut().expect("a sample has a session").uptime_seconds = 1;
    state
}

/// So many torrents, the first of them from near with so many peers; the same for the same seed.
pub fn sized(seed: u64, torrents: u32, peers: u32) -> State {
    let mut rng = Rng::new(seed);
    let mut state = State::default();
    for number in 1..=torrents {
        let row = torrents::row(number, &mut rng);
        state.torrents.insert(row.summary.info_hash, row);
    }
    if torrents > 0 {
        let (info_hash, lists) = (hash(1), detail::lists(peers, &mut rng));
        state.detail = Some(Detail { info_hash, lists, history: None });
        count_peers(&mut state);
        state.peers = of_all_torrents(&state, torrents, &mut rng);
        state.events = log::events(torrents).into();
    }
    let (down_rate, up_rate) = rates(state.torrents.values());
    let connections = state.peers.len() as u32;
    state.session = Some(SessionSnapshot { down_rate, up_rate, connections, ..session() });
    state.history = Some(history(HistoryRange::FiveMinutes, down_rate, up_rate, &mut rng));
    state.fairness = (torrents > 0).then(|| detail::fairness(false, up_rate));
    state.disk = Some(disk(down_rate, up_rate));
    let (down_rate, up_rate) = rates(state.torrents.get(&hash(1)).into_iter());
    if let Some(detail) = &mut state.detail {
        detail.history = Some(history(HistoryRange::FiveMinutes, down_rate, up_rate, &mut rng));
        detail.lists.fairness = Some(detail::fairness(true, up_rate));
    }
    state
}

/// What the disk does when so much comes and is sent.
fn disk(down_rate: u64, up_rate: u64) -> DiskSnapshot {
    let folder = |name: &str, free| FolderSpace { directory: name.into(), free };
    DiskSnapshot {
        write_rate: down_rate,
        read_rate: up_rate / 3,
        hash_rate: down_rate,
        unwritten: 41 << 20,
        unwritten_max: 64 << 20,
        queued: 9 << 20,
        jobs: 3,
        cache: 12 << 20,
        cache_max: 64 << 20,
        cache_hits: 92,
        cache_misses: 8,
        folders: vec![folder("/home/ada/Downloads", Some(1 << 40)), folder("/mnt/archive", None)],
        ..DiskSnapshot::default()
    }
}

/// What torrents receive and send together.
fn rates<'a>(torrents: impl Iterator<Item = &'a TorrentRow>) -> (u64, u64) {
    torrents.fold((0, 0), |(down, up), row| (down + row.summary.down_rate, up + row.summary.up_rate))
}

/// All of `state`, as an engine tells it.
pub fn whole(state: &State) -> Update {
    let detail = state.detail.clone().map(|detail| {
        let lists = detail.lists;
        DetailDelta {
            info_hash: detail.info_hash,
            about: lists.about,
            peers: Some(ListDelta::Whole(lists.peers)),
            trackers: Some(ListDelta::Whole(lists.trackers)),
            discovery: Some(ListDelta::Whole(lists.discovery)),
            files: Some(ListDelta::Whole(lists.files)),
            pieces: Some(ListDelta::Whole(lists.pieces)),
            holders: lists.holders.into_iter().next(),
            fairness: lists.fairness,
            history: detail.history,
        }
    });
    let delta = Delta {
        session: state.session.clone(),
        torrents: state.torrents.values().cloned().collect(),
        removed: Vec::new(),
        detail,
        peers: Some(ListDelta::Whole(state.peers.clone())),
        fairness: state.fairness.clone(),
        disk: state.disk.clone(),
        history: state.history.clone(),
        events: state.events.iter().cloned().collect(),
    };
    Update { number: 1, body: UpdateBody::Snapshot(Box::new(delta)) }
}

/// The info-hash of the torrent with this number.
pub fn hash(number: u32) -> InfoHash {
    let mut bytes = [0xa5; 20];
    bytes[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b1).to_be_bytes());
    bytes[16..].copy_from_slice(&number.to_be_bytes());
    InfoHash(bytes)
}

/// The first torrent's row says what its list says.
fn count_peers(state: &mut State) {
    let Some(Detail { info_hash, lists, .. }) = &state.detail else { return };
    let count =
        |holds: fn(&PeerSnapshot) -> bool| lists.peers.iter().filter(|peer| holds(peer)).count() as u32;
    let Some(row) = state.torrents.get_mut(info_hash) else { return };
    let summary = &mut row.summary;
    summary.seeds_connected = count(|peer| peer.is_seed);
    summary.leechers_connected = count(|peer| !peer.is_seed);
    summary.unchoked_by = count(|peer| peer.we_are_interested && !peer.chokes_us);
    summary.unchoked = count(|peer| peer.is_interested && !peer.we_choke);
    summary.down_rate = lists.peers.iter().map(|peer| peer.down_rate).sum();
    summary.up_rate = lists.peers.iter().map(|peer| peer.up_rate).sum();
    let left = summary.wanted_size - summary.wanted_have;
    summary.eta_seconds = left.checked_div(summary.down_rate);
    summary.distributed_copies = copies(&lists.pieces);
}

/// Those of the rarest piece, ours among them, and the share of the pieces that have more.
fn copies(pieces: &[PieceState]) -> f32 {
    let of = |piece: &PieceState| piece.availability + u16::from(piece.have);
    let fewest = pieces.iter().map(of).min().unwrap_or(0);
    let more = pieces.iter().filter(|piece| of(piece) > fewest).count();
    f32::from(fewest) + more as f32 / pieces.len().max(1) as f32
}

/// The peers of the first torrent, and some of the others.
fn of_all_torrents(state: &State, torrents: u32, rng: &mut Rng) -> Vec<TorrentPeer> {
    let lists: &TorrentDetail = &state.detail.as_ref().expect("it was just made").lists;
    let near = lists.peers.iter().cloned().map(|peer| TorrentPeer { info_hash: hash(1), peer });
    let far = (0..lists.peers.len() as u32 / 3).map(|index| {
        let info_hash = hash(2 + index % torrents.saturating_sub(1).clamp(1, 3));
        let mut peer = detail::peer(1_000 + index, rng);
        // They are made as peers of the first torrent.
        let pieces = state.torrents.get(&info_hash).map_or(PIECES, |row| row.summary.pieces);
        peer.pieces_have = (u64::from(peer.pieces_have) * u64::from(pieces) / u64::from(PIECES)) as u32;
        TorrentPeer { info_hash, peer }
    });
    near.chain(far).collect()
}

fn session() -> SessionSnapshot {
    SessionSnapshot {
        version: "potluck 1.0.0".into(),
        started_at: STARTED_AT,
        uptime_seconds: UPTIME_SECONDS,
        listen: vec!["0.0.0.0:6881".parse().expect("an address"), "[::]:6881".parse().expect("an address")],
        down_rate: 0,
        up_rate: 0,
        downloaded: 44_238_000_000,
        uploaded: 62_813_000_000,
        downloaded_ever: 912_000_000_000,
        uploaded_ever: 1_295_040_000_000,
        connections: 0,
        connections_max: 200,
        dht: DhtSummary { state: DiscoveryState::Working, message: "".into(), nodes_v4: 380, nodes_v6: 32 },
        port: PortSummary::default(),
        free_space: Some(1_319_413_953_331),
        slots: 5,
        settings: Settings {
            directory: "/home/ada/Downloads".into(),
            limits: Limits { down: None, up: Some(3 << 20) },
            ratio_goal: Some(2.0),
            ..Settings::default()
        },
        trouble: None,
    }
}

/// Rates that wander between nothing and about these.
fn history(range: HistoryRange, down: u64, up: u64, rng: &mut Rng) -> History {
    let mut wander = |top: u64, begin: usize| {
        let mut rate = top / 4;
        let mut samples = vec![0; begin];
        samples.extend((begin..range.samples()).map(|_| {
            let step = u64::from(rng.below(top as u32 / 4));
            rate = if rng.below(100) < 56 { rate + step } else { rate.saturating_sub(step) }.min(top);
            rate
        }));
        *samples.last_mut().expect("a range has samples") = top;
        samples
    };
    History { range, down: wander(down, 4), up: wander(up, 10) }
}

#[cfg(test)]
mod tests {
    use potluck_common::control::PeerSlot;

    use super::*;

    /// Whoever looks at a picture of it must not find numbers that contradict each other.
    #[test]
    fn a_sample_agrees_with_itself() {
        let state = state();
        let session = state.session.as_ref().expect("a session");
        assert_eq!((session.down_rate, session.up_rate), rates(state.torrents.values()));
        assert!(session.settings.limits.up.is_some_and(|limit| session.up_rate <= limit), "{session:?}");
        assert_eq!(session.connections as usize, state.peers.len());
        let detail = state.detail.as_ref().expect("the first from near");
        let row = &state.torrents[&detail.info_hash];
        let peers = &detail.lists.peers;
        let sum = |of: fn(&PeerSnapshot) -> u64| peers.iter().map(of).sum::<u64>();
        assert_eq!(row.summary.down_rate, sum(|peer| peer.down_rate));
        assert_eq!(row.summary.up_rate, sum(|peer| peer.up_rate));
        assert_eq!((row.summary.seeds_connected + row.summary.leechers_connected) as usize, peers.len());
        let fairness = detail.lists.fairness.as_ref().expect("how uploads are shared");
        let in_slot = |slot| peers.iter().filter(|peer| peer.slot == slot).count() as u32;
        assert_eq!(fairness.slots_earned, in_slot(PeerSlot::Earned));
        assert_eq!(fairness.slots_optimistic, in_slot(PeerSlot::Optimistic));
        assert_eq!(fairness.up_rate, row.summary.up_rate);
        let nowhere = detail.lists.pieces.iter().any(|piece| !piece.have && piece.availability == 0);
        assert_eq!(nowhere, row.summary.distributed_copies < 1.0);
        for TorrentPeer { info_hash, peer } in &state.peers {
            let pieces = state.torrents[info_hash].summary.pieces;
            assert_eq!(peer.is_seed, peer.pieces_have == pieces, "{peer:?}");
            let moved = peer.downloaded / peer.down_rate.max(1);
            assert!(peer.down_rate == 0 || moved as f64 <= peer.age_seconds, "{peer:?}");
        }
    }

    #[test]
    fn a_sample_follows_from_its_seed() {
        assert_eq!(sized(3, 20, 30), sized(3, 20, 30));
        assert_ne!(sized(3, 20, 30), sized(4, 20, 30));
        let state = state();
        assert_eq!((state.torrents.len(), state.peers.len()), (40, 80));
        let lists = state.detail.expect("the first from near").lists;
        assert_eq!((lists.peers.len(), lists.pieces.len()), (60, PIECES as usize));
    }
}
