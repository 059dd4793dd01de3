//! Many calls that are under way at the same time: a product has a thousand slots.
//!
//! Bounds: [`CALLS_AT_ONCE`] calls.

use zookeeper_client as zk;

use super::{Access, ZooKeeperClient, acl_of};

/// Calls of a group that are under way at the same time.
const CALLS_AT_ONCE: usize = 1000;

impl ZooKeeperClient {
    /// Creates many files that stay, without waiting for each.
    ///
    /// # Panics
    /// When one of them cannot be created.
    pub fn create_many(&self, nodes: impl Iterator<Item = (String, String)>) {
        let acls = [acl_of(Access::File)];
        let options = zk::CreateMode::Persistent.with_acls(zk::Acls::new(&acls));
        let nodes: Vec<(String, String)> = nodes.collect();
        for nodes in nodes.chunks(CALLS_AT_ONCE) {
            self.timed(async {
                // A call is sent when it is made, not when it is awaited.
                let calls: Vec<_> = nodes
                    .iter()
                    .map(|(path, data)| (path, self.client.create(path, data.as_bytes(), &options)))
                    .collect();
                for (path, call) in calls {
                    call.await.unwrap_or_else(|error| panic!("create {path}: {error}"));
                }
            });
        }
    }

    /// What many nodes contain, in order; `None` for those that are not there.
    ///
    /// # Panics
    /// When one of them cannot be read.
    #[must_use]
    pub fn data_of_many(&self, paths: impl Iterator<Item = String>) -> Vec<Option<String>> {
        let paths: Vec<String> = paths.collect();
        let read = |paths: &[String]| {
            self.timed(async {
                let calls: Vec<_> = paths.iter().map(|path| self.client.get_data(path)).collect();
                let mut contents = Vec::with_capacity(calls.len());
                for (path, call) in paths.iter().zip(calls) {
                    contents.push(match call.await {
                        Ok((data, _)) => Some(String::from_utf8_lossy(&data).into_owned()),
                        Err(zk::Error::NoNode) => None,
                        Err(error) => panic!("read {path}: {error}"),
                    });
                }
                contents
            })
        };
        paths.chunks(CALLS_AT_ONCE).flat_map(read).collect()
    }
}
