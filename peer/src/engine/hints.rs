//! The peers that a magnet link names, for a torrent whose metadata is known already.

use std::{net::SocketAddr, time::Duration};

use potluck_common::magnet::{Magnet, PeerHint};
use tokio::{net::lookup_host, task::JoinSet, time::timeout};

/// How long host names may take to be looked up, all of them.
const LOOK_UP_TIME: Duration = Duration::from_secs(5);

/// The addresses of the peers that a link names (`x.pe`). Host names are looked up, all at once and not for long.
pub async fn named_peers(magnet: &Magnet) -> Vec<SocketAddr> {
    let mut lookups = JoinSet::new();
    for hint in magnet.peers.iter().filter(|hint| hint.addr().is_none()) {
        let (host, port) = (hint.host.clone(), hint.port);
        lookups.spawn(timeout(LOOK_UP_TIME, async move {
            lookup_host((host, port)).await.map_or_else(|_| Vec::new(), Iterator::collect::<Vec<_>>)
        }));
    }
    let found = lookups.join_all().await.into_iter().flatten().flatten();
    magnet.peers.iter().filter_map(PeerHint::addr).chain(found).collect()
}
