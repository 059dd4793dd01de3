use super::*;

fn addr(port: u16) -> BackendAddr {
    format!("127.0.0.1:{port}").parse().unwrap()
}

fn slot(number: u16) -> SlotId {
    SlotId::new(number).unwrap()
}

#[test]
fn a_switch_touches_the_slots_of_the_old_primary_and_nothing_else_of_them() {
    let mut table = SlotTable::offline();
    let of = |port, group| SlotAssignment {
        is_locked: true,
        forward_method: 1,
        replica_groups: vec![vec![addr(9)]],
        ..SlotAssignment::primary_only(addr(port), group)
    };
    let filled = [(1, of(1, 1)), (2, of(2, 2)), (3, of(3, 1)), (4, of(1, 4))];
    table.fill(1, filled.map(|(number, assignment)| (slot(number), assignment))).unwrap();
    let switch = PrimarySwitch { group: 1, old: addr(1), new: addr(8) };
    let expected = SlotAssignment { is_switched: true, ..of(8, 1) };
    assert_eq!(switched(&table, &[switch]), [(slot(1), expected)]);
}

#[test]
fn a_switch_replaces_the_source_of_a_slot_that_migrates_too() {
    let mut table = SlotTable::offline();
    let from = |source_port| SlotAssignment {
        source: Some(SlotSource { addr: addr(source_port), group: 1, keeps_target: false }),
        ..SlotAssignment::primary_only(addr(2), 2)
    };
    table.fill(1, [(slot(1), from(1)), (slot(2), from(3))]).unwrap();
    let switch = PrimarySwitch { group: 1, old: addr(1), new: addr(8) };
    let expected = SlotAssignment { is_switched: true, ..from(8) };
    assert_eq!(switched(&table, &[switch]), [(slot(1), expected)]);
}
