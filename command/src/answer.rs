//! Answers COMMAND and its sub-commands, and HELP of the containers that the proxy owns.
//!
//! The replies are those of the server whose data the table holds, less the commands that the
//! proxy does not support: a client that asks what it may use shall be told the truth. Where Redis
//! lists commands in the order of its hash table, which changes at each start, they are sorted.

#[cfg(test)]
mod tests;

use resp::encode;
use smallvec::SmallVec;

use crate::Args;
use crate::Command;
use crate::CommandTable;
use crate::Protocol;
use crate::Rejection;
use crate::data;
use crate::data::Aggregate;
use crate::glob::glob_matches;
use crate::keys;
use crate::keys::KeyPosition;

/// Where an entry of `COMMAND` has the command's ACL categories.
const CATEGORIES: usize = 6;

impl CommandTable {
    /// Appends the reply to `COMMAND` or one of its sub-commands.
    pub fn answer_command(&self, args: &Args<'_>, protocol: Protocol, out: &mut Vec<u8>) {
        let planned = self.plan(args);
        let Some(command) = planned.command.filter(|command| command.takes(args.len())) else {
            return match planned.plan {
                crate::Plan::Reject(rejection) => rejection.encode(out),
                _ => Rejection::Syntax.encode(out),
            };
        };
        let names = args.skip(2);
        match command.name() {
            "command" | "command|info" => self.reply_info(&names, protocol, out),
            "command|count" => self.reply_count(out),
            "command|docs" => self.reply_docs(&names, protocol, out),
            "command|list" => self.reply_list(&names, out),
            "command|getkeys" => self.reply_keys(&names, None, out),
            "command|getkeysandflags" => self.reply_keys(&names, Some(protocol), out),
            _ => self.answer_help(command, out),
        }
    }

    /// Appends the reply to HELP of the container that `command` is, or is part of.
    pub fn answer_help(&self, command: &Command, out: &mut Vec<u8>) {
        let container = command.name().split('|').next().unwrap_or_default();
        let lines = self.help.get(container).map(Vec::as_slice).unwrap_or_default();
        let mut shown: SmallVec<[&str; 64]> = SmallVec::new();
        // The first line speaks of the container. Each sub-command has a line that begins with its
        // name and indented ones that explain it.
        let mut is_shown = true;
        for (number, line) in lines.iter().enumerate() {
            if number > 0 && !line.starts_with(' ') {
                let name = line.split(' ').next().unwrap_or_default();
                let sub = self.lookup_full(format!("{container}|{name}").as_bytes());
                is_shown = sub.is_none_or(Command::is_supported);
            }
            if is_shown {
                shown.push(line);
            }
        }
        encode::array_header(out, shown.len());
        for line in shown {
            encode::simple_string(out, line);
        }
    }

    /// The supported commands, without sub-commands.
    fn supported(&self) -> impl Iterator<Item = &Command> {
        self.commands().filter(|command| command.is_supported() && !command.name().contains('|'))
    }

    fn supported_sub_commands(&self, container: &Command) -> impl Iterator<Item = &Command> {
        self.sub_commands(container).iter().filter(|command| command.is_supported())
    }

    /// A supported command or sub-command by its full name.
    fn supported_by_name(&self, name: &[u8]) -> Option<&Command> {
        self.lookup_full(name).filter(|command| command.is_supported())
    }

    fn reply_count(&self, out: &mut Vec<u8>) {
        encode::integer(out, i64::try_from(self.supported().count()).unwrap_or(i64::MAX));
    }

    /// All commands, or those that are named; null for a name that is none.
    fn reply_info(&self, names: &Args<'_>, protocol: Protocol, out: &mut Vec<u8>) {
        if names.is_empty() {
            encode::array_header(out, self.supported().count());
            return self.supported().for_each(|command| self.encode_info(command, protocol, out));
        }
        encode::array_header(out, names.len());
        for name in names.iter() {
            match self.supported_by_name(name) {
                Some(command) => self.encode_info(command, protocol, out),
                None => data::encode_null(protocol, out),
            }
        }
    }

    fn encode_info(&self, command: &Command, protocol: Protocol, out: &mut Vec<u8>) {
        let info = data::parse(command.info);
        let elements = data::elements(&info).unwrap_or_default();
        encode::array_header(out, elements.len() + 1);
        for element in elements {
            data::encode(element, protocol, out);
        }
        match self.supported_sub_commands(command).count() {
            // The server itself says an empty set here, and an array otherwise.
            0 => data::encode_header(Aggregate::Set, 0, protocol, out),
            count => encode::array_header(out, count),
        }
        for sub_command in self.supported_sub_commands(command) {
            self.encode_info(sub_command, protocol, out);
        }
    }

    /// The documents of all commands, or of those that are named; a name that is none is left out.
    fn reply_docs(&self, names: &Args<'_>, protocol: Protocol, out: &mut Vec<u8>) {
        let commands: Vec<&Command> = if names.is_empty() {
            self.supported().collect()
        } else {
            names.iter().filter_map(|name| self.supported_by_name(name)).collect()
        };
        data::encode_header(Aggregate::Map, 2 * commands.len(), protocol, out);
        for command in commands {
            self.encode_docs(command, protocol, out);
        }
    }

    /// A command's name and its document.
    fn encode_docs(&self, command: &Command, protocol: Protocol, out: &mut Vec<u8>) {
        encode::bulk(out, command.name().as_bytes());
        let docs = data::parse(command.docs);
        let pairs = data::elements(&docs).unwrap_or_default();
        let sub_commands = self.supported_sub_commands(command).count();
        let sub_pairs = if sub_commands == 0 { 0 } else { 2 };
        data::encode_header(Aggregate::Map, pairs.len() + sub_pairs, protocol, out);
        for element in pairs {
            data::encode(element, protocol, out);
        }
        if sub_commands > 0 {
            encode::bulk(out, b"subcommands");
            data::encode_header(Aggregate::Map, 2 * sub_commands, protocol, out);
            for sub_command in self.supported_sub_commands(command) {
                self.encode_docs(sub_command, protocol, out);
            }
        }
    }

    /// The names of all commands and sub-commands, or of those that a filter lets through.
    fn reply_list(&self, options: &Args<'_>, out: &mut Vec<u8>) {
        let filter = match options.len() {
            0 => Some(ListFilter::All),
            3 if options.is_word(0, "filterby") => ListFilter::read(options),
            _ => None,
        };
        let Some(filter) = filter else {
            return Rejection::Syntax.encode(out);
        };
        let names: Vec<&str> = self
            .commands()
            .filter(|command| command.is_supported() && filter.lets_through(command))
            .map(Command::name)
            .collect();
        encode::array_header(out, names.len());
        for name in names {
            encode::bulk(out, name.as_bytes());
        }
    }

    /// The keys of the request `inner`; with a protocol, what the command does with each as well.
    fn reply_keys(&self, inner: &Args<'_>, flags: Option<Protocol>, out: &mut Vec<u8>) {
        let mut positions = SmallVec::new();
        let command = match self.keys_of(inner, &mut positions) {
            Ok(command) => command,
            Err(rejection) => return rejection.encode(out),
        };
        encode::array_header(out, positions.len());
        for position in positions {
            let key = inner.get(position.index).unwrap_or_default();
            match flags {
                None => encode::bulk(out, key),
                Some(protocol) => {
                    encode::array_header(out, 2);
                    encode::bulk(out, key);
                    encode_key_flags(command, position, inner, protocol, out);
                }
            }
        }
    }

    fn keys_of(
        &self,
        inner: &Args<'_>,
        positions: &mut SmallVec<[KeyPosition; 16]>,
    ) -> Result<&Command, Rejection> {
        let command = self
            .resolve(inner)
            .ok()
            .filter(|command| command.is_supported())
            .ok_or(Rejection::GetKeysUnknownCommand)?;
        if !command.has_keys() {
            return Err(Rejection::GetKeysNoKeys);
        }
        if !command.takes(inner.len()) {
            return Err(Rejection::GetKeysWrongArity);
        }
        if keys::find(command, inner, positions).is_err() {
            positions.clear();
        }
        if positions.is_empty() && !command.flags.no_mandatory_keys {
            return Err(Rejection::GetKeysInvalidArguments);
        }
        Ok(command)
    }
}

/// Appends what a request does with one of its keys.
fn encode_key_flags(
    command: &Command,
    position: KeyPosition,
    inner: &Args<'_>,
    protocol: Protocol,
    out: &mut Vec<u8>,
) {
    // What SET and BITFIELD do depends on their options.
    let by_options: &[&str] = match command.name() {
        "set" if (3..inner.len()).any(|index| inner.is_word(index, "get")) => {
            &["RW", "access", "update"]
        }
        "set" => &["OW", "update"],
        "bitfield" if keys::bitfield_only_reads(inner) => &["RO", "access"],
        "bitfield" => &["RW", "access", "update"],
        _ => &[],
    };
    let spec = command.key_specs.get(position.spec);
    let flags: SmallVec<[&str; 4]> = match (by_options, spec) {
        ([], Some(spec)) => spec.flags().collect(),
        (flags, _) => flags.iter().copied().collect(),
    };
    data::encode_header(Aggregate::Set, flags.len(), protocol, out);
    for flag in flags {
        encode::simple_string(out, flag);
    }
}

/// Which commands `COMMAND LIST` names.
enum ListFilter<'a> {
    All,
    /// `MODULE name`: none, since no module is loaded into the proxy.
    Module,
    /// `ACLCAT category`
    Category(&'a [u8]),
    /// `PATTERN pattern`
    Pattern(&'a [u8]),
}

impl<'a> ListFilter<'a> {
    /// Reads `FILTERBY kind argument`.
    fn read(options: &Args<'a>) -> Option<Self> {
        let argument = options.get(2)?;
        if options.is_word(1, "module") {
            Some(Self::Module)
        } else if options.is_word(1, "aclcat") {
            Some(Self::Category(argument))
        } else if options.is_word(1, "pattern") {
            Some(Self::Pattern(argument))
        } else {
            None
        }
    }

    fn lets_through(&self, command: &Command) -> bool {
        match self {
            Self::All => true,
            Self::Module => false,
            Self::Category(category) => data::elements(&data::parse(command.info))
                .and_then(|info| info.get(CATEGORIES))
                .is_some_and(|categories| {
                    data::texts(categories)
                        .filter_map(|name| name.strip_prefix('@'))
                        .any(|name| name.as_bytes().eq_ignore_ascii_case(category))
                }),
            Self::Pattern(pattern) => glob_matches(pattern, command.name().as_bytes()),
        }
    }
}
