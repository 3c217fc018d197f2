//! Where the peers of a torrent are looked for besides its trackers.

use potluck_core::torrent::SourceReport;

use crate::{
    dht::Tracking,
    lsd::{self, Tracked},
};

/// The searches for one torrent, which go on for as long as this lives.
#[derive(Default)]
pub(super) struct Searches {
    /// It is announced in the local network.
    pub(super) local: Option<Tracked>,
    /// It is looked up in the DHT.
    pub(super) dht: Option<Tracking>,
}

impl Searches {
    /// Asks for peers, wherever that may be done soon.
    pub(super) fn hurry(&self) {
        if let Some(local) = &self.local {
            local.hurry();
        }
        if let Some(dht) = &self.dht {
            dht.hurry();
        }
    }

    /// What the search in the local network is doing. (The DHT tells by itself.)
    pub(super) fn local_report(&self) -> SourceReport {
        self.local.as_ref().map_or_else(lsd::off, Tracked::report)
    }
}
