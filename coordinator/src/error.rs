//! What can go wrong with a coordinator, by what the caller can do about it.

use std::time::Duration;

use thiserror::Error;

use crate::NodePath;

/// A call to a coordinator that did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CoordinatorError {
    /// The text cannot be the path of a node.
    #[error("`{text}` is not the path of a node: {why}")]
    Path {
        /// What was given.
        text: String,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// The node, or the parent of a node to create, does not exist.
    #[error("node `{path}` does not exist")]
    NoNode {
        /// Which node.
        path: NodePath,
    },
    /// A node of this path is there already.
    #[error("node `{path}` exists already")]
    NodeExists {
        /// Which node.
        path: NodePath,
    },
    /// Somebody else changed the node since it was read; read it again.
    #[error("node `{path}` has been changed by somebody else since it was read")]
    StaleVersion {
        /// Which node.
        path: NodePath,
    },
    /// Only a node without children can be deleted.
    #[error("node `{path}` has children and cannot be deleted before them")]
    NotEmpty {
        /// Which node.
        path: NodePath,
    },
    /// A node that goes with its session cannot have children.
    #[error("node `{path}` cannot have children, because it goes away with a session")]
    NoChildren {
        /// Which node was to be the parent.
        path: NodePath,
    },
    /// The node's access list, or the coordinator's rules, forbid it.
    #[error("no permission for node `{path}`; check the coordinator's user and password")]
    Denied {
        /// Which node.
        path: NodePath,
    },
    /// No node holds as much as it was to hold.
    #[error("{bytes} bytes are too much for node `{path}`, a node holds at most 1000000")]
    TooLarge {
        /// Which node.
        path: NodePath,
        /// How many bytes were to be stored.
        bytes: usize,
    },
    /// No answer in time. What was to be written may have been written or not.
    #[error(
        "no answer from the coordinator within {after:?} to {action} node `{path}`; whether a \
         change was made is unknown, read the node again"
    )]
    Deadline {
        /// What was asked for.
        action: &'static str,
        /// Which node.
        path: NodePath,
        /// The time limit.
        after: Duration,
    },
    /// The connection broke. What was to be written may have been written or not.
    #[error(
        "lost the coordinator while asking to {action} node `{path}` ({cause}); whether a change \
         was made is unknown, read the node again"
    )]
    Interrupted {
        /// What was asked for.
        action: &'static str,
        /// Which node.
        path: NodePath,
        /// What the connection said.
        cause: String,
    },
    /// The session is over; connect again and create again what went away with it.
    #[error("the session with the coordinator is over, connect again")]
    SessionOver,
    /// There is no connection to begin with.
    #[error("cannot connect to the coordinator at `{at}`: {cause}")]
    Unreachable {
        /// Its addresses or its directory.
        at: String,
        /// Why.
        cause: String,
    },
    /// The coordinator refuses the user or the password.
    #[error("the coordinator at `{at}` refuses the user or the password")]
    Refused {
        /// Its addresses.
        at: String,
    },
    /// The coordinator answered something that it should not, or its files are damaged.
    #[error("the coordinator failed: {cause}")]
    Broken {
        /// What it said.
        cause: String,
    },
    /// A node does not hold what its path promises.
    #[error("node `{path}` does not hold {expected}: {cause}")]
    Value {
        /// Which node.
        path: NodePath,
        /// What it should hold.
        expected: &'static str,
        /// Why it is not that.
        cause: String,
    },
}

impl CoordinatorError {
    /// Is it an answer of the coordinator? Then there is contact with it.
    pub(crate) fn is_answer(&self) -> bool {
        match self {
            Self::NoNode { .. }
            | Self::NodeExists { .. }
            | Self::StaleVersion { .. }
            | Self::NotEmpty { .. }
            | Self::NoChildren { .. }
            | Self::Denied { .. } => true,
            Self::Path { .. }
            | Self::TooLarge { .. }
            | Self::Deadline { .. }
            | Self::Interrupted { .. }
            | Self::SessionOver
            | Self::Unreachable { .. }
            | Self::Refused { .. }
            | Self::Broken { .. }
            | Self::Value { .. } => false,
        }
    }

    /// Can the same call succeed a little later, on the same session?
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Deadline { .. } | Self::Interrupted { .. } | Self::Broken { .. })
    }
}
