//! Loopback addresses that no other trial uses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use potluck_common::Rng;

/// Ports below the range from which the kernel draws those of outgoing connections, so that no connection of
/// another program takes one between the moment it is chosen here and the moment a client listens on it.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

static RNG: Mutex<Option<Rng>> = Mutex::new(None);

/// An address of its own, 127.0.x.y with a free TCP and UDP port. Many test processes may run side by side.
pub(crate) fn unused() -> SocketAddr {
    free_port(|high, low| Ipv4Addr::new(127, 0, high, low).into())
}

/// A free TCP and UDP port of 127.0.0.1, for programs that can listen nowhere else.
pub(crate) fn unused_localhost() -> SocketAddr {
    free_port(|_, _| Ipv4Addr::LOCALHOST.into())
}

/// A free TCP and UDP port of ::1, the only IPv6 address that every machine has to itself.
pub(crate) fn unused_ipv6() -> SocketAddr {
    free_port(|_, _| Ipv6Addr::LOCALHOST.into())
}

fn free_port(ip: impl Fn(u8, u8) -> IpAddr) -> SocketAddr {
    loop {
        let (high, low, port) = draw();
        let address = SocketAddr::new(ip(high, low), port);
        if is_free(address) {
            return address;
        }
    }
}

/// Whether this machine has IPv6 at all; many containers do not.
pub(crate) fn has_ipv6() -> bool {
    UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

fn draw() -> (u8, u8, u16) {
    let mut rng = RNG.lock().expect("no holder panics");
    let rng = rng.get_or_insert_with(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64);
        Rng::new(now ^ u64::from(std::process::id()) << 32)
    });
    // x from 1: 127.0.0.y stays free for programs with habits.
    let port = PORTS.start + rng.below(u32::from(PORTS.end - PORTS.start)) as u16;
    (1 + rng.below(254) as u8, 1 + rng.below(254) as u8, port)
}

fn is_free(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
}
