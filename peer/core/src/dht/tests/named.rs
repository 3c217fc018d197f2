//! Nodes of which peers and torrents tell.

use std::{net::SocketAddr, ops::Range};

use potluck_common::Duration;

use super::scene::{Scene, v4};
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
