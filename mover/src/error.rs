//! What can be wrong with an order about moves, by what the caller can do about it.

use thiserror::Error;

use crate::state_file::StateError;

/// An order about moves that is not carried out. Nothing has changed.
#[derive(Debug, Error)]
pub enum MoverError {
    /// The proxy has nowhere to keep the move.
    #[error(
        "slots cannot be moved without a folder that outlives the proxy: set `state_dir` and \
         start it again"
    )]
    NoStateDir,
    /// The order itself is wrong.
    #[error("{text}")]
    Request {
        /// What is wrong.
        text: String,
    },
    /// The servers or the proxies are not as they must be.
    #[error("{text}")]
    Unfit {
        /// What is not as it must be, and what to do.
        text: String,
    },
    /// Too many moves wait.
    #[error("{0} moves are waiting already: cancel one, or wait")]
    Full(usize),
    /// There is no such move.
    #[error("there is no move `{0}`")]
    Unknown(u64),
    /// The move has ended.
    #[error("move `{0}` has ended")]
    Ended(u64),
    /// What must be kept could not be.
    #[error(transparent)]
    State(#[from] StateError),
}
