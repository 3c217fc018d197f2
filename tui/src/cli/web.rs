//! Torrent files by URL, and the runtime that everything on the network needs.

use std::net::IpAddr;

use potluck_common::metainfo::Metainfo;
use potluck_peer::fetch::{Bind, FetchError, HttpClient, Origin, fetch_torrent};
use tokio::runtime::Runtime;
use url::Url;

use super::{
    exit::{Exit, Failure, Outcome},
    load,
};

/// The runtime that an engine lives in.
pub fn runtime() -> Outcome<Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Failure::new(Exit::Other, "cannot start", error, "check the limits on processes and open files")
    })
}

/// Fetches a torrent file by URL.
pub async fn fetch(url: &Url, bind: Option<IpAddr>) -> Outcome<Metainfo> {
    let client = HttpClient::new(bind.map_or(Bind::ANY, Bind::only), Vec::new());
    let bytes = fetch_torrent(&client, url.as_str(), Origin::User).await.map_err(|error| {
        let exit = match &error {
            FetchError::Malformed { .. } => Exit::Usage,
            FetchError::NotFound { .. } => Exit::NotFound,
            FetchError::Refused { .. } | FetchError::Unauthorized { .. } => Exit::Refused,
            FetchError::Status { .. } | FetchError::Network { .. } => Exit::Network,
            FetchError::TooLarge { .. } | FetchError::WebPage { .. } | FetchError::NotATorrent { .. } => {
                Exit::BadTorrent
            }
        };
        Failure::sentence(exit, error)
    })?;
    load::parse(url.as_str(), &bytes)
}
