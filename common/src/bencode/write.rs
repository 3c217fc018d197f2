//! The canonical writer: what it writes, strict mode accepts.

/// The encoding of the dictionary that `build` fills.
pub fn encode_dict(build: impl FnOnce(&mut DictWriter<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    write_dict(&mut out, build);
    out
}

/// The encoding of the list that `build` fills.
pub fn encode_list(build: impl FnOnce(&mut ListWriter<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    write_list(&mut out, build);
    out
}

fn write_dict(out: &mut Vec<u8>, build: impl FnOnce(&mut DictWriter<'_>)) {
    out.push(b'd');
    build(&mut DictWriter { out, last_key: None });
    out.push(b'e');
}

fn write_list(out: &mut Vec<u8>, build: impl FnOnce(&mut ListWriter<'_>)) {
    out.push(b'l');
    build(&mut ListWriter { out });
    out.push(b'e');
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes.len().to_string().as_bytes());
    out.push(b':');
    out.extend_from_slice(bytes);
}

fn write_int(out: &mut Vec<u8>, value: i64) {
    out.push(b'i');
    out.extend_from_slice(value.to_string().as_bytes());
    out.push(b'e');
}

/// Writes the pairs of a dictionary, which must come in ascending order of their keys.
#[derive(Debug)]
pub struct DictWriter<'o> {
    out: &'o mut Vec<u8>,
    /// Where the latest key's content lies in `out`.
    last_key: Option<std::ops::Range<usize>>,
}

impl DictWriter<'_> {
    /// Writes a key.
    ///
    /// # Panics
    /// When it is not greater than the one before it: the order of keys is the caller's to know, never the input's.
    fn key(&mut self, key: &[u8]) -> &mut Vec<u8> {
        if let Some(last) = self.last_key.take() {
            assert!(self.out[last] < *key, "dictionary keys in ascending order: {}", key.escape_ascii());
        }
        write_bytes(self.out, key);
        self.last_key = Some(self.out.len() - key.len()..self.out.len());
        self.out
    }

    /// Writes a byte string under `key`.
    pub fn bytes(&mut self, key: &[u8], value: &[u8]) {
        write_bytes(self.key(key), value);
    }

    /// Writes an integer under `key`.
    pub fn int(&mut self, key: &[u8], value: i64) {
        write_int(self.key(key), value);
    }

    /// Writes a dictionary under `key`.
    pub fn dict(&mut self, key: &[u8], build: impl FnOnce(&mut DictWriter<'_>)) {
        write_dict(self.key(key), build);
    }

    /// Writes a list under `key`.
    pub fn list(&mut self, key: &[u8], build: impl FnOnce(&mut ListWriter<'_>)) {
        write_list(self.key(key), build);
    }

    /// Writes an already encoded value under `key`, as it is.
    pub fn raw(&mut self, key: &[u8], encoded: &[u8]) {
        self.key(key).extend_from_slice(encoded);
    }
}

/// Writes the values of a list.
#[derive(Debug)]
pub struct ListWriter<'o> {
    out: &'o mut Vec<u8>,
}

impl ListWriter<'_> {
    /// Writes a byte string.
    pub fn bytes(&mut self, value: &[u8]) {
        write_bytes(self.out, value);
    }

    /// Writes an integer.
    pub fn int(&mut self, value: i64) {
        write_int(self.out, value);
    }

    /// Writes a dictionary.
    pub fn dict(&mut self, build: impl FnOnce(&mut DictWriter<'_>)) {
        write_dict(self.out, build);
    }

    /// Writes a list.
    pub fn list(&mut self, build: impl FnOnce(&mut ListWriter<'_>)) {
        write_list(self.out, build);
    }

    /// Writes an already encoded value, as it is.
    pub fn raw(&mut self, encoded: &[u8]) {
        self.out.extend_from_slice(encoded);
    }
}
