use proptest::prelude::*;

use super::*;

/// What was captured is read, and written again byte by byte.
fn check<T: Stored + PartialEq + std::fmt::Debug>(captured: &str, expected: &T) {
    let path = NodePath::new("/captured").unwrap();
    let read = T::decode(&path, captured.as_bytes()).unwrap();
    assert_eq!(&read, expected);
    assert_eq!(String::from_utf8(read.encode()).unwrap(), captured);
}

/// Four spaces, as Codis has them, where the test has eight more.
fn unindent(text: &str) -> String {
    text.trim().replace("\n        ", "\n")
}

#[test]
fn a_slot_is_written_as_codis_writes_it() {
    let idle = Slot { id: 812, group_id: 3, action: Action::default() };
    check("{\n    \"id\": 812,\n    \"group_id\": 3,\n    \"action\": {}\n}", &idle);
    let moving = unindent(
        r#"
        {
            "id": 0,
            "group_id": 1,
            "action": {
                "index": 1,
                "state": "pending",
                "target_id": 2
            }
        }"#,
    );
    let action = Action { index: 1, state: ActionState::Pending, target_id: 2 };
    check(&moving, &Slot { id: 0, group_id: 1, action });
}

#[test]
fn a_group_is_written_as_codis_writes_it() {
    let empty = unindent(
        r#"
        {
            "id": 2,
            "servers": [],
            "promoting": {},
            "out_of_sync": false
        }"#,
    );
    check(&empty, &Group { id: 2, ..Group::default() });
    let two = unindent(
        r#"
        {
            "id": 1,
            "servers": [
                {
                    "server": "127.0.0.1:17381",
                    "datacenter": "",
                    "action": {},
                    "replica_group": false
                },
                {
                    "server": "127.0.0.1:16383",
                    "datacenter": "dc1",
                    "action": {
                        "state": "synced_failed"
                    },
                    "replica_group": true
                }
            ],
            "promoting": {},
            "out_of_sync": false
        }"#,
    );
    let replica = GroupServer {
        addr: "127.0.0.1:16383".to_owned(),
        datacenter: "dc1".to_owned(),
        action: SyncAction { index: 0, state: SyncState::SyncedFailed },
        replica_group: true,
    };
    let primary = GroupServer { addr: "127.0.0.1:17381".to_owned(), ..GroupServer::default() };
    check(&two, &Group { id: 1, servers: vec![primary, replica], ..Group::default() });
}

#[test]
fn sentinels_are_written_as_codis_writes_them() {
    let one = unindent(
        r#"
        {
            "servers": [
                "127.0.0.1:26479"
            ],
            "out_of_sync": false
        }"#,
    );
    let servers = vec!["127.0.0.1:26479".to_owned()];
    check(&one, &Sentinels { servers, out_of_sync: false });
    check("{\n    \"out_of_sync\": false\n}", &Sentinels::default());
}

#[test]
fn a_proxy_is_written_as_codis_writes_it() {
    let captured = unindent(
        r#"
        {
            "token": "65d26f90a00076a88f002a630a459483",
            "start_time": "2026-11-20 07:24:06.878625546 +0000 UTC m=+0.008050212",
            "admin_addr": "127.0.0.1:21081",
            "proto_type": "tcp4",
            "proxy_addr": "127.0.0.1:29000",
            "product_name": "lab",
            "pid": 27284,
            "pwd": "/srv/lab",
            "sys": "Linux vm 6.18.44-fc-v657 #1 SMP PREEMPT_DYNAMIC @0 x86_64 GNU/Linux",
            "hostname": "vm",
            "datacenter": ""
        }"#,
    );
    let proxy = Proxy {
        token: "65d26f90a00076a88f002a630a459483".to_owned(),
        start_time: "2026-11-20 07:24:06.878625546 +0000 UTC m=+0.008050212".to_owned(),
        admin_addr: "127.0.0.1:21081".to_owned(),
        proto_type: "tcp4".to_owned(),
        proxy_addr: "127.0.0.1:29000".to_owned(),
        product_name: "lab".to_owned(),
        pid: 27284,
        pwd: "/srv/lab".to_owned(),
        sys: "Linux vm 6.18.44-fc-v657 #1 SMP PREEMPT_DYNAMIC @0 x86_64 GNU/Linux".to_owned(),
        hostname: "vm".to_owned(),
        ..Proxy::default()
    };
    check(&captured, &proxy);
    let registered = Proxy { id: 7, jodis_path: "/jodis/lab/proxy-65".to_owned(), ..proxy };
    let text = String::from_utf8(registered.encode()).unwrap();
    assert!(text.starts_with("{\n    \"id\": 7,\n    \"token\""), "{text}");
    assert!(text.contains("29000\",\n    \"jodis_path\": \"/jodis/lab/proxy-65\",\n"), "{text}");
}

#[test]
fn a_dashboard_is_written_as_codis_writes_it() {
    let captured = unindent(
        r#"
        {
            "token": "59382daed86ab2c1571b6d928cc629cb",
            "start_time": "2026-11-20 07:20:11.1 +0000 UTC m=+0.1",
            "admin_addr": "127.0.0.1:28080",
            "product_name": "lab",
            "pid": 28954,
            "pwd": "/srv/lab",
            "sys": "Linux vm"
        }"#,
    );
    let dashboard = Dashboard {
        token: "59382daed86ab2c1571b6d928cc629cb".to_owned(),
        start_time: "2026-11-20 07:20:11.1 +0000 UTC m=+0.1".to_owned(),
        admin_addr: "127.0.0.1:28080".to_owned(),
        product_name: "lab".to_owned(),
        pid: 28954,
        pwd: "/srv/lab".to_owned(),
        sys: "Linux vm".to_owned(),
    };
    check(&captured, &dashboard);
}

#[test]
fn a_jodis_node_is_written_as_codis_writes_it() {
    let captured = unindent(
        r#"
        {
            "addr": "127.0.0.1:29100",
            "admin": "127.0.0.1:21180",
            "start": "2026-11-20 07:39:58.090840696 +0000 UTC m=+0.003815709",
            "state": "online",
            "token": "5ce06d76881c0a6a3079d4563c4b8143"
        }"#,
    );
    let jodis = Jodis {
        addr: "127.0.0.1:29100".to_owned(),
        admin: "127.0.0.1:21180".to_owned(),
        start: "2026-11-20 07:39:58.090840696 +0000 UTC m=+0.003815709".to_owned(),
        state: "online".to_owned(),
        token: "5ce06d76881c0a6a3079d4563c4b8143".to_owned(),
    };
    check(&captured, &jodis);
}

#[test]
fn texts_are_escaped_as_codis_escapes_them() {
    let dashboard = Dashboard { pwd: "/a&b <c>\u{2028}€".to_owned(), ..Dashboard::default() };
    let text = String::from_utf8(dashboard.encode()).unwrap();
    assert!(text.contains(r#""/a\u0026b \u003cc\u003e\u2028€""#), "{text}");
    let path = NodePath::root();
    assert_eq!(Dashboard::decode(&path, text.as_bytes()).unwrap(), dashboard);
}

#[test]
fn what_is_missing_null_or_unknown_does_not_hurt() {
    let path = NodePath::new("/x").unwrap();
    let text = br#"{"id": 3, "servers": null, "new": [1], "promoting": {"state": null}}"#;
    let read = Group::decode(&path, text).unwrap();
    assert_eq!(read, Group { id: 3, ..Group::default() });
    for wrong in ["", "{", "[]", r#"{"id": "3"}"#, r#"{"id": 70000}"#, r#"{"id": 1.5}"#] {
        let error = Group::decode(&path, wrong.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with("node `/x` does not hold a group: "), "{error}");
    }
    let unknown = br#"{"id": 3, "action": {"state": "dancing"}}"#;
    assert!(Slot::decode(&path, unknown).is_err());
}

#[test]
fn paths_are_those_of_codis() {
    let paths = Paths::new("demo").unwrap();
    let check = |path: &NodePath, expected: &str| assert_eq!(path.as_str(), expected);
    check(&paths.dashboard(), "/codis3/demo/topom");
    check(&paths.slots(), "/codis3/demo/slots");
    check(&paths.slot(SlotId::new(7).unwrap()), "/codis3/demo/slots/slot-0007");
    check(&paths.groups(), "/codis3/demo/group");
    check(&paths.group(GroupId::new(12).unwrap()), "/codis3/demo/group/group-0012");
    check(&paths.proxies(), "/codis3/demo/proxy");
    check(&paths.proxy("5ce0").unwrap(), "/codis3/demo/proxy/proxy-5ce0");
    check(&paths.sentinels(), "/codis3/demo/sentinel");
    check(&paths.jodis("5ce0", false).unwrap(), "/jodis/demo/proxy-5ce0");
    check(&paths.jodis("5ce0", true).unwrap(), "/zk/codis/db_demo/proxy/5ce0");
    let file = filesystem_file(Path::new("/tmp/codis"), &paths.dashboard());
    assert_eq!(file, Path::new("/tmp/codis/data/codis3/demo/topom"));
    for product in ["", "a/b", "..", "a\nb"] {
        assert!(Paths::new(product).is_err(), "{product:?}");
    }
}

#[test]
fn names_that_codis_does_not_write_are_nobodys() {
    for name in ["slot-7", "slot-00007", "slot-1024", "slot-+007", "slot_0007", "0007", "slot-"] {
        assert_eq!(slot_of_name(name), None, "{name}");
    }
    for name in ["group-0000", "group-1", "group-10000", "group-"] {
        assert_eq!(group_of_name(name), None, "{name}");
    }
    assert_eq!(token_of_name("proxy-"), None);
    assert_eq!(token_of_name("proxy-5ce0"), Some("5ce0"));
}

proptest! {
    #[test]
    fn names_lead_back_to_what_they_name(slot in 0_u16..1024, group in 1_u16..=9999) {
        let paths = Paths::new("p").unwrap();
        let slot = SlotId::new(slot).unwrap();
        prop_assert_eq!(slot_of_name(paths.slot(slot).name()), Some(slot));
        let group = GroupId::new(group).unwrap();
        prop_assert_eq!(group_of_name(paths.group(group).name()), Some(group));
    }

    #[test]
    fn no_name_is_too_strange(name in "\\PC*") {
        let _ = (slot_of_name(&name), group_of_name(&name), token_of_name(&name));
        let _ = Paths::new(&name);
    }

    #[test]
    fn no_bytes_are_too_strange(bytes: Vec<u8>) {
        let _ = Group::decode(&NodePath::root(), &bytes);
    }
}
