//! What can be wrong with an address or an assignment, by what the caller can do about it.

use thiserror::Error;

/// An address or an assignment that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RoutingError {
    /// The text is not `host:port`.
    #[error("`{text}` is not an address, expected host:port with a port from 1 to 65535")]
    Address {
        /// What was given.
        text: String,
    },
    /// An assignment named a slot that does not exist.
    #[error("slot `{number}` does not exist, slots are numbered 0 to 1023")]
    SlotNumber {
        /// The number that was given.
        number: i64,
    },
    /// The slots cannot be spread over no backend.
    #[error("no backend was given")]
    NoBackend,
    /// An assignment came late: the table already holds a newer epoch.
    #[error("epoch `{given}` is older than the table's epoch `{current}`")]
    StaleEpoch {
        /// The epoch of the refused change.
        given: u64,
        /// The epoch of the table.
        current: u64,
    },
}
