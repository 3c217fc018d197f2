//! What an argument names: a file, a URL or a magnet link.

use std::path::{Path, PathBuf};

use potluck_common::magnet::Magnet;
use url::Url;

use super::exit::{Exit, Failure, Outcome};

/// Where a torrent comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// A file or folder.
    File(PathBuf),
    /// A torrent file on a web server.
    Url(Url),
    /// A magnet link or an info-hash, not read yet.
    Magnet(String),
}

/// Whether `argument` names something here or on the web: an existing path, `*.torrent`, a URL, a magnet link or an
/// info-hash.
/// Anything else is for a daemon.
pub fn is_local(argument: &Path) -> bool {
    let text = argument.to_string_lossy();
    has_scheme(&text, "magnet:")
        || text.contains("://")
        || argument.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("torrent"))
        || argument.exists()
        || Magnet::parse_loose(&text).is_ok()
}

/// Says what `argument` names.
pub fn classify(argument: &Path) -> Outcome<Source> {
    let text = argument.to_string_lossy();
    if !is_local(argument) {
        return Err(Failure::new(
            Exit::NotFound,
            &text,
            "no such file",
            "give a torrent file, a URL or a magnet link (ids of torrents in a daemon come later)",
        ));
    }
    let is_info_hash = !argument.exists() && Magnet::parse_loose(&text).is_ok();
    if has_scheme(&text, "magnet:") || is_info_hash {
        return Ok(Source::Magnet(text.into_owned()));
    }
    if text.contains("://") && !argument.exists() {
        return web_url(&text).map(Source::Url);
    }
    Ok(Source::File(argument.to_path_buf()))
}

/// A URL that a torrent can be fetched from.
fn web_url(text: &str) -> Outcome<Url> {
    let url = Url::parse(text)
        .map_err(|error| Failure::new(Exit::Usage, text, format!("bad URL: {error}"), "check it"))?;
    if !matches!(url.scheme(), "http" | "https") {
        let what = format!("torrents cannot be fetched by {}", url.scheme());
        return Err(Failure::new(Exit::Usage, text, what, "give an http or https URL, or a file"));
    }
    Ok(url)
}

fn has_scheme(text: &str, scheme: &str) -> bool {
    text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_told_apart() {
        let kind = |text: &str| match classify(Path::new(text)) {
            Ok(Source::File(_)) => "file".to_owned(),
            Ok(Source::Url(_)) => "url".to_owned(),
            Ok(Source::Magnet(_)) => "magnet".to_owned(),
            Err(failure) => format!("{:?}", failure.exit),
        };
        let cases = [
            ("nowhere.torrent", "file"),
            ("nowhere.TORRENT", "file"),
            (".", "file"),
            ("https://e.example/x.torrent", "url"),
            ("magnet:?xt=urn:btih:00", "magnet"),
            ("MAGNET:?", "magnet"),
            ("0123456789abcdef0123456789ABCDEF01234567", "magnet"),
            ("0123456789abcdef0123456789ABCDEF0123456", "NotFound"),
            ("99", "NotFound"),
            ("", "NotFound"),
            ("ftp://e.example/x.torrent", "Usage"),
            ("http://", "Usage"),
            ("http://[::1/x", "Usage"),
        ];
        for (text, wanted) in cases {
            assert_eq!(kind(text), wanted, "{text}");
        }
    }
}
