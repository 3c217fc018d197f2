//! Bencode: a bounded scanner, a typed decoder behind it, and a canonical writer.
