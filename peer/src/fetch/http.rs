//! GET over HTTP and HTTPS under the URL policy: each hop resolved once, checked, and connected to at the checked
//! addresses only; bodies and times bounded.

use std::{
    error::Error as _,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
    time::Duration,
};

use potluck_common::{AddrScope, Printable, announce::Family};
use reqwest::{
    StatusCode,
    dns::{Addrs, Name, Resolve, Resolving},
    header,
};
use rustls::pki_types::CertificateDer;
use url::Url;

use super::{
    policy::{self, Hop, Origin, Refusal, Target},
    resolve::{Bind, resolve},
    tls,
};

/// Most redirects followed for one request.
pub const REDIRECTS_MAX: usize = 5;

/// Time for a connection to be made, TLS included (libtorrent's figure).
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How we introduce ourselves; private trackers admit clients by it.
pub const USER_AGENT: &str = concat!("Potluck/", env!("CARGO_PKG_VERSION"));

/// Asks HTTP and HTTPS servers. Cheap to clone; one per engine.
#[derive(Clone)]
pub struct HttpClient {
    shared: Arc<Shared>,
}

struct Shared {
    bind: Bind,
    extra_roots: Vec<CertificateDer<'static>>,
    /// Made on first use of HTTPS.
    tls: OnceLock<rustls::ClientConfig>,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("bind", &self.shared.bind).finish_non_exhaustive()
    }
}

/// One request.
pub(crate) struct Get<'a> {
    pub(crate) url: Url,
    /// What the policy looks at on the first hop.
    pub(crate) target: Target,
    pub(crate) origin: Origin,
    /// Where the first hop goes; all of one family, checked and reachable. Never empty.
    pub(crate) addrs: &'a [SocketAddr],
    /// Longest body taken, in bytes, after decompression.
    pub(crate) body_bytes_max: usize,
}

/// What came back; the status may be any but a redirect.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) content_type: Option<Printable>,
    pub(crate) body: Vec<u8>,
}

/// Why a request brought nothing. The texts show no part of a URL but its host.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error(transparent)]
    Refused(Refusal),
    #[error("the name {host} does not resolve: {why}")]
    Unresolvable { host: Printable, why: Printable },
    #[error("{0} cannot be reached from the address we are bound to")]
    Unbound(IpAddr),
    #[error("cannot connect to {host}: {why}")]
    Unreachable { host: Printable, why: Printable },
    #[error("more than {REDIRECTS_MAX} redirects")]
    Redirects,
    #[error("a redirect to nowhere")]
    Location,
    #[error("the reply is longer than {0} bytes")]
    TooLarge(usize),
    #[error("the reply is broken: {0}")]
    Broken(Printable),
}

impl HttpClient {
    /// A client whose connections come from `bind` and that trusts `extra_roots` beside the system's authorities.
    pub fn new(bind: Bind, extra_roots: Vec<CertificateDer<'static>>) -> Self {
        Self { shared: Arc::new(Shared { bind, extra_roots, tls: OnceLock::new() }) }
    }

    /// Where connections come from.
    pub fn bind(&self) -> &Bind {
        &self.shared.bind
    }

    /// Sends the request and follows redirects. The caller bounds the time.
    pub(crate) async fn get(&self, get: Get<'_>) -> Result<Got, HttpError> {
        let Get { mut url, mut target, origin, addrs, body_bytes_max } = get;
        let mut addrs = addrs.to_vec();
        let mut hop = Hop::First;
        for _ in 0..=REDIRECTS_MAX {
            policy::check_url(&target, origin, hop).map_err(HttpError::Refused)?;
            let response = self.send(&url, &addrs).await?;
            if !is_redirect(response.status()) {
                return read(response, body_bytes_max).await;
            }
            let server = response.remote_addr().unwrap_or(addrs[0]);
            hop = Hop::RedirectedFrom(AddrScope::of(server.ip()));
            url = location(&url, &response).ok_or(HttpError::Location)?;
            target = Target::of_url(&url).map_err(HttpError::Refused)?;
            addrs = self.locate(&url, &target, origin, hop, Family::of(server.ip())).await?;
        }
        Err(HttpError::Redirects)
    }

    /// The addresses of `url` that the policy allows, of one family: `family` if there are any.
    async fn locate(
        &self,
        url: &Url,
        target: &Target,
        origin: Origin,
        hop: Hop,
        family: Family,
    ) -> Result<Vec<SocketAddr>, HttpError> {
        let host = url.host().ok_or(HttpError::Location)?;
        let port = url.port_or_known_default().ok_or(HttpError::Location)?;
        let check = |ip| policy::check_ip(target, origin, hop, ip);
        Ok(resolve(self.bind(), host, port, check).await?.preferring(family).to_vec())
    }

    /// One request to one of `addrs`, which are of one family. The connection is not kept: a tracker is asked every
    /// half hour, and a kept connection would outlive the check of its address.
    async fn send(&self, url: &Url, addrs: &[SocketAddr]) -> Result<reqwest::Response, HttpError> {
        let host = || Printable::new(url.host_str().unwrap_or_default());
        let client = self.client_for(url, addrs).map_err(|error| HttpError::Broken(cause(&error)))?;
        client.get(url.clone()).send().await.map_err(|error| match () {
            () if error.is_connect() && error.is_timeout() => {
                let why = format!("no connection within {} s", CONNECT_TIMEOUT.as_secs());
                HttpError::Unreachable { host: host(), why: Printable::new(&why) }
            }
            () if error.is_connect() => HttpError::Unreachable { host: host(), why: cause(&error) },
            () => HttpError::Broken(cause(&error)),
        })
    }

    fn client_for(&self, url: &Url, addrs: &[SocketAddr]) -> reqwest::Result<reqwest::Client> {
        let tls = match url.scheme() {
            "https" => self.shared.tls.get_or_init(|| tls::client_config(&self.shared.extra_roots)).clone(),
            _ => tls::distrusting_config(),
        };
        let family = addrs.first().map(|addr| Family::of(addr.ip()));
        let local = family.and_then(|family| self.bind().local(family)).filter(|ip| !ip.is_unspecified());
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .dns_resolver(Pinned(addrs.to_vec()))
            .local_address(local)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .pool_max_idle_per_host(0)
            .user_agent(USER_AGENT)
            .build()
    }
}

/// Answers every name with the addresses that were checked.
struct Pinned(Vec<SocketAddr>);

impl Resolve for Pinned {
    fn resolve(&self, _name: Name) -> Resolving {
        let addrs: Addrs = Box::new(self.0.clone().into_iter());
        Box::pin(std::future::ready(Ok(addrs)))
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn location(base: &Url, response: &reqwest::Response) -> Option<Url> {
    let location = response.headers().get(header::LOCATION)?;
    base.join(std::str::from_utf8(location.as_bytes()).ok()?).ok()
}

/// Reads the body piece by piece as it is decompressed, so that no more than the bound is ever held.
async fn read(mut response: reqwest::Response, body_bytes_max: usize) -> Result<Got, HttpError> {
    let status = response.status();
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let content_type = content_type.map(|value| Printable::from_bytes(value.as_bytes()));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| HttpError::Broken(cause(&error)))? {
        if body.len() + chunk.len() > body_bytes_max {
            return Err(HttpError::TooLarge(body_bytes_max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Got { status, content_type, body })
}

/// The innermost cause, such as "Connection refused (os error 111)": what lies around it repeats the URL.
fn cause(error: &reqwest::Error) -> Printable {
    let mut cause: &dyn std::error::Error = match error.source() {
        Some(source) => source,
        None => return Printable::new("the request failed"),
    };
    while let Some(source) = cause.source() {
        cause = source;
    }
    Printable::new(&cause.to_string())
}
