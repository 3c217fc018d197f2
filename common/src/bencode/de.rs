//! Typed decoding through `serde_bencode`, behind the scanner.

use serde::de::DeserializeOwned;
use thiserror::Error;

use super::{BencodeError, Dict, Kind, Limits, parse, write::encode_dict};

/// Why bytes did not become a typed value.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// They are no bencoded value within the limits.
    #[error(transparent)]
    Bencode(#[from] BencodeError),
    /// The value has another shape.
    #[error("unexpected structure: {0}")]
    Shape(#[from] serde_bencode::Error),
}

/// Scans `bytes` within `limits` and decodes them into a `T`.
///
/// For values whose sender is known to write no surprises: `serde_bencode` rejects the whole input for an integer
/// outside 64 bits or a key that is not UTF-8, even where `T` does not look. [`decode_known`] does not.
pub fn from_bytes<T: DeserializeOwned>(bytes: &[u8], limits: &Limits) -> Result<T, DecodeError> {
    let document = parse(bytes, limits)?;
    Ok(serde_bencode::from_bytes(document.root().span())?)
}

/// A dictionary key that a typed value has a field for, and the kind of value the field takes.
pub type Wanted = (&'static str, Kind);

/// Decodes into a `T` those pairs of `dict` that are `wanted` (in sorted order); everything else, also a value of
/// another kind or an integer outside 64 bits, is left out as if it were absent.
pub fn decode_known<T: DeserializeOwned>(dict: &Dict<'_, '_>, wanted: &[Wanted]) -> Result<T, DecodeError> {
    let mut found = vec![None; wanted.len()];
    for (key, value) in dict.iter() {
        let place = wanted.binary_search_by(|(name, _)| name.as_bytes().cmp(key));
        let fits = |kind| value.kind() == kind && (kind != Kind::Int || value.as_int().is_some());
        if let Ok(place) = place.as_ref().copied()
            && fits(wanted[place].1)
        {
            found[place] = Some(value);
        }
    }
    let selected = encode_dict(|out| {
        for ((name, _), value) in wanted.iter().zip(&found) {
            if let Some(value) = value {
                out.raw(name.as_bytes(), value.span());
            }
        }
    });
    Ok(serde_bencode::from_bytes(&selected)?)
}
