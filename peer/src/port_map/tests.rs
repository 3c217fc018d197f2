//! Against routers of our own on the loopback interface, honest and hostile.

mod igd;
mod pmp;

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddrV4},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use potluck_core::reachability::{MappedBy, Mapping};
use tokio::{sync::mpsc, time::timeout};

use self::{
    igd::{Igd, Manner},
    pmp::{Habit, Pmp},
};
use super::{
    ATTEMPT_TIME_MAX, Grant, LEASE, MapError, PAUSE_MAX, PAUSE_MIN, PortMapper, Progress, Router, Wanted,
    both,
    natpmp::NatPmp,
    nonce, renew_after, retry_after,
    route::{NoRoute, Route},
    ssdp::Trust,
    upnp::Upnp,
    within_reason,
};
use crate::engine::entropy;

const PORT: u16 = 6881;
const PATIENCE: Duration = Duration::from_secs(60);

fn wanted() -> Wanted {
    Wanted { local: SocketAddrV4::new(Ipv4Addr::LOCALHOST, PORT), nonce: nonce() }
}

/// A loopback address that no other test has.
fn own_address() -> Ipv4Addr {
    let [a, b]: [u8; 2] = entropy();
    Ipv4Addr::new(127, 1 + a % 250, b, 1 + a / 2)
}

fn upnp(igd: &Igd) -> Upnp {
    let route = Route { gateway: *igd.ssdp.ip(), local: Ipv4Addr::LOCALHOST, prefix: 8 };
    Upnp::new(route, wanted(), igd.ssdp, Trust::Loopback)
}

async fn map(router: &mut impl Router) -> Result<Grant, MapError> {
    timeout(ATTEMPT_TIME_MAX, router.map()).await.expect("each attempt ends in time").and_then(within_reason)
}

fn grant(by: MappedBy, ip: &str, external_port: u16) -> Grant {
    Grant { by, external_ip: Some(ip.parse().expect("an address")), external_port, lease: Some(LEASE) }
}

#[tokio::test]
async fn upnp_maps_both_ports_renews_them_and_gives_them_back() {
    let igd = Igd::start(Manner::Honest).await;
    let mut router = upnp(&igd);
    assert_eq!(map(&mut router).await, Ok(grant(MappedBy::Upnp, "8.8.4.4", PORT)));
    assert_eq!(
        map(&mut router).await,
        Ok(grant(MappedBy::Upnp, "8.8.4.4", PORT)),
        "again before the lease ends"
    );
    router.unmap().await;
    let added =
        ["AddPortMapping TCP 6881 127.0.0.1 6881 3600", "AddPortMapping UDP 6881 127.0.0.1 6881 3600"];
    let [tcp, udp] = added;
    let asked = "GetExternalIPAddress";
    let taken = ["DeletePortMapping TCP 6881", "DeletePortMapping UDP 6881"];
    assert_eq!(igd.actions()[..6], [tcp, udp, asked, tcp, udp, asked]);
    assert_eq!((given_back(&igd), igd.actions().len()), (taken.map(ToOwned::to_owned).to_vec(), 8));
}

#[tokio::test]
async fn upnp_of_routers_with_habits() {
    let cases = [
        // It has nothing but permanent mappings.
        (Manner::OnlyPermanent, Ok(Grant { lease: None, ..grant(MappedBy::Upnp, "8.8.4.4", PORT) })),
        // It does not tell its address, or one that cannot be.
        (Manner::Address(""), Ok(Grant { external_ip: None, ..grant(MappedBy::Upnp, "8.8.4.4", PORT) })),
        (
            Manner::Address("0.0.0.0"),
            Ok(Grant { external_ip: None, ..grant(MappedBy::Upnp, "8.8.4.4", PORT) }),
        ),
        (Manner::Address("10.7.7.7"), Ok(grant(MappedBy::Upnp, "10.7.7.7", PORT))),
        (Manner::Refuses("501", "Action\u{202e} Failed"), Err("error 501: Action\u{202e} Failed")),
        (Manner::Garbage, Err("its answer makes no sense")),
    ];
    for (manner, wanted) in cases {
        let igd = Igd::start(manner).await;
        let result = map(&mut upnp(&igd)).await;
        match wanted {
            Ok(grant) => assert_eq!(result, Ok(grant), "{manner:?}"),
            Err(words) => assert_eq!(result, Err(MapError::refused(words)), "{manner:?}"),
        }
    }
}

#[tokio::test]
async fn upnp_takes_another_port_where_another_machine_has_ours() {
    let igd = Igd::start(Manner::Conflict).await;
    let mut router = upnp(&igd);
    let given = map(&mut router).await.expect("another port");
    assert!(given.external_port != PORT && given.external_port >= 1_024, "{given:?}");
    router.unmap().await;
    assert!(igd.actions().contains(&format!("DeletePortMapping TCP {}", given.external_port)));
    assert!(!igd.actions().contains(&format!("DeletePortMapping TCP {PORT}")), "that is not ours");
}

#[tokio::test]
async fn upnp_gives_back_what_could_not_be_renewed() {
    let igd = Igd::start(Manner::BusyAfter(2)).await;
    let mut router = upnp(&igd);
    assert_eq!(map(&mut router).await, Ok(grant(MappedBy::Upnp, "8.8.4.4", PORT)));
    for _ in 0..2 {
        assert_eq!(map(&mut router).await, Err(MapError::refused("error 501: Action Failed")));
    }
    timeout(PATIENCE, router.unmap()).await.expect("in time");
    assert_eq!(given_back(&igd), ["DeletePortMapping TCP 6881", "DeletePortMapping UDP 6881"]);
}

#[tokio::test]
async fn upnp_gives_both_back_at_once() {
    let igd = Igd::start(Manner::TakesPairs).await;
    let mut router = upnp(&igd);
    assert_eq!(map(&mut router).await, Ok(grant(MappedBy::Upnp, "8.8.4.4", PORT)));
    // One alone is waited for twice as long.
    timeout(Duration::from_secs(5), router.unmap()).await.expect("not one after the other");
    assert_eq!(given_back(&igd), ["DeletePortMapping TCP 6881", "DeletePortMapping UDP 6881"]);
}

#[tokio::test]
async fn upnp_gives_back_what_it_was_still_waiting_for() {
    let igd = Igd::start(Manner::Hesitates).await;
    let mut router = upnp(&igd);
    tokio::select! {
        result = router.map() => panic!("the router has not answered: {result:?}"),
        () = igd.heard() => {}
    }
    igd.go();
    timeout(PATIENCE, router.unmap()).await.expect("in time");
    assert_eq!(given_back(&igd), ["DeletePortMapping TCP 6881"]);
}

/// The ports that a router was given back, in the order of the alphabet.
fn given_back(igd: &Igd) -> Vec<String> {
    let mut given: Vec<String> = igd.actions();
    given.retain(|action| action.starts_with("DeletePortMapping"));
    given.sort_unstable();
    given
}

/// Row 2.13: nothing that a device says has us talk to anybody else, and nothing that it does takes long or much memory.
#[tokio::test]
async fn row_2_13_hostile_devices_come_to_nothing_in_bounded_time() {
    let started = Instant::now();
    let manners =
        [Manner::Endless, Manner::Silent, Manner::Redirects, Manner::NamesAnother, Manner::DescribesNothing];
    let tries = manners.map(|manner| {
        tokio::spawn(async move {
            let igd = Igd::start(manner).await;
            let result = map(&mut upnp(&igd)).await;
            assert!(matches!(result, Err(MapError::Refused(_))), "{manner:?}: {result:?}");
            assert_eq!(igd.trapped(), 0, "{manner:?}: somebody else was asked");
            assert_eq!(igd.actions(), Vec::<String>::new(), "{manner:?}");
            assert!(igd.sent() < 8 * 1024 * 1024, "{manner:?}: {} bytes were read", igd.sent());
        })
    });
    for attempt in tries {
        attempt.await.expect("no panic");
    }
    assert!(started.elapsed() < ATTEMPT_TIME_MAX, "each ends by itself");
}

#[tokio::test]
async fn natpmp_and_pcp_map_both_ports_and_give_them_back() {
    for (habit, by) in [(Habit::Pcp, MappedBy::Pcp), (Habit::NatPmp, MappedBy::NatPmp)] {
        let pmp = Pmp::start(own_address(), habit).await;
        let mut router = NatPmp::new(pmp.ip, wanted());
        assert_eq!(map(&mut router).await, Ok(grant(by, "8.8.4.4", PORT)));
        assert_eq!(map(&mut router).await, Ok(grant(by, "8.8.4.4", PORT)), "again before the lease ends");
        router.unmap().await;
        let wanted = ["TCP 6881 6881 3600", "UDP 6881 6881 3600", "TCP 6881 6881 3600", "UDP 6881 6881 3600"];
        let asked = pmp.asked();
        assert_eq!(asked[..4], wanted, "{by}");
        let mut returned: Vec<&str> = asked[4..].iter().map(|line| &line[..3]).collect();
        returned.sort_unstable();
        assert_eq!(returned, ["TCP", "UDP"], "{by}: {asked:?}");
        assert!(asked[4..].iter().all(|line| line.ends_with(" 0")), "{by}: {asked:?}");
    }
}

#[tokio::test]
async fn natpmp_renews_the_ports_that_it_was_given() {
    let pmp = Pmp::start(own_address(), Habit::OtherPort(50_000)).await;
    let mut router = NatPmp::new(pmp.ip, wanted());
    for _ in 0..2 {
        assert_eq!(map(&mut router).await, Ok(grant(MappedBy::Pcp, "8.8.4.4", 50_000)));
    }
    assert_eq!(
        pmp.asked(),
        ["TCP 6881 6881 3600", "UDP 6881 6881 3600", "TCP 6881 50000 3600", "UDP 6881 50000 3600"]
    );
}

#[tokio::test]
async fn natpmp_of_routers_with_habits() {
    let by = MappedBy::Pcp;
    let hour = Some(LEASE);
    for (habit, wanted) in [
        (Habit::OtherPort(50_000), Ok(grant(by, "8.8.4.4", 50_000))),
        (Habit::OtherPort(0), Err("")),
        (Habit::LeaseSeconds(0), Err("it gave one for no time at all")),
        (
            Habit::LeaseSeconds(5),
            Ok(Grant { lease: Some(Duration::from_secs(5)), ..grant(by, "8.8.4.4", PORT) }),
        ),
        (
            Habit::LeaseSeconds(u32::MAX),
            Ok(Grant { lease: Some(Duration::from_secs(u32::MAX.into())), ..grant(by, "8.8.4.4", PORT) }),
        ),
        (Habit::Address([10, 7, 7, 7]), Ok(Grant { lease: hour, ..grant(by, "10.7.7.7", PORT) })),
        (Habit::Address([0, 0, 0, 0]), Ok(Grant { external_ip: None, ..grant(by, "0.0.0.0", PORT) })),
        (Habit::Refuses, Err("PCP(Server responded with code: Not authorized)")),
        (Habit::Cut(3), Err("")),
        (Habit::Cut(24), Err("")),
        (Habit::Cut(40), Err("")),
        (Habit::Noise, Err("")),
    ] {
        let pmp = Pmp::start(own_address(), habit).await;
        let mut router = NatPmp::new(pmp.ip, self::wanted());
        let attempt = tokio::spawn(async move { map(&mut router).await });
        let Ok(result) = attempt.await else { panic!("{habit:?}: a panic") };
        match wanted {
            Ok(grant) => assert_eq!(result, Ok(grant), "{habit:?}"),
            Err("") => assert!(matches!(result, Err(MapError::Refused(_))), "{habit:?}: {result:?}"),
            Err(words) => assert_eq!(result, Err(MapError::refused(words)), "{habit:?}"),
        }
    }
}

#[tokio::test]
async fn nobody_there_is_no_answer() {
    let nobody = own_address();
    assert_eq!(map(&mut NatPmp::new(nobody, wanted())).await, Err(MapError::NoAnswer));
    let route = Route { gateway: nobody, local: Ipv4Addr::LOCALHOST, prefix: 8 };
    let mut upnp = Upnp::new(route, wanted(), SocketAddrV4::new(nobody, 1_900), Trust::Loopback);
    assert!(matches!(map(&mut upnp).await, Err(MapError::NoAnswer | MapError::Refused(_))));
}

#[tokio::test]
async fn an_engine_has_its_port_until_it_ends() {
    let igd = Igd::start(Manner::Honest).await;
    let nobody = own_address();
    let mapper = PortMapper::new();
    let mut watch = mapper.watch();
    let task = tokio::spawn({
        let (mapper, upnp) = (Arc::clone(&mapper), upnp(&igd));
        async move {
            let over = mapper.stop.subscribe();
            tokio::join!(
                mapper.keep(0, upnp, over.clone()),
                mapper.keep(1, NatPmp::new(nobody, wanted()), over)
            );
            mapper.ended.send_replace(true);
        }
    });
    let is_mapped = |mapping: &Mapping| matches!(mapping, Mapping::Mapped { .. });
    let mapping =
        timeout(PATIENCE, watch.wait_for(is_mapped)).await.expect("in time").expect("it lives").clone();
    assert_eq!(mapping.to_string(), "mapped by UPnP to 8.8.4.4:6881 for 1 h");
    mapper.shut_down().await;
    assert_eq!(given_back(&igd), ["DeletePortMapping TCP 6881", "DeletePortMapping UDP 6881"]);
    assert_eq!(igd.actions().len(), 5, "{:?}", igd.actions());
    timeout(PATIENCE, task).await.expect("in time").expect("no panic");
}

/// A router that gives everything, and notes what it was asked.
struct Notebook {
    route: Route,
    notes: mpsc::UnboundedSender<String>,
}

impl Notebook {
    fn note(&self, what: &str) {
        let Route { gateway, local, .. } = self.route;
        let _ = self.notes.send(format!("{what} {local} at {gateway}"));
    }
}

impl Router for Notebook {
    async fn map(&mut self) -> Result<Grant, MapError> {
        self.note("map");
        Ok(grant(MappedBy::Upnp, "8.8.4.4", PORT))
    }

    async fn unmap(&mut self) {
        self.note("unmap");
    }
}

#[tokio::test(start_paused = true)]
async fn another_way_out_is_another_router() {
    let route = |gateway: [u8; 4], local: [u8; 4]| {
        Ok(Route { gateway: gateway.into(), local: local.into(), prefix: 24 })
    };
    let (home, other) = (([10, 0, 0, 1], [10, 0, 0, 5]), ([10, 0, 0, 1], [10, 0, 0, 9]));
    // What is found each minute: a public address, home for a while, another address of it, no router at all, home again.
    let found = Arc::new(Mutex::new(VecDeque::from([
        Err(NoRoute::Public([8, 8, 8, 8].into())),
        route(home.0, home.1),
        route(home.0, home.1),
        route(other.0, other.1),
        route(other.0, other.1),
        Err(NoRoute::NoGateway),
        Err(NoRoute::NoGateway),
    ])));
    let find = move || {
        let mut found = found.lock().expect("no holder panics");
        found.pop_front().unwrap_or_else(|| route(home.0, home.1))
    };
    let mapper = PortMapper::new();
    let (notes, mut noted) = mpsc::unbounded_channel();
    let task = tokio::spawn({
        let mapper = Arc::clone(&mapper);
        async move {
            let router = |route| Notebook { route, notes: notes.clone() };
            let silent = |route| Notebook { route, notes: mpsc::unbounded_channel().0 };
            mapper.keep_by_route(find, |route| (router(route), silent(route))).await;
        }
    });
    for wanted in [
        "map 10.0.0.5 at 10.0.0.1",
        "unmap 10.0.0.5 at 10.0.0.1",
        "map 10.0.0.9 at 10.0.0.1",
        "unmap 10.0.0.9 at 10.0.0.1",
        "map 10.0.0.5 at 10.0.0.1",
        // The same for half an hour: it is renewed.
        "map 10.0.0.5 at 10.0.0.1",
    ] {
        assert_eq!(noted.recv().await.as_deref(), Some(wanted));
    }
    mapper.stop.send_replace(true);
    assert_eq!(noted.recv().await.as_deref(), Some("unmap 10.0.0.5 at 10.0.0.1"));
    task.await.expect("no panic");
    assert_eq!(noted.recv().await, None);
}

#[test]
fn what_is_said_of_both_together() {
    let mapped = |by| Progress::Mapped(grant(by, "8.8.4.4", PORT));
    let failed = Progress::Failed;
    let refused = || failed(MapError::refused("error 606: no"));
    for (upnp, natpmp, words) in [
        (Progress::Asking, Progress::Asking, "asking the router for a port"),
        (failed(MapError::NoAnswer), Progress::Asking, "asking the router for a port"),
        (Progress::Asking, mapped(MappedBy::NatPmp), "mapped by NAT-PMP to 8.8.4.4:6881 for 1 h"),
        (mapped(MappedBy::Upnp), mapped(MappedBy::Pcp), "mapped by UPnP to 8.8.4.4:6881 for 1 h"),
        (refused(), mapped(MappedBy::Pcp), "mapped by PCP to 8.8.4.4:6881 for 1 h"),
        (failed(MapError::NoAnswer), failed(MapError::NoAnswer), "no router answered UPnP or NAT-PMP"),
        (refused(), failed(MapError::NoAnswer), "the router gives no port by UPnP: error 606: no"),
        (failed(MapError::NoAnswer), refused(), "the router gives no port by NAT-PMP: error 606: no"),
        (
            failed(MapError::Taken),
            refused(),
            "the router has given the port to another machine (UPnP); the router gives no port by NAT-PMP: error 606: no",
        ),
    ] {
        assert_eq!(both(&[upnp, natpmp]).to_string(), words);
    }
}

#[test]
fn a_router_is_not_asked_too_often() {
    let seconds = Duration::from_secs;
    for (lease, pause) in [
        (Some(seconds(0)), PAUSE_MIN),
        (Some(seconds(5)), PAUSE_MIN),
        (Some(LEASE), seconds(1_800)),
        (Some(seconds(u32::MAX.into())), PAUSE_MAX),
        (None, PAUSE_MAX),
    ] {
        assert_eq!(renew_after(lease), pause, "{lease:?}");
    }
    let pauses: Vec<u64> = (1..=9).map(|failures| retry_after(failures).as_secs()).collect();
    assert_eq!(pauses, [60, 120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600]);
    assert_eq!(retry_after(u32::MAX), PAUSE_MAX);
}
