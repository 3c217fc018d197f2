//! Where the transfers happen: a network namespace of their own if the system permits, else loopback as it is.

use std::{
    cell::Cell,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Command, Stdio},
};

use super::{Outcome, process::guarded};

/// Bytes of addresses that Transmission does not take for a mistake, as it does 127.0.0.0/8.
const ISOLATED_PREFIX: [u8; 2] = [10, 81];
const PREFIX: [u8; 2] = [127, 81];

/// Gives out addresses, and reads what has crossed the interface.
pub(super) struct Ground {
    is_isolated: bool,
    given: Cell<u16>,
}

/// Whether a network namespace can be made: by root, or where everybody may.
pub(super) fn can_isolate() -> bool {
    let mut command = unshare();
    command.args(["ip", "link", "set", "lo", "up"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.arg("--net");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.arg("--");
    command
}

/// Runs this program again, with the same arguments, in a network namespace.
pub(super) fn run_isolated(potluck: &Path) -> Outcome {
    let mut command = unshare();
    command
        .arg(std::env::current_exe()?)
        .args(std::env::args().skip(1))
        .arg("--potluck")
        .arg(potluck)
        .arg("--isolated");
    let status = guarded(command).status()?;
    if status.success() { Ok(()) } else { Err(format!("in a network namespace: {status}").into()) }
}

impl Ground {
    pub(super) fn new(is_isolated: bool) -> Outcome<Self> {
        if is_isolated {
            let [a, b] = ISOLATED_PREFIX;
            // On the loopback interface all addresses of the prefix are this machine's own.
            for arguments in ["link set lo up".to_owned(), format!("address add {a}.{b}.0.1/16 dev lo")] {
                let status = Command::new("ip").args(arguments.split(' ')).status()?;
                if !status.success() {
                    return Err(format!("`ip {arguments}` fails").into());
                }
            }
        }
        Ok(Self { is_isolated, given: Cell::new(0) })
    }

    /// Whether it is a network namespace of its own.
    pub(super) fn is_isolated(&self) -> bool {
        self.is_isolated
    }

    /// An address with a port that is free.
    pub(super) fn address(&self) -> SocketAddr {
        let [a, b] = if self.is_isolated { ISOLATED_PREFIX } else { PREFIX };
        self.free(|number| Ipv4Addr::new(a, b, 1 + (number >> 7) as u8, 1 + (number & 0x7f) as u8).into())
    }

    /// The same of 127.0.0.1, for control interfaces that can be nowhere else.
    pub(super) fn localhost(&self) -> SocketAddr {
        self.free(|_| Ipv4Addr::LOCALHOST.into())
    }

    fn free(&self, ip: impl Fn(u16) -> IpAddr) -> SocketAddr {
        loop {
            let number = self.given.get();
            self.given.set((number + 1) % 10_000);
            // Below those that the kernel gives to outgoing connections.
            let address = SocketAddr::new(ip(number), 20_000 + number);
            if TcpListener::bind(address).is_ok() {
                return address;
            }
        }
    }

    /// Bytes that have crossed the interface, where nobody else uses it.
    pub(super) fn crossed(&self) -> Option<u64> {
        if !self.is_isolated {
            return None;
        }
        let table = fs::read_to_string("/proc/net/dev").ok()?;
        let line = table.lines().find_map(|line| line.trim_start().strip_prefix("lo:"))?;
        line.split_whitespace().next()?.parse().ok()
    }
}
