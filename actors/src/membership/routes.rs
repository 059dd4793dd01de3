//! From what the nodes of a product say to the assignment of a slot, or to what is wrong with them.
//!
//! ```text
//! slot: offline                      ─► nobody serves it
//!       online       + its group     ─► the group's primary
//!       pre_migrate  + its group     ─► the same, locked: requests wait
//!       migrate      + both groups   ─► the primary of its group, and that of `from` as the source
//! ```
//!
//! A group is usable when it has one primary. A dashboard that promotes a server leaves a group
//! without one for a moment, so a fault is a state to wait in and no reason to change a route.
//!
//! Pure.

use std::fmt;

use coordinator::codis1::{Server, ServerType, Slot, SlotStatus};
use routing::{BackendAddr, SlotAssignment, SlotSource};

/// What is wrong with the nodes of a slot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// The slot has no node.
    NoSlot,
    /// Its node, or one of its group, does not hold what it should.
    Unreadable(String),
    /// It is to be served, and by no group.
    Unassigned,
    /// It migrates to the group that it comes from, or from none.
    NoSource,
    /// The group has no node.
    NoGroup(i32),
    /// None of the group's servers is the primary.
    NoPrimary(i32),
    /// More than one of the group's servers is the primary.
    TwoPrimaries(i32),
    /// The primary has an address that is none.
    BadAddr(i32, String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSlot => f.write_str("no node: was the product initialised?"),
            Self::Unreadable(cause) => f.write_str(cause),
            Self::Unassigned => f.write_str("to be served by no group: assign one"),
            Self::NoSource => f.write_str("migrating from no other group"),
            Self::NoGroup(group) => write!(f, "group {group} does not exist"),
            Self::NoPrimary(group) => write!(f, "group {group} has no primary: promote a server"),
            Self::TwoPrimaries(group) => {
                write!(f, "group {group} has more than one primary: set all but one offline")
            }
            Self::BadAddr(group, addr) => {
                write!(f, "group {group} has a primary at `{addr}`, which is no host:port")
            }
        }
    }
}

/// The groups that a slot has to do with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Groups {
    /// The one that serves it.
    pub(super) target: Option<i32>,
    /// The one that it migrates from.
    pub(super) source: Option<i32>,
}

impl Groups {
    /// The groups that a slot's node names.
    pub(super) fn of(slot: &Slot) -> Self {
        let exists = |group: i32| (group >= 0).then_some(group);
        match slot.state.status {
            SlotStatus::Offline => Self::default(),
            SlotStatus::Online | SlotStatus::PreMigrate => {
                Self { target: exists(slot.group_id), source: None }
            }
            SlotStatus::Migrate => Self {
                target: exists(slot.group_id),
                source: exists(slot.state.migrate_status.from),
            },
        }
    }

    /// Whether a group is one of them.
    pub(super) fn have(self, group: i32) -> bool {
        self.target == Some(group) || self.source == Some(group)
    }

    /// Both, where there are two.
    pub(super) fn iter(self) -> impl Iterator<Item = i32> {
        self.target.into_iter().chain(self.source)
    }
}

/// The assignment that a slot's node asks for; `primary_of` knows the groups.
pub(super) fn assignment_of(
    slot: &Slot,
    primary_of: impl Fn(i32) -> Result<BackendAddr, Fault>,
) -> Result<SlotAssignment, Fault> {
    let status = slot.state.status;
    if status == SlotStatus::Offline {
        return Ok(SlotAssignment::default());
    }
    let groups = Groups::of(slot);
    let target = groups.target.ok_or(Fault::Unassigned)?;
    let mut assignment = SlotAssignment::primary_only(primary_of(target)?, number(target));
    if status == SlotStatus::Migrate {
        let from = groups.source.filter(|from| *from != target).ok_or(Fault::NoSource)?;
        let addr = primary_of(from)?;
        assignment.source = Some(SlotSource { addr, group: number(from), keeps_target: false });
    }
    assignment.is_locked = status == SlotStatus::PreMigrate;
    Ok(assignment)
}

/// The primary of a group with these servers; `None`: the group has no node.
pub(super) fn primary_of(group: i32, servers: Option<&[Server]>) -> Result<BackendAddr, Fault> {
    let servers = servers.ok_or(Fault::NoGroup(group))?;
    let mut primaries = servers.iter().filter(|server| server.kind == ServerType::Primary);
    let primary = primaries.next().ok_or(Fault::NoPrimary(group))?;
    if primaries.next().is_some() {
        return Err(Fault::TwoPrimaries(group));
    }
    let bad = || Fault::BadAddr(group, primary.addr.clone());
    // Codis' servers split addresses at the colon, so one of IPv6 would lead nowhere.
    let is_plain = primary.addr.matches(':').count() == 1;
    primary.addr.parse().ok().filter(|_| is_plain).ok_or_else(bad)
}

/// Groups are told from none by their sign, which a usable one has not.
fn number(group: i32) -> u32 {
    u32::try_from(group).unwrap_or(0)
}

#[cfg(test)]
mod tests;
