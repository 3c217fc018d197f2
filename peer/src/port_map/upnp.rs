//! UPnP IGD, by `igd-next`.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4},
    time::Duration,
};

use futures_util::future::join_all;
use igd_next::{
    AddPortError, GatewayIpVersion, PortMappingProtocol, RequestError, SearchOptions,
    aio::{
        Gateway,
        tokio::{Tokio, search_gateway},
    },
};
use potluck_core::reachability::MappedBy;
use tokio::{net::UdpSocket, task::JoinSet, time::timeout};

use super::{
    ATTEMPT_TIME_MAX, Grant, LEASE, MapError, Router, Wanted,
    route::Route,
    ssdp::{self, Location, Trust},
};

/// What the router shows to whoever looks at its ports.
const DESCRIPTION: &str = "Potluck";
/// Most time to read the description of a device, whatever its length.
const DESCRIBE_TIME_MAX: Duration = Duration::from_secs(4);
/// A lease without end: some routers have no other.
const PERMANENT: u32 = 0;

/// Most ports that are remembered to be given back: more are held only where the router gives another one each time.
const HELD_MAX: usize = 8;

/// A router that may speak it.
pub(super) struct Upnp {
    route: Route,
    wanted: Wanted,
    group: SocketAddrV4,
    trust: Trust,
    /// Who is asked; nobody after one that failed, as another may have replaced it.
    gateway: Option<Gateway<Tokio>>,
    /// A wish that is not answered yet. It goes on by itself where nobody waits for it any more, so that it is known at the
    /// end what came of it.
    asking: JoinSet<Answer>,
    /// What was given and not taken back, the latest at the end.
    held: Vec<Held>,
}

/// A port outside, and who gave it.
#[derive(PartialEq)]
struct Held {
    gateway: Gateway<Tokio>,
    protocol: PortMappingProtocol,
    port: u16,
}

/// What came of a wish.
struct Answer {
    wish: Held,
    /// The port that was wished for is another machine's.
    is_taken: bool,
    given: Result<(u16, Option<Duration>), MapError>,
}

impl Upnp {
    pub(super) fn new(route: Route, wanted: Wanted, group: SocketAddrV4, trust: Trust) -> Self {
        Self { route, wanted, group, trust, gateway: None, asking: JoinSet::new(), held: Vec::new() }
    }

    /// The first device that describes itself as a router.
    async fn find(&self) -> Result<Gateway<Tokio>, MapError> {
        let found = ssdp::search(self.route, self.group, self.trust).await;
        let found =
            found.map_err(|error| MapError::refused(&format!("the network cannot be asked: {error}")))?;
        let mut last = MapError::NoAnswer;
        for location in found {
            match describe(&location).await {
                Ok(gateway) => return Ok(gateway),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Wishes for a port; gives it, or another one, and the lease.
    async fn add(&mut self, wish: Held) -> Result<(u16, Option<Duration>), MapError> {
        self.asking.spawn(ask(wish, self.wanted.local));
        self.settle().await.unwrap_or(Err(MapError::NoAnswer))
    }

    /// Waits until all wishes are answered, and notes what was given; what the last answer was.
    async fn settle(&mut self) -> Option<Result<(u16, Option<Duration>), MapError>> {
        let mut last = None;
        while let Some(answered) = self.asking.join_next().await {
            last = answered.ok().map(|answer| self.note(answer));
        }
        last
    }

    fn note(&mut self, answer: Answer) -> Result<(u16, Option<Duration>), MapError> {
        let Answer { wish, is_taken, given } = answer;
        if is_taken {
            self.held.retain(|held| *held != wish);
        }
        if let Ok((port, _)) = given {
            let now = Held { port, ..wish };
            self.held.retain(|held| *held != now);
            self.held.push(now);
            if self.held.len() > HELD_MAX {
                self.held.remove(0);
            }
        }
        given
    }

    /// The port of TCP to wish for: what it is, or what we listen on.
    fn port(&self) -> u16 {
        let tcp = self.held.iter().rfind(|held| held.protocol == PortMappingProtocol::TCP);
        tcp.map_or(self.wanted.local.port(), |held| held.port)
    }
}

impl Router for Upnp {
    async fn map(&mut self) -> Result<Grant, MapError> {
        self.settle().await;
        let gateway = match &self.gateway {
            Some(gateway) => gateway.clone(),
            None => self.gateway.insert(self.find().await?).clone(),
        };
        let wish = |protocol, port| Held { gateway: gateway.clone(), protocol, port };
        let tcp = self.add(wish(PortMappingProtocol::TCP, self.port())).await;
        if tcp.is_err() {
            self.gateway = None;
        }
        let (external_port, lease) = tcp?;
        // The port of TCP is what counts.
        let _ = self.add(wish(PortMappingProtocol::UDP, external_port)).await;
        let external_ip = gateway.get_external_ip().await.ok();
        Ok(Grant { by: MappedBy::Upnp, external_ip, external_port, lease })
    }

    async fn unmap(&mut self) {
        let given = std::mem::take(&mut self.held);
        let late = async {
            self.settle().await;
            give_back(std::mem::take(&mut self.held)).await;
        };
        tokio::join!(give_back(given), late);
    }
}

/// Gives all back at once: there may be no time for one after the other.
async fn give_back(held: Vec<Held>) {
    join_all(held.iter().map(|Held { gateway, protocol, port }| async {
        if let Err(error) = gateway.remove_port(*protocol, *port).await {
            tracing::debug!(error = %words(&error), "the router keeps a port until its lease ends");
        }
    }))
    .await;
}

/// Wishes for a port that leads to `local`, and where another machine has that of TCP for any other one.
async fn ask(wish: Held, local: SocketAddrV4) -> Answer {
    let asked = async {
        match add_port(&wish, local).await {
            Ok(lease) => (false, Ok((wish.port, lease))),
            Err(MapError::Taken) if wish.protocol == PortMappingProtocol::TCP => {
                (true, add_any_port(&wish, local).await)
            }
            Err(error) => (error == MapError::Taken, Err(error)),
        }
    };
    let in_time = timeout(ATTEMPT_TIME_MAX, asked).await;
    let (is_taken, given) = in_time.unwrap_or((false, Err(MapError::NoAnswer)));
    Answer { wish, is_taken, given }
}

/// Maps this port of the router; gives the lease.
async fn add_port(wish: &Held, local: SocketAddrV4) -> Result<Option<Duration>, MapError> {
    let Held { gateway, protocol, port } = wish;
    let (local, lease) = (SocketAddr::V4(local), LEASE.as_secs() as u32);
    match gateway.add_port(*protocol, *port, local, lease, DESCRIPTION).await {
        Ok(()) => Ok(Some(LEASE)),
        Err(AddPortError::OnlyPermanentLeasesSupported) => {
            let added = gateway.add_port(*protocol, *port, local, PERMANENT, DESCRIPTION).await;
            added.map(|()| None).map_err(|error| error_of(&error))
        }
        Err(error) => Err(error_of(&error)),
    }
}

/// Maps a port that the router, or chance, chooses.
async fn add_any_port(wish: &Held, local: SocketAddrV4) -> Result<(u16, Option<Duration>), MapError> {
    let (local, lease) = (SocketAddr::V4(local), LEASE.as_secs() as u32);
    let any = wish.gateway.add_any_port(wish.protocol, local, lease, DESCRIPTION).await;
    match any.map_err(|error| MapError::refused(&words(&error)))? {
        0 => Err(MapError::refused("it gave port 0")),
        port => Ok((port, Some(LEASE))),
    }
}

/// Has `igd-next` read what a device says of itself. It would ask the network by itself, and follow whatever answers;
/// so it is told of this one place, by a socket that nobody else speaks through, and trusts no other.
async fn describe(location: &Location) -> Result<Gateway<Tokio>, MapError> {
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let failed = |error: io::Error| MapError::refused(&format!("no socket for it: {error}"));
    let relay = UdpSocket::bind(here).await.map_err(failed)?;
    let mut options = SearchOptions::default();
    options.bind_addr = here;
    options.broadcast_address = relay.local_addr().map_err(failed)?;
    options.timeout = Some(DESCRIBE_TIME_MAX);
    options.single_search_timeout = Some(DESCRIBE_TIME_MAX);
    options.gateway_ip_version = GatewayIpVersion::V4;
    options.allowed_gateway_ips = vec![IpAddr::V4(location.ip)];
    let tell = async {
        let answer = format!("HTTP/1.1 200 OK\r\nLOCATION: {}\r\n\r\n", location.url);
        let (_, asker) = relay.recv_from(&mut [0; 512]).await?;
        relay.send_to(answer.as_bytes(), asker).await?;
        // It would look for others until its time is over, had it not understood this one.
        tokio::time::sleep(DESCRIBE_TIME_MAX).await;
        io::Result::Ok(())
    };
    tokio::select! {
        found = search_gateway(options) => {
            found.map_err(|_| MapError::refused("it does not say how it is to be asked"))
        }
        _ = tell => Err(MapError::refused("it does not say how it is to be asked")),
    }
}

fn error_of(error: &AddPortError) -> MapError {
    match error {
        AddPortError::PortInUse => MapError::Taken,
        other => MapError::refused(&words(other)),
    }
}

/// What `error` says, without the whole answers that it may hold.
fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let request = error.source().and_then(|source| source.downcast_ref::<RequestError>());
    match request.or_else(|| error.downcast_ref()) {
        Some(RequestError::InvalidResponse(_)) => "its answer makes no sense".to_owned(),
        Some(RequestError::ErrorCode(code, text)) => format!("error {code}: {text}"),
        Some(other) => other.to_string(),
        None => error.to_string(),
    }
}
