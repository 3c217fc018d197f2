//! How a person likes the dashboard, remembered from run to run.

use std::{fs, io, path::Path};

use serde::{Deserialize, Serialize};

use crate::{model::setting::Taste, theme::ThemeName};

/// Within the folder of all state.
const FILE: &str = "dashboard.json";

/// What was chosen in the dashboard; what was not follows options and surroundings.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Chosen {
    #[serde(skip_serializing_if = "Option::is_none")]
    theme: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ascii: Option<bool>,
    bits: bool,
    log: bool,
}

impl Chosen {
    /// What `folder` remembers. Where that cannot be read it is as if nothing had ever been chosen.
    pub(super) fn load(folder: Option<&Path>) -> Self {
        let text = folder.and_then(|folder| fs::read(folder.join(FILE)).ok());
        text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// With what the command line says, and where only ASCII can be drawn.
    pub(super) fn taste(&self, theme: Option<ThemeName>, needs_ascii: bool) -> Taste {
        let chosen = || self.theme.as_deref().and_then(|name| name.parse().ok());
        Taste {
            theme: theme.or_else(chosen).unwrap_or_default(),
            ascii: needs_ascii || self.ascii == Some(true),
            bits: self.bits,
            log: self.log,
        }
    }

    /// Remembers what a person changed, from what it was `before` to what it is `after`: an option is for one run.
    pub(super) fn note(&mut self, before: Taste, after: Taste) {
        if after.theme != before.theme {
            self.theme = Some(after.theme.name().to_owned());
        }
        if after.ascii != before.ascii {
            self.ascii = Some(after.ascii);
        }
        (self.bits, self.log) = (after.bits, after.log);
    }

    /// Keeps it in `folder`, whole or as it was.
    pub(super) fn save(&self, folder: &Path) -> io::Result<()> {
        let new = folder.join(format!("{FILE}.new"));
        fs::write(&new, serde_json::to_vec(self)?)?;
        fs::rename(new, folder.join(FILE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_chosen_comes_back_and_an_option_is_for_one_run() {
        let folder = tempfile::tempdir().expect("a folder");
        let again = || Chosen::load(Some(folder.path()));
        assert_eq!(again().taste(None, false), Taste::default(), "nothing was chosen");
        let mut chosen = again();
        let before = chosen.taste(Some(ThemeName::Mono), true);
        assert_eq!((before.theme, before.ascii), (ThemeName::Mono, true));
        chosen.note(before, Taste { bits: true, log: true, ..before });
        chosen.save(folder.path()).expect("it is kept");
        let wanted = Taste { bits: true, log: true, ..Taste::default() };
        assert_eq!(again().taste(None, false), wanted, "neither theme nor characters were chosen");
        let mut chosen = again();
        let before = chosen.taste(None, false);
        chosen.note(before, Taste { theme: ThemeName::Paper, ascii: true, ..before });
        chosen.save(folder.path()).expect("it is kept");
        let wanted = Taste { theme: ThemeName::Paper, ascii: true, ..wanted };
        assert_eq!(again().taste(None, false), wanted);
        assert_eq!(again().taste(Some(ThemeName::Dusk), false).theme, ThemeName::Dusk);
    }

    #[test]
    fn what_cannot_be_understood_was_never_chosen() {
        let folder = tempfile::tempdir().expect("a folder");
        for text in ["", "{", "[]", r#"{"bits": 7}"#] {
            fs::write(folder.path().join(FILE), text).expect("written");
            assert_eq!(Chosen::load(Some(folder.path())), Chosen::default(), "{text}");
        }
        fs::write(folder.path().join(FILE), r#"{"theme": "no such", "new": 1, "log": true}"#)
            .expect("written");
        let taste = Chosen::load(Some(folder.path())).taste(None, false);
        assert_eq!(taste, Taste { log: true, ..Taste::default() }, "a newer one may know more");
        assert_eq!(Chosen::load(None), Chosen::default());
    }
}
