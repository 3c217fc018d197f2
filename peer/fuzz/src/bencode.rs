//! Bencode: the scanner in both modes, the cursor, and the typed decoder behind it.

use std::collections::BTreeMap;

use potluck_common::{
    bencode::{Document, Kind, Limits, Node, from_bytes, parse, parse_prefix},
    limits::BENCODE_DEPTH_MAX,
};

use super::assert_printable;

const LIMITS: Limits = Limits::lenient(BENCODE_DEPTH_MAX, 10_000, 64 * 1024);

/// Scans `bytes`; strict mode must take exactly what is the canonical encoding of itself.
pub fn run(bytes: &[u8]) {
    let strict = parse(bytes, &LIMITS.strict());
    match parse_prefix(bytes, &LIMITS) {
        Ok((document, consumed)) => {
            let root = document.root();
            assert_eq!(root.range(), 0..consumed, "a value begins at the front");
            let mut canonical = Vec::new();
            encode(root, &mut canonical);
            assert_eq!(strict.is_ok(), canonical == bytes, "strict mode takes the one encoding");
            let alone = parse(root.span(), &LIMITS).expect("a value that was scanned can be scanned alone");
            assert_eq!(alone.root().span(), root.span());
        }
        Err(error) => {
            assert!(strict.is_err(), "strict mode takes nothing that lenient mode does not");
            assert!(error.position <= bytes.len(), "{error}");
            assert_printable(error);
        }
    }
    if let Ok(document) = parse(bytes, &LIMITS) {
        typed(bytes, &document);
    }
}

/// Values of known shape.
fn typed(bytes: &[u8], document: &Document<'_>) {
    let kind = document.root().kind();
    if let Ok(numbers) = from_bytes::<BTreeMap<String, i64>>(bytes, &LIMITS) {
        assert_eq!(kind, Kind::Dict);
        for (key, number) in numbers {
            assert_eq!(document.root().get(key.as_bytes()).and_then(|node| node.as_int()), Some(number));
        }
    }
    if let Ok(texts) = from_bytes::<Vec<String>>(bytes, &LIMITS) {
        let list = document.root().as_list().expect("only a list decodes as one");
        assert!(list.iter().map(|node| node.as_str()).eq(texts.iter().map(|text| Some(text.as_str()))));
    }
    let _ = from_bytes::<Vec<Vec<i64>>>(bytes, &LIMITS);
    let _ = from_bytes::<i64>(bytes, &LIMITS);
}

/// The canonical encoding, written in the most obvious way. The scanner has bounded the depth.
fn encode(node: Node<'_, '_>, out: &mut Vec<u8>) {
    match node.kind() {
        Kind::Int => {
            let text = node.span().strip_prefix(b"i").and_then(|rest| rest.strip_suffix(b"e"));
            let text = std::str::from_utf8(text.expect("an integer")).expect("digits");
            let digits = text.trim_start_matches('-').trim_start_matches('0');
            let sign = if text.starts_with('-') && !digits.is_empty() { "-" } else { "" };
            let digits = if digits.is_empty() { "0" } else { digits };
            out.extend(format!("i{sign}{digits}e").bytes());
            assert!(node.as_int().is_some() || digits.len() >= 19, "{text} fits in 64 bits");
        }
        Kind::Bytes => encode_string(node.as_bytes().expect("a string"), out),
        Kind::List => {
            out.push(b'l');
            node.as_list().expect("a list").iter().for_each(|child| encode(child, out));
            out.push(b'e');
        }
        Kind::Dict => {
            let dict = node.as_dict().expect("a dictionary");
            let pairs: BTreeMap<_, _> = dict.iter().collect();
            assert_eq!(pairs.len(), dict.iter().count(), "no two keys are equal");
            out.push(b'd');
            for (key, value) in pairs {
                encode_string(key, out);
                encode(value, out);
            }
            out.push(b'e');
        }
    }
}

fn encode_string(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend(format!("{}:", bytes.len()).bytes());
    out.extend(bytes);
}
