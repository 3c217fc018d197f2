//! What the network says of datagrams that did not arrive (ICMP): on Linux it waits in a queue beside the socket.

use tokio::net::UdpSocket;

/// Asks the system to keep what the network says.
#[cfg(target_os = "linux")]
pub(super) fn enable(socket: &UdpSocket) -> std::io::Result<()> {
    use nix::sys::socket::{setsockopt, sockopt};
    match socket.local_addr()? {
        std::net::SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4RecvErr, &true),
        std::net::SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvErr, &true),
    }
    .map_err(Into::into)
}

/// Elsewhere nothing is known but what a send itself says.
#[cfg(not(target_os = "linux"))]
pub(super) fn enable(_: &UdpSocket) -> std::io::Result<()> {
    Ok(())
}

/// The next word of the network, of which only the destination matters: `Some` where it is that nothing gets there.
/// [`WouldBlock`](std::io::ErrorKind::WouldBlock) when there is no more.
#[cfg(target_os = "linux")]
pub(super) fn next(socket: &UdpSocket) -> std::io::Result<Option<std::net::SocketAddr>> {
    use std::{
        io::IoSliceMut,
        net::{SocketAddr, SocketAddrV4, SocketAddrV6},
        os::fd::AsRawFd as _,
    };

    use nix::{
        errno::Errno,
        libc,
        sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg},
    };

    let mut returned = [0; 64];
    let mut buffers = [IoSliceMut::new(&mut returned)];
    let mut control = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6);
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut buffers, Some(&mut control), flags)?;
    let mut errors = message.cmsgs()?.filter_map(|control| match control {
        ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => {
            Some(Errno::from_raw(error.ee_errno.cast_signed()))
        }
        _ => None,
    });
    let is_final =
        errors.any(|errno| matches!(errno, Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::ENETUNREACH));
    let destination = message.address.and_then(|address| {
        let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4(SocketAddrV4::from(*v4)));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6(SocketAddrV6::from(*v6))))
    });
    Ok(destination.filter(|_| is_final))
}
