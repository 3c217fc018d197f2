//! Which addresses a connection stands for, and that each is free again when it ends.

use std::net::SocketAddr;

use potluck_common::control::PeerSource;

use super::alone::Alone;
use crate::{
    PeerKey,
    session::{Direction, SessionEvent},
    torrent::Input,
};

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn listens(port: u16) -> SessionEvent {
    let (client, your_ip) = (None, None);
    SessionEvent::Extended { client, listen_port: Some(port), your_ip, upload_only: false, pex: true }
}

impl Alone {
    fn knows(&mut self, address: &str) {
        self.torrent.handle(self.now, Input::Candidates(vec![at(address)], PeerSource::Tracker));
        self.pass(1);
    }

    fn dialled_how_often(&self, address: &str) -> usize {
        self.dialled.iter().filter(|dialled| **dialled == at(address)).count()
    }

    fn dial_fails(&mut self, address: &str) {
        self.torrent.handle(self.now, Input::DialFailed(at(address)));
        self.pass(100);
    }
}

#[test]
fn row_2_12_whoever_names_port_after_port_stands_for_one_address() {
    let mut alone = Alone::leecher(20);
    let key = alone.join("9.9.9.9");
    for port in 1..=2_000 {
        alone.says(key, vec![listens(port)]);
    }
    assert_eq!(alone.torrent.book.addresses().count(), 1, "the first one is kept");
    assert!(alone.dialled.is_empty());
    alone.leaves(key);
    assert_eq!(alone.torrent.book.connected_ones().count(), 0);
    alone.pass(20);
    assert_eq!(alone.dialled, [at("9.9.9.9:1")]);
}

#[test]
fn copies_of_a_peer_take_few_addresses() {
    let mut alone = Alone::leecher(20);
    let key = alone.join_as("9.9.9.9", 7);
    alone.says(key, vec![listens(1)]);
    alone.pass(10);
    for n in 1..=20 {
        alone.knows(&format!("8.8.{n}.1:1"));
        alone.connect(at(&format!("8.8.{n}.1:1")), 7, Direction::Outgoing);
    }
    assert_eq!(alone.torrent.book.connected_ones().count(), super::super::reach::REACH_MAX);
    alone.leaves(key);
    assert_eq!(alone.torrent.book.connected_ones().count(), 0);
}

#[test]
fn a_peer_of_two_families_is_dialled_at_neither_while_it_is_there_and_at_both_later() {
    let mut alone = Alone::leecher(20);
    let six: PeerKey = alone.join_as("2a01:1::1", 7);
    alone.says(six, vec![listens(6881)]);
    alone.pass(10);
    alone.knows("9.9.9.9:6881");
    let four = alone.connect(at("9.9.9.9:6881"), 7, Direction::Outgoing);
    assert!(!alone.there.contains_key(&four), "it is the same peer");
    alone.pass(300);
    assert_eq!(alone.dialled, [at("9.9.9.9:6881")]);
    alone.leaves(six);
    alone.pass(100);
    assert_eq!(alone.dialled_how_often("9.9.9.9:6881"), 2);
    assert_eq!(alone.dialled_how_often("[2a01:1::1]:6881"), 1);
}

#[test]
fn an_address_is_not_dialled_while_it_is_being_dialled() {
    let mut alone = Alone::leecher(20);
    alone.knows("9.9.9.9:6881");
    let came = alone.join("9.9.9.9");
    alone.says(came, vec![listens(6881)]);
    assert_eq!(alone.torrent.book.dialing(), 1, "that it came does not end the dial");
    alone.leaves(came);
    alone.pass(300);
    assert_eq!(alone.torrent.book.dialing(), 1, "nor does that it left");
    assert_eq!(alone.dialled_how_often("9.9.9.9:6881"), 1);
    alone.dial_fails("9.9.9.9:6881");
    assert_eq!(alone.dialled_how_often("9.9.9.9:6881"), 2);
    let came = alone.join("9.9.9.9");
    alone.says(came, vec![listens(6881)]);
    alone.dial_fails("9.9.9.9:6881");
    assert_eq!(alone.dialled_how_often("9.9.9.9:6881"), 2, "it is there");
    alone.leaves(came);
    alone.pass(100);
    assert_eq!(alone.dialled_how_often("9.9.9.9:6881"), 3);
}
