//! A sample of everything that a dashboard can be told, made of a seed: for tests, benchmarks and pictures.

mod detail;
mod log;
mod torrents;

use potluck_common::{
    InfoHash, Rng,
    control::{
        Delta, Detail, DetailDelta, History, HistoryRange, Limits, ListDelta, PeerSnapshot, SessionSnapshot,
        Settings, State, TorrentDetail, TorrentPeer, Update, UpdateBody,
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
    let mut state = State { session: Some(session()), ..State::default() };
    for number in 1..=torrents {
        let row = torrents::row(number, &mut rng);
        state.torrents.insert(row.summary.info_hash, row);
    }
    state.history = Some(history(HistoryRange::FiveMinutes, 8_700_000, 3_040_000, &mut rng));
    if torrents == 0 {
        return state;
    }
    let info_hash = hash(1);
    state.detail = Some(Detail {
        info_hash,
        lists: detail::lists(peers, &mut rng),
        history: Some(history(HistoryRange::FiveMinutes, 6_400_000, 1_300_000, &mut rng)),
    });
    count_peers(&mut state);
    state.peers = of_all_torrents(&state, torrents, &mut rng);
    state.fairness = Some(detail::fairness(false));
    state.events = log::events(torrents).into();
    state
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
}

/// The peers of the first torrent, and some of the others.
fn of_all_torrents(state: &State, torrents: u32, rng: &mut Rng) -> Vec<TorrentPeer> {
    let lists: &TorrentDetail = &state.detail.as_ref().expect("it was just made").lists;
    let near = lists.peers.iter().cloned().map(|peer| TorrentPeer { info_hash: hash(1), peer });
    let far = (0..lists.peers.len() as u32 / 3).map(|index| TorrentPeer {
        info_hash: hash(2 + index % torrents.saturating_sub(1).clamp(1, 3)),
        peer: detail::peer(1_000 + index, rng),
    });
    near.chain(far).collect()
}

fn session() -> SessionSnapshot {
    SessionSnapshot {
        version: "potluck 1.0.0".into(),
        started_at: STARTED_AT,
        uptime_seconds: UPTIME_SECONDS,
        listen: vec!["0.0.0.0:6881".parse().expect("an address"), "[::]:6881".parse().expect("an address")],
        down_rate: 8_703_000,
        up_rate: 3_041_000,
        downloaded: 44_238_000_000,
        uploaded: 62_813_000_000,
        downloaded_ever: 912_000_000_000,
        uploaded_ever: 1_295_040_000_000,
        connections: 61,
        connections_max: 200,
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
    use super::*;

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
