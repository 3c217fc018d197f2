//! `potluck verify`: is the payload as the torrent says?

use std::thread;

use potluck_common::{control::SCHEMA, metainfo::Metainfo};
use potluck_peer::{
    check::{CheckResult, FileReport, FileState, check},
    disk::{Layout, OpenFiles, Progress, Storage},
};
use serde_json::{Value, json};

use super::{
    args::VerifyArgs,
    exit::{Exit, Failure, Outcome},
    job::watched,
    load,
    output::Output,
};
use crate::units::{Bytes, count};

/// Files that the check holds open at once.
const OPEN_FILES_MAX: usize = 128;

/// Runs `potluck verify`.
pub fn run(args: &VerifyArgs, output: &Output) -> Outcome<Exit> {
    let metainfo = load::from_file(&args.torrent)?;
    let origin = args.torrent.display().to_string();
    load::require_v1(&origin, &metainfo)?;
    let layout = Layout::from_metainfo(&metainfo, args.output.clone())
        .map_err(|error| Failure::new(Exit::BadTorrent, &origin, error, "get the torrent again"))?;
    let storage = Storage::new(layout, &OpenFiles::new(OPEN_FILES_MAX));
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let progress = Progress::new();
    let result = watched("checking", &progress, output, || check(&storage, None, threads, &progress))
        .map_err(|error| Failure::new(Exit::Disk, &origin, error, ""))?;

    let files: Vec<_> =
        metainfo.files().iter().zip(&result.files).filter(|(file, _)| file.is_on_disk()).collect();
    if output.json {
        output.print_json(&report_json(&metainfo, &result))?;
    } else {
        for (file, report) in &files {
            if report.state != FileState::Complete {
                output.print(format!("{}  {}", output.paint.red(words(report, file.length)), file.path))?;
            }
        }
        output.print(summary(&metainfo, &result, output))?;
    }
    let exit = outcome(&result);
    if exit != Exit::Done {
        let bad = files.iter().filter(|(_, report)| report.state != FileState::Complete).count();
        let what = match exit {
            Exit::NotFound => "payload missing",
            _ => "payload damaged",
        };
        let folder = args.output.display();
        let remedy = format!(
            "`potluck get -o {folder} {origin}` fetches what does not hold ({bad} of {} files)",
            files.len()
        );
        output.fail(&Failure::new(exit, args.output.join(metainfo.name()).display(), what, remedy));
    }
    Ok(exit)
}

/// Damage weighs more than absence; a file that could only not be checked suffers from another's absence.
fn outcome(result: &CheckResult) -> Exit {
    let has = |states: &[FileState]| result.files.iter().any(|file| states.contains(&file.state));
    if result.is_complete() {
        Exit::Done
    } else if has(&[FileState::Damaged, FileState::Short, FileState::Long]) {
        Exit::Damaged
    } else if has(&[FileState::Missing]) {
        Exit::NotFound
    } else {
        Exit::Damaged
    }
}

fn words(report: &FileReport, length: u64) -> String {
    match (report.state, report.length) {
        (FileState::Missing, _) => "missing".into(),
        (FileState::Short, Some(found)) => format!("short by {}", Bytes(length.saturating_sub(found))),
        (FileState::Long, Some(found)) => format!("too long by {}", Bytes(found.saturating_sub(length))),
        (FileState::Unverified, _) => "shares a piece with a file that is not there".into(),
        (FileState::Complete, _) => "complete".into(),
        _ => format!("damaged in {} of {}", report.bad, count(u64::from(report.pieces), "piece")),
    }
}

fn summary(metainfo: &Metainfo, result: &CheckResult, output: &Output) -> String {
    let (have, all) = (u64::from(result.have.count()), u64::from(metainfo.geometry().pieces()));
    let name = metainfo.name();
    if result.is_complete() {
        let all = count(all, "piece");
        return format!(
            "{}  {name}: {all}, {}",
            output.paint.green("complete"),
            Bytes(metainfo.total_size())
        );
    }
    format!("{}  {name}: {have} of {} hold", output.paint.red("not complete"), count(all, "piece"))
}

fn report_json(metainfo: &Metainfo, result: &CheckResult) -> Value {
    let files = metainfo.files().iter().zip(&result.files).filter(|(file, _)| file.is_on_disk());
    let files: Vec<Value> = files
        .map(|(file, report)| {
            json!({
                "path": file.path.to_slash_string(),
                "length": file.length,
                "length_on_disk": report.length,
                "state": format!("{:?}", report.state).to_lowercase(),
                "pieces": report.pieces,
                "pieces_bad": report.bad,
            })
        })
        .collect();
    json!({
        "schema": SCHEMA,
        "name": metainfo.name(),
        "info_hash": metainfo.info_hash_v1(),
        "complete": result.is_complete(),
        "pieces": metainfo.geometry().pieces(),
        "pieces_have": result.have.count(),
        "files": files,
    })
}
