//! Why the command table cannot be built. All of them are faults of the build, found by a test.

use thiserror::Error;

/// The embedded data and the policies do not make a table.
#[derive(Debug, Error)]
pub enum TableError {
    /// The data file is not JSON.
    #[error("the command data is not valid JSON")]
    Json(#[from] serde_json::Error),
    /// A part of the data file has an unexpected form.
    #[error("the command data has no valid `{part}` in `{command}`")]
    Form {
        /// The command whose entry is wrong.
        command: String,
        /// The wrong part.
        part: &'static str,
    },
    /// A command of the data file has no policy.
    #[error("command `{command}` has no policy")]
    NoPolicy {
        /// The command's name.
        command: String,
    },
    /// A policy names a command that the data file does not have.
    #[error("the policy of `{command}` belongs to no command")]
    NoCommand {
        /// The name in the policy table.
        command: String,
    },
    /// A command has two policies or two entries.
    #[error("command `{command}` is there twice")]
    Duplicate {
        /// The command's name.
        command: String,
    },
    /// More commands than a [`crate::CommandId`] can number.
    #[error("too many commands")]
    TooMany,
}
