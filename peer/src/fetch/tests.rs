//! `.torrent` files by URL from a hand-driven server.

use std::net::IpAddr;

use potluck_common::limits::METAINFO_URL_BYTES_MAX;

use super::{
    test_server::{Reply, TestServer, gzipped, http, ok, redirect},
    *,
};

const TORRENT: &[u8] = b"d4:infod6:lengthi1eee";

fn client() -> HttpClient {
    HttpClient::new(Bind::ANY, Vec::new())
}

fn reply_to(path: &str) -> Reply {
    let name = path.split(['?', '/']).nth(1).unwrap_or_default();
    match name {
        "good" => ok(TORRENT),
        "padded" => ok(&[b"\r\n", TORRENT, b"\n"].concat()),
        "gzip" => gzipped(TORRENT),
        "moved" => redirect("/good?from=moved"),
        "loop" => redirect("/loop"),
        "file" => redirect("file:///etc/passwd"),
        "nowhere" => http("302 Found", "", b""),
        "gone" => http("410 Gone", "", b""),
        "private" => http("403 Forbidden", "", b"<html>"),
        "broken" => http("503 Service Unavailable", "", b""),
        "page" => http("200 OK", "Content-Type: text/html; charset=utf-8\r\n", b"hello"),
        "doctype" => ok(b"\n<!DOCTYPE html><html></html>"),
        "image" => http("200 OK", "Content-Type: image/png\r\n", b"\x89PNG"),
        "empty" => ok(b""),
        "huge" => ok(&vec![b'd'; METAINFO_URL_BYTES_MAX + 1]),
        "bomb" => gzipped(&vec![b'd'; METAINFO_URL_BYTES_MAX + (1 << 20)]),
        "cut" => Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nd4:info".to_vec()),
        "garbage" => Reply::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        _ => http("404 Not Found", "", b""),
    }
}

#[tokio::test]
async fn row_4_7_each_reply_gives_the_file_or_a_clear_error() {
    let server = TestServer::start(reply_to).await;
    // The path, then nothing for success or words that the error must have.
    let cases = [
        ("good", ""),
        ("padded", ""),
        ("gzip", ""),
        ("moved", ""),
        ("loop", "more than 5 redirects"),
        ("file", "only http, https and udp URLs are asked"),
        ("nowhere", "a redirect to nowhere"),
        ("missing", "does not exist (HTTP 404): check the address"),
        ("gone", "does not exist (HTTP 410)"),
        ("private", "download the .torrent file in a browser"),
        ("broken", "answered HTTP 503: try again later"),
        ("page", "is a web page: open it in a browser"),
        ("doctype", "is a web page: open it in a browser"),
        ("image", "is no .torrent file but image/png"),
        ("empty", "is no .torrent file but empty"),
        ("huge", "is larger than 10 MiB"),
        ("bomb", "is larger than 10 MiB"),
        ("cut", "check the address and the network"),
        ("garbage", "check the address and the network"),
    ];
    for (path, words) in cases {
        let url = server.url(&format!("/{path}?passkey=s3cr3t"));
        match fetch_torrent(&client(), &url, Origin::User).await {
            Ok(body) => assert!(words.is_empty() && body.trim_ascii() == TORRENT, "{path}"),
            Err(error) => {
                let text = error.to_string();
                assert!(!words.is_empty() && text.contains(words), "{path}: {text}");
                assert!(text.contains(&format!("{}/{path}", server.addr)), "{path}: {text}");
                assert!(!format!("{text} {error:?}").contains("s3cr3t"), "{path}: {text}");
            }
        }
    }
    let redirects = server.requests().iter().filter(|(_, path)| path.starts_with("/loop")).count();
    assert_eq!(redirects, 1 + REDIRECTS_MAX);
}

#[tokio::test]
async fn what_is_no_url_or_goes_nowhere_says_so() {
    let dead = format!("http://{}/good", test_server::unused_addr());
    let cases = [
        ("ubuntu.torrent", "is no URL"),
        ("ftp://h.example/x", "only http, https and udp URLs are asked"),
        ("file:///etc/passwd", "only http, https and udp URLs are asked"),
        ("http://0.0.0.0/x", "0.0.0.0 is no address of a server"),
        (dead.as_str(), "onnection refused"),
    ];
    for (url, words) in cases {
        let error = fetch_torrent(&client(), url, Origin::User).await.expect_err(url);
        assert!(error.to_string().contains(words), "{url}: {error}");
    }
}

#[tokio::test]
async fn row_4_6_others_than_the_user_do_not_reach_this_host() {
    let server = TestServer::start(reply_to).await;
    for path in ["/good", "/announce?x=1"] {
        let error = fetch_torrent(&client(), &server.url(path), Origin::Torrent).await.expect_err(path);
        assert!(matches!(error, FetchError::Refused { .. }), "{error}");
    }
    assert_eq!(server.requests(), []);
}

#[tokio::test]
async fn row_4_7_certificates_are_verified() {
    let (server, certificate) = TestServer::start_tls(reply_to).await;
    let url = format!("https://{}/good", server.addr);
    let trusting = HttpClient::new(Bind::ANY, vec![certificate]);
    assert_eq!(fetch_torrent(&trusting, &url, Origin::User).await.expect("trusted"), TORRENT);
    let error = fetch_torrent(&client(), &url, Origin::User).await.expect_err("not trusted");
    assert!(error.to_string().contains("certificate"), "{error}");
    assert_eq!(server.requests().len(), 1);
    let plain = TestServer::start(move |_| redirect(&url)).await;
    let body = fetch_torrent(&trusting, &plain.url("/"), Origin::User).await.expect("a redirect to TLS");
    assert_eq!(body, TORRENT);
}

#[tokio::test]
async fn connections_come_from_the_bound_address() {
    let server = TestServer::start(reply_to).await;
    let ip: IpAddr = [127, 0, 0, 7].into();
    let bound = HttpClient::new(Bind::only(ip), Vec::new());
    fetch_torrent(&bound, &server.url("/moved"), Origin::User).await.expect("reachable");
    assert!(server.requests().iter().all(|(peer, _)| peer.ip() == ip), "{:?}", server.requests());
    let elsewhere = fetch_torrent(&bound, "http://[::1]:1/", Origin::User).await.expect_err("off");
    assert!(elsewhere.to_string().contains("the address we are bound to"), "{elsewhere}");
}
