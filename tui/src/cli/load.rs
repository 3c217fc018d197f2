//! Reads torrents, wherever they come from, and says what is wrong with one that cannot be used.

use std::{fs::File, io::Read as _, path::Path};

use potluck_common::{
    Printable,
    limits::METAINFO_BYTES_MAX,
    magnet::Magnet,
    metainfo::{Metainfo, Version},
};

use super::{
    create::write,
    exit::{Exit, Failure, Outcome},
};

/// What to do where a torrent file cannot be saved.
const SAVE_REMEDY: &str = "name another file with --save-torrent";

/// Reads and checks a torrent file.
pub fn from_file(path: &Path) -> Outcome<Metainfo> {
    if path.is_dir() {
        let remedy = "`potluck seed` shares a folder, `potluck create` makes a torrent of it";
        return Err(Failure::new(Exit::BadTorrent, path.display(), "a folder, not a torrent file", remedy));
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(METAINFO_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| Failure::io(path, &error))?;
    if bytes.len() > METAINFO_BYTES_MAX {
        let what = format!("larger than any torrent file ({} MiB)", METAINFO_BYTES_MAX >> 20);
        return Err(Failure::new(
            Exit::BadTorrent,
            path.display(),
            what,
            "give the torrent, not its payload",
        ));
    }
    parse(&path.display().to_string(), &bytes)
}

/// Checks the bytes of a torrent that came from `origin`.
pub fn parse(origin: &str, bytes: &[u8]) -> Outcome<Metainfo> {
    Metainfo::parse(bytes).map_err(|error| {
        Failure::new(Exit::BadTorrent, origin, error, "get the torrent again from where it came from")
    })
}

/// Checks a magnet link or an info-hash.
pub fn magnet(link: &str) -> Outcome<Magnet> {
    Magnet::parse_loose(link).map_err(|error| {
        let shown = Printable::bounded(link, 60);
        Failure::new(Exit::BadTorrent, shown, error, "copy the whole link, in quotes for the shell")
    })
}

/// Writes the bytes of a torrent file at `target`, all of it or nothing; or under the torrent's name where that is a
/// folder. That name comes from others: what has it already stays, and is an error unless it is the same torrent.
pub fn save(target: &Path, metainfo: &Metainfo, bytes: &[u8]) -> Outcome {
    if target.is_dir() {
        return save_new(&target.join(format!("{}.torrent", metainfo.name())), metainfo, bytes);
    }
    let is_file = target.symlink_metadata().map_or(true, |found| found.is_file());
    if is_file {
        return write(target, bytes, true).map_err(for_saving);
    }
    // A pipe, a device, a link: who named it wants it written into.
    std::fs::write(target, bytes).map_err(|error| Failure::io(target, &error))
}

fn save_new(path: &Path, metainfo: &Metainfo, bytes: &[u8]) -> Outcome {
    let Ok(found) = path.symlink_metadata() else {
        return write(path, bytes, false).map_err(for_saving);
    };
    let is_same =
        found.is_file() && from_file(path).is_ok_and(|there| there.info_hash() == metainfo.info_hash());
    if is_same {
        return Ok(());
    }
    Err(Failure::new(Exit::Conflict, path.display(), "exists already", SAVE_REMEDY))
}

/// The remedies of `potluck create` are options that do not mean the same here.
fn for_saving(failure: Failure) -> Failure {
    match failure.exit {
        Exit::Conflict | Exit::NotFound => Failure { remedy: Printable::new(SAVE_REMEDY), ..failure },
        _ => failure,
    }
}

/// Refuses what cannot be transferred yet.
pub fn require_v1(origin: &str, metainfo: &Metainfo) -> Outcome {
    if metainfo.version() != Version::V2 {
        return Ok(());
    }
    Err(Failure::new(
        Exit::BadTorrent,
        origin,
        "a v2-only torrent (BEP 52), which cannot be transferred or checked yet",
        "ask for a v1 or hybrid torrent of the same payload",
    ))
}
