use routing::{BackendAddr, SLOTS, SlotAssignment};

use super::*;
use crate::backend_conn::Role;

fn addr(port: u16) -> BackendAddr {
    format!("127.0.0.1:{port}").parse().unwrap()
}

fn slot(number: u16) -> SlotId {
    SlotId::new(number).unwrap()
}

type Named = Vec<(BackendAddr, Role)>;

/// Compiles a table and lists the backends in the order of their indices.
fn compile(table: &SlotTable, is_primary_only: bool) -> (Routes, Named) {
    let mut backends = Named::new();
    let policy = RoutePolicy { is_primary_only, migration_method: config::MigrationMethod::Auto };
    let routes = Routes::compile(table, policy, |addr, role| {
        let known = backends.iter().position(|known| *known == (addr.clone(), role));
        BackendIndex(known.unwrap_or_else(|| {
            backends.push((addr.clone(), role));
            backends.len() - 1
        }))
    });
    (routes, backends)
}

fn route(routes: &Routes, number: u16) -> RouteIndex {
    match routes.of_slot(slot(number)) {
        Way::Route(route) => route,
        other => panic!("slot {number}: {other:?}"),
    }
}

#[test]
fn slots_with_the_same_backends_share_a_route() {
    let mut table = SlotTable::spread(&[addr(1), addr(2)]).unwrap();
    table.fill(2, [(slot(3), SlotAssignment::primary_only(addr(1), 77))]).unwrap();
    let (routes, backends) = compile(&table, false);
    assert_eq!(backends, vec![(addr(1), Role::Primary), (addr(2), Role::Primary)]);
    assert_eq!(route(&routes, 0), route(&routes, 511));
    assert_eq!(route(&routes, 0), route(&routes, 3));
    assert_ne!(route(&routes, 511), route(&routes, 512));
    assert_eq!(routes.primary(route(&routes, 1023)), BackendIndex(1));
}

#[test]
fn a_slot_without_primary_is_offline() {
    let (routes, backends) = compile(&SlotTable::offline(), false);
    assert!(SlotId::all().all(|slot| routes.of_slot(slot) == Way::Offline));
    assert!(backends.is_empty());
}

#[test]
fn a_locked_slot_is_held_and_keeps_its_backends() {
    let mut table = SlotTable::spread(&[addr(1)]).unwrap();
    let locked = SlotAssignment { is_locked: true, ..SlotAssignment::primary_only(addr(9), 1) };
    table.fill(2, [(slot(5), locked)]).unwrap();
    let (routes, backends) = compile(&table, false);
    assert_eq!(routes.of_slot(slot(5)), Way::Held);
    assert_eq!(route(&routes, 4), route(&routes, 6));
    assert!(backends.contains(&(addr(9), Role::Primary)));
    assert!(routes.backends().any(|backend| backends[backend.0].0 == addr(9)));
}

#[test]
fn a_held_slot_has_no_way_until_the_next_compile() {
    let table = SlotTable::spread(&[addr(1)]).unwrap();
    let (mut routes, _) = compile(&table, false);
    routes.hold(slot(7));
    assert_eq!(routes.of_slot(slot(7)), Way::Held);
    assert!(matches!(routes.of_slot(slot(8)), Way::Route(_)));
}

#[test]
fn replica_groups_keep_their_order_and_the_primary_keeps_its_role() {
    let mut table = SlotTable::offline();
    let assignment = SlotAssignment {
        replica_groups: vec![vec![addr(2), addr(1)], vec![addr(3)]],
        ..SlotAssignment::primary_only(addr(1), 1)
    };
    table.fill(1, SlotId::all().map(|slot| (slot, assignment.clone()))).unwrap();
    let (routes, backends) = compile(&table, false);
    let all = route(&routes, 7);
    let named =
        |group: usize, place: usize| backends[routes.replica(all, group, place).unwrap().0].clone();
    assert_eq!(named(0, 0), (addr(2), Role::Replica));
    assert_eq!(named(0, 1), (addr(1), Role::Primary));
    assert_eq!(named(1, 0), (addr(3), Role::Replica));
    let (primary_only, _) = compile(&table, true);
    assert!(!primary_only.has_replicas(route(&primary_only, 7)));
}

#[test]
fn as_many_routes_as_slots_are_fine() {
    let mut table = SlotTable::offline();
    let each =
        SlotId::all().map(|slot| (slot, SlotAssignment::primary_only(addr(slot.number() + 1), 1)));
    table.fill(1, each).unwrap();
    let (routes, backends) = compile(&table, false);
    assert_eq!(backends.len(), SLOTS);
    assert_eq!(routes.primary(route(&routes, 1023)), BackendIndex(1023));
}
