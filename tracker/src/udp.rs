//! The UDP tracker (BEP 15): one datagram in, at most one out.
//!
//! An address that has not shown a valid connection id gets nothing but the 16 bytes that answer its own 16 bytes of
//! a connect request: the tracker amplifies nothing. Nothing is logged per datagram.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use potluck_common::{
    Printable,
    announce::{
        Failure, Family,
        udp::{PACKET_BYTES_MAX, Reply, ReplyBody, Request, RequestBody, RequestError, RequestHeader},
    },
};
use potluck_tracker_core::Transport;
use tokio::{net::UdpSocket, sync::watch};

use crate::shared::Shared;

/// Datagrams answered before other tasks have their turn.
const BATCH: usize = 64;

/// The pause after an error of the socket, so that a lasting one does not take the processor.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// Answers datagrams until `stop` changes.
pub(crate) async fn serve(socket: UdpSocket, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut buffer = vec![0; PACKET_BYTES_MAX];
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            _ = socket.readable() => {}
        }
        if answer_batch(&socket, &mut buffer, &shared).is_err() {
            tokio::time::sleep(ERROR_PAUSE).await;
        }
        tokio::task::yield_now().await;
    }
}

fn answer_batch(socket: &UdpSocket, buffer: &mut [u8], shared: &Shared) -> io::Result<()> {
    for _ in 0..BATCH {
        match socket.try_recv_from(buffer) {
            Ok((length, from)) => {
                if let Some(reply) = answer(&buffer[..length], from, shared) {
                    // A reply that does not go out is a datagram lost: the client asks again.
                    let _ = socket.try_send_to(&reply, from);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The datagram that answers `packet`, if it deserves an answer.
fn answer(packet: &[u8], from: SocketAddr, shared: &Shared) -> Option<Vec<u8>> {
    let ip = from.ip().to_canonical();
    let header = RequestHeader::decode(packet)?;
    let body = if header.is_connect {
        ReplyBody::Connect { connection_id: shared.issue_connection_id(ip) }
    } else if shared.accepts_connection_id(ip, header.connection_id) {
        answer_known(packet, ip, shared)?
    } else {
        return None;
    };
    Some(Reply { transaction_id: header.transaction_id, body }.encode(Family::of(ip)))
}

/// The answer to a client that has shown its address to be its own.
fn answer_known(packet: &[u8], ip: IpAddr, shared: &Shared) -> Option<ReplyBody> {
    let refuse = |failure: Failure| ReplyBody::Error(failure.reason);
    match Request::decode(packet).map(|request| request.body) {
        Ok(RequestBody::Announce { announce, .. }) => {
            let reply = shared.announce(&announce, ip, Transport::Udp);
            Some(reply.map_or_else(refuse, ReplyBody::Announce))
        }
        Ok(RequestBody::Scrape(info_hashes)) => Some(ReplyBody::Scrape(shared.scrape(&info_hashes))),
        Err(RequestError::Port) => {
            Some(ReplyBody::Error(Printable::new("port must be a number from 1 to 65535")))
        }
        Ok(RequestBody::Connect) | Err(RequestError::Short | RequestError::Action) => None,
    }
}

#[cfg(test)]
mod tests {
    use potluck_common::{
        InfoHash, PeerId,
        announce::{AnnounceRequest, SCRAPE_HASHES_MAX, udp::PROTOCOL_ID},
    };
    use proptest::prelude::*;

    use super::*;
    use crate::TrackerConfig;

    fn shared() -> Shared {
        Shared::new(&TrackerConfig::default()).unwrap()
    }

    fn client() -> SocketAddr {
        ([198, 51, 99, 1], 4000).into()
    }

    fn connect(shared: &Shared, from: SocketAddr) -> u64 {
        let packet = answer(&Request::connect(9).encode(), from, shared).unwrap();
        match Reply::decode(&packet, Family::V4).unwrap() {
            Reply { transaction_id: 9, body: ReplyBody::Connect { connection_id } } => connection_id,
            other => panic!("{other:?}"),
        }
    }

    fn announce(connection_id: u64) -> Vec<u8> {
        let announce = Box::new(AnnounceRequest::new(InfoHash([1; 20]), PeerId([2; 20]), 6881));
        let body = RequestBody::Announce { announce, url_data: Vec::new() };
        Request { connection_id, transaction_id: 5, body }.encode()
    }

    #[test]
    fn an_id_is_good_for_its_address_only() {
        let shared = shared();
        let id = connect(&shared, client());
        let other_port = SocketAddr::new(client().ip(), 4001);
        let other_ip = ([198, 51, 99, 2], 4000).into();
        assert!(answer(&announce(id), client(), &shared).is_some());
        assert!(answer(&announce(id), other_port, &shared).is_some());
        for (id, from) in [(id, other_ip), (id ^ 1, client()), (0, client()), (PROTOCOL_ID, client())] {
            assert_eq!(answer(&announce(id), from, &shared), None, "{id:x} {from}");
        }
        assert_eq!(shared.totals().complete, 1);
    }

    #[test]
    fn scrapes_of_every_length() {
        let shared = shared();
        let id = connect(&shared, client());
        for length in 0..=80 * 20 {
            let packet = [&id.to_be_bytes()[..], &[0, 0, 0, 2, 0, 0, 0, 9], &vec![1; length]].concat();
            let entries = (length / 20).min(SCRAPE_HASHES_MAX);
            let expected = (entries > 0).then_some(8 + 12 * entries);
            assert_eq!(answer(&packet, client(), &shared).map(|reply| reply.len()), expected, "{length}");
        }
    }

    #[test]
    fn a_known_client_learns_why_its_port_is_refused() {
        let shared = shared();
        let mut packet = announce(connect(&shared, client()));
        packet[96..98].fill(0);
        let reply = Reply::decode(&answer(&packet, client(), &shared).unwrap(), Family::V4).unwrap();
        assert!(matches!(reply.body, ReplyBody::Error(_)), "{reply:?}");
        assert_eq!(shared.totals().torrents, 0);
    }

    proptest! {
        #[test]
        fn an_unverified_address_never_gets_more_than_it_sent(mut packet: Vec<u8>, action in 0u8..4, magic: bool) {
            let shared = shared();
            if magic && packet.len() >= 12 {
                packet[..8].copy_from_slice(&PROTOCOL_ID.to_be_bytes());
                packet[8..12].copy_from_slice(&[0, 0, 0, action]);
            }
            let reply = answer(&packet, client(), &shared).unwrap_or_default();
            prop_assert!(reply.len() <= packet.len());
            prop_assert!(reply.is_empty() || reply.len() == 16);
        }

        #[test]
        fn no_bytes_of_a_known_client_panic(rest: Vec<u8>, action in 0u8..4) {
            let shared = shared();
            let id = connect(&shared, client());
            let _ = answer(&[&id.to_be_bytes()[..], &[0, 0, 0, action], &rest].concat(), client(), &shared);
        }
    }
}
