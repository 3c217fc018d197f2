//! rtorrent, controlled by XML-RPC over its SCGI socket.

use std::{
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{Client, Job, Leecher};
use crate::{
    Outcome,
    process::{Process, find},
};

const PROGRAM: &str = "rtorrent";

/// How long each answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// rtorrent.
pub(super) struct Rtorrent;

impl Rtorrent {
    fn start(job: &Job) -> Outcome<Process> {
        let file = job.home.join("rtorrent.rc");
        fs::write(&file, settings(job))?;
        let mut command = Command::new(PROGRAM);
        command.arg("-n").arg("-o").arg(format!("import={}", file.display()));
        let mut process = Process::start(command, &job.home)?;
        let socket = socket(job);
        process.wait_ready("rtorrent", |_| Ok(call(&socket, "system.client_version", &[]).is_ok()))?;
        Ok(process)
    }
}

fn socket(job: &Job) -> PathBuf {
    job.home.join("scgi")
}

fn settings(job: &Job) -> String {
    let (ip, port) = (job.listen.ip(), job.listen.port());
    let (socket, hook, payload) = (socket(job), job.hook(), &job.payload_folder);
    format!(
        "system.daemon.set = true\n\
         network.bind_address.set = {ip}\n\
         network.port_range.set = {port}-{port}\n\
         network.port_random.set = no\n\
         network.scgi.open_local = {}\n\
         protocol.encryption.set = none\n\
         dht.mode.set = off\n\
         protocol.pex.set = no\n\
         pieces.hash.on_completion.set = no\n\
         directory.default.set = {}\n\
         method.set_key = event.download.finished, done, \"execute2={{{}}}\"\n",
        socket.display(),
        payload.display(),
        hook.display(),
    )
}

impl Client for Rtorrent {
    fn name(&self) -> &'static str {
        "rtorrent"
    }

    fn is_installed(&self) -> bool {
        find(PROGRAM).is_some()
    }

    fn seed(&self, job: &Job) -> Outcome<Process> {
        let mut process = Self::start(job)?;
        let socket = socket(job);
        call(&socket, "load.start", &["", super::text(&job.torrent)?])?;
        let info_hash = job.info_hash.to_string().to_uppercase();
        process.wait_ready("rtorrent's check", |_| {
            // Loading is not immediate: until then the info-hash is a fault.
            let is =
                |method, value| call(&socket, method, &[&info_hash]).is_ok_and(|reply| reply.contains(value));
            Ok(is("d.complete", "<i8>1</i8>")
                && is("d.hashing", "<i8>0</i8>")
                && is("d.is_active", "<i8>1</i8>"))
        })?;
        Ok(process)
    }

    fn leech(&self, job: &Job) -> Outcome<Leecher> {
        let process = Self::start(job)?;
        let (socket, torrent) = (socket(job), super::text(&job.torrent)?.to_owned());
        let tell = move |_: &mut Process| call(&socket, "load.start", &["", &torrent]).map(|_| ());
        Ok(Leecher::Service(process, Box::new(tell)))
    }
}

/// Calls `method` with text parameters; the reply is XML.
fn call(socket: &Path, method: &str, parameters: &[&str]) -> Outcome<String> {
    let mut values = String::new();
    for parameter in parameters {
        write!(values, "<param><value><string>{parameter}</string></value></param>")?;
    }
    let body = format!(
        "<?xml version=\"1.0\"?><methodCall><methodName>{method}</methodName>\
         <params>{values}</params></methodCall>"
    );
    let headers = format!("CONTENT_LENGTH\0{}\0SCGI\x001\0", body.len());
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{}:{headers},{body}", headers.len()).as_bytes())?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    if reply.contains("<fault>") {
        return Err(format!("{method}: {reply}").into());
    }
    Ok(reply)
}
