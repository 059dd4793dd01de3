//! The path of a node: `/codis3/demo/slots`.
//!
//! The rules are those of the strictest coordinator (ZooKeeper, and file names for a directory),
//! so that what one takes, all take: it begins with `/`, does not end with one, no part is empty,
//! `.` or `..`, there are no control characters, and lengths are bounded.

use std::fmt;

use crate::CoordinatorError;

/// The bytes of one part of a path at most.
pub const NAME_BYTES_MAX: usize = 240;

/// The bytes of a whole path at most.
pub const PATH_BYTES_MAX: usize = 2048;

/// The path of a node. What is in here has been checked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodePath(String);

impl NodePath {
    /// The root, which is always there.
    #[must_use]
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// The path that a text spells.
    ///
    /// # Errors
    ///
    /// The text breaks a rule; the error says which.
    pub fn new(text: impl Into<String>) -> Result<Self, CoordinatorError> {
        let text = text.into();
        match fault(&text) {
            None => Ok(Self(text)),
            Some(why) => Err(CoordinatorError::Path { text, why }),
        }
    }

    /// A child of this node.
    ///
    /// # Errors
    ///
    /// The name cannot be part of a path.
    pub fn child(&self, name: &str) -> Result<Self, CoordinatorError> {
        if name.is_empty() || name.contains('/') {
            let why = "the name of a node is not empty and has no `/`";
            return Err(CoordinatorError::Path { text: name.to_owned(), why });
        }
        Self::new(self.prefix() + name)
    }

    /// A child whose name is known to be right.
    pub(crate) fn below(&self, name: &str) -> Self {
        debug_assert_eq!(fault(&format!("/{name}")), None, "`{name}`");
        Self(self.prefix() + name)
    }

    /// The node above; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        match self.0.rsplit_once('/') {
            Some((_, "")) | None => None,
            Some(("", _)) => Some(Self::root()),
            Some((parent, _)) => Some(Self(parent.to_owned())),
        }
    }

    /// The last part; empty for the root.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(_, name)| name)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the paths of all nodes below begin with.
    pub(crate) fn prefix(&self) -> String {
        if self.0 == "/" { self.0.clone() } else { format!("{}/", self.0) }
    }

    /// The name of the child that a path is, when it is one of this node's.
    pub(crate) fn child_name<'p>(&self, path: &'p str) -> Option<&'p str> {
        let name = path.strip_prefix(&self.0)?;
        let name = if self.0 == "/" { name } else { name.strip_prefix('/')? };
        (!name.is_empty() && !name.contains('/')).then_some(name)
    }

    /// A child whose name the coordinator made of a prefix and a number, both checked before.
    pub(crate) fn sequential_child(&self, prefix: &str, number: u64) -> Self {
        self.below(&format!("{prefix}{number:010}"))
    }
}

impl fmt::Display for NodePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which rule a text breaks.
fn fault(text: &str) -> Option<&'static str> {
    if text == "/" {
        return None;
    }
    let Some(parts) = text.strip_prefix('/') else {
        return Some("it has to begin with `/`");
    };
    if text.len() > PATH_BYTES_MAX {
        return Some("it is longer than 2048 bytes");
    }
    parts.split('/').find_map(|part| match part {
        "" => Some("a part of it is empty"),
        "." | ".." => Some("`.` and `..` are no names of nodes"),
        part if part.len() > NAME_BYTES_MAX => Some("a part of it is longer than 240 bytes"),
        part if part.chars().any(is_forbidden) => Some("it has a character that no node can have"),
        _ => None,
    })
}

/// Control characters, private ones and specials, which ZooKeeper refuses.
fn is_forbidden(c: char) -> bool {
    c.is_control()
        || ('\u{e000}'..='\u{f8ff}').contains(&c)
        || ('\u{fff0}'..='\u{ffff}').contains(&c)
}

#[cfg(test)]
mod tests;
