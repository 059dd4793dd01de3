//! The actions of a product: which are new, which wait for their effect, and what they touch.
//!
//! An action counts as known from when it was listed; a lower number that appears later than a
//! higher one is as new as any other. What an action is about is only a hint of where to look: the
//! slots' nodes say how they are (old dashboards announce changes by varying types).
//!
//! Pure. Bounds: the names are those that the coordinator lists; the actions that wait are among
//! them, and only those that name this proxy.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::RangeInclusive;
use std::time::SystemTime;

use coordinator::codis1::{Action, Event, Sequence};
use routing::{SLOTS, SlotId};
use tokio::time::Instant;

use super::routes::Groups;

/// What an action may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Nothing that a proxy knows of.
    Nothing,
    /// These slots.
    Slots(RangeInclusive<u16>),
    /// The slots that the group serves, and those that migrate from it.
    Group(i32),
}

impl Scope {
    /// What an action is about.
    pub(super) fn of(event: &Event) -> Self {
        match event {
            Event::SlotChanged(slot) | Event::SlotPreMigrate(slot) | Event::SlotMigrate(slot) => {
                Self::range(slot.id, slot.id)
            }
            Event::MultiSlotChanged(slots) => Self::range(slots.from, slots.to),
            Event::GroupChanged(group) => Self::Group(group.id),
            Event::GroupRemove(_) => Self::Nothing,
        }
    }

    /// The slots there are between two numbers.
    fn range(from: i32, to: i32) -> Self {
        let last = i32::try_from(SLOTS).unwrap_or(i32::MAX) - 1;
        let (from, to) = (from.max(0), to.min(last));
        match (u16::try_from(from), u16::try_from(to)) {
            (Ok(from), Ok(to)) if from <= to => Self::Slots(from..=to),
            _ => Self::Nothing,
        }
    }

    /// The slots to look at, when slots have to do with these groups.
    pub(super) fn slots(&self, groups_of: impl Fn(SlotId) -> Groups) -> BTreeSet<SlotId> {
        match self {
            Self::Nothing => BTreeSet::new(),
            Self::Slots(range) => range.clone().filter_map(SlotId::new).collect(),
            Self::Group(group) => {
                SlotId::all().filter(|slot| groups_of(*slot).have(*group)).collect()
            }
        }
    }
}

/// The word of an action's type.
pub(super) fn kind_of(event: &Event) -> &'static str {
    match event {
        Event::SlotChanged(_) => "slot_changed",
        Event::SlotPreMigrate(_) => "slot_premigrate",
        Event::SlotMigrate(_) => "slot_migrate",
        Event::MultiSlotChanged(_) => "multi_slot_changed",
        Event::GroupChanged(_) => "group_changed",
        Event::GroupRemove(_) => "group_remove",
    }
}

/// An action that waits for its effect.
#[derive(Clone, Debug)]
pub(super) struct WaitingAction {
    /// The name of its node.
    pub(super) name: String,
    pub(super) scope: Scope,
    pub(super) kind: &'static str,
    pub(super) seen: SystemTime,
    pub(super) since: Instant,
}

impl WaitingAction {
    pub(super) fn new(name: String, action: &Action) -> Self {
        let (scope, kind) = (Scope::of(&action.event), kind_of(&action.event));
        Self { name, scope, kind, seen: SystemTime::now(), since: Instant::now() }
    }
}

/// The actions of a product.
#[derive(Debug, Default)]
pub(super) struct Actions {
    known: HashSet<String>,
    waiting: BTreeMap<Sequence, WaitingAction>,
}

impl Actions {
    /// Notes what there is already: none of it is for this proxy.
    pub(super) fn begin_after(&mut self, names: &[String]) {
        self.known = names.iter().cloned().collect();
        self.waiting.clear();
    }

    /// Takes a listing: returns the new names in their order, and forgets what is gone. What no
    /// dashboard would call an action is passed over.
    pub(super) fn take_listing(&mut self, names: &[String]) -> Vec<(Sequence, String)> {
        let mut new: Vec<(Sequence, String)> = names
            .iter()
            .filter(|name| !self.known.contains(*name))
            .filter_map(|name| Some((Sequence::of_name(name)?, name.clone())))
            .collect();
        new.sort();
        if !new.is_empty() || self.known.len() != names.len() {
            self.known = names.iter().cloned().collect();
        }
        self.waiting.retain(|_, action| self.known.contains(&action.name));
        new
    }

    /// Lets an action wait.
    pub(super) fn enter(&mut self, sequence: Sequence, action: WaitingAction) {
        self.waiting.insert(sequence, action);
    }

    /// The actions that wait, in their order.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (Sequence, &WaitingAction)> {
        self.waiting.iter().map(|(sequence, action)| (*sequence, action))
    }

    /// An action waits no longer.
    pub(super) fn remove(&mut self, sequence: Sequence) {
        self.waiting.remove(&sequence);
    }

    pub(super) fn waiting_count(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests;
