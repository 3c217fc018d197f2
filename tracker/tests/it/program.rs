//! The program: its words, its exit codes, its end.

use std::{
    io::{BufRead as _, BufReader},
    net::{TcpListener, UdpSocket},
    process::{Child, ChildStderr, Command, Output, Stdio},
};

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_potluck-tracker"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = program(arguments).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A program that runs; killed if the test fails.
struct Running {
    child: Child,
    log: BufReader<ChildStderr>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Self { child, log }
    }

    /// The URL of the next line of the log.
    fn url(&mut self) -> String {
        let mut line = String::new();
        self.log.read_line(&mut line).unwrap();
        let (_, url) = line.trim().split_once("url=").unwrap_or_else(|| panic!("no URL in {line:?}"));
        url.to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_says_what_it_is_and_how_to_use_it() {
    assert_eq!(
        run(&["--version"]),
        (Some(0), format!("potluck-tracker {}\n", env!("CARGO_PKG_VERSION")), String::new())
    );
    let (code, help, _) = run(&["--help"]);
    assert_eq!(code, Some(0));
    for part in ["--http", "--udp", "--interval", "POTLUCK_TRACKER_HTTP", "Examples:", "Exit codes:"] {
        assert!(help.contains(part), "{part}");
    }
}

#[test]
fn wrong_usage_is_named() {
    let cases: [(&[&str], &str); 5] = [
        (&[], "--http <ADDR>"),
        (&["--http", "6969"], "expected IP:PORT"),
        (&["--udp", "localhost:1"], "expected IP:PORT"),
        (&["--http", "127.0.0.1:0", "--interval", "30"], "expected a time such as"),
        (&["--nonsense"], "--nonsense"),
    ];
    for (arguments, expected) in cases {
        let (code, _, message) = run(arguments);
        assert_eq!(code, Some(2), "{arguments:?}");
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
}

#[test]
fn an_address_that_cannot_be_had_is_named() {
    let tcp_socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp_socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp = tcp_socket.local_addr().unwrap().to_string();
    let udp = udp_socket.local_addr().unwrap().to_string();
    let cases = [
        ("--http", tcp.as_str(), "in use"),
        ("--udp", udp.as_str(), "in use"),
        ("--http", "203.0.113.1:80", "does not have the address"),
    ];
    for (flag, address, expected) in cases {
        let (code, _, message) = run(&[flag, address]);
        assert_eq!(code, Some(5), "{message}");
        assert!(message.contains(address) && message.contains(expected), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

#[cfg(unix)]
#[test]
fn it_serves_where_it_says_until_it_is_told_to_stop() {
    use std::io::{Read as _, Write as _};

    use rustix::process::{Pid, Signal, kill_process};

    for signal in [Signal::TERM, Signal::INT] {
        let flags = ["--http", "127.0.0.1:0", "--http", "127.0.0.2:0", "--interval", "7s"];
        let mut running =
            Running::start(program(&flags).env("POTLUCK_TRACKER_UDP", "127.0.0.1:0,127.0.0.2:0"));
        let urls = [running.url(), running.url(), running.url(), running.url()];
        for (url, start) in urls.iter().zip([
            "http://127.0.0.1:",
            "http://127.0.0.2:",
            "udp://127.0.0.1:",
            "udp://127.0.0.2:",
        ]) {
            assert!(url.starts_with(start) && url.ends_with("/announce"), "{url}");
        }
        let addr = urls[0].strip_prefix("http://").and_then(|rest| rest.strip_suffix("/announce")).unwrap();
        let mut stream = std::net::TcpStream::connect(addr).unwrap();
        let query = "info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1&uploaded=0&downloaded=0&left=1";
        write!(stream, "GET /announce?{query} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        assert!(reply.windows(12).any(|part| part == b"8:intervali7"), "{}", reply.escape_ascii());

        kill_process(Pid::from_child(&running.child), signal).unwrap();
        assert_eq!(running.child.wait().unwrap().code(), Some(0), "{signal:?}");
    }
}
