use proptest::prelude::*;

use super::*;

/// What was captured is read, and written again byte by byte.
fn check<T: Stored + PartialEq + fmt::Debug>(captured: &str, expected: &T) {
    let path = NodePath::new("/captured").unwrap();
    let read = T::decode(&path, captured.as_bytes()).unwrap();
    assert_eq!(&read, expected);
    assert_eq!(String::from_utf8(read.encode()).unwrap(), captured);
}

fn slot(id: i32, group_id: i32, status: SlotStatus, from: i32, to: i32) -> Slot {
    let migrate_status = MigrateStatus { from, to };
    let state = SlotState { status, migrate_status, last_op_ts: "0".to_owned() };
    Slot { product_name: "test".to_owned(), id, group_id, state }
}

fn proxy() -> Proxy {
    Proxy {
        id: "proxy_1".to_owned(),
        addr: "vm:41900".to_owned(),
        state: ProxyState::Online,
        debug_var_addr: "vm:41901".to_owned(),
        pid: 2433,
        start_at: "2026-11-20 07:27:29.35879875 +0000 UTC m=+0.006170499".to_owned(),
        ..Proxy::default()
    }
}

const PROXY: &str = r#"{"id":"proxy_1","addr":"vm:41900","last_event":"","last_event_ts":0,"state":"online","description":"","debug_var_addr":"vm:41901","pid":2433,"start_at":"2026-11-20 07:27:29.35879875 +0000 UTC m=+0.006170499"}"#;

#[test]
fn slots_are_written_as_codis_writes_them() {
    check(
        r#"{"product_name":"test","id":0,"group_id":-1,"state":{"status":"offline","migrate_status":{"from":-1,"to":-1},"last_op_ts":"0"}}"#,
        &slot(0, -1, SlotStatus::Offline, -1, -1),
    );
    check(
        r#"{"product_name":"test","id":5,"group_id":1,"state":{"status":"online","migrate_status":{"from":-1,"to":-1},"last_op_ts":"0"}}"#,
        &slot(5, 1, SlotStatus::Online, -1, -1),
    );
    check(
        r#"{"product_name":"test","id":7,"group_id":2,"state":{"status":"migrate","migrate_status":{"from":1,"to":2},"last_op_ts":"0"}}"#,
        &slot(7, 2, SlotStatus::Migrate, 1, 2),
    );
    let waiting = slot(7, 2, SlotStatus::PreMigrate, 1, 2).encode();
    assert!(String::from_utf8(waiting).unwrap().contains(r#""status":"pre_migrate""#));
}

#[test]
fn servers_and_groups_are_written_as_codis_writes_them() {
    let addr = "127.0.0.1:26381".to_owned();
    let server = Server { kind: ServerType::Primary, group_id: 1, addr };
    check(r#"{"type":"master","group_id":1,"addr":"127.0.0.1:26381"}"#, &server);
    let group = Group { id: 1, product_name: "test".to_owned(), servers: vec![server] };
    check(
        r#"{"id":1,"product_name":"test","servers":[{"type":"master","group_id":1,"addr":"127.0.0.1:26381"}]}"#,
        &group,
    );
    check(r#"{"id":1,"product_name":"test","servers":null}"#, &Group { servers: vec![], ..group });
}

#[test]
fn proxies_are_written_as_codis_writes_them() {
    check(PROXY, &proxy());
}

#[test]
fn locks_tasks_and_their_like_are_written_as_codis_writes_them() {
    let desc = "add server to group,  {Type:slave GroupId:0 Addr:127.0.0.1:26384}".to_owned();
    check(
        r#"{"desc":"add server to group,  {Type:slave GroupId:0 Addr:127.0.0.1:26384}","hostname":"vm","pid":668}"#,
        &Lock { desc, hostname: "vm".to_owned(), pid: 668 },
    );
    check(
        r#"{"slot_id":7,"new_group":2,"delay":0,"create_at":"1795159676","percent":0,"status":"pending"}"#,
        &Task {
            slot_id: 7,
            new_group: 2,
            create_at: "1795159676".to_owned(),
            status: "pending".to_owned(),
            ..Task::default()
        },
    );
    let addr = "vm:18087".to_owned();
    check(r#"{"addr":"vm:18087","pid":9}"#, &Dashboard { addr: addr.clone(), pid: 9 });
    check(r#"{"ID":"a","addr":"vm:18087","pid":9}"#, &Agent { id: "a".to_owned(), addr, pid: 9 });
    check(r#"{"hostname":"h","pid":9}"#, &Leader { hostname: "h".to_owned(), pid: 9 });
}

#[test]
fn actions_are_written_as_codis_writes_them() {
    let target = r#"{"product_name":"test","id":7,"group_id":2,"state":{"status":"migrate","migrate_status":{"from":1,"to":2},"last_op_ts":"0"}}"#;
    let receiver = serde_json::to_string(PROXY).unwrap();
    let action = Action {
        event: Event::SlotMigrate(slot(7, 2, SlotStatus::Migrate, 1, 2)),
        desc: String::new(),
        ts: "1795159677".to_owned(),
        receivers: vec![PROXY.to_owned()],
    };
    check(
        &format!(
            r#"{{"type":"slot_migrate","desc":"","target":{target},"ts":"1795159677","receivers":[{receiver}]}}"#
        ),
        &action,
    );
    let slots = SlotRange { from: 0, to: 511, status: "online".to_owned(), group_id: 1 };
    check(
        r#"{"type":"multi_slot_changed","desc":"","target":{"from":0,"to":511,"status":"online","group_id":1},"ts":"1795159677","receivers":null}"#,
        &Action { event: Event::MultiSlotChanged(slots), receivers: vec![], ..action.clone() },
    );
    // What a proxy takes from it is the range.
    let odd = r#"{"type":"multi_slot_changed","target":{"from":-1,"to":-1,"status":""}}"#;
    assert!(Action::decode(&NodePath::root(), odd.as_bytes()).is_ok());
    let group = Group { id: 1, product_name: "test".to_owned(), servers: vec![] };
    for (kind, event) in [
        ("group_changed", Event::GroupChanged(group.clone())),
        ("group_remove", Event::GroupRemove(group)),
    ] {
        check(
            &format!(
                r#"{{"type":"{kind}","desc":"","target":{{"id":1,"product_name":"test","servers":null}},"ts":"1795159677","receivers":null}}"#
            ),
            &Action { event, receivers: vec![], ..action.clone() },
        );
    }
    for (kind, event) in [
        ("slot_changed", Event::SlotChanged as fn(Slot) -> Event),
        ("slot_premigrate", Event::SlotPreMigrate),
    ] {
        let event = event(slot(7, 2, SlotStatus::Migrate, 1, 2));
        check(
            &format!(
                r#"{{"type":"{kind}","desc":"","target":{target},"ts":"1795159677","receivers":null}}"#
            ),
            &Action { event, receivers: vec![], ..action.clone() },
        );
    }
}

#[test]
fn an_action_of_an_unknown_type_is_refused() {
    let path = NodePath::new("/x").unwrap();
    let text = br#"{"type":"dance","desc":"","target":{},"ts":"1","receivers":null}"#;
    let error = Action::decode(&path, text).unwrap_err().to_string();
    assert!(error.contains("unknown type of action `dance`"), "{error}");
}

#[test]
fn a_receiver_is_the_same_process() {
    let with = |change: fn(&mut Proxy)| {
        let mut receiver = proxy();
        change(&mut receiver);
        String::from_utf8(receiver.encode()).unwrap()
    };
    let others = [
        with(|receiver| receiver.id.push('x')),
        with(|receiver| receiver.pid += 1),
        with(|receiver| receiver.start_at.push('x')),
        "proxy_2".to_owned(),
        r#"{"id":"proxy_1"}"#.to_owned(),
        "7".to_owned(),
        String::new(),
    ];
    assert!(!is_receiver(&[], &proxy()));
    assert!(!is_receiver(&others, &proxy()));
    let later = with(|receiver| receiver.state = ProxyState::MarkOffline);
    for receiver in [PROXY.to_owned(), later, "proxy_1".to_owned()] {
        let all: Vec<_> = others.iter().cloned().chain([receiver.clone()]).collect();
        assert!(is_receiver(&all, &proxy()), "{receiver}");
    }
    // A bare id that happens to be JSON.
    let numbered = Proxy { id: "7".to_owned(), ..proxy() };
    assert!(is_receiver(&["7".to_owned()], &numbered));
}

#[test]
fn paths_are_those_of_codis() {
    let paths = Paths::new(Family::Reborn, "test").unwrap();
    assert_eq!(paths.slots().as_str(), "/zk/reborn/db_test/slots");
    let paths = Paths::new(Family::Codis, "test").unwrap();
    let check = |path: &NodePath, expected: &str| {
        assert_eq!(path.as_str().strip_prefix("/zk/codis/db_test/"), Some(expected));
    };
    check(&paths.slot(SlotId::new(7).unwrap()), "slots/slot_7");
    check(&paths.group(0), "servers/group_0");
    check(&paths.server(3, "vm:6379").unwrap(), "servers/group_3/vm:6379");
    check(&paths.proxy("proxy_1").unwrap(), "proxy/proxy_1");
    check(&paths.fence("vm:19000").unwrap(), "fence/vm:19000");
    let name = Sequence(42).to_string();
    check(&paths.action(&name).unwrap(), "actions/0000000042");
    check(&paths.response(&name).unwrap(), "ActionResponse/0000000042");
    check(&paths.answer(&name, "proxy_1").unwrap(), "ActionResponse/0000000042/proxy_1");
    check(&paths.locks(), "LOCK");
    check(&paths.dashboard(), "dashboard");
    check(&paths.migrate_manager(), "migrate_manager");
    check(&paths.tasks(), "migrate_tasks");
    check(&paths.agents(), "agent");
    check(&paths.leader(), "ha/leader");
    check(&paths.candidates(), "ha/candidates");
    assert!(Paths::new(Family::Codis, "").is_err());
    assert!(paths.proxy("a/b").is_err());
    assert!(paths.fence("").is_err());
}

#[test]
fn names_that_codis_does_not_write_are_nobodys() {
    for name in ["slot_1024", "slot_007", "slot_", "slot_-1", "slot-7", "7"] {
        assert_eq!(slot_of_name(name), None, "{name}");
    }
    for name in ["group_", "group_x", "group_1_2", "group_99999999999"] {
        assert_eq!(group_of_name(name), None, "{name}");
    }
    for name in ["", "x", "action_", "lock-", "0000000001x", "99999999999999999999999"] {
        assert_eq!(Sequence::of_name(name), None, "{name}");
    }
    for name in ["0000000042", "42", "action_0000000042", "a_b_42", "lock-0000000042"] {
        assert_eq!(Sequence::of_name(name), Some(Sequence(42)), "{name}");
    }
}

proptest! {
    #[test]
    fn names_lead_back_to_what_they_name(slot in 0_u16..1024, group: u32, number: u64) {
        let paths = Paths::new(Family::Codis, "p").unwrap();
        let slot = SlotId::new(slot).unwrap();
        prop_assert_eq!(slot_of_name(paths.slot(slot).name()), Some(slot));
        prop_assert_eq!(group_of_name(paths.group(group).name()), Some(group));
        let sequence = Sequence(number);
        prop_assert_eq!(Sequence::of_name(&sequence.to_string()), Some(sequence));
    }

    #[test]
    fn later_numbers_sort_later(one in 0_u64..10_000_000_000, two in 0_u64..10_000_000_000) {
        let names = (Sequence(one).to_string(), Sequence(two).to_string());
        prop_assert_eq!(one < two, names.0 < names.1);
    }

    #[test]
    fn no_name_and_no_bytes_are_too_strange(name in "\\PC*", bytes: Vec<u8>) {
        let _ = (slot_of_name(&name), group_of_name(&name), Sequence::of_name(&name));
        let _ = Paths::new(Family::Reborn, &name);
        let _ = Action::decode(&NodePath::root(), &bytes);
        let _ = is_receiver(&[name], &proxy());
    }
}
