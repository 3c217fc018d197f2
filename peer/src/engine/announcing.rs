//! Carrying an announce or a scrape from a torrent's machine to a tracker and back.

use potluck_common::{
    InfoHash, Printable,
    announce::{AnnounceReply, AnnounceRequest, TrackerUrl},
};
use potluck_core::{
    announce::{ANNOUNCE_TIMEOUT, AnnounceEffect, AnnounceFailure},
    torrent::{Input, Statistics},
};
use tokio::sync::mpsc;

use super::{
    Shared, TorrentParams,
    guard::{DEFECT, guarded},
};
use crate::{announce::TrackerClient, fetch::Origin};

/// The torrent that an announce is about, and the trackers that the user named for it.
#[derive(Clone, Copy)]
pub(super) struct Announced<'a> {
    pub(super) info_hash: InfoHash,
    pub(super) named: &'a [String],
}

/// The tiers of trackers that are asked: the torrent's own, then each that the user named. URLs of no use are left out.
pub(super) fn tiers(params: &TorrentParams) -> Vec<Vec<TrackerUrl>> {
    if params.is_unheard {
        return Vec::new();
    }
    let own = if params.use_trackers { params.metainfo.trackers() } else { &[] };
    usable(own.iter().cloned().chain(params.extra_trackers.iter().map(|tracker| vec![tracker.clone()])))
}

/// The URLs that are of use, in their tiers.
pub(super) fn usable(tiers: impl Iterator<Item = Vec<String>>) -> Vec<Vec<TrackerUrl>> {
    let usable = |tracker: &String| match TrackerUrl::parse(tracker) {
        Ok(url) => Some(url),
        Err(error) => {
            tracing::warn!(%error, "a tracker's URL is of no use");
            None
        }
    };
    tiers
        .map(|tier| tier.iter().filter_map(usable).collect::<Vec<_>>())
        .filter(|tier| !tier.is_empty())
        .collect()
}

/// What every announce of this torrent says at this moment; the machine's effect adds what is the tracker's own.
fn request(shared: &Shared, info_hash: InfoHash, statistics: Statistics) -> AnnounceRequest {
    AnnounceRequest {
        uploaded: statistics.uploaded,
        downloaded: statistics.downloaded,
        left: statistics.left,
        ..AnnounceRequest::new(info_hash, shared.peer_id, shared.public_port())
    }
}

/// Who chose this URL: the user, or whoever made the torrent.
fn origin(torrent: Announced<'_>, url: &TrackerUrl) -> Origin {
    let named = |tracker: &String| TrackerUrl::parse(tracker).is_ok_and(|tracker| tracker == *url);
    if torrent.named.iter().any(named) { Origin::User } else { Origin::Torrent }
}

/// Does it, in a task of its own, and answers to the torrent's machine.
pub(super) fn carry_out(
    shared: &Shared,
    torrent: Announced<'_>,
    effect: AnnounceEffect,
    statistics: Statistics,
    key: u32,
    inputs: mpsc::UnboundedSender<Input>,
) {
    let client: TrackerClient = shared.trackers.clone();
    let mut request = request(shared, torrent.info_hash, statistics);
    match effect {
        AnnounceEffect::Announce { id, url, event, numwant, tracker_id, timeout } => {
            let origin = origin(torrent, &url);
            request.event = event;
            request.numwant = Some(numwant);
            request.tracker_id = tracker_id;
            request.key = Some(key);
            let dht = shared.dht.clone();
            shared.spawn(async move {
                let outcome =
                    guarded("announce", Box::pin(client.announce(&url, &request, origin, timeout))).await;
                let outcome =
                    outcome.unwrap_or_else(|| Err(AnnounceFailure::Unreachable(Printable::new(DEFECT))));
                if let Ok(AnnounceReply { external_ip: Some(ip), .. }) = outcome {
                    dht.seen_by_tracker(ip);
                }
                // The torrent may have ended meanwhile.
                let _ = inputs.send(Input::Announced(id, outcome));
            });
        }
        AnnounceEffect::Scrape { id, url } => {
            let origin = origin(torrent, &url);
            shared.spawn(async move {
                let wanted = [request.info_hash];
                let scrape = client.scrape(&url, &wanted, origin, ANNOUNCE_TIMEOUT);
                let reply = guarded("scrape", Box::pin(scrape)).await;
                let counts = reply.and_then(Result::ok).and_then(|reply| reply.get(&wanted[0]).copied());
                let _ = inputs.send(Input::Scraped(id, counts));
            });
        }
    }
}
