//! libtorrent (Rasterbar) by its Python binding.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::{Driver, Job, Running};
use crate::support::Outcome;
use crate::support::process::Process;

/// Debian's interpreter, which has Debian's binding; another one that stands first on the path has not.
pub(crate) const PROGRAM: &str = "/usr/bin/python3";

/// python3-libtorrent 2.0.8.
pub(crate) struct Libtorrent;

impl Driver for Libtorrent {
    fn name(&self) -> &'static str {
        "libtorrent"
    }

    fn is_installed(&self) -> bool {
        static ANSWER: OnceLock<bool> = OnceLock::new();
        *ANSWER.get_or_init(|| {
            let mut import = Command::new(PROGRAM);
            import.args(["-c", "import libtorrent"]).stdout(Stdio::null()).stderr(Stdio::null());
            import.status().is_ok_and(|status| status.success())
        })
    }

    fn start(&self, job: &Job) -> Outcome<Box<dyn Running>> {
        start_with(job, &json!({}))
    }
}

/// Starts it with more options than others have: `pex`, `peers`, `up_limit`, `down_limit`.
pub(crate) fn start_with(job: &Job, more: &Value) -> Outcome<Box<dyn Running>> {
    let state = job.home.join("state.json");
    let mut options = json!({
        "torrent": job.torrent,
        "magnet": job.magnet,
        "folder": job.payload_folder,
        "listen": job.listen.to_string(),
        "ip": job.listen.ip().to_string(),
        "state": state,
        "lsd": job.lsd,
        "dht": job.dht.map(|bootstrap| bootstrap.to_string()),
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        options[key] = value.clone();
    }
    let mut command = Command::new(PROGRAM);
    command.args(["-c", include_str!("libtorrent_peer.py"), &options.to_string()]);
    let process = Process::start(&mut command, &job.home)?;
    Ok(Box::new(RunningLibtorrent { process, state }))
}

struct RunningLibtorrent {
    process: Process,
    state: PathBuf,
}

impl Running for RunningLibtorrent {
    fn is_complete(&mut self) -> Outcome<bool> {
        self.process.ensure_running()?;
        let Ok(text) = fs::read(&self.state) else { return Ok(false) };
        let state: Value = serde_json::from_slice(&text)?;
        match state["error"].as_str() {
            Some("") => Ok(state["is_seeding"] == true),
            _ => Err(format!("libtorrent: {state}").into()),
        }
    }
}
