//! What the machine says of itself, as user interfaces are told.

use potluck_common::{
    Instant, Printable,
    control::{DhtSummary, DiscoveryState, PeerSource},
};
use potluck_core::{
    dht::{DhtState, DhtStatus, SearchReport, TrackedStatus},
    torrent::SourceReport,
};

use super::NodeCounts;

/// How many nodes there are.
pub(super) fn counts_of(status: &DhtStatus) -> NodeCounts {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let families = [status.ipv4, status.ipv6];
    NodeCounts {
        v4: status.ipv4.map_or(0, |family| count(family.nodes)),
        v6: status.ipv6.map_or(0, |family| count(family.nodes)),
        good: count(families.into_iter().flatten().map(|family| family.good).sum()),
    }
}

/// The node as a whole. `unresolved` is why no bootstrap node is known.
pub(super) fn summary_of(status: &DhtStatus, unresolved: Option<&str>) -> DhtSummary {
    let counts = counts_of(status);
    let state = match status.state {
        DhtState::Off => DiscoveryState::Off,
        DhtState::NoNodes | DhtState::Alone { .. } => DiscoveryState::Failed,
        DhtState::Joining => DiscoveryState::Searching,
        DhtState::Joined { .. } => DiscoveryState::Working,
    };
    let message = match (&status.state, unresolved) {
        (DhtState::Joined { read_only: false, .. }, _) => String::new(),
        (DhtState::NoNodes | DhtState::Alone { .. }, Some(why)) => format!("{}: {why}", status.state),
        (state, _) => state.to_string(),
    };
    DhtSummary { state, message: Printable::new(&message), nodes_v4: counts.v4, nodes_v6: counts.v6 }
}

/// The DHT as a source of peers of one torrent.
pub(super) fn report_of(summary: &DhtSummary, tracked: Option<TrackedStatus>) -> SourceReport {
    let is_up = matches!(summary.state, DiscoveryState::Working);
    let (state, message, next_at) = match tracked {
        Some(TrackedStatus { searching: true, last, .. }) if is_up => {
            let before =
                last.map_or_else(String::new, |(_, last)| format!("; the last time: {}", outcome(&last)));
            (DiscoveryState::Searching, format!("asking the DHT{before}"), None)
        }
        Some(TrackedStatus { last: Some((_, last)), next_at, .. }) if is_up => {
            let state = match last {
                SearchReport { answered: 0, .. } => DiscoveryState::Failed,
                SearchReport { peers: 0, .. } => DiscoveryState::Idle,
                _ => DiscoveryState::Working,
            };
            (state, outcome(&last), Some(next_at))
        }
        Some(TrackedStatus { next_at, .. }) if is_up => {
            (DiscoveryState::Idle, "not asked yet".to_owned(), Some(next_at))
        }
        _ => (summary.state, summary.message.to_string(), None),
    };
    // What never comes needs no number.
    let next_at = next_at.filter(|at| *at != Instant::FAR_FUTURE);
    SourceReport { source: PeerSource::Dht, state, message: Printable::new(&message), next_at }
}

/// What came of a search.
pub fn outcome(report: &SearchReport) -> String {
    let SearchReport { asked, answered, announced_to, peers, .. } = *report;
    let count = |number: u32, what: &str| match number {
        0 => format!("no {what}"),
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    };
    if answered == 0 {
        return format!("none of {} answered", count(asked, "node"));
    }
    let announced = match announced_to {
        0 => String::new(),
        _ => format!(", announced to {announced_to}"),
    };
    format!("{} from {}{announced}", count(peers, "peer"), count(answered, "node"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_in_words() {
        for (asked, answered, announced_to, peers, words) in [
            (1, 0, 0, 0, "none of 1 node answered"),
            (20, 0, 0, 0, "none of 20 nodes answered"),
            (20, 9, 0, 0, "no peer from 9 nodes"),
            (20, 1, 0, 12, "12 peers from 1 node"),
            (20, 9, 8, 1, "1 peer from 9 nodes, announced to 8"),
        ] {
            let report = SearchReport { asked, answered, announced_to, peers, ..SearchReport::default() };
            assert_eq!(outcome(&report), words);
        }
    }

    #[test]
    fn a_torrent_is_told_why_the_dht_is_silent() {
        let up = DhtSummary { state: DiscoveryState::Working, ..DhtSummary::default() };
        let down = DhtSummary {
            state: DiscoveryState::Failed,
            message: "no DHT node answers".into(),
            ..DhtSummary::default()
        };
        let found = SearchReport { asked: 9, answered: 8, peers: 2, ..SearchReport::default() };
        let at = Instant::from_secs(60);
        let tracked = |last, searching| Some(TrackedStatus { last, next_at: at, searching });
        let last = Some((Instant::from_secs(5), found));
        for (summary, tracked, state, message, next_at) in [
            (&down, tracked(last, false), DiscoveryState::Failed, "no DHT node answers", None),
            (&up, tracked(None, false), DiscoveryState::Idle, "not asked yet", Some(at)),
            (&up, tracked(None, true), DiscoveryState::Searching, "asking the DHT", None),
            (
                &up,
                tracked(last, true),
                DiscoveryState::Searching,
                "asking the DHT; the last time: 2 peers from 8 nodes",
                None,
            ),
            (&up, tracked(last, false), DiscoveryState::Working, "2 peers from 8 nodes", Some(at)),
        ] {
            let report = report_of(summary, tracked);
            assert_eq!((report.state, report.message.as_str(), report.next_at), (state, message, next_at));
        }
    }
}
