//! The HTTP tracker (BEP 3, 48): `/announce`, `/scrape`, and a few words for a person at `/`.
//!
//! A refused request is an ordinary reply with a `failure reason`, because that is what clients show. The client's
//! address is that of its connection: headers that claim another, such as `X-Forwarded-For`, are not read.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use potluck_common::announce::{
    Failure,
    http::{encode_announce, encode_failure, encode_scrape, parse_announce, parse_scrape},
};
use potluck_tracker_core::Transport;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tracing::warn;

use crate::{admission::Admission, config::HttpLimits, shared::Shared};

/// Largest head of a request; its first line is bounded by `QUERY_BYTES_MAX` besides.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Most header fields of a request; clients send about five.
const HEADERS_MAX: usize = 64;

/// The pause after a failed accept, such as one for want of file descriptors, while other connections end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// Serves connections until `stop` changes, and then until they have ended.
pub(crate) async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    limits: HttpLimits,
    admission: Admission,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.changed() => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, from)) => {
                // Who is refused finds the connection closed.
                if let Some(admitted) = admission.admit(from.ip()) {
                    let connection =
                        serve_connection(stream, from, shared.clone(), limits.clone(), stop.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(admitted);
                    });
                }
            }
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn serve_connection(
    stream: TcpStream,
    from: SocketAddr,
    shared: Arc<Shared>,
    limits: HttpLimits,
    mut stop: watch::Receiver<bool>,
) {
    // Replies are small and whole: waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let reply = respond(&request, from.ip(), &shared);
        async move { Ok::<_, Infallible>(reply) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // How a connection ended is the client's business: nothing is logged.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = tokio::time::sleep(limits.connection_lifetime) => {}
        _ = stop.changed() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(limits.header_timeout, connection).await;
}

/// The reply to one request.
fn respond(request: &Request<Incoming>, from: IpAddr, shared: &Shared) -> Response<Full<Bytes>> {
    let query = request.uri().query().unwrap_or_default();
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut reply = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is served here\n".into());
        reply.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return reply;
    }
    match request.uri().path() {
        "/announce" => text(
            StatusCode::OK,
            announce(query, from, shared).unwrap_or_else(|failure| encode_failure(&failure)),
        ),
        "/scrape" => {
            text(StatusCode::OK, scrape(query, shared).unwrap_or_else(|failure| encode_failure(&failure)))
        }
        "/" | "/stats" => text(StatusCode::OK, stats(shared).into()),
        _ => text(StatusCode::NOT_FOUND, "nothing here; a tracker answers at /announce and /scrape\n".into()),
    }
}

fn announce(query: &str, from: IpAddr, shared: &Shared) -> Result<Vec<u8>, Failure> {
    let request = parse_announce(query).map_err(|error| Failure::new(&error.to_string()))?;
    let reply = shared.announce(&request, from, Transport::Http)?;
    Ok(encode_announce(&reply, request.compact))
}

fn scrape(query: &str, shared: &Shared) -> Result<Vec<u8>, Failure> {
    let info_hashes = parse_scrape(query).map_err(|error| Failure::new(&error.to_string()))?;
    if info_hashes.is_empty() {
        return Err(Failure::new("info_hash is missing: this tracker does not list all its torrents"));
    }
    let entries = shared.scrape(&info_hashes);
    Ok(encode_scrape(&info_hashes.into_iter().zip(entries).collect()))
}

fn stats(shared: &Shared) -> String {
    let totals = shared.totals();
    format!(
        "potluck-tracker {}\nup {} s\ntorrents {}\nseeds {}\nleechers {}\n",
        env!("CARGO_PKG_VERSION"),
        shared.uptime().as_secs(),
        totals.torrents,
        totals.complete,
        totals.incomplete,
    )
}

fn text(status: StatusCode, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}
