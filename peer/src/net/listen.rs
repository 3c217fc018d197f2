//! Listening, and incoming connections until their torrent is known.

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::BytesMut;
use potluck_common::{InfoHash, Instant, addr, wire::Preamble};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    task::AbortHandle,
    time::timeout,
};

use crate::engine::clock::Clock;

/// The time that a peer has from connecting to the end of its handshake (libtorrent's figure).
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that wait in the system's queue.
const BACKLOG: i32 = 256;
/// The pause after the process ran out of descriptors, so that accepting does not spin.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(200);

/// A connection whose first bytes name a torrent.
pub(crate) struct Arrival {
    pub(crate) stream: TcpStream,
    pub(crate) address: SocketAddr,
    pub(crate) info_hash: InfoHash,
    /// When it was accepted: its handshake's deadline counts from here.
    pub(crate) accepted: Instant,
    /// What was read already, for the session.
    pub(crate) received: BytesMut,
}

/// Binds the first port of `ports` that is free on every address; `None` is all IPv4 and all IPv6 addresses.
pub(crate) fn bind(ip: Option<IpAddr>, ports: RangeInclusive<u16>) -> io::Result<Vec<TcpListener>> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "the range of ports is empty");
    for port in ports {
        match bind_port(ip, port) {
            Ok(listeners) => return Ok(listeners),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind_port(ip: Option<IpAddr>, port: u16) -> io::Result<Vec<TcpListener>> {
    if let Some(ip) = ip {
        return Ok(vec![listener(SocketAddr::new(ip, port))?]);
    }
    let v4 = listener(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))?;
    let port = v4.local_addr()?.port();
    // A host without IPv6 is served over IPv4 alone; a port that is taken there is no reason to be silent.
    match listener(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port)) {
        Ok(v6) => Ok(vec![v4, v6]),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
        Err(_) => Ok(vec![v4]),
    }
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Incoming connections that have not named a torrent yet, oldest first. They have a budget of their own: when it is
/// full the oldest is dropped, so that idle ones cannot shut anybody out.
#[derive(Debug)]
pub(crate) struct HalfOpen {
    most: usize,
    waiting: Mutex<VecDeque<AbortHandle>>,
}

impl HalfOpen {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most: most.max(1), waiting: Mutex::default() })
    }

    fn admit(&self, task: AbortHandle) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|task| !task.is_finished());
        if waiting.len() >= self.most
            && let Some(oldest) = waiting.pop_front()
        {
            oldest.abort();
        }
        waiting.push_back(task);
    }

    /// Drops the oldest: the process is out of descriptors.
    fn shed(&self) {
        if let Some(oldest) = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front() {
            oldest.abort();
        }
    }
}

/// Accepts until the task is aborted; hands each connection that names a torrent to `arrived`.
pub(crate) async fn accept(
    listener: TcpListener,
    clock: Clock,
    half_open: Arc<HalfOpen>,
    arrived: impl Fn(Arrival) + Clone + Send + 'static,
) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                let arrived = arrived.clone();
                let accepted = clock.now();
                let task = tokio::spawn(async move {
                    // Whoever does not name a torrent in time, or speaks something else, hears nothing at all.
                    if let Ok(Some(arrival)) =
                        timeout(HANDSHAKE_TIMEOUT, read_preamble(stream, addr::canonical(address), accepted))
                            .await
                    {
                        arrived(arrival);
                    }
                });
                half_open.admit(task.abort_handle());
            }
            Err(error) if is_exhaustion(&error) => {
                tracing::warn!(%error, "out of descriptors: dropping the oldest incoming connection");
                half_open.shed();
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            }
            // The peer went away between the handshake of TCP and now.
            Err(error) => tracing::debug!(%error, "an incoming connection failed"),
        }
    }
}

async fn read_preamble(stream: TcpStream, address: SocketAddr, accepted: Instant) -> Option<Arrival> {
    stream.set_nodelay(true).ok()?;
    let mut received = BytesMut::with_capacity(128);
    loop {
        stream.readable().await.ok()?;
        match stream.try_read_buf(&mut received) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(_) => return None,
        }
        match Preamble::of(&received) {
            Preamble::NeedMore => received.reserve(64),
            Preamble::Close => return None,
            Preamble::Route(info_hash) => {
                return Some(Arrival { stream, address, info_hash, accepted, received });
            }
        }
    }
}

fn is_exhaustion(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let code = error.raw_os_error();
        [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM]
            .iter()
            .any(|errno| code == Some(errno.raw_os_error()))
    }
    #[cfg(not(unix))]
    {
        let _ = error;
        false
    }
}
