//! `potluck seed`: shares a file, a folder or the payload of a torrent until it is stopped.

use std::path::{Path, PathBuf};

use potluck_common::{control::SCHEMA, magnet::Magnet, metainfo::Metainfo};
use potluck_peer::{
    disk::FileStamp,
    engine::{Engine, Intent, TorrentParams},
};
use serde_json::json;

use super::{
    Run, Signals, add_failure,
    helm::helm,
    item::{Item, Task},
    origin::Origin,
    params,
    reporter::{json_line, result_json},
    start_engine,
};
use crate::cli::{
    args::{SeedArgs, StateArgs},
    create,
    exit::{Exit, Failure, Outcome, worst},
    load,
    output::Output,
    source::{Source, classify},
    web::runtime,
};

/// A payload that is there, and its torrent.
struct Shared {
    input: String,
    metainfo: Metainfo,
    directory: PathBuf,
    /// What its files were like before they were hashed just now.
    vouched: Option<Vec<FileStamp>>,
}

/// Runs `potluck seed`.
pub fn run(args: &SeedArgs, state: &StateArgs, output: &Output) -> Outcome<Exit> {
    if args.torrent.is_some() && args.inputs.len() > 1 {
        let what = "one torrent file cannot hold several inputs";
        return Err(Failure::new(Exit::Usage, "--torrent", what, "seed one path at a time, or leave it out"));
    }
    let (mut shared, mut exits) = (Vec::new(), Vec::new());
    for input in &args.inputs {
        match prepare(input, args, output) {
            Ok(one) => shared.push(one),
            Err(failure) => exits.push(report(&input.to_string_lossy(), &failure, output)?),
        }
    }
    if shared.is_empty() {
        return Ok(worst(exits));
    }
    let runtime = runtime()?;
    let exit = runtime.block_on(seed_all(args, state, shared, exits, output));
    runtime.shutdown_background();
    exit
}

fn report(input: &str, failure: &Failure, output: &Output) -> Outcome<Exit> {
    output.fail(failure);
    json_line(&result_json(input, failure.exit as u8, &failure.line(), None), output)?;
    Ok(failure.exit)
}

/// A torrent file is read; of anything else a torrent is made, with the payload where it is.
fn prepare(input: &Path, args: &SeedArgs, output: &Output) -> Outcome<Shared> {
    let text = input.to_string_lossy().into_owned();
    let path = match classify(input)? {
        Source::File(path) => path,
        Source::Url(_) | Source::Magnet(_) => {
            let remedy = "`potluck get --seed` downloads and then shares";
            return Err(Failure::new(Exit::Usage, &text, "there is no payload to seed here", remedy));
        }
    };
    let is_torrent = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("torrent"));
    if is_torrent && !path.is_dir() {
        let metainfo = load::from_file(&path)?;
        load::require_v1(&text, &metainfo)?;
        return Ok(Shared { input: text, metainfo, directory: args.output.clone(), vouched: None });
    }
    // Links are followed to what the person meant, and then no more.
    let real = path.canonicalize().map_err(|error| Failure::io(&path, &error))?;
    let made = create::make(&real, create::options_for_seeding(&args.network.trackers), output)?;
    if let Some(file) = &args.torrent {
        create::write(file, &made.torrent, false)?;
    }
    let directory = real.parent().unwrap_or(&real).to_path_buf();
    Ok(Shared { input: text, metainfo: made.metainfo, directory, vouched: Some(made.stamps) })
}

async fn seed_all(
    args: &SeedArgs,
    state: &StateArgs,
    shared: Vec<Shared>,
    mut exits: Vec<Exit>,
    output: &Output,
) -> Outcome<Exit> {
    let mut signals = Signals::new()?;
    let engine = start_engine(&args.network, state, output).await?;
    let mut items = Vec::new();
    for one in shared {
        let input = one.input.clone();
        match add(&engine, one, args, output).await {
            Ok(item) => items.push(item),
            Err(failure) => exits.push(report(&input, &failure, output)?),
        }
    }
    // Nobody steers them.
    let (helm, _) = helm();
    let timeout = std::time::Duration::ZERO;
    let run = Run { engine: &engine, items, timeout, signals: &mut signals, output, helm };
    exits.push(run.until_the_end(|| ()).await?);
    Ok(worst(exits))
}

async fn add(engine: &Engine, one: Shared, args: &SeedArgs, output: &Output) -> Outcome<Item> {
    let Shared { input, metainfo, directory, vouched } = one;
    let params = TorrentParams {
        intent: Intent::Seed,
        // What was hashed a moment ago is checked.
        force_check: args.check && vouched.is_none(),
        vouched,
        super_seed: args.super_seed,
        ..params(&directory, &args.network, output)(metainfo.clone())
    };
    let origin = Origin::torrent(&params);
    let handle = engine.add(params).await.map_err(|error| add_failure(&input, &error))?;
    let magnet = magnet_of(&metainfo, &args.network.trackers).to_string();
    let listen: Vec<String> = engine.listen_addrs().iter().map(ToString::to_string).collect();
    if output.json {
        output.print_json(&json!({
            "schema": SCHEMA,
            "event": "added",
            "input": input,
            "name": metainfo.name(),
            "info_hash": metainfo.info_hash(),
            "magnet": magnet,
            "listen": listen,
        }))?;
    }
    let task = Task::Seed { magnet, listen: listen.join(" and ") };
    Ok(Item::new(input, metainfo.name(), directory, (&handle, origin), task, output))
}

/// The link of a torrent, with the trackers of the command line.
fn magnet_of(metainfo: &Metainfo, trackers: &[String]) -> Magnet {
    let mut magnet = Magnet::from(metainfo);
    for tracker in trackers {
        if !magnet.trackers.contains(tracker) {
            magnet.trackers.push(tracker.clone());
        }
    }
    magnet
}
