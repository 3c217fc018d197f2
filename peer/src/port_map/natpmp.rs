//! NAT-PMP and its successor PCP, by `crab_nat`.

use std::{
    net::{IpAddr, Ipv4Addr},
    num::NonZeroU16,
    time::Duration,
};

use crab_nat::{
    GatewayAddress, InternetProtocol, MappingFailure, PortMapping, PortMappingOptions, PortMappingType,
    TimeoutConfig, natpmp, pcp,
};
use potluck_core::reachability::MappedBy;

use super::{Grant, LEASE, MapError, Router, Wanted};

/// A datagram that is not answered is sent again after this long, and then after twice that, and so on.
const FIRST_TIMEOUT: Duration = Duration::from_millis(250);
/// So often: four datagrams take four seconds. A router that is there answers within milliseconds.
const RETRIES: usize = 3;

/// A router that may speak one of them.
pub(super) struct NatPmp {
    gateway: Ipv4Addr,
    wanted: Wanted,
    /// What it gave, for TCP and for UDP.
    mappings: Vec<PortMapping>,
}

impl NatPmp {
    pub(super) fn new(gateway: Ipv4Addr, wanted: Wanted) -> Self {
        Self { gateway, wanted, mappings: Vec::new() }
    }

    /// Maps one port, by PCP if the router speaks it. Some that do not are silent instead of saying so.
    async fn map_one(&self, protocol: InternetProtocol) -> Result<PortMapping, MapError> {
        let port = NonZeroU16::new(self.wanted.local.port()).ok_or_else(|| MapError::refused("port 0"))?;
        let gateway = GatewayAddress::IpV4(self.gateway);
        let before = self.mappings.iter().find(|known| known.protocol() as u8 == protocol as u8);
        let is_natpmp = before.is_some_and(|known| matches!(known.mapping_type(), PortMappingType::NatPmp));
        if !is_natpmp {
            let base = pcp::BaseMapRequest::new(gateway, (*self.wanted.local.ip()).into(), protocol, port);
            match pcp::port_mapping(base, Some(self.wanted.nonce), None, options(before, port)).await {
                Ok(mapping) => return Ok(mapping),
                Err(pcp::Failure::UnsupportedVersion(_) | pcp::Failure::Timeout) => {}
                Err(error) => return Err(error_of(&MappingFailure::Pcp(error))),
            }
        }
        let mapping = natpmp::port_mapping(gateway, protocol, port, options(before, port)).await;
        mapping.map_err(|error| error_of(&MappingFailure::NatPmp(error)))
    }

    fn keep(&mut self, mapping: PortMapping) {
        self.mappings.retain(|known| known.protocol() as u8 != mapping.protocol() as u8);
        self.mappings.push(mapping);
    }
}

/// Asks for the port that it has, or for the one that we listen on.
fn options(before: Option<&PortMapping>, port: NonZeroU16) -> PortMappingOptions {
    PortMappingOptions {
        external_port: Some(before.map_or(port, PortMapping::external_port)),
        lifetime_seconds: Some(LEASE.as_secs() as u32),
        timeout_config: Some(timeouts()),
    }
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig { initial_timeout: FIRST_TIMEOUT, max_retries: RETRIES, max_retry_timeout: None }
}

impl Router for NatPmp {
    async fn map(&mut self) -> Result<Grant, MapError> {
        let tcp = self.map_one(InternetProtocol::Tcp).await?;
        self.keep(tcp.clone());
        // The port of TCP is what counts; a router without UDP would be a strange one.
        if let Ok(udp) = self.map_one(InternetProtocol::Udp).await {
            self.keep(udp);
        }
        let (by, external_ip) = match tcp.mapping_type() {
            PortMappingType::Pcp { external_ip, .. } => (MappedBy::Pcp, Some(external_ip)),
            PortMappingType::NatPmp => {
                let gateway = GatewayAddress::IpV4(self.gateway);
                let told = natpmp::external_address(gateway, Some(timeouts())).await;
                (MappedBy::NatPmp, told.ok().map(IpAddr::V4))
            }
        };
        let shortest = self.mappings.iter().map(PortMapping::lifetime).min().unwrap_or(0);
        let lease = Some(Duration::from_secs(shortest.into()));
        Ok(Grant {
            by,
            external_ip: external_ip.map(|ip| ip.to_canonical()),
            external_port: tcp.external_port().get(),
            lease,
        })
    }

    async fn unmap(&mut self) {
        let dropped = std::mem::take(&mut self.mappings).into_iter().map(PortMapping::try_drop);
        for result in futures_util::future::join_all(dropped).await {
            if let Err((error, _)) = result {
                tracing::debug!(%error, "the router keeps a port until its lease ends");
            }
        }
    }
}

fn error_of(error: &MappingFailure) -> MapError {
    match error {
        // The system says so when nobody listens on the router's port.
        MappingFailure::Pcp(pcp::Failure::Timeout | pcp::Failure::Socket(_))
        | MappingFailure::NatPmp(natpmp::Failure::Timeout | natpmp::Failure::Socket(_)) => MapError::NoAnswer,
        other => MapError::refused(&other.to_string()),
    }
}
