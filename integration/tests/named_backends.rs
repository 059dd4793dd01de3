//! Requests that name their backend or their slot, as tools of Codis send them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use integration::groups::Group;
use integration::proxy::ProxyOptions;
use integration::raw_client::encode;
use integration::{
    DEADLINE, FakeServer, KeywayProxy, RawClient, RedisServer, TwoGroups, wait_until,
};
use serde_json::{Value, json};

const SLOTSINFO_REPLY: &str = "*1\r\n*3\r\n:0\r\n:1\r\n:2\r\n";
const SLOTSSCAN_REPLY: &str = "*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n";

/// A server with the commands of a Codis server.
fn codis_server() -> FakeServer {
    FakeServer::start(|request| match request.first()?.as_str() {
        "SLOTSINFO" | "slotsinfo" => Some(SLOTSINFO_REPLY.to_owned()),
        "SLOTSSCAN" => Some(SLOTSSCAN_REPLY.to_owned()),
        _ => None,
    })
}

fn codis() -> ProxyOptions {
    KeywayProxy::options().config("compat = \"codis\"")
}

/// Two servers of Codis, each with half of the slots, and a proxy.
fn start(options: ProxyOptions) -> ([FakeServer; 2], KeywayProxy) {
    let servers = [codis_server(), codis_server()];
    let options =
        servers.iter().fold(options, |options, fake| options.argument(&fake.addr().to_string()));
    let proxy = options.start();
    (servers, proxy)
}

/// What a server was sent, as lines with the database before them.
fn seen(server: &FakeServer) -> Vec<String> {
    let recorded = server.recorded().into_iter();
    recorded.map(|(database, request)| format!("{database} {}", request.join(" "))).collect()
}

fn not_found(addr: &str) -> String {
    format!("-ERR backend server '{addr}' not found\r\n")
}

#[test]
fn slotsinfo_goes_to_the_backend_that_it_names() {
    for options in [KeywayProxy::options(), codis()] {
        let ([one, two], mut proxy) = start(options);
        let mut client = proxy.client();
        let (first, second) = (one.addr().to_string(), two.addr().to_string());
        assert_eq!(client.text(&["SLOTSINFO", &second]), SLOTSINFO_REPLY);
        assert_eq!(client.text(&["SELECT", "3"]), "+OK\r\n");
        assert_eq!(client.text(&["slotsinfo", &first]), SLOTSINFO_REPLY);
        assert_eq!(seen(&one), ["3 slotsinfo"]);
        assert_eq!(seen(&two), ["0 SLOTSINFO"]);
        for addr in ["127.0.0.1:1", "nonsense", "", "h:99999", &first.replace("127.", "0127.")] {
            assert_eq!(client.text(&["SLOTSINFO", addr]), not_found(addr));
        }
        let hostile = client.text(&["SLOTSINFO", &format!("a\r\n+OK{}", "x".repeat(1000))]);
        let shown = format!("a  +OK{}", "x".repeat(122));
        assert_eq!(hostile, not_found(&shown));
        proxy.terminate();
    }
}

#[test]
fn the_arity_is_checked_in_the_words_of_the_dialect() {
    let check = |options: ProxyOptions, names: [&str; 2]| {
        let (_servers, mut proxy) = start(options);
        let mut client = proxy.client();
        let arity = |name| format!("-ERR wrong number of arguments for '{name}' command\r\n");
        for request in [&["SLOTSINFO"][..], &["SLOTSINFO", "a:1", "b"]] {
            assert_eq!(client.text(request), arity(names[0]));
        }
        for request in [&["SLOTSSCAN"][..], &["SLOTSSCAN", "1"]] {
            assert_eq!(client.text(request), arity(names[1]));
        }
        proxy.terminate();
    };
    check(KeywayProxy::options(), ["slotsinfo", "slotsscan"]);
    check(codis(), ["SLOTSINFO", "SLOTSSCAN"]);
}

#[test]
fn slotsscan_goes_to_the_primary_of_the_slot_that_it_names() {
    let (primary, replica) = (codis_server(), codis_server());
    let slots = (0..1024).map(|id| {
        let mut slot = json!({"id": id, "backend_addr": primary.addr().to_string()});
        slot["replica_groups"] = json!([[replica.addr().to_string()]]);
        slot
    });
    let mut proxy = codis().fill_slots(slots.collect::<Value>()).start();
    let mut client = proxy.client();
    for _ in 0..20 {
        assert_eq!(client.text(&["SLOTSSCAN", "1023", "0", "COUNT", "7"]), SLOTSSCAN_REPLY);
    }
    assert_eq!(seen(&primary), vec!["0 SLOTSSCAN 1023 0 COUNT 7"; 20]);
    assert_eq!(seen(&replica), Vec::<String>::new());
    for (slot, fault) in [
        ("9999", "out of range"),
        ("1024", "out of range"),
        ("-1", "out of range"),
        ("x", "strconv.ParseInt: parsing \"x\": invalid syntax"),
        ("", "strconv.ParseInt: parsing \"\": invalid syntax"),
    ] {
        let expected = format!("-ERR parse slotnum '{slot}' failed, {fault}\r\n");
        assert_eq!(client.text(&["SLOTSSCAN", slot, "0"]), expected);
    }
    proxy.terminate();
}

#[test]
fn slotsscan_of_a_slot_without_a_backend_gets_the_error_of_one() {
    let mut proxy = codis().start();
    proxy.admin().put("/api/proxy/start/{x}").expect_ok();
    let expected = "-ERR handle request, slot is not ready, may be offline\r\n";
    assert_eq!(proxy.client().text(&["SLOTSSCAN", "5", "0"]), expected);
    proxy.terminate();
}

#[test]
fn slotsscan_of_a_locked_slot_waits_for_its_new_primary() {
    let ([one, two], mut proxy) = start(KeywayProxy::options());
    let (mut client, mut admin) = (proxy.client(), proxy.admin());
    let first = one.addr().to_string();
    admin.fill(&json!([{"id": 5, "locked": true, "backend_addr": first}])).expect_ok();
    client.send(encode(&["SLOTSSCAN", "5", "0"]));
    wait_until("the request is parked", DEADLINE, || {
        match admin.get("/keyway/stats").json()["requests_parked"].clone() {
            parked if parked == 1 => Ok(()),
            parked => Err(parked),
        }
    });
    // A backend has no lock: what names it is served.
    assert_eq!(proxy.client().text(&["SLOTSINFO", &first]), SLOTSINFO_REPLY);
    assert_eq!(seen(&one), ["0 SLOTSINFO"]);
    admin.fill(&json!([{"id": 5, "backend_addr": two.addr().to_string()}])).expect_ok();
    assert_eq!(client.read_reply(), SLOTSSCAN_REPLY.as_bytes());
    assert_eq!((seen(&one), seen(&two)), (vec![], vec!["0 SLOTSSCAN 5 0".to_owned()]));
    assert_eq!(admin.get("/keyway/stats").json()["parked_bytes"], 0);
    proxy.terminate();
}

#[test]
fn ping_and_info_go_to_the_backend_that_they_name() {
    let mut groups =
        TwoGroups::with(codis().allow_log("backend connection lost").allow_log("backend is down"));
    let mut client = groups.client();
    for server in [&groups.one, &groups.two] {
        let addr = server.addr().to_string();
        let pings = server.calls("ping");
        assert_eq!(client.text(&["PING", &addr]), "+PONG\r\n");
        assert_eq!(client.text(&["ping", &addr, "hello"]), "$5\r\nhello\r\n");
        // The handshake of the connection was a PING as well.
        assert!(server.calls("ping") >= pings + 2);
        let info = client.text(&["INFO", &addr]);
        assert!(info.contains(&format!("tcp_port:{}\r\n", server.addr().port())), "{info}");
        let section = client.text(&["INFO", &addr, "memory"]);
        assert!(section.contains("# Memory") && !section.contains("# Server"), "{section}");
        assert_eq!(
            client.text(&["PING", &addr, "a", "b"]),
            "-ERR wrong number of arguments for 'ping' command\r\n"
        );
    }
    assert_eq!(client.text(&["PING", "hello"]), not_found("hello"));
    assert_eq!(client.text(&["INFO", "127.0.0.1:1"]), not_found("127.0.0.1:1"));
    assert_eq!(client.text(&["INFO", "memory"]), not_found("memory"));
    // Without an address they are the proxy's, whatever becomes of the backends.
    groups.one.kill();
    groups.two.kill();
    assert_eq!(client.text(&["PING"]), "+PONG\r\n");
    assert!(client.text(&["INFO"]).contains("keyway_version:"));
    let failed = client.text(&["PING", &groups.one.addr().to_string()]);
    assert!(failed.starts_with("-ERR handle response, backend conn "), "{failed}");
}

#[test]
fn ping_and_info_are_those_of_redis_without_codis() {
    let groups = TwoGroups::start();
    let mut client = groups.client();
    let addr = groups.one.addr().to_string();
    assert_eq!(client.text(&["PING", &addr]), format!("${}\r\n{addr}\r\n", addr.len()));
    assert_eq!(
        client.text(&["PING", &addr, "hello"]),
        "-ERR wrong number of arguments for 'ping' command\r\n"
    );
    assert_eq!(client.text(&["INFO", &addr]), "$0\r\n\r\n");
}

#[test]
fn replies_keep_the_order_of_requests_with_and_without_an_address() {
    let groups = TwoGroups::with(codis());
    let mut client = groups.client();
    let (one, two) = (groups.one.addr().to_string(), groups.two.addr().to_string());
    let key = Group::One.key("key");
    for round in 0..50 {
        let value = format!("{round}");
        let mut pipeline = Vec::new();
        for request in [
            &["SET", &key, &value][..],
            &["PING", &two, &value],
            &["GET", &key],
            &["PING", &one, "after"],
            &["PING"],
            &["PING", "nobody"],
            &["GET", &key],
        ] {
            pipeline.extend(encode(request));
        }
        client.send(pipeline);
        let bulk = format!("${}\r\n{value}\r\n", value.len());
        let expected =
            format!("+OK\r\n{bulk}{bulk}$5\r\nafter\r\n+PONG\r\n{}{bulk}", not_found("nobody"));
        assert_eq!(String::from_utf8_lossy(&client.read_replies(7)), expected);
    }
}

#[test]
fn what_a_replica_says_to_its_own_request_is_not_asked_of_the_primary() {
    let refusal = "-MASTERDOWN Link with MASTER is down\r\n";
    let primary = codis_server();
    let replica = FakeServer::start(move |request| match request {
        [name, _] if name == "PING" => Some(refusal.to_owned()),
        _ => None,
    });
    let [first, second] = [&primary, &replica].map(|server| server.addr().to_string());
    let slots =
        (0..1024).map(|id| json!({"id": id, "backend_addr": first, "replica_groups": [[second]]}));
    let mut proxy = codis().fill_slots(slots.collect::<Value>()).start();
    let mut client = proxy.client();
    for _ in 0..3 {
        assert_eq!(client.text(&["PING", &second, "there?"]), refusal);
    }
    assert_eq!(seen(&replica), vec!["0 PING there?"; 3]);
    proxy.terminate();
}

#[test]
fn a_replica_that_is_gone_fails_its_own_requests() {
    let mut groups = TwoGroups::with_replicas(
        codis().allow_log("backend connection lost").allow_log("backend is down"),
        &RedisServer::options(),
    );
    let mut client = groups.client();
    let addr = groups.replicas[0].addr().to_string();
    let info = client.text(&["INFO", &addr, "replication"]);
    assert!(info.contains("role:slave"), "{info}");
    groups.replicas[0].kill();
    for _ in 0..3 {
        let failed = client.text(&["PING", &addr]);
        assert!(failed.starts_with("-ERR handle response, backend conn "), "{failed}");
    }
    assert_eq!(client.text(&["GET", &Group::One.key("key")]), "$-1\r\n");
}

#[test]
fn a_fill_waits_for_requests_to_the_backend_that_it_takes_away() {
    let mut groups = TwoGroups::with(codis());
    let (one, two) = (groups.one.addr().to_string(), groups.two.addr().to_string());
    let (mut client, mut admin, mut other) =
        (groups.client(), groups.proxy.admin(), groups.proxy.admin());
    assert_eq!(client.text(&["PING", &one]), "+PONG\r\n");
    groups.one.freeze();
    client.send(encode(&["PING", &one, "slow"]));
    wait_until("the request is in flight", DEADLINE, || {
        in_flight(&other.get("/keyway/stats").json(), &one)
    });
    let slots = (0..1024).map(|id| json!({"id": id, "backend_addr": two})).collect::<Value>();
    admin.begin("PUT", "/api/proxy/fillslots/{x}", &[], slots.to_string().as_bytes());
    wait_until("the slots are held", DEADLINE, || {
        match other.get("/keyway/live").json()["slots_held"].clone() {
            held if held == 1024 => Ok(()),
            held => Err(held),
        }
    });
    let mut waiting: RawClient = groups.client().with_deadline(Duration::from_millis(50));
    waiting.send(encode(&["GET", &Group::One.key("key")]));
    let error = waiting.try_read_reply().expect_err("no reply while the slot is held");
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    let metrics = other.get("/metrics").text();
    for line in ["keyway_slots{state=\"held\"} 1024", "keyway_requests_parked 1"] {
        assert!(metrics.lines().any(|known| known == line), "no `{line}` in:\n{metrics}");
    }
    groups.one.thaw();
    assert_eq!(client.read_reply(), b"$4\r\nslow\r\n");
    admin.finish(false).expect("a reply").expect_ok();
    assert_eq!(waiting.with_deadline(DEADLINE).read_reply(), b"$-1\r\n");
    assert_eq!(client.text(&["PING", &one]), not_found(&one));
    assert_eq!(client.text(&["PING", &two]), "+PONG\r\n");
    let live = other.get("/keyway/live").json();
    assert_eq!((&live["slots_held"], &live["requests_parked"]), (&json!(0), &json!(0)));
}

#[test]
fn a_request_behind_the_fence_of_a_fill_ends_with_the_connection() {
    // Goal: a fill that takes a backend away does not wait for what came after its fence, and the
    // client learns of it. Method: a server that holds back one reply and never gives the other.
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock().expect("nobody failed");
    let held_back = Arc::clone(&gate);
    let old = FakeServer::start(move |request| match request {
        [name, _] if name == "GET" => {
            drop(held_back.lock());
            Some("$3\r\nold\r\n".to_owned())
        }
        [name, _] if name == "PING" => Some(String::new()),
        _ => None,
    });
    let new = codis_server();
    // With another worker the request might still wait for a connection of its own.
    let options = codis().workers(1).allow_log("backend connection given up");
    let mut proxy = options.argument(&old.addr().to_string()).start();
    let (mut admin, mut other) = (proxy.admin(), proxy.admin());
    let (mut reader, mut pinger) = (proxy.client(), proxy.client());
    reader.send(encode(&["GET", "key"]));
    wait_until("the request is in flight", DEADLINE, || {
        in_flight(&other.get("/keyway/stats").json(), &old.addr().to_string())
    });
    let addr = new.addr().to_string();
    let slots = (0..1024).map(|id| json!({"id": id, "backend_addr": addr})).collect::<Value>();
    admin.begin("PUT", "/api/proxy/fillslots/{x}", &[], slots.to_string().as_bytes());
    wait_until("the slots are held", DEADLINE, || {
        match other.get("/keyway/live").json()["slots_held"].clone() {
            held if held == 1024 => Ok(()),
            held => Err(held),
        }
    });
    pinger.send(encode(&["PING", &old.addr().to_string(), "lost"]));
    wait_until("the request has come", DEADLINE, || match &other.stats()["ops"]["total"] {
        total if *total == 2 => Ok(()),
        total => Err(total.clone()),
    });
    drop(closed);
    admin.finish(false).expect("a reply").expect_ok();
    assert_eq!(reader.read_reply(), b"$3\r\nold\r\n");
    let lost = "-ERR handle response, backend conn failure, EOF\r\n";
    assert_eq!(String::from_utf8_lossy(&pinger.read_reply()), lost);
    proxy.terminate();
}

/// Whether a backend has a request in flight, by the stats.
fn in_flight(stats: &Value, addr: &str) -> Result<(), Value> {
    let backends = stats["backends"].as_array().cloned().unwrap_or_default();
    let mut of_addr = backends.iter().filter(|backend| backend["addr"] == addr);
    if of_addr.any(|backend| backend["requests_in_flight"] == 1) {
        Ok(())
    } else {
        Err(json!(backends))
    }
}
