//! A `.torrent` file by URL.

use std::{pin::pin, time::Duration};

use futures_util::future::{Either, select};
use potluck_common::{Printable, limits::METAINFO_URL_BYTES_MAX};
use reqwest::StatusCode;
use url::Url;

use super::{
    Get, Got, HttpClient, HttpError, Origin, Resolved,
    policy::{self, Hop, Refusal, Target},
    redact::redacted,
    resolve,
};

/// Time for the whole download of a `.torrent` file.
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(60);

/// The time that one address family has before the other is tried beside it (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Why no `.torrent` file came. Each text names the URL, without secrets, and what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FetchError {
    /// The text is no URL.
    #[error("`{text}` is no URL ({why}): give one that begins with http:// or https://")]
    Malformed {
        /// What was given.
        text: Printable,
        /// What is wrong with it.
        why: Printable,
    },
    /// The URL policy forbids it; nothing was sent to the place in question.
    #[error("{url} is not fetched: {refusal}")]
    Refused {
        /// The URL.
        url: Printable,
        /// The rule.
        refusal: Refusal,
    },
    /// The server does not have it.
    #[error("{url} does not exist (HTTP {status}): check the address")]
    NotFound {
        /// The URL.
        url: Printable,
        /// 404 or 410.
        status: u16,
    },
    /// The server wants a login.
    #[error("{url} is not for everyone (HTTP {status}): download the .torrent file in a browser")]
    Unauthorized {
        /// The URL.
        url: Printable,
        /// 401, 402, 403 or 407.
        status: u16,
    },
    /// Another HTTP error.
    #[error("{url} answered HTTP {status}: try again later")]
    Status {
        /// The URL.
        url: Printable,
        /// The status.
        status: u16,
    },
    /// The server was not reached, or the connection broke.
    #[error("{url} cannot be fetched: {why}; check the address and the network")]
    Network {
        /// The URL.
        url: Printable,
        /// What happened.
        why: Printable,
    },
    /// The body is longer than a `.torrent` file from a URL may be.
    #[error("{url} is larger than {} MiB: a .torrent file is smaller; give the address of the .torrent file itself",
        METAINFO_URL_BYTES_MAX >> 20)]
    TooLarge {
        /// The URL.
        url: Printable,
    },
    /// The body is a web page.
    #[error("{url} is a web page: open it in a browser and copy the address of the .torrent file")]
    WebPage {
        /// The URL.
        url: Printable,
    },
    /// The body is something else.
    #[error("{url} is no .torrent file but {what}: check the address")]
    NotATorrent {
        /// The URL.
        url: Printable,
        /// What it is.
        what: Printable,
    },
}

/// Downloads the `.torrent` file at `url`: at most [`METAINFO_URL_BYTES_MAX`] bytes that look bencoded; the caller
/// parses them.
pub async fn fetch_torrent(client: &HttpClient, url: &str, origin: Origin) -> Result<Vec<u8>, FetchError> {
    let parsed = Url::parse(url.trim()).map_err(|error| FetchError::Malformed {
        text: Printable::bounded(url.trim(), 80),
        why: Printable::new(&error.to_string()),
    })?;
    let shown = redacted(&parsed);
    let late = |_| {
        let why = format!("no whole answer within {} s", FETCH_TIMEOUT.as_secs());
        FetchError::Network { url: shown.clone(), why: Printable::new(&why) }
    };
    let got = tokio::time::timeout(FETCH_TIMEOUT, get(client, parsed, origin)).await.map_err(late)?;
    let got = got.map_err(|error| explain(shown.clone(), error))?;
    check(&shown, got)
}

/// Asks over one family, and over the other as well when the first has not answered soon or could not connect: happy
/// eyeballs (RFC 8305). The first that connects counts.
async fn get(client: &HttpClient, url: Url, origin: Origin) -> Result<Got, HttpError> {
    let target = Target::of_url(&url).map_err(HttpError::Refused)?;
    policy::check_url(&target, origin, Hop::First).map_err(HttpError::Refused)?;
    let resolved = locate(client, &url, &target, origin).await?;
    let mut families = resolved.families();
    let ask = |addrs| {
        let body_bytes_max = METAINFO_URL_BYTES_MAX;
        client.get(Get { url: url.clone(), target: target.clone(), origin, addrs, body_bytes_max })
    };
    let Some(first) = families.next().map(&ask) else { return Err(HttpError::Location) };
    let Some(second) = families.next().map(&ask) else { return first.await };
    race(first, second).await
}

/// The outcome of `first`, unless it is slow or does not connect and `second` does better.
async fn race(
    first: impl Future<Output = Result<Got, HttpError>>,
    second: impl Future<Output = Result<Got, HttpError>>,
) -> Result<Got, HttpError> {
    let connected = |outcome: &Result<Got, HttpError>| !matches!(outcome, Err(HttpError::Unreachable { .. }));
    let mut first = pin!(first);
    if let Ok(outcome) = tokio::time::timeout(HEAD_START, &mut first).await {
        return if connected(&outcome) { outcome } else { second.await };
    }
    match select(first, pin!(second)).await {
        Either::Left((outcome, other)) if !connected(&outcome) => other.await,
        Either::Right((outcome, other)) if !connected(&outcome) => other.await,
        Either::Left((outcome, _)) | Either::Right((outcome, _)) => outcome,
    }
}

async fn locate(
    client: &HttpClient,
    url: &Url,
    target: &Target,
    origin: Origin,
) -> Result<Resolved, HttpError> {
    let host = url.host().expect("http URLs have a host");
    let port = url.port_or_known_default().expect("http and https have default ports");
    resolve(client.bind(), host, port, |ip| policy::check_ip(target, origin, Hop::First, ip)).await
}

fn explain(url: Printable, error: HttpError) -> FetchError {
    match error {
        HttpError::Refused(refusal) => FetchError::Refused { url, refusal },
        HttpError::TooLarge(_) => FetchError::TooLarge { url },
        other => FetchError::Network { url, why: Printable::new(&other.to_string()) },
    }
}

/// Whether what came could be a `.torrent` file: a good status, and a bencoded dictionary by its two ends.
fn check(url: &Printable, got: Got) -> Result<Vec<u8>, FetchError> {
    let (url, status) = (url.clone(), got.status.as_u16());
    match got.status {
        StatusCode::NOT_FOUND | StatusCode::GONE => return Err(FetchError::NotFound { url, status }),
        StatusCode::UNAUTHORIZED
        | StatusCode::PAYMENT_REQUIRED
        | StatusCode::FORBIDDEN
        | StatusCode::PROXY_AUTHENTICATION_REQUIRED => return Err(FetchError::Unauthorized { url, status }),
        status_code if !status_code.is_success() => return Err(FetchError::Status { url, status }),
        _ => {}
    }
    let text = got.body.trim_ascii();
    if text.starts_with(b"d") && text.ends_with(b"e") {
        return Ok(got.body);
    }
    let is_html = got.content_type.as_ref().is_some_and(|kind| kind.as_str().starts_with("text/html"));
    if is_html || text.starts_with(b"<") {
        return Err(FetchError::WebPage { url });
    }
    let what = match got.content_type {
        _ if text.is_empty() => "empty".into(),
        Some(kind) => kind,
        None => "of unknown kind".into(),
    };
    Err(FetchError::NotATorrent { url, what })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body that comes, or no connection.
    async fn after(millis: u64, body: Option<&str>) -> Result<Got, HttpError> {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        let got = |text: &str| Got { status: StatusCode::OK, content_type: None, body: text.into() };
        body.map(got).ok_or_else(|| HttpError::Unreachable { host: "host".into(), why: "refused".into() })
    }

    #[tokio::test(start_paused = true)]
    async fn the_family_that_connects_first_counts_and_the_first_has_a_head_start() {
        let cases = [
            (after(200, Some("first")), after(0, Some("second")), "first", 200),
            (after(10_000, Some("first")), after(100, Some("second")), "second", 350),
            (after(10, None), after(30, Some("second")), "second", 40),
            (after(400, None), after(500, Some("second")), "second", 750),
            (after(600, Some("first")), after(50, None), "first", 600),
        ];
        for (first, second, expected, millis) in cases {
            let start = tokio::time::Instant::now();
            let outcome = race(first, second).await.expect("one of them connects");
            assert_eq!(outcome.body, expected.as_bytes());
            assert_eq!(start.elapsed(), Duration::from_millis(millis), "{expected}");
        }
        assert!(race(after(1, None), after(1, None)).await.is_err());
    }
}
