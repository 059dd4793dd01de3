//! What Codis 3 stores: paths and JSON.
//!
//! ```text
//!   /codis3/PRODUCT/topom                  the dashboard; exists while one runs (or has crashed)
//!   /codis3/PRODUCT/slots/slot-0000..1023  slots that have ever had a group or an action
//!   /codis3/PRODUCT/group/group-0001..9999
//!   /codis3/PRODUCT/proxy/proxy-TOKEN
//!   /codis3/PRODUCT/sentinel
//!   /jodis/PRODUCT/proxy-TOKEN             for clients: goes away with the proxy's session
//!   /zk/codis/db_PRODUCT/proxy/TOKEN       the same for clients of Codis 2
//! ```
//!
//! The JSON is in lines, indented by four spaces, without a newline at the end, with its members in
//! the order of the fields here. Source: captured from Codis 3.2 at work.

use std::path::Path;
use std::path::PathBuf;

use routing::SlotId;

use crate::CoordinatorError;
use crate::NodePath;

mod forms;

pub use crate::codec::Stored;
pub use forms::Action;
pub use forms::ActionState;
pub use forms::Dashboard;
pub use forms::Group;
pub use forms::GroupServer;
pub use forms::Jodis;
pub use forms::Promoting;
pub use forms::PromotingState;
pub use forms::Proxy;
pub use forms::Sentinels;
pub use forms::Slot;
pub use forms::SyncAction;
pub use forms::SyncState;

/// The number of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(u16);

impl GroupId {
    /// The group of this number, or `None` when there can be none.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number >= 1 && number <= 9999 { Some(Self(number)) } else { None }
    }

    /// The number, from 1 to 9999.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// The paths of one product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    root: NodePath,
    jodis: NodePath,
    jodis_compatible: NodePath,
}

impl Paths {
    /// The paths of the product.
    ///
    /// # Errors
    ///
    /// The product's name cannot be part of a path.
    pub fn new(product: &str) -> Result<Self, CoordinatorError> {
        let root = NodePath::root().child("codis3")?.child(product)?;
        let jodis = NodePath::root().child("jodis")?.child(product)?;
        let compatible = NodePath::new("/zk/codis")?.child(&format!("db_{product}"))?;
        Ok(Self { root, jodis, jodis_compatible: compatible.child("proxy")? })
    }

    /// The dashboard's [`Dashboard`].
    #[must_use]
    pub fn dashboard(&self) -> NodePath {
        self.root.below("topom")
    }

    /// The directory of the slots.
    #[must_use]
    pub fn slots(&self) -> NodePath {
        self.root.below("slots")
    }

    /// A [`Slot`].
    #[must_use]
    pub fn slot(&self, slot: SlotId) -> NodePath {
        self.slots().below(&format!("slot-{:04}", slot.number()))
    }

    /// The directory of the groups.
    #[must_use]
    pub fn groups(&self) -> NodePath {
        self.root.below("group")
    }

    /// A [`Group`].
    #[must_use]
    pub fn group(&self, group: GroupId) -> NodePath {
        self.groups().below(&format!("group-{:04}", group.number()))
    }

    /// The directory of the proxies.
    #[must_use]
    pub fn proxies(&self) -> NodePath {
        self.root.below("proxy")
    }

    /// A [`Proxy`].
    ///
    /// # Errors
    ///
    /// The token cannot be part of a path.
    pub fn proxy(&self, token: &str) -> Result<NodePath, CoordinatorError> {
        self.proxies().child(&format!("proxy-{token}"))
    }

    /// The [`Sentinels`].
    #[must_use]
    pub fn sentinels(&self) -> NodePath {
        self.root.below("sentinel")
    }

    /// Where clients look for proxies.
    #[must_use]
    pub fn jodis_directory(&self, is_compatible: bool) -> &NodePath {
        if is_compatible { &self.jodis_compatible } else { &self.jodis }
    }

    /// A [`Jodis`] node; the compatible one is for clients of Codis 2.
    ///
    /// # Errors
    ///
    /// The token cannot be part of a path.
    pub fn jodis(&self, token: &str, is_compatible: bool) -> Result<NodePath, CoordinatorError> {
        if is_compatible {
            self.jodis_compatible.child(token)
        } else {
            self.jodis.child(&format!("proxy-{token}"))
        }
    }
}

/// The slot of a node's name in the directory of the slots.
#[must_use]
pub fn slot_of_name(name: &str) -> Option<SlotId> {
    SlotId::new(four_digits(name.strip_prefix("slot-")?)?)
}

/// The group of a node's name in the directory of the groups.
#[must_use]
pub fn group_of_name(name: &str) -> Option<GroupId> {
    GroupId::new(four_digits(name.strip_prefix("group-")?)?)
}

/// The token of a node's name in the directory of the proxies, or in Jodis'.
#[must_use]
pub fn token_of_name(name: &str) -> Option<&str> {
    name.strip_prefix("proxy-").filter(|token| !token.is_empty())
}

fn four_digits(text: &str) -> Option<u16> {
    let is_number = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// The file that holds a node in the directory that Codis' own programs use as a coordinator
/// (`--filesystem`). It is another one than [`Directory`](crate::Directory)'s, and has no watches.
#[must_use]
pub fn filesystem_file(directory: &Path, path: &NodePath) -> PathBuf {
    directory.join("data").join(path.as_str().trim_start_matches('/'))
}

#[cfg(test)]
mod tests;
