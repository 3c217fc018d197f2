//! What the shell has not been told to do yet.

use std::{collections::VecDeque, net::SocketAddr};

use super::DhtEffect;

/// See the module. It is drained after every call, so that it holds what one call makes.
#[derive(Debug, Default)]
pub(super) struct Outbox(VecDeque<DhtEffect>);

impl Outbox {
    pub(super) fn send(&mut self, to: SocketAddr, payload: Vec<u8>) {
        self.push(DhtEffect::Send { to, payload });
    }

    pub(super) fn push(&mut self, effect: DhtEffect) {
        self.0.push_back(effect);
    }

    pub(super) fn pop(&mut self) -> Option<DhtEffect> {
        self.0.pop_front()
    }
}
