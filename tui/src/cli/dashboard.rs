//! `potluck` on a terminal: the dashboard, on an engine of its own.

use std::{
    env, io,
    path::{Path, PathBuf},
};

use directories::UserDirs;
use potluck_common::control::{Command, Settings, SettingsChange};
use potluck_peer::{
    engine::{Engine, EngineConfig},
    manager::{Manager, ManagerConfig, ManagerError},
};

use super::{
    args::{LookArgs, StateArgs, TuiArgs},
    config::{self, Config},
    exit::{Exit, Failure, Outcome, describe},
    output::Output,
    state,
    taste::{self, Chosen, Wishes},
    transfer::{SHUTDOWN_DEADLINE, Signal, Signals, start_failure},
    web::runtime,
};
use crate::{
    io::{
        dashboard::{Board, Call, Ended, Link},
        terminal::{Input, Screen},
        zone,
    },
    model::{
        dashboard::{Dashboard, Look},
        setting::Taste,
    },
    theme::{ColorDepth, Theme},
};

/// The folder of the list, within that of all state.
const LIST: &str = "list";

/// Runs the dashboard.
pub fn run(args: &TuiArgs, state: &StateArgs, output: &Output) -> Outcome<Exit> {
    if !output.is_dashboard() {
        let what = "the dashboard needs a terminal";
        return Err(Failure::new(Exit::Usage, "tui", what, "potluck get and seed work without one"));
    }
    let config = config::of_dashboard(state)?;
    // What cannot be kept is said before the screen is taken.
    let state_folder = state::folder(state, output);
    let runtime = runtime()?;
    let exit = runtime.block_on(show(args, (state, config), state_folder, output));
    runtime.shutdown_background();
    exit
}

async fn show(
    args: &TuiArgs,
    (state, config): (&StateArgs, Config),
    state_folder: Option<PathBuf>,
    output: &Output,
) -> Outcome<Exit> {
    let mut signals = Signals::of_a_screen()?;
    let mut screen = open_screen(args.look, &config)?;
    let mut model = model(args.look, config, state_folder.as_deref(), output);
    let look = model.look();
    let mut board_settings = Vec::new();
    if let Some(folder) = &args.output {
        let change = SettingsChange::Directory(absolute(folder));
        board_settings.push(model.ask_quietly(Command::Set(change)));
    }
    let theme = theme(output);
    let mut board = Board::new(&mut model, &mut screen, &theme);
    for request in board_settings {
        board.ask(request);
    }
    let is_kept = state_folder.is_some();
    let starting = start(args, state, state_folder.clone());
    let ended = board.run(starting, async || signals.next_call().await).await;
    drop(screen);
    keep_look(state_folder.as_deref(), look, &model, output);
    let (manager, ended) = ended?;
    if !model.pending.is_empty() {
        let asked: Vec<&str> = model.pending.values().map(String::as_str).collect();
        output.warn(format!("you quit before this was done: {}", asked.join(", ")));
    }
    if let Some(manager) = manager {
        output.note(if is_kept {
            "stopping the transfers; they go on when you start potluck again"
        } else {
            "stopping the transfers; the list is not kept"
        });
        tokio::select! {
            () = manager.shutdown(SHUTDOWN_DEADLINE) => {}
            signal = signals.next_hurry() => return Ok(match signal {
                Signal::Interrupt => Exit::Interrupted,
                Signal::Terminate => Exit::Terminated,
            }),
        }
    }
    match ended {
        Ended::Called(Signal::Terminate) | Ended::Gone => Ok(Exit::Terminated),
        Ended::Quit | Ended::Called(Signal::Interrupt) => Ok(Exit::Done),
        Ended::Failed(error) => Err(terminal_failure(&error)),
    }
}

/// Takes the terminal for the dashboard.
pub(super) fn open_screen(look: LookArgs, config: &Config) -> Outcome<Screen> {
    let mouse = !look.no_mouse && config.dashboard.mouse.unwrap_or(true);
    let input = Input { mouse, paste: true };
    Screen::open_with(input).map_err(|error| terminal_failure(&error))
}

/// What it means that the terminal cannot be used.
pub(super) fn terminal_failure(error: &io::Error) -> Failure {
    Failure::new(Exit::Other, "the terminal", error, "potluck get and seed work without one")
}

/// A dashboard that knows nothing yet but its keys and how it looks; `folder` remembers what was chosen before.
pub(super) fn model(look: LookArgs, config: Config, folder: Option<&Path>, output: &Output) -> Dashboard {
    let home = UserDirs::new().map(|folders| folders.home_dir().to_owned());
    let mut model = Dashboard::new(home, env::current_dir().unwrap_or_default());
    let wishes = Wishes::of(look, config.dashboard, output);
    model.set_look(Chosen::load(folder).look(wishes));
    model.keymap = config.keymap;
    model.zone = zone::of_this_machine();
    model
}

/// Remembers what was changed of the look since it was `before`.
pub(super) fn keep_look(folder: Option<&Path>, before: Look, model: &Dashboard, output: &Output) {
    if let Some(Err(error)) = folder.map(|folder| taste::remember(folder, before, model.look())) {
        output.warn(format!("how the dashboard looks is not remembered: {}", describe(&error)));
    }
}

/// How the dashboard's taste is shown on this terminal.
pub(super) fn theme(output: &Output) -> impl Fn(&Taste) -> Theme + use<> {
    let depth = if output.paint.is_colored() {
        ColorDepth::advertised(|name| env::var(name).ok())
    } else {
        ColorDepth::None
    };
    move |taste| Theme::named(taste.theme, depth, taste.ascii)
}

async fn start(args: &TuiArgs, state: &StateArgs, folder: Option<PathBuf>) -> Outcome<(Manager, Link)> {
    let defaults = EngineConfig::default();
    let config = EngineConfig {
        bind: args.bind,
        ports: args.port.clone(),
        pex: !args.no_pex,
        lsd: !args.local.no_lsd,
        port_map: !args.local.no_port_map,
        state_dir: folder.clone(),
        dht: args.dht.settings(),
        state_interval: state
            .state_interval_ms
            .map_or(defaults.state_interval, std::time::Duration::from_millis),
        ..defaults
    };
    let engine = Engine::start(config).await.map_err(|error| start_failure(&error))?;
    let settings = Settings { directory: default_folder(), ..Settings::default() };
    let config = ManagerConfig { engine, store: folder.map(|folder| folder.join(LIST)), settings };
    let manager = Manager::start(config).await.map_err(|error| {
        let exit = match &error {
            ManagerError::InUse { .. } => Exit::Conflict,
            ManagerError::Folder { .. } | ManagerError::Newer { .. } => Exit::Disk,
        };
        Failure::sentence(exit, error)
    })?;
    let client = manager.connect();
    Ok((manager, Link { requests: client.requests, updates: client.updates }))
}

/// Where new torrents go unless a person said otherwise: the folder for downloads, else where we were started.
fn default_folder() -> PathBuf {
    let downloads = UserDirs::new().and_then(|folders| folders.download_dir().map(Path::to_path_buf));
    downloads.filter(|folder| folder.is_dir()).unwrap_or_else(|| absolute(Path::new(".")))
}

fn absolute(folder: &Path) -> PathBuf {
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf())
}

impl Signals {
    /// What the next signal means for a screen. Safe to drop while it waits.
    pub(crate) async fn next_call(&mut self) -> Call<Signal> {
        self.next_or_suspend().await.map_or(Call::Suspend, Call::End)
    }
}
