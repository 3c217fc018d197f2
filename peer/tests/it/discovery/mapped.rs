//! The port that the router gave is the one that others are told of: trackers and the DHT. In a network with a router of its own.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use potluck_common::InfoHash;
use potluck_peer::dht::LookupEvent;

use super::dht::{self, Bootstrap};
use super::lab::{self, Lab};
use crate::clients::Job;
use crate::ours::{self, SEED, Settings};
use crate::support::payload::{Payload, Plan};
use crate::support::room::{self, Room};
use crate::support::{Outcome, wait_for};

const PATIENCE: Duration = Duration::from_secs(180);

/// Where we listen, and the port of the router that leads there.
const PORT: u16 = 7_001;
const OUTSIDE: u16 = 40_123;

/// The port of NAT-PMP (RFC 6886 §3.1).
const NATPMP_PORT: u16 = 5_351;

/// The trials of this file.
pub(crate) fn trials() -> Vec<Trial> {
    let name = "discovery::mapped::trackers_and_the_dht_are_told_the_routers_port";
    let runner = || -> Result<(), Failed> { room::run(PATIENCE, routers_port) };
    vec![match lab::hindrance() {
        None => Trial::test(name, runner),
        Some(hindrance) => Trial::test(format!("{name} ({hindrance})"), runner).with_ignored_flag(true),
    }]
}

/// A thread that serves until this is dropped.
struct Service {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    fn start(mut serve_one: impl FnMut() + Send + 'static) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            while !end.load(Relaxed) {
                serve_one();
            }
        });
        Self { is_over, thread: Some(thread) }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.is_over.store(true, Relaxed);
        let _panicked = self.thread.take().map(JoinHandle::join);
    }
}

/// A router that speaks NAT-PMP alone, and gives [`OUTSIDE`].
fn router(ip: std::net::Ipv4Addr) -> Outcome<Service> {
    let socket = UdpSocket::bind((ip, NATPMP_PORT))?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    Ok(Service::start(move || {
        let mut request = [0; 1_100];
        let Ok((length, from)) = socket.recv_from(&mut request) else { return };
        let head = |kind: u8| [0, 0x80 | kind, 0, 0, 0, 0, 0, 1];
        let answer = match request[..length] {
            // Our address outside.
            [0, 0, ..] => [&head(0)[..], &[8, 8, 4, 4]].concat(),
            [0, kind, _, _, high, low, _, _, a, b, c, d, ..] => {
                let [outer_high, outer_low] = OUTSIDE.to_be_bytes();
                [&head(kind)[..], &[high, low, outer_high, outer_low, a, b, c, d]].concat()
            }
            // "Unsupported version".
            _ => vec![0, 0x80, 0, 1, 0, 0, 0, 1],
        };
        // Whoever asked may be gone.
        let _lost = socket.send_to(&answer, from);
    }))
}

/// A tracker that knows nobody, and the first lines of what it is asked.
fn tracker(address: SocketAddr) -> Outcome<(Service, Arc<Mutex<Vec<String>>>)> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&asked);
    let service = Service::start(move || {
        let Ok((mut stream, _)) = listener.accept() else {
            thread::sleep(Duration::from_millis(10));
            return;
        };
        let mut request = [0; 4_096];
        let is_set = stream.set_nonblocking(false).and(stream.set_read_timeout(Some(PATIENCE)));
        let Ok(length) = is_set.and_then(|()| stream.read(&mut request)) else { return };
        let line = String::from_utf8_lossy(&request[..length]).lines().next().unwrap_or_default().to_owned();
        notes.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        let body = "d8:intervali60e5:peers0:e";
        let _gone = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    });
    Ok((service, asked))
}

/// Whom the DHT names for a torrent.
fn named(node: &Bootstrap, info_hash: InfoHash) -> Vec<SocketAddr> {
    let mut events = node.node().lookup(info_hash);
    let mut peers = Vec::new();
    while let Some(LookupEvent::Peers(more)) = events.blocking_recv() {
        peers.extend(more);
    }
    peers
}

fn routers_port(room: &Room) -> Outcome {
    let payload = Payload::make(&Plan::single("mapped.bin", 1_000_000, 64 * 1024))?;
    let mut lab = Lab::new()?;
    let (first, outside, here) = (lab.place(room)?, lab.place(room)?, lab.place(room)?);
    let bootstrap = first.enter(|| Bootstrap::start(first.ipv4, 6_881))?;
    let joining = [bootstrap.address()];
    let asker = outside.enter(|| Bootstrap::joining(outside.ipv4, 6_881, &joining))?;
    let gateway = outside.become_router()?;
    let _router = outside.enter(|| router(gateway))?;
    let meeting = SocketAddr::new(outside.ipv4, 8_080);
    let (_tracker, asked) = outside.enter(|| tracker(meeting))?;

    let job = dht::job(room, "seeder", &payload, SocketAddr::new(here.ipv4, PORT), bootstrap.address())?;
    payload.write_torrent(&job.torrent, &format!("http://{meeting}/announce"))?;
    payload.copy_to(&job.payload_folder, false)?;
    let job = Job { interface: lab::INTERFACE, ..job };
    let seeder = here.enter(|| ours::start(&job, Settings { port_map: true, ..SEED }))?;
    let port = format!("port={OUTSIDE}&");
    wait_for(room.deadline, "the tracker is told the port of the router", || {
        let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(asked.iter().any(|line| line.replace(' ', "&").contains(&port)).then_some(()))
    })?;
    let told = SocketAddr::new(here.ipv4, OUTSIDE);
    wait_for(room.deadline, "the DHT is told the port of the router", || {
        Ok(named(&asker, payload.info_hash()).contains(&told).then_some(()))
    })?;
    drop(seeder);
    Ok(())
}
