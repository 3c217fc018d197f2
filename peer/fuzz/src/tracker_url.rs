//! URLs of trackers, as a torrent or a magnet link names them.

use potluck_common::{
    InfoHash, PeerId,
    announce::{
        AnnounceRequest, Scheme, TrackerUrl,
        http::{announce_url, scrape_url},
    },
};

use super::assert_printable;

/// Parses a URL, shows it, and makes the URLs that would be asked.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let url = match TrackerUrl::parse(text) {
        Ok(url) => url,
        Err(error) => return assert_printable(error),
    };
    assert_eq!(TrackerUrl::parse(&url.reveal()), Ok(url.clone()), "{}", url.reveal());
    assert_printable(&url);
    assert_printable(url.reveal());
    assert!(url.path().starts_with('/') && !url.host().to_string().is_empty());
    assert!(url.url_data().is_empty() || url.url_data().starts_with('/'));
    assert!(url.scheme() == Scheme::Https || url.port() != 443 || url.reveal().contains(":443"));
    let _ = url.host_ip();

    let request = AnnounceRequest::new(InfoHash([0xff; 20]), PeerId([b'-'; 20]), 6881);
    assert_printable(announce_url(&url, &request));
    if let Some(scrape) = scrape_url(&url, &[InfoHash([0; 20]), InfoHash([0xff; 20])]) {
        assert_printable(scrape);
    }
}
