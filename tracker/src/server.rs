//! A running tracker: its sockets, its tasks and its end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use potluck_tracker_core::Totals;
use tokio::{sync::watch, task::JoinSet};

use crate::{BindError, TrackerConfig, admission::Admission, http, listen, shared::Shared, udp};

/// How long [`TrackerServer::shutdown`] waits for replies under way.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(1);

/// A tracker that serves until it is shut down or dropped.
#[derive(Debug)]
pub struct TrackerServer {
    http_addrs: Vec<SocketAddr>,
    udp_addrs: Vec<SocketAddr>,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    /// Aborted when dropped.
    tasks: JoinSet<()>,
}

impl TrackerServer {
    /// Binds every address of `config` and starts to serve in the current tokio runtime. On an error nothing is left
    /// running. Port 0 takes a free port: see [`Self::http_addrs`] and [`Self::udp_addrs`].
    ///
    /// # Panics
    /// Outside a tokio runtime with time and I/O.
    pub fn bind(config: &TrackerConfig) -> Result<Self, BindError> {
        let shared = Arc::new(Shared::new(config)?);
        let http = bind_all(&config.http, listen::tcp)?;
        let udp = bind_all(&config.udp, listen::udp)?;
        let http_addrs = local_addrs(&http, "HTTP", tokio::net::TcpListener::local_addr)?;
        let udp_addrs = local_addrs(&udp, "UDP", tokio::net::UdpSocket::local_addr)?;

        let (stop, stopped) = watch::channel(false);
        let admission = Admission::new(&config.limits);
        let mut tasks = JoinSet::new();
        for (_, listener) in http {
            let (shared, limits) = (shared.clone(), config.limits.clone());
            tasks.spawn(http::serve(listener, shared, limits, admission.clone(), stopped.clone()));
        }
        for (_, socket) in udp {
            tasks.spawn(udp::serve(socket, shared.clone(), stopped.clone()));
        }
        tasks.spawn(expire(shared.clone(), stopped));
        Ok(Self { http_addrs, udp_addrs, shared, stop, tasks })
    }

    /// The addresses that HTTP is served on, in the order of the configuration.
    pub fn http_addrs(&self) -> &[SocketAddr] {
        &self.http_addrs
    }

    /// The addresses that UDP is served on, in the order of the configuration.
    pub fn udp_addrs(&self) -> &[SocketAddr] {
        &self.udp_addrs
    }

    /// The announce URLs of all addresses, HTTP first.
    pub fn announce_urls(&self) -> Vec<String> {
        let http = self.http_addrs.iter().map(|addr| format!("http://{addr}/announce"));
        http.chain(self.udp_addrs.iter().map(|addr| format!("udp://{addr}/announce"))).collect()
    }

    /// What the tracker holds now.
    pub fn totals(&self) -> Totals {
        self.shared.totals()
    }

    /// Stops listening, lets replies under way go out for at most a second, and returns when every task has ended.
    pub async fn shutdown(mut self) {
        // The receivers are gone only if every task has ended by itself.
        let _ = self.stop.send(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(SHUTDOWN_PATIENCE, ended).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}

async fn expire(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        _ = stop.changed() => {}
        () = shared.expire() => {}
    }
}

/// A socket and the address it was asked for.
type Bound<S> = (SocketAddr, S);

fn bind_all<S>(
    addresses: &[SocketAddr],
    bind: impl Fn(SocketAddr) -> Result<S, BindError>,
) -> Result<Vec<Bound<S>>, BindError> {
    addresses.iter().map(|address| Ok((*address, bind(*address)?))).collect()
}

fn local_addrs<S>(
    sockets: &[Bound<S>],
    protocol: &'static str,
    local_addr: impl Fn(&S) -> std::io::Result<SocketAddr>,
) -> Result<Vec<SocketAddr>, BindError> {
    let local = |(address, socket): &Bound<S>| {
        local_addr(socket).map_err(|error| BindError::Listen { address: *address, protocol, error })
    };
    sockets.iter().map(local).collect()
}
