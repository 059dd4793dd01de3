//! Every text with which the proxy refuses a request: this is the one file of them.
//!
//! Where Redis has words for a refusal, they are Redis' words byte for byte, since clients and
//! people match on them. A client's own bytes appear in them shortened and without line breaks, as
//! Redis does it.

#[cfg(test)]
mod tests;

use crate::Args;
use crate::Command;
use crate::Dialect;
use crate::named_slot::SlotFault;
use crate::policy::Feature;
use crate::policy::Refusal;

/// Redis shows this many bytes of a name, and ends the list of arguments at as many.
const SHOWN_BYTES_MAX: usize = 128;

/// The commands whose arity a Codis 2.0 proxy checks itself, besides PING and MSET.
const CODIS2_OWN: [&str; 2] = ["auth", "select"];

/// The commands whose arity a Codis 3.2 proxy checks itself.
const CODIS3_OWN: [&str; 8] =
    ["auth", "del", "exists", "mget", "mset", "select", "slotsinfo", "slotsscan"];

/// The reply to a fan-out of which a part was answered in a form that no such command has.
pub(crate) const UNEXPECTED_PART_REPLY: &str =
    "ERR a server answered a part of the request in an unexpected form";

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// There is no such command.
    UnknownCommand {
        /// Its name, shortened.
        name: Box<[u8]>,
        /// Its first arguments, quoted and shortened.
        args: Box<[u8]>,
    },
    /// A container has no such sub-command.
    UnknownSubcommand {
        /// The container's name in upper case.
        container: Box<[u8]>,
        /// The sub-command's name, shortened.
        name: Box<[u8]>,
    },
    /// The command takes another number of arguments.
    WrongArity {
        /// The command's full name.
        command: Box<str>,
    },
    /// The keys of a command that cannot be split lie in several slots.
    CrossSlot,
    /// The BY pattern of SORT may read keys of other slots.
    SortBy,
    /// A GET pattern of SORT may read keys of other slots.
    SortGet,
    /// The command is for Redis Cluster.
    ClusterDisabled,
    /// What should be the number of a slot is another number, or none.
    NamedSlot {
        /// What was given, shortened.
        given: Box<[u8]>,
        /// What is wrong with it.
        fault: SlotFault,
    },
    /// An option of a command that the proxy answers itself is wrong.
    Syntax,
    /// `COMMAND GETKEYS` was asked about something that is no command.
    GetKeysUnknownCommand,
    /// `COMMAND GETKEYS` was asked about a command without keys.
    GetKeysNoKeys,
    /// `COMMAND GETKEYS` was given too many or too few arguments for the command.
    GetKeysWrongArity,
    /// `COMMAND GETKEYS` could not find the keys.
    GetKeysInvalidArguments,
    /// A later version of the proxy brings the command.
    NotYet {
        /// The command's full name.
        command: Box<str>,
        /// What it is part of.
        feature: Feature,
    },
    /// The proxy never forwards the command.
    Refused {
        /// The command's full name.
        command: Box<str>,
        /// Why.
        refusal: Refusal,
    },
}

impl Rejection {
    pub(crate) fn unknown_command(args: &Args<'_>) -> Self {
        let mut shown = Vec::new();
        for arg in args.iter().skip(1) {
            let left = SHOWN_BYTES_MAX.saturating_sub(shown.len());
            if left == 0 {
                break;
            }
            shown.push(b'\'');
            shown.extend_from_slice(c_text(arg, left));
            shown.extend_from_slice(b"' ");
        }
        let name = c_text(args.get(0).unwrap_or_default(), SHOWN_BYTES_MAX);
        Self::UnknownCommand { name: name.into(), args: shown.into() }
    }

    pub(crate) fn unknown_subcommand(container: &[u8], name: &[u8]) -> Self {
        let container = container.to_ascii_uppercase().into();
        Self::UnknownSubcommand { container, name: c_text(name, SHOWN_BYTES_MAX).into() }
    }

    pub(crate) fn wrong_arity(command: &Command) -> Self {
        Self::WrongArity { command: command.name.clone() }
    }

    pub(crate) fn not_yet(command: &Command, feature: Feature) -> Self {
        Self::NotYet { command: command.name.clone(), feature }
    }

    pub(crate) fn refused(command: &Command, refusal: Refusal) -> Self {
        Self::Refused { command: command.name.clone(), refusal }
    }

    pub(crate) fn named_slot(given: &[u8], fault: SlotFault) -> Self {
        Self::NamedSlot { given: c_text(given, SHOWN_BYTES_MAX).into(), fault }
    }

    /// Whether Redis finds this fault even before it asks whether the client has authenticated.
    #[must_use]
    pub const fn precedes_auth(&self) -> bool {
        match self {
            Self::UnknownCommand { .. }
            | Self::UnknownSubcommand { .. }
            | Self::WrongArity { .. } => true,
            Self::CrossSlot
            | Self::SortBy
            | Self::SortGet
            | Self::ClusterDisabled
            | Self::NamedSlot { .. }
            | Self::Syntax
            | Self::GetKeysUnknownCommand
            | Self::GetKeysNoKeys
            | Self::GetKeysWrongArity
            | Self::GetKeysInvalidArguments
            | Self::NotYet { .. }
            | Self::Refused { .. } => false,
        }
    }

    /// The error's text with its prefix. Bytes, since a client's bytes need not be UTF-8.
    #[must_use]
    pub fn to_client(&self) -> Vec<u8> {
        match self {
            Self::UnknownCommand { name, args } => {
                one_line(&[b"ERR unknown command '", name, b"', with args beginning with: ", args])
            }
            Self::UnknownSubcommand { container, name } => {
                one_line(&[b"ERR unknown subcommand '", name, b"'. Try ", container, b" HELP."])
            }
            // Redis also tells that the transaction, if there is one, has ended.
            Self::WrongArity { command } if &**command == "exec" => one_line(&[
                b"EXECABORT Transaction discarded because of: wrong number of arguments for '",
                command.as_bytes(),
                b"' command",
            ]),
            Self::WrongArity { command } => one_line(&[
                b"ERR wrong number of arguments for '",
                command.as_bytes(),
                b"' command",
            ]),
            Self::CrossSlot => b"CROSSSLOT Keys in request don't hash to the same slot".to_vec(),
            Self::SortBy => b"ERR BY option of SORT denied in Cluster mode.".to_vec(),
            Self::SortGet => b"ERR GET option of SORT denied in Cluster mode.".to_vec(),
            Self::ClusterDisabled => b"ERR This instance has cluster support disabled".to_vec(),
            Self::NamedSlot { given, fault } => {
                one_line(&[b"ERR parse slotnum '", given, b"' failed, ", &fault.describe(given)])
            }
            Self::Syntax => b"ERR syntax error".to_vec(),
            Self::GetKeysUnknownCommand => b"ERR Invalid command specified".to_vec(),
            Self::GetKeysNoKeys => b"ERR The command has no key arguments".to_vec(),
            Self::GetKeysWrongArity => {
                b"ERR Invalid number of arguments specified for command".to_vec()
            }
            Self::GetKeysInvalidArguments => {
                b"ERR Invalid arguments specified for command".to_vec()
            }
            Self::NotYet { command, feature } => one_line(&[
                b"ERR command '",
                command.as_bytes(),
                b"' is not supported by this proxy yet (",
                feature.name().as_bytes(),
                b")",
            ]),
            Self::Refused { command, refusal } => one_line(&[
                b"ERR command '",
                command.as_bytes(),
                b"' is not allowed through this proxy (",
                refusal.reason().as_bytes(),
                b")",
            ]),
        }
    }

    /// Appends the error as a reply to the request `args`, in the words of a dialect where that has
    /// some of its own: for commands that it does not allow, and for the arity of those that it
    /// handles itself.
    pub fn encode_in(&self, dialect: Dialect, args: &Args<'_>, out: &mut Vec<u8>) {
        if dialect == Dialect::Redis {
            return self.encode(out);
        }
        let is_forbidden =
            matches!(self, Self::NotYet { .. } | Self::Refused { .. }) || dialect.forbids(args);
        let has_own_arity = match (dialect, self) {
            (Dialect::Codis3, Self::WrongArity { command }) => CODIS3_OWN.contains(&&**command),
            (Dialect::Codis2, Self::WrongArity { command }) => {
                // It passes a MSET of one pair, or less, on to a server.
                CODIS2_OWN.contains(&&**command) || (&**command == "mset" && args.len() > 3)
            }
            _ => false,
        };
        let name = c_text(args.get(0).unwrap_or_default(), SHOWN_BYTES_MAX).to_ascii_uppercase();
        let text = match dialect {
            Dialect::Codis3 if is_forbidden => {
                one_line(&[b"ERR handle request, command '", &name, b"' is not allowed"])
            }
            // These two close the connection without a word.
            Dialect::Codis1 | Dialect::Codis2 if is_forbidden => {
                one_line(&[b"ERR command '", &name, b"' is not allowed"])
            }
            Dialect::Reborn if is_forbidden => one_line(&[&name, b" not allowed"]),
            _ if has_own_arity => {
                one_line(&[b"ERR wrong number of arguments for '", &name, b"' command"])
            }
            _ => self.to_client(),
        };
        encode_line(&text, out);
    }

    /// Appends the error as a reply.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode_line(&self.to_client(), out);
    }
}

fn encode_line(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'-');
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}

/// At most `max` bytes of what C would print: a zero byte ends a text.
fn c_text(bytes: &[u8], max: usize) -> &[u8] {
    let shown = bytes.get(..max).unwrap_or(bytes);
    shown.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Joins the pieces; a line break within would end the reply early.
fn one_line(pieces: &[&[u8]]) -> Vec<u8> {
    let mut text = pieces.concat();
    for byte in &mut text {
        if matches!(byte, b'\r' | b'\n') {
            *byte = b' ';
        }
    }
    text
}
