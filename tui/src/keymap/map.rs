//! The keys in force: those of the table, and those that a person chose instead.
//!
//! A chosen key is taken from whatever usually has it, so that a later version that gives a key to something new takes
//! nothing from anybody. Ctrl-C, which ends every program, goes on to do so unless it was chosen for something else.

use std::{borrow::Cow, fmt};

use super::{Action, BINDINGS, Binding, Context, Key};

/// The names that keep Ctrl-C whatever else is chosen for them.
const INTERRUPTED: [&str; 2] = ["quit", "cancel"];

/// Which keys do what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keymap {
    /// What was chosen for each binding of the table; `None` leaves it its usual keys.
    chosen: Vec<Option<Vec<Key>>>,
    /// The keys that each binding has.
    in_force: Vec<Cow<'static, [Key]>>,
}

impl Default for Keymap {
    fn default() -> Self {
        let in_force = BINDINGS.iter().map(|binding| Cow::Borrowed(binding.keys)).collect();
        Self { chosen: vec![None; BINDINGS.len()], in_force }
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

/// A usual key that does something else, because somebody chose it for that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// The key.
    pub key: Key,
    /// What it usually does, by name.
    pub from: &'static str,
    /// What it was chosen for, by name.
    pub by: &'static str,
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
        self.settle();
        is_known
    }

    /// Finds the keys that each binding has, from those that were chosen.
    fn settle(&mut self) {
        let keys = |(binding, chosen): (&'static Binding, &Option<Vec<Key>>)| match chosen {
            None if binding.keys.iter().all(|key| self.taker(*key, binding.name).is_none()) => {
                Cow::Borrowed(binding.keys)
            }
            None => {
                let is_left = |key: &&Key| self.taker(**key, binding.name).is_none();
                binding.keys.iter().filter(is_left).copied().collect()
            }
            Some(chosen) => {
                let interrupt = Key::control('c');
                let keeps = INTERRUPTED.contains(&binding.name)
                    && !chosen.contains(&interrupt)
                    && self.taker(interrupt, binding.name).is_none();
                chosen.iter().copied().chain(keeps.then_some(interrupt)).collect()
            }
        };
        self.in_force = BINDINGS.iter().zip(&self.chosen).map(keys).collect();
    }

    /// What else `key` was chosen for, by name, where the bindings of `name` would hear it.
    fn taker(&self, key: Key, name: &str) -> Option<&'static str> {
        let meets = |taker: &Binding| {
            let is_shared = |context: &Context| {
                let mut here = BINDINGS.iter().filter(|binding| binding.name == name);
                context.hears(key) && here.any(|binding| binding.contexts.contains(context))
            };
            taker.name != name && taker.contexts.iter().any(is_shared)
        };
        let is_chosen = |chosen: &Option<Vec<Key>>| chosen.as_ref().is_some_and(|keys| keys.contains(&key));
        let mut takers = BINDINGS.iter().zip(&self.chosen).filter(|(_, chosen)| is_chosen(chosen));
        takers.find(|(taker, _)| meets(taker)).map(|(taker, _)| taker.name)
    }

    /// The usual keys that were chosen for something else, in the order of the table.
    pub fn taken(&self) -> Vec<Taken> {
        let mut taken = Vec::new();
        for (binding, chosen) in BINDINGS.iter().zip(&self.chosen) {
            let usual = binding.keys.iter().filter(|_| chosen.is_none());
            let new = usual.filter_map(|key| {
                let by = self.taker(*key, binding.name)?;
                Some(Taken { key: *key, from: binding.name, by })
            });
            let new: Vec<Taken> = new.filter(|new| !taken.contains(new)).collect();
            taken.extend(new);
        }
        taken
    }

    /// All bindings.
    pub fn all(&self) -> impl Iterator<Item = Bound<'_>> {
        let keys = self.in_force.iter().zip(&self.chosen);
        BINDINGS.iter().zip(keys).map(|(binding, (keys, chosen))| Bound {
            binding,
            keys,
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

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, from, by } = self;
        write!(f, "{key} is {by}, as chosen, and {from} no more")
    }
}
