//! Percent escapes over raw bytes: info-hashes and peer ids are no text, so no string type will do.

/// Appends `bytes` in percent encoding; only the unreserved characters of RFC 3986 stay as they are.
pub(super) fn escape_into(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

/// The raw bytes that `text` stands for, or `None` when a `%` is not followed by two hexadecimal digits. A `+`
/// stands for itself: info-hashes are not HTML forms.
pub(super) fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'%' {
            let (&[high, low], tail) = tail.split_first_chunk()?;
            bytes.push(digit(high)? << 4 | digit(low)?);
            rest = tail;
        } else {
            bytes.push(byte);
            rest = tail;
        }
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_cases_are_read_and_broken_escapes_are_not() {
        assert_eq!(unescape(b"a%2f%2Fb+").unwrap(), b"a//b+");
        for broken in ["%", "%2", "%zz", "%2g", "a%%20", "%+1"] {
            assert_eq!(unescape(broken.as_bytes()), None, "{broken}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_round_trip(bytes: Vec<u8>) {
            let mut text = String::new();
            escape_into(&mut text, &bytes);
            prop_assert_eq!(unescape(text.as_bytes()).unwrap(), bytes);
        }
    }
}
