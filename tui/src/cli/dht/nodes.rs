//! `potluck dht nodes`: what is known of other nodes.

use std::time::Duration;

use potluck_common::control::SCHEMA;
use potluck_peer::dht::{NodeConfig, saved_nodes};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{count, counts_json, folder, ids, start};
use crate::cli::{
    args::{NodesArgs, StateArgs},
    exit::{Exit, Failure, Outcome},
    output::Output,
    transfer::{Signal, Signals},
};

/// How long no further node may come until it is enough.
const QUIET: Duration = Duration::from_secs(3);
/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub(super) async fn run(args: &NodesArgs, state: &StateArgs, output: &Output) -> Outcome<Exit> {
    if args.live { live(args, state, output).await } else { remembered(args, state, output) }
}

fn remembered(args: &NodesArgs, state: &StateArgs, output: &Output) -> Outcome<Exit> {
    let remedy = "a run of potluck remembers them; --live joins now";
    let none = |what: &str| Failure::new(Exit::NotFound, "the nodes of the DHT", what, remedy);
    let folder = folder(state, output).ok_or_else(|| none("nothing is kept"))?;
    let saved = saved_nodes(&folder, &args.join.settings().bootstrap)
        .map_err(|why| {
            Failure::new(Exit::Damaged, "the nodes of the DHT", why, "the next run sets them aside")
        })?
        .ok_or_else(|| none("none are remembered"))?;
    let v4 = saved.nodes.iter().filter(|node| node.addr.is_ipv4()).count();
    let v6 = saved.nodes.len() - v4;
    if output.json {
        let nodes: Vec<_> = saved
            .nodes
            .iter()
            .map(|node| json!({ "id": node.id.to_string(), "address": node.addr }))
            .collect();
        output.print_json(&json!({
            "schema": SCHEMA,
            "live": false,
            "id_v4": saved.ipv4_id.map(|id| id.to_string()),
            "id_v6": saved.ipv6_id.map(|id| id.to_string()),
            "nodes_v4": v4,
            "nodes_v6": v6,
            "nodes": nodes,
        }))?;
        return Ok(Exit::Done);
    }
    for node in &saved.nodes {
        output.print(format!("{}  {}", node.id, node.addr))?;
    }
    output.note(format!("remembered: {} of IPv4, {} of IPv6", count(v4, "node"), count(v6, "node")));
    Ok(Exit::Done)
}

async fn live(args: &NodesArgs, state: &StateArgs, output: &Output) -> Outcome<Exit> {
    let mut signals = Signals::new()?;
    let node = start(NodeConfig {
        bind: args.join.bind,
        ports: args.join.port.clone(),
        settings: args.join.settings(),
        state_dir: folder(state, output),
    })?;
    let deadline = Instant::now() + args.timeout;
    let settled = async {
        let (mut known, mut since) = (node.counts(), Instant::now());
        while Instant::now() < deadline && (known.good == 0 || since.elapsed() < QUIET) {
            sleep(LOOK_EVERY).await;
            let counts = node.counts();
            if counts != known {
                (known, since) = (counts, Instant::now());
            }
        }
    };
    tokio::select! {
        () = settled => {}
        signal = signals.next() => {
            node.close().await;
            return Ok(if signal == Signal::Interrupt { Exit::Stopped } else { Exit::Terminated });
        }
    }
    let (counts, status) = (node.counts(), node.status());
    if output.json {
        let mut line = counts_json(&node);
        line["schema"] = json!(SCHEMA);
        line["live"] = json!(true);
        output.print_json(&line)?;
    } else {
        for (family, id) in ids(&status) {
            output.print(format!("{family} id   {id}"))?;
        }
        output.print(format!(
            "IPv4 nodes  {}\nIPv6 nodes  {}\ngood        {}",
            counts.v4, counts.v6, counts.good
        ))?;
    }
    let exit = if counts.good > 0 { Exit::Done } else { Exit::TimedOut };
    if exit == Exit::TimedOut {
        let why = node.summary().message;
        let what = format!("no node answered within {} s ({why})", args.timeout.as_secs());
        output.fail(&Failure::new(
            exit,
            "the DHT",
            what,
            "check the network, or name nodes with --dht-bootstrap",
        ));
    }
    node.close().await;
    Ok(exit)
}
