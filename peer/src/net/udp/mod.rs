//! The UDP socket of each listening address, on the port of TCP: what comes is told apart by its first bytes.
//!
//! Datagrams that begin as a dictionary are for the DHT. Whoever asks for a uTP connection is told that there is none, so
//! that it falls back to TCP at once. Everything else is dropped, and nobody is told.

mod bind;
mod refusals;
mod socket;
mod unreachable;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
use tokio::sync::mpsc;

pub(crate) use self::{
    bind::{bind, bind_alone},
    socket::Sent,
};
use self::{refusals::Refusals, socket::Socket};
use crate::engine::clock::Clock;

/// Datagrams that wait for their owner; those that come while so many wait are lost, as on any full queue on their way.
const INBOX_MAX: usize = 512;

/// What came in for the DHT.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A datagram that begins as a dictionary.
    Datagram { from: SocketAddr, payload: Bytes },
    /// The network says that nothing we send gets there.
    Unreachable(SocketAddr),
}

/// The UDP sockets of an engine or of a node: one for each address, at most one a family.
#[derive(Debug)]
pub(crate) struct Port {
    sockets: Vec<Socket>,
}

impl Port {
    pub(crate) fn new(sockets: Vec<tokio::net::UdpSocket>) -> std::io::Result<Arc<Self>> {
        let sockets = sockets.into_iter().map(Socket::new).collect::<Result<_, _>>()?;
        Ok(Arc::new(Self { sockets }))
    }

    /// The addresses that it listens on.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().map(Socket::local).collect()
    }

    /// Whether there is a socket of this family.
    pub(crate) fn has_family_of(&self, ip: IpAddr) -> bool {
        self.socket_for(ip).is_some()
    }

    /// Whether `ip` can be reached from here: of a family that there is, and on this host where nothing else is listened to.
    pub(crate) fn reaches(&self, ip: IpAddr) -> bool {
        self.socket_for(ip).is_some_and(|socket| socket.reaches(ip))
    }

    /// Whether it can only be reached from this host.
    pub(crate) fn is_loopback(&self) -> bool {
        self.sockets.iter().all(|socket| socket.local().ip().is_loopback())
    }

    /// Sends, without waiting; what the network does not take is lost.
    pub(crate) fn send(&self, to: SocketAddr, payload: Vec<u8>) -> Sent {
        match self.socket_for(to.ip()).filter(|socket| socket.reaches(to.ip())) {
            Some(socket) => socket.send(to, payload),
            None => Sent::Unreachable,
        }
    }

    /// What is to run for it, each in a task of its own, and where what came comes out.
    pub(crate) fn receivers(
        self: &Arc<Self>,
        clock: Clock,
    ) -> (Vec<impl Future<Output = ()> + Send + use<>>, mpsc::Receiver<Incoming>) {
        let (sender, inbox) = mpsc::channel(INBOX_MAX);
        let receive = |number: usize| {
            let (port, sender) = (Arc::clone(self), sender.clone());
            async move { port.sockets[number].run(clock, &sender, Refusals::default()).await }
        };
        ((0..self.sockets.len()).map(receive).collect(), inbox)
    }

    fn socket_for(&self, ip: IpAddr) -> Option<&Socket> {
        self.sockets.iter().find(|socket| socket.local().is_ipv4() == ip.is_ipv4())
    }
}

#[cfg(test)]
mod tests;
