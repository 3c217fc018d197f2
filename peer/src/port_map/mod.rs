//! A port of the router that leads to ours: by UPnP and by NAT-PMP or PCP, both at once, renewed while the engine runs and given
//! back at its end.

mod natpmp;
mod route;
mod ssdp;
#[cfg(test)]
mod tests;
mod upnp;

use std::{
    net::{IpAddr, SocketAddrV4},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crab_nat::pcp::Nonce;
use potluck_common::{AddrScope, Printable};
use potluck_core::reachability::{MappedBy, Mapping};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use crate::engine::entropy;

use self::{
    natpmp::NatPmp,
    route::{NoRoute, Route},
    ssdp::Trust,
    upnp::Upnp,
};

/// For how long a port is asked for.
const LEASE: Duration = Duration::from_secs(60 * 60);
/// Most time that one attempt may take, whatever a router sends.
const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(20);
/// Most time to give the ports back.
const UNMAP_TIME_MAX: Duration = Duration::from_secs(1);
/// How often the way out is looked for.
const ROUTE_PAUSE: Duration = Duration::from_secs(60);
/// A router is asked again not sooner than this.
const PAUSE_MIN: Duration = Duration::from_secs(60);
/// And not later.
const PAUSE_MAX: Duration = Duration::from_secs(60 * 60);

/// What is to be mapped.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    /// Our own address and port in the router's network.
    local: SocketAddrV4,
    /// Tells a router that speaks PCP that it is us again: it gives nothing to others meanwhile (RFC 6887 §11.3).
    nonce: Nonce,
}

/// What a router gave.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Grant {
    by: MappedBy,
    external_ip: Option<IpAddr>,
    /// The port of TCP.
    external_port: u16,
    /// `None` is for ever.
    lease: Option<Duration>,
}

/// Why there is no port.
#[derive(Clone, PartialEq, Eq, Debug)]
enum MapError {
    /// Nobody there speaks the protocol.
    NoAnswer,
    /// Another machine has this port.
    Taken,
    /// The router has a reason, or makes no sense.
    Refused(Printable),
}

impl MapError {
    fn refused(why: &str) -> Self {
        Self::Refused(Printable::new(why))
    }
}

/// A way to ask a router. What it does is bounded in time by whoever calls it.
trait Router: Send {
    /// Asks for the ports, or for more time.
    fn map(&mut self) -> impl Future<Output = Result<Grant, MapError>> + Send;

    /// Gives them back.
    fn unmap(&mut self) -> impl Future<Output = ()> + Send;
}

/// What one protocol has come to.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
enum Progress {
    #[default]
    Asking,
    Mapped(Grant),
    Failed(MapError),
}

/// The mapping of an engine's port.
pub(crate) struct PortMapper {
    /// UPnP, and NAT-PMP or PCP.
    progress: Mutex<[Progress; 2]>,
    mapping: watch::Sender<Mapping>,
    /// The same for as long as the engine runs, as a router may lose sight of us for less than a lease.
    nonce: Nonce,
    stop: watch::Sender<bool>,
    /// Its task is over.
    ended: watch::Sender<bool>,
}

impl PortMapper {
    /// Nothing is asked yet.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            progress: Mutex::default(),
            mapping: watch::Sender::default(),
            nonce: nonce(),
            stop: watch::Sender::default(),
            ended: watch::Sender::default(),
        })
    }

    /// What came of it, and each change of that.
    pub(crate) fn watch(&self) -> watch::Receiver<Mapping> {
        self.mapping.subscribe()
    }

    /// Keeps `port` mapped until [`PortMapper::shut_down`] is called, for an engine with this `bind`.
    pub(crate) async fn run(self: Arc<Self>, bind: Option<IpAddr>, port: u16) {
        let find = move || route::find(bind);
        let routers = |route: Route| {
            let wanted = Wanted { local: SocketAddrV4::new(route.local, port), nonce: self.nonce };
            let upnp = Upnp::new(route, wanted, ssdp::GROUP, Trust::OwnNetwork);
            (upnp, NatPmp::new(route.gateway, wanted))
        };
        self.keep_by_route(find, routers).await;
        self.ended.send_replace(true);
    }

    /// Gives the ports back and ends the task; returns when that is done, or has taken too long.
    pub(crate) async fn shut_down(&self) {
        self.stop.send_replace(true);
        let mut ended = self.ended.subscribe();
        let _ = timeout(UNMAP_TIME_MAX, ended.wait_for(|ended| *ended)).await;
    }

    /// Asks the `routers` on the way out that `find` finds, and begins anew with others when there is another one: our address
    /// is not ours for ever, and a laptop travels.
    async fn keep_by_route<F, U, N>(&self, find: F, routers: impl Fn(Route) -> (U, N))
    where
        F: Fn() -> Result<Route, NoRoute> + Clone + Send + 'static,
        U: Router,
        N: Router,
    {
        while let Some(route) = self.find_route(&find).await {
            self.announce(Mapping::Asking);
            let (upnp, natpmp) = routers(route);
            let over = watch::Sender::new(false);
            let watched = async {
                self.until_other(route, &find).await;
                over.send_replace(true);
            };
            tokio::join!(
                self.keep(0, upnp, over.subscribe()),
                self.keep(1, natpmp, over.subscribe()),
                watched
            );
            *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = Default::default();
        }
    }

    /// The way out, as soon as there is one; `None` at the end.
    async fn find_route<F>(&self, find: &F) -> Option<Route>
    where
        F: Fn() -> Result<Route, NoRoute> + Clone + Send + 'static,
    {
        loop {
            if *self.stop.borrow() {
                return None;
            }
            let error = match tokio::task::spawn_blocking(find.clone()).await.ok()? {
                Ok(route) => return Some(route),
                Err(error) => error,
            };
            let why = Printable::new(&error.to_string());
            self.announce(if error.is_trouble() { Mapping::Failed(why) } else { Mapping::Off(why) });
            is_true_within(&mut self.stop.subscribe(), ROUTE_PAUSE).await;
        }
    }

    /// Returns when `route` is not the way out any more, or at the end.
    async fn until_other<F>(&self, route: Route, find: &F)
    where
        F: Fn() -> Result<Route, NoRoute> + Clone + Send + 'static,
    {
        let mut stop = self.stop.subscribe();
        while !is_true_within(&mut stop, ROUTE_PAUSE).await {
            let found = tokio::task::spawn_blocking(find.clone()).await;
            if !matches!(found, Ok(Ok(found)) if found == route) {
                return;
            }
        }
    }

    /// Asks, and asks again in time, until it is `over`.
    async fn keep(&self, place: usize, mut router: impl Router, mut over: watch::Receiver<bool>) {
        let (mut failures, mut expires) = (0, None);
        loop {
            let attempt =
                async { timeout(ATTEMPT_TIME_MAX, router.map()).await.unwrap_or(Err(MapError::NoAnswer)) };
            let result = tokio::select! {
                result = attempt => result.and_then(within_reason),
                _ = over.wait_for(|over| *over) => break,
            };
            let pause = match result {
                Ok(grant) => {
                    failures = 0;
                    let lease = grant.lease;
                    expires = Some(lease.map(|lease| Instant::now() + lease));
                    self.report(place, Progress::Mapped(grant));
                    renew_after(lease)
                }
                Err(error) => {
                    failures += 1;
                    let holds = expires.is_some_and(|expires| expires.is_none_or(|at| at > Instant::now()));
                    if !holds {
                        self.report(place, Progress::Failed(error));
                    }
                    retry_after(failures)
                }
            };
            if is_true_within(&mut over, pause).await {
                break;
            }
        }
        if timeout(UNMAP_TIME_MAX, router.unmap()).await.is_err() {
            tracing::debug!("the router does not take a port back in time; its lease will end");
        }
    }

    fn report(&self, place: usize, progress: Progress) {
        let mut all = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        all[place] = progress;
        let mapping = both(&all);
        drop(all);
        self.announce(mapping);
    }

    fn announce(&self, mapping: Mapping) {
        self.mapping.send_if_modified(|known| {
            let is_news = *known != mapping;
            if is_news {
                tracing::info!(%mapping, "port");
                *known = mapping;
            }
            is_news
        });
    }
}

/// Waits for so long; whether it became true before, or never can.
async fn is_true_within(told: &mut watch::Receiver<bool>, pause: Duration) -> bool {
    timeout(pause, told.wait_for(|told| *told)).await.is_ok()
}

fn nonce() -> Nonce {
    std::array::from_fn(|_| u32::from_ne_bytes(entropy()))
}

/// What is said of both protocols together: the one that gave the port, UPnP before the other as it tells more; else why
/// neither did.
fn both([upnp, natpmp]: &[Progress; 2]) -> Mapping {
    if let (Progress::Mapped(grant), _) | (_, Progress::Mapped(grant)) = (upnp, natpmp) {
        let Grant { by, external_ip, external_port, lease } = *grant;
        return Mapping::Mapped { by, external_ip, external_port, lease };
    }
    let reason = |name: &str, error: &MapError| match error {
        MapError::NoAnswer => format!("no router answered {name}"),
        MapError::Taken => format!("the router has given the port to another machine ({name})"),
        MapError::Refused(why) => format!("the router gives no port by {name}: {why}"),
    };
    Mapping::Failed(Printable::new(&match (upnp, natpmp) {
        (Progress::Failed(MapError::NoAnswer), Progress::Failed(MapError::NoAnswer)) => {
            "no router answered UPnP or NAT-PMP".to_owned()
        }
        // Who answered at all says more.
        (Progress::Failed(error), Progress::Failed(MapError::NoAnswer)) => reason("UPnP", error),
        (Progress::Failed(MapError::NoAnswer), Progress::Failed(error)) => reason("NAT-PMP", error),
        (Progress::Failed(one), Progress::Failed(other)) => {
            format!("{}; {}", reason("UPnP", one), reason("NAT-PMP", other))
        }
        _ => return Mapping::Asking,
    }))
}

/// Refuses what no router in its senses gives, and forgets an address that nobody can have.
fn within_reason(mut grant: Grant) -> Result<Grant, MapError> {
    let is_an_address =
        |ip: &IpAddr| !matches!(AddrScope::of(*ip), AddrScope::Unusable | AddrScope::Loopback);
    grant.external_ip = grant.external_ip.filter(is_an_address);
    match grant.lease {
        Some(lease) if lease.is_zero() => Err(MapError::refused("it gave one for no time at all")),
        _ if grant.external_port == 0 => Err(MapError::refused("it gave port 0")),
        _ => Ok(grant),
    }
}

/// When a lease is to be renewed: at half its time, within reason.
fn renew_after(lease: Option<Duration>) -> Duration {
    lease.map_or(PAUSE_MAX, |lease| (lease / 2).clamp(PAUSE_MIN, PAUSE_MAX))
}

/// When a router is asked again that has failed so many times in a row.
fn retry_after(failures: u32) -> Duration {
    PAUSE_MIN.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(PAUSE_MAX)
}
