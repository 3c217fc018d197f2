//! `potluck get`: downloads torrents and exits when they are complete.

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
};

use potluck_common::{
    control::{Limits, Settings},
    magnet::Magnet,
    metainfo::Metainfo,
};
use potluck_peer::engine::{Engine, Intent, TorrentHandle, TorrentParams, require_v1};
use tokio::sync::{mpsc, oneshot};

use super::{
    Run, SHUTDOWN_DEADLINE, Signal, Signals, add_failure,
    helm::helm,
    hook::Hook,
    item::{Item, Task},
    magnet,
    origin::Origin,
    params,
    reporter::{json_line, result_json},
    start_engine,
    window::Window,
};
use crate::{
    cli::{
        args::{GetArgs, LookArgs, StateArgs},
        config::{self, Config},
        dashboard::{keep_look, model, open_screen, terminal_failure, theme},
        exit::{Exit, Failure, Outcome, worst},
        load,
        output::Output,
        select::{choices, select},
        source::{Source, classify},
        state,
        web::{fetch, runtime},
    },
    io::dashboard::{Board, Call, Ended, Link},
    units::Bytes,
};

/// What is to be downloaded.
enum Wanted {
    /// A torrent that was read and found fit to download.
    Torrent { input: String, metainfo: Metainfo, files: Option<Vec<usize>> },
    /// A magnet link that was read.
    Magnet { input: String, magnet: Magnet },
}

impl Wanted {
    fn input(&self) -> &str {
        match self {
            Self::Torrent { input, .. } | Self::Magnet { input, .. } => input,
        }
    }
}

/// Runs `potluck get`.
pub fn run(args: &GetArgs, state: &StateArgs, output: &Output) -> Outcome<Exit> {
    let hook = args.on_done.as_deref().map(Hook::parse).transpose()?;
    let wants_screen = output.is_dashboard_wanted() && !args.list;
    let config = if wants_screen { config::of_dashboard(state)? } else { Config::default() };
    let runtime = runtime()?;
    let exit = runtime.block_on(async {
        let mut signals = if wants_screen { Signals::of_a_screen()? } else { Signals::new()? };
        tokio::select! {
            wanted = read_all(args, output) => get_all((args, state, config), hook, wanted?, &mut signals, output).await,
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
        Source::Magnet(link) => {
            let magnet = load::magnet(&link)?;
            require_v1(&magnet).map_err(|error| add_failure(&text, &error))?;
            return Ok(Wanted::Magnet { magnet, input: text });
        }
    };
    load::require_v1(&text, &metainfo)?;
    let files = select(&args.files, &choices(&metainfo))?;
    Ok(Wanted::Torrent { input: text, metainfo, files })
}

/// What a link is called until its metadata is known.
pub(super) fn shown(magnet: &Magnet) -> String {
    magnet.name.clone().unwrap_or_else(|| magnet.info_hash().to_string())
}

async fn get_all(
    (args, state, config): (&GetArgs, &StateArgs, Config),
    hook: Option<Hook>,
    (wanted, exits): (Vec<Wanted>, Vec<Exit>),
    signals: &mut Signals,
    output: &Output,
) -> Outcome<Exit> {
    if args.list {
        return list_all(args, state, (wanted, exits), signals, output).await;
    }
    if wanted.is_empty() {
        return Ok(worst(exits));
    }
    let engine = start_engine(&args.network, state, output).await?;
    if output.is_dashboard_wanted() {
        // The screen will be the dashboard's.
        output.hold();
    }
    let exit = transfer(&engine, (args, state, config), hook, (wanted, exits), signals, output).await;
    output.release()?;
    exit
}

async fn transfer(
    engine: &Engine,
    (args, state, config): (&GetArgs, &StateArgs, Config),
    hook: Option<Hook>,
    (wanted, mut exits): (Vec<Wanted>, Vec<Exit>),
    signals: &mut Signals,
    output: &Output,
) -> Outcome<Exit> {
    let (helm, wheel) = helm();
    let (mut window, link) = Window::open(engine.clone(), settings(args), wheel);
    let mut items = Vec::new();
    for one in wanted {
        let input = one.input().to_owned();
        let is_private = matches!(&one, Wanted::Torrent { metainfo, .. } if metainfo.private());
        match add(engine, one, (args, state), hook.clone(), output).await {
            Ok((item, handle)) => {
                items.push(item);
                window.add(handle, args.output.clone(), is_private);
            }
            Err(failure) => exits.push(report(&input, &failure, output)?),
        }
    }
    let keyboard = signals.keyboard();
    let run = Run { engine, items, timeout: args.timeout, signals, output, helm };
    let exit = if output.is_dashboard_wanted() && !run.items.is_empty() {
        let (done, over) = oneshot::channel();
        let running = run.until_the_end(|| {
            // Who left the dashboard does not wait for it.
            let _ = done.send(());
        });
        let look = (args.look, config, state::place(state));
        watched((running, over), (window, link), look, keyboard, output).await
    } else {
        // Nobody looks, and what is told would pile up.
        drop((window, link));
        run.until_the_end(|| ()).await
    };
    exits.push(exit?);
    Ok(worst(exits))
}

/// What the options say, as the dashboard shows it.
fn settings(args: &GetArgs) -> Settings {
    Settings {
        directory: args.output.clone(),
        limits: Limits { down: args.network.down.0, up: args.network.up.0 },
        ..Settings::default()
    }
}

/// Shows a dashboard while `running` runs, until it is `over`. Leaving it is Ctrl-C.
async fn watched(
    (running, mut over): (impl Future<Output = Outcome<Exit>>, oneshot::Receiver<()>),
    (window, link): (Window, Link),
    (look, config, folder): (LookArgs, Config, Option<PathBuf>),
    keyboard: mpsc::UnboundedSender<Signal>,
    output: &Output,
) -> Outcome<Exit> {
    let mut suspensions = Signals::of_a_screen()?;
    let mut screen = open_screen(look, &config)?;
    let mut model = model(look, config, folder.as_deref(), output);
    let before = model.look();
    let theme = theme(output);
    let showing = async {
        let mut board = Board::new(&mut model, &mut screen, &theme);
        let calls = async || {
            tokio::select! {
                _ = &mut over => Call::End(()),
                call = suspensions.next_call() => match call {
                    Call::Suspend => Call::Suspend,
                    // The run hears of the end by itself.
                    Call::End(_) => std::future::pending().await,
                },
            }
        };
        let starting = async { Ok::<_, Infallible>(((), link)) };
        let Ok((_, ended)) = board.run(starting, calls).await;
        drop(screen);
        keep_look(folder.as_deref(), before, &model, output);
        // The run is there as long as this is.
        let _ = match ended {
            Ended::Called(()) => Ok(()),
            Ended::Gone => keyboard.send(Signal::Terminate),
            Ended::Quit | Ended::Failed(_) => keyboard.send(Signal::Interrupt),
        };
        // From here on an ending says what it does, and a second Ctrl-C is heard.
        output.release()?;
        match ended {
            Ended::Failed(error) => Err(terminal_failure(&error)),
            Ended::Called(()) | Ended::Gone | Ended::Quit => Ok(()),
        }
    };
    let (exit, shown, ()) = tokio::join!(running, showing, window.run());
    shown?;
    exit
}

async fn add(
    engine: &Engine,
    one: Wanted,
    (args, state): (&GetArgs, &StateArgs),
    hook: Option<Hook>,
    output: &Output,
) -> Outcome<(Item, TorrentHandle)> {
    let input = one.input().to_owned();
    let (name, (handle, origin)) = match one {
        Wanted::Torrent { metainfo, files, .. } => {
            let name = metainfo.name().to_owned();
            let params = download(args, output)(metainfo, files);
            let origin = Origin::torrent(&params);
            let handle = engine.add(params).await.map_err(|error| add_failure(&input, &error))?;
            (name, (handle, origin))
        }
        Wanted::Magnet { magnet, .. } => {
            let name = shown(&magnet);
            (name, magnet::add(engine, &input, magnet, (args, state), output).await?)
        }
    };
    let task = Task::Get { seed: args.seed, hook, stall_timeout: args.stall_timeout };
    let item = Item::new(input, &name, args.output.clone(), (&handle, origin), task, output);
    Ok((item, handle))
}

/// What a torrent of which these files are wanted is added with.
pub(super) fn download(
    args: &GetArgs,
    output: &Output,
) -> impl Fn(Metainfo, Option<Vec<usize>>) -> TorrentParams + Send + Sync + use<> {
    let params = params(&args.output, &args.network, output);
    let (sequential, force_check) = (args.sequential, args.check);
    move |metainfo, wanted_files| TorrentParams {
        intent: Intent::Download,
        wanted_files,
        sequential,
        force_check,
        ..params(metainfo)
    }
}

/// Shows the files of everything that was named; those of magnet links are asked of peers first.
async fn list_all(
    args: &GetArgs,
    state: &StateArgs,
    (wanted, mut exits): (Vec<Wanted>, Vec<Exit>),
    signals: &mut Signals,
    output: &Output,
) -> Outcome<Exit> {
    let has_magnets = wanted.iter().any(|one| matches!(one, Wanted::Magnet { .. }));
    let engine = if has_magnets { Some(start_engine(&args.network, state, output).await?) } else { None };
    for one in wanted {
        let known = match (one, &engine) {
            (Wanted::Torrent { input, metainfo, files }, _) => Ok((input, metainfo, files)),
            (Wanted::Magnet { input, magnet }, Some(engine)) => {
                let found = magnet::look_up(engine, &input, magnet, args, state, signals, output).await;
                found
                    .map(|(metainfo, files)| (input.clone(), metainfo, files))
                    .map_err(|failure| (input, failure))
            }
            (Wanted::Magnet { .. }, None) => continue,
        };
        match known {
            Ok((input, metainfo, files)) => list(&input, &metainfo, files.as_deref(), output)?,
            Err((input, failure)) => {
                exits.push(report(&input, &failure, output)?);
                if matches!(failure.exit, Exit::Stopped | Exit::Terminated) {
                    // That was about all of them.
                    break;
                }
            }
        }
    }
    if let Some(engine) = engine {
        engine.shutdown(SHUTDOWN_DEADLINE).await;
    }
    Ok(worst(exits))
}

/// Shows the files with the numbers that `--files` understands.
fn list(input: &str, metainfo: &Metainfo, files: Option<&[usize]>, output: &Output) -> Outcome {
    for choice in choices(metainfo) {
        let is_wanted = files.is_none_or(|files| files.contains(&choice.index));
        if output.json {
            output.print_json(&serde_json::json!({
                "schema": 1,
                "input": input,
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
