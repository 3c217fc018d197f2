//! Finding a port that is free for TCP and for UDP.

use std::{io, net::IpAddr, net::SocketAddr, ops::RangeInclusive};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};

use crate::net::listen;

/// Where the system chooses the port it may choose one that is taken for UDP: so many are tried.
const CHOICES_MAX: usize = 8;

/// The sockets of a port.
pub(crate) struct Bound {
    /// At least one.
    pub(crate) listeners: Vec<TcpListener>,
    /// One for each listener, or why there is none; none where they are not wanted.
    pub(crate) sockets: io::Result<Vec<UdpSocket>>,
}

/// Binds the first port of `ports` that is free on every address for TCP, and, where that is wanted, for UDP, too. If there
/// is none for both, TCP gets the first that is free for it.
pub(crate) fn bind(ip: Option<IpAddr>, ports: RangeInclusive<u16>, with_udp: bool) -> io::Result<Bound> {
    if !with_udp {
        return Ok(Bound { listeners: listen::bind(ip, ports)?, sockets: Ok(Vec::new()) });
    }
    let mut first: io::Result<Bound> =
        Err(io::Error::new(io::ErrorKind::InvalidInput, "the range of ports is empty"));
    let choices = ports.flat_map(|port| std::iter::repeat_n(port, if port == 0 { CHOICES_MAX } else { 1 }));
    for port in choices {
        match (listen::bind(ip, port..=port), &first) {
            (Ok(listeners), _) => {
                let sockets = beside(&listeners);
                let is_taken = sockets.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse);
                let bound = Bound { listeners, sockets };
                if !is_taken {
                    return Ok(bound);
                }
                first = first.or(Ok(bound));
            }
            (Err(error), Err(_)) => first = Err(error),
            (Err(_), Ok(_)) => {}
        }
    }
    first
}

/// UDP alone, for who speaks nothing else: the first free port of `ports`.
pub(crate) fn bind_alone(ip: Option<IpAddr>, ports: RangeInclusive<u16>) -> io::Result<Vec<UdpSocket>> {
    use std::net::{Ipv4Addr, Ipv6Addr};
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "the range of ports is empty");
    for port in ports {
        let bound = match ip {
            Some(ip) => socket(SocketAddr::new(ip, port)).map(|socket| vec![socket]),
            None => socket(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)).and_then(|v4| {
                let port = v4.local_addr()?.port();
                match socket(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port)) {
                    Ok(v6) => Ok(vec![v4, v6]),
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
                    // A host without IPv6.
                    Err(_) => Ok(vec![v4]),
                }
            }),
        };
        match bound {
            Ok(sockets) => return Ok(sockets),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A UDP socket on the address and port of each listener; one of IPv6 alone may be missing.
fn beside(listeners: &[TcpListener]) -> io::Result<Vec<UdpSocket>> {
    let mut sockets = Vec::new();
    for listener in listeners {
        match socket(listener.local_addr()?) {
            Ok(socket) => sockets.push(socket),
            Err(error) if sockets.is_empty() || error.kind() == io::ErrorKind::AddrInUse => {
                return Err(error);
            }
            Err(error) => tracing::warn!(%error, "no UDP over IPv6"),
        }
    }
    Ok(sockets)
}

/// IPv6 ones do not get what is for IPv4, which has a socket of its own.
fn socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn port_of(bound: &Bound) -> u16 {
        bound.listeners[0].local_addr().expect("bound").port()
    }

    #[tokio::test]
    async fn both_get_the_same_port() {
        let bound = bind(Some(LOOPBACK), 0..=0, true).expect("bound");
        let sockets = bound.sockets.as_ref().expect("bound");
        assert_eq!(sockets[0].local_addr().expect("bound").port(), port_of(&bound));
        let bound = bind(Some(LOOPBACK), 0..=0, false).expect("bound");
        assert!(bound.sockets.expect("nothing failed").is_empty());
    }

    #[tokio::test]
    async fn a_port_that_is_taken_for_udp_is_passed_over_and_taken_without_it_at_last() {
        // Ports in a row of which the first is taken for UDP.
        let (taken, port) = (0..100)
            .find_map(|_| {
                let taken = socket(SocketAddr::new(LOOPBACK, 0)).expect("bound");
                let port = taken.local_addr().expect("bound").port();
                let free = bind(Some(LOOPBACK), port.checked_add(1)?..=port + 1, true).ok()?;
                let is_free = listen::bind(Some(LOOPBACK), port..=port).is_ok() && free.sockets.is_ok();
                is_free.then_some((taken, port))
            })
            .expect("two free ports");
        let bound = bind(Some(LOOPBACK), port..=port + 1, true).expect("bound");
        assert_eq!(port_of(&bound), port + 1);
        drop(bound);
        let bound = bind(Some(LOOPBACK), port..=port, true).expect("TCP is there");
        assert_eq!(port_of(&bound), port);
        assert_eq!(bound.sockets.expect_err("taken").kind(), io::ErrorKind::AddrInUse);
        drop(taken);
    }
}
