//! Listening, and incoming connections until their torrent is known.

use std::{
    fs::File,
    future::poll_fn,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::BytesMut;
use potluck_common::{InfoHash, Instant, addr, wire::Preamble};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::waiting_room::HalfOpen;
use crate::engine::clock::Clock;

/// The time that a peer has from connecting to the end of its handshake (libtorrent's figure).
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that wait in the system's queue.
const BACKLOG: i32 = 256;
/// The pause after a connection could not be accepted, which doubles as long as none can.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest such pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);

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

/// Where connections come from.
pub(crate) trait Listen: Send + 'static {
    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>>;
}

impl Listen for TcpListener {
    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.poll_accept(context)
    }
}

/// Whom they go to.
pub(crate) trait Door: Clone + Send + 'static {
    /// A connection named a torrent.
    fn arrived(&self, arrival: Arrival);

    /// The process has no descriptor left and no connection that has not named a torrent.
    fn free_descriptors(&self);
}

/// Accepts until the task is aborted; hands each connection that names a torrent to `door`.
pub(crate) async fn accept(
    listener: impl Listen + Sync,
    clock: Clock,
    half_open: Arc<HalfOpen>,
    door: impl Door + Sync,
) {
    let mut pause = PAUSE_MIN;
    let mut spare = Spare::new();
    let admit = |(stream, address): (TcpStream, SocketAddr)| {
        let address = addr::canonical(address);
        let task = tokio::spawn(receive(stream, address, clock.now(), door.clone()));
        half_open.admit(address.ip(), task.abort_handle());
    };
    loop {
        match poll_fn(|context| listener.poll_accept(context)).await {
            Ok(accepted) => {
                pause = PAUSE_MIN;
                admit(accepted);
                continue;
            }
            // The peer went away between the handshake of TCP and now.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) if is_exhaustion(&error) => match spare.accept(&listener) {
                // The system says so even where nobody waits.
                Poll::Pending => continue,
                Poll::Ready(accepted) => {
                    make_room(&half_open, &door, pause, &error);
                    if let Ok(accepted) = accepted {
                        pause = PAUSE_MIN;
                        admit(accepted);
                    }
                }
            },
            Err(error) => tracing::debug!(%error, "an incoming connection failed"),
        }
        // The listening socket stays readable, so that without a pause this would spin.
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
        spare.refill();
    }
}

/// Gives up what costs the least to be without, twice: for the spare descriptor, and for whoever comes next.
fn make_room(half_open: &HalfOpen, door: &impl Door, pause: Duration, error: &io::Error) {
    if pause == PAUSE_MIN {
        tracing::warn!(%error, "out of descriptors: connections and files are being closed");
    }
    for _ in 0..2 {
        if !half_open.shed() {
            door.free_descriptors();
        }
    }
}

/// Whoever does not name a torrent in time, or speaks something else, hears nothing at all.
async fn receive(stream: TcpStream, address: SocketAddr, accepted: Instant, door: impl Door) {
    if let Ok(Some(arrival)) = timeout(HANDSHAKE_TIMEOUT, read_preamble(stream, address, accepted)).await {
        door.arrived(arrival);
    }
}

/// A descriptor for the case that there is no other: with it, one who waits in the system's queue is accepted before it
/// is decided who has to go for it.
struct Spare(Option<File>);

impl Spare {
    fn new() -> Self {
        let mut spare = Self(None);
        spare.refill();
        spare
    }

    fn refill(&mut self) {
        if cfg!(unix) && self.0.is_none() {
            self.0 = File::open("/dev/null").ok();
        }
    }

    /// Whoever waits, if somebody does.
    fn accept(&mut self, listener: &impl Listen) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        drop(self.0.take());
        let accepted = listener.poll_accept(&mut Context::from_waker(Waker::noop()));
        if !matches!(accepted, Poll::Ready(Ok(_))) {
            self.refill();
        }
        accepted
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

/// Whether the process or the system has run out of descriptors or memory for sockets: nobody else's fault.
pub(crate) fn is_exhaustion(error: &io::Error) -> bool {
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

#[cfg(all(test, unix))]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A listening socket in a process without descriptors: it always has somebody waiting, and never accepts.
    #[derive(Clone, Default)]
    struct Exhausted(Arc<AtomicUsize>);

    impl Listen for Exhausted {
        fn poll_accept(&self, _: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Poll::Ready(Err(io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error())))
        }
    }

    #[derive(Clone, Default)]
    struct Counting(Arc<AtomicUsize>);

    impl Door for Counting {
        fn arrived(&self, _: Arrival) {}

        fn free_descriptors(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn row_2_15_without_descriptors_accepting_makes_room_and_does_not_spin() {
        let (listener, door) = (Exhausted::default(), Counting::default());
        let half_open = Arc::new(HalfOpen::new(4));
        let idle = tokio::spawn(std::future::pending::<()>());
        half_open.admit(IpAddr::from([127, 0, 0, 1]), idle.abort_handle());
        let accepting = accept(listener.clone(), Clock::start(), half_open, door.clone());
        assert!(timeout(Duration::from_secs(600), accepting).await.is_err());
        assert!(idle.await.expect_err("it never ends by itself").is_cancelled());
        let (tries, freed) = (listener.0.load(Ordering::Relaxed), door.0.load(Ordering::Relaxed));
        // Two each second, one of them with the spare descriptor, and some more at the beginning.
        assert!((600..1_220).contains(&tries), "{tries} tries in 600 s");
        assert!((1_190..1_220).contains(&freed), "{freed} times something was given up");
    }
}
