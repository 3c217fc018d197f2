//! One torrent: composes the picker, the choker, the announcer and its peers.
