//! Every torrent of `torrents/bad` is refused, and the message says why.

use std::collections::BTreeSet;

use potluck_common::metainfo::Metainfo;

use crate::manifest::{manifest, read};

#[test]
fn rows_1_5_to_1_8_and_1_10_are_refused_with_a_reason() {
    for bad in &manifest().bad {
        let outcome = Metainfo::parse(&read(&bad.file)).map(|metainfo| metainfo.info_hash());
        let message = outcome.expect_err(&bad.file).to_string();
        assert!(message.contains(&bad.error), "{}: {message:?} does not say {:?}", bad.file, bad.error);
    }
}

#[test]
fn every_kind_of_damage_has_its_torrents() {
    let kinds: BTreeSet<_> = manifest().bad.into_iter().map(|bad| bad.kind).collect();
    assert_eq!(
        kinds.iter().map(String::as_str).collect::<Vec<_>>(),
        ["encoding", "hybrid", "pieces", "sizes", "v2"]
    );
}
