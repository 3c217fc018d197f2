//! How the free rider fared against the contributors, in one sentence made of what was measured.

use serde_json::{Value, json};

use crate::{
    model::demo::{Demo, Member, Role},
    units::{PerSecond, percent},
};

/// Within this factor two fared alike.
const ALIKE: f64 = 1.1;

/// What was measured.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Fare {
    /// Download times of the contributors, in seconds.
    contributors: Vec<f64>,
    /// Bytes of the payload.
    size: u64,
    /// Seconds from when the free rider came to when it was complete, or to the end.
    seconds: f64,
    /// It was complete.
    is_complete: bool,
    /// Verified bytes of its copy.
    have: u64,
    /// Where its bytes came from.
    sources: Sources,
}

/// Bytes that were given to the free rider, but for the last moments of connections that ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Sources {
    seeder: u64,
    /// By contributors that lacked something: on trial.
    unfinished: u64,
    /// By contributors that had everything, and gave in turn as a seeder does.
    finished: u64,
}

impl Fare {
    /// Measures at the end of a demo; `None` where the free rider never came or not every contributor is complete.
    pub(super) fn of(demo: &Demo) -> Option<Self> {
        let rider = demo.free_rider()?;
        let (joined, snapshot) = (rider.joined_at?, rider.snapshot.as_deref()?);
        let of = |role: Role| demo.members.iter().filter(move |member| member.role == role);
        let time = |member: &Member| Some(member.complete_at? - member.joined_at?);
        let given = |role: Role| of(role).map(|member| member.gave_rider.bytes()).sum::<u64>();
        let unfinished = of(Role::Leecher).map(|member| member.gave_rider_unfinished).sum();
        Some(Self {
            contributors: of(Role::Leecher).map(time).collect::<Option<_>>()?,
            size: demo.total_size,
            seconds: rider.complete_at.unwrap_or(demo.elapsed) - joined,
            is_complete: rider.complete_at.is_some(),
            have: snapshot.have_size,
            sources: Sources {
                seeder: given(Role::Seeder),
                unfinished,
                finished: given(Role::Leecher).saturating_sub(unfinished),
            },
        })
    }

    /// The sentence.
    pub(super) fn sentence(&self) -> String {
        if self.have == 0 {
            let (taken, mean) = (self.seconds, self.mean_seconds());
            return format!(
                "Free riding did not pay: in {taken:.1} s it got nothing, and contributors had all after {mean:.1} s in the mean."
            );
        }
        let (advantage, times, sources) = (self.advantage(), self.times(), self.sources.in_words());
        if advantage >= ALIKE {
            format!(
                "Free riding did not pay: the free rider was {advantage:.1} times as slow as contributors; {times}; {sources}."
            )
        } else if advantage > 1.0 / ALIKE {
            format!("The free rider fared as well as the contributors: {times}, because {sources}.")
        } else {
            let gain = 1.0 / advantage;
            format!(
                "Free riding paid: the free rider was {gain:.1} times as fast; {times}, because {sources}."
            )
        }
    }

    fn times(&self) -> String {
        if self.is_complete {
            return format!(
                "it needed {:.1} s, contributors {:.1} s in the mean",
                self.seconds,
                self.mean_seconds()
            );
        }
        let (contributor, rider) = self.rates();
        format!(
            "it had {} % when the last contributor was complete and got {} in the mean, contributors {}",
            percent(self.have, self.size),
            PerSecond(rider as u64),
            PerSecond(contributor as u64)
        )
    }

    /// Seconds that contributors needed in the mean.
    fn mean_seconds(&self) -> f64 {
        self.contributors.iter().sum::<f64>() / self.contributors.len().max(1) as f64
    }

    /// Bytes per second with which a contributor's copy came in the mean, and the free rider's.
    fn rates(&self) -> (f64, f64) {
        let rider = self.have as f64 / self.seconds.max(0.001);
        (self.size as f64 / self.mean_seconds().max(0.001), rider)
    }

    /// How many times as fast as the free rider contributors were.
    fn advantage(&self) -> f64 {
        let (contributor, rider) = self.rates();
        contributor / rider.max(1.0)
    }

    /// The same for a script.
    pub(super) fn json(&self) -> Value {
        let (contributor, rider) = self.rates();
        json!({
            "complete": self.is_complete,
            "seconds": self.seconds,
            "have_size": self.have,
            "rate": rider as u64,
            "contributors_seconds": self.mean_seconds(),
            "contributors_rate": contributor as u64,
            "from_seeder": self.sources.seeder,
            "from_unfinished": self.sources.unfinished,
            "from_finished": self.sources.finished,
            "sentence": self.sentence(),
        })
    }
}

impl Sources {
    fn in_words(self) -> String {
        let all = (self.seeder + self.unfinished + self.finished).max(1);
        let [seeder, unfinished, finished] =
            [self.seeder, self.unfinished, self.finished].map(|bytes| percent(bytes, all));
        format!(
            "{seeder} % of what it got came from the seeder, {unfinished} % from contributors on trial and {finished} % from \
             contributors that were complete"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    const SIZE: u64 = 48 << 20;

    /// A free rider that got `have` in `seconds`, where contributors needed 20 s and 30 s.
    fn fare(seconds: f64, is_complete: bool, have: u64) -> Fare {
        let (seeder, finished) = (have / 4, have / 2);
        let sources = Sources { seeder, unfinished: have - seeder - finished, finished };
        Fare { contributors: vec![20.0, 30.0], size: SIZE, seconds, is_complete, have, sources }
    }

    #[track_caller]
    fn check(fare: &Fare, begin: &str, end: &str) {
        let sentence = fare.sentence();
        assert!(sentence.starts_with(begin) && sentence.ends_with(end), "{sentence}");
        assert_eq!(sentence.matches(". ").count(), 0, "one sentence: {sentence}");
        assert_eq!(fare.json()["sentence"], sentence);
    }

    const SOURCES: &str = "25 % of what it got came from the seeder, 25 % from contributors on trial and 50 % from \
                           contributors that were complete.";

    #[test]
    fn every_outcome_has_its_sentence() {
        check(
            &fare(50.0, true, SIZE),
            "Free riding did not pay: the free rider was 2.0 times as slow as contributors; it needed 50.0 s, contributors 25.0 s in the mean; 25 %",
            SOURCES,
        );
        check(
            &fare(30.0, false, SIZE / 2),
            "Free riding did not pay: the free rider was 2.4 times as slow as contributors; it had 50 % when the last contributor was complete \
             and got 819 KiB/s in the mean, contributors 1.92 MiB/s; 25 %",
            SOURCES,
        );
        check(
            &fare(26.0, true, SIZE),
            "The free rider fared as well as the contributors: it needed 26.0 s, contributors 25.0 s in the mean, because 25 %",
            SOURCES,
        );
        // It came late, and was as fast from then on.
        check(
            &fare(12.5, false, SIZE / 2),
            "The free rider fared as well as the contributors: it had 50 % when",
            SOURCES,
        );
        check(
            &fare(12.5, true, SIZE),
            "Free riding paid: the free rider was 2.0 times as fast; it needed 12.5 s, contributors 25.0 s in the mean, \
             because 25 %",
            SOURCES,
        );
        check(
            &fare(30.0, false, 0),
            "Free riding did not pay: in 30.0 s it got nothing, and contributors had all after 25.0 s in the mean.",
            "",
        );
    }

    #[test]
    fn it_is_measured_from_the_demo() {
        assert_eq!(Fare::of(&fixture::fresh()), None, "nobody came");
        assert_eq!(Fare::of(&fixture::midway()), None, "not every contributor is complete");
        let over = fixture::over();
        let fare = Fare::of(&over).expect("every contributor is complete");
        let rider = over.free_rider().expect("there is one");
        assert_eq!((fare.is_complete, fare.contributors.len()), (false, 6));
        assert_eq!(fare.have, rider.snapshot.as_ref().expect("it came").have_size);
        assert!((fare.seconds - (over.elapsed - rider.joined_at.expect("it came"))).abs() < 1e-9);
        let given: u64 = over.members.iter().map(|member| member.gave_rider.bytes()).sum();
        let Sources { seeder, unfinished, finished } = fare.sources;
        assert!(given > 0 && seeder > 0 && unfinished > 0);
        assert_eq!(seeder + unfinished + finished, given);
    }
}
