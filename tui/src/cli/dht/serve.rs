//! `potluck dht serve`: a node by which others join.

use potluck_common::control::SCHEMA;
use potluck_peer::dht::{DhtNode, NodeConfig};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use super::{count, counts_json, folder, ids, start};
use crate::cli::{
    args::{ServeArgs, StateArgs},
    exit::{Exit, Outcome},
    output::Output,
    transfer::{Signal, Signals},
};

pub(super) async fn run(args: &ServeArgs, state: &StateArgs, output: &Output) -> Outcome<Exit> {
    let mut signals = Signals::new()?;
    let node = start(NodeConfig {
        bind: args.bind,
        ports: args.port.clone(),
        settings: args.settings(),
        state_dir: folder(state, output),
    })?;
    introduce(&node, output)?;
    let mut tick = interval(args.interval);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first is at once.
    tick.tick().await;
    let signal = loop {
        tokio::select! {
            _ = tick.tick() => report(&node, output)?,
            signal = signals.next() => break signal,
        }
    };
    report(&node, output)?;
    node.close().await;
    // It was asked to serve until it is stopped.
    Ok(if signal == Signal::Interrupt { Exit::Done } else { Exit::Terminated })
}

/// Where it can be joined, and who it is.
fn introduce(node: &DhtNode, output: &Output) -> Outcome {
    let status = node.status();
    let addresses: Vec<String> = node.addresses().iter().map(ToString::to_string).collect();
    if output.json {
        let ids: Vec<_> = ids(&status).map(|(_, id)| id.to_string()).collect();
        return output.print_json(&json!({
            "schema": SCHEMA,
            "event": "listening",
            "listen": addresses,
            "ids": ids,
        }));
    }
    output.print(format!("a DHT node listens on {}", addresses.join(" and ")))?;
    for (family, id) in ids(&status) {
        output.print(format!("its id for {family} is {id}"))?;
    }
    Ok(())
}

fn report(node: &DhtNode, output: &Output) -> Outcome {
    if output.json {
        let mut line = counts_json(node);
        line["schema"] = json!(SCHEMA);
        line["event"] = json!("status");
        return output.print_json(&line);
    }
    let (counts, status) = (node.counts(), node.status());
    output.print(format!(
        "{} of IPv4, {} of IPv6, {} good; it keeps {} of {}",
        count(counts.v4 as usize, "node"),
        count(counts.v6 as usize, "node"),
        counts.good,
        count(status.peers_stored, "peer"),
        count(status.torrents_stored, "torrent"),
    ))
}
