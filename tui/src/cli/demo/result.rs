//! Whether every copy is right, and the table at the end.

use std::{fs::File, io::Read as _, path::Path};

use super::{
    fare::Fare,
    swarm::{PAYLOAD_NAME, Swarm},
};
use crate::{
    cli::{
        exit::{Exit, Failure, Outcome},
        output::Output,
    },
    model::demo::{Demo, Member, Role},
    units::{Bytes, Seconds, percent},
};

/// Bytes compared at a time.
const CHUNK_LENGTH: usize = 1 << 20;

/// What became of each member's copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Copy {
    /// The seeder's own.
    Original,
    /// Byte for byte the same.
    Identical,
    /// Complete, and not the same.
    Different,
    /// Not complete; so many percent.
    Partial(u64),
}

/// The result of a demo.
pub(super) struct Verdict {
    copies: Vec<Copy>,
}

/// Compares every copy with the payload. Call it when the engines have stopped.
pub(super) fn verify(demo: &Demo, swarm: &Swarm) -> Outcome<Verdict> {
    let payload = swarm.directory(&demo.members[0].name).join(PAYLOAD_NAME);
    let copy = |member: &Member| match (member.role, &member.snapshot) {
        (Role::Seeder, _) => Ok(Copy::Original),
        (_, Some(snapshot)) if snapshot.have_size == snapshot.total_size => {
            let path = swarm.directory(&member.name).join(PAYLOAD_NAME);
            let same = is_same(&payload, &path).map_err(|error| Failure::io(&path, &error))?;
            Ok(if same { Copy::Identical } else { Copy::Different })
        }
        (_, Some(snapshot)) => Ok(Copy::Partial(percent(snapshot.have_size, snapshot.total_size))),
        (_, None) => Ok(Copy::Partial(0)),
    };
    Ok(Verdict { copies: demo.members.iter().map(copy).collect::<Outcome<_>>()? })
}

fn is_same(one: &Path, other: &Path) -> std::io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut a, mut b) = (vec![0; CHUNK_LENGTH], vec![0; CHUNK_LENGTH]);
    loop {
        let length = one.read(&mut a)?;
        if length == 0 {
            return Ok(true);
        }
        other.read_exact(&mut b[..length])?;
        if a[..length] != b[..length] {
            return Ok(false);
        }
    }
}

impl Verdict {
    /// Done only if every leecher's copy is identical, and nobody's is wrong.
    pub(super) fn exit(&self) -> Exit {
        if self.is_good() { Exit::Done } else { Exit::Damaged }
    }

    fn is_good(&self) -> bool {
        let (last, leechers) = self.copies.split_last().expect("a demo has members");
        *last != Copy::Different && leechers[1..].iter().all(|copy| *copy == Copy::Identical)
    }

    /// What came of it, in one sentence.
    pub(super) fn sentence(&self, demo: &Demo) -> String {
        if !self.is_good() {
            return "a copy differs from the payload: this is a defect, please report it".into();
        }
        let leechers = demo.members.iter().filter(|member| member.role == Role::Leecher).count();
        format!("{leechers} copies of {}, every byte identical", Bytes(demo.total_size))
    }

    /// Prints the table and the sentence, or one JSON object.
    pub(super) fn print(&self, demo: &Demo, output: &Output) -> Outcome {
        if output.json {
            return output.print_json(&self.json(demo));
        }
        let heading = format!("{:12}{:>11}{:>11}{:>12}  {}", "", "got", "gave", "complete", "copy");
        output.print(output.paint.bold(heading.trim_end()))?;
        for (member, copy) in demo.members.iter().zip(&self.copies) {
            output.print(row(member, *copy, output))?;
        }
        let leechers = demo.members.iter().filter(|member| member.role == Role::Leecher).count() as u64;
        let alone = demo.total_size * leechers / demo.seeder_rate_max.max(1);
        let good = output.paint.green(self.sentence(demo));
        output.print(format!("\n{good}, in {:.1} s.", demo.elapsed))?;
        output.print(format!(
            "The seeder gave {:.2} copies; alone it would have needed {} for {leechers}.",
            demo.copies_given_by_seeder(),
            Seconds(alone)
        ))?;
        Fare::of(demo).map_or(Ok(()), |fare| output.print(fare.sentence()))
    }

    fn json(&self, demo: &Demo) -> serde_json::Value {
        let members: Vec<_> = (demo.members.iter().zip(&self.copies))
            .map(|(member, copy)| {
                serde_json::json!({
                    "name": member.name,
                    "role": format!("{:?}", member.role).to_lowercase(),
                    "downloaded": member.snapshot.as_ref().map(|s| s.downloaded),
                    "uploaded": member.snapshot.as_ref().map(|s| s.uploaded),
                    "complete_seconds": member.complete_at,
                    "identical": matches!(copy, Copy::Original | Copy::Identical),
                })
            })
            .collect();
        serde_json::json!({
            "schema": 1,
            "event": "result",
            "exit": self.exit() as u8,
            "seconds": demo.elapsed,
            "total_size": demo.total_size,
            "seeder_copies": demo.copies_given_by_seeder(),
            "members": members,
            "free_rider": Fare::of(demo).map(|fare| fare.json()),
        })
    }
}

fn row(member: &Member, copy: Copy, output: &Output) -> String {
    let of = |figure: fn(&potluck_common::control::TorrentSnapshot) -> u64| {
        member.snapshot.as_deref().map_or_else(String::new, |snapshot| Bytes(figure(snapshot)).to_string())
    };
    let got = if member.role == Role::Seeder { "-".into() } else { of(|snapshot| snapshot.downloaded) };
    let complete = member.complete_at.map_or_else(|| "-".into(), |at| format!("{at:.1} s"));
    let copy = match copy {
        Copy::Original => "the original".into(),
        Copy::Identical => output.paint.green("identical"),
        Copy::Different => output.paint.red("DIFFERENT"),
        Copy::Partial(percent) => output.paint.yellow(format!("{percent} % of it")),
    };
    let gave = of(|snapshot| snapshot.uploaded);
    format!("{:12}{got:>11}{gave:>11}{complete:>12}  {copy}", member.name)
}
