//! A router that speaks NAT-PMP (RFC 6886) or PCP (RFC 6887), or something like them.

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use tokio::{net::UdpSocket, task::JoinSet};

/// How it behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Habit {
    /// Speaks PCP.
    Pcp,
    /// Speaks NAT-PMP alone, and says so to whoever speaks PCP.
    NatPmp,
    /// Gives this port instead of the one that is wished for.
    OtherPort(u16),
    LeaseSeconds(u32),
    /// Says that this is its address outside.
    Address([u8; 4]),
    Refuses,
    /// Ends its answers after so many bytes.
    Cut(usize),
    /// Answers with something else.
    Noise,
}

/// It runs as long as this lives.
pub(super) struct Pmp {
    pub(super) ip: Ipv4Addr,
    asked: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

/// Whose the mappings of PCP are: protocol and our port, and the nonce of who asked first (RFC 6887 §11.3).
type Owners = HashMap<(u8, u16), [u8; 12]>;

impl Pmp {
    pub(super) async fn start(ip: Ipv4Addr, habit: Habit) -> Self {
        let socket = UdpSocket::bind((ip, crab_nat::GATEWAY_PORT)).await.expect("an address of its own");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        let notes = Arc::clone(&asked);
        tasks.spawn(async move {
            let mut buffer = [0; 1_100];
            let mut owners = Owners::new();
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let answer = answer(&buffer[..length], habit, &notes, &mut owners);
                let _ = socket.send_to(&answer, from).await;
            }
        });
        Self { ip, asked, _tasks: tasks }
    }

    /// The ports that it was asked for: protocol, our port, its port, seconds.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no holder panics").clone()
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn answer(request: &[u8], habit: Habit, asked: &Mutex<Vec<String>>, owners: &mut Owners) -> Vec<u8> {
    let note = |protocol: &str, inner: u16, outer: u16, seconds: u32| {
        asked.lock().expect("no holder panics").push(format!("{protocol} {inner} {outer} {seconds}"));
    };
    match (request[0], habit) {
        (_, Habit::Noise) => (0..60).map(|byte| byte ^ 0xa5).collect(),
        // "Unsupported version", and which one is.
        (2, Habit::NatPmp) => vec![0, 0x81, 0, 1, 0, 0, 0, 1],
        (0, _) if request[1] == 0 => [&[0, 0x80, 0, 0, 0, 0, 0, 1][..], &[8, 8, 4, 4]].concat(),
        (0, _) => {
            let (inner, outer, seconds) = (u16_at(request, 4), u16_at(request, 6), u32_at(request, 8));
            note(if request[1] == 2 { "TCP" } else { "UDP" }, inner, outer, seconds);
            let outer = if seconds == 0 { 0 } else { outer };
            let head = [0, 0x80 | request[1], 0, 0, 0, 0, 0, 1];
            [&head[..], &inner.to_be_bytes(), &outer.to_be_bytes(), &seconds.to_be_bytes()].concat()
        }
        _ => pcp(request, habit, note, owners),
    }
}

/// It is another's mapping.
const NOT_AUTHORIZED: u8 = 2;

fn pcp(request: &[u8], habit: Habit, note: impl Fn(&str, u16, u16, u32), owners: &mut Owners) -> Vec<u8> {
    let (inner, outer, seconds) = (u16_at(request, 40), u16_at(request, 42), u32_at(request, 4));
    note(if request[36] == 6 { "TCP" } else { "UDP" }, inner, outer, seconds);
    let nonce: [u8; 12] = request[24..36].try_into().expect("twelve bytes");
    let is_owner = *owners.entry((request[36], inner)).or_insert(nonce) == nonce;
    if is_owner && seconds == 0 {
        owners.remove(&(request[36], inner));
    }
    let (outer, lease, result, address) = match habit {
        Habit::OtherPort(port) if is_owner => (port, seconds, 0, [8, 8, 4, 4]),
        Habit::LeaseSeconds(lease) => (outer, lease, 0, [8, 8, 4, 4]),
        Habit::Address(address) => (outer, seconds, 0, address),
        Habit::Refuses => (outer, seconds, NOT_AUTHORIZED, [8, 8, 4, 4]),
        _ if !is_owner => (outer, seconds, NOT_AUTHORIZED, [8, 8, 4, 4]),
        _ => (outer, seconds, 0, [8, 8, 4, 4]),
    };
    let mut answer = vec![2, 0x80 | request[1], 0, result];
    answer.extend_from_slice(&lease.to_be_bytes());
    answer.extend_from_slice(&[0; 16]);
    answer.extend_from_slice(&request[24..42]);
    answer.extend_from_slice(&outer.to_be_bytes());
    answer.extend_from_slice(&Ipv4Addr::from(address).to_ipv6_mapped().octets());
    if let Habit::Cut(length) = habit {
        answer.truncate(length);
    }
    answer
}
