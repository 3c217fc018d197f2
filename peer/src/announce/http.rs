//! Announces and scrapes over HTTP and HTTPS.

use std::net::SocketAddr;

use potluck_common::{
    Printable,
    announce::{ReplyError, TrackerUrl, http},
    limits::TRACKER_REPLY_BYTES_MAX,
};
use potluck_core::announce::AnnounceFailure;
use url::Url;

use super::{Answer, Question};
use crate::fetch::{Get, Got, HttpClient, Origin, policy::Target};

/// Asks the tracker at one of `addrs`, which are of one family.
pub(super) async fn ask(
    client: &HttpClient,
    tracker: &TrackerUrl,
    question: Question<'_>,
    origin: Origin,
    target: Target,
    addrs: &[SocketAddr],
) -> Result<Answer, AnnounceFailure> {
    let url = match question {
        Question::Announce(request) => http::announce_url(tracker, request),
        Question::Scrape(info_hashes) => http::scrape_url(tracker, info_hashes)
            .ok_or_else(|| AnnounceFailure::Invalid("the tracker's URL has no scrape".into()))?,
    };
    let url =
        Url::parse(&url).map_err(|error| AnnounceFailure::Invalid(Printable::new(&error.to_string())))?;
    let get = Get { url, target, origin, addrs, body_bytes_max: TRACKER_REPLY_BYTES_MAX };
    let got = client.get(get).await?;
    decode(&got, question)
}

/// Reads the reply. With an HTTP error, too, as some trackers wrap their refusals in one.
fn decode(got: &Got, question: Question<'_>) -> Result<Answer, AnnounceFailure> {
    let answer = match question {
        Question::Announce(_) => http::decode_announce(&got.body).map(Answer::Announce),
        Question::Scrape(_) => http::decode_scrape(&got.body).map(Answer::Scrape),
    };
    match answer {
        Err(ReplyError::Failure(failure)) => Err(AnnounceFailure::Refused(failure)),
        _ if !got.status.is_success() => Err(AnnounceFailure::Invalid(Printable::new(&format!(
            "the tracker answered HTTP {}",
            got.status
        )))),
        answer => answer.map_err(AnnounceFailure::from),
    }
}
