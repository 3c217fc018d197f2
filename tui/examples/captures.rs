//! Pictures of the dashboard for its documentation, drawn from the samples of its tests: `captures FOLDER [THEME]` writes
//! `main.svg`, `pieces.svg` and `ledger.svg`, in the theme `dusk` unless another is named.

use std::{env, fs, io, path::PathBuf, process::ExitCode};

use potluck::{
    model::{
        dashboard::Dashboard,
        place::{Place, Tab},
        samples,
    },
    theme::{ColorDepth, Theme, ThemeName},
    update::dashboard::{Message, update},
    view::{capture, screen},
};
use ratatui::{Terminal, backend::TestBackend};

/// A picture: its name, what it shows, its cells, and where the dashboard is.
type Capture = (&'static str, &'static str, (u16, u16), Place, Tab);

const CAPTURES: [Capture; 3] = [
    (
        "main",
        "The dashboard: torrents, why the selected one does what it does, speed, fairness and events",
        (120, 38),
        Place::Torrents,
        Tab::Overview,
    ),
    (
        "pieces",
        "The map of a torrent's pieces: which are there, and how many peers have the others",
        (120, 23),
        Place::Detail,
        Tab::Pieces,
    ),
    (
        "ledger",
        "The tit-for-tat ledger: what each peer gave and got, and in words why it is served or not",
        (120, 32),
        Place::Detail,
        Tab::Peers,
    ),
];

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let folder = arguments.next().map(PathBuf::from);
    let theme = arguments.next().map_or(Ok(ThemeName::Dusk), |name| name.parse());
    let (Some(folder), Ok(theme)) = (folder, theme) else {
        #[expect(clippy::print_stderr, reason = "it is a program")]
        {
            eprintln!("usage: captures FOLDER [THEME]");
        }
        return ExitCode::from(2);
    };
    let written = CAPTURES.iter().try_for_each(|capture| {
        fs::write(folder.join(format!("{}.svg", capture.0)), picture(capture, theme)?)
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "it is a program")]
            {
                eprintln!("{}: {error}", folder.display());
            }
            ExitCode::FAILURE
        }
    }
}

fn picture(&(_, title, (width, height), place, tab): &Capture, theme: ThemeName) -> io::Result<String> {
    let mut model = Dashboard::new(None, "/".into());
    update(&mut model, Message::Resize(width, height));
    update(&mut model, Message::Tick(samples::STARTED_AT + samples::UPTIME_SECONDS as f64));
    update(&mut model, Message::Control(samples::whole(&samples::sized(1, 40, 19))));
    (model.place, model.tab, model.piece) = (place, tab, 1_204);
    let theme = Theme::named(theme, ColorDepth::True, false);
    let mut terminal = Terminal::new(TestBackend::new(width, height)).map_err(io::Error::other)?;
    terminal.draw(|frame| drop(screen::draw(frame, &model, &theme))).map_err(io::Error::other)?;
    Ok(capture::svg(terminal.backend().buffer(), title))
}
