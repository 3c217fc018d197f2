//! SHA-1 and SHA-256, behind one door so that a faster implementation can take the place of the crates.

/// [`Sha1`] of many equally long messages at once, and for how many at once that is made on this processor.
pub use potluck_sha1_lanes::{Sha1Lanes, lanes as sha1_lanes, sha1_many};
use sha1::Digest as _;

/// A SHA-1 digest.
pub type Sha1Digest = [u8; 20];
/// A SHA-256 digest.
pub type Sha256Digest = [u8; 32];

/// SHA-1 of `bytes`.
pub fn sha1(bytes: &[u8]) -> Sha1Digest {
    sha1::Sha1::digest(bytes).into()
}

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> Sha256Digest {
    sha2::Sha256::digest(bytes).into()
}

/// An incremental SHA-1: a piece is hashed block by block while each is still in the processor's cache.
#[derive(Clone, Default, Debug)]
pub struct Sha1(sha1::Sha1);

impl Sha1 {
    /// A hasher of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `bytes` to what is hashed.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was appended.
    pub fn finish(self) -> Sha1Digest {
        self.0.finalize().into()
    }
}

/// An incremental SHA-256.
#[derive(Clone, Default, Debug)]
pub struct Sha256(sha2::Sha256);

impl Sha256 {
    /// A hasher of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `bytes` to what is hashed.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was appended.
    pub fn finish(self) -> Sha256Digest {
        self.0.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    #[test]
    fn published_vectors() {
        // FIPS 180-4, message "abc".
        assert_eq!(HEXLOWER.encode(&sha1(b"abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(
            HEXLOWER.encode(&sha256(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let mut parts = Sha1::new();
        parts.update(b"a");
        parts.update(b"bc");
        assert_eq!(parts.finish(), sha1(b"abc"));
    }
}
