//! The slot table: which backends serve each slot.
//!
//! An entry is an [`SlotAssignment`]: a primary, and replica groups in the order in which reads
//! prefer them. A slot without a primary is offline; a locked slot has its assignment, but its
//! requests wait until it is filled unlocked. Every change carries an epoch; an older one is
//! refused, so that two changes cannot cross on their way to a worker.
//!
//! Invariants:
//! T-1 the table has an entry for each slot.
//! T-2 the epoch never shrinks.

use crate::{BackendAddr, RoutingError, SLOTS, SlotId};

/// Where a migrating slot comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SlotSource {
    /// The primary that may still have some of the slot's keys.
    pub addr: BackendAddr,
    /// The id of its group. 0 when unknown.
    pub group: u32,
    /// Where both servers have a key, the target's counts: it was seen to have none of the slot's keys
    /// before the first one moved. Otherwise the source's counts until it has let go of it.
    pub keeps_target: bool,
}

/// The backends of one slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotAssignment {
    /// Serves writes, and reads when no replica can. `None`: the slot is offline.
    pub primary: Option<BackendAddr>,
    /// The id of the primary's group, as the operator numbers groups. 0 when unknown.
    pub group: u32,
    /// The slot migrates: keys that were not moved yet are there, and the primary is the target.
    pub source: Option<SlotSource>,
    /// Where reads go: the first group with a connected replica. Empty: reads go to the primary.
    pub replica_groups: Vec<Vec<BackendAddr>>,
    /// Requests wait, without an error, until the slot is filled unlocked.
    pub is_locked: bool,
    /// How a dashboard wants keys of the slot moved, in its own numbers; told back to it.
    pub forward_method: u8,
    /// Sentinels chose the primary after the slot was filled. Whoever fills the slot next knows of
    /// it, so a fill ends this.
    pub is_switched: bool,
}

impl SlotAssignment {
    /// A slot served by one primary alone.
    #[must_use]
    pub fn primary_only(primary: BackendAddr, group: u32) -> Self {
        Self { primary: Some(primary), group, ..Self::default() }
    }

    /// True while keys of the slot may lie in two places.
    #[must_use]
    pub fn is_migrating(&self) -> bool {
        self.source.is_some()
    }

    /// True when no request to the slot can be served.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.primary.is_none()
    }
}

/// The assignment of every slot, at one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotTable {
    epoch: u64,
    entries: Vec<SlotAssignment>,
}

impl SlotTable {
    /// A table in which every slot is offline, at epoch 0.
    #[must_use]
    pub fn offline() -> Self {
        Self { epoch: 0, entries: vec![SlotAssignment::default(); SLOTS] }
    }

    /// A table with the slots spread evenly, in contiguous ranges, over primaries. Groups are
    /// numbered from 1 in the given order.
    ///
    /// # Errors
    /// [`RoutingError::NoBackend`] when no primary is given.
    pub fn spread(primaries: &[BackendAddr]) -> Result<Self, RoutingError> {
        if primaries.is_empty() {
            return Err(RoutingError::NoBackend);
        }
        let mut entries = Vec::with_capacity(SLOTS);
        for slot in 0..SLOTS {
            let index = slot * primaries.len() / SLOTS;
            let primary = primaries.get(index).cloned();
            let group = u32::try_from(index + 1).unwrap_or(u32::MAX);
            entries.push(SlotAssignment { primary, group, ..SlotAssignment::default() });
        }
        Ok(Self { epoch: 1, entries })
    }

    /// The version of the table; it only grows (T-2).
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The assignment of a slot.
    #[must_use]
    pub fn assignment(&self, slot: SlotId) -> &SlotAssignment {
        // INVARIANT T-1: every `SlotId` is below `SLOTS`, and the table has `SLOTS` entries.
        #[expect(clippy::indexing_slicing, reason = "T-1")]
        &self.entries[slot.index()]
    }

    /// Every slot with its assignment, in slot order.
    pub fn assignments(&self) -> impl Iterator<Item = (SlotId, &SlotAssignment)> {
        SlotId::all().zip(&self.entries)
    }

    /// Installs new assignments for some slots at a newer epoch.
    ///
    /// # Errors
    /// [`RoutingError::StaleEpoch`] when the epoch is not above the table's; nothing changes then.
    pub fn fill(
        &mut self,
        epoch: u64,
        changes: impl IntoIterator<Item = (SlotId, SlotAssignment)>,
    ) -> Result<(), RoutingError> {
        if epoch <= self.epoch {
            return Err(RoutingError::StaleEpoch { given: epoch, current: self.epoch });
        }
        for (slot, assignment) in changes {
            if let Some(entry) = self.entries.get_mut(slot.index()) {
                *entry = assignment;
            }
        }
        self.epoch = epoch;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
