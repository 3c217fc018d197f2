//! Torrents that are nearly right: bytes that a fuzzer flips seldom get past the first length that must fit another.

use std::collections::BTreeMap;

use arbitrary::{Result, Unstructured};
use potluck_common::{
    bencode::{DictWriter, encode_dict},
    limits::BLOCK_LENGTH,
    metainfo::merkle::{piece_height, root_of_layer},
};

/// Names that meet one another, or that no file may have.
const NAMES: &[&str] =
    &["a", "A", "b", "a.1", "..", ".", "", "a/b", "é", "É", "con", "\u{202e}x", "long.txt"];

/// A folder of files, or the only file under the empty name.
type Folder = BTreeMap<String, File>;

struct File {
    length: u64,
    attributes: &'static str,
}

/// Makes a torrent of any version from `choices`.
pub(super) fn torrent(choices: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let (has_v1, has_v2) = *choices.choose(&[(true, false), (false, true), (true, true)])?;
    let piece_length = *choices.choose(&[16_384, 32_768, 1 << 20, 16_384, 40_000, 1, 0, 1 << 40])?;
    let folders = folders(choices)?;
    let name = choices.choose(NAMES)?;
    let private = choices.ratio(1, 8)?;
    let slip = u64::from(choices.ratio(1, 16)?);
    let layers = layers(&folders, piece_length, choices)?;
    Ok(encode_dict(|out| {
        out.bytes(b"announce", b"http://tracker.example/announce");
        out.dict(b"info", |out| {
            if has_v2 {
                out.dict(b"file tree", |out| tree(out, &folders, &layers));
            }
            if has_v1 {
                list(out, &folders, has_v2.then_some(piece_length));
            }
            if has_v2 {
                out.int(b"meta version", 2);
            }
            out.bytes(b"name", name.as_bytes());
            out.int(b"piece length", piece_length.cast_signed());
            if has_v1 {
                let end = ends(&folders, has_v2.then_some(piece_length)).last().copied().unwrap_or(0);
                let pieces = end.div_ceil(piece_length.max(1)).min(1_000) + slip;
                out.bytes(b"pieces", &vec![7; 20 * pieces as usize]);
            }
            if private {
                out.int(b"private", 1);
            }
        });
        if has_v2 {
            out.dict(b"piece layers", |out| {
                let by_root: BTreeMap<_, _> =
                    layers.values().filter(|(_, layer)| layer.len() > 1).cloned().collect();
                for (root, layer) in by_root {
                    out.bytes(&root, layer.as_flattened());
                }
            });
        }
    }))
}

fn folders(choices: &mut Unstructured<'_>) -> Result<BTreeMap<String, Folder>> {
    let mut folders = BTreeMap::<String, Folder>::new();
    for _ in 0..choices.int_in_range(1..=6)? {
        let (folder, name) = (choices.choose(NAMES)?, choices.choose(NAMES)?);
        let length = *choices.choose(&[0, 1, 16_384, 16_385, 100_000, 3 << 20])?;
        let attributes = *choices.choose(&["", "", "", "x", "h", "l", "p", "xhz"])?;
        let files = folders.entry((*folder).to_owned()).or_default();
        // A folder is the file of that name when it holds the empty name.
        let alone = files.contains_key("") || (name.is_empty() && !files.is_empty());
        if !alone {
            files.insert((*name).to_owned(), File { length, attributes });
        }
    }
    Ok(folders)
}

fn files(folders: &BTreeMap<String, Folder>) -> impl Iterator<Item = (&str, &str, &File)> {
    folders.iter().flat_map(|(folder, files)| {
        files.iter().map(move |(name, file)| (folder.as_str(), name.as_str(), file))
    })
}

/// Where each file ends, each beginning at a multiple of `alignment`.
fn ends(folders: &BTreeMap<String, Folder>, alignment: Option<u64>) -> Vec<u64> {
    let mut end = 0u64;
    let each = files(folders).map(|(.., file)| {
        if file.length > 0 {
            end = end.next_multiple_of(alignment.unwrap_or(1).max(1));
        }
        end += file.length;
        end
    });
    each.collect()
}

/// The v1 key `files`, with padding before each file that is to be aligned.
fn list(out: &mut DictWriter<'_>, folders: &BTreeMap<String, Folder>, alignment: Option<u64>) {
    let ends = ends(folders, alignment);
    out.list(b"files", |out| {
        let mut last = 0;
        for ((folder, name, file), end) in files(folders).zip(ends) {
            let padding = end - file.length - last;
            last = end;
            if padding > 0 {
                out.dict(|out| {
                    out.bytes(b"attr", b"p");
                    out.int(b"length", padding.cast_signed());
                    out.list(b"path", |out| out.bytes(b".pad"));
                });
            }
            out.dict(|out| {
                if !file.attributes.is_empty() {
                    out.bytes(b"attr", file.attributes.as_bytes());
                }
                out.int(b"length", file.length.cast_signed());
                out.list(b"path", |out| {
                    out.bytes(folder.as_bytes());
                    if !name.is_empty() {
                        out.bytes(name.as_bytes());
                    }
                });
            });
        }
    });
}

/// A root and the layer that it follows from, by the file's length.
type Layers = BTreeMap<u64, ([u8; 32], Vec<[u8; 32]>)>;

fn layers(
    folders: &BTreeMap<String, Folder>,
    piece_length: u64,
    choices: &mut Unstructured<'_>,
) -> Result<Layers> {
    let right = piece_length.is_power_of_two() && (u64::from(BLOCK_LENGTH)..=1 << 20).contains(&piece_length);
    let height = if right { piece_height(piece_length as u32) } else { 0 };
    let mut layers = Layers::new();
    for (.., file) in files(folders) {
        let pieces = file.length.div_ceil(piece_length.max(BLOCK_LENGTH.into()));
        let layer: Vec<_> = (0..pieces).map(|piece| [piece as u8 + 1; 32]).collect();
        let mut root = root_of_layer(&layer, height);
        if choices.ratio(1, 32)? {
            root[0] ^= 1;
        }
        layers.insert(file.length, (root, layer));
    }
    Ok(layers)
}

/// The v2 key `file tree`.
fn tree(out: &mut DictWriter<'_>, folders: &BTreeMap<String, Folder>, layers: &Layers) {
    for (folder, files) in folders {
        out.dict(folder.as_bytes(), |out| {
            for (name, file) in files {
                if name.is_empty() {
                    leaf(out, file, layers);
                } else {
                    out.dict(name.as_bytes(), |out| leaf(out, file, layers));
                }
            }
        });
    }
}

fn leaf(out: &mut DictWriter<'_>, file: &File, layers: &Layers) {
    out.dict(b"", |out| {
        if !file.attributes.is_empty() {
            out.bytes(b"attr", file.attributes.as_bytes());
        }
        out.int(b"length", file.length.cast_signed());
        if file.length > 0 {
            out.bytes(b"pieces root", &layers[&file.length].0);
        }
    });
}
