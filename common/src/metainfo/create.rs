//! Making torrents.
