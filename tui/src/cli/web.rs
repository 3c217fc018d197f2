//! Torrent files by URL, and the runtime that everything on the network needs.

use std::{fmt, net::IpAddr, panic, process, time::Duration};

use potluck_common::metainfo::Metainfo;
use potluck_peer::fetch::{Bind, FetchError, HttpClient, Origin, fetch_torrent};
use tokio::runtime::Runtime;
use url::Url;

use super::{
    args::OutputArgs,
    exit::{Exit, Failure, Outcome},
    load,
    output::Output,
};

/// How long threads for what blocks are kept: while there is one, it does not matter when the system refuses another.
const THREADS_KEPT: Duration = Duration::from_secs(3600);

/// The runtime that an engine lives in.
pub fn runtime() -> Outcome<Runtime> {
    let hook = panic::take_hook();
    // Where the system refuses a thread tokio panics, and then waits for ever for those that it has.
    panic::set_hook(Box::new(|_| {
        let failure = cannot_start("the system refuses another thread");
        Output::new(&OutputArgs::default()).fail(&failure);
        process::exit(failure.exit as i32);
    }));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().thread_keep_alive(THREADS_KEPT).build();
    // The first thread for what blocks: with one of them there, no other is needed for anything but speed.
    let runtime = runtime.inspect(|runtime| drop(runtime.spawn_blocking(|| ())));
    panic::set_hook(hook);
    runtime.map_err(cannot_start)
}

fn cannot_start(why: impl fmt::Display) -> Failure {
    Failure::new(Exit::Other, "cannot start", why, "check the limits on processes and open files")
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
