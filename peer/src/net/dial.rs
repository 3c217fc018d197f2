//! Opening connections.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpSocket, TcpStream},
    sync::Semaphore,
    time::timeout,
};

/// The time that a connection may take to stand; the handshake has its own ten seconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens connections within a budget of half-open ones, from the address that the user bound us to.
#[derive(Debug, Clone)]
pub(crate) struct Dialer {
    bind: Option<IpAddr>,
    half_open: Arc<Semaphore>,
}

impl Dialer {
    pub(crate) fn new(bind: Option<IpAddr>, half_open_max: usize) -> Self {
        Self { bind, half_open: Arc::new(Semaphore::new(half_open_max.max(1))) }
    }

    /// Connects to `address`, waiting for a place in the budget first.
    pub(crate) async fn dial(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let _place =
            self.half_open.acquire().await.map_err(|_| io::Error::other("the engine is stopping"))?;
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(bind) = self.bind {
            if bind.is_ipv4() != address.is_ipv4() {
                return Err(io::Error::new(
                    io::ErrorKind::AddrNotAvailable,
                    format!("bound to {bind}, which is of the other address family"),
                ));
            }
            socket.bind(SocketAddr::new(bind, 0))?;
        }
        let stream = timeout(CONNECT_TIMEOUT, socket.connect(address))
            .await
            .map_err(|_| io::ErrorKind::TimedOut)??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}
