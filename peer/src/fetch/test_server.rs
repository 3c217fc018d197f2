//! A hand-driven HTTP server on loopback for tests: each request gets the bytes that a closure says.

use std::{
    io::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    task::AbortHandle,
};
use tokio_rustls::TlsAcceptor;

/// What the server does with a request.
pub(crate) enum Reply {
    /// Sends these bytes and closes.
    Bytes(Vec<u8>),
    /// Sends these bytes and keeps the connection open for good.
    Hang(Vec<u8>),
}

/// A running server; it ends when dropped.
pub(crate) struct TestServer {
    pub(crate) addr: SocketAddr,
    /// The peer and the request line of each request so far.
    requests: Arc<Mutex<Vec<(SocketAddr, String)>>>,
    task: AbortHandle,
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TestServer {
    /// A server over plain TCP; `reply` gets the request's path and query.
    pub(crate) async fn start(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0", None, reply).await
    }

    /// A server over TLS for `localhost` and `127.0.0.1`, with its self-signed certificate.
    pub(crate) async fn start_tls(
        reply: impl Fn(&str) -> Reply + Send + Sync + 'static,
    ) -> (Self, CertificateDer<'static>) {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certified = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let certificate = certified.cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key.into())
            .expect("a matching key");
        (Self::start_at("127.0.0.1:0", Some(TlsAcceptor::from(Arc::new(config))), reply).await, certificate)
    }

    pub(crate) async fn start_at(
        at: &str,
        tls: Option<TlsAcceptor>,
        reply: impl Fn(&str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(at).await.expect("a port on loopback");
        let addr = listener.local_addr().expect("bound");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, reply) = (Arc::clone(&requests), Arc::new(reply));
        let accept = async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let (log, reply, tls) = (Arc::clone(&log), Arc::clone(&reply), tls.clone());
                tokio::spawn(async move {
                    let note = |path: &str| {
                        log.lock().unwrap().push((peer, path.to_owned()));
                        reply(path)
                    };
                    match tls {
                        // A client that does not trust us ends the handshake.
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, note).await,
                            Err(_) => None,
                        },
                        None => serve(stream, note).await,
                    }
                });
            }
        };
        Self { addr, requests, task: tokio::spawn(accept).abort_handle() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub(crate) fn requests(&self) -> Vec<(SocketAddr, String)> {
        self.requests.lock().unwrap().clone()
    }
}

/// An address that nobody listens at.
pub(crate) fn unused_addr() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
    listener.local_addr().expect("bound")
}

/// Serves one request; `None` if the client went away.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, reply: impl Fn(&str) -> Reply) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).expect("text");
    let path = head.split(' ').nth(1).expect("a request line");
    match reply(path) {
        Reply::Bytes(bytes) => stream.write_all(&bytes).await.ok()?,
        Reply::Hang(bytes) => {
            stream.write_all(&bytes).await.ok()?;
            stream.flush().await.ok()?;
            std::future::pending::<()>().await;
        }
    }
    stream.shutdown().await.ok()
}

/// A reply with this status line, these header lines and this body.
pub(crate) fn http(status: &str, headers: &str, body: &[u8]) -> Reply {
    let length = body.len();
    let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n").into_bytes();
    bytes.extend(body);
    Reply::Bytes(bytes)
}

pub(crate) fn ok(body: &[u8]) -> Reply {
    http("200 OK", "", body)
}

pub(crate) fn redirect(to: &str) -> Reply {
    http("302 Found", &format!("Location: {to}\r\n"), b"")
}

pub(crate) fn gzipped(body: &[u8]) -> Reply {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(body).expect("memory");
    http("200 OK", "Content-Encoding: gzip\r\n", &encoder.finish().expect("memory"))
}
