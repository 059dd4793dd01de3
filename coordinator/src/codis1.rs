//! What Codis 1.9, Codis 2.0 and RebornDB store in ZooKeeper: paths, JSON and their rules.
//!
//! ```text
//!   /zk/codis/db_PRODUCT, or /zk/reborn/db_PRODUCT
//!     slots/slot_0..1023              not padded                            file
//!     servers/group_N/HOST:PORT                                             file
//!     proxy/ID                        of the proxy's session                file
//!     fence/HOST:PORT                 stays when a proxy dies without       file
//!     actions/SEQUENCE                what the proxies have to take note of file
//!     ActionResponse/SEQUENCE/ID      which proxy has                       file
//!     LOCK/lock-SEQUENCE              stays when a dashboard dies           file
//!     dashboard, migrate_manager, migrate_tasks/SEQUENCE, agent/ID, ha/...  file
//! ```
//!
//! Everything else is a directory ([`Access`](crate::Access) says what that means). The JSON is in
//! one line, with its members in the order of the fields here. Source: captured from Codis 1.9.2
//! and RebornDB at work; what only Codis 2.0 has (tasks) from its behaviour as documented.

use std::fmt;

use routing::SlotId;

use crate::CoordinatorError;
use crate::NodePath;

mod action;
mod forms;

pub use crate::codec::Stored;
pub use action::Action;
pub use action::Event;
pub use action::SlotRange;
pub use action::is_receiver;
pub use forms::Agent;
pub use forms::Dashboard;
pub use forms::Group;
pub use forms::Leader;
pub use forms::Lock;
pub use forms::MigrateStatus;
pub use forms::Proxy;
pub use forms::ProxyState;
pub use forms::Server;
pub use forms::ServerType;
pub use forms::Slot;
pub use forms::SlotState;
pub use forms::SlotStatus;
pub use forms::Task;

/// The families, which differ in where their nodes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Codis 1.9 and 2.0.
    Codis,
    /// RebornDB.
    Reborn,
}

/// The number of an action, a lock or a task: greater for later ones, with gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010}", self.0)
    }
}

impl Sequence {
    /// The number of a node's name: digits, or digits after a `_` or a `-`.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let digits = name.rsplit(['_', '-']).next()?;
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { digits.parse().ok().map(Self) } else { None }
    }
}

/// The paths of one product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths(NodePath);

impl Paths {
    /// The paths of the product.
    ///
    /// # Errors
    ///
    /// The product's name cannot be part of a path.
    pub fn new(family: Family, product: &str) -> Result<Self, CoordinatorError> {
        let family = match family {
            Family::Codis => "/zk/codis",
            Family::Reborn => "/zk/reborn",
        };
        // Checked by itself, so that `db_` does not hide that it is empty.
        NodePath::root().child(product)?;
        NodePath::new(family)?.child(&format!("db_{product}")).map(Self)
    }

    /// The directory of the slots.
    #[must_use]
    pub fn slots(&self) -> NodePath {
        self.0.below("slots")
    }

    /// A [`Slot`].
    #[must_use]
    pub fn slot(&self, slot: SlotId) -> NodePath {
        self.slots().below(&format!("slot_{slot}"))
    }

    /// The directory of the groups.
    #[must_use]
    pub fn groups(&self) -> NodePath {
        self.0.below("servers")
    }

    /// The directory of a group's servers.
    #[must_use]
    pub fn group(&self, group: u32) -> NodePath {
        self.groups().below(&format!("group_{group}"))
    }

    /// A [`Server`].
    ///
    /// # Errors
    ///
    /// The address cannot be part of a path.
    pub fn server(&self, group: u32, addr: &str) -> Result<NodePath, CoordinatorError> {
        self.group(group).child(addr)
    }

    /// The directory of the proxies.
    #[must_use]
    pub fn proxies(&self) -> NodePath {
        self.0.below("proxy")
    }

    /// A [`Proxy`].
    ///
    /// # Errors
    ///
    /// The id cannot be part of a path.
    pub fn proxy(&self, id: &str) -> Result<NodePath, CoordinatorError> {
        self.proxies().child(id)
    }

    /// The directory of the fences.
    #[must_use]
    pub fn fences(&self) -> NodePath {
        self.0.below("fence")
    }

    /// The fence of the proxy at this address; empty. Nobody may delete it who does not know that
    /// the proxy is dead: while it is there, no change passes the proxy by.
    ///
    /// # Errors
    ///
    /// The address cannot be part of a path.
    pub fn fence(&self, addr: &str) -> Result<NodePath, CoordinatorError> {
        self.fences().child(addr)
    }

    /// The directory of the actions.
    #[must_use]
    pub fn actions(&self) -> NodePath {
        self.0.below("actions")
    }

    /// An [`Action`]. The name is the coordinator's, which is why it is given as text.
    ///
    /// # Errors
    ///
    /// The name cannot be part of a path.
    pub fn action(&self, name: &str) -> Result<NodePath, CoordinatorError> {
        self.actions().child(name)
    }

    /// The directory of the answers to actions.
    #[must_use]
    pub fn responses(&self) -> NodePath {
        self.0.below("ActionResponse")
    }

    /// The directory of the answers to one action.
    ///
    /// # Errors
    ///
    /// The name cannot be part of a path.
    pub fn response(&self, action: &str) -> Result<NodePath, CoordinatorError> {
        self.responses().child(action)
    }

    /// A proxy's answer to an action: the [`Proxy`].
    ///
    /// # Errors
    ///
    /// A name cannot be part of a path.
    pub fn answer(&self, action: &str, proxy: &str) -> Result<NodePath, CoordinatorError> {
        self.response(action)?.child(proxy)
    }

    /// The directory of those who wait for the lock: [`Lock`]s, numbered after [`LOCK_PREFIX`].
    #[must_use]
    pub fn locks(&self) -> NodePath {
        self.0.below("LOCK")
    }

    /// The [`Dashboard`] (Codis 2.0, RebornDB).
    #[must_use]
    pub fn dashboard(&self) -> NodePath {
        self.0.below("dashboard")
    }

    /// The mark of the dashboard that migrates (Codis 1.9); empty.
    #[must_use]
    pub fn migrate_manager(&self) -> NodePath {
        self.0.below("migrate_manager")
    }

    /// The directory of the [`Task`]s, which are numbered.
    #[must_use]
    pub fn tasks(&self) -> NodePath {
        self.0.below("migrate_tasks")
    }

    /// The directory of the [`Agent`]s (RebornDB).
    #[must_use]
    pub fn agents(&self) -> NodePath {
        self.0.below("agent")
    }

    /// The [`Leader`] of the agents (RebornDB).
    #[must_use]
    pub fn leader(&self) -> NodePath {
        self.0.below("ha").below("leader")
    }

    /// The directory of those who want to lead (RebornDB): [`Lock`]s, numbered after
    /// [`LOCK_PREFIX`].
    #[must_use]
    pub fn candidates(&self) -> NodePath {
        self.0.below("ha").below("candidates")
    }
}

/// What the names of locks begin with.
pub const LOCK_PREFIX: &str = "lock-";

/// The slot of a node's name in the directory of the slots.
#[must_use]
pub fn slot_of_name(name: &str) -> Option<SlotId> {
    let number = plain_number(name.strip_prefix("slot_")?)?;
    SlotId::new(u16::try_from(number).ok()?)
}

/// The group of a node's name in the directory of the groups.
#[must_use]
pub fn group_of_name(name: &str) -> Option<u32> {
    plain_number(name.strip_prefix("group_")?)
}

/// A number as Codis writes it: no sign, no zeros before it.
fn plain_number(text: &str) -> Option<u32> {
    let is_plain = text == "0" || !text.starts_with('0');
    let is_number = is_plain && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests;
