//! Who has to go when more connections are being opened than there is room for.

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use potluck_common::addr;
use potluck_core::{
    PeerKey,
    session::{Blame, CloseReason, SessionCommand},
};
use tokio::{sync::mpsc, task::AbortHandle};

/// Connections in the same stage of being opened, oldest first. They have a room of their own in each stage, so that
/// idle ones can shut nobody out: neither those who are further, nor, since one goes for each that comes, each other.
#[derive(Debug)]
struct WaitingRoom<T> {
    most: usize,
    waiting: VecDeque<(IpAddr, T)>,
}

impl<T> WaitingRoom<T> {
    fn new(most: usize) -> Self {
        Self { most: most.max(1), waiting: VecDeque::new() }
    }

    /// Lets one in, and gives back whoever has to go for it.
    fn admit(&mut self, ip: IpAddr, one: T) -> Option<T> {
        let gone = if self.waiting.len() >= self.most { self.take_one() } else { None };
        self.waiting.push_back((addr::network_of(ip), one));
        gone
    }

    /// Takes the oldest of the network that has most of them: whoever floods us is in his own way first.
    fn take_one(&mut self) -> Option<T> {
        let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for (network, _) in &self.waiting {
            *counts.entry(*network).or_default() += 1;
        }
        let most = counts.values().max()?;
        let place = self.waiting.iter().position(|(network, _)| counts[network] == *most)?;
        self.waiting.remove(place).map(|(_, one)| one)
    }

    fn keep(&mut self, stays: impl Fn(&T) -> bool) {
        self.waiting.retain(|(_, one)| stays(one));
    }
}

/// Incoming connections that have not named a torrent yet; each is a task.
#[derive(Debug)]
pub(crate) struct HalfOpen(Mutex<WaitingRoom<AbortHandle>>);

impl HalfOpen {
    pub(crate) fn new(most: usize) -> Self {
        Self(Mutex::new(WaitingRoom::new(most)))
    }

    pub(super) fn admit(&self, ip: IpAddr, task: AbortHandle) {
        let mut room = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        room.keep(|task| !task.is_finished());
        if let Some(gone) = room.admit(ip, task) {
            gone.abort();
        }
    }

    /// Drops one, because the process is out of descriptors. Returns whether there was any.
    pub(super) fn shed(&self) -> bool {
        let mut room = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        room.keep(|task| !task.is_finished());
        room.take_one().is_some_and(|gone| {
            gone.abort();
            true
        })
    }
}

/// Incoming connections that have named a torrent and not completed their handshake, of all torrents together.
#[derive(Debug)]
pub(crate) struct Handshakes(Mutex<WaitingRoom<(PeerKey, mpsc::UnboundedSender<Vec<SessionCommand>>)>>);

impl Handshakes {
    pub(crate) fn new(most: usize) -> Self {
        Self(Mutex::new(WaitingRoom::new(most)))
    }

    /// This one begins, and listens to `commands`.
    pub(crate) fn begun(
        &self,
        peer: PeerKey,
        ip: IpAddr,
        commands: mpsc::UnboundedSender<Vec<SessionCommand>>,
    ) {
        let mut room = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        room.keep(|(_, commands)| !commands.is_closed());
        if let Some((_, gone)) = room.admit(ip, (peer, commands)) {
            let why = "too many others are in the middle of their handshake";
            // It may have ended this very moment.
            let _ = gone.send(vec![SessionCommand::Close(CloseReason::new(Blame::Nobody, why))]);
        }
    }

    /// This one is complete.
    pub(crate) fn complete(&self, peer: PeerKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keep(|(other, _)| *other != peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_2_14_the_oldest_of_the_most_crowded_network_goes_first() {
        let mut room = WaitingRoom::new(5);
        let arrivals = [
            ("9.9.9.1", None),
            ("8.8.8.1", None),
            ("8.8.8.2", None),
            ("7.7.7.7", None),
            ("8.8.8.3", None),
            ("6.6.6.6", Some("8.8.8.1")),
            ("5.5.5.5", Some("8.8.8.2")),
            // Now everybody is alone, and the oldest goes.
            ("4.4.4.4", Some("9.9.9.1")),
            ("4.4.4.5", Some("7.7.7.7")),
            ("4.4.4.6", Some("4.4.4.4")),
        ];
        for (ip, gone) in arrivals {
            assert_eq!(room.admit(ip.parse().expect("an address"), ip), gone, "for {ip}");
        }
    }

    #[test]
    fn whoever_is_gone_or_further_needs_no_room() {
        let handshakes = Handshakes::new(2);
        let ip = IpAddr::from([127, 0, 0, 1]);
        let mut receivers = Vec::new();
        for number in 0..4 {
            let (sender, receiver) = mpsc::unbounded_channel();
            handshakes.begun(PeerKey(number), ip, sender);
            receivers.push(receiver);
            match number {
                0 => handshakes.complete(PeerKey(0)),
                // The second connection ended.
                1 => drop(receivers.pop()),
                _ => {}
            }
        }
        assert!(receivers.iter_mut().all(|receiver| receiver.try_recv().is_err()), "nobody has to go");
        let (sender, _receiver) = mpsc::unbounded_channel();
        handshakes.begun(PeerKey(4), ip, sender);
        assert!(receivers[1].try_recv().is_ok(), "the third, which is the oldest now");
    }
}
