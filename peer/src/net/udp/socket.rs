//! One UDP socket: a bounded amount of receiving at a time, and sending that never waits.

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use potluck_common::{AddrScope, addr, krpc::DATAGRAM_BYTES_READ_MAX};
use tokio::{
    io::Interest,
    net::UdpSocket,
    sync::{
        Notify,
        mpsc::{self, error::TrySendError},
    },
};

use super::{Incoming, refusals::Refusals, unreachable};
use crate::engine::{clock::Clock, entropy};

/// Datagrams taken at a time, before other tasks have their turn.
const BATCH_MAX: usize = 64;
/// Datagrams that wait to be sent; more are lost.
const OUTBOX_MAX: usize = 256;
/// How often those that wait are tried again.
const OUTBOX_RETRY: Duration = Duration::from_millis(2);
/// The pause after receiving failed for a reason that has nothing to do with a datagram.
const PAUSE: Duration = Duration::from_millis(100);

/// What became of a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sent {
    /// It is on its way, or lost as datagrams are.
    Away,
    /// There is no way there from here.
    Unreachable,
}

#[derive(Debug)]
pub(super) struct Socket {
    io: UdpSocket,
    local: SocketAddr,
    /// At most [`OUTBOX_MAX`].
    outbox: Mutex<VecDeque<(SocketAddr, Vec<u8>)>>,
    /// Something waits in the outbox.
    stirred: Notify,
}

impl Socket {
    pub(super) fn new(io: UdpSocket) -> io::Result<Self> {
        let local = io.local_addr()?;
        if let Err(error) = unreachable::enable(&io) {
            tracing::debug!(%error, "what the network says of lost datagrams will not be heard");
        }
        Ok(Self { io, local, outbox: Mutex::default(), stirred: Notify::new() })
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    pub(super) fn reaches(&self, ip: IpAddr) -> bool {
        let is_loopback = |ip| AddrScope::of(ip) == AddrScope::Loopback;
        ip.is_ipv4() == self.local.is_ipv4() && (!is_loopback(self.local.ip()) || is_loopback(ip))
    }

    pub(super) fn send(&self, to: SocketAddr, payload: Vec<u8>) -> Sent {
        let mut outbox = self.outbox.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = if outbox.is_empty() { self.try_send(to, &payload) } else { None };
        outcome.unwrap_or_else(|| {
            if outbox.len() < OUTBOX_MAX {
                outbox.push_back((to, payload));
                self.stirred.notify_one();
            }
            Sent::Away
        })
    }

    /// `None` if it has to wait. What a datagram was too long for, or was not allowed to do, is its loss alone.
    fn try_send(&self, to: SocketAddr, payload: &[u8]) -> Option<Sent> {
        // The first error may be about a datagram before this one: the system tells of it at the next occasion.
        let sent = self.io.try_send_to(payload, to);
        let sent = match sent {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => self.io.try_send_to(payload, to),
            sent => sent,
        };
        match sent.map_err(|error| error.kind()) {
            Err(io::ErrorKind::WouldBlock) => None,
            Err(io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable) => {
                Some(Sent::Unreachable)
            }
            Ok(_) | Err(_) => Some(Sent::Away),
        }
    }

    /// Receives until the task is aborted, and sends what waits.
    pub(super) async fn run(&self, clock: Clock, inbox: &mpsc::Sender<Incoming>, mut refusals: Refusals) {
        let interest =
            if cfg!(target_os = "linux") { Interest::READABLE | Interest::ERROR } else { Interest::READABLE };
        let mut buffer = vec![0; DATAGRAM_BYTES_READ_MAX + 1];
        loop {
            tokio::select! {
                ready = self.io.ready(interest) => {
                    self.hear_of_losses(inbox);
                    let received = self.receive(clock, inbox, &mut refusals, &mut buffer);
                    if ready.is_err() || received.is_err() {
                        tokio::time::sleep(PAUSE).await;
                    }
                    tokio::task::yield_now().await;
                }
                () = self.stirred.notified() => self.empty_outbox().await,
            }
        }
    }

    fn receive(
        &self,
        clock: Clock,
        inbox: &mpsc::Sender<Incoming>,
        refusals: &mut Refusals,
        buffer: &mut [u8],
    ) -> io::Result<()> {
        for _ in 0..BATCH_MAX {
            let (length, from) = match self.io.try_recv_from(buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // About a datagram of ours; who it was for is told elsewhere.
                Err(error) if is_of_a_datagram(&error) => continue,
                Err(error) => return Err(error),
            };
            let (from, datagram) = (addr::canonical(from), &buffer[..length]);
            if length > DATAGRAM_BYTES_READ_MAX || from.port() == 0 {
                continue;
            }
            if datagram.first() == Some(&b'd') {
                let payload = Bytes::copy_from_slice(datagram);
                tell(inbox, Incoming::Datagram { from, payload });
            } else if let Some(answer) =
                refusals.answer(clock.now(), from.ip(), datagram, || u16::from_le_bytes(entropy()))
            {
                self.send(from, answer.to_vec());
            }
        }
        Ok(())
    }

    #[cfg(target_os = "linux")]
    fn hear_of_losses(&self, inbox: &mpsc::Sender<Incoming>) {
        for _ in 0..BATCH_MAX {
            match self.io.try_io(Interest::ERROR, || unreachable::next(&self.io)) {
                Ok(Some(lost)) => tell(inbox, Incoming::Unreachable(addr::canonical(lost))),
                Ok(None) => {}
                Err(_) => return,
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn hear_of_losses(&self, _: &mpsc::Sender<Incoming>) {}

    /// By the clock and not by readiness: on Linux a socket that heard of a loss counts as ready to be written to for ever.
    async fn empty_outbox(&self) {
        loop {
            {
                let mut outbox = self.outbox.lock().unwrap_or_else(PoisonError::into_inner);
                while let Some((to, payload)) = outbox.front() {
                    if self.try_send(*to, payload).is_none() {
                        break;
                    }
                    outbox.pop_front();
                }
                if outbox.is_empty() {
                    return;
                }
            }
            tokio::time::sleep(OUTBOX_RETRY).await;
        }
    }
}

fn tell(inbox: &mpsc::Sender<Incoming>, incoming: Incoming) {
    // Lost where the owner is late, as a datagram may be; an owner that is gone needs none.
    if let Err(TrySendError::Full(_)) = inbox.try_send(incoming) {
        tracing::trace!("a datagram was lost: too many wait");
    }
}

/// Whether it says something of a datagram that was sent or is there, and nothing of the socket.
fn is_of_a_datagram(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted, NetworkUnreachable,
    };
    const TOO_LONG_ON_WINDOWS: i32 = 10_040;
    #[cfg(unix)]
    let is_too_long = error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error());
    #[cfg(not(unix))]
    let is_too_long = false;
    is_too_long
        || error.raw_os_error() == Some(TOO_LONG_ON_WINDOWS)
        || matches!(
            error.kind(),
            ConnectionRefused | ConnectionReset | HostUnreachable | Interrupted | NetworkUnreachable
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_the_system_does_not_take_waits_or_is_lost() {
        let socket = Socket::new(UdpSocket::bind("127.0.0.1:0").await.expect("bound")).expect("a socket");
        let to = socket.local();
        socket.outbox.lock().expect("nobody has it").push_back((to, Vec::new()));
        // Nothing overtakes what waits.
        for _ in 0..2_000 {
            assert_eq!(socket.send(to, vec![b'd'; 1_000]), Sent::Away);
        }
        assert_eq!(socket.outbox.lock().expect("nobody has it").len(), OUTBOX_MAX);
    }
}
