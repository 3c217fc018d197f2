//! What an HTTP tracker is asked (BEP 3, 7, 48).

use potluck_common::announce::{
    SCRAPE_HASHES_MAX, TrackerUrl,
    http::{announce_url, parse_announce, parse_scrape, scrape_url},
};

use super::assert_printable;

/// Reads a query as both kinds of request; the query that we would write for it says the same.
pub fn run(bytes: &[u8]) {
    let Ok(query) = std::str::from_utf8(bytes) else { return };
    let tracker = TrackerUrl::parse("http://tracker.example/announce").expect("a tracker URL");
    match parse_announce(query) {
        Ok(request) => {
            assert_ne!(request.port, 0);
            let url = announce_url(&tracker, &request);
            assert_eq!(parse_announce(query_of(&url)), Ok(request), "{url}");
        }
        Err(error) => assert_printable(error),
    }
    match parse_scrape(query) {
        Ok(info_hashes) => {
            assert!(info_hashes.len() <= SCRAPE_HASHES_MAX);
            let url = scrape_url(&tracker, &info_hashes).expect("it has a scrape");
            assert_eq!(parse_scrape(query_of(&url)), Ok(info_hashes), "{url}");
        }
        Err(error) => assert_printable(error),
    }
}

fn query_of(url: &str) -> &str {
    url.split_once('?').map_or("", |(_, query)| query)
}
