use routing::{SlotAssignment, SlotId};

use super::*;

/// A connection that has answered ten requests.
pub(crate) fn conn(addr: &str, state: ConnState) -> BackendStatus {
    BackendStatus {
        addr: addr.to_owned(),
        role: Role::Primary,
        database: 0,
        state,
        requests_in_flight: 3,
        requests_waiting: 1,
        replies_total: 10,
        errors_total: 2,
        failures_total: 1,
        connects_total: 1,
        last_failure: None,
        latency_p50_us: 0,
        latency_p99_us: 0,
        latency: Snapshot::default(),
    }
}

/// A table whose first two slots are on these addresses.
pub(crate) fn table(first: &str, second: &str) -> SlotTable {
    let mut table = SlotTable::offline();
    let changes = [first, second].into_iter().enumerate().map(|(number, addr)| {
        let primary = Some(addr.parse().unwrap());
        let slot = SlotId::new(u16::try_from(number).unwrap()).unwrap();
        (slot, SlotAssignment { group: 1, primary, ..SlotAssignment::default() })
    });
    table.fill(1, changes).unwrap();
    table
}

#[test]
fn the_connections_of_all_workers_add_up_and_the_worst_state_shows() {
    let conns = [conn("a:1", ConnState::Ready), conn("a:1", ConnState::Down)];
    let backends = by_addr(&conns, &table("a:1", "a:1"));
    assert_eq!(backends.len(), 1);
    assert_eq!((backends[0].state(), backends[0].slots), ("down", 2));
    assert_eq!((backends[0].requests_in_flight, backends[0].replies_total), (6, 20));
    assert_eq!(backends[0].connections(ConnState::Ready), 1);
}

#[test]
fn a_backend_that_no_request_needed_yet_is_listed_as_unused() {
    let backends = by_addr(&[conn("a:1", ConnState::Ready)], &table("a:1", "b:1"));
    let states: Vec<_> =
        backends.iter().map(|backend| (backend.addr.as_str(), backend.state())).collect();
    assert_eq!(states, [("a:1", "ready"), ("b:1", "unused")]);
}
