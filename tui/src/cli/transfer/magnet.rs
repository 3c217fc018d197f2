//! Magnet links of `potluck get`: what is known of them from an earlier run, what is asked of peers, what is kept.

use std::{path::Path, sync::Arc, time::Duration};

use potluck_common::{
    Printable,
    control::{TorrentError, TorrentErrorKind, TorrentSnapshot, TorrentState},
    magnet::Magnet,
    metainfo::Metainfo,
};
use potluck_peer::engine::{
    AddError, Engine, MagnetParams, TorrentHandle, TorrentParams, named_peers, selected_files,
};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{
    Signal, Signals, exit_of,
    get::{download, shown},
    kept::Kept,
    origin::{Origin, Resolved},
    params_of_magnet,
    reporter::Reporter,
};
use crate::{
    cli::{
        args::{GetArgs, StateArgs},
        exit::{Exit, Failure, Outcome},
        load,
        output::Output,
        select::{choices, select},
        state,
    },
    units::Seconds,
};

/// How often the passing of time is looked at.
const TICK: Duration = Duration::from_millis(250);

/// Adds a link: as an ordinary torrent if its metadata is known from an earlier run.
pub(super) async fn add(
    engine: &Engine,
    input: &str,
    magnet: Magnet,
    (args, state): (&GetArgs, &StateArgs),
    output: &Output,
) -> Outcome<(TorrentHandle, Origin)> {
    let kept = state::folder(state, output).map(|folder| Kept::below(&folder));
    let explain = |error: AddError| super::add_failure(input, &error);
    if let Some(metainfo) = kept.as_ref().and_then(|kept| kept.metainfo(&magnet)) {
        let files = wanted_files(&args.files, &magnet, &metainfo)?;
        save(args.save_torrent.as_deref(), &magnet, &metainfo)?;
        let mut params = download(args, output)(metainfo, files);
        params.link_peers = named_peers(&magnet).await;
        let origin = Origin::torrent(&params);
        return Ok((engine.add(params).await.map_err(explain)?, origin));
    }
    // What is asked for once the metadata is here, by a task that outlives this call.
    let (link, patterns, target) = (magnet.clone(), args.files.clone(), args.save_torrent.clone());
    let wanted = download(args, output);
    let resolve = move |metainfo: Metainfo| {
        if let Some(kept) = &kept {
            kept.keep(&link, &metainfo);
        }
        save(target.as_deref(), &link, &metainfo).map_err(|failure| error(&failure))?;
        let files = wanted_files(&patterns, &link, &metainfo).map_err(|failure| error(&failure))?;
        Ok(Some(wanted(metainfo, files)))
    };
    let again = as_torrent(magnet.clone(), args, output);
    let params = MagnetParams { resolve: Arc::new(resolve), ..params_of_magnet(magnet, args, output) };
    let origin = Origin::Magnet(Box::new(params.clone()), again);
    Ok((engine.add_magnet(params).map_err(explain)?, origin))
}

/// How a link goes on whose metadata came and was kept and saved before.
fn as_torrent(magnet: Magnet, args: &GetArgs, output: &Output) -> Resolved {
    let (patterns, wanted) = (args.files.clone(), download(args, output));
    Arc::new(move |metainfo| {
        let files = wanted_files(&patterns, &magnet, &metainfo)?;
        Ok(TorrentParams { force_check: false, ..wanted(metainfo, files) })
    })
}

/// Waits until the metadata of a link is known, and no longer than `--timeout`; gives it with the files that are wanted.
pub(super) async fn look_up(
    engine: &Engine,
    input: &str,
    magnet: Magnet,
    args: &GetArgs,
    state: &StateArgs,
    signals: &mut Signals,
    output: &Output,
) -> Outcome<(Metainfo, Option<Vec<usize>>)> {
    let kept = state::folder(state, output).map(|folder| Kept::below(&folder));
    let known = kept.as_ref().and_then(|kept| kept.metainfo(&magnet));
    let metainfo = match known {
        Some(metainfo) => metainfo,
        None => ask_peers(engine, input, &magnet, args, signals, output).await?,
    };
    if let Some(kept) = &kept {
        kept.keep(&magnet, &metainfo);
    }
    save(args.save_torrent.as_deref(), &magnet, &metainfo)?;
    let files = wanted_files(&args.files, &magnet, &metainfo)?;
    Ok((metainfo, files))
}

async fn ask_peers(
    engine: &Engine,
    input: &str,
    magnet: &Magnet,
    args: &GetArgs,
    signals: &mut Signals,
    output: &Output,
) -> Outcome<Metainfo> {
    // Once the metadata is here it is over.
    let params =
        MagnetParams { resolve: Arc::new(|_| Ok(None)), ..params_of_magnet(magnet.clone(), args, output) };
    let handle = engine.add_magnet(params).map_err(|error| super::add_failure(input, &error))?;
    let (began, mut reporter) = (Instant::now(), Reporter::new(output));
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let found = loop {
        tokio::select! {
            Some(metainfo) = handle.wait_metainfo() => break Ok(metainfo),
            _ = tick.tick() => {
                let snapshot = handle.snapshot();
                reporter.state(&snapshot, output)?;
                if let Some(failure) = given_up(input, &snapshot, began, args.timeout) {
                    break Err(failure);
                }
            }
            signal = signals.next() => {
                let exit = match signal {
                    Signal::Interrupt => Exit::Stopped,
                    Signal::Terminate => Exit::Terminated,
                };
                break Err(Failure::new(exit, shown(magnet), "stopped without the metadata", ""));
            }
        }
    };
    reporter.finish();
    found
}

fn given_up(input: &str, snapshot: &TorrentSnapshot, began: Instant, timeout: Duration) -> Option<Failure> {
    if let TorrentState::Failed(error) = &snapshot.state {
        return Some(Failure::new(exit_of(error.kind), input, &error.message, ""));
    }
    let is_over = !timeout.is_zero() && began.elapsed() >= timeout;
    is_over.then(|| {
        let why = snapshot.stall.clone().unwrap_or_default();
        let what = format!("no metadata after {}: {why}", Seconds(timeout.as_secs()));
        Failure::new(Exit::TimedOut, input, what, "name a peer with --peer, or wait longer")
    })
}

/// The files that the options select, else those that the link does (BEP 53).
fn wanted_files(patterns: &[String], magnet: &Magnet, metainfo: &Metainfo) -> Outcome<Option<Vec<usize>>> {
    if patterns.is_empty() {
        return selected_files(magnet, metainfo)
            .map_err(|error| Failure::new(exit_of(error.kind), shown(magnet), error.message, ""));
    }
    select(patterns, &choices(metainfo))
}

/// Writes the torrent file where the options say.
fn save(target: Option<&Path>, magnet: &Magnet, metainfo: &Metainfo) -> Outcome {
    let Some(target) = target else { return Ok(()) };
    load::save(target, metainfo, &magnet.torrent_file(metainfo.info_bytes()))
}

/// The failure as the engine tells of it, of which `exit_of` makes the same exit code.
fn error(failure: &Failure) -> TorrentError {
    let kind = match failure.exit {
        Exit::NotFound => TorrentErrorKind::NotFound,
        Exit::Usage => TorrentErrorKind::Invalid,
        Exit::Conflict => TorrentErrorKind::Conflict,
        Exit::BadTorrent => TorrentErrorKind::BadTorrent,
        Exit::Disk => TorrentErrorKind::Disk,
        _ => TorrentErrorKind::Internal,
    };
    TorrentError { kind, message: Printable::new(&failure.line()) }
}
