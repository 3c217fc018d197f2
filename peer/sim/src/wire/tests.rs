//! The simulator itself: the same seed is the same run, and what is broken is seen.

use super::*;

fn digest(seed: u64) -> String {
    let mut trace = Trace::new(Record::Last);
    match run(seed, &mut trace) {
        Ok(run) => run.digest,
        Err(violation) => {
            panic!("seed {seed}: {violation}\n{}", trace.lines().collect::<Vec<_>>().join("\n"))
        }
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in [2, 6] {
        assert_eq!(digest(seed), digest(seed), "seed {seed}");
    }
    assert_ne!(digest(2), digest(6));
}

#[test]
fn seeds_that_once_failed_say_what_they_found() {
    assert!(kept_seeds().iter().all(|kept| !kept.found.is_empty()));
}
