//! Reads torrents, wherever they come from, and says what is wrong with one that cannot be used.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use potluck_common::{
    Printable,
    limits::METAINFO_BYTES_MAX,
    magnet::Magnet,
    metainfo::{Metainfo, Version},
};

use super::exit::{Exit, Failure, Outcome};

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

/// Writes the bytes of a torrent file at `target`, or under the torrent's name where that is a folder. Gives the path.
pub fn save(target: &Path, metainfo: &Metainfo, bytes: &[u8]) -> Outcome<PathBuf> {
    let path =
        if target.is_dir() { target.join(format!("{}.torrent", metainfo.name())) } else { target.to_owned() };
    std::fs::write(&path, bytes).map_err(|error| Failure::io(&path, &error))?;
    Ok(path)
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
