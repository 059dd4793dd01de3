//! Slots that move under old dashboards, with clients that write meanwhile: nothing is lost, nobody
//! reads what is old; requests for a slot that is about to move wait, but not for ever.

#![expect(clippy::print_stderr, reason = "the seed and the counts belong to a failure")]

use std::time::Duration;

use integration::old_dashboard::forms::{ServerForm, SlotForm};
use integration::old_dashboard::{Failure, Flavour, OldDashboard};
use integration::product::{MOMENT, SLOTS_OF_GROUPS, key_in};
use integration::raw_client::encode;
use integration::value::Value;
use integration::workload::{Endpoint, Workload};
use integration::{DEADLINE, KeywayProxy, Product, RawClient, RedisServer, wait_until};
use routing::{SlotId, slot_of};

/// Tags of keys whose slots move, and of one whose slot stays.
const MOVING: [&str; 2] = ["a", "b"];
const SETTLED: &str = "c";

const CLIENTS: usize = 6;

/// How often all of them move to the other group and back.
const ROUNDS: usize = 2;

/// Requests between two steps of a move, at least.
const REQUESTS_BETWEEN: u64 = 60;

/// Moves the slots to group 2 and back, step by step, while clients go on.
fn move_forth_and_back(dashboard: &OldDashboard, workload: &Workload) -> Result<(), Failure> {
    for tag in MOVING.into_iter().cycle().take(MOVING.len() * ROUNDS) {
        let slot = slot_of(tag.as_bytes());
        let home = dashboard.slot(slot.index()).group_id;
        for target in [3 - home, home] {
            workload.wait_requests(REQUESTS_BETWEEN);
            dashboard.prepare_move(slot)?;
            dashboard.begin_move(slot, target)?;
            workload.wait_requests(REQUESTS_BETWEEN);
            dashboard.move_keys(slot);
            workload.wait_requests(REQUESTS_BETWEEN);
            dashboard.end_move(slot)?;
        }
    }
    Ok(())
}

/// Goal: the histories that clients of two proxies have seen are those of one server without
/// faults. Method: slots move one after the other, exactly as the flavour does it.
fn check_moves(flavour: Flavour) {
    let seed = std::env::var("KEYWAY_CHAOS_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("KEYWAY_CHAOS_SEED={seed}");
    let product = Product::start(flavour);
    let proxies = ["proxy_1", "proxy_2"].map(|id| product.start_online(id));
    let endpoints = proxies.iter().map(|proxy| Endpoint::new(proxy.addr())).collect();
    let tags: Vec<&str> = MOVING.into_iter().chain([SETTLED]).collect();
    let workload = Workload::new(endpoints, &tags, seed).in_one_database();
    let (mut report, moved) =
        workload.run_while(CLIENTS, || move_forth_and_back(&product.dashboard, &workload));
    assert_eq!(moved, Ok(()));
    eprintln!("{} events, errors: {:?}", report.history.len(), report.errors);
    assert!(report.errors.is_empty(), "a move is no error: {:?}", report.errors);
    report.history.merge(workload.read_all());
    assert_eq!(report.history.check(), Ok(()));
}

#[test]
fn no_write_is_lost_while_codis_1_9_2_moves_slots() {
    check_moves(Flavour::Codis192);
}

#[test]
fn no_write_is_lost_while_codis_1_9_8_moves_slots() {
    check_moves(Flavour::Codis198);
}

#[test]
fn no_write_is_lost_while_codis_2_moves_slots() {
    check_moves(Flavour::Codis20);
}

#[test]
fn no_write_is_lost_while_reborn_moves_slots() {
    check_moves(Flavour::Reborn);
}

fn moving_slot() -> SlotId {
    SlotId::new(u16::try_from(SLOTS_OF_GROUPS[0]).expect("a small number")).expect("a slot")
}

/// Asks for a key, and says that there is no reply within a moment.
fn waiting_client(proxy: &KeywayProxy, arguments: &[&str]) -> RawClient {
    let mut client = proxy.client().with_deadline(MOMENT);
    client.send(encode(arguments));
    let reply = client.try_read_reply().map(|reply| String::from_utf8_lossy(&reply).into_owned());
    assert!(reply.is_err(), "the request should wait: {reply:?}");
    client.with_deadline(DEADLINE)
}

#[test]
fn requests_for_a_slot_that_is_about_to_move_wait_until_it_moves() {
    for flavour in Flavour::ALL {
        let product = Product::start(flavour);
        let proxy = product.start_online("proxy_1");
        let dashboard = &product.dashboard;
        let key = key_in(SLOTS_OF_GROUPS[0], "key");
        product.one.client().text(&["SET", &key, "1"]);
        dashboard.prepare_move(moving_slot()).expect("the proxy answers");
        let mut client = waiting_client(&proxy, &["INCR", &key]);
        // Others do not wait.
        let other = key_in(SLOTS_OF_GROUPS[1], "key");
        assert_eq!(proxy.client().text(&["SET", &other, "1"]), "+OK\r\n");
        dashboard.begin_move(moving_slot(), 2).expect("the proxy answers");
        assert_eq!(client.read_reply(), b":2\r\n", "{flavour:?}");
        assert_eq!(product.one.client().text(&["EXISTS", &key]), ":0\r\n", "it moves with its key");
        dashboard.move_keys(moving_slot());
        dashboard.end_move(moving_slot()).expect("the proxy answers");
        let moved = product.two.client().command(&["GET", &key]);
        assert_eq!(Value::read(&moved), Value::Bulk(Some(b"2".to_vec())), "{flavour:?}");
    }
}

/// Goal: Codis 2.0 writes `online` again when a migration cannot begin, and tells nobody.
#[test]
fn requests_go_on_when_a_migration_is_taken_back_without_a_word() {
    let product = Product::start(Flavour::Codis20);
    let proxy = product.start_online("proxy_1");
    let dashboard = &product.dashboard;
    let key = key_in(SLOTS_OF_GROUPS[0], "key");
    dashboard.prepare_move(moving_slot()).expect("the proxy answers");
    let mut client = waiting_client(&proxy, &["INCR", &key]);
    dashboard.write_slot(&SlotForm::online(SLOTS_OF_GROUPS[0], 1));
    assert_eq!(client.read_reply(), b":1\r\n");
    assert_eq!(product.one.client().text(&["GET", &key]), "$1\r\n1\r\n");
    product.check_routes(&proxy);
}

#[test]
fn requests_do_not_wait_for_ever_for_a_migration_that_never_begins() {
    let product = Product::start(Flavour::Codis198);
    let options = product.options("proxy_1").config("pre_migrate_timeout = \"1s\"");
    let proxy = product.dashboard.start_online("proxy_1", options);
    let dashboard = &product.dashboard;
    let key = key_in(SLOTS_OF_GROUPS[0], "key");
    dashboard.prepare_move(moving_slot()).expect("the proxy answers");
    let mut client = waiting_client(&proxy, &["SET", &key, "1"]);
    let reply = String::from_utf8_lossy(&client.read_reply()).into_owned();
    assert!(reply.starts_with("-TRYAGAIN"), "{reply}");
    assert_eq!(product.one.client().text(&["EXISTS", &key]), ":0\r\n", "it was not executed");
    // The connection goes on, and so does the slot when the operator does.
    let other = key_in(SLOTS_OF_GROUPS[1], "key");
    assert_eq!(client.text(&["SET", &other, "1"]), "+OK\r\n");
    dashboard.write_slot(&SlotForm::online(SLOTS_OF_GROUPS[0], 1));
    dashboard.confirmed("slot_changed", &dashboard.slot(SLOTS_OF_GROUPS[0]).json()).expect("ack");
    assert_eq!(client.text(&["SET", &key, "2"]), "+OK\r\n");
    product.check_routes(&proxy);
}

/// Goal: with Codis 1.9.2 and RebornDB the announcement stands in no node; when the dashboard dies
/// after it, clients must not wait for good.
#[test]
fn requests_go_on_when_a_migration_was_announced_and_never_begins() {
    let product = Product::start(Flavour::Reborn);
    let proxy = product.start_online("proxy_1");
    let key = key_in(SLOTS_OF_GROUPS[0], "key");
    product.dashboard.prepare_move(moving_slot()).expect("the proxy answers");
    let client = waiting_client(&proxy, &["INCR", &key]);
    let mut client = client.with_deadline(Duration::from_secs(15));
    assert_eq!(client.read_reply(), b":1\r\n");
    assert_eq!(product.one.client().text(&["GET", &key]), "$1\r\n1\r\n");
}

/// Goal: a slot on its way has two groups; a promotion in the one that it leaves concerns it, too.
#[test]
fn a_promotion_of_the_source_is_seen_by_the_slots_that_leave_it() {
    for flavour in [Flavour::Codis198, Flavour::Reborn] {
        let product = Product::start(flavour);
        let replica = RedisServer::options().replica_of(&product.one).start();
        let dashboard = &product.dashboard;
        dashboard.add_server(1, replica.addr(), "slave").expect("no action");
        let proxy = product.start_online("proxy_1");
        let keys = ["before", "after"].map(|name| key_in(SLOTS_OF_GROUPS[0], name));
        for key in &keys {
            assert_eq!(proxy.client().text(&["SET", key, "1"]), "+OK\r\n");
        }
        dashboard.prepare_move(moving_slot()).expect("the proxy answers");
        dashboard.begin_move(moving_slot(), 2).expect("the proxy answers");
        assert_eq!(proxy.client().text(&["INCR", &keys[0]]), ":2\r\n");
        // What the replica does not have would be lost by the promotion, and not by the proxy.
        wait_until("the replica has followed", DEADLINE, || {
            match [&keys[0], &keys[1]].map(|key| replica.client().text(&["EXISTS", key])) {
                [moved, left] if moved == ":0\r\n" && left == ":1\r\n" => Ok(()),
                other => Err(other),
            }
        });
        dashboard.promote(1, replica.addr()).expect("the proxy answers");
        assert_eq!(proxy.client().text(&["INCR", &keys[1]]), ":2\r\n", "{flavour:?}");
        let left = |server: &RedisServer| server.client().text(&["EXISTS", &keys[1]]);
        assert_eq!(left(&replica), ":0\r\n", "the key has moved from the new primary");
        assert_eq!(left(&product.one), ":1\r\n", "the old primary was not asked");
        dashboard.move_keys(moving_slot());
        dashboard.end_move(moving_slot()).expect("the proxy answers");
        for key in &keys {
            assert_eq!(product.two.client().text(&["GET", key]), "$1\r\n2\r\n");
        }
    }
}

/// Goal: the same for the group to which it goes.
#[test]
fn another_primary_of_the_target_is_seen_by_the_slots_that_come_to_it() {
    let product = Product::start(Flavour::Codis20);
    let spare = RedisServer::start();
    let dashboard = &product.dashboard;
    let proxy = product.start_online("proxy_1");
    let key = key_in(SLOTS_OF_GROUPS[0], "key");
    assert_eq!(proxy.client().text(&["SET", &key, "1"]), "+OK\r\n");
    dashboard.prepare_move(moving_slot()).expect("the proxy answers");
    dashboard.begin_move(moving_slot(), 2).expect("the proxy answers");
    let server = |kind, addr: String| ServerForm::new(kind, 2, &addr);
    dashboard.write_server(&server("offline", product.two.addr().to_string()));
    dashboard.write_server(&server("master", spare.addr().to_string()));
    dashboard.tell_group(2).expect("the proxy answers");
    assert_eq!(proxy.client().text(&["INCR", &key]), ":2\r\n");
    assert_eq!(spare.client().text(&["GET", &key]), "$1\r\n2\r\n");
    assert_eq!(product.two.client().text(&["EXISTS", &key]), ":0\r\n");
}

/// Goal: a proxy may come while slots move, which only Codis 2.0 lets it.
#[test]
fn a_proxy_that_comes_while_a_slot_moves_asks_its_source_first() {
    let product = Product::start(Flavour::Codis20);
    let dashboard = &product.dashboard;
    let key = key_in(SLOTS_OF_GROUPS[0], "key");
    product.one.client().text(&["SET", &key, "1"]);
    dashboard.write_slot(&SlotForm::migrate(SLOTS_OF_GROUPS[0], 1, 2));
    let proxy = product.start_online("proxy_1");
    assert_eq!(proxy.client().text(&["INCR", &key]), ":2\r\n");
    assert_eq!(product.two.client().text(&["GET", &key]), "$1\r\n2\r\n");
    dashboard.move_keys(moving_slot());
    dashboard.end_move(moving_slot()).expect("the proxy answers");
    assert_eq!(proxy.client().text(&["GET", &key]), "$1\r\n2\r\n");
}
