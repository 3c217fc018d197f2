//! Networks of their own, made of namespaces: each party has an address and an interface, on one switch, and nothing that is
//! sent there leaves the machine. What the system keeps of them ends with the last descriptor and process, so that nothing is
//! left behind however a trial ends.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

use crate::support::room::Room;
use crate::support::{Error, Outcome};

/// The names by which clients join the DHT without being told, all of which are one node here.
const PUBLIC_NAMES: [&str; 5] = [
    "router.bittorrent.com",
    "router.utorrent.com",
    "dht.transmissionbt.com",
    "dht.libtorrent.org",
    "dht.aelitis.com",
];

/// What this machine lacks for such networks.
pub(crate) fn hindrance() -> Option<&'static str> {
    let tried = thread::spawn(|| unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS));
    match tried.join() {
        Ok(Ok(())) if Path::new("/usr/sbin/ip").exists() || Path::new("/sbin/ip").exists() => None,
        _ => Some("needs root and iproute2"),
    }
}

/// A switch, and whom it connects.
pub(crate) struct Lab {
    switch: Namespace,
    parties: u8,
}

/// A network and a view of the file system.
struct Namespace {
    network: File,
    mounts: File,
}

/// One who is connected to the switch.
pub(crate) struct Place {
    namespace: Namespace,
    /// In 10/8, in a /24 of its own.
    pub(crate) ipv4: IpAddr,
    /// In fd00::/16, in a /64 of its own.
    pub(crate) ipv6: IpAddr,
}

/// The name of the interface of each place.
pub(crate) const INTERFACE: &str = "eth0";

/// Where the way out of each place leads.
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);

impl Lab {
    pub(crate) fn new() -> Outcome<Self> {
        let switch = Namespace::new(|| {
            ip("link set lo up")?;
            ip("link add br0 type bridge")?;
            ip("link set br0 up")
        })?;
        Ok(Self { switch, parties: 0 })
    }

    /// Another place. The first one is where all names of public DHT nodes lead.
    pub(crate) fn place(&mut self, room: &Room) -> Outcome<Place> {
        self.parties += 1;
        let number = self.parties;
        let hosts = room.folder("names")?.join("hosts");
        let lines = PUBLIC_NAMES.map(|name| format!("10.0.1.1 {name}\n")).concat();
        fs::write(&hosts, format!("127.0.0.1 localhost\n::1 localhost\n{lines}"))?;
        let nobody = room.folder("names")?.join("resolv.conf");
        fs::write(&nobody, "")?;
        let namespace = Namespace::new(move || {
            run("mount", &["--make-rprivate", "/"])?;
            bind(&hosts, "/etc/hosts")?;
            bind(&nobody, "/etc/resolv.conf")?;
            ip("link set lo up")
        })?;
        let ipv4 = Ipv4Addr::new(10, 0, number, 1);
        let ipv6 = Ipv6Addr::new(0xfd00, 0, 0, u16::from(number), 0, 0, 0, 1);
        let theirs = format!("/proc/{}/fd/{}", std::process::id(), namespace.network.as_raw_fd());
        self.switch.enter(|| {
            ip(&format!("link add p{number} type veth peer name {INTERFACE} netns {theirs}"))?;
            ip(&format!("link set p{number} master br0 up"))
        })?;
        namespace.enter(|| {
            ip(&format!("address add {ipv4}/8 dev {INTERFACE}"))?;
            ip(&format!("-6 address add {ipv6}/16 dev {INTERFACE} nodad"))?;
            ip(&format!("link set {INTERFACE} up"))?;
            // Without it whoever asks for the way out is told that there is no network.
            ip(&format!("route add default via {ROUTER} dev {INTERFACE}"))
        })?;
        Ok(Place { namespace, ipv4: ipv4.into(), ipv6: ipv6.into() })
    }
}

impl Place {
    /// Further addresses there, of each family so many, each in a network of its own.
    pub(crate) fn further_addresses(&self, count: u8) -> Outcome<Vec<(IpAddr, IpAddr)>> {
        let pair = |number: u8| {
            let ipv4 = Ipv4Addr::new(10, 1, number, 1);
            (ipv4, Ipv6Addr::new(0xfd00, 0, 1, u16::from(number), 0, 0, 0, 1))
        };
        let pairs: Vec<_> = (1..=count).map(pair).collect();
        self.enter(|| {
            for (ipv4, ipv6) in &pairs {
                ip(&format!("address add {ipv4}/8 dev {INTERFACE}"))?;
                ip(&format!("-6 address add {ipv6}/16 dev {INTERFACE} nodad"))?;
            }
            Ok(())
        })?;
        Ok(pairs.into_iter().map(|(ipv4, ipv6)| (ipv4.into(), ipv6.into())).collect())
    }

    /// It is the router of all places: the way out leads to it.
    pub(crate) fn become_router(&self) -> Outcome<Ipv4Addr> {
        self.enter(|| ip(&format!("address add {ROUTER}/8 dev {INTERFACE}")))?;
        Ok(ROUTER)
    }

    /// Does something there: what is opened and whatever process or thread is started belongs there.
    pub(crate) fn enter<T: Send>(&self, what: impl FnOnce() -> Outcome<T> + Send) -> Outcome<T> {
        self.namespace.enter(what)
    }
}

impl Namespace {
    /// A new one, prepared by `prepare`.
    fn new(prepare: impl FnOnce() -> Outcome + Send) -> Outcome<Self> {
        in_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
            prepare()?;
            let open = |what: &str| File::open(PathBuf::from(format!("/proc/thread-self/ns/{what}")));
            Ok(Self { network: open("net")?, mounts: open("mnt")? })
        })
    }

    fn enter<T: Send>(&self, what: impl FnOnce() -> Outcome<T> + Send) -> Outcome<T> {
        in_a_thread(|| {
            // A view of the file system is a thread's own only if its folder is.
            unshare(CloneFlags::CLONE_FS)?;
            setns(&self.mounts, CloneFlags::CLONE_NEWNS)?;
            setns(&self.network, CloneFlags::CLONE_NEWNET)?;
            what()
        })
    }
}

fn in_a_thread<T: Send>(what: impl FnOnce() -> Outcome<T> + Send) -> Outcome<T> {
    thread::scope(|scope| scope.spawn(what).join()).unwrap_or_else(|_| Err(Error::from("it panicked")))
}

fn ip(line: &str) -> Outcome {
    run("ip", &line.split(' ').collect::<Vec<_>>())
}

fn bind(source: &Path, target: &str) -> Outcome {
    run("mount", &["--bind", source.to_str().ok_or("a folder that is not unicode")?, target])
}

fn run(program: &str, arguments: &[&str]) -> Outcome {
    let output = Command::new(program).args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)).into())
}
