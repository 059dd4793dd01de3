//! Connecting to a coordinator by the name of its kind, as settings have it.

use std::fmt;
use std::sync::Arc;

use crate::Coordinator;
use crate::CoordinatorError;
use crate::Timeouts;
use crate::ZooKeeper;

/// The kind of a coordinator that is a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// ZooKeeper.
    ZooKeeper,
    /// etcd, version 3 of its API.
    Etcd,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ZooKeeper => "zookeeper",
            Self::Etcd => "etcd",
        })
    }
}

/// Begins a session with the coordinator at `host:port,host:port`. Credentials are `user:password`.
///
/// # Errors
///
/// It cannot be reached in time, it refuses the credentials, or this program was built without it.
pub async fn connect(
    kind: Kind,
    addrs: &str,
    credentials: Option<&str>,
    timeouts: Timeouts,
) -> Result<Arc<dyn Coordinator>, CoordinatorError> {
    match kind {
        Kind::ZooKeeper => Ok(Arc::new(ZooKeeper::connect(addrs, credentials, timeouts).await?)),
        #[cfg(feature = "etcd")]
        Kind::Etcd => Ok(Arc::new(crate::Etcd::connect(addrs, credentials, timeouts).await?)),
        #[cfg(not(feature = "etcd"))]
        Kind::Etcd => Err(CoordinatorError::Unreachable {
            at: addrs.to_owned(),
            cause: "this program was built without etcd, see the feature `etcd`".to_owned(),
        }),
    }
}
