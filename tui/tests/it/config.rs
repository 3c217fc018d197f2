//! The configuration file: checked, shown, and in force wherever there is a dashboard; and the look that is remembered.

use std::fs;

use libtest_mimic::Trial;
use portable_pty::CommandBuilder;

use crate::{
    sandbox::{PROGRAM, Running, Sandbox},
    terminal::OnTerminal,
    test,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("a_configuration_is_checked_and_shown", a_configuration_is_checked_and_shown),
        test("a_bad_configuration_is_told_before_anything", a_bad_configuration_is_told_before_anything),
        test("keys_of_ones_own_are_in_force_and_told", keys_of_ones_own_are_in_force_and_told),
        test("what_goes_before_the_configuration", what_goes_before_the_configuration),
        test("the_theme_of_the_environment", the_theme_of_the_environment),
        test("get_remembers_the_look", get_remembers_the_look),
    ]
}

const KEYS: &str = "[dashboard]\ntheme = \"paper\"\n\n[keys]\nquit = \"x\"\nhelp = \"F12\"\nturtle = []\n";

fn a_configuration_is_checked_and_shown() {
    let sandbox = Sandbox::new();
    let config = sandbox.path("config.toml");
    let run = |command: &str| sandbox.run(["config", command, "--config", "config.toml"]);
    run("check").fails(3, &["config.toml", "no such file"]);
    fs::write(&config, KEYS).expect("written");
    let done = run("check");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stderr.contains("config.toml: 4 settings, nothing wrong"), "{done:?}");
    let done = run("show");
    assert_eq!(done.code, Some(0), "{done:?}");
    for line in
        ["quit = [\"x\",\"Ctrl-C\"]", "turtle = []", "pause = \"Space\"", "# bits =", "theme = \"paper\""]
    {
        assert!(done.stdout.lines().any(|shown| shown.starts_with(line)), "{line}: {}", done.stdout);
    }
    // What is shown is a configuration, which is written to where there is none.
    let write = |path| sandbox.run(["config", "show", "--config", "config.toml", "--output", path]);
    assert_eq!(write("new/one.toml").code, Some(0));
    assert_eq!(sandbox.run(["config", "check", "--config", "new/one.toml"]).code, Some(0));
    let shown = done.stdout.split_once('\n').expect("lines").1;
    assert_eq!(fs::read_to_string(sandbox.path("new/one.toml")).expect("it is there"), shown);
    for taken in ["new/one.toml", "config.toml"] {
        let before = fs::read(sandbox.path(taken)).expect("it is there");
        write(taken).fails(10, &[taken, "choose another name"]);
        assert_eq!(fs::read(sandbox.path(taken)).expect("it is there"), before);
    }
    let left = fs::read_dir(sandbox.path("new")).expect("a folder").count();
    assert_eq!(left, 1, "nothing else is left");
    let bad = "[keys]\npause = \"p\"\nfilter = \"alt-f\"\nquti = \"x\"\npeers = \"p\"\n";
    fs::write(&config, bad).expect("written");
    let done = run("check");
    assert_eq!(done.code, Some(2), "{done:?}");
    for told in
        ["config.toml:5: keys.peers: p is pause, too", "config.toml:3: keys.filter", "did you mean quit?"]
    {
        assert!(done.stderr.contains(told), "{told}: {done:?}");
    }
    run("show").fails(2, &["config.toml:3: keys.filter", "2 more: potluck config check"]);
    // A chosen key is taken from what usually has it.
    fs::write(&config, "[keys]\npause = \"p\"\n").expect("written");
    let done = run("check");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stderr.contains("config.toml: p is pause, as chosen, and peers no more"), "{done:?}");
    fs::write(&config, b"[keys]\n\xff").expect("written");
    run("check").fails(2, &["config.toml:2", "no UTF-8"]);
    fs::write(&config, "#".repeat(65 * 1024)).expect("written");
    run("check").fails(2, &["longer than 64 KiB"]);
}

fn dashboard(sandbox: &Sandbox, options: &str, theme: Option<&str>) -> OnTerminal {
    fs::create_dir_all(sandbox.path("dst")).expect("a folder");
    let mut command = CommandBuilder::new(PROGRAM);
    command.args(["tui", "--port", "0", "--bind", &sandbox.ip(), "-o", "dst"]);
    command.args(options.split_whitespace());
    command.env("HOME", sandbox.path("."));
    command.env("POTLUCK_CONFIG", sandbox.path("config.toml"));
    if let Some(theme) = theme {
        command.env("POTLUCK_THEME", theme);
    }
    OnTerminal::start_command(sandbox, command, 100, 30)
}

fn a_bad_configuration_is_told_before_anything() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("config.toml"), "[keys]\nquit = []\nzen = \"ctrl-c\"\n").expect("written");
    let mut board = dashboard(&sandbox, "", None);
    assert_eq!(board.finish(), 2, "{:?}", board.seen);
    assert!(board.seen.contains("config.toml:2: keys.quit: no key would lead out"), "{:?}", board.seen);
    assert!(!board.seen.contains("\x1b[?1049h") && !sandbox.path("state-of-terminal").exists());
}

fn keys_of_ones_own_are_in_force_and_told() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("config.toml"), KEYS).expect("written");
    let mut board = dashboard(&sandbox, "", None);
    board.wait_to_see("nothing here yet");
    board.wait_to_see("F12 help  x quit");
    // The keys before are nobody's.
    board.press("qT?7");
    board.wait_for_screen("the setting", |text| text.contains("the turtle's limits hold instead  "));
    board.press("\x1b[24~");
    board.wait_to_see("Help: every key");
    board.press("turtle");
    board.wait_for_screen("it has no key", |text| {
        text.lines().any(|line| line.contains("none") && line.contains("turtle: the slow limits instead"))
    });
    board.press("\r");
    board.wait_for_screen("the help is gone", |text| !text.contains("Help: every key"));
    board.press("x");
    assert_eq!(board.finish(), 0, "{:?}", board.seen);
    board.assert_restored();
}

fn what_goes_before_the_configuration() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("config.toml"), KEYS).expect("written");
    let cases = [("", None, "paper"), ("", Some("dusk"), "dusk"), ("--theme mono", Some("dusk"), "mono")];
    for (options, environment, theme) in cases {
        let mut board = dashboard(&sandbox, options, environment);
        board.press("7");
        let is_it = |line: &str| line.contains("Theme  ") && line.contains(theme);
        board.wait_for_screen(theme, |text| text.lines().any(is_it));
        board.press("x");
        assert_eq!(board.finish(), 0, "{:?}", board.seen);
    }
}

/// It is asked where a dashboard opens, and nowhere else.
fn the_theme_of_the_environment() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("config.toml"), KEYS).expect("written");
    let mut board = dashboard(&sandbox, "", Some("dust"));
    assert_eq!(board.finish(), 2, "{:?}", board.seen);
    assert!(board.seen.contains("POTLUCK_THEME: there is no theme"), "{:?}", board.seen);
    let mut get = sandbox.command();
    get.args(["get", "none.torrent"]).env("POTLUCK_THEME", "dust");
    Running::start(get).finish().fails(3, &["none.torrent"]);
    let mut board = dashboard(&sandbox, "", Some(""));
    board.press("7");
    board.wait_for_screen("paper", |text| {
        text.lines().any(|line| line.contains("Theme  ") && line.contains("paper"))
    });
    board.press("x");
    assert_eq!(board.finish(), 0, "{:?}", board.seen);
}

fn get_remembers_the_look() {
    let sandbox = Sandbox::new();
    sandbox.file("src/one.bin", 2_000_000, 3);
    sandbox.create("src/one.bin");
    let line = format!("get one.bin.torrent -o dst --port 0 --bind {}", sandbox.ip());
    for is_again in [false, true] {
        let mut get = OnTerminal::start(&sandbox, &line, 140, 40);
        let title = if is_again { "Speed 1h" } else { "Speed 5m" };
        get.wait_to_see(title);
        get.press("t");
        get.wait_to_see(if is_again { "Speed 1d" } else { "Speed 1h" });
        get.press("q");
        assert_eq!(get.finish(), 7, "{:?}", get.seen);
    }
}
