//! One swarm, from its seed's start to when the last taker has left.

use std::{
    fs,
    net::Ipv4Addr,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::{
    Outcome,
    arguments::Arguments,
    kind::{CONTRIBUTORS, Client, FREE_RIDERS, Kind, bound_seconds},
    member::{Member, Role},
    payload::Payload,
    report::{Figures, Line, Report},
    tracker::Tracker,
};

/// How often the ends are looked for; the times are told by the members themselves.
const POLL: Duration = Duration::from_millis(100);
/// How many bounds a swarm may take.
const PATIENCE_BOUNDS: f64 = 4.0;

/// What all swarms share.
pub(super) struct Ground<'a> {
    pub(super) arguments: &'a Arguments,
    pub(super) potluck: &'a Path,
    pub(super) tracker: &'a Tracker,
    pub(super) folder: &'a Path,
}

impl Ground<'_> {
    /// Runs one swarm. Whatever happens, none of its processes is left.
    pub(super) fn run(&self, kind: Kind, number: usize) -> Report {
        let size = self.arguments.size;
        let mut report = Report {
            kind: kind.name.into(),
            swarm: number,
            size,
            failure: None,
            figures: None,
            members: Vec::new(),
        };
        match self.play(kind, number, &mut report.members) {
            Ok(figures) => report.figures = Some(figures),
            Err(error) => report.failure = Some(error.to_string()),
        }
        report
    }

    fn play(&self, kind: Kind, number: usize, lines: &mut Vec<Line>) -> Outcome<Figures> {
        let folder = self.folder.join(format!("swarm-{number}"));
        let payload = Payload::make(&folder, self.arguments.size, number as u64, &self.tracker.announce_url)?;
        let mut seed = self.member("seed", Role::Seed, kind.seed(), (number, 1), &folder)?;
        seed.payload_folder.clone_from(&payload.folder);
        let mut takers = self.takers(kind, number, &folder)?;
        for member in takers.iter_mut().chain([&mut seed]) {
            member.prepare(self.potluck, &payload.torrent)?;
        }
        for member in takers.iter_mut().chain([&mut seed]) {
            member.wait_ready()?;
        }
        let began = Instant::now();
        for taker in &mut takers {
            taker.begin(self.potluck, &payload.torrent)?;
        }
        let outcome = self.wait_for_all(&takers, &seed, began);
        lines.extend(takers.iter().map(|taker| line(taker, seed.ip)));
        outcome?;
        check(&takers, lines, &payload)?;
        // The folder of the run is removed only with the last swarm.
        fs::remove_dir_all(&folder)?;
        self.figures(lines, began.elapsed().as_secs_f64())
    }

    fn takers(&self, kind: Kind, number: usize, folder: &Path) -> Outcome<Vec<Member>> {
        let contributors = (0..CONTRIBUTORS).map(|n| {
            let at = (number, 2 + n);
            self.member(&format!("contributor-{}", n + 1), Role::Contributor, kind.contributor(n), at, folder)
        });
        let free_riders = (0..FREE_RIDERS).map(|n| {
            let (client, at) = (Client::Libtorrent { slots: 0 }, (number, 2 + CONTRIBUTORS + n));
            self.member(&format!("free-rider-{}", n + 1), Role::FreeRider, client, at, folder)
        });
        contributors.chain(free_riders).collect()
    }

    /// The one with number `place.1` in swarm `place.0`.
    fn member(
        &self,
        name: &str,
        role: Role,
        client: Client,
        place: (usize, usize),
        folder: &Path,
    ) -> Outcome<Member> {
        let (swarm, host) = (u8::try_from(place.0)?, u8::try_from(place.1)?);
        let ip = Ipv4Addr::new(127, self.arguments.network, swarm, host);
        Member::new(name.to_owned(), role, client, ip, folder)
    }

    /// Ends without an error when every taker has left, or when patience is over and only free riders are left.
    fn wait_for_all(&self, takers: &[Member], seed: &Member, began: Instant) -> Outcome {
        let end = began + Duration::from_secs_f64(PATIENCE_BOUNDS * bound_seconds(self.arguments.size));
        let mut running: Vec<&Member> = takers.iter().collect();
        while !running.is_empty() {
            let mut staying = Vec::new();
            for member in running {
                if !member.has_left()? {
                    staying.push(member);
                }
            }
            running = staying;
            if seed.has_left()? {
                return Err("the seed has left".into());
            }
            if Instant::now() > end {
                let unfinished = running.iter().filter(|member| member.role == Role::Contributor).count();
                return match unfinished {
                    0 => Ok(()),
                    count => {
                        Err(format!("{count} contributors are not complete after {:?}", began.elapsed())
                            .into())
                    }
                };
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    fn figures(&self, lines: &[Line], patience: f64) -> Outcome<Figures> {
        let (good, free): (Vec<&Line>, Vec<&Line>) = lines.iter().partition(|line| line.contributes);
        let mean = |lines: &[&Line]| {
            lines.iter().map(|line| line.seconds.unwrap_or(patience)).sum::<f64>() / lines.len() as f64
        };
        let from_seed: u64 = free.iter().filter_map(|line| line.from_seed).sum();
        let taken: u64 = free.iter().map(|line| line.downloaded).sum();
        let given: u64 = good.iter().map(|line| line.uploaded).sum();
        if given == 0 {
            return Err("no contributor gave anything".into());
        }
        Ok(Figures {
            fr_over_good: mean(&free) / mean(&good),
            is_lower_bound: free.iter().any(|line| line.seconds.is_none()),
            mean_over_bound: mean(&good) / bound_seconds(self.arguments.size),
            leechers_share_to_free_riders: taken.saturating_sub(from_seed) as f64 / given as f64,
            seed_bytes_to_a_free_rider: from_seed / free.len().max(1) as u64,
        })
    }
}

/// Contributors have byte-exact copies, and free riders gave nothing.
fn check(takers: &[Member], lines: &[Line], payload: &Payload) -> Outcome {
    for (member, line) in takers.iter().zip(lines) {
        match member.role {
            Role::FreeRider if line.uploaded > 0 => {
                return Err(format!("{} gave {} bytes", member.name, line.uploaded).into());
            }
            Role::Contributor if !payload.is_copied(&member.payload_folder)? => {
                return Err(format!("the copy of {} differs", member.name).into());
            }
            Role::Contributor if line.seconds.is_none() => {
                return Err(format!("{} did not say when it was complete", member.name).into());
            }
            _ => {}
        }
    }
    Ok(())
}

fn line(taker: &Member, seed: Ipv4Addr) -> Line {
    let told = taker.told();
    let client = match taker.client {
        Client::Ours => "potluck".to_owned(),
        Client::Libtorrent { slots } => format!("libtorrent, {slots} slots"),
    };
    Line {
        name: taker.name.clone(),
        client,
        contributes: taker.role == Role::Contributor,
        seconds: told.seconds,
        downloaded: told.downloaded,
        uploaded: told.uploaded,
        from_seed: told.received.map(|received| received.get(&seed).copied().unwrap_or_default()),
    }
}
