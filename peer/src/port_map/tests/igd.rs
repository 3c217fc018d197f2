//! A router that speaks UPnP, or something like it.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{Barrier, Notify},
    task::JoinSet,
};

/// How it behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Manner {
    Honest,
    /// Somebody else has the port that is asked for first.
    Conflict,
    OnlyPermanent,
    /// Refuses to give anything after so many ports.
    BusyAfter(usize),
    /// Takes ports back only two at a time.
    TakesPairs,
    /// Gives the first port when the test says so.
    Hesitates,
    /// Says that this is its address outside.
    Address(&'static str),
    /// Answers each wish with this error.
    Refuses(&'static str, &'static str),
    /// Answers each wish with something else.
    Garbage,
    /// Its description never ends.
    Endless,
    /// It takes the connection and says nothing.
    Silent,
    /// Its description is said to be elsewhere.
    Redirects,
    /// Its description names another machine to be asked.
    NamesAnother,
    /// Its description is of something else.
    DescribesNothing,
}

/// It runs as long as this lives.
pub(super) struct Igd {
    /// Where it answers searches.
    pub(super) ssdp: SocketAddrV4,
    seen: Arc<Seen>,
    _tasks: JoinSet<()>,
}

struct Seen {
    actions: Mutex<Vec<String>>,
    /// Two that are given back.
    pair: Barrier,
    /// It has heard the first wish.
    heard: Notify,
    /// And may do it.
    go: Notify,
    /// Connections to a machine that nobody has any business with.
    trapped: AtomicUsize,
    sent: AtomicUsize,
}

impl Igd {
    pub(super) async fn start(manner: Manner) -> Self {
        let seen = Arc::new(Seen {
            actions: Mutex::default(),
            pair: Barrier::new(2),
            heard: Notify::new(),
            go: Notify::new(),
            trapped: AtomicUsize::new(0),
            sent: AtomicUsize::new(0),
        });
        let here = (Ipv4Addr::LOCALHOST, 0);
        let ssdp = UdpSocket::bind(here).await.expect("a socket");
        let http = TcpListener::bind(here).await.expect("a socket");
        let trap = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).await.expect("a socket");
        let port = |address: std::net::SocketAddr| address.port();
        let ssdp_address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port(ssdp.local_addr().expect("bound")));
        let location = format!("http://127.0.0.1:{}/root.xml", port(http.local_addr().expect("bound")));
        let elsewhere = format!("http://127.0.0.2:{}/", port(trap.local_addr().expect("bound")));
        let mut tasks = JoinSet::new();
        tasks.spawn(answer_searches(ssdp, location));
        tasks.spawn({
            let seen = Arc::clone(&seen);
            async move {
                while trap.accept().await.is_ok() {
                    seen.trapped.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        tasks.spawn({
            let seen = Arc::clone(&seen);
            async move {
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = http.accept().await {
                    connections.spawn(serve(stream, manner, elsewhere.clone(), Arc::clone(&seen)));
                }
            }
        });
        Self { ssdp: ssdp_address, seen, _tasks: tasks }
    }

    /// The wishes that it heard, in order.
    pub(super) fn actions(&self) -> Vec<String> {
        self.seen.actions.lock().expect("no holder panics").clone()
    }

    /// Waits for the first wish, which is not answered until [`Igd::go`].
    pub(super) async fn heard(&self) {
        self.seen.heard.notified().await;
    }

    pub(super) fn go(&self) {
        self.seen.go.notify_one();
    }

    pub(super) fn trapped(&self) -> usize {
        self.seen.trapped.load(Ordering::Relaxed)
    }

    /// Bytes of its answers that were taken.
    pub(super) fn sent(&self) -> usize {
        self.seen.sent.load(Ordering::Relaxed)
    }
}

async fn answer_searches(socket: UdpSocket, location: String) {
    let mut buffer = [0; 2_048];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let text = String::from_utf8_lossy(&buffer[..length]);
        assert!(text.starts_with("M-SEARCH * HTTP/1.1\r\n") && text.contains("ssdp:discover"), "{text}");
        let answer = format!("HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nLOCATION: {location}\r\n\r\n");
        let _ = socket.send_to(answer.as_bytes(), from).await;
    }
}

async fn serve(mut stream: TcpStream, manner: Manner, elsewhere: String, seen: Arc<Seen>) {
    let _ = converse(&mut stream, manner, &elsewhere, &seen).await;
}

async fn converse(stream: &mut TcpStream, manner: Manner, elsewhere: &str, seen: &Seen) -> Option<()> {
    loop {
        let request = read_request(stream).await?;
        let body = match (request.split_ascii_whitespace().nth(1)?, manner) {
            ("/root.xml", Manner::Silent) => std::future::pending().await,
            ("/root.xml", Manner::Redirects) => {
                let answer =
                    format!("HTTP/1.1 302 Found\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.ok()?;
                continue;
            }
            ("/root.xml", Manner::Endless) => return send_for_ever(stream, seen).await,
            ("/root.xml", Manner::DescribesNothing) => {
                "<root><device><friendlyName>a lamp</friendlyName></device></root>".into()
            }
            ("/root.xml", Manner::NamesAnother) => description(elsewhere),
            ("/root.xml", _) => description("/"),
            ("/scpd.xml", _) => SERVICE.to_owned(),
            _ => {
                let answer = act(&request, manner, seen);
                hesitate(&request, manner, seen).await;
                answer
            }
        };
        let status = if body.contains("Fault") { "500 Internal Server Error" } else { "200 OK" };
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).await.ok()?;
    }
}

/// Takes its time.
async fn hesitate(request: &str, manner: Manner, seen: &Seen) {
    if manner == Manner::TakesPairs && request.contains("#DeletePortMapping") {
        seen.pair.wait().await;
    }
    if manner == Manner::Hesitates && seen.actions.lock().expect("no holder panics").len() == 1 {
        seen.heard.notify_one();
        seen.go.notified().await;
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let mut chunk = [0; 4_096];
        let length = stream.read(&mut chunk).await.ok().filter(|length| *length > 0)?;
        request.extend_from_slice(&chunk[..length]);
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let wanted = head.lines().filter_map(|line| line.split_once(':'));
            let wanted = wanted.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            let wanted: usize = wanted.filter_map(|(_, value)| value.trim().parse::<usize>().ok()).sum();
            if body.len() >= wanted {
                return Some(text);
            }
        }
    }
}

async fn send_for_ever(stream: &mut TcpStream, seen: &Seen) -> Option<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n<root>").await.ok()?;
    loop {
        stream.write_all(&[b' '; 16 * 1024]).await.ok()?;
        seen.sent.fetch_add(16 * 1024, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
}

fn description(base: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><root xmlns=\"urn:schemas-upnp-org:device-1-0\"><device><deviceList><device><deviceList>\
         <device><serviceList><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>\
         <SCPDURL>/scpd.xml</SCPDURL><controlURL>{base}control</controlURL></service></serviceList></device>\
         </deviceList></device></deviceList></device></root>"
    )
}

const SERVICE: &str = "<?xml version=\"1.0\"?><scpd xmlns=\"urn:schemas-upnp-org:service-1-0\"><actionList>\
    <action><name>AddPortMapping</name><argumentList>\
    <argument><name>NewRemoteHost</name><direction>in</direction></argument>\
    <argument><name>NewExternalPort</name><direction>in</direction></argument>\
    <argument><name>NewProtocol</name><direction>in</direction></argument>\
    <argument><name>NewInternalPort</name><direction>in</direction></argument>\
    <argument><name>NewInternalClient</name><direction>in</direction></argument>\
    <argument><name>NewEnabled</name><direction>in</direction></argument>\
    <argument><name>NewPortMappingDescription</name><direction>in</direction></argument>\
    <argument><name>NewLeaseDuration</name><direction>in</direction></argument></argumentList></action>\
    <action><name>DeletePortMapping</name><argumentList>\
    <argument><name>NewRemoteHost</name><direction>in</direction></argument>\
    <argument><name>NewExternalPort</name><direction>in</direction></argument>\
    <argument><name>NewProtocol</name><direction>in</direction></argument></argumentList></action>\
    </actionList></scpd>";

/// Does what is wished, and notes it.
fn act(request: &str, manner: Manner, seen: &Seen) -> String {
    let value = |name: &str| {
        let rest = request.split_once(&format!("<{name}>")).map_or("", |(_, rest)| rest);
        rest.split('<').next().unwrap_or_default().to_owned()
    };
    let port = value("NewExternalPort");
    let lease = value("NewLeaseDuration");
    let action = ["AddPortMapping", "DeletePortMapping", "GetExternalIPAddress"];
    let action =
        action.into_iter().find(|action| request.contains(&format!("#{action}"))).expect("a known wish");
    let noted = match action {
        "AddPortMapping" => {
            let (client, inner) = (value("NewInternalClient"), value("NewInternalPort"));
            format!("{action} {} {port} {client} {inner} {lease}", value("NewProtocol"))
        }
        "DeletePortMapping" => format!("{action} {} {port}", value("NewProtocol")),
        other => other.to_owned(),
    };
    let mut actions = seen.actions.lock().expect("no holder panics");
    actions.push(noted);
    let is_add = action == "AddPortMapping";
    let added = actions.iter().filter(|action| action.starts_with("AddPortMapping")).count();
    drop(actions);
    match manner {
        Manner::Refuses(code, words) => fault(code, words),
        Manner::Garbage => "<html>Welcome</html>".to_owned(),
        Manner::Conflict if is_add && port == "6881" => fault("718", "ConflictInMappingEntry"),
        Manner::BusyAfter(most) if is_add && added > most => fault("501", "Action Failed"),
        Manner::OnlyPermanent if is_add && lease != "0" => fault("725", "OnlyPermanentLeasesSupported"),
        _ => {
            let address = if let Manner::Address(address) = manner { address } else { "8.8.4.4" };
            envelope(&format!(
                "<u:{action}Response xmlns:u=\"urn:schemas-upnp-org:service:WANIPConnection:1\">\
                 <NewExternalIPAddress>{address}</NewExternalIPAddress></u:{action}Response>"
            ))
        }
    }
}

fn fault(code: &str, words: &str) -> String {
    envelope(&format!(
        "<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>\
         <UPnPError xmlns=\"urn:schemas-upnp-org:control-1-0\"><errorCode>{code}</errorCode>\
         <errorDescription>{words}</errorDescription></UPnPError></detail></s:Fault>"
    ))
}

fn envelope(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body>{body}</s:Body></s:Envelope>"
    )
}
