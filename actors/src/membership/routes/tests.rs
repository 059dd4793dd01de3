use coordinator::codis1::{MigrateStatus, SlotState};

use super::*;

fn slot(status: SlotStatus, group_id: i32, from: i32) -> Slot {
    let migrate_status = MigrateStatus { from, to: group_id };
    let state = SlotState { status, migrate_status, last_op_ts: "0".to_owned() };
    Slot { product_name: "p".to_owned(), id: 7, group_id, state }
}

fn known(group: i32) -> Result<BackendAddr, Fault> {
    match group {
        0..=2 => Ok(format!("h{group}:1").parse().unwrap()),
        _ => Err(Fault::NoGroup(group)),
    }
}

fn check(slot: &Slot, expected: &Result<(&str, Option<&str>, bool), Fault>) {
    let found = assignment_of(slot, known).map(|assignment| {
        let primary = assignment.primary.map(|addr| addr.to_string()).unwrap_or_default();
        let source = assignment.source.map(|source| source.addr.to_string());
        (primary, source, assignment.is_locked)
    });
    let expected = expected.clone().map(|(primary, source, is_locked)| {
        (primary.to_owned(), source.map(str::to_owned), is_locked)
    });
    assert_eq!(found, expected, "{slot:?}");
}

#[test]
fn a_slot_is_assigned_as_its_node_says() {
    use SlotStatus::{Migrate, Offline, Online, PreMigrate};
    check(&slot(Offline, -1, -1), &Ok(("", None, false)));
    check(&slot(Offline, 9, -1), &Ok(("", None, false)));
    check(&slot(Online, 1, -1), &Ok(("h1:1", None, false)));
    // A source that an earlier migration has left in the node counts only while it migrates.
    check(&slot(Online, 1, 2), &Ok(("h1:1", None, false)));
    check(&slot(PreMigrate, 0, -1), &Ok(("h0:1", None, true)));
    check(&slot(Migrate, 2, 1), &Ok(("h2:1", Some("h1:1"), false)));
    check(&slot(Migrate, 2, 0), &Ok(("h2:1", Some("h0:1"), false)));
}

#[test]
fn a_slot_whose_nodes_are_wrong_has_no_assignment() {
    use SlotStatus::{Migrate, Online, PreMigrate};
    check(&slot(Online, -1, -1), &Err(Fault::Unassigned));
    check(&slot(PreMigrate, -1, -1), &Err(Fault::Unassigned));
    check(&slot(Online, 3, -1), &Err(Fault::NoGroup(3)));
    check(&slot(Migrate, 2, 3), &Err(Fault::NoGroup(3)));
    check(&slot(Migrate, 2, -1), &Err(Fault::NoSource));
    check(&slot(Migrate, 2, 2), &Err(Fault::NoSource));
}

fn server(kind: ServerType, addr: &str) -> Server {
    Server { kind, group_id: 1, addr: addr.to_owned() }
}

#[test]
fn a_group_is_served_by_its_one_primary() {
    use ServerType::{Offline, Primary, Replica};
    let (a, b) = (server(Primary, "a:1"), server(Replica, "b:1"));
    let found = |servers: &[Server]| primary_of(1, Some(servers)).map(|addr| addr.to_string());
    assert_eq!(found(&[b.clone(), a.clone()]), Ok("a:1".to_owned()));
    assert_eq!(found(&[b.clone(), server(Offline, "a:1")]), Err(Fault::NoPrimary(1)));
    assert_eq!(found(&[]), Err(Fault::NoPrimary(1)));
    assert_eq!(found(&[a, b, server(Primary, "c:1")]), Err(Fault::TwoPrimaries(1)));
    assert_eq!(primary_of(1, None), Err(Fault::NoGroup(1)));
    for addr in ["", "a", "a:b", "::1:6379", "[::1]:6379", "a:99999"] {
        let expected = Err(Fault::BadAddr(1, addr.to_owned()));
        assert_eq!(found(&[server(Primary, addr)]), expected, "{addr}");
    }
}
