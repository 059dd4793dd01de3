//! The stores that hold a topology, behind one trait, and the forms of what is stored in them.
//!
//! ```text
//!   codis3, codis1        paths and JSON of what is stored
//!        │
//!   Coordinator           read, list, watch, multi, session: the semantics of ZooKeeper
//!        ├── ZooKeeper    the crate zookeeper-client
//!        ├── Etcd         v3, the crate etcd-client (feature `etcd`)
//!        ├── Directory    a local directory: one file, a lock, renames
//!        └── Memory       for tests and simulations
//! ```
//!
//! A coordinator is a tree of nodes. A node has data, children, and a version that grows by one
//! with every change of the data; it belongs to nobody, or to a session, with which it goes away.
//! What all adaptors promise is in `tests/conformance`, which runs against each of them.
//!
//! **Deadlines.** Every call ends within [`Timeouts::call`]. An error says whether a change may
//! have been made all the same.
//!
//! **Watches** fire once. A value and its watch are taken together, so a change between the two is
//! impossible; [`follow`] makes an endless sequence of them. They survive a lost connection and
//! end with the session.
//!
//! **Sessions** end when there has been no contact for [`Timeouts::session`] on our own clock, even
//! while the library still hopes. Then every call answers [`CoordinatorError::SessionOver`], and
//! the user connects again and creates again what it had registered. Nothing in here is on the
//! data path: without a coordinator requests are served from the last topology.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

mod codec;
pub mod codis1;
pub mod codis3;
mod connect;
mod directory;
mod error;
#[cfg(feature = "etcd")]
mod etcd;
mod local;
mod memory;
mod path;
mod session;
mod tree;
mod watch;
mod zookeeper;

pub use connect::Kind;
pub use connect::connect;
pub use directory::Directory;
pub use error::CoordinatorError;
#[cfg(feature = "etcd")]
pub use etcd::Etcd;
pub use memory::Memory;
pub use memory::MemoryStore;
pub use path::NAME_BYTES_MAX;
pub use path::NodePath;
pub use path::PATH_BYTES_MAX;
pub use session::SessionEvents;
pub use session::SessionState;
pub use session::Timeouts;
pub use watch::Watch;
pub use watch::follow;
pub use watch::follow_children;
pub use zookeeper::ZooKeeper;

/// How many bytes of data a node holds at most: ZooKeeper's default limit, less the envelope.
pub const DATA_BYTES_MAX: usize = 1_000_000;

/// The answer of a coordinator, on its way.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, CoordinatorError>> + Send + 'a>>;

/// The version of a node's data: 0 when it is created, one more with every change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub i64);

/// What a coordinator knows of a node besides its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The version of the data.
    pub version: Version,
    /// A number that no other creation of a node has, and later ones exceed. Whoever has created
    /// a node as a token of leadership can use it as an epoch.
    pub created: i64,
    /// Does the node go away with a session?
    pub lifetime: Lifetime,
    /// Is it this session that the node goes away with?
    pub is_ours: bool,
}

/// A node as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it holds.
    pub data: Vec<u8>,
    /// What is known of it.
    pub stat: Stat,
}

/// How long a node stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Until somebody deletes it.
    Persistent,
    /// Until the session ends that has created it (or somebody deletes it).
    Session,
}

/// What others may do with a node, where the coordinator has access lists (ZooKeeper).
///
/// These are the two that Codis knows. With a user and a password only that user may do it,
/// without everybody may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everything: read, write, change the list, create and delete children.
    Directory,
    /// Read, write and change the list; no children.
    File,
}

/// A change of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Creates a node; its parent has to exist.
    Create {
        /// Which node.
        path: NodePath,
        /// What it holds.
        data: Vec<u8>,
        /// How long it stays.
        lifetime: Lifetime,
        /// What others may do with it.
        access: Access,
    },
    /// Creates a node whose name is a prefix and a number of ten digits, which is greater than
    /// that of all children that the parent ever had through this change. Numbers may be left out.
    CreateSequential {
        /// The node above, which has to exist.
        parent: NodePath,
        /// What the name begins with; may be empty.
        prefix: String,
        /// What it holds.
        data: Vec<u8>,
        /// How long it stays.
        lifetime: Lifetime,
        /// What others may do with it.
        access: Access,
    },
    /// Sets the data of a node. The node stays with the session it goes away with.
    Set {
        /// Which node.
        path: NodePath,
        /// What it shall hold.
        data: Vec<u8>,
        /// Only when the data still has this version.
        version: Option<Version>,
    },
    /// Deletes a node, which has no children.
    Delete {
        /// Which node.
        path: NodePath,
        /// Only when the data still has this version.
        version: Option<Version>,
    },
    /// Changes nothing, but fails when the data does not have this version.
    Check {
        /// Which node.
        path: NodePath,
        /// The version that it must have.
        version: Version,
    },
}

impl Change {
    /// The node that is changed, or the parent of one that gets its name from the coordinator.
    #[must_use]
    pub fn path(&self) -> &NodePath {
        match self {
            Self::CreateSequential { parent, .. } => parent,
            Self::Create { path, .. }
            | Self::Set { path, .. }
            | Self::Delete { path, .. }
            | Self::Check { path, .. } => path,
        }
    }

    /// What is done, for texts: "asked to _create_ node".
    fn action(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::CreateSequential { .. } => "create a numbered child of",
            Self::Set { .. } => "set",
            Self::Delete { .. } => "delete",
            Self::Check { .. } => "check",
        }
    }

    /// Checks what no coordinator may be asked for.
    fn check(&self) -> Result<(), CoordinatorError> {
        let (path, data) = match self {
            Self::CreateSequential { parent, prefix, data, .. } => {
                // The longest number of a coordinator has 20 digits.
                parent.child(&format!("{prefix}{:020}", 0))?;
                (parent, data)
            }
            Self::Create { path, data, .. } | Self::Set { path, data, .. } => (path, data),
            Self::Delete { .. } | Self::Check { .. } => return Ok(()),
        };
        if data.len() <= DATA_BYTES_MAX {
            return Ok(());
        }
        Err(CoordinatorError::TooLarge { path: path.clone(), bytes: data.len() })
    }
}

/// A store of nodes, and our session with it.
///
/// The writing calls are [`multi`](Self::multi) and its short forms. Dropping a coordinator closes
/// its session, without waiting for it.
pub trait Coordinator: fmt::Debug + Send + Sync {
    /// Reads a node; `None` when it does not exist.
    fn read<'a>(&'a self, path: &'a NodePath) -> Answer<'a, Option<Node>>;

    /// The names of a node's children, sorted; `None` when the node does not exist.
    fn list<'a>(&'a self, path: &'a NodePath) -> Answer<'a, Option<Vec<String>>>;

    /// Reads a node and watches it from there: for a change of its data, even to the same, its
    /// creation and its end.
    fn watch<'a>(&'a self, path: &'a NodePath) -> Answer<'a, (Option<Node>, Watch)>;

    /// Lists a node's children and watches them from there: for a child that comes or goes, the
    /// node's creation and its end.
    fn watch_children<'a>(&'a self, path: &'a NodePath)
    -> Answer<'a, (Option<Vec<String>>, Watch)>;

    /// Makes all the changes as one, or none; the error is that of the first that is impossible.
    /// Answers with the path of each change's node.
    fn multi<'a>(&'a self, changes: &'a [Change]) -> Answer<'a, Vec<NodePath>>;

    /// What happens to the session.
    fn session(&self) -> SessionEvents;

    /// Closes the session. When it answers, what goes away with the session is gone.
    fn close(&self) -> Answer<'_, ()>;
}

impl dyn Coordinator + '_ {
    /// Makes one change.
    async fn change(&self, change: Change) -> Result<NodePath, CoordinatorError> {
        let path = change.path().clone();
        let paths = self.multi(std::slice::from_ref(&change)).await?;
        Ok(paths.into_iter().next().unwrap_or(path))
    }

    /// Creates a node; see [`Change::Create`].
    ///
    /// # Errors
    ///
    /// It exists already, its parent does not, or the coordinator is away.
    pub async fn create(
        &self,
        path: &NodePath,
        data: impl Into<Vec<u8>>,
        lifetime: Lifetime,
        access: Access,
    ) -> Result<(), CoordinatorError> {
        let (path, data) = (path.clone(), data.into());
        self.change(Change::Create { path, data, lifetime, access }).await.map(|_| ())
    }

    /// Creates a node with a number and returns its path; see [`Change::CreateSequential`].
    ///
    /// # Errors
    ///
    /// The parent does not exist, or the coordinator is away.
    pub async fn create_sequential(
        &self,
        parent: &NodePath,
        prefix: &str,
        data: impl Into<Vec<u8>>,
        lifetime: Lifetime,
        access: Access,
    ) -> Result<NodePath, CoordinatorError> {
        let (parent, prefix, data) = (parent.clone(), prefix.to_owned(), data.into());
        self.change(Change::CreateSequential { parent, prefix, data, lifetime, access }).await
    }

    /// Creates a node and those above it that do not exist, persistent and empty. Those that exist
    /// are left as they are.
    ///
    /// # Errors
    ///
    /// A node above cannot have children, or the coordinator is away.
    pub async fn create_directory(&self, path: &NodePath) -> Result<(), CoordinatorError> {
        let mut missing = Vec::new();
        let mut next = Some(path.clone());
        while let Some(path) = next.filter(|path| *path != NodePath::root()) {
            if self.read(&path).await?.is_some() {
                break;
            }
            next = path.parent();
            missing.push(path);
        }
        for path in missing.iter().rev() {
            match self.create(path, "", Lifetime::Persistent, Access::Directory).await {
                // Somebody else wants it, too.
                Ok(()) | Err(CoordinatorError::NodeExists { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sets the data of a node, of any version or of this one; see [`Change::Set`].
    ///
    /// # Errors
    ///
    /// It does not exist, it has another version, or the coordinator is away.
    pub async fn set(
        &self,
        path: &NodePath,
        data: impl Into<Vec<u8>>,
        version: Option<Version>,
    ) -> Result<(), CoordinatorError> {
        let (path, data) = (path.clone(), data.into());
        self.change(Change::Set { path, data, version }).await.map(|_| ())
    }

    /// Deletes a node, of any version or of this one; see [`Change::Delete`].
    ///
    /// # Errors
    ///
    /// It does not exist, has children or another version, or the coordinator is away.
    pub async fn delete(
        &self,
        path: &NodePath,
        version: Option<Version>,
    ) -> Result<(), CoordinatorError> {
        self.change(Change::Delete { path: path.clone(), version }).await.map(|_| ())
    }
}
