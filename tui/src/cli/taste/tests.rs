//! What was chosen comes back, and what a wish says is for one run.

use std::fs;

use tempfile::TempDir;

use super::*;

/// A folder that remembers, and what is chosen there next.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn look(&self, wishes: Wishes) -> Look {
        Chosen::load(Some(self.0.path())).look(wishes)
    }

    /// A run under these wishes in which something is changed.
    fn run(&self, wishes: Wishes, change: impl FnOnce(&mut Look)) {
        let before = self.look(wishes);
        let mut after = before;
        change(&mut after);
        remember(self.0.path(), before, after).expect("it is kept");
    }

    fn file(&self) -> std::path::PathBuf {
        self.0.path().join(FILE)
    }
}

const NONE: Wishes = Wishes { theme: None, ascii: None, bits: None, is_ascii_all_that_is_shown: false };

#[test]
fn what_was_chosen_comes_back_and_an_option_is_for_one_run() {
    let folder = Folder::new();
    assert_eq!(folder.look(NONE), Dashboard::default().look(), "nothing was chosen");
    folder.run(NONE, |_| {});
    assert!(!folder.file().exists(), "nothing was changed");
    let asked = Wishes { theme: Some(ThemeName::Mono), ascii: Some(true), bits: Some(true), ..NONE };
    folder.run(asked, |look| {
        assert_eq!((look.taste.theme, look.taste.ascii, look.taste.bits), (ThemeName::Mono, true, true));
        look.taste.log = true;
    });
    assert_eq!(folder.look(NONE).taste, Taste { log: true, ..Taste::default() }, "only that was chosen");
    folder.run(NONE, |look| {
        look.taste = Taste { theme: ThemeName::Paper, ascii: true, bits: true, ..look.taste };
    });
    let wanted = Taste { theme: ThemeName::Paper, ascii: true, bits: true, log: true };
    assert_eq!(folder.look(NONE).taste, wanted);
    let other = Wishes { theme: Some(ThemeName::Dusk), ascii: Some(false), bits: Some(false), ..NONE };
    assert_eq!(folder.look(other).taste, Taste { log: true, theme: ThemeName::Dusk, ..Taste::default() });
    // Characters beyond ASCII are chosen where the surroundings say that they cannot be shown.
    let poor = Wishes { is_ascii_all_that_is_shown: true, ..NONE };
    folder.run(poor, |look| look.taste.ascii = false);
    assert!(!folder.look(poor).taste.ascii && folder.look(Wishes { ascii: Some(true), ..poor }).taste.ascii);
}

#[test]
fn the_arrangement_comes_back() {
    let folder = Folder::new();
    let change = |look: &mut Look| {
        look.split = -3;
        look.range = HistoryRange::Day;
        (look.toggles.speed, look.toggles.events) = (false, false);
        look.torrent_sort = Sort::by(TorrentColumn::Ratio, true);
        look.file_sort = Some(Sort::by(FileColumn::Size, true));
        look.peer_sorts = [Sort::by(PeerColumn::Balance, false), Sort::by(PeerColumn::Client, true)];
    };
    folder.run(NONE, change);
    let mut wanted = Dashboard::default().look();
    change(&mut wanted);
    assert_eq!(folder.look(NONE), wanted);
    // What was changed in another run meanwhile stays.
    let before = folder.look(NONE);
    folder.run(NONE, |look| look.split = 4);
    let mut after = before;
    after.toggles.speed = true;
    remember(folder.0.path(), before, after).expect("it is kept");
    assert_eq!(folder.look(NONE), Look { split: 4, toggles: after.toggles, ..wanted });
    let mut model = Dashboard::default();
    model.set_look(wanted);
    assert_eq!(model.look(), wanted);
}

#[test]
fn what_two_runs_hide_is_hidden_after_both() {
    let folder = Folder::new();
    fs::write(folder.file(), r#"{"hidden": ["clock", "disk"]}"#).expect("written");
    let before = folder.look(NONE);
    assert!(!before.toggles.disk);
    // Both began with the same.
    for hide in [|look: &mut Look| look.toggles.speed = false, |look: &mut Look| look.toggles.events = false]
    {
        let mut after = before;
        hide(&mut after);
        remember(folder.0.path(), before, after).expect("it is kept");
    }
    folder.run(NONE, |look| look.toggles.disk = true);
    let Toggles { detail, speed, fairness, events, disk } = folder.look(NONE).toggles;
    assert_eq!((detail, speed, fairness, events, disk), (true, false, true, false, true));
    let kept = Chosen::load(Some(folder.0.path())).hidden;
    assert_eq!(kept, ["clock", "speed", "events"], "what a newer one hides stays hidden");
}

#[test]
fn what_cannot_be_understood_was_never_chosen() {
    let folder = Folder::new();
    let long = format!("{{\"x\": \"{}\"}}", "x".repeat(BYTES_MAX as usize));
    for text in ["", "{", "[]", r#"{"bits": 7}"#, r#"{"split": 40000}"#, r#"{"sorts": {"files": 1}}"#, &long]
    {
        fs::write(folder.file(), text).expect("written");
        let chosen = Chosen::load(Some(folder.0.path()));
        assert_eq!(chosen, Chosen { is_unreadable: true, ..Chosen::default() }, "{text:.40}");
        let usual = Dashboard::default().look();
        let error =
            remember(folder.0.path(), usual, Look { split: 1, ..usual }).expect_err("it stays as it is");
        assert!(error.to_string().contains("dashboard.json cannot be read"), "{error}");
        assert_eq!(fs::read(folder.file()).expect("it is there"), text.as_bytes());
    }
    let newer = r#"{"theme": "no such", "new": 1, "log": true, "split": -9999, "range": "1y",
        "hidden": ["clock"], "sorts": {"files": {"by": "Colour", "descending": true}}}"#;
    fs::write(folder.file(), newer).expect("written");
    let usual = Dashboard::default().look();
    let wanted = Look { taste: Taste { log: true, ..usual.taste }, split: -SPLIT_MAX, ..usual };
    assert_eq!(folder.look(NONE), wanted, "a newer one may know more");
    folder.run(NONE, |look| look.split = 0);
    assert_eq!(Chosen::load(Some(folder.0.path())).others["new"], 1, "which is not lost");
    assert_eq!(Chosen::load(None), Chosen::default());
}
