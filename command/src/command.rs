//! One command or sub-command of Redis, as the proxy knows it.

use std::ops::Range;

use serde_json::value::RawValue;

use crate::Access;
use crate::data;
use crate::keys::KeyRule;
use crate::keys::KeySpec;
use crate::policy::Policy;

/// The number of a command in its table: dense from 0, so that counters can be an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub(crate) u16);

impl CommandId {
    /// The number as an index into an array of [`crate::CommandTable::len`] entries.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The flags of the server that the proxy acts upon.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flags {
    pub(crate) write: bool,
    pub(crate) readonly: bool,
    pub(crate) no_auth: bool,
    pub(crate) no_mandatory_keys: bool,
}

/// A command (`get`) or a sub-command (`config|get`).
#[derive(Debug)]
pub struct Command {
    pub(crate) name: Box<str>,
    pub(crate) id: CommandId,
    pub(crate) arity: i32,
    pub(crate) flags: Flags,
    pub(crate) policy: Policy,
    /// Of a container: whether it has a supported sub-command.
    pub(crate) is_supported: bool,
    pub(crate) access: Access,
    pub(crate) hides_arguments: bool,
    pub(crate) key_rule: KeyRule,
    pub(crate) key_specs: Vec<KeySpec>,
    /// The indexes of a container's sub-commands; empty for every other command.
    pub(crate) sub_commands: Range<usize>,
    /// The server's own entry in `COMMAND`, without sub-commands, in the notation of
    /// [`crate::data`].
    pub(crate) info: &'static RawValue,
    /// The server's own entry in `COMMAND DOCS`, likewise.
    pub(crate) docs: &'static RawValue,
}

impl Command {
    /// The full name in lower case; a sub-command's is `container|sub-command`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The command's number.
    #[must_use]
    pub const fn id(&self) -> CommandId {
        self.id
    }

    /// How many arguments it takes, its name included; `-n` means `n` or more.
    #[must_use]
    pub const fn arity(&self) -> i32 {
        self.arity
    }

    /// What the proxy does with it.
    #[must_use]
    pub const fn policy(&self) -> Policy {
        self.policy
    }

    /// Which server of a group may answer it.
    #[must_use]
    pub const fn access(&self) -> Access {
        self.access
    }

    /// Whether its arguments may be secrets, which must not be shown or kept.
    #[must_use]
    pub const fn hides_arguments(&self) -> bool {
        self.hides_arguments
    }

    /// Whether it may change data.
    #[must_use]
    pub const fn is_write(&self) -> bool {
        self.flags.write
    }

    /// Whether it never changes data, so that a replica can answer it.
    #[must_use]
    pub const fn is_readonly(&self) -> bool {
        self.flags.readonly
    }

    /// Whether a client may call it before it has authenticated.
    #[must_use]
    pub const fn is_allowed_before_auth(&self) -> bool {
        self.flags.no_auth
    }

    /// The Redis version that brought it, such as `2.6.0`.
    #[must_use]
    pub fn since(&self) -> String {
        self.doc("since")
    }

    /// One sentence on what it does.
    #[must_use]
    pub fn summary(&self) -> String {
        self.doc("summary")
    }

    fn doc(&self, key: &str) -> String {
        let docs = data::parse(self.docs);
        data::map_text(&docs, key).unwrap_or_default().to_owned()
    }

    /// Whether a client can use it through the proxy: it is part of what `COMMAND` tells.
    #[must_use]
    pub const fn is_supported(&self) -> bool {
        self.is_supported
    }

    /// The name without its container: `get` of `config|get`.
    pub(crate) fn short_name(&self) -> &str {
        self.name.split_once('|').map_or(&*self.name, |(_, short)| short)
    }

    /// Whether the command takes requests of this many arguments.
    pub(crate) fn takes(&self, args: usize) -> bool {
        let wanted = self.arity.unsigned_abs() as usize;
        if self.arity >= 0 { args == wanted } else { args >= wanted }
    }

    /// Whether any of its arguments can be a key.
    pub(crate) fn has_keys(&self) -> bool {
        self.key_specs.iter().any(|spec| !spec.is_not_key())
    }
}
