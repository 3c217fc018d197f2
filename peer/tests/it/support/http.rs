//! One HTTP/1.1 exchange per connection, which is all that the clients' control interfaces need.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::Outcome;

/// How long a control interface may take to answer. Busy machines are slow; trials have their own deadline.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came back.
pub(crate) struct Response {
    /// The status code.
    pub(crate) status: u16,
    /// The header lines, undivided.
    pub(crate) headers: String,
    /// All that follows the headers, cut to the content length if one was given.
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The value of the header `name`.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// The body as JSON, when the status is 200.
    pub(crate) fn json(&self) -> Outcome<serde_json::Value> {
        if self.status != 200 {
            return Err(format!("status {}: {}", self.status, String::from_utf8_lossy(&self.body)).into());
        }
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// `GET target`.
pub(crate) fn get(address: SocketAddr, target: &str) -> Outcome<Response> {
    exchange(address, "GET", target, &[], &[])
}

/// Sends one request and reads the whole response.
pub(crate) fn exchange(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Outcome<Response> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.extend([name, ": ", value, "\r\n"]);
    }
    write!(request, "Content-Length: {}\r\n\r\n", body.len())?;
    stream.write_all(request.as_bytes())?;
    stream.write_all(body)?;
    read_response(&mut stream)
}

fn read_response(stream: &mut TcpStream) -> Outcome<Response> {
    let mut received = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        if let Some(response) = parse(&received, false)? {
            return Ok(response);
        }
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            return parse(&received, true)?.ok_or_else(|| "the connection closed within the headers".into());
        }
        received.extend_from_slice(&chunk[..count]);
    }
}

fn parse(received: &[u8], at_end: bool) -> Outcome<Option<Response>> {
    let Some(split) = received.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let headers = String::from_utf8_lossy(&received[..split]).into_owned();
    let status = headers.split(' ').nth(1).ok_or("no status")?.parse()?;
    let mut response = Response { status, headers, body: received[split + 4..].to_vec() };
    let length = response.header("content-length").map(str::parse).transpose()?;
    match length {
        Some(length) if response.body.len() >= length => response.body.truncate(length),
        _ if at_end => {}
        _ => return Ok(None),
    }
    Ok(Some(response))
}
