//! `potluck get`: downloads torrents and exits when they are complete.

use std::path::Path;

use potluck_common::{magnet::Magnet, metainfo::Metainfo};
use potluck_peer::engine::{Engine, Intent, TorrentParams};

use super::{
    Run, Signal, Signals, add_failure,
    hook::Hook,
    item::{Item, Task},
    params,
    reporter::{json_line, result_json},
    start_engine,
};
use crate::{
    cli::{
        args::{GetArgs, StateArgs},
        exit::{Exit, Failure, Outcome, worst},
        load,
        output::Output,
        select::{choices, select},
        source::{Source, classify},
        web::{fetch, runtime},
    },
    units::Bytes,
};

/// A torrent that was read and found fit to download.
struct Wanted {
    input: String,
    metainfo: Metainfo,
    files: Option<Vec<usize>>,
}

/// Runs `potluck get`.
pub fn run(args: &GetArgs, state: &StateArgs, output: &Output) -> Outcome<Exit> {
    let hook = args.on_done.as_deref().map(Hook::parse).transpose()?;
    let runtime = runtime()?;
    let exit = runtime.block_on(async {
        let mut signals = Signals::new()?;
        tokio::select! {
            wanted = read_all(args, output) => get_all(args, state, hook, wanted?, &mut signals, output).await,
            signal = signals.next() => Ok(stopped_early(signal)),
        }
    });
    runtime.shutdown_background();
    exit
}

fn stopped_early(signal: Signal) -> Exit {
    match signal {
        Signal::Interrupt => Exit::Stopped,
        Signal::Terminate => Exit::Terminated,
    }
}

/// Reads every input. Those that cannot be used are reported, and the rest is downloaded all the same.
async fn read_all(args: &GetArgs, output: &Output) -> Outcome<(Vec<Wanted>, Vec<Exit>)> {
    let (mut wanted, mut exits) = (Vec::new(), Vec::new());
    for input in &args.inputs {
        match read(input, args).await {
            Ok(one) => wanted.push(one),
            Err(failure) => exits.push(report(&input.to_string_lossy(), &failure, output)?),
        }
    }
    Ok((wanted, exits))
}

fn report(input: &str, failure: &Failure, output: &Output) -> Outcome<Exit> {
    output.fail(failure);
    json_line(&result_json(input, failure.exit as u8, &failure.line(), None), output)?;
    Ok(failure.exit)
}

async fn read(input: &Path, args: &GetArgs) -> Outcome<Wanted> {
    let text = input.to_string_lossy().into_owned();
    let metainfo = match classify(input)? {
        Source::File(path) => load::from_file(&path)?,
        Source::Url(url) => fetch(&url, args.network.bind).await?,
        Source::Magnet(link) => return Err(refuse_magnet(&link)),
    };
    load::require_v1(&text, &metainfo)?;
    let files = select(&args.files, &choices(&metainfo))?;
    Ok(Wanted { input: text, metainfo, files })
}

/// A magnet link is checked, so that a bad one is told from one that comes too early.
fn refuse_magnet(link: &str) -> Failure {
    match load::magnet(link) {
        Err(failure) => failure,
        Ok(magnet) => Failure::new(
            Exit::Other,
            shown(&magnet),
            "the metadata of a magnet link cannot be fetched from peers yet",
            "give the .torrent file or its URL",
        ),
    }
}

fn shown(magnet: &Magnet) -> String {
    magnet.name.clone().unwrap_or_else(|| magnet.info_hash().to_string())
}

async fn get_all(
    args: &GetArgs,
    state: &StateArgs,
    hook: Option<Hook>,
    (wanted, mut exits): (Vec<Wanted>, Vec<Exit>),
    signals: &mut Signals,
    output: &Output,
) -> Outcome<Exit> {
    if args.list {
        for one in &wanted {
            list(one, output)?;
        }
        return Ok(worst(exits));
    }
    if wanted.is_empty() {
        return Ok(worst(exits));
    }
    let engine = start_engine(&args.network, state, output).await?;
    let mut items = Vec::new();
    for one in wanted {
        let input = one.input.clone();
        match add(&engine, one, args, hook.clone(), output).await {
            Ok(item) => items.push(item),
            Err(failure) => exits.push(report(&input, &failure, output)?),
        }
    }
    exits.push(Run { engine: &engine, items, timeout: args.timeout, signals, output }.until_the_end().await?);
    Ok(worst(exits))
}

async fn add(
    engine: &Engine,
    one: Wanted,
    args: &GetArgs,
    hook: Option<Hook>,
    output: &Output,
) -> Outcome<Item> {
    let Wanted { input, metainfo, files } = one;
    let params = TorrentParams {
        intent: Intent::Download,
        wanted_files: files,
        sequential: args.sequential,
        force_check: args.check,
        ..params(metainfo.clone(), &args.output, &args.network, output)
    };
    let handle = engine.add(params).await.map_err(|error| add_failure(&input, &error))?;
    let task = Task::Get { seed: args.seed, hook, stall_timeout: args.stall_timeout };
    Ok(Item::new(input, metainfo.name().to_owned(), args.output.clone(), &handle, task, output))
}

/// Shows the files with the numbers that `--files` understands.
fn list(one: &Wanted, output: &Output) -> Outcome {
    for choice in choices(&one.metainfo) {
        let is_wanted = one.files.as_ref().is_none_or(|files| files.contains(&choice.index));
        if output.json {
            output.print_json(&serde_json::json!({
                "schema": 1,
                "input": one.input,
                "number": choice.number,
                "path": choice.path,
                "length": choice.length,
                "wanted": is_wanted,
            }))?;
        } else {
            let mark = if is_wanted { "*" } else { " " };
            let size = Bytes(choice.length).to_string();
            output.print(format!("{mark}{:>5} {size:>10}  {}", choice.number, choice.path))?;
        }
    }
    Ok(())
}
