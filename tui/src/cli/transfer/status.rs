//! A torrent's state in words: one line for a terminal, a plain one, and one of JSON.

use potluck_common::control::{
    PeerSource, SCHEMA, TorrentSnapshot, TorrentState, TrackerSnapshot, TrackerState,
};
use serde_json::{Value, json};

use crate::{
    theme::Symbols,
    units::{Bytes, PerSecond, Seconds, count, percent},
    view::bar,
};

/// Most characters of a torrent's name in a line about it.
const NAME_CHARS_MAX: usize = 28;
const BAR_WIDTH: usize = 16;

/// The line that is redrawn on a terminal: what it is, how far, how fast, with whom, and why nothing moves.
pub fn bar_line(snapshot: &TorrentSnapshot, symbols: &Symbols) -> String {
    let name = shortened(snapshot.name.as_str());
    if let TorrentState::Checking { done, total } = snapshot.state {
        let (filled, rest) = bar(u64::from(done), u64::from(total), BAR_WIDTH, symbols);
        return format!("{name} checking {:>3} % {filled}{rest}", percent(u64::from(done), u64::from(total)));
    }
    if let Some(metadata) = metadata(snapshot) {
        return format!("{name} {metadata}{}", why(snapshot));
    }
    let (filled, rest) = bar(snapshot.wanted_have, snapshot.wanted_size, BAR_WIDTH, symbols);
    let have = percent(snapshot.wanted_have, snapshot.wanted_size);
    let moving = format!(
        "{} {} {} {}  S/L {}/{}",
        symbols.downloading,
        PerSecond(snapshot.down_rate),
        symbols.seeding,
        PerSecond(snapshot.up_rate),
        snapshot.seeds_connected,
        snapshot.leechers_connected
    );
    if snapshot.state == TorrentState::Seeding {
        let sent = Bytes(snapshot.uploaded);
        return format!("{name} seeding  {moving}  sent {sent} ({:.2}x){}", ratio(snapshot), why(snapshot));
    }
    let size = format!("{}/{}", Bytes(snapshot.wanted_have), Bytes(snapshot.wanted_size));
    let left = snapshot.eta_seconds.map_or_else(String::new, |eta| format!("  {} left", Seconds(eta)));
    format!("{name} {have:>3} % {filled}{rest} {size}  {moving}{left}{}", why(snapshot))
}

/// The line that is written now and then where there is no terminal.
pub fn plain_line(snapshot: &TorrentSnapshot) -> String {
    let name = &snapshot.name;
    if let TorrentState::Checking { done, total } = snapshot.state {
        return format!("{name}: checking, piece {done} of {total}");
    }
    if let Some(metadata) = metadata(snapshot) {
        return format!("{name}: {metadata}{}", why(snapshot));
    }
    let moving = format!(
        "down {}, up {}, {}, {}",
        PerSecond(snapshot.down_rate),
        PerSecond(snapshot.up_rate),
        count(u64::from(snapshot.seeds_connected), "seed"),
        count(u64::from(snapshot.leechers_connected), "leecher")
    );
    if snapshot.state == TorrentState::Seeding {
        let sent = Bytes(snapshot.uploaded);
        return format!("{name}: seeding, {moving}, sent {sent} ({:.2}x){}", ratio(snapshot), why(snapshot));
    }
    let left = snapshot.eta_seconds.map_or_else(String::new, |eta| format!(", {} left", Seconds(eta)));
    format!(
        "{name}: {} %, {} of {}, {moving}{left}{}",
        percent(snapshot.wanted_have, snapshot.wanted_size),
        Bytes(snapshot.wanted_have),
        Bytes(snapshot.wanted_size),
        why(snapshot)
    )
}

/// The state as the JSON event `progress`: everything but the lists.
pub fn progress_json(snapshot: &TorrentSnapshot) -> Value {
    let mut value = json!({
        "schema": SCHEMA,
        "event": "progress",
        "info_hash": snapshot.info_hash,
        "name": snapshot.name,
        "total_size": snapshot.total_size,
        "wanted_size": snapshot.wanted_size,
        "wanted_have": snapshot.wanted_have,
        "pieces": snapshot.pieces,
        "pieces_have": snapshot.pieces_have,
        "downloaded": snapshot.downloaded,
        "uploaded": snapshot.uploaded,
        "wasted": snapshot.wasted,
        "hash_failures": snapshot.hash_failures,
        "down_rate": snapshot.down_rate,
        "up_rate": snapshot.up_rate,
        "eta_seconds": snapshot.eta_seconds,
        "seeds_connected": snapshot.seeds_connected,
        "leechers_connected": snapshot.leechers_connected,
        "distributed_copies": snapshot.distributed_copies,
        "stall": snapshot.stall,
        "sources": sources_json(snapshot),
        "seconds": snapshot.age_seconds,
    });
    if let (Value::Object(whole), Ok(Value::Object(state))) =
        (&mut value, serde_json::to_value(&snapshot.state))
    {
        whole.extend(state);
    }
    value
}

/// How much of the metadata is there, while nothing else is known.
fn metadata(snapshot: &TorrentSnapshot) -> Option<String> {
    match snapshot.state {
        TorrentState::Metadata { have, size: Some(size) } => {
            Some(format!("metadata {}/{}", Bytes(have), Bytes(size)))
        }
        TorrentState::Metadata { size: None, .. } => Some("metadata".to_owned()),
        // It rests without having it.
        TorrentState::Stopped if snapshot.pieces == 0 => Some("metadata".to_owned()),
        _ => None,
    }
}

/// What each source of peers is doing and what it gave, by its name; the trackers together.
fn sources_json(snapshot: &TorrentSnapshot) -> Value {
    let lists = &snapshot.detail;
    let mut sources = serde_json::Map::new();
    for line in &lists.discovery {
        let Ok(Value::Object(mut fields)) = serde_json::to_value(line) else { continue };
        if let Some(Value::String(name)) = fields.remove("source") {
            sources.insert(name, Value::Object(fields));
        }
    }
    let connected = lists.peers.iter().filter(|peer| peer.source == PeerSource::Tracker).count();
    let working = lists.trackers.iter().filter(|tracker| tracker.state == TrackerState::Working).count();
    let trackers = json!({
        "trackers": lists.trackers.len(),
        "working": working,
        "message": trackers_in_words(&lists.trackers),
        "connected": connected,
    });
    sources.insert("tracker".to_owned(), trackers);
    Value::Object(sources)
}

/// How it stands with the first tracker that fails, if none works.
fn trackers_in_words(trackers: &[TrackerSnapshot]) -> String {
    let is_working = |tracker: &TrackerSnapshot| tracker.state == TrackerState::Working;
    let Some(failing) = trackers.iter().find(|tracker| tracker.failures > 0) else { return String::new() };
    if trackers.iter().any(is_working) {
        return String::new();
    }
    let again = failing
        .next_seconds
        .map_or_else(String::new, |seconds| format!(", next try in {}", Seconds(seconds)));
    let times = count(u64::from(failing.failures), "time");
    format!("tracker {} failed {times} ({}){again}", failing.url, failing.message)
}

/// What other sources than the trackers gave, in words such as "12 peers from the DHT"; empty if nothing.
pub fn others_in_words(snapshot: &TorrentSnapshot) -> String {
    let gave = snapshot.detail.discovery.iter().filter(|line| line.found > 0);
    let words = gave.filter_map(|line| {
        let from = match line.source {
            PeerSource::Dht => "from the DHT",
            PeerSource::Pex => "from other peers",
            PeerSource::Lsd => "from this network",
            PeerSource::Link => "from the link",
            PeerSource::Resume => "from an earlier run",
            PeerSource::User | PeerSource::Incoming | PeerSource::Tracker => return None,
        };
        Some(format!("{} {from}", count(u64::from(line.found), "peer")))
    });
    words.collect::<Vec<_>>().join(", ")
}

/// Payload sent in this run, in payloads.
pub fn ratio(snapshot: &TorrentSnapshot) -> f64 {
    snapshot.uploaded as f64 / snapshot.wanted_size.max(1) as f64
}

fn why(snapshot: &TorrentSnapshot) -> String {
    snapshot.stall.as_ref().map_or_else(String::new, |why| format!("  ({why})"))
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME_CHARS_MAX {
        return name.to_owned();
    }
    let start: String = name.chars().take(NAME_CHARS_MAX - 1).collect();
    start + "…"
}

#[cfg(test)]
mod tests {
    use potluck_common::control::{DiscoverySnapshot, DiscoveryState};

    use super::*;
    use crate::{model::fixture, theme::UNICODE};

    fn snapshots() -> (TorrentSnapshot, TorrentSnapshot) {
        let demo = fixture::midway();
        let of = |index: usize| {
            let member: &crate::model::demo::Member = &demo.members[index];
            member.snapshot.as_deref().expect("the fixture has all").clone()
        };
        (of(1), of(7))
    }

    #[test]
    fn lines_say_how_far_how_fast_and_why_not() {
        let (mut moving, stalled) = snapshots();
        moving.summary.eta_seconds = Some(220);
        let line = bar_line(&moving, &UNICODE);
        for part in ["potluck-demo.bin  50 % ████████········ 24.0 MiB/48.0 MiB", "S/L 2/5", "3m40s left"]
        {
            assert!(line.contains(part), "{line}");
        }
        assert!(plain_line(&stalled).ends_with("(7 of 7 peers choke us)"), "{}", plain_line(&stalled));
        assert!(plain_line(&moving).starts_with("potluck-demo.bin: 50 %, 24.0 MiB of 48.0 MiB, down "));
        moving.summary.state = TorrentState::Checking { done: 3, total: 12 };
        assert!(bar_line(&moving, &UNICODE).contains("checking  25 %"));
        moving.summary.state = TorrentState::Seeding;
        assert!(plain_line(&moving).contains(": seeding, down"));
    }

    #[test]
    fn json_has_the_state_and_no_lists() {
        let value = progress_json(&snapshots().0);
        assert_eq!(value["event"], "progress");
        assert_eq!(value["schema"], 1);
        assert_eq!(value["state"], "downloading");
        assert_eq!(value["wanted_have"], 24 << 20);
        assert!(value.as_object().expect("an object").values().all(|field| !field.is_array()));
    }

    #[test]
    fn json_and_words_tell_where_peers_came_from() {
        let mut snapshot = snapshots().0;
        assert_eq!(others_in_words(&snapshot), "");
        let line = |source, found| DiscoverySnapshot {
            source,
            state: DiscoveryState::Working,
            message: "17 peers tell".into(),
            found,
            connected: 2,
            next_seconds: None,
        };
        snapshot.detail.discovery =
            vec![line(PeerSource::Dht, 12), line(PeerSource::Pex, 1), line(PeerSource::Lsd, 0)];
        snapshot.detail.trackers = vec![TrackerSnapshot {
            url: "udp://tracker.example:6969/".into(),
            tier: 0,
            state: TrackerState::Failed,
            message: "timed out".into(),
            failures: 3,
            next_seconds: Some(240),
            seeders: None,
            leechers: None,
            peers: 0,
        }];
        assert_eq!(others_in_words(&snapshot), "12 peers from the DHT, 1 peer from other peers");
        let sources = &progress_json(&snapshot)["sources"];
        assert_eq!(sources["dht"]["found"], 12);
        assert_eq!(sources["pex"]["message"], "17 peers tell");
        assert_eq!(
            sources["tracker"]["message"],
            "tracker udp://tracker.example:6969/ failed 3 times (timed out), next try in 4m00s"
        );
    }
}
