//! Decides what to do with one request.
//!
//! The checks run in the order of Redis, so that a wrong request gets the error that Redis gives:
//! is there such a command, does it take so many arguments, and only then the proxy's own policy.
//!
//! The path of a single-key command allocates nothing.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use routing::SlotId;
use routing::slot_of;
use smallvec::SmallVec;

use crate::Args;
use crate::Command;
use crate::CommandTable;
use crate::Rejection;
use crate::fan_out::FanOut;
use crate::fan_out::FanOutRequest;
use crate::keys;
use crate::keys::KeyPosition;
use crate::named_slot::named_slot;
use crate::policy::Feature;
use crate::policy::LocalCommand;
use crate::policy::Policy;
use crate::sort;

/// Requests without a key go where slot 0 is: any backend would do, and this one always exists.
const KEYLESS_SLOT: SlotId = match SlotId::new(0) {
    Some(slot) => slot,
    None => unreachable!(),
};

/// Which server of a group may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A replica is good enough.
    Read,
    /// Only the primary will do.
    Write,
}

/// What to do with one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// The session answers it.
    Local(LocalCommand),
    /// The request goes unchanged to a backend of this slot.
    Forward {
        /// The slot of its keys.
        slot: SlotId,
        /// Which server of the slot may answer.
        access: Access,
    },
    /// The request goes, without its first argument, to the backend with this address.
    NamedBackend,
    /// The request has keys in more than one slot and is split.
    FanOut(FanOutRequest),
    /// The client gets an error.
    Reject(Rejection),
}

/// The plan of one request, and the command it is about.
#[derive(Debug)]
pub struct Planned<'t> {
    /// The command; `None` when there is no such command or sub-command.
    pub command: Option<&'t Command>,
    /// What to do.
    pub plan: Plan,
}

impl CommandTable {
    /// Decides what to do with a request.
    #[must_use]
    pub fn plan<'t>(&'t self, args: &Args<'_>) -> Planned<'t> {
        let command = match self.resolve(args) {
            Ok(command) => command,
            Err(rejection) => {
                return Planned { command: None, plan: Plan::Reject(rejection) };
            }
        };
        let plan = if command.takes(args.len()) {
            plan_of(command, args).unwrap_or_else(Plan::Reject)
        } else {
            Plan::Reject(Rejection::wrong_arity(command))
        };
        Planned { command: Some(command), plan }
    }

    /// The keys of a request, each once, in the order in which they are first named.
    #[must_use]
    pub fn request_keys<'a>(&self, args: &Args<'a>) -> SmallVec<[&'a [u8]; 4]> {
        let mut keys = SmallVec::new();
        let Ok(command) = self.resolve(args) else {
            return keys;
        };
        let mut positions: SmallVec<[KeyPosition; 16]> = SmallVec::new();
        // As in `forward`: of a request whose keys cannot all be found those that can be count.
        let _unfindable = keys::find(command, args, &mut positions);
        let named = positions.iter().filter_map(|position| args.get(position.index));
        if positions.len() == 1 {
            keys.extend(named);
        } else {
            let mut seen = HashSet::new();
            keys.extend(named.filter(|key| seen.insert(*key)));
        }
        keys
    }

    /// A request of several keys, ready to be split into requests of one key each. `None` when it
    /// has one key, or cannot be split.
    #[must_use]
    pub fn by_key(&self, args: &Args<'_>) -> Option<FanOutRequest> {
        match self.resolve(args).ok()?.policy {
            Policy::FanOut(kind) => FanOutRequest::by_key(kind, args),
            _ => None,
        }
    }

    /// The command or sub-command that a request calls. A container without a sub-command is
    /// itself called.
    pub(crate) fn resolve(&self, args: &Args<'_>) -> Result<&Command, Rejection> {
        let name = args.get(0).unwrap_or_default();
        let command = self.lookup(name).ok_or_else(|| Rejection::unknown_command(args))?;
        match args.get(1) {
            Some(sub) if !command.sub_commands.is_empty() => self
                .sub_command(command, sub)
                .ok_or_else(|| Rejection::unknown_subcommand(name, sub)),
            _ => Ok(command),
        }
    }
}

/// What the command's policy makes of a request with a valid number of arguments.
#[inline]
fn plan_of(command: &Command, args: &Args<'_>) -> Result<Plan, Rejection> {
    match command.policy {
        Policy::Keyed => forward(command, args),
        Policy::KeyedUnlessBlocking if keys::has_block_option(args) => {
            Err(Rejection::not_yet(command, Feature::Blocking))
        }
        Policy::KeyedUnlessBlocking => forward(command, args),
        Policy::Sort => {
            let plan = forward(command, args)?;
            sort::check_patterns(args)?;
            Ok(plan)
        }
        Policy::FanOut(kind) => match FanOutRequest::plan(kind, args) {
            FanOut::WrongArity => Err(Rejection::wrong_arity(command)),
            FanOut::OneSlot(slot) => Ok(Plan::Forward { slot, access: command.access }),
            FanOut::ManySlots(request) => Ok(Plan::FanOut(request)),
        },
        Policy::Local(local) => Ok(Plan::Local(local)),
        Policy::AnyBackend => Ok(Plan::Forward { slot: KEYLESS_SLOT, access: command.access }),
        Policy::NamedSlot => {
            let slot = named_slot(args.get(1).unwrap_or_default())?;
            Ok(Plan::Forward { slot, access: Access::Write })
        }
        Policy::NamedBackend => Ok(Plan::NamedBackend),
        // Only a container without arguments of its own comes here, and its arity forbids that.
        Policy::Container => Err(Rejection::wrong_arity(command)),
        Policy::ClusterDisabled => Err(Rejection::ClusterDisabled),
        Policy::NotYet(feature) => Err(Rejection::not_yet(command, feature)),
        Policy::Refused(refusal) => Err(Rejection::refused(command, refusal)),
    }
}

/// Forwards to the one slot of all keys.
fn forward(command: &Command, args: &Args<'_>) -> Result<Plan, Rejection> {
    let access = command.access;
    if let Some(index) = command.key_rule.single() {
        let slot = args.get(index).map_or(KEYLESS_SLOT, slot_of);
        return Ok(Plan::Forward { slot, access });
    }
    let mut positions: SmallVec<[KeyPosition; 16]> = SmallVec::new();
    // When keys cannot be found, those before them still count: PFMERGE runs with a destination
    // alone. In every other case Redis refuses the request before it does anything (seen on 7.0),
    // and it is forwarded so that the client gets Redis' own words.
    let _unfindable = keys::find(command, args, &mut positions);
    let mut slots = positions.iter().filter_map(|key| args.get(key.index)).map(slot_of);
    let slot = slots.next().unwrap_or(KEYLESS_SLOT);
    if slots.any(|other| other != slot) {
        return Err(Rejection::CrossSlot);
    }
    Ok(Plan::Forward { slot, access })
}
