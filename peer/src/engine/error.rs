//! Why an engine cannot start or a torrent cannot be added.

use std::io;

use potluck_common::InfoHash;
use thiserror::Error;

use super::descriptors::TooFewDescriptors;
use crate::disk::LayoutError;

/// Why an engine cannot start.
#[derive(Debug, Error)]
pub enum EngineError {
    /// No listening socket.
    #[error("cannot listen on {what}: {cause}; choose another port or address with --port and --bind")]
    Listen {
        /// The ports and the address.
        what: String,
        /// Why not.
        cause: io::Error,
    },
    /// No disk threads.
    #[error("cannot start the disk threads: {0}; raise the limit on processes (ulimit -u)")]
    Threads(io::Error),
    /// The system grants too few descriptors.
    #[error(transparent)]
    Descriptors(#[from] TooFewDescriptors),
}

/// Why a torrent cannot be added.
#[derive(Debug, Error)]
pub enum AddError {
    /// It is there already.
    #[error("torrent {0} is already in the engine")]
    Duplicate(InfoHash),
    /// It has no v1 part.
    #[error(
        "{0} is a BitTorrent v2-only torrent, which cannot be transferred yet; use a v1 or hybrid torrent of the same files"
    )]
    V2Only(potluck_common::Printable),
    /// A link that names it by its v2 hash alone.
    #[error(
        "{0} is named by its BitTorrent v2 hash only, by which nothing can be transferred yet; use a link with a v1 info-hash (urn:btih:…)"
    )]
    V2Link(potluck_common::Printable),
    /// Another process transfers the same torrent in the same folder.
    #[error(
        "another Potluck has {name} in {directory} already; end that one first, or choose another folder"
    )]
    InUse {
        /// The torrent's name.
        name: potluck_common::Printable,
        /// The folder.
        directory: potluck_common::Printable,
    },
    /// Its files do not add up.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A defect of ours.
    #[error("adding torrent {0} failed unexpectedly; please report this defect")]
    Defect(InfoHash),
}

/// Why a torrent cannot be removed.
#[derive(Debug, Error)]
pub enum RemoveError {
    /// It is not there.
    #[error("there is no torrent {0} in the engine")]
    Unknown(InfoHash),
    /// A defect of ours.
    #[error("removing the payload of torrent {0} failed unexpectedly; please report this defect")]
    Defect(InfoHash),
}
