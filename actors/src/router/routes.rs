//! The slot table compiled for the hot path: from a slot to backends in two array reads.
//!
//! Slots with the same backends share a route, so that "do these keys go to one place?" is a
//! comparison of two numbers. A held slot has no route: its requests are parked. The route of a
//! migrating slot leads to the migrator.
//!
//! Pure. Compiled anew whenever the table changes; held slots are marked in place.

use std::sync::Arc;

use config::MigrationMethod;
use routing::{BackendAddr, SLOTS, SlotAssignment, SlotId, SlotTable};

use crate::backend_conn::Role;
use crate::migrator::Migration;

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
    /// To the primary of this route, when the migrator has moved their keys there.
    Migrating(RouteIndex),
    /// Nowhere for now: they wait.
    Held,
    /// Nowhere: no backend is assigned.
    Offline,
}

const OFFLINE: u16 = u16::MAX;
const HELD: u16 = u16::MAX - 1;

/// Set in the entry of a slot that migrates; there are fewer routes than that.
const MIGRATING: u16 = 1 << 12;

/// The primary of a slot, its replica groups, and where it migrates from.
type Backends<'t> = (&'t BackendAddr, &'t [Vec<BackendAddr>], Option<Migration>);

/// What the configuration says of routes.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoutePolicy {
    /// Reads go to primaries only.
    pub(super) is_primary_only: bool,
    pub(super) migration_method: MigrationMethod,
}

#[derive(Debug)]
struct Route {
    primary: BackendIndex,
    replica_groups: Vec<Vec<BackendIndex>>,
    migration: Option<(BackendIndex, Arc<Migration>)>,
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
        policy: RoutePolicy,
        mut index_of: impl FnMut(&BackendAddr, Role) -> BackendIndex,
    ) -> Self {
        let mut seen: Vec<Backends<'_>> = Vec::new();
        let mut routes = Vec::new();
        let mut by_slot = vec![OFFLINE; SLOTS].into_boxed_slice();
        for ((_, assignment), entry) in table.assignments().zip(by_slot.iter_mut()) {
            let Some(primary) = &assignment.primary else {
                continue;
            };
            let migration = Migration::of(assignment, policy.migration_method);
            let mark = if migration.is_some() { MIGRATING } else { 0 };
            let backends = (primary, replica_groups(assignment, policy.is_primary_only), migration);
            let index = seen.iter().rposition(|known| *known == backends).unwrap_or_else(|| {
                routes.push(Route::compile(&backends, &mut index_of));
                seen.push(backends);
                seen.len() - 1
            });
            let route = RouteIndex::from_index(index).0 | mark;
            *entry = if assignment.is_locked { HELD } else { route };
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
            Some(&route) if route & MIGRATING != 0 => {
                Way::Migrating(RouteIndex(route & !MIGRATING))
            }
            Some(&route) => Way::Route(RouteIndex(route)),
        }
    }

    /// The primary of a route that `of_slot` gave.
    pub(super) fn primary(&self, route: RouteIndex) -> BackendIndex {
        self.routes.get(route.index()).map_or(BackendIndex(usize::MAX), |route| route.primary)
    }

    /// What the migrator needs to know of a route that `of_slot` says is migrating.
    pub(super) fn migration(&self, route: RouteIndex) -> Option<&Arc<Migration>> {
        let (_, migration) = self.routes.get(route.index())?.migration.as_ref()?;
        Some(migration)
    }

    /// Whether requests of a migrating route go to the migrator one key at a time.
    pub(super) fn is_split_by_key(&self, route: RouteIndex) -> bool {
        self.migration(route).is_some_and(|migration| migration.is_semi_async)
    }

    /// The backends that may have requests of a route in flight, other than its replicas.
    pub(super) fn primary_and_source(
        &self,
        route: RouteIndex,
    ) -> impl Iterator<Item = BackendIndex> + '_ {
        let route = self.routes.get(route.index());
        route.into_iter().flat_map(|route| {
            let source = route.migration.as_ref().map(|(source, _)| *source);
            std::iter::once(route.primary).chain(source)
        })
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
            let source = route.migration.as_ref().map(|(source, _)| *source);
            let replicas = route.replica_groups.iter().flatten().copied();
            std::iter::once(route.primary).chain(source).chain(replicas)
        })
    }
}

impl Route {
    fn compile(
        (primary, groups, migration): &Backends<'_>,
        index_of: &mut impl FnMut(&BackendAddr, Role) -> BackendIndex,
    ) -> Self {
        let mut reader = |addr: &BackendAddr| {
            // The primary may be one of its readers (Codis' `replica_group` flag on it); it then
            // shares the primary's connection.
            index_of(addr, if addr == *primary { Role::Primary } else { Role::Replica })
        };
        let replica_groups =
            groups.iter().map(|group| group.iter().map(&mut reader).collect()).collect();
        let migration = migration.as_ref().map(|migration| {
            (index_of(&migration.source, Role::Source), Arc::new(migration.clone()))
        });
        Self { primary: index_of(primary, Role::Primary), replica_groups, migration }
    }
}

/// The replica groups that reads of a slot may use: none while it migrates, since they may not
/// have yet what their primary has.
pub(super) fn replica_groups(
    assignment: &SlotAssignment,
    is_primary_only: bool,
) -> &[Vec<BackendAddr>] {
    if is_primary_only || assignment.is_migrating() { &[] } else { &assignment.replica_groups }
}
