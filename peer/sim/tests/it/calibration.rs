//! Simple rules in a small swarm come out as another model of the same swarm says: without it, no figure for our own rule
//! would mean anything.

use potluck_sim::Scenario;

/// FR/good and mean/bound of a rule over these seeds: 60 leechers with 20 neighbours, a fifth of them free riders.
fn check(
    rule: &str,
    seed_rule: &str,
    seeds: std::ops::RangeInclusive<u64>,
    expected: (f64, f64),
    within: f64,
) {
    let text = format!(
        "leechers = 60\npieces = 120\nneighbours = 20\nreplenish = false\nrule = \"{rule}\"\n\
         seed_rule = \"{seed_rule}\"\nseeds = {{ up = 250000.0 }}\n\
         free_riders = {{ share = 0.2, kind = \"zero-upload\" }}"
    );
    let scenario = Scenario::parse(&text).expect("valid");
    let runs: Vec<_> = seeds.map(|seed| potluck_sim::run(&scenario, seed).expect("runs").metrics).collect();
    let mean = |metric: &str| runs.iter().map(|run| run[metric]).sum::<f64>() / runs.len() as f64;
    for (metric, wanted) in [("free_riders_over_good", expected.0), ("mean_over_bound", expected.1)] {
        let is = mean(metric);
        assert!((is / wanted - 1.0).abs() <= within, "{rule}: {metric} is {is:.3}, not {wanted}");
    }
}

#[test]
fn free_riders_do_as_well_as_anybody_where_everybody_is_unchoked() {
    check("unchoke-all", "unchoke-all", 1..=1, (0.99, 1.362), 0.1);
}

/// Five seeds scatter by a tenth, which is why the tolerance is wider here than in the long calibration.
#[test]
fn bep_3_deters_them() {
    check("bep3", "mainline", 1..=5, (1.986, 1.09), 0.2);
}
