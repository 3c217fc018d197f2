//! `potluck dht`: asks the distributed hash table, or serves as a node of it.

mod lookup;
mod nodes;
mod serve;

use std::path::PathBuf;

use potluck_common::krpc::NodeId;
use potluck_peer::dht::{DhtNode, DhtStatus, NodeConfig};
use serde_json::{Value, json};

use super::{
    args::{DhtArgs, DhtCommand, StateArgs},
    exit::{Exit, Failure, Outcome},
    output::Output,
    state,
    web::runtime,
};

/// Runs `potluck dht`.
pub fn run(args: &DhtArgs, state: &StateArgs, output: &Output) -> Outcome<Exit> {
    let runtime = runtime()?;
    let exit = runtime.block_on(async {
        match &args.command {
            DhtCommand::Lookup(args) => lookup::run(args, state, output).await,
            DhtCommand::Nodes(args) => nodes::run(args, state, output).await,
            DhtCommand::Serve(args) => serve::run(args, state, output).await,
        }
    });
    runtime.shutdown_background();
    exit
}

/// Starts a node as the options say.
fn start(config: NodeConfig) -> Outcome<DhtNode> {
    let (bind, ports) = (config.bind, config.ports.clone());
    DhtNode::start(config).map_err(|error| {
        let ports = match (ports.start(), ports.end()) {
            (0, _) => "a UDP port".to_owned(),
            (first, last) if first == last => format!("UDP port {first}"),
            (first, last) => format!("UDP ports {first} to {last}"),
        };
        let thing = bind.map_or_else(|| ports.clone(), |ip| format!("{ports} of {ip}"));
        Failure::new(Exit::Network, thing, error, "choose another port or address with --port and --bind")
    })
}

fn folder(state: &StateArgs, output: &Output) -> Option<PathBuf> {
    state::folder(state, output)
}

/// The ids of a node, with the families that they are of.
fn ids(status: &DhtStatus) -> impl Iterator<Item = (&'static str, NodeId)> {
    let families = [("IPv4", &status.ipv4), ("IPv6", &status.ipv6)];
    families.into_iter().filter_map(|(name, family)| Some((name, family.as_ref()?.id)))
}

/// What a node knows, for scripts.
fn counts_json(node: &DhtNode) -> Value {
    let (counts, status) = (node.counts(), node.status());
    json!({
        "nodes_v4": counts.v4,
        "nodes_v6": counts.v6,
        "good": counts.good,
        "torrents": status.torrents_stored,
        "peers": status.peers_stored,
        "state": status.state.to_string(),
    })
}

/// `1 node`, `2 nodes`.
fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
