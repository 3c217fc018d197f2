//! Nodes that talk to each other in virtual time, and each part alone.

mod answering;
mod hostile;
mod leg;
mod named;
mod network;
mod scene;
mod table;
mod world;
