//! What a torrent says outside its `info` dictionary. None of it is worth refusing a torrent for: what does not fit
//! is left out.

use serde::Deserialize;
use serde_bytes::ByteBuf;

use crate::{
    bencode::{DecodeError, Dict, Kind, Node, Wanted, decode_known},
    limits::{SOURCES_MAX, TRACKERS_MAX, URL_BYTES_MAX},
    printable::Printable,
};

/// The outer keys that are used.
#[derive(Clone, Debug, Default)]
pub(super) struct Outer {
    pub(super) trackers: Vec<Vec<String>>,
    pub(super) web_seeds: Vec<String>,
    pub(super) nodes: Vec<(String, u16)>,
    pub(super) comment: Option<Printable>,
    pub(super) created_by: Option<Printable>,
    pub(super) creation_date: Option<i64>,
}

#[derive(Deserialize)]
struct Scalars {
    announce: Option<ByteBuf>,
    comment: Option<ByteBuf>,
    #[serde(rename = "created by")]
    created_by: Option<ByteBuf>,
    #[serde(rename = "creation date")]
    creation_date: Option<i64>,
}

impl Scalars {
    const KEYS: &[Wanted] = &[
        ("announce", Kind::Bytes),
        ("comment", Kind::Bytes),
        ("created by", Kind::Bytes),
        ("creation date", Kind::Int),
    ];
}

impl Outer {
    pub(super) fn of(dict: &Dict<'_, '_>) -> Result<Self, DecodeError> {
        let scalars: Scalars = decode_known(dict, Scalars::KEYS)?;
        let listed = dict.get(b"announce-list").map(tiers).unwrap_or_default();
        let announce = scalars.announce.as_deref().and_then(|url| usable_url(url));
        let printable = |text: Option<ByteBuf>| text.map(|text| Printable::from_bytes(&text));
        Ok(Self {
            // BEP 12: the list replaces the single tracker.
            trackers: if listed.is_empty() {
                announce.map(|url| vec![url]).into_iter().collect()
            } else {
                listed
            },
            web_seeds: dict.get(b"url-list").map(web_seeds).unwrap_or_default(),
            nodes: dict.get(b"nodes").map(nodes).unwrap_or_default(),
            comment: printable(scalars.comment),
            created_by: printable(scalars.created_by),
            creation_date: scalars.creation_date,
        })
    }
}

/// `raw` as a URL that a person could have typed; `None` if it is empty, too long, or not printable.
pub(crate) fn usable_url(raw: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(raw).ok()?.trim();
    let unprintable = |character: char| character.is_whitespace() || crate::printable::is_unsafe(character);
    let usable = !text.is_empty() && text.len() <= URL_BYTES_MAX && !text.contains(unprintable);
    usable.then(|| text.to_owned())
}

/// The values in `node` if it is a list.
fn items<'d, 'b>(node: Node<'d, 'b>) -> impl Iterator<Item = Node<'d, 'b>> {
    node.as_list().into_iter().flat_map(|list| list.iter())
}

/// The tiers of `announce-list` (BEP 12) without what is unusable, empty or there a second time.
fn tiers(list: Node<'_, '_>) -> Vec<Vec<String>> {
    let mut seen = std::collections::BTreeSet::new();
    let mut tiers = Vec::new();
    for tier in items(list) {
        // Some old software writes a flat list of trackers; each is a tier then.
        let urls = tier.as_bytes().into_iter().chain(items(tier).filter_map(|url| url.as_bytes()));
        // One at a time: a hostile tier has millions.
        let mut fresh = Vec::new();
        for url in urls.filter_map(usable_url) {
            if seen.len() < TRACKERS_MAX && seen.insert(url.clone()) {
                fresh.push(url);
            }
        }
        tiers.extend((!fresh.is_empty()).then_some(fresh));
        if seen.len() >= TRACKERS_MAX {
            break;
        }
    }
    tiers
}

/// The web seeds of `url-list` (BEP 19), which is one URL or a list of them.
fn web_seeds(node: Node<'_, '_>) -> Vec<String> {
    let mut urls = Vec::new();
    let listed = items(node).filter_map(|url| url.as_bytes());
    for url in node.as_bytes().into_iter().chain(listed).filter_map(usable_url) {
        if urls.len() < SOURCES_MAX && !urls.contains(&url) {
            urls.push(url);
        }
    }
    urls
}

/// The DHT nodes of `nodes` (BEP 5): pairs of a host and a port.
fn nodes(list: Node<'_, '_>) -> Vec<(String, u16)> {
    let node = |pair: Node<'_, '_>| {
        let mut pair = pair.as_list()?.iter();
        let host = usable_url(pair.next()?.as_bytes()?)?;
        let port = u16::try_from(pair.next()?.as_int()?).ok().filter(|port| *port != 0)?;
        Some((host, port))
    };
    items(list).filter_map(node).take(SOURCES_MAX).collect()
}
