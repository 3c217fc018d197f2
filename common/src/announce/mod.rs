//! Announce codecs: tracker requests and replies over HTTP and UDP, and the URL rules.
