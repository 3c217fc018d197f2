//! Announces, and what becomes of them.

use potluck_common::{
    Duration,
    announce::{AnnounceReply, AnnounceRequest},
};
use potluck_core::{
    announce::{AnnounceEffect, AnnounceFailure, AnnounceId},
    torrent::{Input, Statistics},
};

use super::{Happening, World};
use crate::wire::{net::HostId, tracker};

impl World<'_> {
    pub(super) fn announce(
        &mut self,
        host: HostId,
        run: u32,
        effect: AnnounceEffect,
        statistics: Statistics,
    ) {
        let now = self.now();
        let AnnounceEffect::Announce { id, event, numwant, tracker_id, timeout, .. } = effect else {
            let AnnounceEffect::Scrape { id, .. } = effect else { return };
            return self.tell_torrent(host, run, Input::Scraped(id, None));
        };
        let node = &self.nodes[&host];
        let (peer_id, key) = node.names().expect("it runs");
        let is_magnet = node.machine.is_none();
        if now < self.tracker.down_until {
            let failure = Box::new(Err(tracker::no_answer()));
            return self
                .agenda
                .after(timeout, Happening::Announced { host, run, id, is_magnet, outcome: failure });
        }
        let request = AnnounceRequest {
            uploaded: statistics.uploaded,
            downloaded: statistics.downloaded,
            left: statistics.left,
            event,
            numwant: Some(numwant),
            tracker_id,
            key: Some(key),
            ..AnnounceRequest::new(self.metadata.info_hash, peer_id, node.address.port())
        };
        let delay = Duration::from_millis(u64::from(5 + self.rng.below(200)));
        self.agenda
            .after(delay, Happening::Announce { host, run, id, is_magnet, request: Box::new(request) });
    }

    pub(super) fn tracker_hears(
        &mut self,
        host: HostId,
        run: u32,
        id: AnnounceId,
        is_magnet: bool,
        request: &AnnounceRequest,
    ) {
        let now = self.now();
        let source = self.address(host).ip();
        let outcome = self.tracker.announce(now, source, request);
        let peers = outcome.as_ref().map_or(0, |reply| reply.peers.len());
        self.trace.note(
            now,
            &[7, host as u64, peers as u64],
            format_args!("the tracker hears {:?} of {host} and tells of {peers} peers", request.event),
        );
        let delay = Duration::from_millis(u64::from(5 + self.rng.below(200)));
        self.agenda
            .after(delay, Happening::Announced { host, run, id, is_magnet, outcome: Box::new(outcome) });
    }

    pub(super) fn announced(
        &mut self,
        host: HostId,
        run: u32,
        id: AnnounceId,
        is_magnet: bool,
        outcome: Result<AnnounceReply, AnnounceFailure>,
    ) {
        if let Some(hostile) = self.hostile.get_mut(&host) {
            if let Ok(reply) = outcome {
                hostile.learn(reply.peers);
            }
            return;
        }
        // What a magnet asked is not for the torrent that it has become.
        if self.nodes.get(&host).is_some_and(|node| node.machine.is_none() == is_magnet) {
            if let Ok(reply) = &outcome {
                self.note_named(host, &reply.peers);
            }
            self.tell_torrent(host, run, Input::Announced(id, outcome));
        }
    }
}
