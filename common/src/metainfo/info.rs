//! The `info` dictionary: the part of a torrent that its info-hash stands for.

use serde::Deserialize;
use serde_bytes::ByteBuf;

use super::{
    Version, agree,
    error::MetainfoError,
    files::{RawFile, files_of_list},
    tree::{Layers, files_of_tree, layers},
};
use crate::{
    bencode::{self, BencodeError, Dict, Kind, Limits, Node, Wanted, decode_known},
    geometry::{Geometry, GeometryError},
    hash::Sha1Digest,
    limits::{BLOCK_LENGTH, TOTAL_SIZE_MAX},
    printable::Printable,
};

/// An `info` dictionary that was checked in full.
pub(super) struct Info<'b> {
    pub(super) version: Version,
    /// As the torrent writes it.
    pub(super) name: &'b [u8],
    /// Whether the payload is one file of that name rather than a folder of it.
    pub(super) single: bool,
    pub(super) geometry: Geometry,
    /// In payload order with the offset of each.
    pub(super) files: Vec<(RawFile<'b>, u64)>,
    /// One for each piece; empty in v2.
    pub(super) piece_hashes: Box<[Sha1Digest]>,
    /// Empty in v1.
    pub(super) layers: Layers,
    pub(super) private: bool,
    pub(super) source: Option<Printable>,
}

#[derive(Deserialize)]
struct Scalars {
    #[serde(rename = "meta version")]
    meta_version: Option<i64>,
    #[serde(rename = "piece length")]
    piece_length: Option<i64>,
    private: Option<i64>,
    source: Option<ByteBuf>,
}

impl Scalars {
    const KEYS: &[Wanted] = &[
        ("meta version", Kind::Int),
        ("piece length", Kind::Int),
        ("private", Kind::Int),
        ("source", Kind::Bytes),
    ];
}

impl<'b> Info<'b> {
    /// Checks the dictionary at `node`; `layers` is the value of the outer key `piece layers`.
    pub(super) fn of(node: Node<'_, 'b>, layers: Option<Node<'_, '_>>) -> Result<Self, MetainfoError> {
        let dict =
            node.as_dict().ok_or(MetainfoError::WrongType { key: "info", expected: "a dictionary" })?;
        let scalars: Scalars = decode_known(&dict, Scalars::KEYS)?;
        let version = version(&dict, scalars.meta_version)?;
        let name = string(&dict, "name")?;
        let piece_length = required(&dict, "piece length", "an integer", scalars.piece_length)?;
        let piece_length =
            u64::try_from(piece_length).map_err(|_| MetainfoError::PieceLengthNegative(piece_length))?;
        let v1 = if version.has_v1() { Some(V1::of(&dict, name, piece_length)?) } else { None };
        let v2 =
            if version.has_v2() { Some(V2::of(node, name, piece_length, (layers, version))?) } else { None };
        if let (Some(v1), Some(v2)) = (&v1, &v2) {
            agree::check(&v1.layout, &v2.layout)?;
        }
        let (layers, v2_layout) = v2.map(|v2| (v2.layers, v2.layout)).unzip();
        let (piece_hashes, v1_layout) = v1.map(|v1| (v1.hashes, v1.layout)).unzip();
        let layout = match (v1_layout, v2_layout) {
            (Some(v1), Some(v2)) => v1.with_roots_of(v2),
            (v1, v2) => v1.or(v2).expect("every version has at least one part"),
        };
        // Some old software writes the readable name beside one in a local encoding.
        let readable = dict.get(b"name.utf-8").filter(|_| version == Version::V1);
        Ok(Self {
            version,
            name: readable.and_then(|name| name.as_bytes()).unwrap_or(name),
            single: layout.single,
            geometry: layout.geometry,
            files: layout.files.into_iter().zip(layout.offsets).collect(),
            piece_hashes: piece_hashes.unwrap_or_default(),
            layers: layers.unwrap_or_default(),
            // Any number but 0 means it, to err on the quiet side.
            private: scalars.private.is_some_and(|private| private != 0),
            source: scalars.source.map(|source| Printable::from_bytes(&source)),
        })
    }
}

/// The value of a key that must be there and decode.
fn required<T>(
    dict: &Dict<'_, '_>,
    key: &'static str,
    expected: &'static str,
    value: Option<T>,
) -> Result<T, MetainfoError> {
    value.ok_or_else(|| match dict.get(key.as_bytes()) {
        Some(_) => MetainfoError::WrongType { key, expected },
        None => MetainfoError::Missing(key),
    })
}

/// The content of a string that must be there.
fn string<'b>(dict: &Dict<'_, 'b>, key: &'static str) -> Result<&'b [u8], MetainfoError> {
    required(dict, key, "a string", dict.get(key.as_bytes()).and_then(|node| node.as_bytes()))
}

fn version(dict: &Dict<'_, '_>, meta_version: Option<i64>) -> Result<Version, MetainfoError> {
    let has_v1 = dict.get(b"pieces").is_some();
    match meta_version {
        None if dict.get(b"meta version").is_some() => {
            Err(MetainfoError::WrongType { key: "meta version", expected: "an integer" })
        }
        None | Some(1) => Ok(Version::V1),
        Some(2) if has_v1 => Ok(Version::Hybrid),
        Some(2) => Ok(Version::V2),
        Some(other) => Err(MetainfoError::Version(other)),
    }
}

/// Files one after another.
pub(super) struct Layout<'b> {
    pub(super) geometry: Geometry,
    pub(super) single: bool,
    /// In payload order; the only component of a single file is the torrent's name.
    pub(super) files: Vec<RawFile<'b>>,
    /// Where each of them begins.
    pub(super) offsets: Vec<u64>,
}

impl<'b> Layout<'b> {
    /// Lays out `files`, each that is not empty from a multiple of `alignment` on.
    fn new(
        files: Vec<RawFile<'b>>,
        single: bool,
        piece_length: u64,
        alignment: u64,
    ) -> Result<Self, GeometryError> {
        // A strange piece length is refused before anything is computed with it.
        Geometry::new(0, piece_length)?;
        let mut offsets = Vec::with_capacity(files.len());
        let mut end = 0u64;
        for file in &files {
            if file.length > 0 {
                end = end.next_multiple_of(alignment);
            }
            offsets.push(end);
            // Neither term is above 2⁴⁸.
            end += file.length;
            if end > TOTAL_SIZE_MAX {
                return Err(GeometryError::TotalSize(end));
            }
        }
        Ok(Self { geometry: Geometry::new(end, piece_length)?, single, files, offsets })
    }

    /// The v1 layout of a hybrid torrent with the pieces roots that its v2 half, which agrees, has for the files.
    fn with_roots_of(mut self, v2: Self) -> Self {
        let payload = self.files.iter_mut().filter(|file| !file.attributes.padding);
        for (file, other) in payload.zip(v2.files) {
            file.pieces_root = other.pieces_root;
        }
        self
    }
}

/// The v1 part: BEP 3.
struct V1<'b> {
    layout: Layout<'b>,
    hashes: Box<[Sha1Digest]>,
}

impl<'b> V1<'b> {
    fn of(dict: &Dict<'_, 'b>, name: &'b [u8], piece_length: u64) -> Result<Self, MetainfoError> {
        let (files, single) = match (dict.get(b"files"), dict.get(b"length")) {
            (Some(_), Some(_)) => return Err(MetainfoError::LengthAndFiles),
            (Some(list), None) => (files_of_list(list, name)?, false),
            (None, Some(length)) => (vec![RawFile::only(name, dict, length)?], true),
            (None, None) => return Err(MetainfoError::Missing("length")),
        };
        let layout = Layout::new(files, single, piece_length, 1)?;
        let pieces = string(dict, "pieces")?;
        let (hashes, rest) = pieces.as_chunks::<20>();
        if !rest.is_empty() {
            return Err(MetainfoError::PiecesLength(pieces.len()));
        }
        let expected = layout.geometry.pieces();
        if hashes.len() != expected as usize {
            return Err(MetainfoError::PiecesCount { expected, found: hashes.len() });
        }
        Ok(Self { layout, hashes: hashes.into() })
    }
}

/// The v2 part: BEP 52.
struct V2<'b> {
    layout: Layout<'b>,
    layers: Layers,
}

impl<'b> V2<'b> {
    fn of(
        info: Node<'_, 'b>,
        name: &[u8],
        piece_length: u64,
        (outer_layers, version): (Option<Node<'_, '_>>, Version),
    ) -> Result<Self, MetainfoError> {
        bencode::check_canonical(info.span(), Limits::METAINFO).map_err(
            |BencodeError { position, kind }| {
                let position = info.range().start + position;
                MetainfoError::InfoNotCanonical(BencodeError { position, kind })
            },
        )?;
        if piece_length < u64::from(BLOCK_LENGTH) || !piece_length.is_power_of_two() {
            return Err(MetainfoError::PieceLengthV2(piece_length));
        }
        let files = files_of_tree(info.get(b"file tree").ok_or(MetainfoError::Missing("file tree"))?, name)?;
        // BEP 52: a tree of nothing but one file with the torrent's name is that file.
        let single = matches!(&files[..], [file] if file.components == [name]);
        let layout = Layout::new(files, single, piece_length, piece_length)?;
        // The metadata that peers give is the `info` dictionary alone (BEP 9). The v1 part of a hybrid torrent has hashes of all
        // pieces; without it nothing could be checked.
        let layers = match (outer_layers, version) {
            (None, Version::Hybrid) => Layers::new(),
            _ => layers(outer_layers, &layout.files, layout.geometry.piece_length())?,
        };
        Ok(Self { layout, layers })
    }
}
