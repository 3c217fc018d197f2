//! What keys cannot be as they were chosen, and what to do about it.

use super::{Action, Binding, Context, Key, Keymap};

/// Why keys cannot be as they were chosen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Clash {
    /// A key was chosen for two things in one place.
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
    /// Nothing does what a place cannot be without.
    NoKey {
        /// What does it, by name.
        name: &'static str,
        /// What was chosen to have its usual keys, by name.
        takers: Vec<&'static str>,
        /// What no key would do, up to the place.
        what: &'static str,
        /// The place.
        context: Context,
    },
}

impl Keymap {
    /// What cannot be as it was chosen.
    pub fn clashes(&self) -> Vec<Clash> {
        let mut clashes = Vec::new();
        for context in Context::ALL {
            clashes.extend(self.twice(context));
            clashes.extend(self.no_key(context));
        }
        clashes.extend(self.typed());
        let mut told: Vec<Clash> = Vec::new();
        for clash in clashes {
            if !told.iter().any(|other| other.is_like(&clash)) {
                told.push(clash);
            }
        }
        told
    }

    /// Keys that would do two things in `context`. Both were chosen: one that was not has given way.
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

    /// What `context` cannot be without and has no key.
    fn no_key(&self, context: Context) -> Vec<Clash> {
        let has = |action| self.key(context, action).is_some();
        let mut clashes = Vec::new();
        let mut lacks = |name, what| {
            let taken = self.taken().into_iter().filter(|taken| taken.from == name);
            let takers = taken.map(|taken| taken.by).collect();
            clashes.push(Clash::NoKey { name, takers, what, context });
        };
        if !has(Action::Quit) && !has(Action::Close) {
            lacks(if context.is_dialog() { "cancel" } else { "quit" }, "lead out of");
        }
        if context.is_typed_into() && !has(Action::Accept) {
            lacks("accept", "take what is typed in");
        }
        clashes
    }

    /// Chosen keys that nothing could ever hear.
    fn typed(&self) -> Vec<Clash> {
        let mut clashes = Vec::new();
        for bound in self.all().filter(|bound| bound.is_chosen) {
            let name = bound.binding.name;
            let never = |key: &&Key| {
                !self.all().any(|other| other.binding.name == name && is_heard(other.binding, **key))
            };
            clashes.extend(bound.keys.iter().filter(never).map(|key| Clash::Typed { key: *key, name }));
        }
        clashes
    }
}

/// Whether `key` could be heard by a binding.
fn is_heard(binding: &Binding, key: Key) -> bool {
    binding.contexts.iter().any(|context| context.hears(key))
}

impl Clash {
    /// The names that it is about, the one to change first.
    pub fn names(&self) -> Vec<&'static str> {
        match self {
            Self::Twice { names: [one, other], .. } => vec![other, one],
            Self::Typed { name, .. } => vec![name],
            Self::NoKey { name, takers, .. } => {
                std::iter::once(*name).chain(takers.iter().copied()).collect()
            }
        }
    }

    /// One is told of another place.
    fn is_like(&self, other: &Self) -> bool {
        let key = |clash: &Self| match clash {
            Self::Twice { key, .. } | Self::Typed { key, .. } => Some(*key),
            Self::NoKey { .. } => None,
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
            Self::NoKey { name: needed, .. } if name != *needed => {
                format!("choose another one, or another one for {needed}")
            }
            Self::NoKey { context, .. } if !context.is_typed_into() => "choose a key for it".to_owned(),
            Self::Typed { .. } | Self::NoKey { .. } => {
                "choose one with ctrl-, or one that is no character".to_owned()
            }
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
            Self::NoKey { name: needed, what, context, .. } => {
                let taken =
                    if name == *needed { String::new() } else { format!("{needed} has no other key, and ") };
                format!("{taken}no key would {what} \"{}\"", context.title())
            }
        }
    }
}
