use std::time::Duration;

use actors::coordination::kind_of;
use config::Config;
use serde_json::json;

use super::*;

fn at(seconds: f64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs_f64(seconds)
}

/// A member that has lived through something.
pub(crate) fn report() -> CoordinatorReport {
    CoordinatorReport {
        topology: Topology::Codis1,
        kind: kind_of(&Config::default()),
        addrs: "10.0.0.1:2181".to_owned(),
        contact: Contact::Connected,
        session_since: Some(at(1_000_000.0)),
        sessions: 2,
        membership: MembershipState::Online,
        node: Some("/zk/codis/db_test/proxy/proxy_1".to_owned()),
        last_action: Some(ActionReport {
            sequence: "0000000042".to_owned(),
            kind: "slot_migrate",
            seen: at(1_000_060.5),
            answered_after: None,
        }),
        actions_answered: 41,
        actions_waiting: 1,
        alarms: vec![Alarm { text: "slots 7: no such group".to_owned(), since: at(1_000_061.0) }],
        alarm_count: 1,
    }
}

#[test]
fn a_report_is_told_whole() {
    let form = CoordinatorForm::of(report(), at(1_000_090.9));
    let expected = json!({
        "kind": "zookeeper",
        "addrs": "10.0.0.1:2181",
        "contact": "connected",
        "session_since": "1970-01-12T13:46:40.000Z",
        "session_age_seconds": 90,
        "sessions_total": 2,
        "membership": "online",
        "node": "/zk/codis/db_test/proxy/proxy_1",
        "last_action": {
            "sequence": "0000000042",
            "type": "slot_migrate",
            "seen": "1970-01-12T13:47:40.500Z",
            "answered_after_ms": null,
        },
        "actions_answered_total": 41,
        "actions_waiting": 1,
        "alarms": [{"text": "slots 7: no such group", "since": "1970-01-12T13:47:41.000Z"}],
        "alarm_count": 1,
    });
    assert_eq!(serde_json::to_value(form).unwrap(), expected);
}

#[test]
fn what_there_is_not_is_null() {
    let young =
        CoordinatorReport { session_since: None, node: None, last_action: None, ..report() };
    let form = serde_json::to_value(CoordinatorForm::of(young, at(0.0))).unwrap();
    for name in ["session_since", "session_age_seconds", "node", "last_action"] {
        assert!(form[name].is_null(), "{name}: {form}");
    }
    // A clock that was set back.
    assert_eq!(session_age_seconds(&report(), at(0.0)), Some(0));
}

#[test]
fn the_document_names_every_field() {
    let document = include_str!("../../../docs/admin-api.md");
    let form = serde_json::to_value(CoordinatorForm::of(report(), at(0.0))).unwrap();
    for object in [&form, &form["last_action"], &form["alarms"][0]] {
        for name in object.as_object().unwrap().keys() {
            assert!(document.contains(&format!("`{name}`")), "{name}");
        }
    }
}

#[test]
fn a_member_says_why_it_does_not_serve() {
    let check = |membership, has_served, expected: &str| {
        let report = CoordinatorReport { membership, ..report() };
        let reason = why_not_serving(&report, has_served).unwrap_or_default();
        assert!(reason.contains(expected) && reason.is_empty() == expected.is_empty(), "{reason}");
    };
    check(MembershipState::Online, true, "");
    check(MembershipState::Waiting, false, "not put the proxy online yet");
    check(MembershipState::Waiting, true, "put the proxy offline");
    check(MembershipState::Unregistered, false, "not registered yet");
    check(MembershipState::Unregistered, true, "session with the coordinator is over");
    check(MembershipState::Leaving, true, "takes leave");
}
