//! Moves of slots while proxies and servers crash, hang, stop and are replaced.

use integration::moves::{
    KeptProxy, check_slots_on, digest, fill_with_every_kind, keys, order, report, to, wait_moved,
    wait_state, with_digest,
};
use integration::wait::{DEADLINE, wait_until};
use integration::{KeywayProxy, RedisServer};
use serde_json::{Value, json};

/// The log of a proxy whose servers or peers fail says so.
const STUCK: &str = "a move does not get on";

fn options() -> integration::proxy::ProxyOptions {
    KeywayProxy::options()
}

/// Kills the proxy that runs a move when it comes to a phase, starts it again, and sees that the
/// move ends well.
fn check_crash_in(phase: &str) {
    let (source, target) = (with_digest().start(), with_digest().start());
    fill_with_every_kind(&source);
    let (before, count) = (digest(&source), keys(&source));
    let mut first = KeptProxy::start(options().allow_log(STUCK), &source);
    let second = KeptProxy::start(options(), &source);
    let mut admin = first.admin("");
    // Slow enough that phases of several batches are caught.
    let how = json!({"slots_at_once": 256, "keys_per_second": 4000, "batch_keys_max": 50});
    let id = order(&mut admin, &to(&target, "0-1023", &[second.admin_addr()], how));
    wait_until(&format!("a batch is {phase}"), DEADLINE, || {
        let lines = first.running().log().lines();
        let is_there = |line: &integration::log::LogLine| {
            line.field("msg") == Some("slots have a new phase")
                && line.field("phase") == Some(phase)
        };
        if lines.iter().any(is_there) { Ok(()) } else { Err("not yet") }
    });
    first.restart();
    let mut admin = first.admin("");
    wait_state(&mut admin, id, "done");
    assert_eq!(digest(&target), before, "after a crash in {phase}");
    assert_eq!((keys(&source), keys(&target)), (0, count));
    for proxy in [&first, &second] {
        check_slots_on(&mut proxy.admin(""), &target);
    }
    // The next start finds the slots where they are now, though its command line says otherwise.
    first.restart();
    check_slots_on(&mut first.admin(""), &target);
    assert_eq!(first.running().client().text(&["GET", "string:7"]), "$1\r\n7\r\n");
}

#[test]
fn a_crash_while_slots_are_prepared_loses_nothing() {
    check_crash_in("preparing");
}

#[test]
fn a_crash_while_slots_begin_to_migrate_loses_nothing() {
    check_crash_in("migrating");
}

#[test]
fn a_crash_while_keys_move_loses_nothing() {
    check_crash_in("moving");
}

#[test]
fn a_crash_while_the_source_is_looked_at_loses_nothing() {
    check_crash_in("verifying");
}

#[test]
fn a_crash_while_slots_are_finished_loses_nothing() {
    check_crash_in("finishing");
}

#[test]
fn a_crash_between_two_batches_loses_nothing() {
    check_crash_in("done");
}

#[test]
fn a_proxy_that_is_told_to_stop_goes_on_with_its_move_later() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    fill_with_every_kind(&source);
    let count = keys(&source);
    let mut proxy = KeptProxy::start(options(), &source);
    let mut admin = proxy.admin("");
    let id = order(&mut admin, &to(&target, "0-1023", &[], json!({"keys_per_second": 1000})));
    wait_moved(&mut admin, id, 100);
    proxy.stop();
    proxy.restart();
    wait_state(&mut proxy.admin(""), id, "done");
    assert_eq!((keys(&source), keys(&target)), (0, count));
}

#[test]
fn a_target_that_hangs_is_waited_for_and_does_not_hang_the_source() {
    let (source, mut target) = (with_digest().start(), with_digest().start());
    fill_with_every_kind(&source);
    let (before, count) = (digest(&source), keys(&source));
    let proxy = KeptProxy::start(options().allow_log(STUCK), &source);
    let mut admin = proxy.admin("");
    let how = json!({"keys_per_second": 1500, "batch_keys_max": 20});
    let id = order(&mut admin, &to(&target, "0-1023", &[], how));
    wait_moved(&mut admin, id, 100);
    target.freeze();
    proxy.running().wait_logged("a move does not get on, and is tried again");
    let stuck = report(&mut admin, id);
    assert_eq!(stuck["state"], "running");
    assert!(
        stuck["error"].as_str().is_some_and(
            |error| error.contains(&target.addr().to_string()) || error.contains("MIGRATE")
        ),
        "{stuck}"
    );
    // The source answers: it is not told to write to a target that does not.
    source.client().text(&["PING"]);
    target.thaw();
    let report = wait_state(&mut admin, id, "done");
    assert!(report["error"].is_null());
    assert_eq!(digest(&target), before);
    assert_eq!((keys(&source), keys(&target)), (0, count));
}

#[test]
fn a_target_that_crashes_is_waited_for() {
    let source = with_digest().start();
    let mut target = with_digest().option("appendonly", "yes").start();
    fill_with_every_kind(&source);
    let (before, count) = (digest(&source), keys(&source));
    let proxy = KeptProxy::start(options().allow_log(STUCK), &source);
    let mut admin = proxy.admin("");
    let how = json!({"keys_per_second": 1500, "batch_keys_max": 20});
    let id = order(&mut admin, &to(&target, "0-1023", &[], how));
    wait_moved(&mut admin, id, 100);
    target.kill();
    proxy.running().wait_logged("a move does not get on, and is tried again");
    target.restart();
    wait_state(&mut admin, id, "done");
    assert_eq!(digest(&target), before);
    assert_eq!((keys(&source), keys(&target)), (0, count));
}

#[test]
fn a_proxy_that_is_away_holds_nobody_up_and_is_waited_for() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    fill_with_every_kind(&source);
    let first = KeptProxy::start(options().allow_log(STUCK), &source);
    let mut second = KeptProxy::start(options().allow_log(STUCK), &source);
    let mut admin = first.admin("");
    let how = json!({"keys_per_second": 2000, "slots_at_once": 128});
    let id = order(&mut admin, &to(&target, "0-1023", &[second.admin_addr()], how));
    wait_moved(&mut admin, id, 100);
    second.kill();
    first.running().wait_logged("a move does not get on, and is tried again");
    // What the first has locked, it has unlocked again.
    wait_until("no slot is locked", DEADLINE, || {
        let table = admin.slots();
        let is_locked = |slot: &Value| slot.get("locked").is_some();
        if table.as_array().unwrap().iter().any(is_locked) { Err("locked") } else { Ok(()) }
    });
    second.restart();
    wait_state(&mut admin, id, "done");
    for proxy in [&first, &second] {
        check_slots_on(&mut proxy.admin(""), &target);
    }
    assert_eq!(keys(&source), 0);
}

#[test]
fn a_target_that_is_replaced_by_its_replica_is_followed() {
    let source = with_digest().start();
    let mut target = RedisServer::start();
    let successor = with_digest().replica_of(&target).start();
    fill_with_every_kind(&source);
    let (before, count) = (digest(&source), keys(&source));
    let proxy = KeptProxy::start(options().allow_log(STUCK), &source);
    let mut admin = proxy.admin("");
    let mut wanted = to(&target, "0-1023", &[], json!({"keys_per_second": 2000}));
    wanted["group"] = json!(2);
    let id = order(&mut admin, &wanted);
    wait_moved(&mut admin, id, 200);
    admin.put(&format!("/api/proxy/slots/move/{id}/pause/{{x}}")).expect_ok();
    let (mut last, mut client) = (0, successor.client());
    wait_until("the replica has what its primary has", DEADLINE, || {
        let (now, there) = (keys(&target), keys(&successor));
        let is_still = now == std::mem::replace(&mut last, now);
        if is_still && now == there { Ok(()) } else { Err((now, there)) }
    });
    target.kill();
    assert_eq!(client.text(&["REPLICAOF", "NO", "ONE"]), "+OK\r\n");
    // As the proxy does when sentinels tell it: whatever is of the group has another primary.
    let (old, new) = (target.addr().to_string(), successor.addr().to_string());
    let table = admin.slots();
    let of_group = table.as_array().unwrap().iter().filter(|slot| slot["backend_addr"] == old);
    let switched: Vec<Value> = of_group
        .map(|slot| {
            let mut slot = slot.clone();
            slot["backend_addr"] = json!(new);
            slot
        })
        .collect();
    admin.fill(&json!(switched)).expect_ok();
    admin.put(&format!("/api/proxy/slots/move/{id}/resume/{{x}}")).expect_ok();
    let report = wait_state(&mut admin, id, "done");
    assert_eq!(report["target"], new);
    assert_eq!(digest(&successor), before);
    assert_eq!((keys(&source), keys(&successor)), (0, count));
    check_slots_on(&mut admin, &successor);
}
