//! What every coordinator promises, checked on each of them: in memory, in a directory, on a real
//! ZooKeeper and a real etcd.
//!
//! The checks of [`nodes`] and [`sessions`] are the same for all; each adaptor has a [`World`] in
//! which it can be connected to and frozen. What only one of them can show is in `zookeeper` and `etcd`.

#![cfg(test)]

use std::time::Duration;

use coordinator::Coordinator;
use coordinator::NodePath;
use coordinator::Timeouts;

#[cfg(feature = "etcd")]
mod etcd;
mod nodes;
mod server;
mod sessions;
mod worlds;
mod zookeeper;

use worlds::DirectoryWorld;
use worlds::MemoryWorld;

/// How long anything may take that has to happen; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// Time limits with which nothing ends by itself.
const CALM: Timeouts = Timeouts {
    connect: Duration::from_secs(20),
    call: Duration::from_secs(10),
    session: Duration::from_secs(10),
};

/// A coordinator with its surroundings.
trait World {
    /// A new session.
    async fn connect(&self, timeouts: Timeouts) -> Box<dyn Coordinator>;

    /// Lets no call be answered.
    fn freeze(&self);

    /// Ends that.
    fn thaw(&self);
}

fn path(text: &str) -> NodePath {
    NodePath::new(text).unwrap()
}

/// Waits for what has to happen.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

#[tokio::test]
async fn memory_keeps_the_rules_of_nodes() {
    nodes::check(&MemoryWorld::default()).await;
}

#[tokio::test]
async fn memory_keeps_the_rules_of_sessions() {
    sessions::check(&MemoryWorld::default()).await;
}

#[tokio::test]
async fn a_directory_keeps_the_rules_of_nodes() {
    nodes::check(&DirectoryWorld::new()).await;
}

#[tokio::test]
async fn a_directory_keeps_the_rules_of_sessions() {
    sessions::check(&DirectoryWorld::new()).await;
}
