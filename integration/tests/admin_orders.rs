//! The orders of the admin API: carried out whole before their answer, or refused whole.

use integration::admin::{all_slots_on, online_over};
use integration::wait::DEADLINE;
use integration::{AdminClient, KeywayProxy, RedisServer, wait_until};
use serde_json::{Value, json};

#[test]
fn malformed_orders_are_refused_whole() {
    let server = RedisServer::start();
    let proxy = online_over(&server, KeywayProxy::options());
    let mut admin = proxy.admin();
    let before = admin.slots();
    let good = r#"{"id":5,"backend_addr":"127.0.0.1:1"}"#;
    for wrong in [
        r#"{"id":"3"}"#,
        r#"{"id":1024}"#,
        r#"{"id":-1}"#,
        r#"{"id":1.5}"#,
        r#"{"backend_addr":"127.0.0.1:1"}"#,
        r#"{"id":3,"forward_method":2}"#,
        r#"{"id":3,"locked":"yes"}"#,
        r#"{"id":3,"backend_addr":"no address"}"#,
        r#"{"id":3,"backend_addr":"127.0.0.1:1","backend_addr_group_id":-1}"#,
        r#"{"id":3,"replica_groups":[null]}"#,
        "null",
        "7",
        "{",
    ] {
        let body = format!("[{good},{wrong}]");
        let cause = admin.put_body("/api/proxy/fillslots/{x}", body.as_bytes()).cause();
        assert!(!cause.is_empty(), "{body}");
    }
    for body in ["", "null", "{}", "xx", r#"{"id":3}"#, r#"[{"id":5}"#, r#"[{"id":5}]]"#] {
        let cause = admin.put_body("/api/proxy/fillslots/{x}", body.as_bytes()).cause();
        assert!(cause.starts_with("body:"), "{body}: {cause}");
    }
    for body in ["", "[]", r#"{"servers":7}"#, r#"{"servers":["no address"]}"#] {
        let refused = admin.put_body("/api/proxy/sentinels/{x}", body.as_bytes());
        assert!(!refused.cause().is_empty(), "{body}");
    }
    assert_eq!(admin.stats()["sentinels"], json!({}));
    assert_eq!(admin.slots(), before);
    admin.put_body("/api/proxy/fillslots/{x}", b"[]").expect_ok();
    assert_eq!(admin.slots(), before);
}

#[test]
fn a_slot_that_comes_from_somewhere_must_go_somewhere() {
    let proxy = KeywayProxy::options().start();
    let mut admin = proxy.admin();
    let body = json!([
        {"id": 1, "backend_addr": "127.0.0.1:1"},
        {"id": 2, "migrate_from": "127.0.0.1:2"},
    ]);
    let expected = "slot 2: `migrate_from` needs a `backend_addr`, which is another one";
    assert_eq!(admin.fill(&body).cause(), expected);
    assert_eq!(admin.slots()[1], json!({"id": 1}));
}

#[test]
fn bodies_have_a_limit_in_bytes_and_in_time() {
    let proxy = KeywayProxy::options().start();
    // Both bodies are announced and never come.
    let announce = |admin: &mut AdminClient, length: usize| {
        let path = format!("/api/proxy/fillslots/{}", admin.xauth());
        let head =
            format!("PUT {path} HTTP/1.1\r\nHost: keyway\r\nContent-Length: {length}\r\n\r\n[");
        admin.send_raw(head.as_bytes());
    };
    let (mut large, mut silent) = (proxy.admin(), proxy.admin());
    announce(&mut large, (8 << 20) + 1);
    let reply = large.finish(false).expect("a refusal");
    assert!(reply.cause().contains("more than 8388608 bytes"), "{}", reply.text());
    announce(&mut silent, 9);
    assert_eq!(proxy.admin().stats()["online"], false);
    let reply = silent.finish(false).expect("a refusal");
    assert!(reply.cause().contains("did not arrive"), "{}", reply.text());
}

/// Every number below a value is an integer, but for those named.
fn check_integers(name: &str, value: &Value) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| check_integers(name, value));
        }
        Value::Array(values) => values.iter().for_each(|value| check_integers(name, value)),
        Value::Number(number) => {
            let may_be_fraction = name == "cpu" || name == "cpu_fraction";
            assert!(may_be_fraction || number.is_u64(), "{name}: {number}");
        }
        other => assert!(!other.is_null(), "{name} is null"),
    }
}

#[test]
fn stats_count_and_begin_again_at_zero() {
    let server = RedisServer::start();
    let proxy = online_over(&server, KeywayProxy::options());
    let (mut admin, mut client) = (proxy.admin(), proxy.client());
    for _ in 0..3 {
        client.command(&["GET", "key"]);
    }
    client.command(&["HGET", "key"]);
    client.command(&["NOSUCHCOMMAND"]);
    let full = admin.get("/api/proxy/stats/{x}/5").json();
    check_integers("stats", &full);
    assert_eq!(full["ops"]["total"], 5);
    assert_eq!(full["ops"]["redis"]["errors"], 2);
    let calls: Vec<_> = full["ops"]["cmd"]
        .as_array()
        .expect("numbers per command")
        .iter()
        .map(|ops| (ops["opstr"].as_str().unwrap_or("?"), ops["calls"].as_u64()))
        .collect();
    assert_eq!(calls, [("", Some(1)), ("GET", Some(3)), ("HGET", Some(1))]);
    assert_eq!(full["sentinels"], json!({}));
    assert_eq!(full["backend"], json!({"primary_only": false}));
    assert!(full["rusage"]["mem"].as_u64() > Some(0));

    let plain = admin.stats();
    assert!(plain.get("runtime").is_none() && plain["ops"].get("cmd").is_none(), "{plain}");
    let cause = admin.get("/api/proxy/stats/{x}/zz").cause();
    assert_eq!(cause, "strconv.Atoi: parsing \"zz\": invalid syntax");

    wait_until("requests per second", DEADLINE, || {
        client.command(&["GET", "key"]);
        match admin.stats()["ops"]["qps"].as_u64() {
            Some(0) | None => Err("none"),
            Some(_) => Ok(()),
        }
    });

    admin.put("/api/proxy/stats/reset/{x}").expect_ok();
    let reset = admin.get("/api/proxy/stats/{x}/1").json();
    assert_eq!(reset["ops"]["total"], 0);
    assert_eq!(reset["ops"]["redis"]["errors"], 0);
    assert!(reset["ops"].get("cmd").is_none(), "{reset}");
    assert_eq!(reset["sessions"], json!({"total": 1, "alive": 1}));
    client.command(&["GET", "key"]);
    assert_eq!(admin.stats()["ops"]["total"], 1);
}

#[test]
fn the_level_of_the_log_is_changed_while_the_proxy_runs() {
    let proxy = KeywayProxy::options().start();
    let mut admin = proxy.admin();
    let client_lines = |proxy: &KeywayProxy| {
        let lines = proxy.log().lines();
        lines.iter().filter(|line| line.text().contains("client refused")).count()
    };
    proxy.client().read_to_close();
    assert_eq!(client_lines(&proxy), 0);
    admin.put("/api/proxy/loglevel/{x}/Debug").expect_ok();
    proxy.client().read_to_close();
    wait_until("the refused client is logged", DEADLINE, || match client_lines(&proxy) {
        1 => Ok(()),
        count => Err(count),
    });
    for level in ["error", "WARN", "Warning", "none", "INFO"] {
        admin.put(&format!("/api/proxy/loglevel/{{x}}/{level}")).expect_ok();
    }
    let cause = admin.put("/api/proxy/loglevel/{x}/loud").cause();
    assert_eq!(cause, "invalid loglevel");
    admin.put("/api/proxy/forcegc/{x}").expect_ok();
}

#[test]
fn a_proxy_is_ready_when_every_slot_can_be_served() {
    let server = RedisServer::start();
    let proxy = KeywayProxy::options().start();
    let mut admin = proxy.admin();
    let check = |admin: &mut AdminClient, status, online, offline, locked| {
        let ready = admin.get("/readyz");
        let expected = json!({"online": online, "slots_offline": offline, "slots_locked": locked});
        assert_eq!((ready.status, ready.json()), (status, expected));
    };
    check(&mut admin, 503, false, 1024, 0);
    admin.fill(&all_slots_on(&server)).expect_ok();
    check(&mut admin, 503, false, 0, 0);
    admin.put("/api/proxy/start/{x}").expect_ok();
    check(&mut admin, 200, true, 0, 0);
    let addr = server.addr().to_string();
    admin.fill(&json!([{"id": 1, "locked": true, "backend_addr": addr}, {"id": 2}])).expect_ok();
    check(&mut admin, 503, true, 1, 1);
    assert_eq!(admin.get("/healthz").text(), "ok\n");
}

#[test]
fn a_shutdown_is_answered_before_the_process_ends() {
    let server = RedisServer::start();
    let mut proxy = online_over(&server, KeywayProxy::options());
    // A dashboard that polls keeps its connection; a client is idle.
    let (mut admin, mut poll, mut client) = (proxy.admin(), proxy.admin(), proxy.client());
    poll.stats();
    client.command(&["SET", "key", "value"]);
    admin.put("/api/proxy/shutdown/{x}").expect_ok();
    client.expect_closed();
    assert!(proxy.wait_exit(DEADLINE).success());
}
