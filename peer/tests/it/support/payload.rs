//! The payloads that are moved about, their torrents, and the check that every byte has arrived.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use potluck_common::magnet::Magnet;
use potluck_common::metainfo::create::{Options, PieceLength};
use potluck_common::metainfo::{Metainfo, Version};
use potluck_common::{InfoHash, Rng, hash};
use potluck_peer::create::create;
use potluck_peer::disk::Progress;
use tempfile::TempDir;

use super::{Outcome, bencode};

/// A payload to make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Case {
    /// One file of 64 MiB.
    Single64Mib,
    /// 300 files in folders, among them one of 1 byte, one of none and one with a unicode name.
    ManyFiles,
    /// Pieces of 40 KiB, which are two and a half blocks.
    Piece40Kib,
    /// A hybrid torrent of v1 and v2, in which every file but the last is padded to whole pieces (BEP 47, 52).
    Hybrid,
}

impl Case {
    /// Every case, in the order of the matrix.
    pub(crate) const ALL: [Self; 4] = [Self::Single64Mib, Self::ManyFiles, Self::Piece40Kib, Self::Hybrid];

    /// The last part of a trial's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Single64Mib => "single_64_mib",
            Self::ManyFiles => "files_300",
            Self::Piece40Kib => "piece_length_40_kib",
            Self::Hybrid => "hybrid",
        }
    }

    /// Which versions of the format its torrent has.
    pub(crate) fn version(self) -> Version {
        if self == Self::Hybrid { Version::Hybrid } else { Version::V1 }
    }

    /// What it consists of.
    pub(crate) fn plan(self) -> Plan {
        match self {
            Self::Single64Mib => Plan::single("single.bin", 64 * 1024 * 1024, 256 * 1024),
            Self::ManyFiles => {
                Plan { name: "three hundred".into(), piece_length: 32 * 1024, files: many_files() }
            }
            Self::Piece40Kib => Plan::single("odd-pieces.bin", 6 * 1024 * 1024 + 12_345, 40 * 1024),
            Self::Hybrid => Plan { name: "hybrid".into(), piece_length: 32 * 1024, files: padded_files() },
        }
    }
}

fn many_files() -> Vec<(PathBuf, u64)> {
    let mut rng = Rng::new(300);
    let mut files = vec![
        (PathBuf::from("one byte.bin"), 1),
        (PathBuf::from("empty"), 0),
        (PathBuf::from("unicode/\u{fc}ber \u{65e5}\u{672c}\u{8a9e} \u{1f963}.txt"), 70_001),
    ];
    files.extend((files.len()..300).map(|number| {
        let path = format!("folder {}/deeper/{number:03}.dat", number % 7);
        (PathBuf::from(path), u64::from(rng.below(48 * 1024)))
    }));
    // As `create` lays them out.
    files.sort();
    files
}

/// No two of them need equally long padding: rtorrent refuses torrents in which two paths are the same.
fn padded_files() -> Vec<(PathBuf, u64)> {
    let lengths = [100_000, 1, 0, 32 * 1024, 64 * 1024 + 7, 3_000_000, 5];
    let path = |number| PathBuf::from(format!("part {}/{number}", number / 3));
    lengths.into_iter().enumerate().map(|(number, length)| (path(number), length)).collect()
}

/// What a payload consists of. The paths lie in a folder `name`, or are just `name` for a single file.
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) piece_length: u64,
    /// Paths and lengths in bytes, in the order of the torrent; one empty path stands for a single file.
    pub(crate) files: Vec<(PathBuf, u64)>,
}

impl Plan {
    /// A torrent of one file without a folder.
    pub(crate) fn single(name: &str, length: u64, piece_length: u64) -> Self {
        Self { name: name.into(), piece_length, files: vec![(PathBuf::new(), length)] }
    }
}

/// A payload on disk and its torrent, made once and only read.
pub(crate) struct Payload {
    folder: TempDir,
    /// Paths relative to the folder of a download.
    paths: Vec<PathBuf>,
    /// Paths and lengths of the padding.
    padding: Vec<(PathBuf, u64)>,
    /// The torrent file, without a tracker.
    torrent: Vec<u8>,
    info_hash: InfoHash,
}

impl Payload {
    /// Makes the files of `plan` of noise, and their torrent with an encoder that shares nothing with ours.
    pub(crate) fn make(plan: &Plan) -> Outcome<Self> {
        let folder = tempfile::Builder::new().prefix("potluck-it-payload-").tempdir()?;
        let mut rng = Rng::new(plan.piece_length);
        let mut stream = Vec::new();
        let mut paths = Vec::new();
        for (path, length) in &plan.files {
            let mut content = vec![0; usize::try_from(*length)?];
            rng.fill(&mut content);
            let relative = if path.as_os_str().is_empty() {
                PathBuf::from(&plan.name)
            } else {
                Path::new(&plan.name).join(path)
            };
            let whole = folder.path().join(&relative);
            fs::create_dir_all(whole.parent().ok_or("a file at the root")?)?;
            fs::File::create_new(&whole)?.write_all(&content)?;
            paths.push(relative);
            stream.extend_from_slice(&content);
        }
        let info = info_dictionary(plan, &stream)?;
        let info_hash = InfoHash(hash::sha1(&info));
        let torrent = [b"d4:info", info.as_slice(), b"e"].concat();
        Ok(Self { folder, paths, padding: Vec::new(), torrent, info_hash })
    }

    /// Makes the files of `plan` of noise, and lets our own `create` make the torrent.
    pub(crate) fn create(plan: &Plan, version: Version) -> Outcome<Self> {
        let made = Self::make(plan)?;
        let piece_length = PieceLength::Fixed(u32::try_from(plan.piece_length)?);
        let options = Options { piece_length, version, ..Options::default() };
        let created = create(&made.folder.path().join(&plan.name), options, 1, &Progress::default())?;
        let metainfo = Metainfo::parse(&created.torrent)?;
        let padding = metainfo.files().iter().filter(|file| file.padding);
        let padding = padding.map(|file| (file.path.to_path_buf(), file.length)).collect();
        Ok(Self { torrent: created.torrent, info_hash: metainfo.info_hash(), padding, ..made })
    }

    /// Bytes of all files.
    pub(crate) fn size(&self) -> Outcome<u64> {
        self.paths.iter().map(|path| Ok(fs::metadata(self.folder.path().join(path))?.len())).sum()
    }

    /// The same payload in a private torrent (BEP 27).
    pub(crate) fn made_private(&self) -> Outcome<Self> {
        let info = &self.torrent[b"d4:info".len()..self.torrent.len() - 1];
        // "private" sorts behind every other key.
        let info = [&info[..info.len() - 1], b"7:privatei1ee"].concat();
        let folder = tempfile::Builder::new().prefix("potluck-it-payload-").tempdir()?;
        for path in &self.paths {
            let target = folder.path().join(path);
            fs::create_dir_all(target.parent().ok_or("a file at the root")?)?;
            fs::copy(self.folder.path().join(path), target)?;
        }
        Ok(Self {
            folder,
            paths: self.paths.clone(),
            padding: Vec::new(),
            torrent: [b"d4:info", info.as_slice(), b"e"].concat(),
            info_hash: InfoHash(hash::sha1(&info)),
        })
    }

    /// The torrent file, without a tracker.
    pub(crate) fn torrent(&self) -> &[u8] {
        &self.torrent
    }

    /// The v1 info-hash.
    pub(crate) fn info_hash(&self) -> InfoHash {
        self.info_hash
    }

    /// A `.torrent` file that names this tracker, written at `path`.
    pub(crate) fn write_torrent(&self, path: &Path, tracker_url: &str) -> Outcome {
        // "announce" sorts before every other key.
        let mut bytes = b"d8:announce".to_vec();
        bencode::bytes(&mut bytes, tracker_url.as_bytes());
        bytes.extend_from_slice(&self.torrent[1..]);
        Ok(fs::write(path, bytes)?)
    }

    /// A magnet link that names this tracker.
    pub(crate) fn magnet(&self, tracker_url: &str) -> String {
        let mut magnet = Magnet::new(Some(self.info_hash), None).expect("a hash is there");
        magnet.trackers.push(tracker_url.to_owned());
        magnet.to_string()
    }

    /// Copies all files into `folder`, which then is that of a seeder; also padding, as files, for one who takes it
    /// for payload.
    pub(crate) fn copy_to(&self, folder: &Path, with_padding: bool) -> Outcome {
        for (path, length) in self.padding.iter().filter(|_| with_padding) {
            let target = folder.join(path);
            fs::create_dir_all(target.parent().ok_or("a file at the root")?)?;
            fs::write(target, vec![0; usize::try_from(*length)?])?;
        }
        for path in &self.paths {
            let target = folder.join(path);
            fs::create_dir_all(target.parent().ok_or("a file at the root")?)?;
            fs::copy(self.folder.path().join(path), target)?;
        }
        Ok(())
    }

    /// An error that names a file of `folder` that is not the payload's.
    pub(crate) fn check_nothing_else(&self, folder: &Path) -> Outcome {
        let mut folders = vec![folder.to_path_buf()];
        while let Some(inner) = folders.pop() {
            for entry in fs::read_dir(inner)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if !self.paths.iter().any(|expected| folder.join(expected) == path) {
                    return Err(format!("{} is left behind", path.display()).into());
                }
            }
        }
        Ok(())
    }

    /// An error that names the first file of `folder` that is not, byte for byte, what it should be. Files of 0
    /// bytes may be missing unless `with_empty_files`.
    pub(crate) fn check_copy(&self, folder: &Path, with_empty_files: bool) -> Outcome {
        for path in &self.paths {
            let expected = fs::read(self.folder.path().join(path))?;
            let name = path.display();
            if expected.is_empty() && !with_empty_files {
                continue;
            }
            let found = fs::read(folder.join(path)).map_err(|error| format!("{name}: {error}"))?;
            if found.len() != expected.len() {
                return Err(format!("{name}: {} bytes instead of {}", found.len(), expected.len()).into());
            }
            if let Some(offset) = found.iter().zip(&expected).position(|(found, expected)| found != expected)
            {
                return Err(format!("{name}: differs from byte {offset} on").into());
            }
        }
        Ok(())
    }
}

fn info_dictionary(plan: &Plan, stream: &[u8]) -> Outcome<Vec<u8>> {
    let mut out = b"d".to_vec();
    match plan.files.as_slice() {
        [(path, length)] if path.as_os_str().is_empty() => {
            bencode::bytes(&mut out, b"length");
            bencode::integer(&mut out, *length);
        }
        files => {
            bencode::bytes(&mut out, b"files");
            out.push(b'l');
            for (path, length) in files {
                out.extend_from_slice(b"d6:length");
                bencode::integer(&mut out, *length);
                out.extend_from_slice(b"4:pathl");
                for part in path.components() {
                    let part = part.as_os_str().to_str().ok_or("a path that is not unicode")?;
                    bencode::bytes(&mut out, part.as_bytes());
                }
                out.extend_from_slice(b"ee");
            }
            out.push(b'e');
        }
    }
    bencode::bytes(&mut out, b"name");
    bencode::bytes(&mut out, plan.name.as_bytes());
    bencode::bytes(&mut out, b"piece length");
    bencode::integer(&mut out, plan.piece_length);
    bencode::bytes(&mut out, b"pieces");
    let pieces: Vec<u8> = stream.chunks(usize::try_from(plan.piece_length)?).flat_map(hash::sha1).collect();
    bencode::bytes(&mut out, &pieces);
    out.push(b'e');
    Ok(out)
}

/// The payload of each case, made when it is first asked for and removed with this.
#[derive(Default)]
pub(crate) struct Pantry {
    payloads: [OnceLock<Payload>; Case::ALL.len()],
}

impl Pantry {
    /// The payload of `case`.
    pub(crate) fn payload(&self, case: Case) -> &Payload {
        self.payloads[case as usize].get_or_init(|| {
            Payload::create(&case.plan(), case.version()).expect("the temporary folder takes a payload")
        })
    }
}
