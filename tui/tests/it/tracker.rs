//! A tracker with the manners of a dying one.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    sync::mpsc::{Receiver, channel},
    thread,
};

use crate::sandbox::{PATIENCE, Sandbox};

/// A tracker that answers at once, but never who says that it stops. Says what it hears.
pub(crate) fn tracker_without_farewell(sandbox: &Sandbox) -> (SocketAddr, Receiver<&'static str>) {
    let listener = TcpListener::bind(format!("{}:0", sandbox.ip())).expect("a port");
    let tracker = listener.local_addr().expect("bound");
    let (told, heard) = channel();
    thread::spawn(move || {
        let mut silent = Vec::new();
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { break };
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap_or(0);
            // The test may be over.
            if String::from_utf8_lossy(&request[..length]).contains("event=stopped") {
                let _ = told.send("stopped");
                silent.push(stream);
            } else {
                let body = "d8:intervali1800e5:peers0:e";
                let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                let _ = told.send("started");
            }
        }
    });
    (tracker, heard)
}

/// Waits until it heard that.
pub(crate) fn wait_to_hear(heard: &Receiver<&'static str>, what: &str) {
    while heard.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{error} before it {what}")) != what {}
}
