//! Nodes of which peers and torrents tell.

use std::{net::SocketAddr, ops::Range};

use potluck_common::Duration;

use super::scene::{Scene, v4, v6};
use crate::dht::{DhtConfig, DhtInput};

fn lonely() -> Scene {
    Scene::new(DhtConfig { ipv6: false, ..DhtConfig::default() })
}

/// More are named at one moment than are asked at one time, and the first of them are not there.
#[test]
fn who_is_named_while_others_are_asked_is_asked_after_them() {
    let mut scene = lonely();
    scene.answers = |addr| addr == v4(19);
    (0..20).for_each(|n| scene.tell(DhtInput::Node(v4(n))));
    scene.run(Duration::from_secs(10));
    assert!((0..20).all(|n| scene.asked.contains(&v4(n))), "{:?}", scene.asked);
    assert_eq!(scene.known(), [1, 0]);
}

/// A peer tells of a thousand ports, one after another; nobody is there. Others who are named have their turn all the same.
#[test]
fn who_tells_of_many_ports_keeps_nobody_waiting() {
    let mut scene = lonely();
    scene.answers = |addr| addr == v4(2);
    let port = |port: u16| SocketAddr::new(v4(1).ip(), port);
    for n in 1..=1_000 {
        scene.tell(DhtInput::Node(port(n)));
        if n == 500 {
            scene.tell(DhtInput::Node(v4(2)));
            assert_eq!(scene.known(), [1, 0], "it is asked at once");
        }
        scene.run(Duration::from_millis(10));
    }
    let in_ten_seconds = scene.asked.len();
    assert!((4..=40).contains(&in_ten_seconds), "{in_ten_seconds} were asked");
    scene.run(Duration::from_secs(60));
    let after = scene.asked.iter().filter(|addr| addr.ip() == v4(1).ip()).count();
    assert!(after <= in_ten_seconds + 12, "{after}: what waited, and no more");
}

/// And ten such peers do not either, which have all places, and would have all that wait.
#[test]
fn who_is_alone_has_its_turn_among_those_who_tell_of_many_ports() {
    let mut scene = lonely();
    scene.answers = |addr| addr == v4(50);
    let tell_all = |scene: &mut Scene, ports: Range<u16>| {
        let told = ports.flat_map(|port| (0..10).map(move |n| SocketAddr::new(v4(n).ip(), port)));
        told.for_each(|addr| scene.tell(DhtInput::Node(addr)));
    };
    tell_all(&mut scene, 1..100);
    scene.tell(DhtInput::Node(v4(50)));
    tell_all(&mut scene, 100..200);
    scene.run(Duration::from_millis(3_100));
    assert_eq!(scene.known(), [1, 0]);
}

/// Forty hosts of forty networks tell of a port each, and twenty more after somebody who is there: it is not the next who goes.
#[test]
fn who_waits_is_not_sent_away_for_whoever_comes_next() {
    let mut scene = lonely();
    scene.answers = |addr| addr == v4(50);
    (60..100).for_each(|n| scene.tell(DhtInput::Node(v4(n))));
    scene.tell(DhtInput::Node(v4(50)));
    (100..120).for_each(|n| scene.tell(DhtInput::Node(v4(n))));
    scene.run(Duration::from_secs(15));
    assert_eq!(scene.known(), [1, 0], "{:?}", scene.asked);
}

/// A party with the hosts of one network does not fill the list, however many ports of them it tells of: IPv4's and IPv6's.
#[test]
fn who_has_a_network_of_hosts_keeps_nobody_waiting() {
    let hosts_v4 = |n: u16| SocketAddr::from(([90, 1, 1, n as u8], 1));
    let hosts_v6 = |n: u16| SocketAddr::from(([0x2607, 1, 0, n, 0, 0, 0, 1], 1));
    let check = |lone: SocketAddr, host: &dyn Fn(u16) -> SocketAddr| {
        let mut scene = Scene::new(DhtConfig::default());
        scene.answers = |addr| addr == v4(50) || addr == v6(50);
        (1..60).for_each(|n| scene.tell(DhtInput::Node(host(n))));
        scene.tell(DhtInput::Node(lone));
        (60..250).for_each(|n| scene.tell(DhtInput::Node(host(n))));
        scene.run(Duration::from_secs(15));
        assert_eq!(scene.known().iter().sum::<usize>(), 1, "{lone}: {:?}", scene.asked);
    };
    check(v4(50), &hosts_v4);
    check(v6(50), &hosts_v6);
}

/// One machine has all the addresses of a /64: they count as one host, on a local network each as its own.
#[test]
fn a_machine_with_many_addresses_is_one_host() {
    let asked_at_once = |subnet: [u16; 4]| {
        let mut scene = Scene::new(DhtConfig::default());
        scene.answers = |_| false;
        let [a, b, c, d] = subnet;
        let told = (1..=20).map(|n| SocketAddr::from(([a, b, c, d, 0, 0, 0, n], 6881)));
        told.for_each(|addr| scene.tell(DhtInput::Node(addr)));
        scene.asked.len()
    };
    assert_eq!(asked_at_once([0x2607, 1, 0, 0]), 4);
    assert_eq!(asked_at_once([0xfd00, 1, 0, 0]), 8);
}

/// Who knows enough asks those who are named, too, but nobody waits for it.
#[test]
fn who_knows_many_keeps_no_names() {
    let mut scene = lonely();
    (0..8).for_each(|n| scene.tell(DhtInput::Node(v4(n))));
    assert_eq!(scene.known(), [8, 0]);
    scene.answers = |_| false;
    (20..50).for_each(|n| scene.tell(DhtInput::Node(v4(n))));
    scene.run(Duration::from_secs(60));
    let asked = (20..50).filter(|n| scene.asked.contains(&v4(*n))).count();
    assert_eq!(asked, 8);
}
