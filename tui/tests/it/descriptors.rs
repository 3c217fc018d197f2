//! The program where the system grants it few descriptors.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use libtest_mimic::Trial;
use potluck_common::{
    InfoHash, PeerId,
    wire::{self, HANDSHAKE_BYTES, Handshake, Message, RawSpan, Reserved, Rules},
};
use rustix::process::Signal;

use crate::{
    sandbox::{Running, Sandbox, assert_same},
    test,
};

/// Within which a newcomer must have a block, whoever else is there.
const SERVED_WITHIN: Duration = Duration::from_secs(2);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("row_2_15_a_seeder_with_64_descriptors_serves_beside_a_crowd", beside_a_crowd),
        test("row_2_15_too_few_descriptors_are_an_error_with_a_remedy", too_few),
    ]
}

/// The program under `ulimit -n`, which here sets both limits.
fn limited(sandbox: &Sandbox, descriptors: u32, line: &str) -> Command {
    let mut command = sandbox.command_of("sh".as_ref());
    command.args(["-c", &format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"")]);
    command.arg(env!("CARGO_BIN_EXE_potluck")).args(line.split_whitespace());
    command
}

fn too_few() {
    let sandbox = Sandbox::new();
    sandbox.file("one.bin", 100_000, 1);
    let done = Running::start(limited(&sandbox, 30, "seed one.bin --port 0 --bind 127.0.0.1")).finish();
    done.fails(1, &["30 open files are too few", "47 are the least", "ulimit -n"]);
}

fn beside_a_crowd() {
    let sandbox = Sandbox::new();
    sandbox.file("src/d/one.bin", 3_000_000, 1);
    for number in 0..30 {
        sandbox.file(&format!("src/d/{number}"), 50_000, 2);
    }
    let tracker = Tracker::start(&sandbox.ip());
    let url = format!("http://{}/announce", tracker.address);
    sandbox.create(&format!("src/d --piece 32k --tracker {url}"));
    let ip = sandbox.ip();
    let line = format!("seed d.torrent -o src --json --bind {ip} --port 0");
    let mut command = limited(&sandbox, 64, &line);
    command.env("POTLUCK_LOG", "potluck_peer=warn");
    let mut seed = Running::start(command);
    let added = seed.wait_for(|event| event["event"] == "added");
    let address: SocketAddr = added["listen"][0].as_str().expect("an address").parse().expect("an address");
    let info_hash = added["info_hash"].as_str().and_then(InfoHash::from_hex).expect("a hash");
    seed.wait_for(|event| event["event"] == "tracker_replied");

    let connect = || TcpStream::connect(address).expect("the system's queue has room");
    let mut crowd: Vec<TcpStream> = (0..300).map(|_| connect()).collect();
    for number in 0..250u16 {
        let mut stream = connect();
        let handshake = handshake(info_hash, number);
        // Some name the torrent and no more, some are peers who want nothing. They may be hung up on already.
        let said = if number % 2 == 0 { &handshake[..60] } else { &handshake[..] };
        let _ = stream.write_all(said);
        crowd.push(stream);
    }
    let mut waits: Vec<Duration> =
        (0..5).map(|number| time_to_a_block(address, info_hash, 1_000 + number)).collect();
    waits.sort();
    assert!(waits[2] < SERVED_WITHIN, "newcomers waited {waits:?} for a block");
    if let Ok(open) = fs::read_dir(format!("/proc/{}/fd", seed.pid())) {
        let open = open.count();
        assert!(open <= 64 - 8, "{open} descriptors are open, and few are left for emergencies");
    }

    let get = format!("get d.torrent -o dst --no-trackers --bind {} --port 0 --peer {address}", sandbox.ip());
    let done = sandbox.potluck(&get);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_same(&sandbox.path("src/d"), &sandbox.path("dst/d"));

    // A tracker is talked to beside all of them.
    seed.signal(Signal::INT);
    let done = seed.finish();
    assert_eq!(done.code, Some(0), "{done:?}");
    let events = tracker.events.lock().expect("no panic").clone();
    assert_eq!(events, ["started", "stopped"], "{done:?}");
    let (log, short) = (&done.stderr, "out of descriptors");
    assert!(log.contains("fewer peers can be served"), "it says so: {log}");
    assert!(log.lines().filter(|line| line.contains(short)).count() < 20, "{log}");
    drop(crowd);
}

fn handshake(info_hash: InfoHash, number: u16) -> [u8; HANDSHAKE_BYTES] {
    let mut id = *b"-IT0001-0000000-----";
    id[8..15].copy_from_slice(format!("{number:07}").as_bytes());
    Handshake { reserved: Reserved::FAST, info_hash, peer_id: PeerId(id) }.encode()
}

/// How long it takes from connecting to the first byte of a block. One who is turned away tries again.
fn time_to_a_block(address: SocketAddr, info_hash: InfoHash, number: u16) -> Duration {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(20) {
        if ask_for_a_block(address, info_hash, number).is_ok() {
            return begin.elapsed();
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("no block within {:?}", begin.elapsed());
}

fn ask_for_a_block(address: SocketAddr, info_hash: InfoHash, number: u16) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(&handshake(info_hash, number))?;
    let mut received = [0; HANDSHAKE_BYTES];
    stream.read_exact(&mut received)?;
    let mut said = BytesMut::new();
    Message::HaveNone.encode(&mut said);
    Message::Interested.encode(&mut said);
    stream.write_all(&said)?;
    let mut input = BytesMut::new();
    // A seed with the fast extension says HAVE ALL, so no bitfield comes.
    let rules = Rules { bitfield_bytes: 0, bitfield_is_exact: true, extended_bytes_max: 1 << 20 };
    loop {
        let Some(message) = wire::decode(&mut input, rules).map_err(std::io::Error::other)? else {
            let mut some = [0; 4096];
            match stream.read(&mut some)? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                read => input.extend_from_slice(&some[..read]),
            }
            continue;
        };
        match message {
            Message::Unchoke => {
                let mut request = BytesMut::new();
                Message::Request(RawSpan { piece: 0, begin: 0, length: 16_384 }).encode(&mut request);
                stream.write_all(&request)?;
            }
            Message::Piece { .. } => return Ok(()),
            _ => {}
        }
    }
}

/// A tracker that knows nobody and notes the events of announces.
struct Tracker {
    address: SocketAddr,
    events: Arc<Mutex<Vec<String>>>,
}

impl Tracker {
    fn start(ip: &str) -> Self {
        let listener = TcpListener::bind(format!("{ip}:0")).expect("a port");
        let address = listener.local_addr().expect("bound");
        let events = Arc::<Mutex<Vec<String>>>::default();
        let noted = Arc::clone(&events);
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut request = [0; 4096];
                let length = stream.read(&mut request).unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..length]);
                let event = request.split(['?', '&', ' ']).find_map(|part| part.strip_prefix("event="));
                noted.lock().expect("no panic").extend(event.map(str::to_owned));
                let body = "d8:completei1e10:incompletei0e8:intervali1800e5:peers0:e";
                let reply = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                // Whoever asked may have gone away.
                let _ = stream.write_all(reply.as_bytes());
            }
        });
        Self { address, events }
    }
}
