//! Local service discovery (BEP 14) over multicast: the machine of `potluck_core::lsd`, its sockets, and the torrents that it
//! works for.

mod sockets;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use potluck_common::{
    InfoHash, Instant, Printable,
    control::DiscoveryState,
    lsd::{Cookie, DATAGRAM_BYTES_MAX},
};
use potluck_core::{
    lsd::{Lsd, LsdConfig, LsdEffect, LsdInput},
    torrent::{Input, Source, SourceReport},
};
use tokio::sync::{Notify, mpsc};

use self::sockets::{Refreshed, Sockets};
use crate::engine::clock::Clock;

/// How often the interfaces of this machine are looked at.
const REFRESH_EVERY: Duration = Duration::from_secs(60);

/// The local discovery of an engine. All torrents share it.
pub(crate) struct LocalDiscovery {
    clock: Clock,
    inner: Mutex<Inner>,
    /// The machine has something to do.
    wake: Notify,
}

struct Inner {
    machine: Lsd,
    torrents: HashMap<InfoHash, mpsc::UnboundedSender<Input>>,
    /// Why nobody can be reached, in words.
    trouble: Option<String>,
}

impl LocalDiscovery {
    /// Of an engine that listens on `port`.
    pub(crate) fn new(clock: Clock, port: u16, entropy: u64) -> Arc<Self> {
        let machine = Lsd::new(LsdConfig { port, cookie: Cookie::ours(entropy) });
        let inner = Inner { machine, torrents: HashMap::new(), trouble: None };
        Arc::new(Self { clock, inner: Mutex::new(inner), wake: Notify::new() })
    }

    /// Announces a torrent from now on, and tells it of peers, as long as what this returns lives. Of a private one nothing
    /// is told or heard.
    pub(crate) fn track(
        self: &Arc<Self>,
        info_hash: InfoHash,
        is_private: bool,
        inputs: mpsc::UnboundedSender<Input>,
    ) -> Option<Tracked> {
        if is_private {
            return None;
        }
        self.lock().torrents.insert(info_hash, inputs);
        self.handle(LsdInput::Track { info_hash, is_private });
        Some(Tracked { discovery: Arc::clone(self), info_hash })
    }

    /// All torrents together.
    #[cfg(test)]
    pub(crate) fn status(&self) -> potluck_core::lsd::LsdStatus {
        self.lock().machine.status()
    }

    /// Announces and listens until its task is aborted, on the interfaces of an engine with this `bind`.
    pub(crate) async fn run(self: Arc<Self>, bind: Option<IpAddr>) {
        let mut sockets = Sockets::new(bind);
        let mut refresh_at = tokio::time::Instant::now();
        let mut buffer = [0; DATAGRAM_BYTES_MAX + 1];
        loop {
            if refresh_at <= tokio::time::Instant::now() {
                self.refresh(&mut sockets);
                refresh_at = tokio::time::Instant::now() + REFRESH_EVERY;
            }
            let due = self.step(&sockets);
            tokio::select! {
                (length, from, is_neighbour) = sockets.receive(&mut buffer) => {
                    let payload = Bytes::copy_from_slice(&buffer[..length]);
                    self.lock().machine.handle(self.clock.now(), LsdInput::Datagram { from, is_neighbour, payload });
                }
                () = self.wake.notified() => {}
                () = tokio::time::sleep_until(due.min(refresh_at)) => {}
            }
        }
    }

    /// Carries out what is due; when the next is.
    fn step(&self, sockets: &Sockets) -> tokio::time::Instant {
        let now = self.clock.now();
        let mut inner = self.lock();
        inner.machine.handle_timeout(now);
        while let Some(effect) = inner.machine.poll_effect() {
            match effect {
                LsdEffect::Send(announce) => sockets.send(&announce),
                LsdEffect::Peer { info_hash, address } => inner.tell(info_hash, address),
            }
        }
        self.clock.deadline(inner.machine.poll_timeout().unwrap_or(Instant::FAR_FUTURE))
    }

    fn refresh(&self, sockets: &mut Sockets) {
        let mut inner = self.lock();
        match sockets.refresh() {
            Refreshed::Same => inner.trouble = None,
            Refreshed::More => {
                tracing::debug!(interfaces = sockets.count(), "local discovery");
                inner.trouble = None;
                inner.machine.handle(self.clock.now(), LsdInput::NewInterface);
            }
            Refreshed::Deaf(error) => {
                if inner.trouble.is_none() {
                    tracing::info!(%error, "no local discovery");
                }
                inner.trouble = Some(format!("the local network cannot be asked: {error}"));
            }
        }
    }

    fn handle(&self, input: LsdInput) {
        self.lock().machine.handle(self.clock.now(), input);
        self.wake.notify_one();
    }

    /// No panic leaves this half-changed.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn tell(&self, info_hash: InfoHash, address: SocketAddr) {
        if let Some(inputs) = self.torrents.get(&info_hash) {
            // The torrent may have ended meanwhile.
            let _ = inputs.send(Input::Candidates(vec![address], Source::Lsd));
        }
    }
}

/// A torrent is announced as long as this lives.
pub(crate) struct Tracked {
    discovery: Arc<LocalDiscovery>,
    info_hash: InfoHash,
}

impl Tracked {
    /// It has few usable peers left: announces it as soon as that may be.
    pub(crate) fn hurry(&self) {
        self.discovery.handle(LsdInput::Hurry(self.info_hash));
    }

    /// What it is doing for this torrent, in words.
    pub(crate) fn report(&self) -> SourceReport {
        let inner = self.discovery.lock();
        let torrent = inner.machine.tracked(&self.info_hash);
        let (state, message) = match (&inner.trouble, torrent) {
            (Some(trouble), _) => (DiscoveryState::Failed, trouble.as_str()),
            (None, Some(torrent)) if torrent.answers > 0 => {
                (DiscoveryState::Working, "others in the local network have it")
            }
            (None, Some(torrent)) if torrent.announced.is_some() => {
                (DiscoveryState::Idle, "nobody else in the local network has spoken of it")
            }
            (None, _) => (DiscoveryState::Searching, "about to ask the local network"),
        };
        let next_at = torrent.map(|torrent| torrent.due);
        SourceReport { source: Source::Lsd, state, message: Printable::new(message), next_at }
    }
}

/// What is said of local discovery where it is turned off.
pub(crate) fn off() -> SourceReport {
    let message = Printable::new("turned off");
    SourceReport { source: Source::Lsd, state: DiscoveryState::Off, message, next_at: None }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.discovery.lock().torrents.remove(&self.info_hash);
        self.discovery.handle(LsdInput::Untrack(self.info_hash));
    }
}
