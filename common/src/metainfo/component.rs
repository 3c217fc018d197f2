//! One path component made safe.

use crate::{hash::sha1, limits::PATH_COMPONENT_BYTES_MAX, printable::is_unsafe};

/// What the file system takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rules {
    /// Everything that is no separator and no trick.
    Unix,
    /// Also without device names, the characters Windows reserves, and dots or spaces at the end.
    Windows,
}

impl Rules {
    /// The rules of the system that this is compiled for.
    pub(super) const NATIVE: Self = if cfg!(windows) { Self::Windows } else { Self::Unix };
}

/// `raw` as one safe component, or `None` when it names nothing: it is empty, `.` or `..`.
pub(super) fn safe_component(raw: &[u8], rules: Rules) -> Option<String> {
    if matches!(raw, b"" | b"." | b"..") {
        return None;
    }
    let mut name = String::with_capacity(raw.len());
    for chunk in raw.utf8_chunks() {
        name.extend(
            chunk.valid().chars().map(|character| if is_allowed(character, rules) { character } else { '_' }),
        );
        name.extend((!chunk.invalid().is_empty()).then_some('_'));
    }
    if rules == Rules::Windows {
        let kept = name.trim_end_matches(['.', ' ']).len();
        let cut = name.len() - kept;
        name.replace_range(kept.., &"_".repeat(cut));
        if is_device(&name) {
            name.insert(0, '_');
        }
    }
    if name.len() > PATH_COMPONENT_BYTES_MAX {
        name = shortened(&name, raw);
    }
    Some(name)
}

/// Whether a file name may hold `character`: what controls a terminal or reorders the text around it may not, but
/// joiners, which belong to the spelling of some languages, may.
fn is_allowed(character: char, rules: Rules) -> bool {
    match character {
        '/' | '\\' => false,
        '<' | '>' | ':' | '"' | '|' | '?' | '*' => rules == Rules::Unix,
        '\u{200b}'..='\u{200d}' | '\u{2060}' => true,
        _ => !is_unsafe(character),
    }
}

/// Whether Windows would open a device under this name, with or without an extension.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_uppercase();
    match stem.as_str() {
        "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$" => true,
        _ => ["COM", "LPT"].iter().any(|port| {
            let number = stem.strip_prefix(port).unwrap_or_default();
            matches!(number, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³")
        }),
    }
}

/// A name of at most the permitted length that keeps the extension and tells apart what was cut off.
fn shortened(name: &str, raw: &[u8]) -> String {
    let (stem, extension) = split_extension(name);
    let digest = sha1(raw);
    let mark = format!("~{}", data_encoding::HEXLOWER.encode(&digest[..4]));
    let room = PATH_COMPONENT_BYTES_MAX - mark.len() - extension.len();
    let end = (0..=room).rev().find(|end| stem.is_char_boundary(*end)).unwrap_or(0);
    format!("{}{mark}{extension}", &stem[..end])
}

/// Splits before the last dot, unless what follows is too long for an extension or nothing stands before it.
pub(super) fn split_extension(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= 16 => name.split_at(dot),
        _ => (name, ""),
    }
}

/// The form in which two names are equal that a file system without regard to case takes for one.
pub(super) fn folded(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    name.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}
