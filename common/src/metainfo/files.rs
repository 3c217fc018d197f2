//! The file list of v1 (BEP 3) with the attributes of BEP 47, in the form that v1 and v2 share.

use super::error::MetainfoError;
use crate::{
    bencode::{Dict, Kind, Node},
    hash::Sha256Digest,
    limits::{FILE_LIST_BYTES_MAX, FILES_MAX, PATH_COMPONENT_BYTES_MAX, PATH_COMPONENTS_MAX, TOTAL_SIZE_MAX},
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

/// Bytes of memory that a file costs beside its path: what is read of it, its entry, and the lists of both.
const FILE_BYTES: usize = 256;

/// Bytes of memory that a path component costs beside its text: a slice, a `String`, and what the allocator adds.
const COMPONENT_BYTES: usize = 64;

/// What a component costs more when the path before has another one there: it is a new directory entry, whose name is
/// noted so that no other meets it.
const ENTRY_BYTES: usize = 112;

/// The bound on the number of files and on what they and their paths take in memory.
pub(super) struct FileBudget<'b> {
    /// What the torrent's name takes, with which each path begins.
    name_bytes: usize,
    files: usize,
    used: usize,
    /// The path before.
    last: Vec<&'b [u8]>,
}

impl<'b> FileBudget<'b> {
    /// For the files of a torrent of this name.
    pub(super) fn new(name: &[u8]) -> Self {
        let name_bytes = COMPONENT_BYTES + name.len().min(PATH_COMPONENT_BYTES_MAX);
        Self { name_bytes, files: 0, used: 0, last: Vec::new() }
    }

    /// Counts one file, and refuses it when its path is too deep or it was one too many.
    pub(super) fn count(&mut self, components: &[&'b [u8]]) -> Result<(), MetainfoError> {
        if components.len() > PATH_COMPONENTS_MAX {
            return Err(MetainfoError::PathDepth { path: shown(&components[components.len() - 2..]) });
        }
        self.files += 1;
        if self.files > FILES_MAX {
            return Err(MetainfoError::FileCount);
        }
        let shared = components.iter().zip(&self.last).take_while(|(one, other)| one == other).count();
        let text = |components: &[&[u8]]| components.iter().map(|name| name.len()).sum::<usize>();
        let new = &components[shared..];
        self.used += FILE_BYTES + self.name_bytes;
        self.used += components.len() * COMPONENT_BYTES + text(components);
        self.used += new.len() * ENTRY_BYTES + text(new);
        self.last.clear();
        self.last.extend_from_slice(components);
        if self.used > FILE_LIST_BYTES_MAX { Err(MetainfoError::FileListBytes) } else { Ok(()) }
    }
}

/// The files of the v1 key `files` in a torrent of this name.
pub(super) fn files_of_list<'b>(list: Node<'_, 'b>, name: &[u8]) -> Result<Vec<RawFile<'b>>, MetainfoError> {
    let list = list.as_list().ok_or(MetainfoError::WrongType { key: "files", expected: "a list" })?;
    let mut budget = FileBudget::new(name);
    let files: Result<Vec<_>, _> =
        list.iter().enumerate().map(|(index, node)| file_of_list(index, node, &mut budget)).collect();
    files.and_then(|files| if files.is_empty() { Err(MetainfoError::NoFiles) } else { Ok(files) })
}

fn file_of_list<'b>(
    index: usize,
    node: Node<'_, 'b>,
    budget: &mut FileBudget<'b>,
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
