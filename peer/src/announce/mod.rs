//! Trackers as a client: announces and scrapes over HTTP, HTTPS (BEP 3, 7, 23, 48) and UDP (BEP 15, 41).
//!
//! [`TrackerClient`] does what the pure announcer (`potluck_core::announce`) decides: one request, one outcome. Where
//! a tracker has addresses of both families and both are on, it is told over both (BEP 7) and the replies are merged.
//! No passkey appears in an error or a log line.

mod http;
mod slots;
#[cfg(test)]
mod tests;
mod udp;

use std::{fmt, future::Future, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use futures_util::future::{Either, select};
use potluck_common::{
    InfoHash, Printable,
    announce::{AnnounceReply, AnnounceRequest, REPLY_PEERS_MAX, Scheme, ScrapeReply, TrackerUrl},
};
use potluck_core::announce::AnnounceFailure;

use self::{slots::Slots, udp::UdpClient};
use crate::fetch::{
    HttpClient, HttpError, Origin,
    policy::{self, Hop, Target},
    resolve,
};

pub use self::slots::{IN_FLIGHT_MAX, IN_FLIGHT_PER_HOST_MAX};

/// How long the reply over one address family waits for that over the other.
const OTHER_FAMILY_WAIT: Duration = Duration::from_secs(3);

/// Asks trackers, at most [`IN_FLIGHT_MAX`] at a time. Cheap to clone; one per engine.
#[derive(Clone)]
pub struct TrackerClient {
    shared: Arc<Shared>,
}

struct Shared {
    http: HttpClient,
    udp: UdpClient,
    slots: Slots,
}

impl fmt::Debug for TrackerClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrackerClient").field("http", &self.shared.http).finish_non_exhaustive()
    }
}

/// What a tracker is asked.
#[derive(Clone, Copy)]
enum Question<'a> {
    Announce(&'a AnnounceRequest),
    Scrape(&'a [InfoHash]),
}

/// What it answers, to the question that was asked.
#[derive(Debug)]
enum Answer {
    Announce(AnnounceReply),
    Scrape(ScrapeReply),
}

impl TrackerClient {
    /// A client that asks HTTP trackers through `http`, and UDP trackers from the same local addresses.
    pub fn new(http: HttpClient) -> Self {
        Self::with_in_flight(http, IN_FLIGHT_MAX)
    }

    /// The same with at most `in_flight_max` requests under way, where descriptors are few.
    pub fn with_in_flight(http: HttpClient, in_flight_max: usize) -> Self {
        let udp = UdpClient::new(*http.bind());
        Self { shared: Arc::new(Shared { http, udp, slots: Slots::new(in_flight_max) }) }
    }

    /// Announces `request` to the tracker. `timeout` counts from when the request begins, not from when it is queued.
    pub async fn announce(
        &self,
        url: &TrackerUrl,
        request: &AnnounceRequest,
        origin: Origin,
        timeout: Duration,
    ) -> Result<AnnounceReply, AnnounceFailure> {
        match self.ask(url, Question::Announce(request), origin, timeout).await? {
            Answer::Announce(reply) => Ok(reply),
            Answer::Scrape(_) => Err(other_kind()),
        }
    }

    /// Asks the tracker for the counts of at most 74 torrents.
    pub async fn scrape(
        &self,
        url: &TrackerUrl,
        info_hashes: &[InfoHash],
        origin: Origin,
        timeout: Duration,
    ) -> Result<ScrapeReply, AnnounceFailure> {
        match self.ask(url, Question::Scrape(info_hashes), origin, timeout).await? {
            Answer::Scrape(reply) => Ok(reply),
            Answer::Announce(_) => Err(other_kind()),
        }
    }

    async fn ask(
        &self,
        url: &TrackerUrl,
        question: Question<'_>,
        origin: Origin,
        timeout: Duration,
    ) -> Result<Answer, AnnounceFailure> {
        let slot = self.shared.slots.enter(url).await?;
        let timed = tokio::time::timeout(timeout, self.ask_now(url, question, origin)).await;
        let outcome = timed.unwrap_or_else(|_| {
            let why = format!("no answer within {:.0} s", timeout.as_secs_f64().max(1.0));
            Err(AnnounceFailure::Unreachable(Printable::new(&why)))
        });
        slot.leave(&outcome);
        if let Err(failure) = &outcome {
            tracing::debug!(tracker = %url, %failure, "a tracker did not answer");
        }
        outcome
    }

    /// Resolves the tracker, checks the policy, and asks over each family that is left.
    async fn ask_now(
        &self,
        url: &TrackerUrl,
        question: Question<'_>,
        origin: Origin,
    ) -> Result<Answer, AnnounceFailure> {
        let target = Target::of_tracker(url);
        policy::check_url(&target, origin, Hop::First).map_err(HttpError::Refused)?;
        let check = |ip| policy::check_ip(&target, origin, Hop::First, ip);
        let resolved = resolve(self.shared.http.bind(), url.host(), url.port(), check).await?;
        let mut families =
            resolved.families().map(|addrs| self.ask_at(url, question, origin, &target, addrs));
        match (families.next(), families.next()) {
            (Some(one), Some(other)) => both(one, other).await,
            (Some(only), _) => only.await,
            (None, _) => Err(AnnounceFailure::Unreachable("it has no address".into())),
        }
    }

    async fn ask_at(
        &self,
        url: &TrackerUrl,
        question: Question<'_>,
        origin: Origin,
        target: &Target,
        addrs: &[SocketAddr],
    ) -> Result<Answer, AnnounceFailure> {
        match url.scheme() {
            Scheme::Udp => self.shared.udp.ask(url, question, addrs).await,
            Scheme::Http | Scheme::Https => {
                http::ask(&self.shared.http, url, question, origin, target.clone(), addrs).await
            }
        }
    }
}

/// Asks over both families at once. A good answer waits a little for the other one; a failure waits for it wholly.
async fn both(
    one: impl Future<Output = Result<Answer, AnnounceFailure>>,
    other: impl Future<Output = Result<Answer, AnnounceFailure>>,
) -> Result<Answer, AnnounceFailure> {
    match select(pin!(one), pin!(other)).await {
        Either::Left((first, second)) => rest(first, second).await,
        Either::Right((first, second)) => rest(first, second).await,
    }
}

async fn rest(
    first: Result<Answer, AnnounceFailure>,
    second: impl Future<Output = Result<Answer, AnnounceFailure>>,
) -> Result<Answer, AnnounceFailure> {
    let Ok(first) = first else { return second.await.or(first) };
    match tokio::time::timeout(OTHER_FAMILY_WAIT, second).await {
        Ok(Ok(second)) => Ok(merge(first, second)),
        Ok(Err(_)) | Err(_) => Ok(first),
    }
}

/// The first answer with the second's peers. The counts of both are of the same swarm and not added.
fn merge(first: Answer, second: Answer) -> Answer {
    match (first, second) {
        (Answer::Announce(mut first), Answer::Announce(second)) => {
            for peer in second.peers {
                if first.peers.len() < REPLY_PEERS_MAX && !first.peers.contains(&peer) {
                    first.peers.push(peer);
                }
            }
            first.complete = first.complete.max(second.complete);
            first.incomplete = first.incomplete.max(second.incomplete);
            first.min_interval = first.min_interval.max(second.min_interval);
            Answer::Announce(first)
        }
        (first, _) => first,
    }
}

impl From<HttpError> for AnnounceFailure {
    fn from(error: HttpError) -> Self {
        let text = Printable::new(&error.to_string());
        match error {
            HttpError::Refused(_) => Self::Forbidden(text),
            HttpError::Unresolvable { .. } | HttpError::Unbound(_) | HttpError::Unreachable { .. } => {
                Self::Unreachable(text)
            }
            HttpError::Redirects | HttpError::Location | HttpError::TooLarge(_) | HttpError::Broken(_) => {
                Self::Invalid(text)
            }
        }
    }
}

fn other_kind() -> AnnounceFailure {
    AnnounceFailure::Invalid("the tracker answered something else than it was asked".into())
}
