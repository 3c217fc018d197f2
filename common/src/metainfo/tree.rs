//! The file tree and the piece layers of v2 (BEP 52).

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use super::{
    error::MetainfoError,
    files::{Attributes, FileBudget, RawFile, length, shown},
    merkle::{piece_height, root_of_layer},
};
use crate::{
    bencode::{Dict, Kind, Node},
    hash::Sha256Digest,
    printable::Printable,
};

/// The hashes of the pieces of each file that is longer than one, by the file's pieces root.
pub(super) type Layers = BTreeMap<Sha256Digest, Box<[Sha256Digest]>>;

/// The files of `file tree` in its order, which is that of the payload, in a torrent of this name.
pub(super) fn files_of_tree<'b>(tree: Node<'_, 'b>, name: &[u8]) -> Result<Vec<RawFile<'b>>, MetainfoError> {
    let tree =
        tree.as_dict().ok_or(MetainfoError::WrongType { key: "file tree", expected: "a dictionary" })?;
    let mut files = Vec::new();
    let mut budget = FileBudget::new(name);
    let mut path: Vec<&[u8]> = Vec::new();
    // One iterator for each open folder; the scanner has bounded how many there can be.
    let mut open = vec![tree.iter()];
    while let Some(folder) = open.last_mut() {
        let Some((entry, node)) = folder.next() else {
            open.pop();
            path.pop();
            continue;
        };
        path.push(entry);
        let node = (!entry.is_empty()).then_some(node).and_then(|node| node.as_dict());
        let node = node.ok_or_else(|| MetainfoError::TreeNode { path: shown(&path) })?;
        let mut children = node.iter();
        match children.next() {
            None => return Err(MetainfoError::TreeNode { path: shown(&path) }),
            Some((b"", leaf)) => {
                if children.next().is_some() {
                    return Err(MetainfoError::TreeFileAndFolder { path: shown(&path) });
                }
                budget.count(&path)?;
                files.push(file_of_leaf(&path, leaf)?);
                path.pop();
            }
            Some(_) => open.push(node.iter()),
        }
    }
    if files.is_empty() { Err(MetainfoError::NoFiles) } else { Ok(files) }
}

fn file_of_leaf<'b>(path: &[&'b [u8]], leaf: Node<'_, 'b>) -> Result<RawFile<'b>, MetainfoError> {
    let leaf = leaf.as_dict().ok_or_else(|| MetainfoError::TreeNode { path: shown(path) })?;
    let attributes = Attributes::of(&leaf);
    if attributes.padding {
        return Err(MetainfoError::TreePadding { path: shown(path) });
    }
    let length = length(leaf.get(b"length"), attributes, path)?;
    let pieces_root = if length > 0 { Some(root_of_leaf(path, &leaf)?) } else { None };
    Ok(RawFile { components: path.to_vec(), length, attributes, pieces_root })
}

fn root_of_leaf(path: &[&[u8]], leaf: &Dict<'_, '_>) -> Result<Sha256Digest, MetainfoError> {
    let root = leaf.get(b"pieces root").and_then(|root| root.as_bytes());
    match root.and_then(|root| Sha256Digest::try_from(root).ok()) {
        None => Err(MetainfoError::PiecesRoot { path: shown(path) }),
        Some(root) if root == [0; 32] => Err(MetainfoError::PiecesRootZero { path: shown(path) }),
        Some(root) => Ok(root),
    }
}

/// The piece layers of `files`, each checked against its root; `node` is the outer key `piece layers`, which may be
/// absent when no file is longer than a piece.
pub(super) fn layers(
    node: Option<Node<'_, '_>>,
    files: &[RawFile<'_>],
    piece_length: u32,
) -> Result<Layers, MetainfoError> {
    let expected = "a dictionary of strings";
    let wrong_type = || MetainfoError::WrongType { key: "piece layers", expected };
    let long = |file: &&RawFile<'_>| file.length > u64::from(piece_length);
    let root_of = |file: &RawFile<'_>| file.pieces_root.expect("a file that is not empty has a root");
    let roots: BTreeSet<_> = files.iter().filter(long).map(root_of).collect();
    let mut given = BTreeMap::new();
    if let Some(node) = node {
        for (root, layer) in node.as_dict().ok_or_else(wrong_type)?.iter() {
            if layer.kind() != Kind::Bytes {
                return Err(wrong_type());
            }
            // Judged at once, so that there are never more than files.
            if !Sha256Digest::try_from(root).is_ok_and(|root| roots.contains(&root)) {
                let root = data_encoding::HEXLOWER.encode(&root[..root.len().min(size_of::<Sha256Digest>())]);
                return Err(MetainfoError::LayerUnknown(Printable::new(&root)));
            }
            given.insert(root, layer.as_bytes().unwrap_or_default());
        }
    }
    let mut layers = Layers::new();
    for file in files.iter().filter(long) {
        let root = root_of(file);
        let layer =
            *given.get(&root[..]).ok_or_else(|| MetainfoError::LayerMissing { path: file.shown() })?;
        let expected = file.length.div_ceil(u64::from(piece_length)) * 32;
        if layer.len() as u64 != expected {
            return Err(MetainfoError::LayerLength { path: file.shown(), expected, found: layer.len() });
        }
        // Equal files share a layer, which is checked once however many they are.
        if let Entry::Vacant(vacant) = layers.entry(root) {
            let (hashes, _) = layer.as_chunks::<32>();
            if root_of_layer(hashes, piece_height(piece_length)) != root {
                return Err(MetainfoError::LayerRoot { path: file.shown() });
            }
            vacant.insert(hashes.into());
        }
    }
    Ok(layers)
}
