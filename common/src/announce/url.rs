//! Tracker URLs: what may be one, and how to show one without giving its passkey away.

use std::{
    fmt::{self, Write as _},
    net::IpAddr,
};

use url::{Host, Url};

/// Longest tracker URL accepted, in bytes; passkeys included, real ones stay under 300.
pub const TRACKER_URL_BYTES_MAX: usize = 2048;

/// How a tracker is reached.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Scheme {
    /// Plain HTTP (BEP 3).
    Http,
    /// HTTP over TLS.
    Https,
    /// BEP 15.
    Udp,
}

impl Scheme {
    /// The scheme as it stands in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Udp => "udp",
        }
    }
}

/// Why a text is no tracker URL.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UrlError {
    /// Longer than [`TRACKER_URL_BYTES_MAX`].
    #[error("the tracker URL is longer than {TRACKER_URL_BYTES_MAX} bytes")]
    Long,
    /// Neither `http`, `https` nor `udp`.
    #[error("the tracker URL does not begin with http://, https:// or udp://")]
    Scheme,
    /// The rest is no URL with a host.
    #[error("the tracker URL is malformed: {0}")]
    Malformed(#[from] url::ParseError),
    /// The port is 0.
    #[error("the tracker URL has port 0")]
    Port,
}

/// The URL of a tracker.
///
/// It may carry a passkey, so `Display` and `Debug` show [`TrackerUrl::redacted`]; only [`TrackerUrl::reveal`]
/// gives the whole text away.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackerUrl {
    scheme: Scheme,
    /// For UDP with the scheme `http`, so that hosts are parsed alike and the port defaults to 80, as it does in
    /// libtorrent. Always has a host, never a fragment.
    url: Url,
}

impl TrackerUrl {
    /// Parses the text of a metainfo's `announce` or a magnet link's `tr`. White space around it is ignored.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        if text.len() > TRACKER_URL_BYTES_MAX {
            return Err(UrlError::Long);
        }
        let (scheme, rest) = [Scheme::Https, Scheme::Http, Scheme::Udp]
            .into_iter()
            .find_map(|scheme| Some((scheme, strip_scheme(text, scheme)?)))
            .ok_or(UrlError::Scheme)?;
        let stand_in = if scheme == Scheme::Https { "https" } else { "http" };
        let mut url = Url::parse(&format!("{stand_in}://{rest}"))?;
        url.set_fragment(None);
        if url.port() == Some(0) {
            return Err(UrlError::Port);
        }
        Ok(Self { scheme, url })
    }

    /// How the tracker is reached.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host: a name in ASCII or an address; IPv4 in any notation is recognised as such.
    pub fn host(&self) -> Host<&str> {
        self.url.host().expect("http URLs have a host")
    }

    /// The host, if it is an address and not a name.
    pub fn host_ip(&self) -> Option<IpAddr> {
        match self.host() {
            Host::Ipv4(ip) => Some(ip.into()),
            Host::Ipv6(ip) => Some(ip.to_canonical()),
            Host::Domain(_) => None,
        }
    }

    /// The port, or the default of the scheme.
    pub fn port(&self) -> u16 {
        self.url.port_or_known_default().expect("http and https have default ports")
    }

    /// The path, beginning with a slash. Secret: it may hold a passkey.
    pub fn path(&self) -> &str {
        self.url.path()
    }

    /// The query without its question mark, if there is one. Secret: it may hold a passkey.
    pub fn query(&self) -> Option<&str> {
        self.url.query()
    }

    /// The path and query: what BEP 41 sends to a UDP tracker; empty when the URL has neither. Secret.
    pub fn url_data(&self) -> String {
        match (self.path(), self.query()) {
            ("/", None) => String::new(),
            (path, None) => path.to_owned(),
            (path, Some(query)) => format!("{path}?{query}"),
        }
    }

    /// The whole URL. Secret: for requests and files, never for a log or a screen.
    pub fn reveal(&self) -> String {
        match self.scheme {
            Scheme::Udp => self.url.as_str().replacen("http", "udp", 1),
            Scheme::Http | Scheme::Https => self.url.as_str().to_owned(),
        }
    }

    /// The same URL with another path and query; both must be escaped already.
    pub(super) fn with_path_and_query(&self, path: &str, query: &str) -> String {
        let mut url = self.url.clone();
        url.set_path(path);
        url.set_query(Some(query));
        url.into()
    }

    /// The URL with everything that could be a secret replaced by an ellipsis: user and password, path components
    /// that look like a passkey, and the values of all query parameters but the harmless ones.
    pub fn redacted(&self) -> String {
        let mut shown = format!("{}://", self.scheme.as_str());
        if !self.url.username().is_empty() || self.url.password().is_some() {
            shown.push_str("…@");
        }
        write!(shown, "{}", self.host()).expect("writing to a string does not fail");
        if let Some(port) = self.url.port() {
            write!(shown, ":{port}").expect("writing to a string does not fail");
        }
        for component in self.path().split('/').skip(1) {
            shown.push('/');
            shown.push_str(if looks_secret(component) { "…" } else { component });
        }
        for (count, parameter) in self.query().into_iter().flat_map(|query| query.split('&')).enumerate() {
            shown.push(if count == 0 { '?' } else { '&' });
            redact_parameter(&mut shown, parameter);
        }
        shown
    }
}

/// The rest of `text` behind `scheme://` in any case.
fn strip_scheme(text: &str, scheme: Scheme) -> Option<&str> {
    let (name, rest) = text.split_once("://")?;
    name.eq_ignore_ascii_case(scheme.as_str()).then_some(rest)
}

/// Whether a path component could be a passkey: long, and not plainly a word such as `announce.php`.
fn looks_secret(component: &str) -> bool {
    let is_word = component.bytes().all(|byte| byte.is_ascii_alphabetic() || b".-_".contains(&byte));
    component.len() >= 8 && !(is_word && component.len() < 20)
}

/// Query parameters whose values give nothing away. Not `key`, `peer_id` or anything unknown.
const HARMLESS: [&str; 11] = [
    "compact",
    "corrupt",
    "downloaded",
    "event",
    "info_hash",
    "left",
    "no_peer_id",
    "numwant",
    "port",
    "supportcrypto",
    "uploaded",
];

fn redact_parameter(shown: &mut String, parameter: &str) {
    match parameter.split_once('=') {
        Some((name, _)) if HARMLESS.contains(&name) => shown.push_str(parameter),
        Some((name, _)) => {
            shown.push_str(if looks_secret(name) { "…" } else { name });
            shown.push_str("=…");
        }
        None if parameter.is_empty() => {}
        None => shown.push('…'),
    }
}

impl fmt::Display for TrackerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.redacted())
    }
}

impl fmt::Debug for TrackerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> TrackerUrl {
        TrackerUrl::parse(text).unwrap()
    }

    #[test]
    fn host_port_and_url_data() {
        let cases = [
            ("http://t.example/announce", Scheme::Http, "t.example", 80, "/announce"),
            ("HTTPS://T.Example/announce?a=b", Scheme::Https, "t.example", 443, "/announce?a=b"),
            (" udp://t.example:6969\n", Scheme::Udp, "t.example", 6969, ""),
            ("udp://t.example", Scheme::Udp, "t.example", 80, ""),
            ("udp://t.example:80/x?y", Scheme::Udp, "t.example", 80, "/x?y"),
            ("udp://[::1]:7/announce#frag", Scheme::Udp, "[::1]", 7, "/announce"),
            // Disguises of loopback that an address policy must see through.
            ("udp://0x7f.1:7/", Scheme::Udp, "127.0.0.1", 7, ""),
            ("http://2130706433/", Scheme::Http, "127.0.0.1", 80, ""),
        ];
        for (text, scheme, host, port, url_data) in cases {
            let url = parse(text);
            let actual = (url.scheme(), url.host().to_string(), url.port(), url.url_data());
            assert_eq!(actual, (scheme, host.to_owned(), port, url_data.to_owned()), "{text}");
        }
        assert_eq!(parse("udp://[::ffff:10.0.0.1]:7").host_ip(), Some([10, 0, 0, 1].into()));
        assert_eq!(parse("udp://t.example:7/a").reveal(), "udp://t.example:7/a");
    }

    #[test]
    fn what_is_no_tracker_url_is_refused() {
        let long = format!("http://t.example/{}", "a".repeat(TRACKER_URL_BYTES_MAX));
        let cases = [
            "",
            "t.example",
            "ws://t.example",
            "file:///etc/passwd",
            "http:/t.example",
            "http://",
            "udp://:80",
            "http://t.example:0/",
            "http://t.example:65536/",
            "http://a b/",
            "udp:t.example",
            "http://%00/",
            &long,
        ];
        for text in cases {
            assert!(TrackerUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let cases = [
            ("http://t.example/announce", "http://t.example/announce"),
            ("udp://t.example:6969/announce.php", "udp://t.example:6969/announce.php"),
            ("http://t.example/d41d8cd98f00b204e9800998ecf8427e/announce", "http://t.example/…/announce"),
            ("http://t.example/announce/ABCDEFGHIJKLMNOPQRSTUVWX", "http://t.example/announce/…"),
            ("http://t.example/a1b2c3d4/announce", "http://t.example/…/announce"),
            ("http://t.example/announce?passkey=short", "http://t.example/announce?passkey=…"),
            ("http://t.example/announce?pk=%20x&compact=1", "http://t.example/announce?pk=…&compact=1"),
            ("http://t.example/announce?d41d8cd98f00b204", "http://t.example/announce?…"),
            ("http://t.example/?d41d8cd98f00b204=1", "http://t.example/?…=…"),
            ("http://me:secret@t.example:81/", "http://…@t.example:81/"),
        ];
        for (text, shown) in cases {
            let url = parse(text);
            assert_eq!(url.redacted(), shown);
            assert_eq!((format!("{url}"), format!("{url:?}")), (shown.to_owned(), shown.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,60}", scheme in "(http|https|udp|ws)") {
            let _ = TrackerUrl::parse(&text);
            if let Ok(url) = TrackerUrl::parse(&format!("{scheme}://{text}")) {
                prop_assert_eq!(parse(&url.reveal()), url.clone());
                let _ = (url.redacted(), url.url_data(), url.port(), url.host_ip());
            }
        }

        #[test]
        fn no_passkey_is_shown(key in "[0-9][0-9a-zA-Z]{15,40}") {
            for text in [
                format!("http://t.example/{key}/announce"),
                format!("https://t.example/announce?{key}"),
                format!("udp://t.example/announce?compact=1&authkey={key}"),
                format!("http://{key}@t.example/announce/{key}#{key}"),
            ] {
                prop_assert!(!parse(&text).to_string().contains(&key));
            }
        }
    }
}
