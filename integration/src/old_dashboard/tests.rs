//! The dashboard writes what the originals were seen to write.

use std::sync::Arc;
use std::time::Duration;

use routing::SlotId;

use super::forms::{ProxyForm, action_json, group_json, range_json};
use super::migration::key_of;
use super::*;
use crate::value::Value;
use crate::zookeeper::{Access, Lifetime, ZooKeeper};

/// Captured from RebornDB.
const PROXY: &str = r#"{"id":"proxy_1","addr":"vm:41900","last_event":"","last_event_ts":0,"state":"online","description":"","debug_var_addr":"vm:41901","pid":2433,"start_at":"2026-11-20 07:27:29.35879875 +0000 UTC m=+0.006170499"}"#;

#[test]
fn nodes_have_the_json_of_the_originals() {
    let slots = [
        (
            SlotForm::offline(0),
            r#"{"product_name":"test","id":0,"group_id":-1,"state":{"status":"offline","migrate_status":{"from":-1,"to":-1},"last_op_ts":"0"}}"#,
        ),
        (
            SlotForm::online(5, 1),
            r#"{"product_name":"test","id":5,"group_id":1,"state":{"status":"online","migrate_status":{"from":-1,"to":-1},"last_op_ts":"0"}}"#,
        ),
        (
            SlotForm::migrate(7, 1, 2),
            r#"{"product_name":"test","id":7,"group_id":2,"state":{"status":"migrate","migrate_status":{"from":1,"to":2},"last_op_ts":"0"}}"#,
        ),
    ];
    for (form, json) in slots {
        assert_eq!(form.json(), json);
        assert_eq!(SlotForm::parse(json), Ok(form));
    }
    let server = ServerForm::new("master", 1, "127.0.0.1:26381");
    let server_json = r#"{"type":"master","group_id":1,"addr":"127.0.0.1:26381"}"#;
    assert_eq!(server.json(), server_json);
    assert_eq!(ServerForm::parse(server_json), Ok(server));
    assert_eq!(ProxyForm::parse(PROXY).map(|proxy| proxy.json()), Ok(PROXY.to_owned()));
    assert_eq!(group_json(1, &[]), r#"{"id":1,"product_name":"test","servers":null}"#);
    let range = r#"{"from":0,"to":511,"status":"online","group_id":1}"#;
    assert_eq!(range_json(0, 511, "online", 1), range);
    let action = action_json("multi_slot_changed", range, &[r#"{"id":"a"}"#.to_owned()], 1795);
    let expected = format!(
        "{{\"type\":\"multi_slot_changed\",\"desc\":\"\",\"target\":{range},\"ts\":\"1795\",\
         \"receivers\":[\"{{\\\"id\\\":\\\"a\\\"}}\"]}}"
    );
    assert_eq!(action, expected);
    assert!(action_json("slot_changed", "{}", &[], 0).ends_with(r#""receivers":null}"#));
}

/// A dashboard of a product with a proxy that the test plays.
fn with_proxy(zookeeper: &ZooKeeper, flavour: Flavour, id: &str) -> OldDashboard {
    let dashboard = OldDashboard::new(zookeeper.client(), flavour);
    dashboard.create_directories();
    let client = dashboard.client();
    client.create_directory(&dashboard.path("proxy"));
    client.create_directory(&dashboard.path("fence"));
    let form = ProxyForm::parse(PROXY).expect("the captured one");
    let form = ProxyForm { id: id.to_owned(), addr: format!("vm:{id}"), ..form };
    let path = dashboard.proxy_path(id);
    client.create(&path, &form.json(), Lifetime::Session, Access::File);
    client.put(&dashboard.path(&format!("fence/{}", form.addr)), "");
    dashboard
}

#[test]
fn an_action_takes_two_numbers_and_is_answered_below_its_own() {
    let zookeeper = ZooKeeper::start();
    let dashboard = with_proxy(&zookeeper, Flavour::Reborn, "one");
    let sequences = [0, 1].map(|slot| {
        let told = dashboard.tell("slot_changed", &SlotForm::offline(slot).json());
        assert_eq!(told.receivers.len(), 1);
        told.sequence
    });
    assert_eq!(sequences, ["0000000000", "0000000002"]);
    let client = dashboard.client();
    for (name, access) in [
        ("actions", "31 world:anyone"),
        ("actions/0000000002", "19 world:anyone"),
        ("ActionResponse/0000000002", "31 world:anyone"),
    ] {
        assert_eq!(client.access(&dashboard.path(name)), access, "{name}");
    }
    let told = dashboard.tell("slot_changed", &SlotForm::offline(2).json());
    let answer = dashboard.path(&format!("ActionResponse/{}/one", told.sequence));
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| dashboard.wait_answers(&told));
        client.put(&answer, "");
        assert_eq!(waits.join().expect("no panic"), Ok(()));
    });
    dashboard.collect_all_but(1);
    assert_eq!(client.children(&dashboard.path("actions")), [told.sequence.as_str()]);
    assert_eq!(client.children(&dashboard.path("ActionResponse")), [told.sequence.as_str()]);
}

#[test]
fn who_does_not_answer_is_marked_offline_as_the_flavour_does_it() {
    let zookeeper = ZooKeeper::start();
    for (flavour, culprits) in [
        (Flavour::Reborn, Vec::new()),
        (Flavour::Codis192, vec!["one".to_owned()]),
        (Flavour::Codis198, vec!["one".to_owned()]),
    ] {
        let dashboard = with_proxy(&zookeeper, flavour, "one");
        let dashboard = Arc::new(dashboard.with_confirm_limit(Duration::from_millis(100)));
        let played = Arc::clone(&dashboard);
        // The proxy goes when it is told to.
        let proxy = std::thread::spawn(move || {
            crate::wait_until("marked", crate::DEADLINE, || {
                match played.proxy("one").map(|proxy| proxy.state) {
                    Some(state) if state == "online" => Err(state),
                    _ => Ok(()),
                }
            });
            played.client().delete(&played.proxy_path("one"));
        });
        let failed = dashboard.confirmed("slot_changed", &SlotForm::offline(0).json());
        assert_eq!(failed, Err(Failure::Silent(culprits.clone())), "{flavour:?}");
        // The fence stays, and with it everything else.
        if culprits.is_empty() {
            dashboard.mark_offline("one").expect("it goes");
        }
        proxy.join().expect("the proxy has seen it");
        let fenced = dashboard.confirmed("slot_changed", &SlotForm::offline(0).json());
        assert_eq!(fenced, Err(Failure::Fenced(vec!["vm:one".to_owned()])), "{flavour:?}");
        dashboard.client().delete_directory(&dashboard.path("fence"));
        assert!(dashboard.confirmed("slot_changed", "{}").is_ok(), "nobody is online");
    }
}

#[test]
fn groups_slots_and_moves_are_written_in_the_order_of_the_originals() {
    let zookeeper = ZooKeeper::start();
    let servers = [RedisServer::start(), RedisServer::start()];
    let replica = RedisServer::options().replica_of(&servers[0]).start();
    for flavour in Flavour::ALL {
        let groups: [(i32, &[&RedisServer]); 2] =
            [(1, &[&servers[0], &replica]), (2, &[&servers[1]])];
        let dashboard = OldDashboard::of_product(zookeeper.client(), flavour, &groups);
        let slots = dashboard.slots();
        assert_eq!((slots.len(), slots[511].group_id, slots[512].group_id), (1024, 1, 2));
        let slot = SlotId::new(7).expect("a slot");
        servers[0].client().text(&["SET", &key_of(slot, "k"), "moved"]);
        dashboard.move_slot(slot, 2).expect("nobody is online");
        assert_eq!(dashboard.slot(7), SlotForm::online(7, 2), "{flavour:?}");
        let moved = servers[1].client().command(&["GET", &key_of(slot, "k")]);
        assert_eq!(Value::read(&moved), Value::Bulk(Some(b"moved".to_vec())));
        assert_eq!(
            dashboard.remove_group(2).map(drop).map_err(|failure| failure.to_string()),
            Err("group 2 is using by slot 7 already exists".to_owned())
        );
        dashboard.set_range(0, 1023, 2).expect("nobody is online");
        dashboard.remove_group(1).expect("nobody has it");
        if flavour.prefix() == "/zk/codis" {
            // The flavours of Codis share the place of their products.
            for name in ["slots", "actions", "ActionResponse", "servers/group_2"] {
                dashboard.client().delete_directory(&dashboard.path(name));
            }
            servers[1].client().text(&["FLUSHALL"]);
        }
    }
}

#[test]
fn a_promotion_leaves_its_group_without_a_primary_for_a_moment() {
    let zookeeper = ZooKeeper::start();
    let primary = RedisServer::start();
    let replica = RedisServer::options().replica_of(&primary).start();
    let groups: [(i32, &[&RedisServer]); 1] = [(1, &[&primary, &replica])];
    let dashboard = OldDashboard::of_product(zookeeper.client(), Flavour::Codis20, &groups);
    let kinds = || -> Vec<String> {
        let mut kinds: Vec<String> =
            dashboard.servers(1).into_iter().map(|server| server.kind).collect();
        kinds.sort_unstable();
        kinds
    };
    assert_eq!(kinds(), ["master", "slave"]);
    dashboard
        .promote_with(1, replica.addr(), || assert_eq!(kinds(), ["offline", "slave"]))
        .expect("nobody is online");
    assert_eq!(
        (kinds(), dashboard.primary(1)),
        (vec!["master".to_owned(), "offline".to_owned()], replica.addr())
    );
    assert_eq!(replica.info("replication", "role").as_deref(), Some("master"));
}
