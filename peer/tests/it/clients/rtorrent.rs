//! rtorrent, controlled by XML-RPC over its SCGI socket.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::{Driver, Job, Running};
use crate::support::process::{self, Process};
use crate::support::{Deadline, Outcome, wait_for};

const PROGRAM: &str = "rtorrent";

/// How long it may take until its socket answers, and each of its answers.
const START_PATIENCE: Duration = Duration::from_secs(20);

/// rtorrent 0.9.8.
pub(crate) struct Rtorrent;

impl Driver for Rtorrent {
    fn name(&self) -> &'static str {
        "rtorrent"
    }

    fn is_installed(&self) -> bool {
        process::is_installed(PROGRAM)
    }

    fn stores_padding(&self) -> bool {
        true
    }

    fn has_lsd(&self) -> bool {
        false
    }

    fn takes_peers_of_the_dht(&self) -> bool {
        // It asks and announces itself as it should, but reads the addresses of answers two bytes too early, from the length
        // of the text on: 10.0.2.1:7001 becomes 54.58.10.0:513.
        false
    }

    fn start(&self, job: &Job) -> Outcome<Box<dyn Running>> {
        let socket = job.home.join("scgi");
        let settings = job.home.join("rtorrent.rc");
        fs::create_dir_all(job.home.join("session"))?;
        fs::write(&settings, settings_of(job))?;
        let mut command = Command::new(PROGRAM);
        command.arg("-n").arg("-o").arg(format!("import={}", settings.display()));
        let process = Process::start(&mut command, &job.home)?;
        let mut running =
            RunningRtorrent { process, socket, info_hash: job.info_hash.to_string().to_uppercase() };
        running.add(job)?;
        Ok(Box::new(running))
    }
}

fn settings_of(job: &Job) -> String {
    let (ip, port) = (job.listen.ip(), job.listen.port());
    let home = job.home.display();
    let payload = job.payload_folder.display();
    let dht = match job.dht {
        // It has no DHT without a folder for what it remembers. The node can be named only once it runs.
        Some(bootstrap) => format!(
            "session.path.set = {home}/session\n\
             dht.port.set = {port}\n\
             dht.mode.set = on\n\
             schedule2 = join, 1, 5, ((dht.add_node, {bootstrap}))\n"
        ),
        None => "dht.mode.set = off\n".into(),
    };
    format!(
        "system.daemon.set = true\n\
         network.bind_address.set = {ip}\n\
         network.port_range.set = {port}-{port}\n\
         network.port_random.set = no\n\
         network.scgi.open_local = {home}/scgi\n\
         {dht}\
         protocol.pex.set = no\n\
         trackers.use_udp.set = yes\n\
         directory.default.set = {payload}\n\
         log.open_file = \"log\", {home}/rtorrent.log\n\
         log.add_output = \"info\", \"log\"\n\
         log.add_output = \"tracker_info\", \"log\"\n\
         log.add_output = \"peer_info\", \"log\"\n"
    )
}

struct RunningRtorrent {
    process: Process,
    socket: PathBuf,
    info_hash: String,
}

impl RunningRtorrent {
    fn add(&mut self, job: &Job) -> Outcome {
        // Its XML.
        let torrent = job.source().replace('&', "&amp;");
        wait_for(Deadline::after(START_PATIENCE), "rtorrent answers", || {
            self.process.ensure_running()?;
            Ok(self.call("system.client_version", &[]).ok())
        })?;
        self.call("load.start_verbose", &["", &torrent])?;
        Ok(())
    }

    /// Calls `method` with text parameters; the reply is XML.
    fn call(&mut self, method: &str, parameters: &[&str]) -> Outcome<String> {
        let mut values = String::new();
        for parameter in parameters {
            write!(values, "<param><value><string>{parameter}</string></value></param>")?;
        }
        let body = format!(
            "<?xml version=\"1.0\"?><methodCall><methodName>{method}</methodName>\
             <params>{values}</params></methodCall>"
        );
        let headers = format!("CONTENT_LENGTH\0{}\0SCGI\x001\0", body.len());
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(START_PATIENCE))?;
        stream.write_all(format!("{}:{headers},{body}", headers.len()).as_bytes())?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply)?;
        if reply.contains("<fault>") {
            return Err(format!("rtorrent {method}: {reply}").into());
        }
        Ok(reply)
    }
}

impl Running for RunningRtorrent {
    fn is_complete(&mut self) -> Outcome<bool> {
        self.process.ensure_running()?;
        let info_hash = self.info_hash.clone();
        // Loading is not immediate: until then the info-hash is a fault.
        let Ok(reply) = self.call("d.complete", &[&info_hash]) else { return Ok(false) };
        Ok(reply.contains("<i8>1</i8>"))
    }
}
