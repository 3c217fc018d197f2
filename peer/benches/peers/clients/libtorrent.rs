//! libtorrent (Rasterbar) by its Python binding.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::json;

use super::{Client, Job, Leecher};
use crate::{Outcome, process::Process};

/// Debian's interpreter, which has Debian's binding; another one that stands first on the path has not.
const PROGRAM: &str = "/usr/bin/python3";

/// python3-libtorrent.
pub(super) struct Libtorrent;

impl Libtorrent {
    fn start(job: &Job, seeds: bool) -> Outcome<Process> {
        let options = json!({
            "torrent": job.torrent,
            "folder": job.payload_folder,
            "listen": job.listen.to_string(),
            "ip": job.listen.ip().to_string(),
            "ready": ready(job),
            "done": job.done(),
            "seeds": seeds,
        });
        let mut command = Command::new(PROGRAM);
        command.args(["-c", include_str!("libtorrent_peer.py"), &options.to_string()]);
        let mut process = Process::start(command, &job.home)?;
        process.wait_ready("libtorrent", |_| Ok(ready(job).exists()))?;
        Ok(process)
    }
}

fn ready(job: &Job) -> PathBuf {
    job.home.join("ready")
}

impl Client for Libtorrent {
    fn name(&self) -> &'static str {
        "libtorrent"
    }

    fn is_installed(&self) -> bool {
        let mut import = Command::new(PROGRAM);
        import.args(["-c", "import libtorrent"]).stdout(Stdio::null()).stderr(Stdio::null());
        import.status().is_ok_and(|status| status.success())
    }

    fn seed(&self, job: &Job) -> Outcome<Process> {
        Self::start(job, true)
    }

    fn leech(&self, job: &Job) -> Outcome<Leecher> {
        Ok(Leecher::Service(Self::start(job, false)?, Box::new(|process| process.say("go"))))
    }
}
