//! `.torrent` files: what is accepted holds together, and every accessor works.

mod made;

use std::collections::BTreeSet;

use arbitrary::Unstructured;
use potluck_common::{
    hash::{sha1, sha256},
    limits::PATH_COMPONENTS_MAX,
    magnet::Magnet,
    metainfo::{FileEntry, Metainfo},
};

use super::assert_printable;

/// Takes the bytes for a file or, where they do not begin like one, for the choices to make one by.
pub fn run(bytes: &[u8]) {
    if bytes.first().is_some_and(u8::is_ascii_alphanumeric) {
        file(bytes);
    } else if let Ok(made) = made::torrent(&mut Unstructured::new(bytes)) {
        file(&made);
    }
}

/// Parses a file and, when it is accepted, looks at everything that it says.
fn file(bytes: &[u8]) {
    match Metainfo::parse(bytes) {
        Ok(metainfo) => {
            identity(&metainfo, bytes);
            payload(&metainfo);
            names(&metainfo);
            remarks(&metainfo);
        }
        Err(error) => assert_printable(error),
    }
}

fn identity(metainfo: &Metainfo, bytes: &[u8]) {
    let info = metainfo.info_bytes();
    assert!(bytes.windows(info.len()).any(|window| window == info), "info is as it arrived");
    let v1 = metainfo.info_hash_v1().map(|hash| hash.0);
    let v2 = metainfo.info_hash_v2().map(|hash| hash.0);
    assert_eq!(v1, metainfo.version().has_v1().then(|| sha1(info)));
    assert_eq!(v2, metainfo.version().has_v2().then(|| sha256(info)));
    let link = Magnet::from(metainfo).to_string();
    assert_eq!(Magnet::parse(&link).expect("our own link").info_hash(), metainfo.info_hash());
}

fn payload(metainfo: &Metainfo) {
    let geometry = metainfo.geometry();
    let (has_v1, has_v2) = (metainfo.version().has_v1(), metainfo.version().has_v2());
    let mut end = 0;
    for file in metainfo.files() {
        assert!(file.offset >= end && (file.offset == end || !has_v1), "files lie end to end");
        if has_v2 && file.length > 0 && !file.padding {
            assert!(file.offset.is_multiple_of(u64::from(geometry.piece_length())));
            let root = file.pieces_root.expect("a file of v2 has a root");
            let layer = metainfo.piece_layer(&root).map(|layer| layer.len() as u64);
            let pieces = file.length.div_ceil(u64::from(geometry.piece_length()));
            assert_eq!(layer.unwrap_or(1), pieces);
        }
        end = file.offset + file.length;
    }
    assert_eq!(end, geometry.total());
    let sizes = metainfo.files().iter().filter(|file| !file.padding).map(|file| file.length);
    assert_eq!(metainfo.total_size(), sizes.sum());
    assert_eq!(metainfo.piece_hashes().len(), if has_v1 { geometry.pieces() as usize } else { 0 });
    if has_v1 {
        for piece in geometry.iter() {
            let _ = metainfo.piece_hash(piece);
        }
    }
}

fn names(metainfo: &Metainfo) {
    let mut taken = BTreeSet::new();
    for file in metainfo.files() {
        let components = file.path.components();
        assert_eq!(components[0], metainfo.name(), "{:?}", file.path);
        assert_eq!(components.len() == 1, metainfo.is_single_file());
        assert!(components.len() <= PATH_COMPONENTS_MAX + 1);
        for name in components {
            assert!(!matches!(name.as_str(), "" | "." | "..") && name.len() <= 255, "{name:?}");
            assert!(!name.contains(['/', '\\']) && !name.contains(char::is_control), "{name:?}");
        }
        assert!(file.path.to_path_buf().is_relative());
        assert_printable(&file.path);
        assert_printable(file.path.to_slash_string());
        assert!(!file.is_on_disk() || taken.insert(folded(file)), "{:?} meets another file", file.path);
    }
    for file in metainfo.files().iter().filter(|file| file.is_on_disk()) {
        let mut folder = folded(file);
        while folder.pop().is_some() {
            assert!(!taken.contains(&folder), "{:?} lies in a file", file.path);
        }
    }
}

/// The path as a file system sees it that takes no account of the case of ASCII letters.
fn folded(file: &FileEntry) -> Vec<String> {
    file.path.components().iter().map(|name| name.to_ascii_lowercase()).collect()
}

fn remarks(metainfo: &Metainfo) {
    for text in [metainfo.comment(), metainfo.created_by(), metainfo.source()].into_iter().flatten() {
        assert_printable(text);
    }
    metainfo.trackers().iter().for_each(|tier| assert!(!tier.is_empty()));
    let urls = metainfo.trackers().iter().flatten().chain(metainfo.web_seeds());
    urls.chain(metainfo.nodes().iter().map(|(host, _)| host)).for_each(assert_printable);
    let _ = (metainfo.creation_date(), metainfo.private(), metainfo.version().to_string());
}
