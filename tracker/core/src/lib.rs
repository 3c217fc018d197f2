//! The swarm store.
