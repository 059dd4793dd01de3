//! Slots as the admin API writes and reads them.
//!
//! Out: every key but `id` is left out at its zero value. In: [`config::fill_slots`] reads the body
//! strictly, and this module turns what it read into changes of the slot table. An order that is
//! wrong in one place is refused whole: half of it would send keys to servers without them.

use actors::topology::FillError;
use config::{FillSlotsError, SlotForm, fill_slots};
use routing::{BackendAddr, RoutingError, SlotAssignment, SlotId, SlotSource, SlotTable};
use serde::Serialize;
use thiserror::Error;

/// What the errors call the body of a request.
const BODY: &str = "body";

/// A slot as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct SlotReport {
    id: u16,
    #[serde(skip_serializing_if = "is_zero")]
    locked: bool,
    #[serde(skip_serializing_if = "is_zero")]
    backend_addr: String,
    #[serde(skip_serializing_if = "is_zero")]
    backend_addr_group_id: u32,
    #[serde(skip_serializing_if = "is_zero")]
    migrate_from: String,
    #[serde(skip_serializing_if = "is_zero")]
    migrate_from_group_id: u32,
    #[serde(skip_serializing_if = "is_zero")]
    migrate_keeps_target: bool,
    #[serde(skip_serializing_if = "is_zero")]
    forward_method: u8,
    #[serde(skip_serializing_if = "is_zero")]
    replica_groups: Vec<Vec<String>>,
}

fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl SlotReport {
    fn of(slot: SlotId, assignment: &SlotAssignment, is_primary_only: bool) -> Self {
        let texts = |addrs: &Vec<BackendAddr>| addrs.iter().map(ToString::to_string).collect();
        let replica_groups = if is_primary_only {
            Vec::new()
        } else {
            assignment.replica_groups.iter().map(texts).collect()
        };
        let (backend_addr, backend_addr_group_id) = match &assignment.primary {
            Some(primary) => (primary.to_string(), assignment.group),
            None => (String::new(), 0),
        };
        let (migrate_from, migrate_from_group_id) = match &assignment.source {
            Some(source) => (source.addr.to_string(), source.group),
            None => (String::new(), 0),
        };
        Self {
            id: slot.number(),
            locked: assignment.is_locked,
            backend_addr,
            backend_addr_group_id,
            migrate_from,
            migrate_from_group_id,
            migrate_keeps_target: assignment.source.as_ref().is_some_and(|s| s.keeps_target),
            forward_method: assignment.forward_method,
            replica_groups,
        }
    }
}

/// What a slot does with requests, in one word: they are served, they wait, or they get an error.
/// `is_held`: a change of the slot is under way.
pub(crate) fn state(assignment: &SlotAssignment, is_held: bool) -> &'static str {
    match assignment {
        _ if is_held => "held",
        locked if locked.is_locked => "locked",
        offline if offline.is_offline() => "offline",
        migrating if migrating.is_migrating() => "migrating",
        _ => "normal",
    }
}

/// Every word that [`state`] may say.
pub(crate) const STATES: [&str; 5] = ["normal", "held", "locked", "migrating", "offline"];

/// All slots in the order of their ids. Replicas that are not used are not told of.
pub(crate) fn report(table: &SlotTable, is_primary_only: bool) -> Vec<SlotReport> {
    let of = |(slot, assignment)| SlotReport::of(slot, assignment, is_primary_only);
    table.assignments().map(of).collect()
}

/// An order about slots that cannot be carried out. Nothing has changed.
#[derive(Debug, Error)]
pub enum SlotsError {
    /// The text is not understood.
    #[error(transparent)]
    Form(#[from] FillSlotsError),
    /// An address or a slot that cannot be.
    #[error("slot {slot}: {error}")]
    Slot {
        /// The slot.
        slot: u16,
        /// What is wrong.
        error: RoutingError,
    },
    /// Beyond what a group's id can be.
    #[error("slot {slot}: `{id}` is no id of a group")]
    Group {
        /// The slot.
        slot: u16,
        /// The id that was given.
        id: i64,
    },
    /// The slot is to come from somewhere and to go nowhere, or to stay where it is.
    #[error("slot {slot}: `migrate_from` needs a `backend_addr`, which is another one")]
    Migration {
        /// The slot.
        slot: u16,
    },
    /// The slots did not become free.
    #[error(transparent)]
    Fill(#[from] FillError),
}

/// Reads the body of an order to fill slots.
pub(crate) fn parse(body: &[u8]) -> Result<Vec<(SlotId, SlotAssignment)>, SlotsError> {
    changes(&fill_slots::parse_order(BODY, body)?)
}

/// The changes of the slot table that some slots' forms ask for.
///
/// # Errors
/// The first one that cannot be carried out.
pub fn changes(forms: &[SlotForm]) -> Result<Vec<(SlotId, SlotAssignment)>, SlotsError> {
    forms.iter().map(change).collect()
}

fn change(form: &SlotForm) -> Result<(SlotId, SlotAssignment), SlotsError> {
    let number = form.id;
    let wrong = |error| SlotsError::Slot { slot: number, error };
    let no_slot = || wrong(RoutingError::SlotNumber { number: number.into() });
    let slot = SlotId::new(number).ok_or_else(no_slot)?;
    let addr = |text: &String| text.parse::<BackendAddr>().map_err(wrong);
    let primary = Some(&form.backend_addr).filter(|text| !text.is_empty()).map(addr).transpose()?;
    let group_of = |id: i64| u32::try_from(id).map_err(|_| SlotsError::Group { slot: number, id });
    let group = group_of(form.backend_addr_group_id)?;
    let source = Some(&form.migrate_from).filter(|text| !text.is_empty()).map(addr).transpose()?;
    if source.is_some() && (primary.is_none() || source == primary) {
        return Err(SlotsError::Migration { slot: number });
    }
    let source_group = group_of(form.migrate_from_group_id)?;
    let source = source.map(|addr| SlotSource {
        addr,
        group: source_group,
        keeps_target: form.migrate_keeps_target,
    });
    let groups = form.replica_groups.iter();
    let replica_groups =
        groups.map(|group| group.iter().map(addr).collect()).collect::<Result<_, _>>()?;
    let assignment = SlotAssignment {
        // A group without a primary says nothing.
        group: if primary.is_some() { group } else { 0 },
        primary,
        source,
        replica_groups,
        is_locked: form.locked,
        forward_method: form.forward_method,
        is_switched: false,
    };
    Ok((slot, assignment))
}

#[cfg(test)]
mod tests;
