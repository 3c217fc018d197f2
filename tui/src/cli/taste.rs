//! How a person likes the dashboard, remembered from run to run.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{model::setting::Taste, theme::ThemeName};

/// Within the folder of all state.
const FILE: &str = "dashboard.json";

/// Why only ASCII would be drawn.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Ascii {
    /// By an option.
    pub(super) is_asked_for: bool,
    /// By the locale or the terminal.
    pub(super) is_all_that_is_shown: bool,
}

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
    /// What another version knows beside.
    #[serde(flatten)]
    others: serde_json::Map<String, serde_json::Value>,
    /// There is a file that cannot be understood, which stays as it is.
    #[serde(skip)]
    is_unreadable: bool,
}

impl Chosen {
    /// What `folder` remembers. Where that cannot be read it is as if nothing had ever been chosen.
    pub(super) fn load(folder: Option<&Path>) -> Self {
        let unreadable = || Self { is_unreadable: true, ..Self::default() };
        match folder.map(|folder| fs::read(folder.join(FILE))) {
            Some(Ok(text)) => serde_json::from_slice(&text).unwrap_or_else(|_| unreadable()),
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => unreadable(),
            Some(Err(_)) | None => Self::default(),
        }
    }

    /// With what the command line says, which goes before what was chosen; and that before what the surroundings can show.
    pub(super) fn taste(&self, theme: Option<ThemeName>, ascii: Ascii) -> Taste {
        let chosen = || self.theme.as_deref().and_then(|name| name.parse().ok());
        Taste {
            theme: theme.or_else(chosen).unwrap_or_default(),
            ascii: ascii.is_asked_for || self.ascii.unwrap_or(ascii.is_all_that_is_shown),
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
        if self.is_unreadable {
            let path = folder.join(FILE);
            let words = format!("{} cannot be read, and stays as it is: remove it", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, words));
        }
        let new = folder.join(format!("{FILE}.new"));
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
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
        assert_eq!(again().taste(None, Ascii::default()), Taste::default(), "nothing was chosen");
        let mut chosen = again();
        let asked = Ascii { is_asked_for: true, is_all_that_is_shown: false };
        let before = chosen.taste(Some(ThemeName::Mono), asked);
        assert_eq!((before.theme, before.ascii), (ThemeName::Mono, true));
        chosen.note(before, Taste { bits: true, log: true, ..before });
        chosen.save(folder.path()).expect("it is kept");
        let wanted = Taste { bits: true, log: true, ..Taste::default() };
        assert_eq!(again().taste(None, Ascii::default()), wanted, "neither theme nor characters were chosen");
        let mut chosen = again();
        let before = chosen.taste(None, Ascii::default());
        chosen.note(before, Taste { theme: ThemeName::Paper, ascii: true, ..before });
        chosen.save(folder.path()).expect("it is kept");
        let wanted = Taste { theme: ThemeName::Paper, ascii: true, ..wanted };
        assert_eq!(again().taste(None, Ascii::default()), wanted);
        assert_eq!(again().taste(Some(ThemeName::Dusk), Ascii::default()).theme, ThemeName::Dusk);
        // Characters beyond ASCII are chosen where the surroundings say that they cannot be shown.
        let mut chosen = again();
        let poor = Ascii { is_asked_for: false, is_all_that_is_shown: true };
        let before = chosen.taste(None, poor);
        chosen.note(before, Taste { ascii: false, ..before });
        chosen.save(folder.path()).expect("it is kept");
        assert!(!again().taste(None, poor).ascii && again().taste(None, asked).ascii);
    }

    #[test]
    fn what_cannot_be_understood_was_never_chosen() {
        let folder = tempfile::tempdir().expect("a folder");
        for text in ["", "{", "[]", r#"{"bits": 7}"#] {
            fs::write(folder.path().join(FILE), text).expect("written");
            let chosen = Chosen::load(Some(folder.path()));
            assert_eq!(chosen, Chosen { is_unreadable: true, ..Chosen::default() }, "{text}");
            let error = chosen.save(folder.path()).expect_err("it stays as it is");
            assert!(error.to_string().contains("dashboard.json cannot be read"), "{error}");
            assert_eq!(fs::read(folder.path().join(FILE)).expect("it is there"), text.as_bytes());
        }
        fs::write(folder.path().join(FILE), r#"{"theme": "no such", "new": 1, "log": true}"#)
            .expect("written");
        let chosen = Chosen::load(Some(folder.path()));
        let taste = chosen.taste(None, Ascii::default());
        assert_eq!(taste, Taste { log: true, ..Taste::default() }, "a newer one may know more");
        chosen.save(folder.path()).expect("it is kept");
        assert_eq!(Chosen::load(Some(folder.path())).others["new"], 1, "which is not lost");
        assert_eq!(Chosen::load(None), Chosen::default());
    }
}
