//! The file list of v1 (BEP 3) with the attributes of BEP 47, in the form that v1 and v2 share.

use super::error::MetainfoError;
use crate::{
    bencode::{Dict, Kind, Node},
    hash::Sha256Digest,
    limits::{PATH_COMPONENTS_MAX, PATHS_BYTES_MAX, TOTAL_SIZE_MAX},
    printable::Printable,
};

/// A file as the torrent describes it.
#[derive(Clone, Debug)]
pub(super) struct RawFile<'b> {
    /// The path below the torrent's folder, or the name of a single file.
    pub(super) components: Vec<&'b [u8]>,
    /// At most [`TOTAL_SIZE_MAX`]; 0 for a symbolic link.
    pub(super) length: u64,
    pub(super) attributes: Attributes,
    /// The root of the file's hash tree; only in v2, and there only of files that are not empty.
    pub(super) pieces_root: Option<Sha256Digest>,
}

impl<'b> RawFile<'b> {
    /// The path as text for a message.
    pub(super) fn shown(&self) -> Printable {
        shown(&self.components)
    }

    /// The only file of a torrent without a folder, which `info` itself describes.
    pub(super) fn only(
        name: &'b [u8],
        info: &Dict<'_, 'b>,
        length_node: Node<'_, 'b>,
    ) -> Result<Self, MetainfoError> {
        // It can hardly be padding or a link.
        let attributes = Attributes { padding: false, symlink: false, ..Attributes::of(info) };
        let length = length(Some(length_node), attributes, &[name])?;
        Ok(Self { components: vec![name], length, attributes, pieces_root: None })
    }
}

/// These components as text for a message.
pub(super) fn shown(components: &[&[u8]]) -> Printable {
    Printable::from_bytes(&components.join(&b'/'))
}

/// The letters of BEP 47's `attr`.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Attributes {
    pub(super) padding: bool,
    pub(super) executable: bool,
    pub(super) hidden: bool,
    pub(super) symlink: bool,
}

impl Attributes {
    /// The attributes of a file's dictionary; unknown letters are ignored, as BEP 47 says.
    pub(super) fn of(file: &Dict<'_, '_>) -> Self {
        let letters = file.get(b"attr").and_then(|attr| attr.as_bytes()).unwrap_or_default();
        let has = |letter| letters.contains(&letter);
        Self { padding: has(b'p'), executable: has(b'x'), hidden: has(b'h'), symlink: has(b'l') }
    }
}

/// The length that `node` gives a file, if it is one. That of a symbolic link may be absent.
pub(super) fn length(
    node: Option<Node<'_, '_>>,
    attributes: Attributes,
    components: &[&[u8]],
) -> Result<u64, MetainfoError> {
    let length = match node {
        None if attributes.symlink => Some(0),
        None => None,
        Some(node) => node.as_int().and_then(|length| u64::try_from(length).ok()),
    };
    match length {
        Some(length) if attributes.symlink && length > 0 => {
            Err(MetainfoError::SymlinkLength { path: shown(components) })
        }
        Some(length) if length <= TOTAL_SIZE_MAX => Ok(length),
        _ => Err(MetainfoError::FileLength { path: shown(components) }),
    }
}

/// The bound on what all paths of a torrent take.
#[derive(Default)]
pub(super) struct PathBudget {
    used: usize,
}

impl PathBudget {
    /// Counts one path, and refuses it when it is too deep or was one too many.
    pub(super) fn count(&mut self, components: &[&[u8]]) -> Result<(), MetainfoError> {
        if components.len() > PATH_COMPONENTS_MAX {
            return Err(MetainfoError::PathDepth { path: shown(&components[components.len() - 2..]) });
        }
        // A component is a `String` of its own in the end.
        self.used += components.iter().map(|name| name.len() + size_of::<String>()).sum::<usize>();
        if self.used > PATHS_BYTES_MAX { Err(MetainfoError::PathBytes) } else { Ok(()) }
    }
}

/// The files of the v1 key `files`.
pub(super) fn files_of_list<'b>(list: Node<'_, 'b>) -> Result<Vec<RawFile<'b>>, MetainfoError> {
    let list = list.as_list().ok_or(MetainfoError::WrongType { key: "files", expected: "a list" })?;
    let mut budget = PathBudget::default();
    let files: Result<Vec<_>, _> =
        list.iter().enumerate().map(|(index, node)| file_of_list(index, node, &mut budget)).collect();
    files.and_then(|files| if files.is_empty() { Err(MetainfoError::NoFiles) } else { Ok(files) })
}

fn file_of_list<'b>(
    index: usize,
    node: Node<'_, 'b>,
    budget: &mut PathBudget,
) -> Result<RawFile<'b>, MetainfoError> {
    let file = node.as_dict().ok_or(MetainfoError::FileEntry(index))?;
    // Some old software writes the readable name beside one in a local encoding.
    let path = file.get(b"path.utf-8").filter(|path| path.kind() == Kind::List).or_else(|| file.get(b"path"));
    let path = path.and_then(|path| path.as_list()).ok_or(MetainfoError::FilePath(index))?;
    let components: Option<Vec<_>> = path.iter().map(|name| name.as_bytes()).collect();
    let components = components.filter(|names| !names.is_empty()).ok_or(MetainfoError::FilePath(index))?;
    budget.count(&components)?;
    let attributes = Attributes::of(&file);
    let length = length(file.get(b"length"), attributes, &components)?;
    Ok(RawFile { components, length, attributes, pieces_root: None })
}
