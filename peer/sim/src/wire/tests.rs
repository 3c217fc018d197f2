//! The simulator itself: the same seed is the same run, and what is broken is seen.

use super::*;

/// A seed in which some begin with the hash, and hostile peers have their way with the metadata.
const MAGNETS: u64 = 14;

fn digest(seed: u64) -> String {
    let mut trace = Trace::new(Record::Last);
    match run(seed, false, &mut trace) {
        Ok(run) => run.digest,
        Err(violation) => {
            panic!("seed {seed}: {violation}\n{}", trace.lines().collect::<Vec<_>>().join("\n"))
        }
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in [2, 6, MAGNETS] {
        assert_eq!(digest(seed), digest(seed), "seed {seed}");
    }
    assert_ne!(digest(2), digest(6));
}

#[test]
fn a_seed_that_knew_only_pieces_can_be_played_as_it_was() {
    let magnets = |is_early| run(MAGNETS, is_early, &mut Trace::new(Record::Nothing)).map(|run| run.magnets);
    assert_eq!(magnets(true), Ok(0));
    assert!(magnets(false).is_ok_and(|count| count > 0));
}

#[test]
fn seeds_that_once_failed_say_what_they_found() {
    assert!(kept_seeds().iter().all(|kept| !kept.found.is_empty()));
}
