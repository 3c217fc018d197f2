//! Removing a payload: the torrent's own files and the folders that they leave empty, and nothing else.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{
    confined,
    error::{DiskError, DiskErrorKind},
    storage::Storage,
};

/// What became of a payload that was to be removed.
#[derive(Clone, Debug, Default)]
pub struct Removal {
    /// Files that were removed.
    pub files: usize,
    /// Folders that were empty then, and were removed.
    pub folders: usize,
    /// Files that were kept, because something else needs them.
    pub kept: usize,
    /// What could not be removed, or is none of the torrent's any more: a link, a folder in the place of a file.
    pub left: Vec<DiskError>,
}

impl Storage {
    /// Removes the files of the payload but for those that `is_needed` (by their path below the root), then each of
    /// their folders that is empty. Nothing is reached through a symbolic link, and the root stays. Blocks.
    pub fn remove_files(&self, is_needed: impl Fn(&Path) -> bool) -> Removal {
        self.close_files();
        let root = self.layout().root();
        let mut removal = Removal::default();
        let mut folders = BTreeSet::<PathBuf>::new();
        for file in self.layout().files().iter().filter(|file| !file.padding) {
            if is_needed(&file.path) {
                removal.kept += 1;
                continue;
            }
            removal.files += removal.count(confined::remove_file(root, &file.path));
            let above = file.path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
            folders.extend(above.map(Path::to_owned));
        }
        // A folder sorts before what is in it.
        for folder in folders.iter().rev() {
            removal.folders += removal.count(confined::remove_folder(root, folder));
        }
        removal
    }
}

impl Removal {
    fn count(&mut self, removed: Result<bool, DiskError>) -> usize {
        match removed {
            Ok(removed) => usize::from(removed),
            Err(error) => {
                // What is not there need not go.
                if error.kind() != DiskErrorKind::NotFound {
                    self.left.push(error);
                }
                0
            }
        }
    }
}
