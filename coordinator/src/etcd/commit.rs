//! Changes in etcd: read, try, write if nothing has changed in the meantime.
//!
//! ```text
//!   read what the changes are about, at one revision
//!      └─► try them on a copy ──► impossible: that is the answer
//!             └─► write, on condition that what was read is still so ──► done
//!                    └─► it is not: from the beginning
//! ```
//!
//! Bound: the call's time limit ends the attempts.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use etcd_client::Compare;
use etcd_client::CompareOp;
use etcd_client::GetOptions;
use etcd_client::KeyValue;
use etcd_client::PutOptions;
use etcd_client::Txn;
use etcd_client::TxnOp;

use super::Connection;
use super::keys;
use crate::Change;
use crate::CoordinatorError;
use crate::NodePath;
use crate::tree::Known;
use crate::tree::SessionId;
use crate::tree::Tree;

/// What the changes are about, as it was read.
struct Copy {
    revision: i64,
    tree: Tree,
    /// The nodes that were read, with the revision that has last changed each; 0 when there is
    /// none.
    nodes: BTreeMap<NodePath, i64>,
    /// The counters that were read, likewise.
    counters: BTreeMap<NodePath, i64>,
}

impl Connection {
    /// Makes the changes as one.
    pub(super) async fn commit(
        &self,
        changes: &[Change],
    ) -> Result<Vec<NodePath>, CoordinatorError> {
        let mut attempt = 0;
        loop {
            let copy = self.copy(changes, attempt).await?;
            let mut tried = copy.tree.clone();
            let paths = tried.apply(changes, owner(self.lease).unwrap_or_default())?;
            let transaction = self.transaction(changes, &paths, &copy, &tried)?;
            let answer = self.client.clone().txn(transaction).await;
            let answer = answer.map_err(|error| {
                let first =
                    changes.first().map_or_else(NodePath::root, |first| first.path().clone());
                self.fault(&error, "change", &first)
            })?;
            if answer.succeeded() {
                return Ok(paths);
            }
            attempt += 1;
        }
    }

    /// Reads the nodes of the changes, their parents, what is below those to delete, and counters.
    async fn copy(&self, changes: &[Change], attempt: u64) -> Result<Copy, CoordinatorError> {
        let nodes: Vec<NodePath> = touched(changes).into_iter().collect();
        let parents: Vec<NodePath> = sequential_parents(changes).into_iter().collect();
        let deleted = changes.iter().filter_map(|change| match change {
            Change::Delete { path, .. } => Some(path),
            _ => None,
        });
        // One more than could be deleted along with it.
        let limit = i64::try_from(changes.len()).unwrap_or(i64::MAX - 1) + 1;
        let below = deleted.map(|path| (path.prefix(), Some(keys().with_limit(limit))));
        let mut ranges: Vec<(String, Option<GetOptions>)> =
            nodes.iter().map(|path| (path.as_str().to_owned(), None)).collect();
        ranges.extend(parents.iter().map(|parent| (counter(parent), None)));
        ranges.extend(below);

        let first = changes.first().map_or_else(NodePath::root, |first| first.path().clone());
        let (revision, found) = self.ranges(ranges, "change", &first).await?;
        let mut found = found.into_iter();
        let mut copy = Copy {
            revision,
            tree: Tree::default(),
            nodes: BTreeMap::new(),
            counters: BTreeMap::new(),
        };
        for path in nodes {
            let kv = found.next().and_then(|kvs| kvs.into_iter().next());
            if let Some(kv) = &kv {
                copy.tree.learn(&path, known(kv));
            }
            copy.nodes.insert(path, kv.map_or(0, |kv| kv.mod_revision()));
        }
        for parent in parents {
            let kv = found.next().and_then(|kvs| kvs.into_iter().next());
            let count = kv.as_ref().and_then(|kv| kv.value_str().ok()?.parse().ok()).unwrap_or(0);
            copy.counters.insert(parent.clone(), kv.map_or(0, |kv| kv.mod_revision()));
            if let Some(mut known) = copy.tree.known(&parent) {
                // A number may be taken by a node that somebody has named so.
                known.children_ever = count + attempt;
                copy.tree.learn(&parent, known);
            }
        }
        for kv in found.flatten() {
            let path = kv.key_str().ok().and_then(|key| NodePath::new(key).ok());
            if let Some(path) = path.filter(|path| copy.tree.known(path).is_none()) {
                copy.tree.learn(&path, known(&kv));
            }
        }
        Ok(copy)
    }

    /// What has to be written so that the copy's tree becomes the one that was tried.
    fn transaction(
        &self,
        changes: &[Change],
        paths: &[NodePath],
        copy: &Copy,
        tried: &Tree,
    ) -> Result<Txn, CoordinatorError> {
        let mut conditions: Vec<_> =
            copy.nodes.iter().map(|(path, read)| unchanged(path.as_str(), *read)).collect();
        conditions
            .extend(copy.counters.iter().map(|(path, read)| unchanged(&counter(path), *read)));
        let mut writes = Vec::new();
        let named: BTreeSet<_> = copy.nodes.keys().chain(paths).collect();
        for path in named {
            if !copy.nodes.contains_key(path) {
                // Named by the counter, and so not read before.
                conditions.push(unchanged(path.as_str(), 0));
            }
            match (copy.tree.known(path), tried.known(path)) {
                (None, Some(new)) => {
                    let options = match new.owner {
                        Some(_) => PutOptions::new().with_lease(self.lease),
                        None => PutOptions::new(),
                    };
                    writes.push(TxnOp::put(path.as_str(), new.data, Some(options)));
                }
                (Some(old), Some(new)) if new.created != old.created => {
                    let cause =
                        format!("etcd cannot delete and create `{path}` in one transaction");
                    return Err(CoordinatorError::Broken { cause });
                }
                (Some(old), Some(new)) if new.version != old.version => {
                    // The root has no key, and nothing should hang on it.
                    if path == &NodePath::root() {
                        return Err(CoordinatorError::Denied { path: path.clone() });
                    }
                    // A session's node stays its session's, whoever writes it.
                    let options = PutOptions::new().with_ignore_lease();
                    writes.push(TxnOp::put(path.as_str(), new.data, Some(options)));
                }
                (Some(_), None) => {
                    conditions.push(
                        Compare::mod_revision(path.prefix(), CompareOp::Less, copy.revision + 1)
                            .with_prefix(),
                    );
                    writes.push(TxnOp::delete(path.as_str(), None));
                    writes.push(TxnOp::delete(counter(path), None));
                }
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
        for parent in sequential_parents(changes) {
            if let Some(known) = tried.known(&parent) {
                writes.push(TxnOp::put(counter(&parent), known.children_ever.to_string(), None));
            }
        }
        Ok(Txn::new().when(conditions).and_then(writes))
    }
}

/// The condition that a key has not been changed since this revision.
fn unchanged(key: &str, read: i64) -> Compare {
    Compare::mod_revision(key, CompareOp::Equal, read)
}

/// The key of the number of the next sequential child.
fn counter(parent: &NodePath) -> String {
    format!("sequence:{parent}")
}

fn sequential_parents(changes: &[Change]) -> BTreeSet<NodePath> {
    let parents = changes.iter().filter_map(|change| match change {
        Change::CreateSequential { parent, .. } => Some(parent.clone()),
        _ => None,
    });
    parents.collect()
}

/// The nodes that the changes name, and the parents of those to create.
fn touched(changes: &[Change]) -> BTreeSet<NodePath> {
    let mut touched = BTreeSet::new();
    for change in changes {
        touched.insert(change.path().clone());
        if let Change::Create { path, .. } | Change::Delete { path, .. } = change {
            touched.extend(path.parent());
        }
    }
    touched
}

fn known(kv: &KeyValue) -> Known {
    Known {
        data: kv.value().to_vec(),
        version: kv.version() - 1,
        created: kv.create_revision(),
        owner: owner(kv.lease()),
        children_ever: 0,
    }
}

/// A lease as the number of a session; 0 is none.
fn owner(lease: i64) -> Option<SessionId> {
    (lease != 0).then(|| lease.cast_unsigned())
}
