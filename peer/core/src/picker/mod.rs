//! Which block to ask of whom.
