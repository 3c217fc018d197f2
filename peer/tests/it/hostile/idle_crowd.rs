//! A crowd of peers that want nothing: what one of them costs, and what the next one sees.
//!
//! The crowd lives in a process of its own, so that the engine's memory is the engine's alone, and no process needs two
//! descriptors for a connection.

use std::env;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use potluck_common::InfoHash;
use potluck_common::wire::Message;
use tokio::runtime::Builder;

use super::alone::{self, Memory};
use super::peer::{FAST, RawPeer, new_id};
use super::scene::{Host, Sample};
use super::{PATIENCE, ensure, within};
use crate::support::Outcome;
use crate::support::room::Room;

/// How many, if not 500.
const SIZE: &str = "POTLUCK_IT_CROWD_SIZE";
/// Set in the environment of the crowd's process: whom to visit, with how many, for which torrent.
const VISIT: &str = "POTLUCK_IT_CROWD_VISIT";

/// Resident bytes of the engine for one idle connection, as a person would promise it for ten thousand. The system's own
/// buffers come on top.
const BYTES_PER_CONNECTION: u64 = 8 * 1024;
/// What does not grow with the crowd, or in steps: threads that were woken, arenas of the allocator, snapshots.
const BYTES_BESIDES: u64 = 8 * 1024 * 1024;
/// Within which the one who is too many is answered or refused.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

pub(super) fn trials() -> Vec<Trial> {
    let size: u32 = env::var(SIZE).ok().and_then(|size| size.parse().ok()).unwrap_or(500);
    let name = format!("row_6_7_{size}_idle_connections_cost_little_and_the_next_is_answered");
    if !alone::grants(u64::from(size) + 300) {
        let why = format!("hostile::{name} (the system grants too few descriptors)");
        return vec![Trial::test(why, || Ok(())).with_ignored_flag(true)];
    }
    // They come one after the other.
    let patience = PATIENCE + Duration::from_millis(50) * size;
    vec![alone::trial_within(patience, &name, async move |room: &Room| idle_crowd(room, size as usize).await)]
}

async fn idle_crowd(room: &Room, size: usize) -> Outcome {
    // As many pieces as a torrent of 2 GiB usually has.
    let sample = Sample::zeros(2_000, 16 * 1024)?;
    let host = Host::seeder(room, &sample, &|config, _| config.connections_max = size).await?;
    // What the first connection brings into being is there before.
    host.unchoked().await?;
    let memory = Memory::watch()?;
    let mut crowd = Crowd::visit(host.address, host.torrent.info_hash(), size)?;
    let ready = tokio::task::spawn_blocking(move || crowd.is_complete().map(|()| crowd)).await?;
    let crowd = ready?;
    host.shows("all are there", |snapshot| snapshot.detail.peers.len() == size).await?;
    let growth = memory.growth()?;
    let most = BYTES_PER_CONNECTION * size as u64 + BYTES_BESIDES;
    ensure(growth < most, || {
        format!("{size} idle connections cost {growth} bytes, {} each", growth / size as u64)
    })?;

    let mut waits = Vec::new();
    for _ in 0..5 {
        let begin = Instant::now();
        let mut newcomer = host.greeted().await?;
        newcomer.say(&[Message::HaveNone, Message::Interested]).await?;
        within(20, "the newcomer is unchoked", newcomer.hear_this(&Message::Unchoke)).await?;
        waits.push(begin.elapsed());
    }
    waits.sort();
    ensure(waits[2] < ANSWERED_WITHIN, || format!("newcomers waited {waits:?}"))?;
    drop(crowd);
    for left in [size * 3 / 4, size / 2, size / 4, 0] {
        host.shows("the crowd goes", |snapshot| snapshot.detail.peers.len() <= left + 5).await?;
    }
    host.shutdown().await;
    Ok(())
}

/// The crowd's process. It ends with this.
struct Crowd(Child);

impl Crowd {
    fn visit(address: SocketAddr, info_hash: InfoHash, size: usize) -> Outcome<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.env(VISIT, format!("{address} {size} {info_hash}"));
        Ok(Self(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?))
    }

    /// Waits until everybody is there.
    fn is_complete(&mut self) -> Outcome {
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().ok_or("not piped")?).read_line(&mut line)?;
        ensure(line == "complete\n", || format!("the crowd says {line:?}"))
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

/// Whether this process is a crowd; then it was one when this returns.
pub(crate) fn was_a_crowd() -> bool {
    let Ok(visit) = env::var(VISIT) else { return false };
    potluck_peer::engine::raise_descriptor_limit();
    match attend(&visit) {
        Ok(()) => true,
        Err(error) => panic!("the crowd: {error}"),
    }
}

fn attend(visit: &str) -> Outcome {
    let [address, size, info_hash] = visit.split(' ').collect::<Vec<_>>()[..] else {
        return Err("not a visit".into());
    };
    let (address, size): (SocketAddr, usize) = (address.parse()?, size.parse()?);
    let info_hash = InfoHash::from_hex(info_hash).ok_or("not a hash")?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let crowd: Vec<RawPeer> = runtime.block_on(async {
        let mut crowd: Vec<RawPeer> = Vec::new();
        for number in 0..size {
            if number % 500 == 0 {
                // Whoever came first must not fall silent before the last is there.
                for peer in &mut crowd {
                    peer.say(&[Message::KeepAlive]).await?;
                }
            }
            // The other process counts from one, too.
            let mut id = new_id();
            id.0[1..3].copy_from_slice(b"CR");
            let mut peer = RawPeer::greet(address, info_hash, id, FAST).await?;
            peer.say(&[Message::HaveNone]).await?;
            crowd.push(peer);
        }
        Outcome::Ok(crowd)
    })?;
    let mut told = std::io::stdout();
    writeln!(told, "complete")?;
    // Until whoever started it closes our input.
    let _end = std::io::stdin().read(&mut [0])?;
    drop(crowd);
    Ok(())
}
