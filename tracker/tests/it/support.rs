//! A tracker to test, and clients that speak to it.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use potluck_common::{
    InfoHash, PeerId,
    announce::{
        AnnounceReply, AnnounceRequest, Family, ReplyError, ScrapeReply, TrackerUrl,
        http::{announce_url, decode_announce, decode_scrape, scrape_url},
        udp::{Reply, ReplyBody, Request, RequestBody},
    },
};
use potluck_tracker::{TrackerConfig, TrackerServer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream, UdpSocket},
};

/// The torrent of most tests.
pub(crate) const HASH: InfoHash = InfoHash([0xab; 20]);

/// How long anything may take before the test fails: only a defect takes that long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for `future` with patience.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it takes too long")
}

/// A tracker on free ports of 127.0.0.1 with the settings of `config`.
pub(crate) fn tracker(config: TrackerConfig) -> TrackerServer {
    let free = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    TrackerServer::bind(&TrackerConfig { http: free.clone(), udp: free, ..config }).unwrap()
}

/// A tracker on free ports of ::1, or `None` where there is no IPv6.
pub(crate) fn tracker_v6() -> Option<TrackerServer> {
    let free: Vec<SocketAddr> = vec!["[::1]:0".parse().unwrap()];
    let server =
        TrackerServer::bind(&TrackerConfig { http: free.clone(), udp: free, ..TrackerConfig::default() });
    if server.is_err() {
        eprintln!("not tested: this machine has no ::1");
    }
    server.ok()
}

/// An announce of the client `name`, which listens on `port` and lacks `left` bytes.
pub(crate) fn announce(name: u8, port: u16, left: u64) -> AnnounceRequest {
    AnnounceRequest { left, ..AnnounceRequest::new(HASH, PeerId([name; 20]), port) }
}

/// The peers of a reply as sorted text.
pub(crate) fn shown(reply: &AnnounceReply) -> Vec<String> {
    let mut peers: Vec<_> = reply.peers.iter().map(ToString::to_string).collect();
    peers.sort();
    peers
}

/// A connection to `addr` from the local address `source`.
pub(crate) async fn connect(source: &str, addr: SocketAddr) -> TcpStream {
    let source: IpAddr = source.parse().unwrap();
    let socket = if source.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.unwrap();
    socket.bind((source, 0).into()).unwrap();
    soon(socket.connect(addr)).await.unwrap()
}

/// Sends `request` and reads until the other side closes.
pub(crate) async fn exchange(stream: &mut TcpStream, request: &[u8]) -> Vec<u8> {
    stream.write_all(request).await.unwrap();
    let mut reply = Vec::new();
    // A reset is an end too: it comes when the server does not read all of a request that it refuses.
    let _ = soon(stream.read_to_end(&mut reply)).await;
    reply
}

/// Status and body of the reply to a GET of `target`, with further header lines.
pub(crate) async fn fetch(source: &str, addr: SocketAddr, target: &str, headers: &str) -> (u16, Vec<u8>) {
    let request = format!("GET {target} HTTP/1.1\r\nHost: {addr}\r\n{headers}Connection: close\r\n\r\n");
    let reply = exchange(&mut connect(source, addr).await, request.as_bytes()).await;
    split(&reply)
}

/// Status and body of one reply.
pub(crate) fn split(reply: &[u8]) -> (u16, Vec<u8>) {
    let text = String::from_utf8_lossy(reply);
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    let end = reply.windows(4).position(|four| four == b"\r\n\r\n");
    match (status, end) {
        (Some(status), Some(end)) => (status, reply[end + 4..].to_vec()),
        _ => panic!("no HTTP reply: {text:?}"),
    }
}

/// The target of a request: the URL without scheme and authority.
fn target(url: &str) -> String {
    let path = url.splitn(4, '/').nth(3).unwrap();
    format!("/{path}")
}

fn url(addr: SocketAddr) -> TrackerUrl {
    TrackerUrl::parse(&format!("http://{addr}/announce")).unwrap()
}

/// Announces over HTTP.
pub(crate) async fn http(
    source: &str,
    server: &TrackerServer,
    request: &AnnounceRequest,
) -> Result<AnnounceReply, ReplyError> {
    let addr = server.http_addrs()[0];
    let (status, body) = fetch(source, addr, &target(&announce_url(&url(addr), request)), "").await;
    assert_eq!(status, 200);
    decode_announce(&body)
}

/// Scrapes over HTTP.
pub(crate) async fn http_scrape(
    server: &TrackerServer,
    hashes: &[InfoHash],
) -> Result<ScrapeReply, ReplyError> {
    let addr = server.http_addrs()[0];
    let (status, body) =
        fetch("127.0.0.1", addr, &target(&scrape_url(&url(addr), hashes).unwrap()), "").await;
    assert_eq!(status, 200);
    decode_scrape(&body)
}

/// A UDP client with one address.
pub(crate) struct UdpClient {
    socket: UdpSocket,
    transaction_id: u32,
    /// What the tracker gave.
    pub(crate) connection_id: u64,
}

impl UdpClient {
    /// A client at `source` that has connected to the tracker.
    pub(crate) async fn connect(source: &str, server: &TrackerServer) -> Self {
        let socket = UdpSocket::bind((source.parse::<IpAddr>().unwrap(), 0)).await.unwrap();
        socket.connect(server.udp_addrs()[0]).await.unwrap();
        let mut client = Self { socket, transaction_id: 100, connection_id: 0 };
        match client.ask_raw(&Request::connect(100).encode()).await.body {
            ReplyBody::Connect { connection_id } => client.connection_id = connection_id,
            other => panic!("{other:?}"),
        }
        client
    }

    /// Sends a request of the connection and returns the reply to it.
    pub(crate) async fn ask(&mut self, body: RequestBody) -> ReplyBody {
        self.transaction_id += 1;
        let (connection_id, transaction_id) = (self.connection_id, self.transaction_id);
        let reply = self.ask_raw(&Request { connection_id, transaction_id, body }.encode()).await;
        assert_eq!(reply.transaction_id, transaction_id);
        reply.body
    }

    /// Announces.
    pub(crate) async fn announce(&mut self, request: &AnnounceRequest) -> AnnounceReply {
        let url_data = b"/announce?key=value".to_vec();
        match self.ask(RequestBody::Announce { announce: Box::new(request.clone()), url_data }).await {
            ReplyBody::Announce(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    /// Sends bytes and returns the next reply.
    pub(crate) async fn ask_raw(&self, packet: &[u8]) -> Reply {
        self.socket.send(packet).await.unwrap();
        let mut buffer = [0; 2048];
        let length = soon(self.socket.recv(&mut buffer)).await.unwrap();
        assert!(length < 1400, "a reply is never fragmented");
        Reply::decode(&buffer[..length], Family::of(self.socket.local_addr().unwrap().ip())).unwrap()
    }

    /// Asserts that `packet` gets no reply: the next one is that to a question asked after it.
    pub(crate) async fn expect_silence(&mut self, packet: &[u8]) {
        self.socket.send(packet).await.unwrap();
        self.transaction_id += 1;
        let reply = self.ask_raw(&Request::connect(self.transaction_id).encode()).await;
        assert!(matches!(reply.body, ReplyBody::Connect { .. }), "{} got {reply:?}", packet.escape_ascii());
        assert_eq!(reply.transaction_id, self.transaction_id, "{}", packet.escape_ascii());
    }
}
