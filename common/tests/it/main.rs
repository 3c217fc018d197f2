//! The integration tests of the shared vocabulary: the sample torrents of the repository.

mod generate;
mod hostile;
mod manifest;
#[cfg(target_os = "linux")]
mod memory;
mod samples;
