//! URLs as they may be shown: whatever could be a password or a passkey is replaced by an ellipsis.

use potluck_common::Printable;
use url::Url;

/// `url` without user, password, query values, and path components that look like a key. File names stay, as they
/// are what a person recognises the URL by.
pub(crate) fn redacted(url: &Url) -> Printable {
    let mut shown = url.clone();
    shown.set_fragment(None);
    if !url.username().is_empty() || url.password().is_some() {
        // Both fail only for URLs that cannot have a user, which then have none.
        let _ = shown.set_username("…");
        let _ = shown.set_password(None);
    }
    if let Some(query) = url.query() {
        let names: Vec<_> = query.split('&').map(redact_parameter).collect();
        shown.set_query(Some(&names.join("&")));
    }
    if let Some(components) = url.path_segments() {
        let components: Vec<_> =
            components.map(|component| if looks_secret(component) { "…" } else { component }).collect();
        shown.set_path(&components.join("/"));
    }
    Printable::new(&shown.as_str().replace("%E2%80%A6", "…"))
}

fn redact_parameter(parameter: &str) -> String {
    match parameter.split_once('=') {
        Some((name, _)) if !looks_secret(name) => format!("{name}=…"),
        _ => "…".to_owned(),
    }
}

/// Whether a path component or name looks like a key: 16 or more letters and digits, mixed, in one run.
fn looks_secret(component: &str) -> bool {
    let is_run = component.bytes().all(|byte| byte.is_ascii_alphanumeric());
    component.len() >= 16 && is_run && component.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_and_names_stay() {
        let cases = [
            ("http://h.example/a-12.5.0.iso.torrent", "http://h.example/a-12.5.0.iso.torrent"),
            ("https://h.example:81/x?passkey=abc&id=7", "https://h.example:81/x?passkey=…&id=…"),
            ("http://me:pw@h.example/", "http://…@h.example/"),
            ("http://h.example/0123456789abcdef/x.torrent#f", "http://h.example/…/x.torrent"),
            ("http://h.example/?0123456789abcdef0", "http://h.example/?…"),
        ];
        for (url, shown) in cases {
            assert_eq!(redacted(&Url::parse(url).expect("a URL")).as_str(), shown);
        }
    }
}
