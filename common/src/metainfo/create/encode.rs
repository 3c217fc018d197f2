//! The encoding of a planned torrent.

use super::{super::FileEntry, FileMerkle, Plan};
use crate::{
    bencode::{DictWriter, encode_dict},
    hash::Sha1Digest,
};

/// The whole file.
pub(super) fn torrent(plan: &Plan, piece_hashes: &[Sha1Digest], merkles: &[FileMerkle]) -> Vec<u8> {
    let options = &plan.options;
    let tiers: Vec<_> = options.trackers.iter().filter(|tier| !tier.is_empty()).collect();
    let text = |out: &mut DictWriter<'_>, key: &[u8], value: &Option<String>| {
        if let Some(value) = value {
            out.bytes(key, value.as_bytes());
        }
    };
    encode_dict(|out| {
        if let Some(first) = tiers.first().and_then(|tier| tier.first()) {
            out.bytes(b"announce", first.as_bytes());
        }
        if tiers.iter().map(|tier| tier.len()).sum::<usize>() > 1 {
            out.list(b"announce-list", |out| {
                for tier in &tiers {
                    out.list(|out| tier.iter().for_each(|url| out.bytes(url.as_bytes())));
                }
            });
        }
        text(out, b"comment", &options.comment);
        text(out, b"created by", &options.created_by);
        if let Some(seconds) = options.creation_date {
            out.int(b"creation date", seconds);
        }
        out.dict(b"info", |out| info(out, plan, piece_hashes, merkles));
        if plan.version().has_v2() {
            out.dict(b"piece layers", |out| layers(out, merkles));
        }
        if !options.web_seeds.is_empty() {
            out.list(b"url-list", |out| options.web_seeds.iter().for_each(|url| out.bytes(url.as_bytes())));
        }
    })
}

/// The part that the info-hash stands for.
fn info(out: &mut DictWriter<'_>, plan: &Plan, piece_hashes: &[Sha1Digest], merkles: &[FileMerkle]) {
    let (has_v1, has_v2) = (plan.version().has_v1(), plan.version().has_v2());
    if has_v2 {
        let leaves: Vec<_> =
            plan.payload_files().zip(merkles).map(|(file, merkle)| Leaf::new(plan, file, merkle)).collect();
        out.dict(b"file tree", |out| tree(out, &leaves));
    }
    if has_v1 && !plan.single {
        out.list(b"files", |out| {
            plan.files.iter().for_each(|file| out.dict(|out| file_of_list(out, &file.entry)));
        });
    }
    if has_v1 && plan.single {
        out.int(b"length", int(plan.geometry.total()));
    }
    if has_v2 {
        out.int(b"meta version", 2);
    }
    out.bytes(b"name", plan.name.as_bytes());
    out.int(b"piece length", plan.geometry.piece_length().into());
    if has_v1 {
        out.bytes(b"pieces", piece_hashes.as_flattened());
    }
    if plan.options.private {
        out.int(b"private", 1);
    }
    if let Some(source) = &plan.options.source {
        out.bytes(b"source", source.as_bytes());
    }
}

fn int(length: u64) -> i64 {
    i64::try_from(length).expect("sizes of a plan are below 2⁴⁸")
}

/// An entry of the v1 key `files`.
fn file_of_list(out: &mut DictWriter<'_>, file: &FileEntry) {
    if file.padding {
        out.bytes(b"attr", b"p");
    }
    out.int(b"length", int(file.length));
    // The torrent's name stands before each path.
    out.list(b"path", |out| file.path.components()[1..].iter().for_each(|name| out.bytes(name.as_bytes())));
}

/// A file of the v2 tree.
struct Leaf<'p> {
    /// Its path from here on.
    path: &'p [String],
    merkle: &'p FileMerkle,
}

impl<'p> Leaf<'p> {
    fn new(plan: &Plan, file: &'p FileEntry, merkle: &'p FileMerkle) -> Self {
        // A single file lies in the tree under the torrent's name, others below the folder of that name.
        let path = file.path.components();
        Self { path: if plan.single { path } else { &path[1..] }, merkle }
    }
}

/// The nodes for `leaves`, which are in the order of their paths. Goes as deep as the paths, which a plan bounds.
fn tree(out: &mut DictWriter<'_>, leaves: &[Leaf<'_>]) {
    for group in leaves.chunk_by(|one, other| one.path[0] == other.path[0]) {
        out.dict(group[0].path[0].as_bytes(), |out| match group {
            [leaf] if leaf.path.len() == 1 => out.dict(b"", |out| {
                out.int(b"length", int(leaf.merkle.length));
                if let Some(root) = &leaf.merkle.root {
                    out.bytes(b"pieces root", root);
                }
            }),
            _ => {
                let below: Vec<_> =
                    group.iter().map(|leaf| Leaf { path: &leaf.path[1..], merkle: leaf.merkle }).collect();
                tree(out, &below);
            }
        });
    }
}

/// The piece layers of the files that are longer than a piece; equal files share one.
fn layers(out: &mut DictWriter<'_>, merkles: &[FileMerkle]) {
    let mut layers: Vec<_> = merkles
        .iter()
        .filter(|merkle| !merkle.layer.is_empty())
        .filter_map(|merkle| Some((merkle.root?, &merkle.layer)))
        .collect();
    layers.sort_unstable_by_key(|(root, _)| *root);
    layers.dedup_by_key(|(root, _)| *root);
    for (root, layer) in layers {
        out.bytes(&root, layer.as_flattened());
    }
}
