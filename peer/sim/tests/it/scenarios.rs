//! The files that come with the program, and what is refused.

use std::collections::{BTreeMap, BTreeSet};

use potluck_sim::{
    Scenario,
    goals::{Goal, Goals},
    library,
    scenario::FreeRiderKind,
};

/// A scenario of a few seconds with everything a figure can come from.
const SMALL: &str = r#"
leechers = 24
pieces = 24
neighbours = 10
linger_s = 20.0
latency_ms = 200
ramp_ms = 1500
arrivals = { kind = "uniform", over_s = 60.0 }
seeds = { up = 200000.0 }
mix = { share = 0.3, rule = "bep3" }
free_riders = { share = 0.2, kind = "zero-upload" }

[[class]]
share = 1
up = 50000.0
down = 400000.0

[[class]]
share = 1
up = 125000.0
down = 1000000.0
"#;

#[test]
fn every_scenario_of_the_library_can_be_read() {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios")).expect("the folder");
    let files: BTreeSet<String> = files
        .map(|file| file.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter_map(|name| name.strip_suffix(".toml").map(str::to_owned))
        .collect();
    let known: BTreeSet<String> = library::ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(files, known, "each file is in the library");
    for (name, text) in library::ALL {
        let scenario = Scenario::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!scenario.about.is_empty(), "{name} says what it shows");
    }
    for (set, members, _) in library::SETS {
        for member in *members {
            assert!(known.contains(*member), "{set} names {member}");
        }
    }
}

#[test]
fn every_kind_of_free_rider_has_a_scenario() {
    let texts: Vec<_> = library::ALL.iter().map(|(_, text)| Scenario::parse(text).expect("valid")).collect();
    for kind in FreeRiderKind::ALL {
        let is_there = |scenario: &Scenario| scenario.free_riders.as_ref().is_some_and(|r| r.kind == kind);
        assert!(texts.iter().any(is_there), "{}", kind.name());
    }
}

#[test]
fn each_goal_of_fairness_is_checked() {
    let goals = Goals::parse(library::GOALS).expect("valid");
    let numbers: BTreeSet<_> = goals.iter().map(|goal| goal.name.clone()).collect();
    let wanted: BTreeSet<_> = (1..=10).map(|number| format!("G{number}")).collect();
    assert_eq!(numbers, wanted);
}

#[test]
fn every_file_of_goals_names_scenarios_and_figures_that_exist() {
    let scenario = Scenario::parse(SMALL).expect("valid");
    let metrics = potluck_sim::run(&scenario, 1).expect("runs").metrics;
    for (file, text) in library::GOAL_FILES {
        let goals = Goals::parse(text).expect("valid");
        for goal in goals.iter() {
            let is_known = goal.scenario == "*" || library::find(&goal.scenario).is_some();
            assert!(is_known, "{file}: {}", goal.scenario);
            let is_figure = metrics.contains_key(&goal.metric) || goal.metric.starts_with("class_");
            assert!(is_figure, "{file}: {}", goal.metric);
        }
        let set = if *file == "goals" { "fairness" } else { file };
        let (_, members, _) = library::SETS.iter().find(|(name, ..)| *name == set).expect("a set");
        for member in *members {
            assert!(goals.names(member), "{file}: {member}");
        }
    }
}

#[test]
fn the_goals_for_every_change_are_bounds_of_the_goals_themselves() {
    let goals = Goals::parse(library::GOALS).expect("valid");
    let (_, smoke) = library::GOAL_FILES.iter().find(|(name, _)| *name == "smoke").expect("it is there");
    for part in Goals::parse(smoke).expect("valid").iter() {
        let is_same = |goal: &Goal| {
            let scenario = if goal.scenario == "*" { "*" } else { &*part.scenario };
            let Goal { name, metric, least, most, statistic, .. } = part.clone();
            *goal == Goal { name, scenario: scenario.to_owned(), metric, least, most, statistic }
        };
        assert!(goals.iter().any(is_same), "{part:?}");
    }
}

#[test]
fn what_a_file_says_wrong_is_named_with_its_remedy() {
    for (text, wanted) in [
        ("leechers = 0", "`leechers` is 0; write a number from 1 to 100000"),
        ("pieces = 2000000", "`pieces` is 2000000; write a number from 1 to 1000000"),
        (
            "[[class]]\nshare = 1\nup = -1\ndown = 5",
            "`class.up` is -1; write a number from 1 to 1000000000000",
        ),
        ("neighbours = 60\nconnections_max = 50", "`connections_max` is 50; write a number from 60 to 10000"),
        ("tick_ms = 0", "`tick_ms` is 0; write a number from 10 to 10000"),
        ("leecher = 3", "unknown field `leecher`"),
        ("rule = \"theirs\"", "unknown variant `theirs`"),
    ] {
        let error = Scenario::parse(text).expect_err(text).to_string();
        assert!(error.contains(wanted), "{text}: {error}");
    }
    let boundless = "[[goal]]\nname = \"G1\"\nscenario = \"g1\"\nmetric = \"interest\"";
    let error = Goals::parse(boundless).expect_err("bounds nothing").to_string();
    assert!(error.contains("write one of them"), "{error}");
}

#[test]
fn goals_are_met_at_their_bound_and_missed_beyond_it_or_without_a_figure() {
    let goals = "[[goal]]\nname = \"A\"\nscenario = \"x\"\nmetric = \"m\"\nleast = 2.0\n\n\
                 [[goal]]\nname = \"B\"\nscenario = \"*\"\nmetric = \"m\"\nmost = 2.0\nstatistic = \"most\"\n";
    let goals = Goals::parse(goals).expect("valid");
    let check = |values: &[f64]| {
        let runs = values.iter().map(|value| BTreeMap::from([("m".to_owned(), *value)])).collect();
        let findings = goals.check(&BTreeMap::from([("x".to_owned(), runs)]));
        findings.iter().map(potluck_sim::goals::Finding::is_met).collect::<Vec<_>>()
    };
    assert_eq!(check(&[1.0, 3.0]), [true, false]);
    assert_eq!(check(&[2.0, 2.0]), [true, true]);
    assert_eq!(check(&[1.0, 2.0]), [false, true]);
    let findings = goals.check(&BTreeMap::from([("x".to_owned(), vec![BTreeMap::new()])]));
    assert!(findings.iter().all(|finding| !finding.is_met()), "no figure is no success");
}

#[test]
fn the_same_seed_is_the_same_run_and_another_is_another() {
    let scenario = Scenario::parse(SMALL).expect("valid");
    let run = |seed| potluck_sim::run(&scenario, seed).expect("runs");
    assert_eq!(run(7), run(7));
    assert_ne!(run(7).metrics, run(8).metrics);
}

/// Every kind of free rider in one small swarm: everybody honest finishes, within what the links can carry.
#[test]
fn honest_leechers_finish_whoever_rides_free() {
    for kind in FreeRiderKind::ALL {
        let text = SMALL.replace("zero-upload", kind.name());
        let scenario = Scenario::parse(&text).expect("valid");
        let outcome = potluck_sim::run(&scenario, 3).expect("runs");
        assert_eq!(outcome.contributors_s.len(), 19, "{}", kind.name());
        let fastest = outcome.contributors_s[0];
        let slowest = outcome.contributors_s[18];
        let payload = scenario.payload_bytes();
        assert!(fastest >= payload / 1_000_000.0, "{}: nobody beats its downlink", kind.name());
        assert!(slowest < f64::from(scenario.limit_s), "{}: all contributors are done", kind.name());
        assert!(outcome.metrics["uplink_use"] <= 1.0, "{}: no uplink gives more than it has", kind.name());
    }
}

#[test]
fn pieces_die_with_the_seed_that_leaves_before_they_spread() {
    let leaves = |after_s: u32| {
        let text = format!(
            "leechers = 10\npieces = 40\nneighbours = 9\nlimit_s = 400\n\
             seeds = {{ up = 100000.0, leave_after_s = {after_s}.0 }}"
        );
        let scenario = Scenario::parse(&text).expect("valid");
        potluck_sim::run(&scenario, 1).expect("runs").metrics
    };
    let early = leaves(30);
    assert!(early["pieces_died"] > 0.0 && early["unfinished"] > 0.0, "{early:?}");
    let late = leaves(390);
    assert!(late["pieces_died"] < 0.5 && late["unfinished"] < 0.5, "{late:?}");
}

/// A free rider alone with a seed has about half of the payload when the seed leaves.
#[test]
fn a_piece_that_only_free_riders_have_is_dead() {
    let text = "leechers = 1\npieces = 20\nneighbours = 1\nlimit_s = 400\n\
                seeds = { up = 100000.0, leave_after_s = 30.0 }\n\
                free_riders = { share = 0.99, kind = \"zero-upload\" }";
    let run = |text: &str| {
        let metrics = potluck_sim::run(&Scenario::parse(text).expect("valid"), 1).expect("runs").metrics;
        (metrics["pieces_died"], metrics["unfinished"])
    };
    assert_eq!(run(text), (20.0, 1.0));
    assert_eq!(run(&text.replace("zero-upload", "garbage")), (20.0, 1.0));
    let (died, unfinished) = run(&text.replace("zero-upload", "trickle"));
    assert!(died > 0.0 && died < 20.0 && unfinished > 0.0, "what trickles can still be had: {died}");
}

#[test]
fn a_super_seed_is_done_sooner_than_a_seed() {
    let mean = |super_seeding: bool| {
        let text = format!(
            "leechers = 20\npieces = 100\nneighbours = 19\n\
             seeds = {{ up = 50000.0, super_seeding = {super_seeding} }}"
        );
        let scenario = Scenario::parse(&text).expect("valid");
        let run = |seed| potluck_sim::run(&scenario, seed).expect("runs").metrics["completion_over_ideal"];
        (1..=3).map(run).sum::<f64>() / 3.0
    };
    let (plain, shown_one_by_one) = (mean(false), mean(true));
    assert!(shown_one_by_one < 0.95 * plain, "{shown_one_by_one} is not clearly less than {plain}");
}
