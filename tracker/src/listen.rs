//! Listening sockets, and what to tell a person when one cannot be had.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Bytes of datagrams that may wait to be read; the system may give less.
const UDP_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Why a tracker could not start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// An address could not be listened on.
    #[error("cannot listen on {address} for {protocol}: {}", explain(error, *address))]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// `HTTP` or `UDP`.
        protocol: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// The system gave no entropy for the secret key.
    #[error("the system gives no random bytes: {0}")]
    Entropy(getrandom::Error),
}

/// What went wrong and what to do, where that is known.
fn explain(error: &io::Error, address: SocketAddr) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => {
            format!("port {} is in use; stop the program that has it or choose another port", address.port())
        }
        ErrorKind::AddrNotAvailable => {
            format!("this machine does not have the address {}; choose one of its own", address.ip())
        }
        ErrorKind::PermissionDenied => {
            format!("no permission for port {}; choose one above 1023", address.port())
        }
        _ => error.to_string(),
    }
}

pub(crate) fn tcp(address: SocketAddr) -> Result<TcpListener, BindError> {
    let listen = || {
        let socket = socket(address, Type::STREAM, Protocol::TCP)?;
        // So that a restart need not wait for the connections of the last run; on Windows it means something else.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.bind(&SockAddr::from(address))?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    listen().map_err(|error| BindError::Listen { address, protocol: "HTTP", error })
}

pub(crate) fn udp(address: SocketAddr) -> Result<UdpSocket, BindError> {
    let listen = || {
        let socket = socket(address, Type::DGRAM, Protocol::UDP)?;
        // Best effort: with a small buffer a burst of announces is lost, and the clients repeat theirs.
        let _ = socket.set_recv_buffer_size(UDP_BUFFER_BYTES);
        socket.bind(&SockAddr::from(address))?;
        UdpSocket::from_std(socket.into())
    };
    listen().map_err(|error| BindError::Listen { address, protocol: "UDP", error })
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // Otherwise it depends on the system whether `[::]` takes IPv4 too and collides with `0.0.0.0`.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}
