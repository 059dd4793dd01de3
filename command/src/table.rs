//! The table of all commands, and how a command is found by its name.
//!
//! Built once from the data files and the policies; both must speak of the same commands. Never
//! changed afterwards and shared by all sessions.
//!
//! A lookup is in the path of every request: the name is lowered into three machine words, and
//! these are compared in an open-addressing table, which is less than half full.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::ops::Range;

use serde_json::Value;

use crate::Access;
use crate::Command;
use crate::CommandId;
use crate::Dialect;
use crate::TableError;
use crate::command::Flags;
use crate::data;
use crate::keys::KeyRule;
use crate::keys::KeySpec;
use crate::policy::Policy;
use crate::policy::table::POLICIES;

/// The places of the lookup table; a power of two, more than twice the number of commands.
const PLACES: usize = 1024;

/// Commands whose arguments are passwords, or settings and users that contain them.
const WITH_SECRETS: &[&str] =
    &["auth", "hello", "migrate", "config|set", "acl|setuser", "acl|genpass", "module|loadex"];

/// Commands that only read, and still must not be sent to a replica: it may not have the script,
/// and to touch a key means to touch the primary's.
const PRIMARY_ONLY: [&str; 2] = ["evalsha_ro", "touch"];

/// Every command and sub-command.
#[derive(Debug)]
pub struct CommandTable {
    commands: Vec<Command>,
    places: Box<[Place]>,
    dialect: Dialect,
    server_version: String,
    /// The lines of `HELP`, by container.
    pub(crate) help: BTreeMap<String, Vec<String>>,
}

/// A place of the lookup table.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    name: PackedName,
    command: Option<CommandId>,
}

/// A short name in lower case, padded with zeros; its last byte is its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct PackedName([u64; 3]);

impl PackedName {
    /// The longest name that can be packed: the last of the bytes is the length.
    const NAME_BYTES_MAX: usize = 23;

    /// Packs a name; `None` when it is longer than any command's.
    #[inline]
    fn new(name: &[u8]) -> Option<Self> {
        if name.len() > Self::NAME_BYTES_MAX {
            return None;
        }
        let mut bytes = [0_u8; 24];
        bytes.get_mut(..name.len())?.copy_from_slice(name);
        bytes.make_ascii_lowercase();
        if let Some(last) = bytes.last_mut() {
            *last = u8::try_from(name.len()).ok()?;
        }
        let mut words = [0_u64; 3];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Some(Self(words))
    }

    #[inline]
    fn hash(self) -> usize {
        let [a, b, c] = self.0;
        let mixed = (a ^ b.rotate_left(23) ^ c.rotate_left(47)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        // Of the product the upper bits depend on every bit of the name.
        usize::from((mixed >> 48) as u16)
    }
}

impl CommandTable {
    /// Builds the table from the data that is part of the program.
    ///
    /// # Errors
    ///
    /// The data is malformed, or data and policies do not fit together: faults of the build.
    pub fn load() -> Result<Self, TableError> {
        let mut policies = policies()?;
        let data = data::read()?;
        let mut commands = Vec::with_capacity(data.entries.len());
        for entry in data.entries {
            let id = CommandId(u16::try_from(commands.len()).map_err(|_| TableError::TooMany)?);
            let policy = policies
                .remove(entry.name.as_str())
                .ok_or_else(|| TableError::NoPolicy { command: entry.name.clone() })?;
            commands.push(command(id, entry, policy)?);
        }
        if let Some(name) = policies.into_keys().min() {
            return Err(TableError::NoCommand { command: name.to_owned() });
        }
        link_sub_commands(&mut commands);
        let places = places(&commands)?;
        let (server_version, help) = (data.server_version, data.help);
        Ok(Self { commands, places, dialect: Dialect::default(), server_version, help })
    }

    /// The table for another dialect: what that forbids is refused as well.
    #[must_use]
    pub fn in_dialect(mut self, dialect: Dialect) -> Self {
        dialect.restrict(&mut self.commands);
        link_sub_commands(&mut self.commands);
        self.dialect = dialect;
        self
    }

    /// The dialect of the table.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Finds a command, not a sub-command, by its name in any mix of cases.
    #[must_use]
    #[inline]
    pub fn lookup(&self, name: &[u8]) -> Option<&Command> {
        let name = PackedName::new(name)?;
        let mut at = name.hash() % PLACES;
        loop {
            let place = self.places.get(at)?;
            let id = place.command?;
            if place.name == name {
                return self.commands.get(id.index());
            }
            at = (at + 1) % PLACES;
        }
    }

    /// Finds a command or, by `container|sub-command`, a sub-command.
    #[must_use]
    pub fn lookup_full(&self, name: &[u8]) -> Option<&Command> {
        match name.iter().position(|byte| *byte == b'|') {
            None => self.lookup(name),
            Some(bar) => self.sub_command(self.lookup(name.get(..bar)?)?, name.get(bar + 1..)?),
        }
    }

    /// Finds a sub-command by its short name in any mix of cases.
    pub(crate) fn sub_command(&self, container: &Command, name: &[u8]) -> Option<&Command> {
        self.sub_commands(container)
            .iter()
            .find(|command| command.short_name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// The sub-commands of a container, by name.
    pub(crate) fn sub_commands(&self, container: &Command) -> &[Command] {
        self.commands.get(container.sub_commands.clone()).unwrap_or_default()
    }

    /// The command with this number.
    #[must_use]
    pub fn get(&self, id: CommandId) -> Option<&Command> {
        self.commands.get(id.index())
    }

    /// Every command and sub-command, by name: the order of their ids.
    pub fn commands(&self) -> impl ExactSizeIterator<Item = &Command> {
        self.commands.iter()
    }

    /// The number of commands and sub-commands.
    #[must_use]
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Whether there is no command at all, which cannot be.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// The version of the Redis whose commands these are.
    #[must_use]
    pub fn server_version(&self) -> &str {
        &self.server_version
    }
}

/// The policies by name.
fn policies() -> Result<HashMap<&'static str, Policy>, TableError> {
    let mut policies = HashMap::new();
    for (policy, names) in POLICIES {
        for name in names.split_whitespace() {
            if policies.insert(name, *policy).is_some() {
                return Err(TableError::Duplicate { command: name.to_owned() });
            }
        }
    }
    Ok(policies)
}

fn command(id: CommandId, entry: data::Entry, policy: Policy) -> Result<Command, TableError> {
    let wrong = |part| TableError::Form { command: entry.name.clone(), part };
    let info = data::parse(entry.info);
    let info = data::elements(&info).unwrap_or_default();
    if data::elements(&data::parse(entry.docs)).is_none() {
        return Err(wrong("docs"));
    }
    let arity = info
        .get(1)
        .and_then(Value::as_i64)
        .and_then(|arity| i32::try_from(arity).ok())
        .ok_or_else(|| wrong("arity"))?;
    let mut flags = Flags::default();
    for flag in data::texts(info.get(2).ok_or_else(|| wrong("flags"))?) {
        match flag {
            "write" => flags.write = true,
            "readonly" => flags.readonly = true,
            "no_auth" => flags.no_auth = true,
            "no_mandatory_keys" => flags.no_mandatory_keys = true,
            _ => {}
        }
    }
    let key_specs = info
        .get(8)
        .and_then(data::elements)
        .and_then(|specs| specs.iter().map(KeySpec::read).collect::<Option<Vec<_>>>())
        .ok_or_else(|| wrong("key specs"))?;
    let is_for_replicas = flags.readonly && !PRIMARY_ONLY.contains(&entry.name.as_str());
    Ok(Command {
        id,
        arity,
        flags,
        policy,
        is_supported: policy.is_supported(),
        access: if is_for_replicas { Access::Read } else { Access::Write },
        hides_arguments: WITH_SECRETS.contains(&entry.name.as_str()),
        key_rule: KeyRule::of(&entry.name, &key_specs),
        key_specs,
        sub_commands: 0..0,
        name: entry.name.into(),
        info: entry.info,
        docs: entry.docs,
    })
}

/// Tells each container its sub-commands: those whose names begin with its own and a bar. The
/// commands are sorted by name, so they stand in one row.
fn link_sub_commands(commands: &mut [Command]) {
    let ranges: Vec<Range<usize>> = commands
        .iter()
        .map(|container| {
            let prefix = format!("{}|", container.name);
            let start = commands.partition_point(|command| *command.name < *prefix);
            let rest = commands.get(start..).unwrap_or_default();
            let count = rest.partition_point(|command| command.name.starts_with(&prefix));
            start..start + count
        })
        .collect();
    for (index, range) in ranges.into_iter().enumerate() {
        let has_supported =
            commands.get(range.clone()).is_some_and(|subs| subs.iter().any(|sub| sub.is_supported));
        if let Some(command) = commands.get_mut(index) {
            command.is_supported = match command.policy {
                Policy::Container => has_supported,
                _ => command.policy.is_supported(),
            };
            command.sub_commands = range;
        }
    }
}

fn places(commands: &[Command]) -> Result<Box<[Place]>, TableError> {
    let mut places = vec![Place::default(); PLACES];
    if commands.len() > PLACES / 2 {
        return Err(TableError::TooMany);
    }
    for command in commands.iter().filter(|command| !command.name.contains('|')) {
        let wrong = || TableError::Form { command: command.name.to_string(), part: "name" };
        let name = PackedName::new(command.name.as_bytes()).ok_or_else(wrong)?;
        let mut at = name.hash() % PLACES;
        // Less than half of the places are taken, so a free one comes.
        while let Some(Place { command: Some(_), .. }) = places.get(at) {
            at = (at + 1) % PLACES;
        }
        if let Some(place) = places.get_mut(at) {
            *place = Place { name, command: Some(command.id) };
        }
    }
    Ok(places.into_boxed_slice())
}
