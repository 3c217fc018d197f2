//! The keys in force: those of the table, and those that a person chose instead.

use std::fmt;

use super::{Action, BINDINGS, Binding, Context, Key};

/// Which keys do what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keymap {
    /// What was chosen for each binding of the table; `None` leaves it its usual keys.
    chosen: Vec<Option<Vec<Key>>>,
}

impl Default for Keymap {
    fn default() -> Self {
        Self { chosen: vec![None; BINDINGS.len()] }
    }
}

/// A binding with the keys that it has.
#[derive(Clone, Copy, Debug)]
pub struct Bound<'a> {
    /// What they do.
    pub binding: &'static Binding,
    /// Each of them does it; the first is shown first. There may be none.
    pub keys: &'a [Key],
    /// A person chose them.
    pub is_chosen: bool,
}

/// Why keys cannot be as they were chosen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Clash {
    /// A key would do two things in one place.
    Twice {
        /// The key.
        key: Key,
        /// What it would do, by name.
        names: [&'static str; 2],
        /// A place where it would.
        context: Context,
    },
    /// A character is typed wherever it could do that.
    Typed {
        /// The key.
        key: Key,
        /// What it could never do, by name.
        name: &'static str,
    },
    /// Nothing would lead out of a place.
    NoWayOut {
        /// What leads out, by name.
        name: &'static str,
        /// The place.
        context: Context,
    },
}

impl Keymap {
    /// Chooses keys for all bindings of a name. Says whether there is such a name.
    pub fn choose(&mut self, name: &str, keys: &[Key]) -> bool {
        let mut is_known = false;
        for (binding, chosen) in BINDINGS.iter().zip(&mut self.chosen) {
            if binding.name == name {
                *chosen = Some(keys.to_vec());
                is_known = true;
            }
        }
        is_known
    }

    /// All bindings.
    pub fn all(&self) -> impl Iterator<Item = Bound<'_>> {
        BINDINGS.iter().zip(&self.chosen).map(|(binding, chosen)| Bound {
            binding,
            keys: chosen.as_deref().unwrap_or(binding.keys),
            is_chosen: chosen.is_some(),
        })
    }

    /// What there is in `context`, in the order in which it matters; what has no key is among it.
    pub fn bindings(&self, context: Context) -> impl Iterator<Item = Bound<'_>> {
        self.all().filter(move |bound| bound.binding.contexts.contains(&context))
    }

    /// What `key` does in `context`. In a dialog that is typed into, everything else that is a character is typed.
    pub fn action(&self, context: Context, key: Key) -> Option<Action> {
        if !context.hears(key) {
            return None;
        }
        self.bindings(context).find(|bound| bound.keys.contains(&key)).map(|bound| bound.binding.action)
    }

    /// The first key that does `action` in `context`.
    pub fn key(&self, context: Context, action: Action) -> Option<Key> {
        let mut bounds = self.bindings(context).filter(|bound| bound.binding.action == action);
        bounds.find_map(|bound| bound.keys.iter().copied().find(|key| context.hears(*key)))
    }

    /// `start`, the key that does `action` in `context`, and `end`; nothing where no key does.
    pub fn hint(&self, context: Context, action: Action, start: &str, end: &str) -> String {
        self.key(context, action).map_or_else(String::new, |key| format!("{start}{key}{end}"))
    }

    /// What cannot be as it was chosen.
    pub fn clashes(&self) -> Vec<Clash> {
        let mut clashes = Vec::new();
        for context in Context::ALL {
            clashes.extend(self.twice(context));
            let ways_out = [Action::Quit, Action::Close];
            if ways_out.iter().all(|action| self.key(context, *action).is_none()) {
                let name = if context.is_dialog() { "cancel" } else { "quit" };
                clashes.push(Clash::NoWayOut { name, context });
            }
        }
        clashes.extend(self.all().filter(|bound| bound.is_chosen).flat_map(|bound| {
            let never =
                |key: &&Key| !self.all().any(|other| is_heard(other.binding, bound.binding.name, **key));
            bound
                .keys
                .iter()
                .filter(never)
                .map(move |key| Clash::Typed { key: *key, name: bound.binding.name })
        }));
        let mut told: Vec<Clash> = Vec::new();
        clashes.retain(|clash| {
            let is_new = !told.iter().any(|other| other.is_like(clash));
            if is_new {
                told.push(clash.clone());
            }
            is_new
        });
        clashes
    }

    /// Keys that would do two things in `context`.
    fn twice(&self, context: Context) -> Vec<Clash> {
        let mut owners: Vec<(Key, &'static str)> = Vec::new();
        let mut clashes = Vec::new();
        for bound in self.bindings(context) {
            let name = bound.binding.name;
            for key in bound.keys.iter().filter(|key| context.hears(**key)) {
                match owners.iter().find(|(other, _)| other == key) {
                    Some((_, owner)) if *owner != name => {
                        clashes.push(Clash::Twice { key: *key, names: [owner, name], context });
                    }
                    Some(_) => {}
                    None => owners.push((*key, name)),
                }
            }
        }
        clashes
    }
}

/// Whether `key` could be heard by a binding, if that has this name.
fn is_heard(binding: &Binding, name: &str, key: Key) -> bool {
    binding.name == name && binding.contexts.iter().any(|context| context.hears(key))
}

impl Clash {
    /// The names that it is about, the one to change first.
    pub fn names(&self) -> Vec<&'static str> {
        match self {
            Self::Twice { names: [one, other], .. } => vec![other, one],
            Self::Typed { name, .. } | Self::NoWayOut { name, .. } => vec![name],
        }
    }

    /// One is told of another place.
    fn is_like(&self, other: &Self) -> bool {
        let key = |clash: &Self| match clash {
            Self::Twice { key, .. } | Self::Typed { key, .. } => Some(*key),
            Self::NoWayOut { .. } => None,
        };
        self.names() == other.names() && key(self) == key(other)
    }

    /// What to do about it, as seen by `name`.
    pub fn remedy(&self, name: &str) -> String {
        match self {
            Self::Twice { names, .. } => {
                let other = names.iter().find(|other| **other != name).unwrap_or(&names[0]);
                format!("give {other} another key, or none: {other} = []")
            }
            Self::Typed { .. } => "choose one with ctrl-, or one that is no character".to_owned(),
            Self::NoWayOut { .. } => "choose a key for it".to_owned(),
        }
    }

    /// What is wrong with the keys of `name`.
    pub fn words(&self, name: &str) -> String {
        match self {
            Self::Twice { key, names, context } => {
                let other = names.iter().find(|other| **other != name).unwrap_or(&names[0]);
                format!("{key} is {other}, too, in \"{}\"", context.title())
            }
            Self::Typed { key, .. } => format!("{key} is typed there"),
            Self::NoWayOut { context, .. } => format!("no key would lead out of \"{}\"", context.title()),
        }
    }
}

impl fmt::Display for Bound<'_> {
    /// The keys, or that there is none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.keys.is_empty() {
            return f.write_str("none");
        }
        for (number, key) in self.keys.iter().enumerate() {
            write!(f, "{}{key}", if number > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}
