//! The tracker's decisions, without input or output: which peers a swarm has and which of them an asker gets
//! ([`Swarms`]), and which UDP client has proved its address ([`ConnectionIds`]).
//!
//! [`Swarms`] is a shard: it knows the swarms that it is told of and has one owner, which holds the lock if there
//! is one. It follows the contract of all machines: time and entropy are arguments, and [`Swarms::poll_timeout`]
//! says when [`Swarms::handle_timeout`] is to be called.

mod config;
mod connection_id;
mod select;
mod store;
mod swarm;

pub use config::{Config, NUMWANT_HTTP_MAX, NUMWANT_UDP_MAX};
pub use connection_id::ConnectionIds;
pub use store::{Swarms, Totals, Transport};
