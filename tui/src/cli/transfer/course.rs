//! The course of one torrent of a command: what a person wants of it while the command runs, and what is to be done next
//! for that. It decides and does nothing; whoever does it says when it is done.

/// What a person may want of a torrent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wish {
    /// It rests until somebody wants it to go on.
    Pause,
    /// It runs.
    GoOn,
    /// Its payload is checked, whatever is remembered of it; then it goes on, or rests as before.
    Verify,
    /// It is none of the command's any more.
    Remove {
        /// Its payload is deleted, too.
        data: bool,
    },
}

/// What is to be done next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// It leaves the engine as at the end of the command: then [`Course::stopped`].
    Stop,
    /// It is brought into the engine: then [`Course::started`].
    Start {
        /// Its payload is checked as a whole.
        check: bool,
        /// Nobody is to hear of it.
        is_unheard: bool,
    },
    /// It is removed: then [`Course::removed`].
    Remove {
        /// Its payload, too.
        data: bool,
        /// It is in the engine.
        is_running: bool,
    },
}

/// Where it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Runs,
    Stopping,
    Rests,
    Starting,
    Leaving,
    Gone,
}

/// Where a torrent is, and what is wanted of it.
#[derive(Clone, Debug)]
pub(super) struct Course {
    place: Place,
    is_paused: bool,
    /// A check was asked for and has not begun.
    owes_check: bool,
    /// What runs is being checked because somebody asked for that.
    is_check: bool,
    /// Nobody hears of what runs.
    is_unheard: bool,
    /// It is to leave, with its payload or without it.
    leaves: Option<bool>,
}

impl Course {
    /// One that was just brought into the engine.
    pub(super) fn begun() -> Self {
        Self {
            place: Place::Runs,
            is_paused: false,
            owes_check: false,
            is_check: false,
            is_unheard: false,
            leaves: None,
        }
    }

    /// A person wants it to rest.
    pub(super) fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// It is in the engine, and nothing is being done about that.
    pub(super) fn is_running(&self) -> bool {
        self.place == Place::Runs
    }

    /// It is out of the engine, and stays there until somebody wants otherwise.
    pub(super) fn is_at_rest(&self) -> bool {
        self.place == Place::Rests
    }

    /// A step is under way.
    pub(super) fn is_under_way(&self) -> bool {
        matches!(self.place, Place::Stopping | Place::Starting | Place::Leaving)
    }

    /// It is being removed.
    pub(super) fn is_leaving(&self) -> bool {
        self.place == Place::Leaving
    }

    /// It was removed.
    pub(super) fn is_gone(&self) -> bool {
        self.place == Place::Gone
    }

    /// A person wants this. The next step, if one is to be done now.
    pub(super) fn wish(&mut self, wish: Wish) -> Option<Step> {
        match wish {
            // It ends a check, too.
            Wish::Pause => (self.is_paused, self.owes_check, self.is_check) = (true, false, false),
            Wish::GoOn => self.is_paused = false,
            Wish::Verify => self.owes_check = !self.is_check,
            Wish::Remove { data } => self.leaves = Some(data || self.leaves == Some(true)),
        }
        self.next()
    }

    /// It has left the engine.
    pub(super) fn stopped(&mut self) -> Option<Step> {
        (self.place, self.is_check) = (Place::Rests, false);
        self.next()
    }

    /// It is in the engine; or it could not be brought there, and rests.
    pub(super) fn started(&mut self, is_there: bool) -> Option<Step> {
        if is_there {
            self.place = Place::Runs;
        } else {
            (self.place, self.is_paused, self.owes_check, self.is_check) = (Place::Rests, true, false, false);
        }
        self.next()
    }

    /// It is known what of its payload is there.
    pub(super) fn checked(&mut self) -> Option<Step> {
        self.is_check = false;
        self.next()
    }

    /// It is gone; or it could not be removed, and rests.
    pub(super) fn removed(&mut self, is_gone: bool) -> Option<Step> {
        if is_gone {
            self.place = Place::Gone;
        } else {
            (self.place, self.is_paused, self.leaves) = (Place::Rests, true, None);
            (self.owes_check, self.is_check) = (false, false);
        }
        self.next()
    }

    /// Its removal was not even begun, and it is where it was.
    pub(super) fn kept(&mut self, is_running: bool) -> Option<Step> {
        (self.place, self.leaves) = (if is_running { Place::Runs } else { Place::Rests }, None);
        self.next()
    }

    fn next(&mut self) -> Option<Step> {
        let is_running = self.place == Place::Runs;
        let step = match self.place {
            Place::Runs | Place::Rests if self.leaves.is_some() => {
                Step::Remove { data: self.leaves == Some(true), is_running }
            }
            // A check comes to its end, also when it is to go on meanwhile.
            Place::Runs if self.owes_check || !self.is_check && (self.is_paused || self.is_unheard) => {
                Step::Stop
            }
            Place::Rests if self.owes_check => Step::Start { check: true, is_unheard: self.is_paused },
            Place::Rests if !self.is_paused => Step::Start { check: false, is_unheard: false },
            _ => return None,
        };
        match step {
            Step::Stop => self.place = Place::Stopping,
            Step::Start { check, is_unheard } => {
                (self.place, self.owes_check) = (Place::Starting, false);
                (self.is_check, self.is_unheard) = (check, is_unheard);
            }
            Step::Remove { .. } => self.place = Place::Leaving,
        }
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Something that happens to a torrent.
    #[derive(Clone, Copy, Debug)]
    enum Happening {
        Wished(Wish),
        /// What is under way is done, well or badly.
        Done(bool),
        Checked,
    }
    use Happening::{Checked, Done, Wished};

    const START: Step = Step::Start { check: false, is_unheard: false };

    /// What follows on each of `happenings`.
    fn check(happenings: &[Happening], expected: &[Option<Step>]) {
        let (mut course, mut under_way) = (Course::begun(), None);
        let steps = happenings.iter().map(|happening| happen(&mut course, &mut under_way, *happening));
        assert_eq!(steps.collect::<Vec<_>>(), expected, "{happenings:?}");
    }

    fn happen(course: &mut Course, under_way: &mut Option<Step>, happening: Happening) -> Option<Step> {
        let next = match (happening, *under_way) {
            (Wished(wish), _) => course.wish(wish),
            (Checked, _) => course.checked(),
            (Done(_), None) => None,
            (Done(is_well), Some(step)) => {
                *under_way = None;
                match step {
                    Step::Stop => course.stopped(),
                    Step::Start { .. } => course.started(is_well),
                    Step::Remove { .. } => course.removed(is_well),
                }
            }
        };
        *under_way = next.or(*under_way);
        next
    }

    #[test]
    fn what_is_wanted_is_done_step_by_step() {
        let (pause, go_on, verify) = (Wished(Wish::Pause), Wished(Wish::GoOn), Wished(Wish::Verify));
        let remove = |data| Wished(Wish::Remove { data });
        let done = Done(true);
        let check_step = |is_unheard| Some(Step::Start { check: true, is_unheard });
        check(&[pause, done, pause], &[Some(Step::Stop), None, None]);
        check(&[pause, done, go_on, done, go_on], &[Some(Step::Stop), None, Some(START), None, None]);
        // Who changes their mind meanwhile gets what they wanted last.
        check(&[pause, go_on, done, done], &[Some(Step::Stop), None, Some(START), None]);
        check(&[pause, go_on, pause, done], &[Some(Step::Stop), None, None, None]);
        check(&[verify, done, done, Checked], &[Some(Step::Stop), check_step(false), None, None]);
        // What rests is checked unheard, and rests again.
        check(
            &[pause, done, verify, done, Checked, done],
            &[Some(Step::Stop), None, check_step(true), None, Some(Step::Stop), None],
        );
        // A check goes on to its end before it runs; a second one is the same.
        check(
            &[pause, done, verify, done, go_on, verify, Checked, done],
            &[Some(Step::Stop), None, check_step(true), None, None, None, Some(Step::Stop), Some(START)],
        );
        // Unless it is paused.
        check(&[verify, done, done, pause], &[Some(Step::Stop), check_step(false), None, Some(Step::Stop)]);
        let removal = |data, is_running| Some(Step::Remove { data, is_running });
        check(&[remove(false), remove(true), done], &[removal(false, true), None, None]);
        check(
            &[pause, remove(true), done, done, go_on],
            &[Some(Step::Stop), None, removal(true, false), None, None],
        );
        // What could not be done leaves it at rest, and it can be tried again.
        check(
            &[remove(true), Done(false), remove(false)],
            &[removal(true, true), None, removal(false, false)],
        );
        check(
            &[pause, done, go_on, Done(false), go_on],
            &[Some(Step::Stop), None, Some(START), None, Some(START)],
        );
    }

    fn happening() -> impl Strategy<Value = Happening> {
        prop_oneof![
            Just(Wished(Wish::Pause)),
            Just(Wished(Wish::GoOn)),
            Just(Wished(Wish::Verify)),
            any::<bool>().prop_map(|data| Wished(Wish::Remove { data })),
            any::<bool>().prop_map(Done),
            Just(Checked),
        ]
    }

    proptest! {
        #[test]
        fn whatever_happens_the_last_wish_comes_true(
            happenings in prop::collection::vec(happening(), 0..40),
            is_paused in any::<bool>(),
        ) {
            let (mut course, mut under_way) = (Course::begun(), None);
            let last = Wished(if is_paused { Wish::Pause } else { Wish::GoOn });
            // A step at a time, whatever is wanted meanwhile; and an end of all steps once nobody wants more.
            for happening in happenings.into_iter().chain([last]).chain([Done(true), Checked].repeat(8)) {
                let was_busy = under_way.is_some() && !matches!(happening, Done(_));
                let next = happen(&mut course, &mut under_way, happening);
                prop_assert!(!was_busy || next.is_none(), "{next:?} before {under_way:?} is done");
            }
            prop_assert!(under_way.is_none() && !course.is_under_way());
            let expected = if course.is_gone() || is_paused { [false, true] } else { [true, false] };
            prop_assert!(course.is_gone() || [course.is_running(), course.is_at_rest()] == expected);
            prop_assert!(course.is_gone() || course.leaves.is_none());
        }
    }
}
