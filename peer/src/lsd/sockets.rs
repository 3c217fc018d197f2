//! The sockets of local discovery: one that hears each group, and one for each interface that speaks to it.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket as StdUdpSocket},
    time::Duration,
};

use potluck_common::lsd::{Announce, DATAGRAM_BYTES_MAX};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use crate::net::interfaces::{self, Interface};

/// The groups of BEP 14 for IPv4 and for IPv6 within a site.
const GROUPS: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 192, 152, 143)), 6771),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0xefc0, 0x988f)), 6771),
];
/// Most interfaces that are spoken to; containers and bridges may make hundreds.
const INTERFACES_MAX: usize = 16;
/// The pause after a datagram could not be read.
const PAUSE: Duration = Duration::from_secs(1);

/// Both groups, as far as this machine has interfaces for them.
pub(super) struct Sockets {
    bind: Option<IpAddr>,
    groups: [Group; 2],
    /// All networks of this machine.
    all: Vec<Interface>,
}

/// What changed in the interfaces of this machine.
pub(super) enum Refreshed {
    /// There are new ones.
    More,
    /// There are none that were not there before.
    Same,
    /// Nobody can be reached; the error says why.
    Deaf(io::Error),
}

impl Sockets {
    /// Of an engine with this `bind`; nothing is opened yet.
    pub(super) fn new(bind: Option<IpAddr>) -> Self {
        Self { bind, groups: GROUPS.map(Group::new), all: Vec::new() }
    }

    /// Joins the groups on interfaces that came, and forgets those that went.
    pub(super) fn refresh(&mut self) -> Refreshed {
        match interfaces::all() {
            Ok(all) => self.all = all,
            Err(error) => return Refreshed::Deaf(error),
        }
        let usable = interfaces::usable(&self.all, self.bind);
        let (mut is_news, mut failure) = (false, None);
        for group in &mut self.groups {
            match group.refresh(&usable) {
                Ok(has_more) => is_news |= has_more,
                // Where both fail, the one of IPv4 says more.
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        match () {
            () if is_news => Refreshed::More,
            () if self.count() > 0 => Refreshed::Same,
            () => {
                let none = || io::Error::new(io::ErrorKind::NotFound, "no network interface is up");
                Refreshed::Deaf(failure.unwrap_or_else(none))
            }
        }
    }

    /// How many interfaces are spoken to, counted for each family.
    pub(super) fn count(&self) -> usize {
        self.groups.iter().map(|group| group.speakers.len()).sum()
    }

    /// Says it to both groups on every interface.
    pub(super) fn send(&self, announce: &Announce) {
        for group in &self.groups {
            group.send(announce);
        }
    }

    /// The next datagram of somebody whom an engine with this `bind` listens to, and whether it is in one of our networks.
    /// Nothing is lost when this is not waited for any longer.
    pub(super) async fn receive(
        &self,
        buffer: &mut [u8; DATAGRAM_BYTES_MAX + 1],
    ) -> (usize, SocketAddr, bool) {
        let [mut first, mut second] = [[0; DATAGRAM_BYTES_MAX + 1]; 2];
        loop {
            let (length, from) = tokio::select! {
                (length, from) = self.groups[0].receive(&mut first) => {
                    buffer[..length].copy_from_slice(&first[..length]);
                    (length, from)
                }
                (length, from) = self.groups[1].receive(&mut second) => {
                    buffer[..length].copy_from_slice(&second[..length]);
                    (length, from)
                }
            };
            let is_neighbour = self.all.iter().any(|interface| interface.reaches(from.ip()));
            // With IPv6 a socket hears a group on every interface on which anybody has joined it.
            let is_ours = |bind: IpAddr| self.all.iter().any(|i| i.reaches(bind) && i.reaches(from.ip()));
            if self.bind.is_none_or(is_ours) {
                return (length, from, is_neighbour);
            }
        }
    }
}

/// One multicast group.
struct Group {
    address: SocketAddr,
    /// What the announce says in `Host`.
    host: String,
    /// Hears the group on all joined interfaces.
    ear: Option<UdpSocket>,
    /// Speak to the group, by the interface that they do it on.
    speakers: BTreeMap<Interface, StdUdpSocket>,
}

impl Group {
    fn new(address: SocketAddr) -> Self {
        Self { address, host: address.to_string(), ear: None, speakers: BTreeMap::new() }
    }

    /// Whether an interface is new.
    fn refresh(&mut self, usable: &[Interface]) -> io::Result<bool> {
        let ours = usable.iter().filter(|interface| interface.ip.is_ipv4() == self.address.is_ipv4());
        let ours: Vec<Interface> = ours.take(INTERFACES_MAX).copied().collect();
        self.speakers.retain(|interface, _| ours.contains(interface));
        if ours.is_empty() {
            // The system leaves the group with the interface.
            self.ear = None;
            return Ok(false);
        }
        let (mut is_news, mut failure) = (false, None);
        for interface in ours {
            if self.speakers.contains_key(&interface) {
                continue;
            }
            match self.join(interface) {
                Ok(speaker) => {
                    self.speakers.insert(interface, speaker);
                    is_news = true;
                }
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if self.speakers.is_empty() => Err(error),
            _ => Ok(is_news),
        }
    }

    /// Hears the group on one more interface, and makes what speaks to it there.
    fn join(&mut self, interface: Interface) -> io::Result<StdUdpSocket> {
        let speaker = speaker(interface)?;
        let ear = match &self.ear {
            Some(ear) => ear,
            None => self.ear.insert(ear(self.address)?),
        };
        let socket = socket2::SockRef::from(ear);
        let joined = match self.address.ip() {
            IpAddr::V4(group) => {
                socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(interface.index))
            }
            IpAddr::V6(group) => socket.join_multicast_v6(&group, interface.index),
        };
        match joined {
            // It is joined there for another address.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(speaker),
            joined => joined.map(|()| speaker),
        }
    }

    fn send(&self, announce: &Announce) {
        let datagram = announce.encode(&self.host);
        for (interface, speaker) in &self.speakers {
            // What cannot be sent now may be the next time: an interface that goes is seen when they are listed again.
            if let Err(error) = speaker.send_to(&datagram, self.address) {
                tracing::debug!(%error, ip = %interface.ip, "an announce of local discovery was not sent");
            }
        }
    }

    /// The next datagram, if the group is heard at all; else never.
    async fn receive(&self, buffer: &mut [u8]) -> (usize, SocketAddr) {
        let Some(ear) = &self.ear else { return std::future::pending().await };
        loop {
            match ear.recv_from(buffer).await {
                Ok(received) => return received,
                Err(error) => {
                    tracing::debug!(%error, "a datagram of local discovery could not be read");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Hears `group`, and nothing that is sent to an address of this machine; other programs may do so, too.
fn ear(group: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(group), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    if group.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Otherwise it would hear what any program of this machine has joined.
    #[cfg(target_os = "linux")]
    if group.is_ipv4() {
        socket.set_multicast_all_v4(false)?;
    }
    let anywhere: SocketAddr = match group {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, group.port()).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, group.port()).into(),
    };
    // A group is an address to listen on for Unix alone.
    socket.bind(&if cfg!(unix) { group } else { anywhere }.into())?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket.into())
}

/// Speaks to the group on `interface`, no farther than its own network, but also to this machine.
fn speaker(interface: Interface) -> io::Result<StdUdpSocket> {
    let address = SocketAddr::new(interface.ip, 0);
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    match interface.ip {
        IpAddr::V4(ip) => {
            socket.set_multicast_if_v4(&ip)?;
            socket.set_multicast_ttl_v4(1)?;
            socket.set_multicast_loop_v4(true)?;
        }
        IpAddr::V6(_) => {
            socket.set_only_v6(true)?;
            socket.set_multicast_if_v6(interface.index)?;
            socket.set_multicast_hops_v6(1)?;
            socket.set_multicast_loop_v6(true)?;
        }
    }
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
