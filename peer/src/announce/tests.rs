//! Announces and scrapes against hand-driven trackers on loopback.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use potluck_common::{
    PeerId,
    announce::{
        Event, Failure, Family, Retry, ScrapeEntry, http as wire,
        udp::{Reply as UdpReply, ReplyBody, Request, RequestBody},
    },
    limits::TRACKER_REPLY_BYTES_MAX,
};
use tokio::{net::UdpSocket, task::AbortHandle};

use super::*;
use crate::fetch::{
    Bind, REDIRECTS_MAX,
    test_server::{self, Reply, TestServer, gzipped, http, ok, redirect},
};

const INFO_HASH: InfoHash = InfoHash([0xab; 20]);

/// Long enough for loopback; where a test wants a timeout, it names its own.
const PATIENCE: Duration = Duration::from_secs(20);

fn client() -> TrackerClient {
    TrackerClient::new(HttpClient::new(Bind::ANY, Vec::new()))
}

fn request() -> AnnounceRequest {
    AnnounceRequest { event: Event::Started, ..AnnounceRequest::new(INFO_HASH, PeerId([b'p'; 20]), 6881) }
}

fn reply(peers: &[&str]) -> AnnounceReply {
    AnnounceReply {
        interval: Some(Duration::from_secs(1_800)),
        complete: Some(1),
        incomplete: Some(2),
        peers: peers.iter().map(|peer| peer.parse().expect("an address")).collect(),
        ..AnnounceReply::default()
    }
}

fn tracker(url: &str) -> TrackerUrl {
    TrackerUrl::parse(url).expect("a tracker URL")
}

async fn announce(client: &TrackerClient, url: &str) -> Result<AnnounceReply, AnnounceFailure> {
    client.announce(&tracker(url), &request(), Origin::User, PATIENCE).await
}

fn reply_over_http(path: &str) -> Reply {
    let good = || wire::encode_announce(&reply(&["10.0.0.1:6881", "[2606::1]:6881"]), true);
    let failure = |retry| wire::encode_failure(&Failure { reason: "not registered".into(), retry });
    match path.split(['?', '/']).nth(1).unwrap_or_default() {
        "good" => ok(&good()),
        "gzip" => gzipped(&good()),
        "moved" => redirect(&path.replace("moved", "good")),
        "loop" => redirect(path),
        "file" => redirect("file:///etc/passwd"),
        "udp" => redirect("udp://127.0.0.1:1/announce"),
        "uneven" => ok(b"d8:intervali60e5:peers7:\x0a\x00\x00\x01\x1a\xe1\x00e"),
        "huge" => ok(&vec![b'd'; TRACKER_REPLY_BYTES_MAX + 1]),
        "bomb" => gzipped(&vec![b'd'; 8 * TRACKER_REPLY_BYTES_MAX]),
        "broken-gzip" => http("200 OK", "Content-Encoding: gzip\r\n", b"\x1f\x8b\x08\x00garbage"),
        "page" => ok(b"<html>parked</html>"),
        "empty" => ok(b""),
        "error" => http("500 Internal Server Error", "", b"<html>"),
        "error-with-reply" => http("502 Bad Gateway", "", &good()),
        "refused" => ok(&failure(None)),
        "refused-later" => {
            http("400 Bad Request", "", &failure(Some(Retry::After(Duration::from_secs(600)))))
        }
        "cut" => Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nd8:int".to_vec()),
        "closed" => Reply::Bytes(Vec::new()),
        "garbage" => Reply::Bytes(b"\x00\x01\x02\x03\r\n\r\n".to_vec()),
        "slow" => Reply::Hang(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nd8:int".to_vec()),
        "silent" => Reply::Hang(Vec::new()),
        _ => http("404 Not Found", "", b""),
    }
}

/// How many peers come, or what kind of failure with which words.
type Outcome = Result<usize, (fn(&AnnounceFailure) -> bool, &'static str)>;

#[tokio::test]
async fn row_3_9_each_http_reply_is_taken_or_becomes_the_right_failure() {
    use AnnounceFailure::{Forbidden, Invalid, Refused};
    let server = TestServer::start(reply_over_http).await;
    let both = 2;
    let cases: [(&str, Outcome); 19] = [
        ("good", Ok(both)),
        ("gzip", Ok(both)),
        ("moved", Ok(both)),
        ("uneven", Ok(1)),
        ("loop", Err((|failure| matches!(failure, Invalid(_)), "more than 5 redirects"))),
        ("file", Err((|failure| matches!(failure, Forbidden(_)), "only http"))),
        ("udp", Err((|failure| matches!(failure, Forbidden(_)), "only http"))),
        ("huge", Err((|failure| matches!(failure, Invalid(_)), "longer than 1048576 bytes"))),
        ("bomb", Err((|failure| matches!(failure, Invalid(_)), "longer than 1048576 bytes"))),
        ("broken-gzip", Err((|failure| matches!(failure, Invalid(_)), "the reply is broken"))),
        ("page", Err((|failure| matches!(failure, Invalid(_)), "makes no sense"))),
        ("empty", Err((|failure| matches!(failure, Invalid(_)), "makes no sense"))),
        ("error", Err((|failure| matches!(failure, Invalid(_)), "HTTP 500"))),
        ("error-with-reply", Err((|failure| matches!(failure, Invalid(_)), "HTTP 502"))),
        (
            "refused",
            Err((|failure| matches!(failure, Refused(Failure { retry: None, .. })), "not registered")),
        ),
        (
            "refused-later",
            Err((
                |failure| matches!(failure, Refused(Failure { retry: Some(Retry::After(_)), .. })),
                "not registered",
            )),
        ),
        ("cut", Err((|failure| matches!(failure, Invalid(_)), "the reply is broken"))),
        ("closed", Err((|failure| matches!(failure, Invalid(_)), "the reply is broken"))),
        ("garbage", Err((|failure| matches!(failure, Invalid(_)), "the reply is broken"))),
    ];
    for (path, expected) in cases {
        let outcome = announce(&client(), &server.url(&format!("/{path}?passkey=s3cr3t"))).await;
        match (outcome, expected) {
            (Ok(reply), Ok(peers)) => assert_eq!(reply.peers.len(), peers, "{path}"),
            (Err(failure), Err((is_right, words))) => {
                let text = format!("{failure} {failure:?}");
                assert!(is_right(&failure) && text.contains(words), "{path}: {text}");
                assert!(!text.contains("s3cr3t"), "{path}: {text}");
            }
            (outcome, _) => panic!("{path}: {outcome:?}"),
        }
    }
    let requests = server.requests();
    assert_eq!(requests.iter().filter(|(_, path)| path.starts_with("/loop")).count(), 1 + REDIRECTS_MAX);
    let query = requests[0].1.split_once('?').expect("a query").1;
    assert!(query.starts_with("passkey=s3cr3t&info_hash=%AB"), "{query}");
    let parsed = wire::parse_announce(query).expect("a strict tracker takes it");
    assert_eq!(parsed, request());
}

#[tokio::test]
async fn row_3_9_nobody_waits_longer_than_the_timeout() {
    let server = TestServer::start(reply_over_http).await;
    let silent = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let udp = format!("udp://{}/announce", silent.local_addr().expect("bound"));
    for url in [server.url("/slow"), server.url("/silent"), udp] {
        let stopped = AnnounceRequest { event: Event::Stopped, ..request() };
        let timeout = Duration::from_millis(100);
        let outcome = client().announce(&tracker(&url), &stopped, Origin::User, timeout).await;
        assert!(matches!(outcome, Err(AnnounceFailure::Unreachable(_))), "{url}: {outcome:?}");
    }
    let dead = announce(&client(), &format!("http://{}/announce", test_server::unused_addr())).await;
    let failure = dead.expect_err("nobody listens");
    assert!(
        matches!(&failure, AnnounceFailure::Unreachable(why) if why.as_str().contains("refused")),
        "{failure}"
    );
}

#[tokio::test]
async fn https_needs_a_certificate_that_is_trusted() {
    let (server, certificate) = TestServer::start_tls(reply_over_http).await;
    let url = format!("https://{}/good", server.addr);
    let trusting = TrackerClient::new(HttpClient::new(Bind::ANY, vec![certificate]));
    assert_eq!(announce(&trusting, &url).await.expect("trusted").peers.len(), 2);
    let failure = announce(&client(), &url).await.expect_err("not trusted");
    assert!(failure.to_string().contains("certificate"), "{failure}");
    assert_eq!(server.requests().len(), 1, "no query went to the stranger");
}

#[tokio::test]
async fn row_4_6_a_torrent_does_not_choose_what_this_host_is_asked() {
    let server = TestServer::start(|_| ok(&wire::encode_announce(&reply(&[]), true))).await;
    let ask =
        async |url: String| client().announce(&tracker(&url), &request(), Origin::Torrent, PATIENCE).await;
    for path in ["/", "/admin", "/announce?cmd=halt", "/announce?info_hash=x"] {
        let outcome = ask(server.url(path)).await;
        assert!(matches!(outcome, Err(AnnounceFailure::Forbidden(_))), "{path}: {outcome:?}");
        if path != "/" {
            let udp = ask(server.url(path).replace("http", "udp")).await;
            assert!(matches!(udp, Err(AnnounceFailure::Forbidden(_))), "udp {path}: {udp:?}");
        }
    }
    assert_eq!(server.requests(), []);
    assert!(ask(server.url("/announce")).await.is_ok());
}

#[tokio::test]
async fn http_scrape_goes_to_the_scrape_url() {
    let counts = ScrapeEntry { complete: 5, incomplete: 6, downloaded: 7 };
    let server =
        TestServer::start(move |_| ok(&wire::encode_scrape(&[(INFO_HASH, counts)].into_iter().collect())))
            .await;
    let scrape = async |path: &str| {
        client().scrape(&tracker(&server.url(path)), &[INFO_HASH], Origin::Torrent, PATIENCE).await
    };
    assert_eq!(scrape("/announce").await.expect("counts").get(&INFO_HASH), Some(&counts));
    assert!(server.requests()[0].1.starts_with("/scrape?info_hash=%AB"));
    assert!(scrape("/x").await.is_err());
}

/// A UDP tracker: each request gets the datagrams that a closure says, from the tracker's socket or another one.
struct UdpTracker {
    addr: SocketAddr,
    requests: Arc<Mutex<Vec<(SocketAddr, Request)>>>,
    task: AbortHandle,
}

impl Drop for UdpTracker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One datagram of a UDP tracker, and whether it comes from the right address.
type Datagram = (Vec<u8>, bool);

impl UdpTracker {
    /// `answer` gets each request with its number, from 0.
    async fn start(at: &str, answer: impl Fn(usize, &Request) -> Vec<Datagram> + Send + 'static) -> Self {
        let socket = UdpSocket::bind(at).await.expect("a port on loopback");
        let stranger = UdpSocket::bind(at).await.expect("a port on loopback");
        let addr = socket.local_addr().expect("bound");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        let serve = async move {
            let mut buffer = [0; 2_048];
            for number in 0.. {
                let (length, from) = socket.recv_from(&mut buffer).await.expect("a request");
                let request = Request::decode(&buffer[..length]).expect("a good request");
                let datagrams = answer(number, &request);
                log.lock().unwrap().push((from, request));
                for (datagram, is_right) in datagrams {
                    let sender = if is_right { &socket } else { &stranger };
                    sender.send_to(&datagram, from).await.expect("sent");
                }
            }
        };
        Self { addr, requests, task: tokio::spawn(serve).abort_handle() }
    }

    fn url(&self, path: &str) -> String {
        format!("udp://{}{path}", self.addr)
    }

    /// The actions of the requests so far, by their first letters.
    fn actions(&self) -> String {
        let letter = |(_, request): &(SocketAddr, Request)| match request.body {
            RequestBody::Connect => 'c',
            RequestBody::Announce { .. } => 'a',
            RequestBody::Scrape(_) => 's',
        };
        self.requests.lock().unwrap().iter().map(letter).collect()
    }
}

const CONNECTION_ID: u64 = 0x1234_5678_9abc_def0;

fn datagram(request: &Request, body: ReplyBody) -> Vec<u8> {
    let is_v6 = matches!(&body, ReplyBody::Announce(reply) if reply.peers.iter().any(SocketAddr::is_ipv6));
    let family = if is_v6 { Family::V6 } else { Family::V4 };
    UdpReply { transaction_id: request.transaction_id, body }.encode(family)
}

/// The right reply of a tracker that hands out `peers`.
fn right(request: &Request, peers: &[&str]) -> Vec<u8> {
    let body = match &request.body {
        RequestBody::Connect => ReplyBody::Connect { connection_id: CONNECTION_ID },
        RequestBody::Announce { .. } if request.connection_id != CONNECTION_ID => {
            ReplyBody::Error("connection id mismatch".into())
        }
        RequestBody::Announce { .. } => ReplyBody::Announce(reply(peers)),
        RequestBody::Scrape(hashes) => ReplyBody::Scrape(
            hashes.iter().map(|_| ScrapeEntry { complete: 4, ..ScrapeEntry::default() }).collect(),
        ),
    };
    datagram(request, body)
}

/// What a UDP tracker sends to its requests by number.
type Script = fn(usize, &Request) -> Vec<Datagram>;

#[tokio::test]
async fn row_3_9_each_udp_datagram_is_taken_dropped_or_becomes_the_right_failure() {
    const RIGHT: &str = "10.0.0.1:6881";
    const FORGED: &str = "10.6.6.6:6666";
    // What the tracker does; the first peer that comes, or words of the failure; the requests that it got.
    let cases: [(&str, Script, Result<&str, &str>, &str); 8] = [
        ("good", |_, request| vec![(right(request, &[RIGHT]), true)], Ok(RIGHT), "ca"),
        (
            "forged transaction ids first",
            |_, request| {
                let forged = Request { transaction_id: request.transaction_id ^ 1, ..request.clone() };
                vec![(right(&forged, &[FORGED]), true), (right(request, &[RIGHT]), true)]
            },
            Ok(RIGHT),
            "ca",
        ),
        (
            "from another address first",
            |_, request| vec![(right(request, &[FORGED]), false), (right(request, &[RIGHT]), true)],
            Ok(RIGHT),
            "ca",
        ),
        (
            "too short to have a transaction id",
            |_, request| vec![(vec![0; 7], true), (Vec::new(), true), (right(request, &[RIGHT]), true)],
            Ok(RIGHT),
            "ca",
        ),
        (
            "an incomplete last peer",
            |_, request| {
                let mut packet = right(request, &[RIGHT]);
                packet.extend([1, 2, 3]);
                vec![(packet, true)]
            },
            Ok(RIGHT),
            "ca",
        ),
        (
            "the first datagram of each kind is lost",
            |number, request| {
                if number % 2 == 0 { Vec::new() } else { vec![(right(request, &[RIGHT]), true)] }
            },
            Ok(RIGHT),
            "ccaa",
        ),
        (
            "an error",
            |_, request| match request.body {
                RequestBody::Connect => vec![(right(request, &[]), true)],
                _ => vec![(datagram(request, ReplyBody::Error("not registered".into())), true)],
            },
            Err("the tracker refused: not registered"),
            "ca",
        ),
        (
            "another action",
            |_, request| vec![(datagram(request, ReplyBody::Scrape(Vec::new())), true)],
            Err("something else"),
            "c",
        ),
    ];
    for (name, answer, expected, actions) in cases {
        let server = UdpTracker::start("127.0.0.1:0", answer).await;
        let outcome = announce(&client(), &server.url("/announce?passkey=s3cr3t")).await;
        match (outcome, expected) {
            (Ok(reply), Ok(peer)) => assert_eq!(reply.peers, [peer.parse().expect("an address")], "{name}"),
            (Err(failure), Err(words)) => assert!(failure.to_string().contains(words), "{name}: {failure}"),
            (outcome, _) => panic!("{name}: {outcome:?}"),
        }
        assert_eq!(server.actions(), actions, "{name}");
    }
}

#[tokio::test]
async fn a_connection_id_is_kept_until_the_tracker_errs() {
    let server = UdpTracker::start("127.0.0.1:0", |number, request| {
        // The fourth request is an announce with the id of before the tracker's restart.
        let stale = Request { connection_id: 0, ..request.clone() };
        vec![(right(if number == 3 { &stale } else { request }, &["10.0.0.1:6881"]), true)]
    })
    .await;
    let client = client();
    let url = server.url("/announce?passkey=s3cr3t");
    for _ in 0..3 {
        announce(&client, &url).await.expect("a reply");
    }
    let counts = client.scrape(&tracker(&url), &[INFO_HASH], Origin::User, PATIENCE).await.expect("counts");
    assert_eq!(counts.get(&INFO_HASH).map(|counts| counts.complete), Some(4));
    assert_eq!(server.actions(), "caaacas");
    let requests = server.requests.lock().unwrap();
    let RequestBody::Announce { announce, url_data } = &requests[1].1.body else { panic!("{requests:?}") };
    assert_eq!((announce.as_ref(), url_data.as_slice()), (&request(), &b"/announce?passkey=s3cr3t"[..]));
    let mut ids: Vec<_> = requests.iter().map(|(_, request)| request.transaction_id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), requests.len(), "transaction ids are not reused");
}

#[tokio::test]
async fn udp_works_over_ipv6() {
    let server =
        UdpTracker::start("[::1]:0", |_, request| vec![(right(request, &["[2606::1]:6881"]), true)]).await;
    let reply = announce(&client(), &server.url("")).await.expect("a reply");
    assert_eq!(reply.peers, ["[2606::1]:6881".parse().expect("an address")]);
    assert_eq!(server.requests.lock().unwrap()[0].0.ip(), Ipv6Addr::LOCALHOST);
}

#[tokio::test]
async fn requests_come_from_the_bound_address() {
    let ip: IpAddr = [127, 0, 0, 9].into();
    let bound = TrackerClient::new(HttpClient::new(Bind::only(ip), Vec::new()));
    let http = TestServer::start(reply_over_http).await;
    announce(&bound, &http.url("/moved")).await.expect("a reply");
    assert!(http.requests().iter().all(|(peer, _)| peer.ip() == ip));
    let udp = UdpTracker::start("127.0.0.1:0", |_, request| vec![(right(request, &[]), true)]).await;
    announce(&bound, &udp.url("")).await.expect("a reply");
    assert!(udp.requests.lock().unwrap().iter().all(|(peer, _)| peer.ip() == ip));
    for url in ["http://[::1]:1/announce", "udp://10.0.0.1:1/announce"] {
        let failure = announce(&bound, url).await.expect_err("not from here");
        assert!(failure.to_string().contains("the address we are bound to"), "{failure}");
    }
}

#[tokio::test]
async fn row_4_6_a_name_is_asked_at_its_checked_addresses() {
    let server = TestServer::start(reply_over_http).await;
    let url = format!("http://localhost:{}/moved", server.addr.port());
    assert_eq!(announce(&client(), &url).await.expect("a reply").peers.len(), 2);
}

#[tokio::test]
async fn replies_over_both_families_are_merged() {
    let answer = |peers: &[&str]| Ok(Answer::Announce(reply(peers)));
    let failed = || Err(AnnounceFailure::Unreachable("no route".into()));
    let cases = [
        (answer(&["1.1.1.1:1", "2.2.2.2:2"]), answer(&["2.2.2.2:2", "3.3.3.3:3"]), Some(3)),
        (failed(), answer(&["1.1.1.1:1"]), Some(1)),
        (answer(&["1.1.1.1:1"]), failed(), Some(1)),
        (failed(), failed(), None),
    ];
    for (one, other, peers) in cases {
        let merged = both(std::future::ready(one), std::future::ready(other)).await;
        let merged = merged.ok().map(|answer| match answer {
            Answer::Announce(reply) => reply.peers.len(),
            Answer::Scrape(_) => panic!("not a scrape"),
        });
        assert_eq!(merged, peers);
    }
}

#[tokio::test(start_paused = true)]
async fn a_good_reply_waits_only_a_little_for_the_other_family() {
    let start = tokio::time::Instant::now();
    let good = std::future::ready(Ok(Answer::Announce(reply(&[]))));
    assert!(both(std::future::pending(), good).await.is_ok());
    assert_eq!(start.elapsed(), OTHER_FAMILY_WAIT);
}

/// A tracker that accepts, and never answers. Says how many connections are open, and how many were at most.
async fn silent_tracker(open: &Arc<AtomicUsize>, most: &Arc<AtomicUsize>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/announce", listener.local_addr().expect("bound"));
    let (open, most) = (Arc::clone(open), Arc::clone(most));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let open = Arc::clone(&open);
            tokio::spawn(async move {
                // Until it is given up.
                let _ended = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    url
}

#[tokio::test]
async fn row_6_1_five_thousand_announces_to_dead_trackers_are_fifty_at_a_time() {
    let (open, most) = (Arc::default(), Arc::default());
    let client = client();
    let mut urls = Vec::new();
    for _ in 0..8 {
        urls.push(silent_tracker(&open, &most).await);
    }
    // The second wave goes to one tracker alone.
    for (urls, bound) in [(&urls[..], IN_FLIGHT_MAX), (&urls[..1], IN_FLIGHT_PER_HOST_MAX)] {
        while open.load(Ordering::SeqCst) > 0 {
            tokio::task::yield_now().await;
        }
        most.store(0, Ordering::SeqCst);
        let mut announces = tokio::task::JoinSet::new();
        for number in 0..5_000 {
            let (client, url) = (client.clone(), tracker(&urls[number % urls.len()]));
            announces.spawn(async move {
                client.announce(&url, &request(), Origin::User, Duration::from_millis(300)).await
            });
        }
        while let Some(outcome) = announces.join_next().await {
            let outcome = outcome.expect("no panic");
            assert!(matches!(outcome, Err(AnnounceFailure::Unreachable(_))), "{outcome:?}");
        }
        let most = most.load(Ordering::SeqCst);
        assert!((bound / 2..=bound).contains(&most), "{most} at a time, the bound is {bound}");
    }
}
