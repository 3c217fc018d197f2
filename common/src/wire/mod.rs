//! The peer wire protocol's codec.
