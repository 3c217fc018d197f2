//! Nodes that talk to each other in virtual time, and each part alone.

mod network;
mod world;
