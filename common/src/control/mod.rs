//! The control contract: plain snapshots of the engine and the events it reports.
