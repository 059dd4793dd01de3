//! The proxies whose place this one can take: which commands their clients do without.
//!
//! A table of commands speaks one dialect, chosen when it is built. What the dialect forbids is
//! refused by the policy of the command like everything else that is refused, so that no request
//! costs a look at these lists; they are read again only to find the words of a refusal. A dialect
//! never allows what the proxy itself refuses.
//!
//! The lists are those of the proxies, as they were meant: Codis 1.9 and RebornDB compared the first
//! word alone, and so let `CONFIG SET` pass, and they had PSUBSCRIBE and PUBLISH in one word.

use crate::Args;
use crate::Command;
use crate::policy::Policy;
use crate::policy::Refusal;

/// Which proxy clients find.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// None: a Redis.
    #[default]
    Redis,
    /// Codis 3.2, whose list is that of the proxy's own policy.
    Codis3,
    /// Codis 2.0.
    Codis2,
    /// Codis 1.9.
    Codis1,
    /// RebornDB.
    Reborn,
}

/// Commands that Codis 1.9 and RebornDB forbid: full names, as in the table of policies. Of the
/// commands of their servers they named some that act on one server; the others are added.
const FORBIDDEN_FIRST: &[&str] = &[
    "keys move object rename renamenx sort scan bitop msetnx randomkey dbsize flushall flushdb",
    "blpop brpop brpoplpush discard exec multi unwatch watch",
    "psubscribe publish punsubscribe subscribe unsubscribe",
    "script|exists script|flush script|kill script|load",
    "client|kill client|list config|get config|resetstat config|set debug|object debug|segfault",
    "bgrewriteaof bgsave lastsave monitor save shutdown slaveof slowlog sync time",
    "slotsdel slotsmgrt slotsmgrtone",
    "slotscheck slotsinfo slotsmgrtslot slotsmgrttagone slotsmgrttagslot",
];

/// Commands that Codis 2.0 forbids, and one of the same kind that its servers no longer have.
const FORBIDDEN_CODIS2: &[&str] = &[
    "keys move object rename renamenx scan bitop msetnx randomkey dbsize flushall flushdb",
    "migrate restore blpop brpop brpoplpush discard exec multi unwatch watch",
    "psubscribe publish punsubscribe subscribe unsubscribe",
    "script client config debug",
    "bgrewriteaof bgsave lastsave monitor save shutdown slaveof slowlog sync time",
    "slotscheck slotsdel slotsinfo slotsmgrtone slotsmgrtslot slotsmgrttagone slotsmgrttagslot",
    "slotsmgrt",
];

impl Dialect {
    /// The full names of what it forbids.
    fn forbidden(self) -> impl Iterator<Item = &'static str> {
        let lists = match self {
            Self::Redis | Self::Codis3 => &[],
            Self::Codis2 => FORBIDDEN_CODIS2,
            Self::Codis1 | Self::Reborn => FORBIDDEN_FIRST,
        };
        lists.iter().flat_map(|list| list.split(' '))
    }

    /// Whether it forbids a request, by the request's first word or its first two.
    pub(crate) fn forbids(self, args: &Args<'_>) -> bool {
        let is_word = |index, word: &str| args.is_word(index, word);
        self.forbidden().any(|name| match name.split_once('|') {
            Some((container, short)) => is_word(0, container) && is_word(1, short),
            None => is_word(0, name),
        })
    }

    /// Refuses what it forbids and the proxy would serve.
    pub(crate) fn restrict(self, commands: &mut [Command]) {
        for name in self.forbidden() {
            let is_meant = |command: &&mut Command| {
                let rest = command.name.strip_prefix(name);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('|'))
            };
            for command in commands.iter_mut().filter(is_meant) {
                if command.policy.is_supported() && command.policy != Policy::Container {
                    command.policy = Policy::Refused(Refusal::Dialect);
                    command.is_supported = false;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
