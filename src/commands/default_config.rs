//! `--default-config`: prints a commented configuration file.

use crate::output::{self, Failure};

/// Prints the file.
pub(crate) fn run() -> Result<(), Failure> {
    Ok(output::print(config::default_file().as_bytes())?)
}
