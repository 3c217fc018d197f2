//! The program that is measured.

use std::{path::PathBuf, process::Command};

use crate::Outcome;

/// The program of this workspace, freshly built.
pub(crate) fn built() -> Outcome<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--package", "potluck", "--bin", "potluck"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()?;
    // This program is `TARGET/release/deps/NAME-…`.
    let program = std::env::current_exe()?.ancestors().nth(2).map(|folder| folder.join("potluck"));
    program.filter(|program| built.success() && program.is_file()).ok_or_else(|| {
        "no `potluck` beside this bench: build it with `cargo build --release`, or name it with --potluck"
            .into()
    })
}
