//! Why a connection to a backend ended, and what its requests are told.

use std::fmt;

use crate::client_error::RequestFailure;

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum Loss {
    /// The backend closed it.
    Closed,
    /// The socket failed.
    Io(std::io::Error),
    /// A reply or a write was overdue.
    Timeout,
    /// What came was no reply, or a reply that nobody waits for.
    Garbled(String),
}

impl Loss {
    /// The failure of a request that was sent.
    pub(super) fn to_failure(&self) -> RequestFailure {
        match self {
            Self::Closed | Self::Io(_) => RequestFailure::BackendLost,
            Self::Timeout => RequestFailure::BackendTimeout,
            Self::Garbled(_) => RequestFailure::BackendGarbled,
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed by the backend"),
            Self::Io(error) => error.fmt(f),
            Self::Timeout => f.write_str("a reply or a write was overdue"),
            Self::Garbled(what) => write!(f, "malformed reply: {what}"),
        }
    }
}
