//! Distinct random numbers in time that depends on how many are wanted, not on how many there are.

use std::collections::BTreeSet;

use potluck_common::Rng;

/// `wanted` distinct numbers of `0..total` in random order, or all of them if there are fewer (Floyd's algorithm:
/// every set is equally likely).
pub(crate) fn sample(rng: &mut Rng, total: u32, wanted: u32) -> Vec<u32> {
    let mut chosen: Vec<u32> = if total <= wanted {
        (0..total).collect()
    } else {
        let mut set = BTreeSet::new();
        for last in total - wanted..total {
            let number = rng.below(last + 1);
            if !set.insert(number) {
                set.insert(last);
            }
        }
        set.into_iter().collect()
    };
    rng.shuffle(&mut chosen);
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_distinct_and_of_the_right_size() {
        let mut rng = Rng::new(1);
        for (total, wanted) in [(0, 5), (5, 0), (5, 5), (5, 9), (6, 5), (1000, 74), (u32::MAX, 200)] {
            let mut numbers = sample(&mut rng, total, wanted);
            assert_eq!(numbers.len(), total.min(wanted) as usize, "{total} {wanted}");
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), total.min(wanted) as usize, "{total} {wanted}");
            assert!(numbers.iter().all(|number| *number < total));
        }
    }

    #[test]
    fn every_number_is_equally_likely() {
        let mut rng = Rng::new(2);
        let mut hits = [0u32; 20];
        for _ in 0..20_000 {
            for number in sample(&mut rng, 20, 5) {
                hits[number as usize] += 1;
            }
        }
        // 5,000 are expected of each; ±300 are five standard deviations.
        assert!(hits.iter().all(|count| (4_700..5_300).contains(count)), "{hits:?}");
    }
}
