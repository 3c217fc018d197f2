//! The demo, without a terminal and on one.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use libtest_mimic::Trial;
use portable_pty::CommandBuilder;

use crate::{
    sandbox::{Done, Sandbox},
    terminal::OnTerminal,
    test,
};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials =
        vec![test("demo_in_plain_lines", demo_in_plain_lines), test("demo_as_json", demo_as_json)];
    #[cfg(unix)]
    trials.push(test("demo_cleans_up_after_ctrl_c", demo_cleans_up_after_ctrl_c));
    if cfg!(unix) {
        trials.extend([
            test("demo_on_a_terminal_draws_and_restores", demo_on_a_terminal_draws_and_restores),
            test("q_ends_the_demo_and_restores", q_ends_the_demo_and_restores),
            test("members_of_the_demo_are_seen_from_near", members_of_the_demo_are_seen_from_near),
            test("a_bar_on_a_terminal", a_bar_on_a_terminal),
            test("a_panic_restores_the_terminal", a_panic_restores_the_terminal),
        ]);
    }
    trials
}

const SHORT: &str = "demo --fast --size 4M";

fn is_clean(sandbox: &Sandbox) -> bool {
    fs::read_dir(sandbox.path(".")).expect("a folder").next().is_none()
}

const DID_NOT_PAY: &str = "Free riding did not pay: ";
/// How the sentence about the free rider begins. That it is the first one is what `demo_as_json` is held to.
const FARES: [&str; 3] =
    [DID_NOT_PAY, "The free rider fared as well as the contributors: ", "Free riding paid: "];

fn demo_in_plain_lines() {
    let sandbox = Sandbox::new();
    let done = sandbox.potluck(SHORT);
    assert_eq!(done.code, Some(0), "{done:?}");
    // One line a leecher, and the sentence; the free rider may have got everything too.
    assert!(done.stdout.matches("identical").count() > 6, "{done:?}");
    assert!(done.stdout.contains("6 copies of 4.00 MiB, every byte identical"), "{done:?}");
    assert!(done.stderr.contains("leecher 6 is complete after"), "{done:?}");
    // The last line is how the free rider fared, however that was.
    let last = done.stdout.lines().last().expect("there is a result");
    assert!(FARES.iter().any(|fare| last.starts_with(fare)) && last.ends_with('.'), "{done:?}");
    assert!(!done.stdout.contains('\x1b') && !done.stderr.contains('\x1b'), "{done:?}");
    assert!(is_clean(&sandbox), "the temporary folder is gone");
}

/// The demo as JSON, in which free riding did not pay. Not the shortest: of 4 MiB, six credits of 512 KiB are most.
///
/// It lasts eight seconds in real time. On a machine that is busy with others all that time, members wait for the processor
/// and not for each other's uplinks, and who gives nothing loses nothing by it; so it has a second chance, and no third.
fn where_free_riding_does_not_pay() -> Done {
    let mut sentences = Vec::new();
    for _ in 0..2 {
        let done = Sandbox::new().potluck("demo --fast --size 16M --json");
        assert_eq!((done.code, &done.stderr[..]), (Some(0), ""), "{done:?}");
        let result = done.events().pop().expect("a result");
        let sentence = result["free_rider"]["sentence"].as_str().expect("a sentence").to_owned();
        if sentence.starts_with(DID_NOT_PAY) {
            return done;
        }
        sentences.push(sentence);
    }
    panic!("{sentences:#?}")
}

fn demo_as_json() {
    let done = where_free_riding_does_not_pay();
    let result = done.events().pop().expect("a result");
    assert_eq!(result["event"], "result");
    let members = result["members"].as_array().expect("members");
    let leechers: Vec<_> = members.iter().filter(|member| member["role"] == "leecher").collect();
    assert!(leechers.len() == 6 && leechers.iter().all(|member| member["identical"] == true), "{result}");
    let rider = members.iter().find(|member| member["role"] == "freerider").expect("there is one");
    assert_eq!(rider["uploaded"], 0, "{result}");
    let fare = &result["free_rider"];
    let got =
        ["from_seeder", "from_unfinished", "from_finished"].map(|key| fare[key].as_u64().expect("bytes"));
    // What passed since the last look at a connection that ended is not among them.
    assert!(got.iter().sum::<u64>() * 4 >= fare["have_size"].as_u64().expect("bytes") * 3, "{fare}");
    let rate = |key: &str| fare[key].as_u64().expect("bytes per second");
    assert!(rate("contributors_rate") > rate("rate"), "{fare}");
    let decisions: Vec<_> = done.events().into_iter().filter(|event| event["event"] == "decision").collect();
    assert!(decisions.iter().any(|decision| decision["member"] == "seeder"), "{decisions:?}");
    assert!(done.events().iter().any(|event| event["event"] == "progress" && event["phase"] == "sharing"));
}

#[cfg(unix)]
fn demo_cleans_up_after_ctrl_c() {
    let sandbox = Sandbox::new();
    let mut demo = sandbox.start("demo --json");
    demo.wait_for(|event| event["phase"] == "sharing" && event["seconds"].as_f64() > Some(1.0));
    assert!(!is_clean(&sandbox));
    demo.signal(rustix::process::Signal::INT);
    let done = demo.finish();
    done.fails(7, &["demo", "stopped after"]);
    assert!(is_clean(&sandbox), "the temporary folder is gone");
}

fn demo_on_a_terminal_draws_and_restores() {
    let sandbox = Sandbox::new();
    let mut demo = OnTerminal::start(&sandbox, SHORT, 80, 24);
    demo.wait_for("leecher 6");
    demo.wait_for("█");
    assert_eq!(demo.finish(), 0, "{:?}", demo.seen);
    demo.assert_restored();
    let after = demo.seen.rsplit("\x1b[?1049l").next().expect("restored");
    assert!(after.contains("every byte identical") && after.contains("the original"), "{after:?}");
    assert!(FARES.iter().any(|fare| after.contains(fare)), "{after:?}");
    assert!(demo.seen.contains("gives to whom, and why"), "the reasons are on the screen");
    assert!(is_clean(&sandbox), "the temporary folder is gone");
}

fn q_ends_the_demo_and_restores() {
    let sandbox = Sandbox::new();
    for keys in ["q", "\x03"] {
        let mut demo = OnTerminal::start(&sandbox, "demo", 200, 60);
        demo.wait_for("gives to whom, and why");
        demo.press(keys);
        let started = Instant::now();
        assert_eq!(demo.finish(), 7, "{:?}", demo.seen);
        assert!(demo.seen.contains("demo: stopped after"), "{:?}", demo.seen);
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
        demo.assert_restored();
        assert!(is_clean(&sandbox), "the temporary folder is gone");
    }
}

fn members_of_the_demo_are_seen_from_near() {
    let sandbox = Sandbox::new();
    let mut demo = OnTerminal::start(&sandbox, "demo", 140, 40);
    demo.wait_to_see("gives to whom, and why");
    demo.press("2");
    demo.wait_to_see("leecher 1: potluck-demo.bin");
    demo.wait_to_see("Peers: who gives, who gets, why");
    demo.press("v");
    demo.wait_to_see("look, but do not touch");
    demo.press("0");
    demo.wait_to_see("gives to whom, and why");
    demo.press("q");
    assert_eq!(demo.finish(), 7, "{:?}", demo.seen);
    demo.assert_restored();
    assert!(is_clean(&sandbox), "the temporary folder is gone");
}

/// With this in its environment the test program is one that panics on a screen.
pub(crate) const PANICS: &str = "POTLUCK_IT_PANICS";

/// Takes the terminal and panics on another thread, as a task of a runtime would.
pub(crate) fn panic_on_a_screen() -> ! {
    potluck::cli::report_panics();
    let screen = potluck::io::terminal::Screen::open().expect("a terminal");
    let panicked = thread::spawn(|| panic!("on purpose")).join().is_err();
    drop(screen);
    std::process::exit(i32::from(panicked));
}

fn a_panic_restores_the_terminal() {
    let sandbox = Sandbox::new();
    let mut command = CommandBuilder::new(std::env::current_exe().expect("this program"));
    command.env(PANICS, "1");
    let mut program = OnTerminal::start_command(&sandbox, command, 80, 24);
    assert_eq!(program.finish(), 1, "{:?}", program.seen);
    program.assert_restored();
    let (_, after) = program.seen.rsplit_once("\x1b[?1049l").expect("restored");
    assert!(after.contains("internal error") && after.contains("on purpose"), "{after:?}");
    assert_eq!(after.matches("\x1b[?25h").count(), 1, "given back once: {after:?}");
}

fn a_bar_on_a_terminal() {
    let sandbox = Sandbox::new();
    sandbox.file("src/one.bin", 2_000_000, 1);
    sandbox.create("src/one.bin");
    let (_seed, addr) = sandbox.seed("one.bin.torrent -o src --up 1M");
    let line =
        format!("get --progress bar one.bin.torrent -o dst --port 0 --bind {} --peer {addr}", sandbox.ip());
    let mut get = OnTerminal::start(&sandbox, &line, 120, 24);
    get.wait_for("S/L 1/0");
    assert_eq!(get.finish(), 0, "{:?}", get.seen);
    assert!(get.seen.contains("one.bin: complete, 1.91 MiB in"), "{:?}", get.seen);
}
