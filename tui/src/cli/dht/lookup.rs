//! `potluck dht lookup`: prints the peers of a torrent as they are found.

use std::net::SocketAddr;

use potluck_common::{InfoHash, control::SCHEMA};
use potluck_peer::dht::{DhtNode, LookupEvent, NodeConfig, SearchReport, outcome};
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::{folder, start};
use crate::cli::{
    args::{LookupArgs, StateArgs},
    exit::{Exit, Failure, Outcome},
    load,
    output::Output,
    transfer::{Signal, Signals},
};

pub(super) async fn run(args: &LookupArgs, state: &StateArgs, output: &Output) -> Outcome<Exit> {
    let info_hash = info_hash_of(&args.torrent)?;
    let mut signals = Signals::new()?;
    let node = start(NodeConfig {
        bind: args.join.bind,
        ports: args.join.port.clone(),
        settings: args.join.settings(),
        state_dir: folder(state, output),
    })?;
    let exit = tokio::select! {
        exit = look(&node, info_hash, args, output) => exit,
        signal = signals.next() => Ok(match signal {
            Signal::Interrupt => Exit::Stopped,
            Signal::Terminate => Exit::Terminated,
        }),
    };
    node.close().await;
    exit
}

/// Forty digits, or a magnet link.
fn info_hash_of(text: &str) -> Outcome<InfoHash> {
    if let Some(info_hash) = InfoHash::from_hex(text) {
        return Ok(info_hash);
    }
    if text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("magnet:")) {
        return Ok(load::magnet(text)?.info_hash());
    }
    let remedy = "give 40 hexadecimal digits or a magnet link, in quotes for the shell";
    Err(Failure::new(Exit::Usage, potluck_common::Printable::bounded(text, 60), "no info-hash", remedy))
}

async fn look(node: &DhtNode, info_hash: InfoHash, args: &LookupArgs, output: &Output) -> Outcome<Exit> {
    let began = Instant::now();
    let deadline = began + args.timeout;
    let mut peers = 0;
    let asking = async {
        node.joined().await;
        let mut events = node.lookup(info_hash);
        while let Some(event) = events.recv().await {
            match event {
                LookupEvent::Peers(found) => {
                    peers += found.len();
                    found.into_iter().try_for_each(|peer| print_peer(info_hash, peer, output))?;
                }
                LookupEvent::Ended(report) => return Ok(Some(report)),
            }
        }
        Ok(None)
    };
    let report = match timeout_at(deadline, asking).await {
        Ok(report) => report?,
        Err(_) => None,
    };
    let exit = match (&report, peers) {
        (_, 1..) => Exit::Done,
        (None, 0) => Exit::TimedOut,
        // Nobody was heard at all: that says nothing of the torrent.
        (Some(SearchReport { answered: 0, .. }), 0) => Exit::Network,
        (Some(_), 0) => Exit::NotFound,
    };
    let words = match &report {
        Some(report) => outcome(report),
        None if node.counts().good == 0 => {
            let why = node.summary().message;
            format!("no node answered within {} s ({why})", args.timeout.as_secs())
        }
        None => format!("it was not over within {} s", args.timeout.as_secs()),
    };
    conclude(info_hash, report.unwrap_or_default(), (peers, exit, &words), began, output)?;
    Ok(exit)
}

fn print_peer(info_hash: InfoHash, peer: SocketAddr, output: &Output) -> Outcome {
    if output.json {
        let line = json!({ "schema": SCHEMA, "event": "peer", "info_hash": info_hash, "address": peer });
        return output.print_json(&line);
    }
    output.print(peer)
}

fn conclude(
    info_hash: InfoHash,
    report: SearchReport,
    (peers, exit, words): (usize, Exit, &str),
    began: Instant,
    output: &Output,
) -> Outcome {
    let seconds = began.elapsed().as_secs_f64();
    if output.json {
        output.print_json(&json!({
            "schema": SCHEMA,
            "event": "result",
            "info_hash": info_hash,
            "peers": peers,
            "nodes_asked": report.asked,
            "nodes_answered": report.answered,
            "rounds": report.rounds,
            "seconds": seconds,
            "exit": exit as u8,
            "message": words,
        }))?;
    }
    if exit != Exit::Done {
        let remedy = if exit == Exit::NotFound {
            "nobody announced it lately; trackers or peers may still know it"
        } else {
            "check the network, or name nodes with --dht-bootstrap"
        };
        output.fail(&Failure::new(exit, info_hash, words, remedy));
    } else if !output.json {
        output.note(format!("{words}, in {seconds:.1} s"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_up() {
        let digits = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a";
        let wanted = InfoHash::from_hex(digits).expect("digits");
        let link = format!("magnet:?xt=urn:btih:{digits}");
        for text in [digits, &digits.to_uppercase(), &link] {
            assert_eq!(info_hash_of(text), Ok(wanted), "{text}");
        }
        for (text, exit) in [("", Exit::Usage), ("c12f", Exit::Usage), ("magnet:?dn=x", Exit::BadTorrent)] {
            assert_eq!(info_hash_of(text).map_err(|failure| failure.exit), Err(exit), "{text}");
        }
    }
}
