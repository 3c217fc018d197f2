//! What a command writes: data on standard output, everything else on standard error.
//!
//! No escape sequence reaches a pipe, and a reader that goes away (`| head`) is not an error.

mod log;
mod paint;

use std::{
    fmt,
    io::{self, IsTerminal as _, Write as _},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

pub use self::paint::Paint;
use super::{
    args::{ColorMode, OutputArgs, ProgressMode},
    exit::{Exit, Failure, Outcome, describe},
};

/// How progress is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// A line that is redrawn, on a terminal.
    Bar,
    /// A plain line now and then.
    Lines,
    /// One JSON object a line on standard error.
    Json,
    /// Not at all.
    None,
}

/// What the decisions below depend on.
#[derive(Clone, Default, Debug)]
struct Surroundings {
    stdout_is_terminal: bool,
    stderr_is_terminal: bool,
    no_color: bool,
    color_forced: bool,
    terminal_is_dumb: bool,
    locale: Option<String>,
}

/// The two streams of a command, and how it may use them.
#[derive(Debug)]
pub struct Output {
    /// Data is printed as JSON.
    pub json: bool,
    /// How progress is shown.
    pub progress: Progress,
    /// Draw with ASCII characters only.
    pub ascii: bool,
    /// An option asks for that.
    pub ascii_is_asked_for: bool,
    /// Only results and errors.
    pub quiet: bool,
    /// Colours of standard output.
    pub paint: Paint,
    /// Standard output is a terminal that can place its cursor.
    pub is_screen: bool,
    /// Somebody wants no screen.
    pub is_plain: bool,
    /// A dashboard is wanted where there is a choice.
    has_dashboard: bool,
    /// What is to be written when the screen was given back, and whether to standard error.
    held: Mutex<Option<Vec<(bool, String)>>>,
    error_paint: Paint,
    bars: MultiProgress,
    reader_is_gone: AtomicBool,
}

impl Output {
    /// Decides from the options and the process's surroundings, and starts logging.
    pub fn new(args: &OutputArgs) -> Self {
        let output = Self::decide(args, &Surroundings::of_this_process());
        log::start(args.verbose, output.error_paint, &output);
        output
    }

    fn decide(args: &OutputArgs, around: &Surroundings) -> Self {
        let colors = |is_terminal: bool| match args.color {
            ColorMode::Always => true,
            ColorMode::Never => false,
            ColorMode::Auto if around.no_color => false,
            ColorMode::Auto => around.color_forced || (is_terminal && !around.terminal_is_dumb),
        };
        let where_it_fits = if around.stderr_is_terminal && !around.terminal_is_dumb {
            Progress::Bar
        } else {
            Progress::Lines
        };
        let progress = match args.progress {
            ProgressMode::Never => Progress::None,
            ProgressMode::Json => Progress::Json,
            ProgressMode::Auto if args.quiet || args.json => Progress::None,
            ProgressMode::Lines => Progress::Lines,
            ProgressMode::Auto | ProgressMode::Always | ProgressMode::Dashboard | ProgressMode::Bar => {
                where_it_fits
            }
        };
        let has_dashboard = match args.progress {
            ProgressMode::Auto => !args.quiet && !args.json,
            ProgressMode::Dashboard => !args.json,
            _ => false,
        };
        Self {
            json: args.json,
            progress,
            ascii: args.ascii || !around.shows_unicode(),
            ascii_is_asked_for: args.ascii,
            quiet: args.quiet,
            paint: Paint::new(colors(around.stdout_is_terminal)),
            is_screen: around.stdout_is_terminal && !around.terminal_is_dumb,
            has_dashboard: has_dashboard && around.stderr_is_terminal,
            is_plain: matches!(args.progress, ProgressMode::Bar | ProgressMode::Lines),
            held: Mutex::new(None),
            error_paint: Paint::new(colors(around.stderr_is_terminal)),
            bars: MultiProgress::new(),
            reader_is_gone: AtomicBool::new(false),
        }
    }

    /// There is a person before a terminal, and nothing was asked for that speaks against a dashboard.
    pub fn is_dashboard(&self) -> bool {
        self.is_screen && io::stdin().is_terminal() && !self.json && self.progress != Progress::Json
    }

    /// As [`Output::is_dashboard`], and nothing smaller was asked for.
    pub fn is_dashboard_wanted(&self) -> bool {
        self.has_dashboard && self.is_dashboard()
    }

    /// From now on nothing is written: the screen is somebody's.
    pub fn hold(&self) {
        self.held().get_or_insert_default();
    }

    /// Writes what was held back.
    pub fn release(&self) -> Outcome {
        let held = self.held().take();
        for (is_error, line) in held.into_iter().flatten() {
            if is_error {
                self.error_line(&line);
            } else {
                self.print(line)?;
            }
        }
        Ok(())
    }

    /// Nothing is written at the moment.
    pub fn is_held(&self) -> bool {
        self.held().is_some()
    }

    fn held(&self) -> MutexGuard<'_, Option<Vec<(bool, String)>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints a line of data on standard output.
    pub fn print(&self, line: impl fmt::Display) -> Outcome {
        if self.reader_is_gone.load(Ordering::Relaxed) {
            return Ok(());
        }
        if let Some(held) = &mut *self.held() {
            held.push((false, line.to_string()));
            return Ok(());
        }
        let text = format!("{line}\n");
        let written = self.bars.suspend(|| {
            let mut stdout = io::stdout().lock();
            stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
        });
        match written {
            Err(error) if self.means_nobody_reads(&error) => {
                self.reader_is_gone.store(true, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                Err(Failure::new(Exit::Disk, "standard output", describe(&error), "free some space"))
            }
            Ok(()) => Ok(()),
        }
    }

    /// The other end of a pipe is closed, or the terminal was.
    fn means_nobody_reads(&self, error: &io::Error) -> bool {
        #[cfg(unix)]
        let is_hung_up = self.is_screen && error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error());
        #[cfg(not(unix))]
        let is_hung_up = false;
        is_hung_up || error.kind() == io::ErrorKind::BrokenPipe
    }

    /// Prints one JSON object, with the schema's number, as a line of standard output.
    pub fn print_json(&self, value: &serde_json::Value) -> Outcome {
        self.print(value)
    }

    /// Writes a line for people on standard error, unless `--quiet`, or `--json`, which is for nobody to read.
    pub fn note(&self, line: impl fmt::Display) {
        if !self.quiet && !self.json {
            self.error_line(&line.to_string());
        }
    }

    /// Writes a warning on standard error: `potluck: warning: …`.
    pub fn warn(&self, line: impl fmt::Display) {
        self.error_line(&format!("potluck: {} {line}", self.error_paint.yellow("warning:")));
    }

    /// Writes the one line of a failure on standard error.
    pub fn fail(&self, failure: &Failure) {
        self.error_line(&format!("{} {}", self.error_paint.red("potluck:"), failure.line()));
    }

    /// Writes a line on standard error, above the bars if there are any.
    pub fn error_line(&self, line: &str) {
        if let Some(held) = &mut *self.held() {
            held.push((true, line.to_owned()));
            return;
        }
        // Nothing can be said about a standard error that is closed.
        let _ = self.bars.suspend(|| io::stderr().write_all(format!("{line}\n").as_bytes()));
    }

    /// A bar whose text the caller writes whole, hidden unless progress is a bar.
    pub fn status_bar(&self) -> ProgressBar {
        if self.progress != Progress::Bar || self.held().is_some() {
            return ProgressBar::hidden();
        }
        let bar = self.bars.add(ProgressBar::new_spinner());
        bar.set_style(ProgressStyle::with_template("{wide_msg}").expect("a constant template is valid"));
        bar
    }
}

impl Surroundings {
    fn of_this_process() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            stdout_is_terminal: io::stdout().is_terminal(),
            stderr_is_terminal: io::stderr().is_terminal(),
            no_color: variable("NO_COLOR").is_some(),
            color_forced: variable("CLICOLOR_FORCE").is_some_and(|value| value != "0"),
            terminal_is_dumb: variable("TERM").is_some_and(|value| value == "dumb"),
            locale: ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable),
        }
    }

    /// A locale that is not set at all says nothing; today's terminals then show Unicode.
    fn shows_unicode(&self) -> bool {
        self.locale.as_deref().is_none_or(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terminal() -> Surroundings {
        Surroundings { stdout_is_terminal: true, stderr_is_terminal: true, ..Surroundings::default() }
    }

    #[test]
    fn colours_follow_the_option_then_the_environment_then_the_stream() {
        let pipe = Surroundings::default();
        let cases = [
            (ColorMode::Auto, terminal(), true),
            (ColorMode::Auto, pipe.clone(), false),
            (ColorMode::Auto, Surroundings { no_color: true, ..terminal() }, false),
            (ColorMode::Auto, Surroundings { terminal_is_dumb: true, ..terminal() }, false),
            (ColorMode::Auto, Surroundings { color_forced: true, ..pipe.clone() }, true),
            (ColorMode::Auto, Surroundings { color_forced: true, no_color: true, ..terminal() }, false),
            (ColorMode::Always, pipe, true),
            (ColorMode::Never, terminal(), false),
        ];
        for (color, around, colored) in cases {
            let args = OutputArgs { color, ..OutputArgs::default() };
            let output = Output::decide(&args, &around);
            assert_eq!(output.paint.bold("x").contains('\x1b'), colored, "{color:?} {around:?}");
        }
    }

    #[test]
    fn progress_follows_the_option_then_the_stream() {
        let cases = [
            (ProgressMode::Auto, false, terminal(), Progress::Bar),
            (ProgressMode::Auto, false, Surroundings::default(), Progress::Lines),
            (
                ProgressMode::Auto,
                false,
                Surroundings { terminal_is_dumb: true, ..terminal() },
                Progress::Lines,
            ),
            (ProgressMode::Auto, true, terminal(), Progress::None),
            (ProgressMode::Always, true, Surroundings::default(), Progress::Lines),
            (ProgressMode::Dashboard, false, terminal(), Progress::Bar),
            (ProgressMode::Bar, true, terminal(), Progress::Bar),
            (ProgressMode::Bar, true, Surroundings::default(), Progress::Lines),
            (ProgressMode::Lines, false, terminal(), Progress::Lines),
            (ProgressMode::Never, false, terminal(), Progress::None),
            (ProgressMode::Json, false, terminal(), Progress::Json),
        ];
        for (progress, json, around, shown) in cases {
            let args = OutputArgs { json, progress, ..OutputArgs::default() };
            assert_eq!(Output::decide(&args, &around).progress, shown, "{progress:?} {json} {around:?}");
        }
    }

    #[test]
    fn a_dashboard_is_for_people_who_asked_for_nothing_smaller() {
        let cases = [
            (ProgressMode::Auto, false, false, terminal(), true),
            (ProgressMode::Auto, true, false, terminal(), false),
            (ProgressMode::Auto, false, true, terminal(), false),
            (ProgressMode::Dashboard, false, true, terminal(), true),
            (ProgressMode::Dashboard, true, false, terminal(), false),
            (ProgressMode::Dashboard, false, false, Surroundings::default(), false),
            (ProgressMode::Auto, false, false, Surroundings::default(), false),
            (ProgressMode::Bar, false, false, terminal(), false),
            (ProgressMode::Always, false, false, terminal(), false),
            (ProgressMode::Never, false, false, terminal(), false),
        ];
        for (progress, json, quiet, around, wanted) in cases {
            let args = OutputArgs { json, progress, quiet, ..OutputArgs::default() };
            let output = Output::decide(&args, &around);
            assert_eq!(output.has_dashboard, wanted, "{progress:?} {json} {quiet} {around:?}");
        }
    }

    #[test]
    fn ascii_follows_the_locale() {
        let cases = [(None, false), (Some("C.UTF-8"), false), (Some("de_DE.utf8"), false), (Some("C"), true)];
        for (locale, ascii) in cases {
            let around = Surroundings { locale: locale.map(Into::into), ..terminal() };
            assert_eq!(Output::decide(&OutputArgs::default(), &around).ascii, ascii, "{locale:?}");
        }
    }
}
