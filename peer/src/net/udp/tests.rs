use std::{net::Ipv4Addr, time::Duration};

use tokio::{net::UdpSocket, time::timeout};

use super::*;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PATIENCE: Duration = Duration::from_secs(20);
const SYN: [u8; 20] = [0x41, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0];

/// A port on loopback that runs.
fn port() -> (Arc<Port>, mpsc::Receiver<Incoming>, SocketAddr) {
    let port = Port::new(bind_alone(Some(LOOPBACK), 0..=0).expect("bound")).expect("a port");
    let address = port.addresses()[0];
    let (receivers, inbox) = port.receivers(Clock::start());
    for receiver in receivers {
        tokio::spawn(receiver);
    }
    (port, inbox, address)
}

async fn stranger() -> UdpSocket {
    UdpSocket::bind(SocketAddr::new(LOOPBACK, 0)).await.expect("bound")
}

#[tokio::test]
async fn dictionaries_go_to_the_dht_and_a_syn_is_refused() {
    let (port, mut inbox, address) = port();
    let stranger = stranger().await;
    for datagram in [&b"hello"[..], b"", &[0x21; 30], &[b'd'; 4_097], b"d1:q4:pinge", &SYN] {
        stranger.send_to(datagram, address).await.expect("sent");
    }
    let arrived = timeout(PATIENCE, inbox.recv()).await.expect("in time").expect("runs");
    let Incoming::Datagram { from, payload } = arrived else { panic!("{arrived:?}") };
    assert_eq!(from, stranger.local_addr().expect("bound"));
    assert_eq!(payload, &b"d1:q4:pinge"[..]);
    let mut answer = [0; 100];
    let (length, from) =
        timeout(PATIENCE, stranger.recv_from(&mut answer)).await.expect("in time").expect("received");
    assert_eq!(
        (length, from, &answer[..4], &answer[18..20]),
        (20, address, &[0x31, 0, 0, 7][..], &[0, 3][..])
    );
    // And what is sent arrives, after nothing else.
    assert_eq!(port.send(stranger.local_addr().expect("bound"), b"d1:ye".to_vec()), Sent::Away);
    let (length, _) =
        timeout(PATIENCE, stranger.recv_from(&mut answer)).await.expect("in time").expect("received");
    assert_eq!(&answer[..length], b"d1:ye");
    assert!(inbox.try_recv().is_err(), "everything else was dropped");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn where_nobody_listens_is_told_and_harms_nobody_else() {
    let (port, mut inbox, address) = port();
    let gone = stranger().await.local_addr().expect("bound");
    for _ in 0..3 {
        port.send(gone, b"d1:qe".to_vec());
    }
    let arrived = timeout(PATIENCE, inbox.recv()).await.expect("in time").expect("runs");
    assert!(matches!(arrived, Incoming::Unreachable(at) if at == gone), "{arrived:?}");
    let stranger = stranger().await;
    port.send(stranger.local_addr().expect("bound"), b"d1:re".to_vec());
    let mut answer = [0; 100];
    let (length, _) =
        timeout(PATIENCE, stranger.recv_from(&mut answer)).await.expect("in time").expect("received");
    assert_eq!(&answer[..length], b"d1:re");
    stranger.send_to(b"d1:ye", address).await.expect("sent");
    let datagram = async {
        loop {
            match inbox.recv().await {
                Some(Incoming::Datagram { payload, .. }) => return payload,
                Some(Incoming::Unreachable(at)) => assert_eq!(at, gone),
                None => panic!("it runs"),
            }
        }
    };
    assert_eq!(timeout(PATIENCE, datagram).await.expect("in time"), &b"d1:ye"[..]);
}

#[tokio::test]
async fn from_loopback_nothing_else_is_reached() {
    let (port, ..) = port();
    for (ip, is_reached) in [("127.0.0.9", true), ("10.0.0.1", false), ("192.0.2.1", false), ("::1", false)] {
        assert_eq!(port.reaches(ip.parse().expect("an address")), is_reached, "{ip}");
    }
    assert!(port.is_loopback());
    let far = "192.0.2.1:6881".parse().expect("an address");
    assert_eq!(port.send(far, b"de".to_vec()), Sent::Unreachable);
}

#[tokio::test]
async fn what_nobody_takes_in_time_is_lost_and_costs_no_more() {
    let (_port, mut inbox, address) = port();
    let stranger = stranger().await;
    let filled = async {
        while inbox.len() < INBOX_MAX {
            stranger.send_to(b"d1:ye", address).await.expect("sent");
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, filled).await.expect("its owner takes nothing");
    for _ in 0..20 {
        stranger.send_to(b"d1:ye", address).await.expect("sent");
    }
    // That this is answered says that what came before it was looked at.
    stranger.send_to(&SYN, address).await.expect("sent");
    timeout(PATIENCE, stranger.recv_from(&mut [0; 100])).await.expect("in time").expect("received");
    assert_eq!(inbox.len(), INBOX_MAX);
    timeout(PATIENCE, inbox.recv()).await.expect("in time").expect("it runs on");
}
