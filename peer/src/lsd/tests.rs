//! Two clients on one machine, over the loopback interface.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use potluck_common::{InfoHash, control::DiscoveryState};
use potluck_core::torrent::{Input, Source};
use tokio::{sync::mpsc, task::AbortHandle, time::timeout};

use super::{LocalDiscovery, Tracked};
use crate::engine::{clock::Clock, entropy};

/// Long enough for any machine; the announce of a second torrent takes a second.
const PATIENCE: Duration = Duration::from_secs(20);

struct Party {
    discovery: Arc<LocalDiscovery>,
    task: AbortHandle,
    ip: IpAddr,
    port: u16,
}

impl Drop for Party {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Party {
    fn new(ip: [u8; 4], port: u16) -> Self {
        let discovery = LocalDiscovery::new(Clock::start(), port, u64::from_le_bytes(entropy()));
        let ip = Ipv4Addr::from(ip).into();
        let task = tokio::spawn(Arc::clone(&discovery).run(Some(ip))).abort_handle();
        Self { discovery, task, ip, port }
    }

    fn track(&self, info_hash: InfoHash) -> (Option<Tracked>, mpsc::UnboundedReceiver<Input>) {
        let (inputs, heard) = mpsc::unbounded_channel();
        (self.discovery.track(info_hash, false, inputs), heard)
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
    }
}

async fn next(heard: &mut mpsc::UnboundedReceiver<Input>) -> SocketAddr {
    let input = timeout(PATIENCE, heard.recv()).await.expect("in time").expect("it lives");
    let Input::Candidates(addresses, Source::Lsd) = input else { panic!("{input:?}") };
    assert_eq!(addresses.len(), 1);
    addresses[0]
}

#[tokio::test]
async fn two_on_one_machine_find_each_other() {
    let info_hash = InfoHash(entropy());
    let seed = Party::new([127, 0, 77, 1], 5_001);
    let (kept, mut seed_hears) = seed.track(info_hash);
    let leecher = Party::new([127, 0, 77, 2], 5_002);
    let (_kept, _) = leecher.track(info_hash);
    assert_eq!(next(&mut seed_hears).await, leecher.address());
    // Whoever speaks has listened before, and so does not miss what is new.
    let another = InfoHash(entropy());
    let (_kept, mut leecher_hears) = leecher.track(another);
    let (_kept, _) = seed.track(another);
    assert_eq!(next(&mut leecher_hears).await, seed.address());
    assert_eq!(seed.discovery.status().torrents, 2);
    drop(kept);
    assert!(seed.discovery.lock().machine.tracked(&info_hash).is_none(), "nobody asks for it any more");
}

#[tokio::test]
async fn a_private_torrent_is_not_even_tracked() {
    let party = Party::new([127, 0, 77, 3], 5_003);
    let (inputs, _heard) = mpsc::unbounded_channel();
    assert!(party.discovery.track(InfoHash(entropy()), true, inputs).is_none());
    assert_eq!(party.discovery.status().torrents, 0);
}

#[tokio::test]
async fn an_address_that_this_machine_does_not_have_is_told_in_words() {
    let discovery = LocalDiscovery::new(Clock::start(), 5_004, 1);
    let task = tokio::spawn(Arc::clone(&discovery).run(Some(Ipv4Addr::new(203, 0, 113, 9).into())));
    let (inputs, _heard) = mpsc::unbounded_channel();
    let tracked = discovery.track(InfoHash([7; 20]), false, inputs).expect("it is public");
    let described = async {
        loop {
            let shown = tracked.report();
            if shown.message.as_str().contains("no network interface is up") {
                return shown;
            }
            tokio::task::yield_now().await;
        }
    };
    let shown = timeout(PATIENCE, described).await.expect("in time");
    assert_eq!(shown.state, DiscoveryState::Failed);
    task.abort();
}
