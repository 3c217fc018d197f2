//! A tracker that answers every announce at once with the seeders of the moment.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use super::Outcome;

/// How long a client may take over its request.
const PATIENCE: Duration = Duration::from_secs(5);

const SEEDERS: &str = "/seeders/announce";

/// Runs in a thread for as long as this process does.
pub(super) struct Tracker {
    /// Where leechers announce themselves.
    pub(super) url_of_leechers: String,
    /// Where seeders do, and learn nothing.
    pub(super) url_of_seeders: String,
    seeders: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Tracker {
    pub(super) fn start(address: SocketAddr) -> Outcome<Self> {
        let listener = TcpListener::bind(address)?;
        let seeders = Arc::<Mutex<Vec<SocketAddr>>>::default();
        let shared = Arc::clone(&seeders);
        thread::Builder::new().name("tracker".into()).spawn(move || {
            for stream in listener.incoming().flatten() {
                let seeders = shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
                // One that breaks off has its own reasons.
                let _ = answer(stream, &seeders);
            }
        })?;
        Ok(Self {
            url_of_leechers: format!("http://{address}/announce"),
            url_of_seeders: format!("http://{address}{SEEDERS}"),
            seeders,
        })
    }

    /// Whom it names from now on.
    pub(super) fn name(&self, seeders: Vec<SocketAddr>) {
        *self.seeders.lock().unwrap_or_else(PoisonError::into_inner) = seeders;
    }
}

fn answer(mut stream: TcpStream, seeders: &[SocketAddr]) -> Outcome {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut chunk)? {
            0 => return Ok(()),
            count => request.extend_from_slice(&chunk[..count]),
        }
    }
    let is_seeder = request.starts_with(format!("GET {SEEDERS}").as_bytes());
    let mut peers = Vec::new();
    for seeder in seeders.iter().filter(|_| !is_seeder) {
        if let IpAddr::V4(ip) = seeder.ip() {
            peers.extend(ip.octets());
            peers.extend(seeder.port().to_be_bytes());
        }
    }
    let mut body = format!("d8:intervali1800e5:peers{}:", peers.len()).into_bytes();
    body.extend(peers);
    body.push(b'e');
    let headers = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(headers.as_bytes())?;
    stream.write_all(&body)?;
    Ok(())
}
