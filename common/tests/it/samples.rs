//! Every sample is read as its manifest says, and its hashes are those of its payload.

use potluck_common::{
    hash::sha1,
    magnet::Magnet,
    metainfo::{MerkleHasher, Metainfo},
};

use crate::manifest::{Sample, manifest, read};

fn each(check: impl Fn(&Sample, &Metainfo)) {
    for sample in &manifest().sample {
        let metainfo = Metainfo::parse(&read(&sample.file));
        check(sample, &metainfo.unwrap_or_else(|error| panic!("{}: {error}", sample.file)));
    }
}

#[test]
fn samples_are_read_as_the_manifest_says() {
    each(|sample, metainfo| {
        let file = &sample.file;
        assert_eq!(metainfo.version().as_str(), sample.version, "{file}");
        assert_eq!(metainfo.info_hash_v1().map(|hash| hash.to_string()), sample.info_hash, "{file}");
        assert_eq!(metainfo.info_hash_v2().map(|hash| hash.to_string()), sample.info_hash_v2, "{file}");
        assert_eq!(metainfo.name(), sample.name, "{file}");
        assert_eq!(metainfo.geometry().piece_length(), sample.piece_length, "{file}");
        assert_eq!(metainfo.geometry().pieces(), sample.pieces, "{file}");
        assert_eq!(metainfo.total_size(), sample.total_size, "{file}");
        assert_eq!(metainfo.private(), sample.private, "{file}");
        assert_eq!(metainfo.trackers(), sample.trackers, "{file}");
        let files = metainfo.files().iter().filter(|file| !file.padding);
        let read: Vec<_> = files.map(|file| (file.path.to_slash_string(), file.length)).collect();
        let said: Vec<_> = sample.files.iter().map(|file| (file.path.clone(), file.length)).collect();
        assert_eq!(read, said, "{file}");
    });
}

#[test]
fn v1_piece_hashes_are_those_of_the_payload() {
    each(|sample, metainfo| {
        let mut payload = vec![0; metainfo.geometry().total() as usize];
        let files = metainfo.files().iter().filter(|file| !file.padding);
        for (file, recipe) in files.zip(&sample.files) {
            let range = file.offset as usize..(file.offset + file.length) as usize;
            payload[range].copy_from_slice(&recipe.content());
        }
        let hashes: Vec<_> = payload.chunks(metainfo.geometry().piece_length() as usize).map(sha1).collect();
        if metainfo.version().has_v1() {
            assert_eq!(metainfo.piece_hashes(), hashes, "{}", sample.file);
        }
    });
}

#[test]
fn v2_hash_trees_are_those_of_the_files() {
    each(|sample, metainfo| {
        let files = metainfo.files().iter().filter(|file| !file.padding);
        for (file, recipe) in files.zip(&sample.files).filter(|_| metainfo.version().has_v2()) {
            let mut hasher = MerkleHasher::new(metainfo.geometry().piece_length());
            hasher.update(&recipe.content());
            let merkle = hasher.finish();
            assert_eq!(file.pieces_root, merkle.root, "{} {}", sample.file, file.path);
            let layer = file.pieces_root.and_then(|root| metainfo.piece_layer(&root)).unwrap_or_default();
            assert_eq!(layer, merkle.layer, "{} {}", sample.file, file.path);
        }
    });
}

#[test]
fn the_magnet_link_of_a_sample_names_it() {
    each(|sample, metainfo| {
        let magnet = Magnet::parse(&Magnet::from(metainfo).to_string()).expect("valid");
        assert_eq!(magnet.info_hash_v1(), metainfo.info_hash_v1(), "{}", sample.file);
        assert_eq!(magnet.info_hash_v2(), metainfo.info_hash_v2(), "{}", sample.file);
        assert_eq!(magnet.name.as_deref(), Some(metainfo.name()), "{}", sample.file);
    });
}
