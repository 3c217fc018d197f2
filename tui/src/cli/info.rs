//! `potluck info`: what a torrent contains.

mod magnet;

use std::{fmt::Write as _, path::Path};

use potluck_common::{
    Printable,
    control::SCHEMA,
    metainfo::{FileEntry, Metainfo},
};
use serde_json::{Value, json};

use super::{
    args::InfoArgs,
    exit::{Exit, Outcome, worst},
    load,
    output::{Output, Paint},
    source::{Source, classify},
    web::{fetch, runtime},
};
use crate::units::{Bytes, Grouped, count};

/// Width of the labels of the human form.
const LABEL_WIDTH: usize = 14;

/// Runs `potluck info`.
pub fn run(args: &InfoArgs, output: &Output) -> Outcome<Exit> {
    let mut exits = Vec::new();
    for (place, input) in args.inputs.iter().enumerate() {
        if place > 0 && !output.json {
            output.print("")?;
        }
        match describe(input, output) {
            Ok(text) => output.print(text)?,
            Err(failure) => {
                output.fail(&failure);
                exits.push(failure.exit);
            }
        }
    }
    Ok(worst(exits))
}

fn describe(input: &Path, output: &Output) -> Outcome<String> {
    let metainfo = match classify(input)? {
        Source::File(path) => load::from_file(&path)?,
        Source::Url(url) => runtime()?.block_on(fetch(&url, None))?,
        Source::Magnet(link) => return load::magnet(&link).map(|magnet| magnet::describe(&magnet, output)),
    };
    Ok(if output.json { json_of(&metainfo).to_string() } else { text_of(&metainfo, output.paint) })
}

/// The JSON form. Fields may be added; none changes its meaning under the same `schema`.
pub(super) fn json_of(metainfo: &Metainfo) -> Value {
    let files: Vec<Value> = files_of(metainfo).map(file_json).collect();
    json!({
        "schema": SCHEMA,
        "kind": "torrent",
        "name": metainfo.name(),
        "info_hash": metainfo.info_hash_v1(),
        "info_hash_v2": metainfo.info_hash_v2(),
        "version": metainfo.version().as_str(),
        "piece_length": metainfo.geometry().piece_length(),
        "pieces": metainfo.geometry().pieces(),
        "total_size": metainfo.total_size(),
        "files": files,
        "private": metainfo.private(),
        "trackers": metainfo.trackers().concat(),
        "tracker_tiers": metainfo.trackers(),
        "web_seeds": metainfo.web_seeds(),
        "nodes": metainfo.nodes().iter().map(|(host, port)| format!("{host}:{port}")).collect::<Vec<_>>(),
        "comment": metainfo.comment(),
        "created_by": metainfo.created_by(),
        "creation_date": metainfo.creation_date(),
        "source": metainfo.source(),
    })
}

/// The lines that say which torrent it is and how large.
pub(super) fn summary(metainfo: &Metainfo, text: &mut Fields) {
    text.field("Name", Printable::new(metainfo.name()));
    text.optional("Info-hash", metainfo.info_hash_v1());
    text.optional("Info-hash v2", metainfo.info_hash_v2());
    text.field("Version", metainfo.version());
    let (total, files) = (metainfo.total_size(), files_of(metainfo).count());
    let files = count(files as u64, "file");
    text.field("Size", format!("{} ({} bytes) in {files}", Bytes(total), Grouped(total)));
    let geometry = metainfo.geometry();
    let pieces = count(u64::from(geometry.pieces()), "piece");
    text.field("Pieces", format!("{pieces} of {}", Bytes(u64::from(geometry.piece_length()))));
}

/// Everything but padding, which is nobody's.
fn files_of(metainfo: &Metainfo) -> impl Iterator<Item = &FileEntry> {
    metainfo.files().iter().filter(|file| !file.padding)
}

/// A file, with what is special about it.
fn file_json(file: &FileEntry) -> Value {
    let mut value = json!({"path": file.path.to_slash_string(), "length": file.length});
    for (key, is_so) in [("executable", file.executable), ("hidden", file.hidden), ("symlink", file.symlink)]
    {
        if is_so {
            value[key] = true.into();
        }
    }
    value
}

fn text_of(metainfo: &Metainfo, paint: Paint) -> String {
    let mut text = Fields::new(paint);
    summary(metainfo, &mut text);
    text.field("Private", if metainfo.private() { "yes: peers come from its trackers only" } else { "no" });
    text.list("Trackers", metainfo.trackers().iter().map(|tier| tier.join("  ")));
    text.list("Web seeds", metainfo.web_seeds());
    text.list("DHT nodes", metainfo.nodes().iter().map(|(host, port)| format!("{host}:{port}")));
    text.optional("Comment", metainfo.comment());
    text.optional("Source", metainfo.source());
    text.optional("Created", metainfo.creation_date().and_then(crate::date::utc));
    text.optional("Created by", metainfo.created_by());
    text.rest("");
    text.rest(paint.bold("Files"));
    let mut number = 0;
    for file in files_of(metainfo) {
        if file.symlink {
            text.rest(format!("{:>5} {:>10}  {}", "-", "link", file.path));
        } else {
            number += 1;
            text.rest(format!("{number:>5} {:>10}  {}", Bytes(file.length).to_string(), file.path));
        }
    }
    text.finish()
}

/// Labelled lines, one below the other.
pub(super) struct Fields {
    paint: Paint,
    text: String,
}

impl Fields {
    pub(super) fn new(paint: Paint) -> Self {
        Self { paint, text: String::new() }
    }

    pub(super) fn field(&mut self, label: &str, value: impl std::fmt::Display) {
        let label = self.paint.bold(format!("{label:LABEL_WIDTH$}"));
        self.rest(format!("{label}{value}"));
    }

    pub(super) fn optional(&mut self, label: &str, value: Option<impl std::fmt::Display>) {
        if let Some(value) = value {
            self.field(label, value);
        }
    }

    /// The label stands at the first value only.
    pub(super) fn list(&mut self, label: &str, values: impl IntoIterator<Item = impl AsRef<str>>) {
        for (place, value) in values.into_iter().enumerate() {
            self.field(if place == 0 { label } else { "" }, Printable::new(value.as_ref()));
        }
    }

    pub(super) fn rest(&mut self, line: impl std::fmt::Display) {
        writeln!(self.text, "{line}").expect("a string takes everything that is written to it");
    }

    pub(super) fn finish(self) -> String {
        self.text.trim_end().to_owned()
    }
}
