//! Announces and scrapes over UDP (BEP 15, 41): one socket per family, connection ids kept for a minute.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, RandomState},
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use potluck_common::{
    AddrScope, Printable,
    announce::{
        Failure, Family, ReplyError, TrackerUrl,
        udp::{PACKET_BYTES_MAX, Reply, ReplyBody, Request, RequestBody},
    },
};
use potluck_core::announce::AnnounceFailure;
use tokio::{
    net::UdpSocket,
    sync::{OnceCell, oneshot},
    task::AbortHandle,
    time::Instant,
};

use super::{Answer, Question, other_kind};
use crate::fetch::Bind;

/// How long a connection id may be used after it came (BEP 15).
const CONNECTION_ID_LIFETIME: Duration = Duration::from_secs(60);

/// The first wait for a reply; it doubles with each retransmission (BEP 15).
const FIRST_WAIT: Duration = Duration::from_secs(15);

/// The same for a tracker on this host, where nothing is lost but what was not heard.
const FIRST_WAIT_LOOPBACK: Duration = Duration::from_millis(500);

/// The UDP side of a tracker client: a socket per family, made on first use.
pub(super) struct UdpClient {
    bind: Bind,
    v4: OnceCell<Socket>,
    v6: OnceCell<Socket>,
}

impl UdpClient {
    /// A client whose datagrams come from `bind`.
    pub(super) fn new(bind: Bind) -> Self {
        Self { bind, v4: OnceCell::new(), v6: OnceCell::new() }
    }

    /// Asks the tracker at `addrs`, which are of one family, in turn until one answers. The caller bounds the time.
    pub(super) async fn ask(
        &self,
        url: &TrackerUrl,
        question: Question<'_>,
        addrs: &[SocketAddr],
    ) -> Result<Answer, AnnounceFailure> {
        let body = match question {
            Question::Announce(request) => RequestBody::Announce {
                announce: Box::new(request.clone()),
                url_data: url.url_data().into_bytes(),
            },
            Question::Scrape(info_hashes) => RequestBody::Scrape(info_hashes.to_vec()),
        };
        let family = addrs.first().map_or(Family::V4, |addr| Family::of(addr.ip()));
        let reply = self.socket(family).await?.ask(addrs, &body).await?;
        match (reply, question) {
            (ReplyBody::Announce(reply), Question::Announce(_)) => Ok(Answer::Announce(reply)),
            (ReplyBody::Scrape(entries), Question::Scrape(info_hashes)) => {
                Ok(Answer::Scrape(info_hashes.iter().copied().zip(entries).collect()))
            }
            (ReplyBody::Error(reason), _) => Err(AnnounceFailure::Refused(Failure { reason, retry: None })),
            _ => Err(other_kind()),
        }
    }

    async fn socket(&self, family: Family) -> Result<&Socket, AnnounceFailure> {
        let cell = if family == Family::V4 { &self.v4 } else { &self.v6 };
        let local = self.bind.local(family).map(|ip| SocketAddr::new(ip, 0));
        let open = async || {
            let local = local.ok_or(std::io::ErrorKind::AddrNotAvailable)?;
            Socket::open(local)
        };
        cell.get_or_try_init(open)
            .await
            .map_err(|error| unreachable(&format!("cannot open a socket for trackers: {error}")))
    }
}

/// A request is known by where it went and its transaction id. (Not by the whole socket address: its scope id may
/// come back changed.)
type Exchange = (IpAddr, u16, u32);

/// Requests that wait for their replies.
type Waiting = Arc<Mutex<BTreeMap<Exchange, oneshot::Sender<Result<ReplyBody, ReplyError>>>>>;

/// One socket with its receiver task.
struct Socket {
    io: Arc<UdpSocket>,
    waiting: Waiting,
    /// Connection ids by tracker, with the time when each came.
    connections: Mutex<BTreeMap<SocketAddr, (u64, Instant)>>,
    /// A keyed hash (SipHash under a key from the system) of the number of the request makes its transaction id, which
    /// nobody can guess who has not seen it.
    hasher: RandomState,
    requests: AtomicU64,
    receiver: AbortHandle,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.receiver.abort();
    }
}

impl Socket {
    fn open(local: SocketAddr) -> std::io::Result<Self> {
        let socket = socket2::Socket::new(socket2::Domain::for_address(local), socket2::Type::DGRAM, None)?;
        if local.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&local.into())?;
        let io = Arc::new(UdpSocket::from_std(socket.into())?);
        let waiting = Waiting::default();
        let receiver = tokio::spawn(receive(Arc::clone(&io), Arc::clone(&waiting))).abort_handle();
        let (hasher, requests) = (RandomState::new(), AtomicU64::new(0));
        Ok(Self { io, waiting, connections: Mutex::default(), hasher, requests, receiver })
    }

    /// Retransmits after 15·2ⁿ s (BEP 15), going round the addresses. A connection id from an earlier request is then
    /// not used again: the tracker may have been started anew and keeps silent about old ones.
    async fn ask(&self, addrs: &[SocketAddr], body: &RequestBody) -> Result<ReplyBody, AnnounceFailure> {
        let begun = Instant::now();
        let mut doublings = 0;
        for addr in addrs.iter().cycle() {
            let first = if is_loopback(addr) { FIRST_WAIT_LOOPBACK } else { FIRST_WAIT };
            let wait = first * 2u32.pow(doublings);
            if let Ok(outcome) = tokio::time::timeout(wait, self.ask_once(*addr, body)).await {
                return outcome;
            }
            self.forget_older(addr, begun);
            doublings = (doublings + 1).min(8);
        }
        Err(unreachable("it has no address"))
    }

    async fn ask_once(&self, addr: SocketAddr, body: &RequestBody) -> Result<ReplyBody, AnnounceFailure> {
        if let Some(connection_id) = self.connection(&addr) {
            match self.exchange(addr, connection_id, body.clone()).await? {
                // Most likely the connection id is not taken any more.
                ReplyBody::Error(_) => self.forget(&addr),
                reply => return Ok(reply),
            }
        }
        let connection_id = self.connect(addr).await?;
        self.exchange(addr, connection_id, body.clone()).await
    }

    async fn connect(&self, addr: SocketAddr) -> Result<u64, AnnounceFailure> {
        let connect = Request::connect(0);
        match self.exchange(addr, connect.connection_id, connect.body).await? {
            ReplyBody::Connect { connection_id } => {
                let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
                connections.retain(|_, (_, since)| since.elapsed() < CONNECTION_ID_LIFETIME);
                connections.insert(addr, (connection_id, Instant::now()));
                Ok(connection_id)
            }
            ReplyBody::Error(reason) => Err(AnnounceFailure::Refused(Failure { reason, retry: None })),
            _ => Err(other_kind()),
        }
    }

    /// The connection id for `addr`, while it may be used.
    fn connection(&self, addr: &SocketAddr) -> Option<u64> {
        let connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let (connection_id, since) = connections.get(addr)?;
        (since.elapsed() < CONNECTION_ID_LIFETIME).then_some(*connection_id)
    }

    /// Forgets the connection id for `addr` if it came before `begun`.
    fn forget_older(&self, addr: &SocketAddr, begun: Instant) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.retain(|other, (_, since)| other != addr || *since >= begun);
    }

    fn forget(&self, addr: &SocketAddr) {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).remove(addr);
    }

    /// One datagram out, and the reply to it.
    async fn exchange(
        &self,
        addr: SocketAddr,
        connection_id: u64,
        body: RequestBody,
    ) -> Result<ReplyBody, AnnounceFailure> {
        let transaction_id = self.hasher.hash_one(self.requests.fetch_add(1, Ordering::Relaxed)) as u32;
        let packet = Request { connection_id, transaction_id, body }.encode();
        let (sender, reply) = oneshot::channel();
        let waiter = Waiter::new(&self.waiting, (addr.ip(), addr.port(), transaction_id), sender);
        self.io
            .send_to(&packet, addr)
            .await
            .map_err(|error| unreachable(&format!("cannot send to {addr}: {error}")))?;
        let reply = reply.await;
        drop(waiter);
        reply.map_err(|_| unreachable("the socket for trackers is closed"))?.map_err(AnnounceFailure::from)
    }
}

/// The entry of a request that waits; it goes with the request, however that ends.
struct Waiter<'a> {
    waiting: &'a Waiting,
    exchange: Exchange,
}

impl<'a> Waiter<'a> {
    fn new(
        waiting: &'a Waiting,
        exchange: Exchange,
        sender: oneshot::Sender<Result<ReplyBody, ReplyError>>,
    ) -> Self {
        waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(exchange, sender);
        Self { waiting, exchange }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.exchange);
    }
}

/// Hands each datagram to the request that it replies to; from anywhere else, and with any other transaction id, it is
/// dropped without a word.
async fn receive(socket: Arc<UdpSocket>, waiting: Waiting) {
    let mut buffer = vec![0; PACKET_BYTES_MAX];
    loop {
        let (length, from) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                // An ICMP error of an earlier datagram on some systems; the pause keeps a lasting one from spinning.
                tracing::debug!(%error, "the socket for trackers has an error");
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        let packet = &buffer[..length];
        let Some(transaction_id) = packet.get(4..8).and_then(|bytes| bytes.first_chunk()) else { continue };
        let exchange = (from.ip(), from.port(), u32::from_be_bytes(*transaction_id));
        let sender = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&exchange);
        if let Some(sender) = sender {
            let reply = Reply::decode(packet, Family::of(from.ip())).map(|reply| reply.body);
            // The request may have been given up in this moment.
            let _ = sender.send(reply);
        }
    }
}

fn is_loopback(addr: &SocketAddr) -> bool {
    AddrScope::of(addr.ip()) == AddrScope::Loopback
}

fn unreachable(why: &str) -> AnnounceFailure {
    AnnounceFailure::Unreachable(Printable::new(why))
}
