//! Whole slots that are moved from server to server, with their keys, when all goes well or is
//! refused.

use integration::moves::{
    KeptProxy, check_slots_on, digest, fill_with_every_kind, keys, order, report, run_slots, to,
    wait_moved, wait_state, with_digest,
};
use integration::wait::{DEADLINE, wait_until};
use integration::{KeywayProxy, RedisServer};
use serde_json::{Value, json};

fn options() -> integration::proxy::ProxyOptions {
    KeywayProxy::options()
}

/// What the program prints, when it ends with this status.
fn text(output: &std::process::Output, status: i32) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn data_of_every_kind_moves_whole_with_users_and_passwords() {
    // Goal: every key of every database arrives as it was; both servers know the proxy by a user.
    let server = || with_digest().option("user", "mover on >s3cret ~* &* +@all").start();
    let (source, target) = (server(), server());
    fill_with_every_kind(&source);
    let (before, count) = (digest(&source), keys(&source));
    let options = options().config("product_user = \"mover\"").config("product_auth = \"s3cret\"");
    let proxy = KeptProxy::start(options, &source);
    let mut admin = proxy.admin("s3cret");
    let id = order(&mut admin, &to(&target, "0-1023", &[], json!({"verify": "all"})));
    let report = wait_state(&mut admin, id, "done");
    assert_eq!(digest(&target), before);
    assert_eq!((keys(&source), keys(&target)), (0, count));
    check_slots_on(&mut admin, &target);
    assert_eq!(report["progress"]["keys_total"], count);
    assert_eq!(report["progress"]["keys_moved"], count);
    let comparison = &report["comparison"];
    assert_eq!((&comparison["compared"], &comparison["equal"]), (&json!(count), &json!(count)));
    assert_eq!(comparison["keys_on_target"], count);
    // Clients find everything where it is now.
    let reply = proxy.running().client().text(&["GET", "string:7"]);
    assert_eq!(reply, "$1\r\n7\r\n");
    // The password is in no line of the log and no answer.
    assert!(!proxy.running().log().text().contains("s3cret"));
    assert!(!report.to_string().contains("s3cret"));
}

#[test]
fn a_password_alone_will_do() {
    let server = || RedisServer::options().password("s3cret").start();
    let (source, target) = (server(), server());
    fill_with_every_kind(&source);
    let count = keys(&source);
    let proxy = KeptProxy::start(options().config("product_auth = \"s3cret\""), &source);
    let mut admin = proxy.admin("s3cret");
    let id = order(&mut admin, &to(&target, "0-1023", &[], json!({})));
    wait_state(&mut admin, id, "done");
    assert_eq!((keys(&source), keys(&target)), (0, count));
}

#[test]
fn all_proxies_agree_to_every_step() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    fill_with_every_kind(&source);
    let count = keys(&source);
    let first = KeptProxy::start(options(), &source);
    let second = KeptProxy::start(options(), &source);
    let to = target.addr().to_string();
    let done = run_slots(
        &[first.admin_addr(), second.admin_addr()],
        &["move", "--slots", "0-99,200", "--to", &to, "--wait"],
    );
    let done = text(&done, 0);
    assert!(done.contains("state     done"), "{done}");
    let (mut one, mut two) = (first.admin(""), second.admin(""));
    assert_eq!(one.slots(), two.slots());
    let table = one.slots();
    for slot in table.as_array().unwrap() {
        let id = slot["id"].as_u64().unwrap();
        let server = if id < 100 || id == 200 { &target } else { &source };
        assert_eq!(slot["backend_addr"], server.addr().to_string(), "{slot}");
    }
    assert_eq!(keys(&source) + keys(&target), count);
    for proxy in [&first, &second] {
        let mut client = proxy.running().client();
        for number in 0..300 {
            let (key, value) = (format!("string:{number}"), number.to_string());
            let expected = format!("${}\r\n{value}\r\n", value.len());
            assert_eq!(client.text(&["GET", &key]), expected);
        }
    }
    // A later look names the move; the second proxy has run none.
    assert!(text(&run_slots(&[first.admin_addr()], &["status"]), 0).contains("done"));
    let none = "no slots are moved, and none were\n";
    assert_eq!(text(&run_slots(&[second.admin_addr()], &["status"]), 0), none);
}

#[test]
fn a_move_rests_and_goes_on() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    fill_with_every_kind(&source);
    let count = keys(&source);
    let proxy = KeptProxy::start(options(), &source);
    let mut admin = proxy.admin("");
    let how = json!({"keys_per_second": 500, "batch_keys_max": 20});
    let id = order(&mut admin, &to(&target, "0-1023", &[], how));
    wait_moved(&mut admin, id, 50);
    let said = text(&run_slots(&[proxy.admin_addr()], &["pause"]), 0);
    assert_eq!(said, format!("move {id} rests: its slots are served, no more keys are moved\n"));
    wait_state(&mut admin, id, "paused");
    // What was under way has ended when nothing changes for a while.
    let mut last = 0;
    wait_until("no more keys move", DEADLINE, || {
        let now = keys(&target);
        let is_still = now == std::mem::replace(&mut last, now);
        if is_still { Ok(()) } else { Err(now) }
    });
    let at_rest = keys(&target);
    assert!(at_rest < count, "{at_rest}");
    // No slot is locked while it rests.
    let table = admin.slots();
    assert!(table.as_array().unwrap().iter().all(|slot| slot.get("locked").is_none()));
    text(&run_slots(&[proxy.admin_addr()], &["resume"]), 0);
    wait_moved(&mut admin, id, at_rest + 50);
    // The rest need not be waited for at this pace.
    admin.put(&format!("/api/proxy/slots/move/{id}/cancel/{{x}}")).expect_ok();
    wait_state(&mut admin, id, "cancelled");
}

#[test]
fn a_cancelled_move_brings_back_what_it_has_moved() {
    let (source, target) = (with_digest().start(), with_digest().start());
    fill_with_every_kind(&source);
    let (before, count) = (digest(&source), keys(&source));
    let first = KeptProxy::start(options(), &source);
    let second = KeptProxy::start(options(), &source);
    let mut admin = first.admin("");
    let how = json!({"keys_per_second": 2000, "slots_at_once": 1024});
    let id = order(&mut admin, &to(&target, "0-1023", &[second.admin_addr()], how));
    wait_moved(&mut admin, id, 200);
    let said = text(&run_slots(&[first.admin_addr()], &["cancel", &id.to_string()]), 0);
    assert_eq!(said, format!("move {id} goes back: see `slots status {id}`\n"));
    wait_state(&mut admin, id, "cancelled");
    assert_eq!(digest(&source), before);
    assert_eq!((keys(&source), keys(&target)), (count, 0));
    for proxy in [&first, &second] {
        check_slots_on(&mut proxy.admin(""), &source);
    }
    let reply = admin.put(&format!("/api/proxy/slots/move/{id}/pause/{{x}}"));
    assert_eq!(reply.cause(), format!("move `{id}` has ended"));
}

#[test]
fn big_keys_are_told_of_and_may_be_left() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    fill_with_every_kind(&source);
    let mut client = source.client();
    client.command(&["SET", "big", &"x".repeat(3 << 20)]);
    client.command(&["SET", "huge", &"x".repeat(9 << 20)]);
    let count = keys(&source);
    let proxy = KeptProxy::start(options(), &source);
    let to = target.addr().to_string();
    let order = ["move", "--slots", "0-1023", "--to", &to, "--wait"];
    let left =
        run_slots(&[proxy.admin_addr()], &[&order[..], &["--max-key-bytes", "5mb"]].concat());
    let left = text(&left, 3);
    assert!(left.contains("state     incomplete"), "{left}");
    let line = |key: &str| left.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    assert!(line("big ").ends_with("moved") && line("huge ").ends_with("skipped"), "{left}");
    assert_eq!((keys(&source), keys(&target)), (1, count - 1));
    // Its slot still migrates, the others do not.
    let table = proxy.admin("").slots();
    let migrating =
        table.as_array().unwrap().iter().filter(|slot| slot.get("migrate_from").is_some());
    assert_eq!(migrating.count(), 1);
    // A later move takes it along.
    text(&run_slots(&[proxy.admin_addr()], &order), 0);
    assert_eq!((keys(&source), keys(&target)), (0, count));
    check_slots_on(&mut proxy.admin(""), &target);
}

#[test]
fn what_cannot_be_moved_is_refused_before_anything_is_locked() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let replica = RedisServer::options().replica_of(&source).start();
    let proxy = KeptProxy::start(options(), &source);
    let bare = options().over([&source]).start();
    let mut admin = proxy.admin("");
    let before = admin.slots();
    let mut refusal = |order: Value| {
        let body = order.to_string();
        admin.post_body("/api/proxy/slots/move/{x}", body.as_bytes()).cause()
    };
    let slots_to = |addr: String| json!({"slots": "0-9", "to": addr});
    let (source_addr, target_addr) = (source.addr().to_string(), target.addr().to_string());
    let elsewhere = format!("localhost:{}", source.addr().port());
    assert_eq!(
        refusal(slots_to(elsewhere.clone())),
        format!("{source_addr} and {elsewhere} are the same server")
    );
    assert_eq!(
        refusal(slots_to(source_addr.clone())),
        format!("all of these slots are on {source_addr} already")
    );
    let said = refusal(slots_to(replica.addr().to_string()));
    assert!(said.contains("is a replica of 127.0.0.1:"), "{said}");
    let said = refusal(slots_to("127.0.0.1:1".to_owned()));
    assert!(said.starts_with("127.0.0.1:1: cannot be reached: "), "{said}");
    let said = refusal(json!({"slots": "1024", "to": target_addr}));
    assert!(said.contains("`1024` is no slot"), "{said}");
    let other = bare.admin_addr().to_string();
    let said = refusal(json!({"slots": "0", "to": target_addr, "proxies": [other]}));
    assert!(said.contains("set its `state_dir`"), "{said}");
    let said = refusal(json!({"slots": "0", "to": target_addr, "proxies": ["127.0.0.1:1"]}));
    assert!(said.starts_with("proxy 127.0.0.1:1: cannot be reached"), "{said}");
    let said =
        refusal(json!({"slots": "0", "to": target_addr, "options": {"method": "codis-sync"}}));
    assert!(said.contains("does not know the command"), "{said}");
    assert_eq!(admin.slots(), before);
    // Slots that others change are theirs.
    let filled = json!([
        {"id": 1},
        {"id": 2, "backend_addr": "127.0.0.1:1", "migrate_from": source_addr},
        {"id": 3, "backend_addr": source_addr, "locked": true},
    ]);
    admin.fill(&filled).expect_ok();
    for (slot, expected) in [
        ("1", "slot 1 is offline: fill it first, there is nothing to move"),
        ("2", "finish that first"),
        ("3", "slot 3 is locked at this proxy"),
    ] {
        let order = json!({"slots": slot, "to": target_addr}).to_string();
        let said = admin.post_body("/api/proxy/slots/move/{x}", order.as_bytes()).cause();
        assert!(said.contains(expected), "{said}");
    }
    // Without a folder a proxy moves nothing and says what to set.
    let order = json!({"slots": "0", "to": target_addr}).to_string();
    let said = bare.admin().post_body("/api/proxy/slots/move/{x}", order.as_bytes()).cause();
    assert!(said.contains("set `state_dir`"), "{said}");
}

#[test]
fn slots_of_two_moves_do_not_overlap() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    fill_with_every_kind(&source);
    let first = KeptProxy::start(options(), &source);
    let second = KeptProxy::start(options(), &source);
    let mut admin = first.admin("");
    let how = || json!({"keys_per_second": 100});
    let id = order(&mut admin, &to(&target, "0-99", &[], how()));
    let again = to(&target, "99-100", &[], how()).to_string();
    let said = admin.post_body("/api/proxy/slots/move/{x}", again.as_bytes()).cause();
    assert_eq!(said, "slot 99 is part of another move that has not ended");
    let other = to(&target, "5", &[first.admin_addr()], how()).to_string();
    let said = second.admin("").post_body("/api/proxy/slots/move/{x}", other.as_bytes()).cause();
    assert!(said.contains("is part of a move that proxy"), "{said}");
    // Another one waits for its turn.
    let waiting = order(&mut admin, &to(&target, "100-199", &[], how()));
    assert_eq!(report(&mut admin, waiting)["state"], "queued");
    for id in [id, waiting] {
        admin.put(&format!("/api/proxy/slots/move/{id}/cancel/{{x}}")).expect_ok();
    }
    wait_state(&mut admin, waiting, "cancelled");
    check_slots_on(&mut admin, &source);
}

#[test]
fn whoever_waits_learns_how_it_ended() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    fill_with_every_kind(&source);
    let proxy = KeptProxy::start(options(), &source);
    let mut admin = proxy.admin("");
    let to = target.addr().to_string();
    let ended = std::thread::scope(|scope| {
        let order = ["move", "--slots", "0-1023", "--to", &to, "--wait", "--json"];
        let slow = ["--keys-per-second", "500"];
        let proxies = [proxy.admin_addr()];
        let arguments = [&order[..], &slow].concat();
        let waiting = scope.spawn(move || run_slots(&proxies, &arguments));
        wait_until("the move is there", DEADLINE, || {
            let moves = admin.get("/api/proxy/slots/moves/{x}").json();
            if moves["moves"][0]["id"] == 1 { Ok(()) } else { Err(moves) }
        });
        wait_moved(&mut admin, 1, 50);
        text(&run_slots(&[proxy.admin_addr()], &["cancel"]), 0);
        waiting.join().expect("an output")
    });
    let ended = text(&ended, 4);
    let ended: Value = serde_json::from_str(&ended).expect("one JSON object and nothing else");
    assert_eq!((&ended["state"], &ended["id"]), (&json!("cancelled"), &json!(1)));
    let none = run_slots(&[proxy.admin_addr()], &["pause"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&none.stderr).contains("no move that has not ended"));
}

#[test]
fn filled_slots_are_there_after_a_crash() {
    let (one, two) = (RedisServer::start(), RedisServer::start());
    let mut proxy = KeptProxy::start(options().allow_log("not saved"), &one);
    let mut admin = proxy.admin("");
    let filled = json!([
        {"id": 5, "backend_addr": two.addr().to_string(), "backend_addr_group_id": 2,
         "forward_method": 1, "replica_groups": [["127.0.0.1:1"]]},
        {"id": 6, "locked": true, "backend_addr": two.addr().to_string(),
         "migrate_from": one.addr().to_string(), "migrate_from_group_id": 1},
        {"id": 7},
    ]);
    admin.fill(&filled).expect_ok();
    let before = admin.slots();
    proxy.restart();
    let mut admin = proxy.admin("");
    assert_eq!(admin.slots(), before);
    proxy.running().wait_logged("slots are those that were kept, not those of the command line");
    // What cannot be saved is in place, and said to be unsaved.
    let in_the_way = proxy.state_dir().join("slots.new");
    std::fs::create_dir(&in_the_way).expect("make a folder");
    let change = json!([{"id": 8, "backend_addr": two.addr().to_string()}]);
    let said = admin.fill(&change).cause();
    assert!(said.contains("are changed, but could not be saved in `state_dir`"), "{said}");
    assert_eq!(admin.slots()[8]["backend_addr"], two.addr().to_string());
    std::fs::remove_dir(&in_the_way).expect("remove it");
    admin.fill(&change).expect_ok();
    let before = admin.slots();
    proxy.restart();
    assert_eq!(proxy.admin("").slots(), before);
}
