//! Tables and properties of the bencode module.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

const LENIENT: Limits = Limits::lenient(5, 1_000, 10_000);
const STRICT: Limits = LENIENT.strict();

/// A value as an owned tree, to compare with.
#[derive(Clone, PartialEq, Debug)]
enum Value {
    Int(i64),
    Bytes(Vec<u8>),
    List(Vec<Self>),
    Dict(BTreeMap<Vec<u8>, Self>),
}

impl Value {
    fn of(node: Node<'_, '_>) -> Self {
        match node.kind() {
            Kind::Int => Self::Int(node.as_int().expect("the tests' integers fit")),
            Kind::Bytes => Self::Bytes(node.as_bytes().expect("bytes").to_vec()),
            Kind::List => Self::List(node.as_list().expect("a list").iter().map(Self::of).collect()),
            Kind::Dict => {
                let pairs = node.as_dict().expect("a dictionary").iter();
                Self::Dict(pairs.map(|(key, value)| (key.to_vec(), Self::of(value))).collect())
            }
        }
    }

    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Int(value) => format!("i{value}e").into_bytes(),
            Self::Bytes(bytes) => [bytes.len().to_string().as_bytes(), b":", bytes].concat(),
            Self::List(values) => encode_list(|out| values.iter().for_each(|value| out.raw(&value.encode()))),
            Self::Dict(pairs) => {
                encode_dict(|out| pairs.iter().for_each(|(key, value)| out.raw(key, &value.encode())))
            }
        }
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..12);
    let leaf = prop_oneof![any::<i64>().prop_map(Value::Int), bytes().prop_map(Value::Bytes)];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
            proptest::collection::btree_map(bytes(), inner, 0..6).prop_map(Value::Dict),
        ]
    })
}

/// Bytes that are nearly bencode: valid ones with a few bytes replaced, removed or repeated.
fn nearly_valid() -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<prop::sample::Index>(), prop::sample::select(&b"0123456789:ilde-\n\xff"[..]), 0..3u8);
    (any_value(), proptest::collection::vec(edit, 0..4)).prop_map(|(value, edits)| {
        let mut bytes = value.encode();
        for (place, byte, how) in edits.into_iter().filter(|_| !bytes.is_empty()).collect::<Vec<_>>() {
            let place = place.index(bytes.len());
            match how {
                0 => bytes[place] = byte,
                1 => bytes.insert(place, byte),
                _ if bytes.len() > 1 => drop(bytes.remove(place)),
                _ => {}
            }
        }
        bytes
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(value in any_value()) {
        let bytes = value.encode();
        for limits in [STRICT, LENIENT] {
            let document = parse(&bytes, &limits).expect("valid");
            prop_assert_eq!(document.root().span(), &bytes[..]);
            prop_assert_eq!(Value::of(document.root()), value.clone());
        }
        let mut longer = bytes.clone();
        longer.extend_from_slice(b"d payload");
        let (document, consumed) = parse_prefix(&longer, &STRICT).expect("valid");
        prop_assert_eq!(consumed, bytes.len());
        prop_assert_eq!(document.root().range(), 0..bytes.len());
    }

    #[test]
    fn strict_accepts_only_what_the_writer_writes(bytes in nearly_valid()) {
        if let Ok(document) = parse(&bytes, &STRICT) {
            if all_integers_fit(document.root()) {
                prop_assert_eq!(Value::of(document.root()).encode(), bytes.clone());
            }
            prop_assert!(parse(&bytes, &LENIENT).is_ok());
        }
    }

    #[test]
    fn the_check_without_a_table_agrees_with_strict_mode(bytes in nearly_valid()) {
        if let Ok((document, _)) = parse_prefix(&bytes, &LENIENT) {
            let value = document.root().span();
            let strict = parse(value, &STRICT).map(|_| ());
            prop_assert_eq!(check_canonical(value, LENIENT), strict);
        }
    }

    #[test]
    fn errors_point_into_the_input(bytes in nearly_valid()) {
        for limits in [STRICT, LENIENT] {
            if let Err(error) = parse(&bytes, &limits) {
                prop_assert!(error.position <= bytes.len(), "{}", error);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for limits in [STRICT, LENIENT] {
            let _ = parse(&bytes, &limits);
            if let Ok((document, consumed)) = parse_prefix(&bytes, &limits) {
                prop_assert_eq!(document.root().span(), &bytes[..consumed]);
            }
        }
    }
}

fn all_integers_fit(node: Node<'_, '_>) -> bool {
    match node.kind() {
        Kind::Int => node.as_int().is_some(),
        Kind::Bytes => true,
        Kind::List => node.as_list().expect("a list").iter().all(all_integers_fit),
        Kind::Dict => node.as_dict().expect("a dictionary").iter().all(|(_, value)| all_integers_fit(value)),
    }
}

#[test]
fn row_1_10_malformed_input_names_place_and_kind() {
    use ErrorKind::*;
    type Outcome = Option<(usize, ErrorKind)>;
    let deep = [vec![b'l'; 6], vec![b'e'; 6]].concat();
    // Input, then what lenient and strict mode say: `None` is acceptance.
    let cases: &[(&[u8], Outcome, Outcome)] = &[
        (b"i-5e", None, None),
        (b"0:", None, None),
        (b"le", None, None),
        (b"de", None, None),
        (b"i99999999999999999999999e", None, None),
        (b"d1:\xff1:ae", None, None),
        // Accepted from others, never written.
        (b"i-0e", None, Some((0, IntegerNotCanonical))),
        (b"i007e", None, Some((0, IntegerNotCanonical))),
        (b"i-05e", None, Some((0, IntegerNotCanonical))),
        (b"01:a", None, Some((0, LengthNotCanonical))),
        (b"d1:b0:1:a0:e", None, Some((6, KeysUnsorted))),
        (b"le\r\n", None, Some((2, TrailingData))),
        // Refused from everybody.
        (b"", Some((0, UnexpectedEnd)), Some((0, UnexpectedEnd))),
        (b"i+5e", Some((0, Integer)), Some((0, Integer))),
        (b"ie", Some((0, Integer)), Some((0, Integer))),
        (b"i-e", Some((0, Integer)), Some((0, Integer))),
        (b"i1.5e", Some((0, Integer)), Some((0, Integer))),
        (b"i5", Some((0, UnexpectedEnd)), Some((0, UnexpectedEnd))),
        (b"5", Some((0, UnexpectedEnd)), Some((0, UnexpectedEnd))),
        (b"5:abcd", Some((0, StringPastEnd)), Some((0, StringPastEnd))),
        (b"5;abcde", Some((0, Length)), Some((0, Length))),
        (b"18446744073709551615:a", Some((0, StringPastEnd)), Some((0, StringPastEnd))),
        (b"18446744073709551617:a", Some((0, StringPastEnd)), Some((0, StringPastEnd))),
        (b"99999999999999999999999:a", Some((0, StringPastEnd)), Some((0, StringPastEnd))),
        (b"-1:a", Some((0, UnexpectedByte(b'-'))), Some((0, UnexpectedByte(b'-')))),
        (b"x", Some((0, UnexpectedByte(b'x'))), Some((0, UnexpectedByte(b'x')))),
        (b"e", Some((0, UnexpectedByte(b'e'))), Some((0, UnexpectedByte(b'e')))),
        (b"l", Some((1, UnexpectedEnd)), Some((1, UnexpectedEnd))),
        (b"d1:ae", Some((4, ValueMissing)), Some((4, ValueMissing))),
        (b"di1ei2ee", Some((1, KeyNotString)), Some((1, KeyNotString))),
        (b"dlei2ee", Some((1, KeyNotString)), Some((1, KeyNotString))),
        (b"d1:a0:1:a0:e", Some((6, KeyDuplicate)), Some((6, KeyDuplicate))),
        (b"d1:b0:1:a0:1:b0:e", Some((11, KeyDuplicate)), Some((6, KeysUnsorted))),
        (b"lelele", Some((2, TrailingData)), Some((2, TrailingData))),
        (b"i1e x", Some((3, TrailingData)), Some((3, TrailingData))),
        (&deep, Some((5, Depth(5))), Some((5, Depth(5)))),
    ];
    for (input, lenient, strict) in cases {
        for (limits, expected) in [(LENIENT, lenient), (STRICT, strict)] {
            let outcome = parse(input, &limits).err().map(|error| (error.position, error.kind));
            assert_eq!(outcome, *expected, "{} {:?}", input.escape_ascii(), limits.mode);
        }
    }
}

#[test]
fn row_1_10_limits_are_exact() {
    let list = encode_list(|out| (0..999).for_each(|_| out.int(0)));
    assert!(parse(&list, &LENIENT).is_ok());
    let fewer = Limits { tokens: 999, ..LENIENT };
    assert_eq!(parse(&list, &fewer).expect_err("one too many").kind, ErrorKind::Tokens(999));
    let exact = Limits { bytes: list.len(), ..LENIENT };
    assert!(parse(&list, &exact).is_ok());
    assert!(parse(&[&list[..], b"\n"].concat(), &exact).is_ok());
    let shorter = Limits { bytes: list.len() - 1, ..LENIENT };
    for error in [parse(&list, &shorter).err(), parse_prefix(&list, &shorter).err()] {
        let position = list.len() - 1;
        assert_eq!(error, Some(BencodeError { position, kind: ErrorKind::Bytes(position) }));
    }
}

#[test]
fn row_1_10_deep_and_wide_input_ends_without_recursion() {
    let deep = vec![b'l'; 4 * 1024 * 1024];
    let error = parse(&deep, &Limits::METAINFO).expect_err("too deep");
    assert_eq!(error.kind, ErrorKind::Depth(100));
    let unbounded = Limits { depth: usize::MAX, tokens: usize::MAX, ..Limits::METAINFO };
    let nested = [vec![b'l'; 200_000], vec![b'e'; 200_000]].concat();
    assert!(parse(&nested, &unbounded).is_ok());
    let wide = [b"l".to_vec(), b"0:".repeat(3_000_000), b"e".to_vec()].concat();
    assert_eq!(parse(&wide, &Limits::METAINFO).expect_err("too many").kind, ErrorKind::Tokens(3_000_000));
}

#[test]
fn equal_keys_are_found_among_many_unsorted_ones() {
    let unsorted = (0..100_000).rev().map(|key| format!("6:{key:06}0:")).collect::<Vec<_>>().concat();
    let without = format!("d{unsorted}e");
    assert!(parse(without.as_bytes(), &Limits::METAINFO).is_ok());
    let with = format!("d{unsorted}6:0777770:e");
    let error = parse(with.as_bytes(), &Limits::METAINFO).expect_err("a duplicate");
    assert_eq!(error, BencodeError { position: with.len() - 11, kind: ErrorKind::KeyDuplicate });
}

#[test]
fn the_cursor_reads_what_is_there() {
    let bytes = b"d1:bi-42e1:al3:\xff\xfe\xfd4:textd0:i1eee4:hugei9223372036854775808ee";
    let document = parse(bytes, &LENIENT).expect("valid");
    let root = document.root();
    assert_eq!(root.get(b"b").and_then(|node| node.as_int()), Some(-42));
    assert_eq!(root.get(b"huge").map(|node| (node.kind(), node.as_int())), Some((Kind::Int, None)));
    assert!(root.get(b"c").is_none() && root.as_list().is_none() && root.as_bytes().is_none());
    let list: Vec<_> = root.get(b"a").and_then(|node| node.as_list()).expect("a list").iter().collect();
    assert_eq!((list[0].as_bytes(), list[0].as_str()), (Some(&b"\xff\xfe\xfd"[..]), None));
    assert_eq!(list[1].as_str(), Some("text"));
    assert_eq!(list[2].span(), b"d0:i1ee");
    assert_eq!(list[2].range(), 24..31);
    assert_eq!(list[2].get(b"").and_then(|node| node.as_int()), Some(1));
    assert_eq!(list.len(), 3);
}

#[derive(Debug, PartialEq, Deserialize)]
struct Typed {
    #[serde(default)]
    a: Option<i64>,
    #[serde(with = "serde_bytes")]
    b: Vec<u8>,
}

#[test]
fn typed_decoding_stays_behind_the_scanner() {
    let typed = Typed { a: Some(7), b: b"\xff".to_vec() };
    assert_eq!(from_bytes::<Typed>(b"d1:ai7e1:b1:\xffe", &LENIENT).expect("valid"), typed);
    assert!(matches!(from_bytes::<Typed>(b"d1:ai7e1:b1:\xffe!", &LENIENT), Err(DecodeError::Bencode(_))));
    assert!(matches!(from_bytes::<Typed>(b"d1:ai7ee", &LENIENT), Err(DecodeError::Shape(_))));
}

#[test]
fn known_keys_decode_whatever_stands_beside_them() {
    let wanted: &[Wanted] = &[("a", Kind::Int), ("b", Kind::Bytes)];
    let cases: &[(&[u8], Option<Option<i64>>)] = &[
        (b"d1:b1:\xff1:ai7ee", Some(Some(7))),
        (b"d1:ai7e1:b1:\xff1:zi99999999999999999999ee", Some(Some(7))),
        (b"d1:ai7e1:b1:\xff2:\xff\xff0:e", Some(Some(7))),
        (b"d1:ai99999999999999999999e1:b1:\xffe", Some(None)),
        (b"d1:ale1:b1:\xffe", Some(None)),
        (b"d1:ai7e1:bi1ee", None),
    ];
    for (input, expected) in cases {
        let document = parse(input, &LENIENT).expect("valid");
        let dict = document.root().as_dict().expect("a dictionary");
        let outcome = decode_known::<Typed>(&dict, wanted).ok();
        let expected = expected.map(|a| Typed { a, b: b"\xff".to_vec() });
        assert_eq!(outcome, expected, "{}", input.escape_ascii());
    }
}

#[test]
fn the_writer_is_canonical() {
    let bytes = encode_dict(|out| {
        out.bytes(b"bytes", b"\0\xff");
        out.dict(b"dict", |out| out.int(b"", i64::MIN));
        out.list(b"list", |out| {
            out.bytes(b"");
            out.list(|_| ());
            out.dict(|_| ());
            out.raw(b"i0e");
        });
    });
    assert_eq!(bytes, b"d5:bytes2:\0\xff4:dictd0:i-9223372036854775808ee4:listl0:ledei0eee");
    assert!(parse(&bytes, &STRICT).is_ok());
}

#[test]
#[should_panic(expected = "ascending order")]
fn the_writer_refuses_unsorted_keys() {
    encode_dict(|out| {
        out.int(b"b", 1);
        out.int(b"a", 1);
    });
}
