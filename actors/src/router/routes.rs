//! The slot table compiled for the hot path: from a slot to backends in two array reads.
//!
//! Slots with the same backends share a route, so that "do these keys go to one place?" is a
//! comparison of two numbers. A held slot has no route: its requests are parked.
//!
//! Pure. Compiled anew whenever the table changes; held slots are marked in place.

use routing::{BackendAddr, SLOTS, SlotAssignment, SlotId, SlotTable};

use crate::backend_conn::Role;

/// The position of a backend among the router's backends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct BackendIndex(pub(super) usize);

/// The position of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RouteIndex(u16);

/// Where the requests of a slot go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To the backends of this route.
    Route(RouteIndex),
    /// Nowhere for now: they wait.
    Held,
    /// Nowhere: no backend is assigned.
    Offline,
}

const OFFLINE: u16 = u16::MAX;
const HELD: u16 = u16::MAX - 1;

#[derive(Debug)]
struct Route {
    primary: BackendIndex,
    replica_groups: Vec<Vec<BackendIndex>>,
}

#[derive(Debug)]
pub(super) struct Routes {
    by_slot: Box<[u16]>,
    routes: Vec<Route>,
}

impl RouteIndex {
    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The route with an index that `index` gave.
    pub(super) fn from_index(index: usize) -> Self {
        Self(u16::try_from(index).unwrap_or(OFFLINE))
    }
}

impl Routes {
    /// Compiles a table; `index_of` numbers the backends. Locked slots are held.
    pub(super) fn compile(
        table: &SlotTable,
        is_primary_only: bool,
        mut index_of: impl FnMut(&BackendAddr, Role) -> BackendIndex,
    ) -> Self {
        let mut seen: Vec<(&BackendAddr, &[Vec<BackendAddr>])> = Vec::new();
        let mut routes = Vec::new();
        let mut by_slot = vec![OFFLINE; SLOTS].into_boxed_slice();
        for ((_, assignment), entry) in table.assignments().zip(by_slot.iter_mut()) {
            let Some(primary) = &assignment.primary else {
                continue;
            };
            let backends = (primary, replica_groups(assignment, is_primary_only));
            let index = seen.iter().rposition(|known| *known == backends).unwrap_or_else(|| {
                routes.push(Route::compile(backends, &mut index_of));
                seen.push(backends);
                seen.len() - 1
            });
            *entry = if assignment.is_locked { HELD } else { RouteIndex::from_index(index).0 };
        }
        Self { by_slot, routes }
    }

    /// Marks a slot as held, until the next `compile`.
    pub(super) fn hold(&mut self, slot: SlotId) {
        if let Some(entry) = self.by_slot.get_mut(slot.index()) {
            *entry = HELD;
        }
    }

    /// Where the requests of a slot go.
    #[inline]
    pub(super) fn of_slot(&self, slot: SlotId) -> Way {
        match self.by_slot.get(slot.index()) {
            Some(&HELD) => Way::Held,
            Some(&OFFLINE) | None => Way::Offline,
            Some(&route) => Way::Route(RouteIndex(route)),
        }
    }

    /// The primary of a route that `of_slot` gave.
    pub(super) fn primary(&self, route: RouteIndex) -> BackendIndex {
        self.routes.get(route.index()).map_or(BackendIndex(usize::MAX), |route| route.primary)
    }

    /// Whether reads of a route may go to a replica at all.
    pub(super) fn has_replicas(&self, route: RouteIndex) -> bool {
        !self.replica_groups(route).is_empty()
    }

    /// The replica groups of a route, in the order of preference.
    pub(super) fn replica_groups(&self, route: RouteIndex) -> &[Vec<BackendIndex>] {
        self.routes.get(route.index()).map_or(&[], |route| &route.replica_groups)
    }

    /// One replica of a route.
    pub(super) fn replica(
        &self,
        route: RouteIndex,
        group: usize,
        place: usize,
    ) -> Option<BackendIndex> {
        self.replica_groups(route).get(group)?.get(place).copied()
    }

    /// Every backend that some slot needs, some of them more than once.
    pub(super) fn backends(&self) -> impl Iterator<Item = BackendIndex> {
        self.routes.iter().flat_map(|route| {
            std::iter::once(route.primary).chain(route.replica_groups.iter().flatten().copied())
        })
    }
}

impl Route {
    fn compile(
        (primary, groups): (&BackendAddr, &[Vec<BackendAddr>]),
        index_of: &mut impl FnMut(&BackendAddr, Role) -> BackendIndex,
    ) -> Self {
        let mut reader = |addr: &BackendAddr| {
            // The primary may be one of its readers (Codis' `replica_group` flag on it); it then
            // shares the primary's connection.
            index_of(addr, if addr == primary { Role::Primary } else { Role::Replica })
        };
        let replica_groups =
            groups.iter().map(|group| group.iter().map(&mut reader).collect()).collect();
        Self { primary: index_of(primary, Role::Primary), replica_groups }
    }
}

/// The replica groups that reads of a slot may use.
pub(super) fn replica_groups(
    assignment: &SlotAssignment,
    is_primary_only: bool,
) -> &[Vec<BackendAddr>] {
    if is_primary_only { &[] } else { &assignment.replica_groups }
}
