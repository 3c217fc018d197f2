//! What a magnet link says by itself.

use potluck_common::{Printable, control::SCHEMA, magnet::Magnet};
use serde_json::{Value, json};

use super::Fields;
use crate::{
    cli::output::{Output, Paint},
    units::{Bytes, Grouped},
};

/// The parts of a link, as JSON or for people.
pub(super) fn describe(magnet: &Magnet, output: &Output) -> String {
    if output.json { json_of(magnet).to_string() } else { text_of(magnet, output.paint) }
}

fn version(magnet: &Magnet) -> &'static str {
    match (magnet.info_hash_v1(), magnet.info_hash_v2()) {
        (Some(_), Some(_)) => "hybrid",
        (None, Some(_)) => "v2",
        _ => "v1",
    }
}

/// The fields of a torrent that a link does not tell are `null`.
fn json_of(magnet: &Magnet) -> Value {
    json!({
        "schema": SCHEMA,
        "kind": "magnet",
        "name": magnet.name,
        "info_hash": magnet.info_hash_v1(),
        "info_hash_v2": magnet.info_hash_v2(),
        "version": version(magnet),
        "piece_length": null,
        "pieces": null,
        "total_size": magnet.length,
        "files": null,
        "private": null,
        "trackers": magnet.trackers,
        "tracker_tiers": magnet.trackers.iter().map(|url| [url]).collect::<Vec<_>>(),
        "web_seeds": magnet.web_seeds,
        "peers": peers(magnet),
    })
}

fn text_of(magnet: &Magnet, paint: Paint) -> String {
    let mut text = Fields::new(paint);
    text.optional("Name", magnet.name.as_deref().map(Printable::new));
    text.optional("Info-hash", magnet.info_hash_v1());
    text.optional("Info-hash v2", magnet.info_hash_v2());
    text.field("Version", version(magnet));
    text.optional(
        "Size",
        magnet.length.map(|size| format!("{} ({} bytes), it says", Bytes(size), Grouped(size))),
    );
    text.list("Trackers", &magnet.trackers);
    text.list("Web seeds", &magnet.web_seeds);
    text.list("Peers", peers(magnet));
    if magnet.files.is_some() {
        text.field("Files", "only some are selected");
    }
    text.rest("");
    text.rest("A magnet link names a torrent; its files are known when its metadata was fetched from peers.");
    text.finish()
}

fn peers(magnet: &Magnet) -> Vec<String> {
    let shown = |host: &str| if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    magnet.peers.iter().map(|peer| format!("{}:{}", shown(&peer.host), peer.port)).collect()
}
