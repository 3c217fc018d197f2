//! The power goes at every step of several saves, and every disk that this can leave is read.

use super::{
    SHAPE,
    model::{Lie, ModelFs},
    numbered, save_all,
};
use crate::resume::store::Entry;

const SAVES: u64 = 4;

fn entry(fs: &ModelFs) -> Entry {
    Entry::at(Box::new(fs.clone()), "stem", SHAPE)
}

/// Cuts the saves on such a file system at each step. Says how often, and how many of the disks that were left had
/// lost a save that was acknowledged, or anything else than one of two generations.
fn cut_everywhere(lie: Lie) -> (usize, usize) {
    let whole = ModelFs::new(lie);
    save_all(&mut entry(&whole), SAVES);
    let (mut read, mut lost) = (0, 0);
    for step in 0..=whole.steps() {
        let fs = ModelFs::new(lie);
        fs.cut_at(step);
        let mut writer = entry(&fs);
        let acknowledged =
            (1..=SAVES).take_while(|number| writer.save(&mut numbered(*number)).is_ok()).count() as u64;
        for left in fs.after_power_cut() {
            read += 1;
            let found = entry(&left).load().expect("readable");
            let is_one_of_two = match &found {
                None => acknowledged == 0,
                Some(state) => {
                    let number = state.generation;
                    *state == numbered(number) && (number == acknowledged || number == acknowledged + 1)
                }
            };
            if !is_one_of_two {
                lost += 1;
                assert!(
                    lie != Lie::None,
                    "cut at {step}, {acknowledged} acknowledged, found {found:?} in {left:?}"
                );
            }
        }
    }
    (read, lost)
}

#[test]
fn row_5_1_a_cut_at_any_step_leaves_the_newest_state_or_the_one_before() {
    let (read, lost) = cut_everywhere(Lie::None);
    assert!(read > 400 && lost == 0, "{read} {lost}");
}

/// What this test is worth: without each of the two syncs it fails.
#[test]
fn without_a_sync_states_are_lost() {
    for lie in [Lie::FileSync, Lie::FolderSync] {
        let (read, lost) = cut_everywhere(lie);
        assert!(lost > 0, "{lie:?}: none lost of {read}");
    }
}

#[test]
fn what_a_cut_left_can_be_gone_on_from() {
    let whole = ModelFs::new(Lie::None);
    save_all(&mut entry(&whole), SAVES);
    for step in 0..=whole.steps() {
        let fs = ModelFs::new(Lie::None);
        fs.cut_at(step);
        let mut writer = entry(&fs);
        let _ = (1..=SAVES).try_for_each(|number| writer.save(&mut numbered(number)));
        for left in fs.after_power_cut() {
            let mut again = entry(&left);
            let before = again.load().expect("readable").map_or(0, |state| state.generation);
            let mut next = numbered(before + 1);
            again.save(&mut next).expect("saved");
            assert_eq!(entry(&left).load().expect("readable"), Some(numbered(before + 1)), "cut at {step}");
        }
    }
}

#[test]
fn a_step_that_fails_costs_its_save_and_no_other() {
    let whole = ModelFs::new(Lie::None);
    save_all(&mut entry(&whole), 1);
    let of_one = whole.steps();
    for step in 0..of_one {
        let fs = ModelFs::new(Lie::None);
        let mut writer = entry(&fs);
        save_all(&mut writer, 2);
        fs.fail_at(step);
        let failed = writer.save(&mut numbered(3)).is_err();
        let found = entry(&fs).load().expect("readable").expect("never nothing");
        assert!(found == numbered(2) || found == numbered(3), "step {step}: {found:?}");
        assert!(failed || found == numbered(3), "step {step}");
        let last = &mut numbered(4);
        writer.save(last).expect("it was one failure");
        assert_eq!(entry(&fs).load().expect("readable").as_ref(), Some(&*last), "step {step}");
    }
}
