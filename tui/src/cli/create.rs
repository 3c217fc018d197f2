//! `potluck create`: makes a torrent file.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use potluck_common::{
    magnet::Magnet,
    metainfo::{
        Metainfo, Version,
        create::{CreateError as PlanError, Options, PieceLength},
    },
};
use potluck_peer::{
    create::{CreateError, create},
    disk::{DiskErrorKind, FileStamp, Progress},
};

use super::{
    args::CreateArgs,
    exit::{Exit, Failure, Outcome},
    info,
    job::watched,
    load,
    output::Output,
};

/// A torrent that was made of a path.
#[derive(Debug)]
pub struct Made {
    /// The bytes of the torrent file.
    pub torrent: Vec<u8>,
    /// The same, parsed.
    pub metainfo: Metainfo,
    /// What was left out: links, and what is neither a file nor a folder.
    pub skipped: Vec<PathBuf>,
    /// What the files (padding left out) were like before they were hashed.
    pub stamps: Vec<FileStamp>,
}

/// Runs `potluck create`.
pub fn run(args: &CreateArgs, output: &Output) -> Outcome<Exit> {
    // Found out before an hour of hashing.
    if let Some(file) = &args.output {
        require_free(file, args.force)?;
    }
    let made = make(&args.path, options(args), output)?;
    let file =
        args.output.clone().unwrap_or_else(|| PathBuf::from(format!("{}.torrent", made.metainfo.name())));
    write(&file, &made.torrent, args.force)?;
    show(&file, &made, output)?;
    Ok(Exit::Done)
}

fn options(args: &CreateArgs) -> Options {
    Options {
        piece_length: args.piece.0.map_or(PieceLength::Auto, PieceLength::Fixed),
        version: match (args.v2, args.hybrid) {
            (true, _) => Version::V2,
            (_, true) => Version::Hybrid,
            _ => Version::V1,
        },
        private: args.private,
        trackers: tiers(&args.trackers),
        web_seeds: args.web_seeds.clone(),
        comment: args.comment.clone(),
        created_by: Some(format!("Potluck {}", env!("CARGO_PKG_VERSION"))),
        creation_date: creation_date(),
        source: None,
    }
}

/// What the torrent of a seeded path says: nothing that would make its info-hash another one the next time.
pub fn options_for_seeding(trackers: &[String]) -> Options {
    Options {
        trackers: tiers(trackers),
        created_by: Some(format!("Potluck {}", env!("CARGO_PKG_VERSION"))),
        creation_date: creation_date(),
        ..Options::default()
    }
}

fn tiers(trackers: &[String]) -> Vec<Vec<String>> {
    trackers.iter().map(|url| vec![url.clone()]).collect()
}

/// Now, or what `SOURCE_DATE_EPOCH` says, for torrents that are the same byte for byte.
fn creation_date() -> Option<i64> {
    let fixed = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.parse().ok());
    fixed.or_else(|| {
        SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs().cast_signed())
    })
}

/// Hashes what lies at `path`, with its progress shown.
pub fn make(path: &Path, options: Options, output: &Output) -> Outcome<Made> {
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let progress = Progress::new();
    let created = watched("hashing", &progress, output, || create(path, options, threads, &progress))
        .map_err(|error| failure(path, &error))?;
    for skipped in &created.skipped {
        output.warn(format!(
            "{} is left out: neither a file nor a folder",
            skipped.display().to_string().escape_debug()
        ));
    }
    let metainfo = load::parse(&path.display().to_string(), &created.torrent)?;
    Ok(Made { torrent: created.torrent, metainfo, skipped: created.skipped, stamps: created.stamps })
}

fn failure(path: &Path, error: &CreateError) -> Failure {
    match error {
        CreateError::Disk(disk) if disk.kind() == DiskErrorKind::NotFound => {
            Failure::new(Exit::NotFound, path.display(), "no such file or folder", "check the path")
        }
        CreateError::Disk(_) => Failure::sentence(Exit::Disk, error),
        CreateError::Plan(PlanError::Url(_)) => {
            Failure::new(Exit::Usage, path.display(), error, "give one such as udp://tracker.example:6969")
        }
        CreateError::Plan(PlanError::PieceLengthV2(_)) => {
            Failure::new(Exit::Usage, path.display(), error, "choose another --piece, or --v1")
        }
        CreateError::Plan(_) => Failure::new(Exit::Other, path.display(), error, ""),
        _ => Failure::sentence(Exit::Other, error),
    }
}

fn require_free(file: &Path, force: bool) -> Outcome {
    if force || file.symlink_metadata().is_err() {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Conflict,
        file.display(),
        "exists already",
        "choose another name with -o, or --force to replace it",
    ))
}

/// Writes a torrent file, all of it or nothing.
pub fn write(file: &Path, torrent: &[u8], force: bool) -> Outcome {
    require_free(file, force)?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |error: std::io::Error| match error.kind() {
        // The file is ours to make; what is missing is the folder for it.
        std::io::ErrorKind::NotFound => Failure::new(
            Exit::NotFound,
            folder.display(),
            "no such folder",
            "make it first, or choose another with -o",
        ),
        _ => Failure::io(file, &error),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".potluck-").suffix(".torrent");
    #[cfg(unix)]
    {
        use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};
        // As any other new file, not for its owner alone; the process's mask still applies.
        builder.permissions(Permissions::from_mode(0o666));
    }
    let mut temporary = builder.tempfile_in(folder).map_err(failed)?;
    temporary.write_all(torrent).and_then(|()| temporary.as_file().sync_all()).map_err(failed)?;
    let kept = if force { temporary.persist(file) } else { temporary.persist_noclobber(file) };
    kept.map(drop).map_err(|error| match error.error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            require_free(file, false).err().unwrap_or_else(|| failed(error.error))
        }
        _ => failed(error.error),
    })
}

fn show(file: &Path, made: &Made, output: &Output) -> Outcome {
    let magnet = Magnet::from(&made.metainfo).to_string();
    if output.json {
        let mut value = info::json_of(&made.metainfo);
        value["torrent"] = file.to_string_lossy().into();
        value["magnet"] = magnet.into();
        value["skipped"] = made.skipped.iter().map(|path| path.to_string_lossy()).collect();
        return output.print_json(&value);
    }
    let mut text = info::Fields::new(output.paint);
    text.field("Torrent", potluck_common::Printable::new(&file.to_string_lossy()));
    info::summary(&made.metainfo, &mut text);
    text.field("Magnet", magnet);
    output.print(text.finish())
}
