//! The tree of nodes as a value: what the adaptors without a server of their own share.
//!
//! Pure: no clock, no io. A change is all or nothing: it is made on the nodes one by one, and what
//! was there before is put back when one of them is impossible.
//!
//! Whoever watches a node remembers its [`Mark`]; the node has changed when the mark has. So there
//! are no lists of watchers and no events that could be lost.
//!
//! Invariants: C-3 every node but the root has a parent. C-4 marks never repeat: revisions grow.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use crate::Change;
use crate::CoordinatorError;
use crate::Lifetime;
use crate::Node;
use crate::NodePath;
use crate::Stat;
use crate::Version;

/// The number of a session.
pub(crate) type SessionId = u64;

/// A node in the tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// UTF-8 is stored as text, which people can read; anything else as a list of numbers.
    data: Data,
    version: i64,
    /// The revision that has created it.
    created: i64,
    /// The revision that has last set the data.
    set: i64,
    /// The revision that has last created or deleted a child.
    listed: i64,
    /// How many children it ever had, and so the number of the next sequential one.
    children_ever: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<SessionId>,
}

/// The data of a node in its stored form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Data {
    Text(String),
    Bytes(Vec<u8>),
}

impl Default for Data {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl From<Vec<u8>> for Data {
    fn from(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(|error| Self::Bytes(error.into_bytes()), Self::Text)
    }
}

impl Data {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Bytes(bytes) => bytes.clone(),
        }
    }
}

/// What of a node changes when those who watch it should know; `None` when it does not exist.
pub(crate) type Mark = Option<(i64, i64)>;

/// What a watch is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aspect {
    Data,
    Children,
}

/// A node of another store, see [`Tree::learn`].
#[cfg(feature = "etcd")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) data: Vec<u8>,
    pub(crate) version: i64,
    pub(crate) created: i64,
    pub(crate) owner: Option<SessionId>,
    pub(crate) children_ever: u64,
}

/// The nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tree {
    /// How many changes there have been.
    revision: i64,
    nodes: BTreeMap<String, Entry>,
}

/// The nodes that a change has touched, as they were before.
type Undo = Vec<(String, Option<Entry>)>;

impl Default for Tree {
    fn default() -> Self {
        Self { revision: 0, nodes: BTreeMap::from([("/".to_owned(), Entry::default())]) }
    }
}

impl Tree {
    pub(crate) fn revision(&self) -> i64 {
        self.revision
    }

    /// Adds a node as it is somewhere else, to try changes on a part of a tree.
    #[cfg(feature = "etcd")]
    pub(crate) fn learn(&mut self, path: &NodePath, known: Known) {
        let Known { data, version, created, owner, children_ever } = known;
        self.revision = self.revision.max(created);
        let entry = Entry {
            data: data.into(),
            version,
            created,
            set: created,
            listed: created,
            children_ever,
            owner,
        };
        self.nodes.insert(path.as_str().to_owned(), entry);
    }

    /// The counterpart of [`learn`](Self::learn).
    #[cfg(feature = "etcd")]
    pub(crate) fn known(&self, path: &NodePath) -> Option<Known> {
        let entry = self.nodes.get(path.as_str())?;
        Some(Known {
            data: entry.data.bytes(),
            version: entry.version,
            created: entry.created,
            owner: entry.owner,
            children_ever: entry.children_ever,
        })
    }

    pub(crate) fn read(&self, path: &NodePath, session: SessionId) -> Option<Node> {
        let entry = self.nodes.get(path.as_str())?;
        let lifetime = entry.owner.map_or(Lifetime::Persistent, |_| Lifetime::Session);
        let stat = Stat {
            version: Version(entry.version),
            created: entry.created,
            lifetime,
            is_ours: entry.owner == Some(session),
        };
        Some(Node { data: entry.data.bytes(), stat })
    }

    pub(crate) fn list(&self, path: &NodePath) -> Option<Vec<String>> {
        self.nodes.contains_key(path.as_str()).then(|| {
            let below = self.below(path);
            below.filter_map(|(node, _)| path.child_name(node)).map(str::to_owned).collect()
        })
    }

    pub(crate) fn mark(&self, path: &NodePath, aspect: Aspect) -> Mark {
        let entry = self.nodes.get(path.as_str())?;
        Some((
            entry.created,
            match aspect {
                Aspect::Data => entry.set,
                Aspect::Children => entry.listed,
            },
        ))
    }

    /// The sessions that own nodes.
    pub(crate) fn owners(&self) -> Vec<SessionId> {
        let mut owners: Vec<_> = self.nodes.values().filter_map(|entry| entry.owner).collect();
        owners.sort_unstable();
        owners.dedup();
        owners
    }

    /// Makes the changes as one revision, or none of them.
    pub(crate) fn apply(
        &mut self,
        changes: &[Change],
        session: SessionId,
    ) -> Result<Vec<NodePath>, CoordinatorError> {
        self.revision += 1;
        let mut undo = Undo::new();
        let paths: Result<Vec<_>, _> =
            changes.iter().map(|change| self.change(change, session, &mut undo)).collect();
        if paths.is_err() {
            while let Some((path, before)) = undo.pop() {
                match before {
                    Some(entry) => self.nodes.insert(path, entry),
                    None => self.nodes.remove(&path),
                };
            }
            self.revision -= 1;
        }
        paths
    }

    /// Deletes the nodes of a session; says whether there were any.
    pub(crate) fn end_session(&mut self, session: SessionId) -> bool {
        let owned = self.nodes.iter().filter(|(_, entry)| entry.owner == Some(session));
        // They have no children, so their order does not matter.
        let changes: Vec<_> = owned
            .filter_map(|(path, _)| NodePath::new(path.clone()).ok())
            .map(|path| Change::Delete { path, version: None })
            .collect();
        !changes.is_empty() && self.apply(&changes, session).is_ok()
    }

    fn change(
        &mut self,
        change: &Change,
        session: SessionId,
        undo: &mut Undo,
    ) -> Result<NodePath, CoordinatorError> {
        match change {
            Change::Create { path, data, lifetime, .. } => {
                self.create(path.clone(), data, *lifetime, session, undo)
            }
            Change::CreateSequential { parent, prefix, data, lifetime, .. } => {
                let entry = self.entry(parent, None)?;
                let path = parent.sequential_child(prefix, entry.children_ever);
                self.create(path, data, *lifetime, session, undo)
            }
            Change::Set { path, data, version } => {
                self.entry(path, *version)?;
                let revision = self.revision;
                self.edit(path.as_str(), undo, |entry| {
                    entry.data = data.clone().into();
                    entry.version += 1;
                    entry.set = revision;
                });
                Ok(path.clone())
            }
            Change::Delete { path, version } => {
                self.delete(path, *version, undo)?;
                Ok(path.clone())
            }
            Change::Check { path, version } => {
                self.entry(path, Some(*version))?;
                Ok(path.clone())
            }
        }
    }

    fn create(
        &mut self,
        path: NodePath,
        data: &[u8],
        lifetime: Lifetime,
        session: SessionId,
        undo: &mut Undo,
    ) -> Result<NodePath, CoordinatorError> {
        let Some(parent) = path.parent() else {
            return Err(CoordinatorError::NodeExists { path });
        };
        if self.nodes.contains_key(path.as_str()) {
            return Err(CoordinatorError::NodeExists { path });
        }
        let Some(above) = self.nodes.get(parent.as_str()) else {
            return Err(CoordinatorError::NoNode { path: parent });
        };
        if above.owner.is_some() {
            return Err(CoordinatorError::NoChildren { path: parent });
        }
        let revision = self.revision;
        let entry = Entry {
            data: data.to_vec().into(),
            created: revision,
            set: revision,
            listed: revision,
            owner: (lifetime == Lifetime::Session).then_some(session),
            ..Entry::default()
        };
        undo.push((path.as_str().to_owned(), None));
        self.nodes.insert(path.as_str().to_owned(), entry);
        self.edit(parent.as_str(), undo, |above| {
            above.listed = revision;
            above.children_ever += 1;
        });
        Ok(path)
    }

    fn delete(
        &mut self,
        path: &NodePath,
        version: Option<Version>,
        undo: &mut Undo,
    ) -> Result<(), CoordinatorError> {
        self.entry(path, version)?;
        let Some(parent) = path.parent() else {
            return Err(CoordinatorError::Denied { path: path.clone() });
        };
        if self.below(path).next().is_some() {
            return Err(CoordinatorError::NotEmpty { path: path.clone() });
        }
        let entry = self.nodes.remove(path.as_str());
        undo.push((path.as_str().to_owned(), entry));
        let revision = self.revision;
        self.edit(parent.as_str(), undo, |above| above.listed = revision);
        Ok(())
    }

    /// The node, when it exists and has this version.
    fn entry(&self, path: &NodePath, version: Option<Version>) -> Result<&Entry, CoordinatorError> {
        let Some(entry) = self.nodes.get(path.as_str()) else {
            return Err(CoordinatorError::NoNode { path: path.clone() });
        };
        if version.is_some_and(|version| version != Version(entry.version)) {
            return Err(CoordinatorError::StaleVersion { path: path.clone() });
        }
        Ok(entry)
    }

    fn edit(&mut self, path: &str, undo: &mut Undo, edit: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.nodes.get_mut(path) {
            undo.push((path.to_owned(), Some(entry.clone())));
            edit(entry);
        }
    }

    /// The nodes below one, at any depth.
    fn below(&self, path: &NodePath) -> impl Iterator<Item = (&String, &Entry)> {
        let prefix = path.prefix();
        let from = self.nodes.range(prefix.clone()..);
        // The root is its own prefix.
        from.take_while(move |(node, _)| node.starts_with(&prefix)).filter(|(node, _)| *node != "/")
    }
}

#[cfg(test)]
mod tests;
