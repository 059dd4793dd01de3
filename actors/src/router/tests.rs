use super::*;
use routing::{BackendAddr, SLOTS, SlotAssignment};

fn addr(port: u16) -> BackendAddr {
    format!("127.0.0.1:{port}").parse().unwrap()
}

fn slot(number: u16) -> SlotId {
    SlotId::new(number).unwrap()
}

#[test]
fn slots_with_one_assignment_share_a_route() {
    let table = SlotTable::spread(&[addr(1), addr(2)]).unwrap();
    let (routes, backends) = Routes::compile(&table, false);
    assert_eq!(
        backends,
        vec![(addr(1), Role::Primary), (addr(2), Role::Primary)]
    );
    assert_eq!(routes.of_slot(slot(0)), routes.of_slot(slot(511)));
    assert_ne!(routes.of_slot(slot(511)), routes.of_slot(slot(512)));
    assert_eq!(
        routes.primary(routes.of_slot(slot(1023)).unwrap()),
        BackendIndex(1)
    );
}

#[test]
fn a_slot_without_primary_has_no_route() {
    let (routes, backends) = Routes::compile(&SlotTable::offline(), false);
    assert!(SlotId::all().all(|slot| routes.of_slot(slot).is_none()));
    assert!(backends.is_empty());
}

#[test]
fn replica_groups_keep_their_order_and_the_primary_keeps_its_role() {
    let mut table = SlotTable::offline();
    let assignment = SlotAssignment {
        primary: Some(addr(1)),
        group: 1,
        replica_groups: vec![vec![addr(2), addr(1)], vec![addr(3)]],
    };
    table
        .fill(1, SlotId::all().map(|slot| (slot, assignment.clone())))
        .unwrap();
    let (routes, backends) = Routes::compile(&table, false);
    let route = routes.of_slot(slot(7)).unwrap();
    let named = |group: usize, place: usize| {
        backends[routes.replica(route, group, place).unwrap().0].clone()
    };
    assert_eq!(named(0, 0), (addr(2), Role::Replica));
    assert_eq!(named(0, 1), (addr(1), Role::Primary));
    assert_eq!(named(1, 0), (addr(3), Role::Replica));
    let (primary_only, _) = Routes::compile(&table, true);
    assert!(!primary_only.has_replicas(route));
}

#[test]
fn as_many_routes_as_slots_are_fine() {
    let mut table = SlotTable::offline();
    let each = SlotId::all().map(|slot| {
        (
            slot,
            SlotAssignment::primary_only(addr(slot.number() + 1), 1),
        )
    });
    table.fill(1, each).unwrap();
    let (routes, backends) = Routes::compile(&table, false);
    assert_eq!(backends.len(), SLOTS);
    assert_eq!(
        routes.primary(routes.of_slot(slot(1023)).unwrap()),
        BackendIndex(1023)
    );
}
