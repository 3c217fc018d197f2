//! What the signs on a screen mean, for its help.

use crate::{keymap::Context, theme::Theme};

/// A sign, and what it means.
pub(super) struct Sign {
    pub(super) sign: String,
    pub(super) words: &'static str,
}

/// What stands above the signs of a context; `None` where there are none that the screen does not explain itself.
pub(super) const fn signs_title(context: Context) -> Option<&'static str> {
    match context {
        Context::Torrents => Some("Signs in the list of torrents"),
        Context::Ledger => Some("Signs in the lists of peers"),
        _ => None,
    }
}

/// The signs of a context. Those of peers stand where the peers of a torrent do.
pub(super) fn signs(context: Context, theme: &Theme) -> Vec<Sign> {
    let symbols = theme.symbols;
    let told: Vec<(String, &'static str)> = match context {
        Context::Torrents => vec![
            (symbols.marked.to_owned(), "marked: what is done is done to all that are marked"),
            ("Seeds Leech".to_owned(), "connected / known to the trackers"),
            ("Avail".to_owned(), "copies of the rarest piece here and at those who are connected"),
            ("Avail 0.97!".to_owned(), "less than one whole copy: it cannot be completed with these peers"),
            ("me/by me".to_owned(), "how many peers unchoke me / how many I unchoke"),
        ],
        Context::Ledger => vec![
            ("O I".to_owned(), "flags: we opened the connection (out), or they did (in)"),
            ("D d".to_owned(), "flags: we want their pieces, and they let us (D) or choke us (d)"),
            ("U u".to_owned(), "flags: they want our pieces, and we let them (U) or choke them (u)"),
            ("K".to_owned(), "flags: they would let us, and we want nothing"),
            ("?".to_owned(), "flags: we would let them, and they want nothing"),
            ("S".to_owned(), "flags: they unchoke us and send nothing (snubbed)"),
            ("T H X L".to_owned(), "flags: named by a tracker, the DHT, a peer (PEX), the local network"),
            ("R M P".to_owned(), "flags: known from an earlier run, named by the magnet link, or by you"),
            ("+ #1".to_owned(), "rank: has a slot for what it gives, and gives the most"),
            ("12".to_owned(), "rank: gives, but others give more"),
            ("try".to_owned(), "rank: on trial, so that it may show what it gives"),
            ("turn".to_owned(), "rank: we are a seed, and it is its turn"),
            ("-".to_owned(), "rank: took more than it gave, or sends nothing"),
            ("seed".to_owned(), "rank: has everything and wants nothing"),
        ],
        _ => Vec::new(),
    };
    told.into_iter().map(|(sign, words)| Sign { sign, words }).collect()
}
