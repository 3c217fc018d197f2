//! Reads the configuration: every mistake is told with its line and what to do.

use std::{collections::BTreeMap, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Config, Problem, line_after, nearest::nearest};
use crate::{
    keymap::{BINDINGS, Clash, Key, Keymap},
    theme::ThemeName,
};

/// Most keys of one action.
const KEYS_MAX: usize = 8;

/// The sections, and what they are for.
const SECTIONS: [&str; 2] = ["dashboard", "keys"];
/// The settings of `[dashboard]`.
const DASHBOARD: [&str; 4] = ["theme", "ascii", "mouse", "bits"];

/// What a file says, and what in it cannot be used, in the order of its lines.
pub(super) fn read(text: &str) -> (Config, Vec<Problem>) {
    let mut reader = Reader { text, problems: Vec::new() };
    let mut config = Config::default();
    match DeTable::parse(text) {
        Ok(table) => reader.sections(table.get_ref(), &mut config),
        Err(error) => {
            let span = error.span().unwrap_or(0..0);
            reader.tell(&span, format!("no TOML: {}", error.message()), "see https://toml.io");
        }
    }
    reader.problems.sort_by_key(|problem| problem.line);
    (config, reader.problems)
}

struct Reader<'t> {
    text: &'t str,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn tell(&mut self, span: &Range<usize>, what: impl Into<String>, remedy: impl Into<String>) {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        self.problems.push(Problem { line: line_after(before), what: what.into(), remedy: remedy.into() });
    }

    /// A name that means nothing.
    fn tell_unknown(&mut self, span: &Range<usize>, name: &str, what: &str, known: &[&str]) {
        let remedy = match nearest(name, known.iter().copied()) {
            Some(meant) => format!("did you mean {meant}?"),
            None if known.len() <= 8 => format!("there are {}", known.join(", ")),
            None => "potluck config show lists all".to_owned(),
        };
        self.tell(span, format!("there is no {what} {name:?}"), remedy);
    }

    fn sections(&mut self, table: &DeTable<'_>, config: &mut Config) {
        for (name, value) in table {
            let section = match (name.get_ref().as_ref(), value.get_ref().as_table()) {
                (known, Some(section)) if SECTIONS.contains(&known) => section,
                (known, None) if SECTIONS.contains(&known) => {
                    self.tell(&name.span(), format!("{known} is a section"), format!("write [{known}]"));
                    continue;
                }
                (unknown, _) => {
                    self.tell_unknown(&name.span(), unknown, "section", &SECTIONS);
                    continue;
                }
            };
            if name.get_ref() == "keys" {
                self.keys(section, &mut config.keymap);
            } else {
                self.dashboard(section, config);
            }
        }
    }

    fn dashboard(&mut self, section: &DeTable<'_>, config: &mut Config) {
        let dashboard = &mut config.dashboard;
        for (name, value) in section {
            match name.get_ref().as_ref() {
                "theme" => dashboard.theme = self.theme(value),
                "ascii" => dashboard.ascii = self.switch("ascii", value),
                "mouse" => dashboard.mouse = self.switch("mouse", value),
                "bits" => dashboard.bits = self.switch("bits", value),
                unknown => self.tell_unknown(&name.span(), unknown, "dashboard setting", &DASHBOARD),
            }
        }
    }

    fn theme(&mut self, value: &Spanned<DeValue<'_>>) -> Option<ThemeName> {
        let names = ThemeName::ALL.map(ThemeName::name);
        let Some(name) = value.get_ref().as_str() else {
            self.tell(&value.span(), "dashboard.theme is no name", format!("there are {}", names.join(", ")));
            return None;
        };
        let theme = name.parse().ok();
        if theme.is_none() {
            self.tell_unknown(&value.span(), name, "theme", &names);
        }
        theme
    }

    fn switch(&mut self, name: &str, value: &Spanned<DeValue<'_>>) -> Option<bool> {
        let switch = value.get_ref().as_bool();
        if switch.is_none() {
            let what = format!("dashboard.{name} is neither true nor false");
            self.tell(&value.span(), what, format!("write {name} = true"));
        }
        switch
    }

    fn keys(&mut self, section: &DeTable<'_>, keymap: &mut Keymap) {
        let mut places = BTreeMap::new();
        for (name, value) in section {
            let action = name.get_ref().as_ref();
            if !BINDINGS.iter().any(|binding| binding.name == action) {
                let names: Vec<&str> = BINDINGS.iter().map(|binding| binding.name).collect();
                self.tell_unknown(&name.span(), action, "action", &names);
            } else if let Some(keys) = self.keys_of(action, value) {
                keymap.choose(action, &keys);
                places.insert(action.to_owned(), name.span());
            }
        }
        for clash in keymap.clashes() {
            self.tell_clash(&clash, &places);
        }
    }

    /// One key, or a list of keys.
    fn keys_of(&mut self, action: &str, value: &Spanned<DeValue<'_>>) -> Option<Vec<Key>> {
        let remedy = format!("write {action} = \"g\", [\"g\", \"ctrl-l\"], or [] for none");
        let named: Vec<&Spanned<DeValue<'_>>> = match value.get_ref() {
            DeValue::Array(list) if list.len() <= KEYS_MAX => list.iter().collect(),
            DeValue::Array(_) => {
                self.tell(&value.span(), format!("keys.{action} has more than {KEYS_MAX} keys"), remedy);
                return None;
            }
            _ => vec![value],
        };
        let mut keys = Vec::new();
        for key in named {
            let read = match key.get_ref().as_str() {
                Some(text) => text.parse().map_err(|why| (format!("keys.{action}: {text:?} is no key"), why)),
                None => Err((format!("keys.{action} is no key"), remedy.clone())),
            };
            match read {
                Ok(read) if keys.contains(&read) => {}
                Ok(read) => keys.push(read),
                Err((what, remedy)) => {
                    self.tell(&key.span(), what, remedy);
                    return None;
                }
            }
        }
        Some(keys)
    }

    /// Told at the line of the setting to change: of two, of the later.
    fn tell_clash(&mut self, clash: &Clash, places: &BTreeMap<String, Range<usize>>) {
        let chosen = clash.names().into_iter().filter_map(|name| Some((name, places.get(name)?)));
        // The usual keys clash with nothing and give way to others, so that one of them was chosen.
        let Some((name, place)) = chosen.max_by_key(|(_, place)| place.start) else { return };
        self.tell(place, format!("keys.{name}: {}", clash.words(name)), clash.remedy(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::config::DashboardConfig,
        keymap::{Action, Context},
    };

    #[test]
    fn what_is_written_is_meant() {
        let text = r#"
            [dashboard]
            theme = "dusk"
            ascii = false
            mouse = false
            bits = true
            [keys]
            pause = "x"
            help = ["?", "F2", "?"]
            toggle-detail = []
            page-up = "Shift-Tab"
            redraw = "ctrl-r"
        "#;
        let (config, problems) = read(text);
        assert_eq!(problems, []);
        let dashboard = DashboardConfig {
            theme: Some(ThemeName::Dusk),
            ascii: Some(false),
            mouse: Some(false),
            bits: Some(true),
        };
        assert_eq!(config.dashboard, dashboard);
        let does = |context, key: &str| config.keymap.action(context, key.parse().expect("a key"));
        assert_eq!(does(Context::Torrents, "x"), Some(Action::Pause));
        assert_eq!(does(Context::Torrents, "F2"), Some(Action::Help));
        assert_eq!(does(Context::Torrents, "shift-tab"), Some(Action::PageUp));
        assert_eq!(does(Context::Line, "ctrl-r"), Some(Action::Redraw));
        assert_eq!(does(Context::Torrents, "space"), None);
        assert_eq!(read(""), (Config::default(), Vec::new()));
        assert_eq!(read("[keys]\n[dashboard]\n"), (Config::default(), Vec::new()));
    }

    #[test]
    fn a_mistake_is_told_with_its_line_and_a_remedy() {
        let cases = [
            ("[keys]\npauze = \"x\"", 2, "there is no action \"pauze\"", "did you mean pause?"),
            ("[keys]\nblow-up = \"x\"", 2, "there is no action \"blow-up\"", "potluck config show"),
            ("[keys]\n\npause = \"gg\"", 3, "keys.pause: \"gg\" is no key", "write a character"),
            ("[keys]\npause = [\"x\",\n\"alt-x\"]", 3, "keys.pause: \"alt-x\" is no key", "Alt means"),
            ("[keys]\npause = 7", 2, "keys.pause is no key", "pause = \"g\""),
            (
                "[keys]\npeers = \"p\"\npause = \"p\"",
                3,
                "keys.pause: p is peers, too, in \"Torrents\"",
                "peers = []",
            ),
            ("[keys]\nzen = \"x\"\npause = \"x\"", 3, "keys.pause: x is zen, too", "zen = []"),
            ("[keys]\npause = \"x\"\nzen = \"x\"", 3, "keys.zen: x is pause, too", "pause = []"),
            ("[keys]\nquit = []\nzen = \"ctrl-c\"", 2, "keys.quit: no key would lead out of", "choose a key"),
            (
                "[keys]\nbits = \"q\"\nzen = \"ctrl-c\"",
                3,
                "keys.zen: quit has no other key, and no key would lead out of",
                "another one for quit",
            ),
            ("[keys]\naccept = \"y\"", 2, "keys.accept: no key would take what is typed in", "ctrl-"),
            ("[keys]\nerase-word = \"w\"", 2, "keys.erase-word: w is typed there", "ctrl-"),
            ("[key]\npause = \"x\"", 1, "there is no section \"key\"", "did you mean keys?"),
            ("[daemon]", 1, "there is no section \"daemon\"", "there are dashboard, keys"),
            ("keys = 1", 1, "keys is a section", "write [keys]"),
            ("[dashboard]\ntheme = \"dust\"", 2, "there is no theme \"dust\"", "did you mean dusk?"),
            ("[dashboard]\ntheme = 1", 2, "dashboard.theme is no name", "there are default, dusk"),
            ("[dashboard]\nbits = \"yes\"", 2, "dashboard.bits is neither", "bits = true"),
            ("[dashboard]\ncolour = true", 2, "there is no dashboard setting \"colour\"", "there are theme"),
            ("[keys]\npause = \"x", 2, "no TOML: ", "toml.io"),
            ("[keys]\npause = \"x\"\npause = \"y\"", 3, "no TOML: duplicate", "toml.io"),
        ];
        for (text, line, what, remedy) in cases {
            let (_, problems) = read(text);
            let [problem] = &problems[..] else { panic!("{text}: {problems:?}") };
            assert_eq!(problem.line, line, "{text}: {problem:?}");
            assert!(problem.what.starts_with(what), "{text}: {problem:?}");
            assert!(problem.remedy.contains(remedy), "{text}: {problem:?}");
        }
        let many = format!("[keys]\npause = [{}]", "\"x\", ".repeat(9));
        assert!(read(&many).1[0].what.contains("more than 8 keys"));
        let (_, problems) = read("[keys]\nzen = \"gg\"\nfoo = 1\n[dashboard]\nbits = 1");
        assert_eq!(problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [2, 3, 5]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}", keys in "[a-z=\\[\\]\", .{}\n-]{0,60}") {
            read(&text);
            read(&format!("[keys]\n{keys}"));
        }
    }
}
