//! Requests of a slot that migrates between stock servers.
//!
//! Keys with the tag `m` migrate from the source to the target; those with `s` are and stay on the
//! source, those with `t` on the target. A request must find its keys wherever they are, and leave
//! them on the target.

use std::time::Duration;

use integration::proxy::ProxyOptions;
use integration::raw_client::encode;
use integration::redis_server::RedisOptions;
use integration::{DEADLINE, Deadline, KeywayProxy, RawClient, RedisServer, wait_until};
use routing::slot_of;
use serde_json::{Value, json};

struct Scene {
    // Dropped first, while its servers are there.
    proxy: KeywayProxy,
    source: RedisServer,
    target: RedisServer,
}

impl Scene {
    fn start() -> Self {
        Self::with(KeywayProxy::options(), [RedisServer::options(), RedisServer::options()])
    }

    fn with(options: ProxyOptions, [source, target]: [RedisOptions; 2]) -> Self {
        let (source, target) = (source.start(), target.start());
        let slots: Vec<Value> = (0..1024).map(|id| slot(id, &source, &target)).collect();
        Self { proxy: options.fill_slots(slots.into()).start(), source, target }
    }

    /// Puts a key on the source, behind the proxy's back.
    fn on_source(&self, command: &[&str]) {
        let reply = self.source.client().text(command);
        assert!(!reply.starts_with('-'), "{command:?}: {reply}");
    }

    #[track_caller]
    fn check_on_target(&self, key: &str) {
        assert_eq!(self.source.client().text(&["EXISTS", key]), ":0\r\n", "{key} on the source");
        assert_eq!(self.target.client().text(&["EXISTS", key]), ":1\r\n", "{key} on the target");
    }
}

/// Where a slot is, in the form of the admin API.
fn slot(id: u16, source: &RedisServer, target: &RedisServer) -> Value {
    let (source, target) = (source.addr().to_string(), target.addr().to_string());
    if id == slot_of(b"m").number() {
        json!({"id": id, "backend_addr": target, "migrate_from": source})
    } else if id == slot_of(b"t").number() {
        json!({"id": id, "backend_addr": target})
    } else {
        json!({"id": id, "backend_addr": source})
    }
}

/// A proxy whose servers fail.
fn patient() -> ProxyOptions {
    KeywayProxy::options()
        .config("backend_recv_timeout = \"2s\"")
        .config("migration_timeout = \"300ms\"")
        .allow_log("\"backend is down\"")
        .allow_log("\"backend connection lost\"")
        .allow_log("\"backend does not answer")
        .allow_log("\"key not moved")
}

#[test]
fn a_key_is_moved_by_its_first_request() {
    let scene = Scene::start();
    scene.on_source(&["SET", "{m}there", "value"]);
    let mut client = scene.proxy.client();
    assert_eq!(client.text(&["GET", "{m}there"]), "$5\r\nvalue\r\n");
    scene.check_on_target("{m}there");
    assert_eq!(client.text(&["GET", "{m}nowhere"]), "$-1\r\n");
    assert_eq!(client.text(&["SET", "{m}nowhere", "new"]), "+OK\r\n");
    scene.check_on_target("{m}nowhere");
    // It is asked for once by each worker, however often it is used.
    for _ in 0..10 {
        assert_eq!(client.text(&["APPEND", "{m}there", ""]), ":5\r\n");
    }
    assert_eq!(scene.source.calls("migrate"), 2);
    assert_eq!(scene.source.calls("get") + scene.source.calls("set"), 1, "the one of this test");
    // A slot that does not migrate has nothing to do with it.
    assert_eq!(client.text(&["SET", "{s}key", "value"]), "+OK\r\n");
    assert_eq!(scene.source.calls("migrate"), 2);
}

#[test]
fn every_kind_of_key_is_moved_whole() {
    let scene = Scene::start();
    for command in [
        &["SET", "{m}string", ""][..],
        &["RPUSH", "{m}list", "a", "b", "c"],
        &["HSET", "{m}hash", "field", "value"],
        &["SADD", "{m}set", "member"],
        &["ZADD", "{m}sorted", "1.5", "member"],
        &["XADD", "{m}stream", "1-1", "field", "value"],
        &["SET", "{m}expiring", "value", "PX", "100000000"],
        &["SETRANGE", "{m}large", "2000000", "x"],
    ] {
        scene.on_source(command);
    }
    let mut client = scene.proxy.client();
    for (command, reply) in [
        (&["STRLEN", "{m}string"][..], ":0\r\n"),
        (&["LRANGE", "{m}list", "0", "-1"], "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n"),
        (&["HGET", "{m}hash", "field"], "$5\r\nvalue\r\n"),
        (&["SISMEMBER", "{m}set", "member"], ":1\r\n"),
        (&["ZSCORE", "{m}sorted", "member"], "$3\r\n1.5\r\n"),
        (&["XLEN", "{m}stream"], ":1\r\n"),
        (&["STRLEN", "{m}large"], ":2000001\r\n"),
    ] {
        assert_eq!(client.text(command), reply, "{command:?}");
    }
    let left = client.text(&["PTTL", "{m}expiring"]);
    let left: u64 = left.trim_matches([':', '\r', '\n']).parse().expect("a time to live");
    assert!((99_000_000..=100_000_000).contains(&left), "{left}");
}

#[test]
fn keys_are_any_bytes() {
    let scene = Scene::start();
    let large = [b"{m}".to_vec(), vec![b'x'; 10_000]].concat();
    for key in [b"{m}\x00\xff\r\n*1\r\n$4\r\n".to_vec(), b"{m} ".to_vec(), large] {
        let set = scene.source.client().command(&[b"SET", key.as_slice(), b"value"]);
        assert_eq!(set, b"+OK\r\n");
        let mut client = scene.proxy.client();
        for _ in 0..2 {
            assert_eq!(client.command(&[b"GET", key.as_slice()]), b"$5\r\nvalue\r\n");
        }
        assert_eq!(scene.target.client().command(&[b"EXISTS", key.as_slice()]), b":1\r\n");
    }
}

#[test]
fn the_empty_key_is_moved_like_any_other() {
    let scene = Scene::start();
    let id = slot_of(b"").number();
    let (source, target) = (scene.source.addr().to_string(), scene.target.addr().to_string());
    scene.on_source(&["SET", "", "value"]);
    let form = json!([{"id": id, "backend_addr": target, "migrate_from": source}]);
    scene.proxy.admin().fill(&form).expect_ok();
    assert_eq!(scene.proxy.client().text(&["GET", ""]), "$5\r\nvalue\r\n");
    scene.check_on_target("");
}

#[test]
fn requests_of_several_keys_find_all_of_them() {
    let scene = Scene::start();
    scene.on_source(&["MSET", "{m}1", "one", "{m}2", "two", "{s}1", "settled"]);
    let mut client = scene.proxy.client();
    assert_eq!(client.text(&["SET", "{t}1", "there"]), "+OK\r\n");
    assert_eq!(client.text(&["GET", "{m}1"]), "$3\r\none\r\n");
    // Of keys that migrate, of those that were moved, and of settled ones on both servers.
    assert_eq!(
        client.text(&["MGET", "{t}1", "{m}2", "{s}1", "{m}1", "{m}none", "{m}2"]),
        "*6\r\n$5\r\nthere\r\n$3\r\ntwo\r\n$7\r\nsettled\r\n$3\r\none\r\n$-1\r\n$3\r\ntwo\r\n"
    );
    scene.on_source(&["RPUSH", "{m}list", "value"]);
    assert_eq!(client.text(&["RPOPLPUSH", "{m}list", "{m}other"]), "$5\r\nvalue\r\n");
    scene.on_source(&["SET", "{m}from", "value"]);
    assert_eq!(client.text(&["RENAME", "{m}from", "{m}to"]), "+OK\r\n");
    assert_eq!(client.text(&["GET", "{m}from"]), "$-1\r\n");
    assert_eq!(client.text(&["GET", "{m}to"]), "$5\r\nvalue\r\n");
    scene.on_source(&["MSET", "{m}3", "3", "{m}4", "4"]);
    let set = ["MSET", "{m}3", "new", "{s}3", "new", "{t}3", "new"];
    assert_eq!(client.text(&set), "+OK\r\n");
    assert_eq!(client.text(&["DEL", "{m}3", "{m}4", "{s}3", "{t}3", "{m}none"]), ":4\r\n");
    assert_eq!(scene.source.client().text(&["EXISTS", "{m}3", "{m}4", "{s}3"]), ":0\r\n");
    assert_eq!(scene.target.client().text(&["EXISTS", "{m}3", "{m}4", "{t}3"]), ":0\r\n");
}

#[test]
fn a_script_finds_the_keys_that_it_declares() {
    let scene = Scene::start();
    scene.on_source(&["MSET", "{m}1", "one", "{m}2", "two"]);
    let script = "return {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2]), ARGV[1]}";
    let mut client = scene.proxy.client();
    let reply = client.text(&["EVAL", script, "2", "{m}1", "{m}2", "{m}1"]);
    assert_eq!(reply, "*3\r\n$3\r\none\r\n$3\r\ntwo\r\n$4\r\n{m}1\r\n");
    scene.check_on_target("{m}1");
    scene.check_on_target("{m}2");
}

#[test]
fn values_are_not_moved() {
    let scene = Scene::start();
    scene.on_source(&["SET", "{m}value", "stays"]);
    let mut client = scene.proxy.client();
    assert_eq!(client.text(&["SET", "{m}key", "{m}value"]), "+OK\r\n");
    assert_eq!(client.text(&["MSET", "{m}a", "{m}value", "{t}b", "{m}value"]), "+OK\r\n");
    assert_eq!(scene.source.client().text(&["EXISTS", "{m}value"]), ":1\r\n");
}

#[test]
fn keys_are_moved_within_their_database() {
    let scene = Scene::start();
    let mut direct = scene.source.client();
    for database in ["0", "3", "15"] {
        direct.text(&["SELECT", database]);
        assert_eq!(direct.text(&["SET", "{m}key", database]), "+OK\r\n");
    }
    let mut client = scene.proxy.client();
    for database in ["15", "0", "3", "7"] {
        client.text(&["SELECT", database]);
        let reply = client.text(&["GET", "{m}key"]);
        match database {
            "7" => assert_eq!(reply, "$-1\r\n"),
            _ => assert_eq!(reply, format!("${}\r\n{database}\r\n", database.len())),
        }
    }
    let mut direct = scene.target.client();
    for (database, size) in [("0", 1), ("3", 1), ("15", 1), ("7", 0)] {
        direct.text(&["SELECT", database]);
        assert_eq!(direct.text(&["DBSIZE"]), format!(":{size}\r\n"), "{database}");
    }
}

#[test]
fn a_pipeline_keeps_its_order() {
    let scene = Scene::start();
    let mut client = scene.proxy.client();
    for round in 0..20 {
        let mut direct = scene.source.client();
        direct.text(&["SET", &format!("{{m}}{round}"), "100"]);
        let (mut pipeline, mut expected) = (Vec::new(), Vec::new());
        for number in 1..=50 {
            pipeline.extend(encode(&["INCR", &format!("{{m}}{round}")]));
            expected.extend(format!(":{}\r\n", 100 + number).into_bytes());
            pipeline.extend(encode(&["INCR", &format!("{{s}}{round}")]));
            expected.extend(format!(":{number}\r\n").into_bytes());
            pipeline.extend(encode(&["MGET", &format!("{{t}}{round}"), &format!("{{m}}{round}")]));
            expected.extend(format!("*2\r\n$-1\r\n$3\r\n{}\r\n", 100 + number).into_bytes());
            pipeline.extend(encode(&["ECHO", "x"]));
            expected.extend(b"$1\r\nx\r\n");
        }
        client.send(&pipeline);
        let replies = client.read_replies(200);
        assert_eq!(String::from_utf8_lossy(&replies), String::from_utf8_lossy(&expected));
    }
}

#[test]
fn what_both_have_is_what_the_source_has() {
    // As after a try to move a key whose end nobody has heard: the target's copy is not newer.
    let scene = Scene::start();
    scene.target.client().text(&["SET", "{m}key", "copy"]);
    scene.on_source(&["SET", "{m}key", "value"]);
    assert_eq!(scene.proxy.client().text(&["GET", "{m}key"]), "$5\r\nvalue\r\n");
    scene.check_on_target("{m}key");
}

#[test]
fn the_source_gives_the_password_of_the_target() {
    let passwords = [(); 2].map(|()| RedisServer::options().password("inner"));
    let scene = Scene::with(KeywayProxy::options().config("product_auth = \"inner\""), passwords);
    scene.on_source(&["SET", "{m}key", "value"]);
    assert_eq!(scene.proxy.client().text(&["GET", "{m}key"]), "$5\r\nvalue\r\n");
    scene.check_on_target("{m}key");
}

#[test]
fn the_source_gives_the_user_of_the_target() {
    let users = [(); 2].map(|()| {
        let options = RedisServer::options().option("user", "app on >inner ~* &* +@all");
        // The default user has no rights, so that all must be done as the other one.
        options.option("user", "default on nopass ~{m}* +exists +set +info +ping")
    });
    let options =
        KeywayProxy::options().config("product_user = \"app\"").config("product_auth = \"inner\"");
    let scene = Scene::with(options, users);
    scene.on_source(&["SET", "{m}key", "value"]);
    assert_eq!(scene.proxy.client().text(&["GET", "{m}key"]), "$5\r\nvalue\r\n");
    scene.check_on_target("{m}key");
    assert!(!scene.proxy.log().text().contains("inner"), "a password in the log");
}

#[test]
fn a_target_that_refuses_its_source_is_told_to_the_client() {
    // The proxy may reach the target with a name, but the target's user must not restore keys.
    let target = RedisServer::options().option("user", "default on nopass ~* &* +@all -restore");
    for (options, ours) in [
        (
            patient(),
            "TRYAGAIN key could not be moved from its source, the request was not executed:",
        ),
        (patient().config("compat = \"codis\""), "ERR handle request, bad slotsmgrt resp:"),
    ] {
        let scene = Scene::with(options, [RedisServer::options(), target.clone()]);
        scene.on_source(&["MSET", "{m}key", "value", "{m}other", "value"]);
        let mut client = scene.proxy.client();
        for command in [&["GET", "{m}key"][..], &["MGET", "{m}key", "{m}other"]] {
            let reply = client.text(command);
            let words = "ERR Target instance replied with error: NOPERM";
            assert!(reply.starts_with(&format!("-{ours} {words}")), "{reply}");
        }
        // What is not there needs not be moved, and nobody else is in trouble.
        assert_eq!(client.text(&["SET", "{m}new", "value"]), "+OK\r\n");
        assert_eq!(client.text(&["SET", "{s}key", "value"]), "+OK\r\n");
        // A fault of one key is not the fault of all that are asked for with it.
        scene.on_source(&["DEL", "{m}other"]);
        let pipeline = [["GET", "{m}key"], ["GET", "{m}other"], ["GET", "{m}new"]];
        client.send(pipeline.iter().flat_map(|request| encode(request)).collect::<Vec<u8>>());
        assert!(client.read_reply().starts_with(format!("-{ours}").as_bytes()));
        assert_eq!(client.read_replies(2), b"$-1\r\n$5\r\nvalue\r\n");
        scene.target.client().text(&["ACL", "SETUSER", "default", "+restore"]);
        assert_eq!(client.text(&["GET", "{m}key"]), "$5\r\nvalue\r\n");
        scene.check_on_target("{m}key");
    }
}

#[test]
fn while_the_target_is_down_nothing_is_executed() {
    let mut scene = Scene::with(patient(), [RedisServer::options(), RedisServer::options()]);
    scene.on_source(&["SET", "{m}key", "1"]);
    scene.target.kill();
    let mut client = scene.proxy.client();
    let refusal = "-TRYAGAIN key could not be moved from its source, the request was not executed: \
         IOERR error or timeout";
    for _ in 0..5 {
        let reply = client.text(&["INCR", "{m}key"]);
        assert!(reply.starts_with(refusal), "{reply}");
        assert_eq!(client.text(&["INCR", "{s}key"]).get(..1), Some(":"));
    }
    scene.target.restart();
    wait_until("the key moves", DEADLINE, || match client.text(&["INCR", "{m}key"]) {
        reply if reply == ":2\r\n" => Ok(()),
        // Neither an old copy, nor one that was counted without a word.
        reply if reply.starts_with('-') => Err(reply),
        reply => panic!("{reply}"),
    });
    scene.check_on_target("{m}key");
}

#[test]
fn a_frozen_target_stops_the_source_for_one_timeout_only() {
    let mut scene = Scene::with(patient(), [RedisServer::options(), RedisServer::options()]);
    for number in 0..100 {
        scene.on_source(&["SET", &format!("{{m}}{number}"), "1"]);
    }
    // A worker's connections to the target are open before it freezes.
    let (mut client, mut other) = (scene.proxy.client(), scene.proxy.client());
    scene.target.freeze();
    let clock = Deadline::after(DEADLINE);
    let (mut longest, mut slow) = (Duration::ZERO, 0);
    let mut refused = 0;
    while clock.elapsed() < Duration::from_secs(4) {
        client.send(encode(&["INCR", &format!("{{m}}{}", refused % 100)]));
        let before = clock.elapsed();
        assert_eq!(other.text(&["SET", "{s}key", "value"]), "+OK\r\n");
        let took = clock.elapsed().saturating_sub(before);
        longest = longest.max(took);
        slow += u32::from(took > Duration::from_millis(100));
        let reply = String::from_utf8_lossy(&client.read_reply()).into_owned();
        assert!(reply.starts_with("-TRYAGAIN"), "{reply}");
        refused += 1;
    }
    // The source waits for the target once in a while, and serves in between. Redis may wait its
    // timeout twice: for the connection and for the answer.
    assert!(longest < Duration::from_millis(1500), "{longest:?}");
    assert!(slow <= 8, "the source stood still {slow} times in four seconds");
    assert!(refused > 50, "{refused}");
    scene.target.thaw();
    wait_until("keys move again", DEADLINE, || match client.text(&["GET", "{m}99"]) {
        reply if reply == "$1\r\n1\r\n" => Ok(()),
        reply => Err(reply),
    });
    for number in 0..100 {
        let key = format!("{{m}}{number}");
        wait_until("each key is there, not counted", DEADLINE, || {
            match client.text(&["GET", &key]) {
                reply if reply == "$1\r\n1\r\n" => Ok(()),
                reply => Err(reply),
            }
        });
    }
}

#[test]
fn a_dead_source_fails_the_keys_that_it_may_have() {
    let source = RedisServer::options().option("appendonly", "yes").option("appendfsync", "always");
    let mut scene = Scene::with(patient(), [source, RedisServer::options()]);
    scene.on_source(&["SET", "{m}key", "1"]);
    // Which worker a client has is not known: this one is used throughout.
    let mut client = scene.proxy.client();
    assert_eq!(client.text(&["SET", "{m}moved", "value"]), "+OK\r\n");
    scene.source.kill();
    for _ in 0..5 {
        let reply = client.text(&["INCR", "{m}key"]);
        let refused =
            "-TRYAGAIN key could not be moved from its source, the request was not executed";
        assert!(reply.starts_with(refused), "{reply}");
        assert_eq!(client.text(&["GET", "{m}moved"]), "$5\r\nvalue\r\n", "it is at the target");
        assert_eq!(client.text(&["SET", "{t}key", "value"]), "+OK\r\n");
    }
    scene.source.restart();
    wait_until("the key moves", DEADLINE, || match client.text(&["INCR", "{m}key"]) {
        reply if reply == ":2\r\n" => Ok(()),
        reply => Err(reply),
    });
}

#[test]
fn replicas_have_no_part_in_a_migration() {
    let (source, target) = (RedisServer::start(), RedisServer::start());
    let [one, two] =
        [&source, &target].map(|primary| RedisServer::options().replica_of(primary).start());
    let id = slot_of(b"m").number();
    let groups = json!([[one.addr().to_string(), two.addr().to_string()]]);
    let settled =
        json!({"id": id, "backend_addr": source.addr().to_string(), "replica_groups": groups});
    let proxy = KeywayProxy::options().fill_slots(json!([settled])).start();
    let mut client = proxy.client();
    assert_eq!(client.text(&["SET", "{m}key", "value"]), "+OK\r\n");
    let migrating = json!([{
        "id": id, "backend_addr": target.addr().to_string(),
        "migrate_from": source.addr().to_string(), "replica_groups": groups,
    }]);
    proxy.admin().fill(&migrating).expect_ok();
    let before = one.calls("get") + two.calls("get");
    for _ in 0..50 {
        assert_eq!(client.text(&["GET", "{m}key"]), "$5\r\nvalue\r\n");
    }
    assert_eq!(one.calls("get") + two.calls("get"), before);
    assert_eq!(target.calls("get"), 50);
}

#[test]
fn the_pages_tell_of_the_source_and_the_moves() {
    let options = KeywayProxy::options().allow_log("\"key not moved");
    let scene = Scene::with(options, [RedisServer::options(), RedisServer::options()]);
    let mut client = scene.proxy.client();
    assert_eq!(client.text(&["SET", "{m}key", "value"]), "+OK\r\n");
    scene.on_source(&["SET", "{m}refused", "value"]);
    scene.target.client().text(&["ACL", "SETUSER", "default", "-restore"]);
    assert!(client.text(&["GET", "{m}refused"]).starts_with("-TRYAGAIN"));
    let id = slot_of(b"m").number();
    let (source, target) = (scene.source.addr().to_string(), scene.target.addr().to_string());
    let mut admin = scene.proxy.admin();
    let slot = admin.slots().get(usize::from(id)).cloned().expect("all slots");
    assert_eq!(slot.get("backend_addr"), Some(&json!(target)));
    assert_eq!(slot.get("migrate_from"), Some(&json!(source)));
    let mapping = client.text(&["SLOTSMAPPING", &id.to_string()]);
    let place = |text: &str| mapping.find(text).expect("both addresses");
    assert!(place(&target) < place(&source), "{mapping}");
    let metrics = admin.get("/metrics").text();
    for sample in [
        "keyway_slots{state=\"migrating\"} 1\n",
        "keyway_key_moves_total 2\n",
        "keyway_key_move_failures_total 1\n",
    ] {
        assert!(metrics.contains(sample), "{sample} in:\n{metrics}");
    }
    assert!(metrics.contains(&format!("keyway_backend_up{{backend=\"{target}\"")), "{metrics}");
}

#[test]
fn a_locked_slot_waits_without_an_error() {
    let scene = Scene::start();
    scene.on_source(&["SET", "{m}key", "value"]);
    let id = slot_of(b"m").number();
    let (source, target) = (scene.source.addr().to_string(), scene.target.addr().to_string());
    let order = |is_locked: bool| {
        let form = json!([{
            "id": id, "backend_addr": target, "migrate_from": source, "locked": is_locked,
        }]);
        scene.proxy.admin().fill(&form).expect_ok();
    };
    order(true);
    let mut clients: Vec<RawClient> = (0..4).map(|_| scene.proxy.client()).collect();
    for client in &mut clients {
        client.send(encode(&["APPEND", "{m}key", "x"]));
        assert_eq!(scene.proxy.client().text(&["SET", "{s}key", "value"]), "+OK\r\n");
    }
    assert_eq!(scene.source.calls("migrate"), 0);
    order(false);
    let mut lengths: Vec<Vec<u8>> = clients.iter_mut().map(RawClient::read_reply).collect();
    lengths.sort();
    assert_eq!(lengths, [b":6\r\n", b":7\r\n", b":8\r\n", b":9\r\n"]);
    scene.check_on_target("{m}key");
}
