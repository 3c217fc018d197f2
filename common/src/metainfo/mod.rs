//! Metainfo: `.torrent` files, v1, v2 and hybrid.
