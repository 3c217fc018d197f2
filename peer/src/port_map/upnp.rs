//! UPnP IGD, by `igd-next`.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4},
    time::Duration,
};

use igd_next::{
    AddPortError, GatewayIpVersion, PortMappingProtocol, RequestError, SearchOptions,
    aio::{
        Gateway,
        tokio::{Tokio, search_gateway},
    },
};
use potluck_core::reachability::MappedBy;
use tokio::net::UdpSocket;

use super::{
    Grant, LEASE, MapError, Router, Wanted,
    route::Route,
    ssdp::{self, Location, Trust},
};

/// What the router shows to whoever looks at its ports.
const DESCRIPTION: &str = "Potluck";
/// Most time to read the description of a device, whatever its length.
const DESCRIBE_TIME_MAX: Duration = Duration::from_secs(4);
/// A lease without end: some routers have no other.
const PERMANENT: u32 = 0;

/// A router that may speak it.
pub(super) struct Upnp {
    route: Route,
    wanted: Wanted,
    group: SocketAddrV4,
    trust: Trust,
    gateway: Option<Gateway<Tokio>>,
    /// The ports that it gave, outside.
    mapped: Vec<(PortMappingProtocol, u16)>,
}

impl Upnp {
    pub(super) fn new(route: Route, wanted: Wanted, group: SocketAddrV4, trust: Trust) -> Self {
        Self { route, wanted, group, trust, gateway: None, mapped: Vec::new() }
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

    /// Maps `port` of the router to ours; gives the lease.
    async fn add(
        &self,
        gateway: &Gateway<Tokio>,
        protocol: PortMappingProtocol,
        port: u16,
    ) -> Result<Option<Duration>, MapError> {
        let local = SocketAddr::V4(self.wanted.local);
        let lease = LEASE.as_secs() as u32;
        match gateway.add_port(protocol, port, local, lease, DESCRIPTION).await {
            Ok(()) => Ok(Some(LEASE)),
            Err(AddPortError::OnlyPermanentLeasesSupported) => {
                let added = gateway.add_port(protocol, port, local, PERMANENT, DESCRIPTION).await;
                added.map(|()| None).map_err(|error| error_of(&error))
            }
            Err(error) => Err(error_of(&error)),
        }
    }

    /// Maps our port, or where another machine has it any other one.
    async fn add_any(&self, gateway: &Gateway<Tokio>) -> Result<(u16, Option<Duration>), MapError> {
        let tcp = PortMappingProtocol::TCP;
        let before = self.mapped.iter().find(|(protocol, _)| *protocol == tcp).map(|(_, port)| *port);
        let port = before.unwrap_or(self.wanted.local.port());
        match self.add(gateway, tcp, port).await {
            Ok(lease) => Ok((port, lease)),
            Err(MapError::Taken) => {
                let local = SocketAddr::V4(self.wanted.local);
                let any = gateway.add_any_port(tcp, local, LEASE.as_secs() as u32, DESCRIPTION).await;
                let port = any.map_err(|error| MapError::refused(&words(&error)))?;
                if port == 0 { Err(MapError::refused("it gave port 0")) } else { Ok((port, Some(LEASE))) }
            }
            Err(error) => Err(error),
        }
    }
}

impl Router for Upnp {
    async fn map(&mut self) -> Result<Grant, MapError> {
        // One that fails may have been replaced by another.
        let gateway = match &self.gateway {
            Some(gateway) => gateway.clone(),
            None => self.gateway.insert(self.find().await?).clone(),
        };
        let added = self.add_any(&gateway).await;
        if added.is_err() {
            self.gateway = None;
        }
        let (external_port, lease) = added?;
        self.mapped = vec![(PortMappingProtocol::TCP, external_port)];
        if self.add(&gateway, PortMappingProtocol::UDP, external_port).await.is_ok() {
            self.mapped.push((PortMappingProtocol::UDP, external_port));
        }
        let external_ip = gateway.get_external_ip().await.ok();
        Ok(Grant { by: MappedBy::Upnp, external_ip, external_port, lease })
    }

    async fn unmap(&mut self) {
        let Some(gateway) = self.gateway.take() else { return };
        for (protocol, port) in std::mem::take(&mut self.mapped) {
            if let Err(error) = gateway.remove_port(protocol, port).await {
                tracing::debug!(error = %words(&error), "the router keeps a port until its lease ends");
            }
        }
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
