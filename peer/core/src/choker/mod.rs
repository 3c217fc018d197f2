//! Whom to upload to.
