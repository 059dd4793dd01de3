//! The slot table compiled for the hot path: from a slot to backends in two array reads.
//!
//! Slots with one and the same assignment share a route, so that "do these keys go to one place?"
//! is a comparison of two numbers.
//!
//! Pure. Rebuilt from the [`SlotTable`] whenever that changes.

use std::collections::HashMap;

use routing::{BackendAddr, SLOTS, SlotAssignment, SlotId, SlotTable};

use crate::backend_conn::Role;

/// The position of a backend among the router's backends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct BackendIndex(pub(super) usize);

/// The position of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RouteIndex(u16);

const OFFLINE: u16 = u16::MAX;

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
    /// Compiles a table. Also returns the backends that it names, in the order of their indices.
    pub(super) fn compile(
        table: &SlotTable,
        is_primary_only: bool,
    ) -> (Self, Vec<(BackendAddr, Role)>) {
        let mut backends = Backends::default();
        let mut seen: Vec<(&SlotAssignment, u16)> = Vec::new();
        let mut routes = Vec::new();
        let mut by_slot = vec![OFFLINE; SLOTS].into_boxed_slice();
        for ((_, assignment), entry) in table.assignments().zip(by_slot.iter_mut()) {
            let Some(primary) = &assignment.primary else {
                continue;
            };
            if let Some((_, route)) = seen.iter().rev().find(|(known, _)| *known == assignment) {
                *entry = *route;
                continue;
            }
            let groups = if is_primary_only {
                &[][..]
            } else {
                &assignment.replica_groups
            };
            let index = u16::try_from(routes.len()).unwrap_or(OFFLINE);
            routes.push(Route {
                primary: backends.index_of(primary, Role::Primary),
                replica_groups: groups
                    .iter()
                    .map(|group| {
                        group
                            .iter()
                            .map(|addr| backends.reader(addr, primary))
                            .collect()
                    })
                    .collect(),
            });
            seen.push((assignment, index));
            *entry = index;
        }
        (Self { by_slot, routes }, backends.list)
    }

    /// The route of a slot; `None` when it is offline.
    pub(super) fn of_slot(&self, slot: SlotId) -> Option<RouteIndex> {
        self.by_slot
            .get(slot.index())
            .filter(|route| **route != OFFLINE)
            .map(|r| RouteIndex(*r))
    }

    /// The primary of a route that `of_slot` gave.
    pub(super) fn primary(&self, route: RouteIndex) -> BackendIndex {
        self.routes
            .get(route.index())
            .map_or(BackendIndex(usize::MAX), |route| route.primary)
    }

    /// Whether reads of a route may go to a replica at all.
    pub(super) fn has_replicas(&self, route: RouteIndex) -> bool {
        !self.replica_groups(route).is_empty()
    }

    /// The replica groups of a route, in the order of preference.
    pub(super) fn replica_groups(&self, route: RouteIndex) -> &[Vec<BackendIndex>] {
        self.routes
            .get(route.index())
            .map_or(&[], |route| &route.replica_groups)
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
}

#[derive(Default)]
struct Backends {
    list: Vec<(BackendAddr, Role)>,
    indices: HashMap<(BackendAddr, Role), BackendIndex>,
}

impl Backends {
    fn index_of(&mut self, addr: &BackendAddr, role: Role) -> BackendIndex {
        let list = &mut self.list;
        *self.indices.entry((addr.clone(), role)).or_insert_with(|| {
            list.push((addr.clone(), role));
            BackendIndex(list.len() - 1)
        })
    }

    /// A reader of a replica group. The primary may be one of them (Codis' `replica_group` flag on
    /// it); it then shares the primary's connection.
    fn reader(&mut self, addr: &BackendAddr, primary: &BackendAddr) -> BackendIndex {
        let role = if addr == primary {
            Role::Primary
        } else {
            Role::Replica
        };
        self.index_of(addr, role)
    }
}
