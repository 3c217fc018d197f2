//! The form of what the store keeps: a line that names the kind, the version and the digest, then JSON. What was torn or
//! changed is refused as a whole.

use potluck_common::hash::sha1;
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

/// The version of everything in the store; it grows when an older Potluck would misread it.
const VERSION: u32 = 1;

/// Why a file of the store is not believed. What is of a newer version, or whole but not understood, is not damaged.
#[derive(Debug, Error)]
pub(crate) enum EnvelopeError {
    #[error("it does not begin as a file of Potluck's list")]
    Header,
    #[error("it is of version {0}, which is newer than this Potluck")]
    Version(u32),
    #[error("its checksum does not hold")]
    Checksum,
    #[error("it cannot be understood: {0}")]
    Content(#[from] serde_json::Error),
}

/// The bytes to keep for `value`.
pub(crate) fn encode(kind: &str, value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let body = serde_json::to_vec(value)?;
    let mut bytes = header(kind, VERSION, &body).into_bytes();
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// What [`encode`] was given.
pub(crate) fn decode<T: DeserializeOwned>(kind: &str, bytes: &[u8]) -> Result<T, EnvelopeError> {
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or(EnvelopeError::Header)?;
    let (line, body) = (&bytes[..=end], &bytes[end + 1..]);
    let line = std::str::from_utf8(line).map_err(|_| EnvelopeError::Header)?;
    let version = line.strip_prefix(&format!("potluck-{kind} ")).and_then(|rest| rest.split(' ').next());
    let version = version.and_then(|number| number.parse().ok()).filter(|version| *version > 0);
    let version = version.ok_or(EnvelopeError::Header)?;
    if version > VERSION {
        return Err(EnvelopeError::Version(version));
    }
    if line != header(kind, version, body) {
        return Err(EnvelopeError::Checksum);
    }
    Ok(serde_json::from_slice(body)?)
}

fn header(kind: &str, version: u32, body: &[u8]) -> String {
    let digest = data_encoding::HEXLOWER.encode(&sha1(body));
    format!("potluck-{kind} {version} {digest}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_and_no_byte_of_it_may_differ() {
        let value = vec!["one".to_owned(), "two\n".to_owned()];
        let bytes = encode("words", &value).expect("encoded");
        assert_eq!(decode::<Vec<String>>("words", &bytes).expect("decoded"), value);
        assert!(matches!(decode::<Vec<String>>("deeds", &bytes), Err(EnvelopeError::Header)));
        for place in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[place] ^= 1 << bit;
                assert!(decode::<Vec<String>>("words", &damaged).is_err(), "byte {place}, bit {bit}");
            }
            assert!(decode::<Vec<String>>("words", &bytes[..place]).is_err(), "cut at {place}");
        }
    }

    #[test]
    fn a_newer_version_is_named() {
        let bytes = String::from_utf8(encode("words", &1).expect("encoded")).expect("text");
        let newer = bytes.replace("potluck-words 1 ", "potluck-words 7 ");
        assert!(matches!(decode::<u32>("words", newer.as_bytes()), Err(EnvelopeError::Version(7))));
    }
}
