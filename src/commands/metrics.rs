//! `keyway metrics --describe`: prints the document of the metrics.

use crate::output::{self, Failure};

/// Prints it.
pub(crate) fn run() -> Result<(), Failure> {
    Ok(output::print(web::describe_metrics().as_bytes())?)
}
