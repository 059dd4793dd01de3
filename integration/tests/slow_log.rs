//! The slow log of the proxy: what is in it, where the time went, and what must not be in it.
//!
//! Backends are made slow by stopping their processes, slots by locking them. A time is judged from
//! below by how long the test has surely held something up; what was not held up must be less.

#![expect(clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use integration::groups::Group;
use integration::raw_client::encode;
use integration::wait::{DEADLINE, Deadline, wait_until};
use integration::{KeywayProxy, RawClient, RedisServer, TwoGroups};
use redis::{FromRedisValue, RedisResult};
use serde_json::json;

/// How long something is held up: far more than the threshold, and than a busy machine's pauses.
const HELD_UP: Duration = Duration::from_millis(600);

/// What must show of it: a request enters the proxy some time after it was sent.
const HELD_UP_US: u64 = 400_000;

/// An entry of Redis: exactly six elements.
type Entry = (u64, u64, u64, Vec<String>, String, String);

/// An entry with the parts of its time.
#[derive(Debug)]
struct Parts {
    total_us: u64,
    argv: Vec<String>,
    backend: String,
    queue_us: u64,
    backend_us: u64,
    write_us: u64,
}

type PartsTuple = (u64, u64, u64, Vec<String>, String, String, String, u64, u64, u64);

fn library(proxy: &KeywayProxy) -> redis::Connection {
    let client = redis::Client::open(format!("redis://{}", proxy.addr())).expect("an address");
    client.get_connection().expect("connect")
}

fn ask<T: FromRedisValue>(library: &mut redis::Connection, request: &str) -> T {
    let mut words = request.split(' ');
    let mut command = redis::cmd(words.next().unwrap_or_default());
    let answer: RedisResult<T> = command.arg(words.collect::<Vec<_>>()).query(library);
    answer.unwrap_or_else(|error| panic!("{request}: {error}"))
}

/// The slow requests, the newest first.
fn slow(proxy: &KeywayProxy) -> Vec<Parts> {
    let entries: Vec<PartsTuple> = ask(&mut library(proxy), "SLOWLOG GET -1 PARTS");
    let parts = |(_, _, total_us, argv, _, _, backend, queue_us, backend_us, write_us)| Parts {
        total_us,
        argv,
        backend,
        queue_us,
        backend_us,
        write_us,
    };
    entries.into_iter().map(parts).collect()
}

/// The one slow request whose last argument is `key`.
fn slow_about(proxy: &KeywayProxy, key: &str) -> Parts {
    let mut about: Vec<_> = slow(proxy)
        .into_iter()
        .filter(|parts| parts.argv.last().map(String::as_str) == Some(key))
        .collect();
    assert_eq!(about.len(), 1, "{about:?}");
    let parts = about.remove(0);
    assert_eq!(parts.total_us, parts.queue_us + parts.backend_us + parts.write_us, "{parts:?}");
    parts
}

/// Returns when something has been held up for long enough.
fn hold_up() {
    let clock = Deadline::after(DEADLINE);
    wait_until("time passes", DEADLINE, || {
        if clock.elapsed() >= HELD_UP { Ok(()) } else { Err(clock.elapsed()) }
    });
}

/// Sends a request while a server is stopped.
fn ask_frozen(server: &mut RedisServer, client: &mut RawClient, pipeline: &[u8], replies: usize) {
    server.freeze();
    client.send(pipeline);
    hold_up();
    server.thaw();
    client.read_replies(replies);
}

fn lock(proxy: &KeywayProxy, server: &RedisServer, is_locked: bool) {
    let addr = server.addr().to_string();
    let slot = |id| json!({"id": id, "backend_addr": addr, "locked": is_locked});
    proxy.admin().fill(&(0..1024).map(slot).collect()).expect_ok();
}

#[test]
fn a_silent_backend_shows_as_backend_time() {
    let mut server = RedisServer::start();
    let proxy = KeywayProxy::options().workers(2).over([&server]).start();
    let mut client = proxy.client();
    client.command(&["CLIENT", "SETNAME", "app"]);
    client.command(&["SET", "key", "value"]);
    ask_frozen(&mut server, &mut client, &encode(&["GET", "key"]), 1);

    let parts = slow_about(&proxy, "key");
    assert_eq!(parts.argv, ["GET", "key"]);
    assert_eq!(parts.backend, server.addr().to_string());
    assert!(parts.backend_us >= HELD_UP_US, "{parts:?}");
    assert!(parts.queue_us < HELD_UP_US / 2 && parts.write_us < HELD_UP_US / 2, "{parts:?}");

    let entries: Vec<Entry> = ask(&mut library(&proxy), "SLOWLOG GET");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
    let about = entries.iter().find(|entry| entry.3 == ["GET", "key"]).expect("the entry");
    assert!(now.as_secs().abs_diff(about.1) <= 60, "{about:?}");
    assert_eq!((about.2, about.5.as_str()), (parts.total_us, "app"));
    let ip = about.4.rsplit_once(':').map(|(ip, _)| ip);
    assert_eq!(ip, Some("127.0.0.1"), "{about:?}");
    let metrics = proxy.admin().get("/metrics").text();
    assert!(metrics.contains("keyway_slow_requests_total{part=\"backend\"} 1"), "{metrics}");
}

#[test]
fn a_locked_slot_shows_as_queue_time() {
    let server = RedisServer::start();
    let proxy = KeywayProxy::options().start();
    lock(&proxy, &server, false);
    proxy.admin().put("/api/proxy/start/{x}").expect_ok();
    let mut client = proxy.client();
    client.command(&["SET", "key", "value"]);
    lock(&proxy, &server, true);
    client.send(encode(&["GET", "key"]));
    hold_up();
    lock(&proxy, &server, false);
    client.read_replies(1);

    let parts = slow_about(&proxy, "key");
    assert!(parts.queue_us >= HELD_UP_US, "{parts:?}");
    assert!(parts.backend_us < HELD_UP_US / 2 && parts.write_us < HELD_UP_US / 2, "{parts:?}");
    assert_eq!(parts.backend, server.addr().to_string());
}

/// The kernel takes the connection for the stopped server, but nobody greets the proxy there.
#[test]
fn a_connection_that_is_being_made_shows_as_queue_time() {
    let mut server = RedisServer::options().password("inner").start();
    let options = KeywayProxy::options().config("product_auth = \"inner\"");
    let proxy = options.workers(1).over([&server]).start();
    ask_frozen(&mut server, &mut proxy.client(), &encode(&["GET", "key"]), 1);
    let parts = slow_about(&proxy, "key");
    assert!(parts.queue_us >= HELD_UP_US && parts.backend_us < HELD_UP_US / 2, "{parts:?}");
}

/// A reply that is there waits for the one before it, which a silent backend owes.
#[test]
fn waiting_for_an_earlier_reply_shows_as_write_time() {
    let mut groups = TwoGroups::start();
    let keys = Group::BOTH.map(|group| group.key("key"));
    let mut client = groups.proxy.client();
    for key in &keys {
        client.command(&["SET", key, "value"]);
    }
    let mut pipeline = encode(&["GET", &keys[0]]);
    pipeline.extend(encode(&["GET", &keys[1]]));
    pipeline.extend(encode(&["MGET", &keys[1], &keys[0], "both"]));
    ask_frozen(&mut groups.one, &mut client, &pipeline, 3);

    let first = slow_about(&groups.proxy, &keys[0]);
    let second = slow_about(&groups.proxy, &keys[1]);
    assert!(first.backend_us >= HELD_UP_US && first.write_us < HELD_UP_US / 2, "{first:?}");
    assert!(second.write_us >= HELD_UP_US / 2 && second.backend_us < HELD_UP_US / 2, "{second:?}");
    assert_eq!(second.backend, groups.two.addr().to_string());
    // Of a request that was split the part of the silent backend counts.
    let split = slow_about(&groups.proxy, "both");
    assert_eq!(split.backend, groups.one.addr().to_string());
    assert!(split.backend_us >= HELD_UP_US / 2, "{split:?}");
}

/// A backend that is given up owes the replies; its requests are slow and end in errors.
#[test]
fn a_request_that_ends_in_a_timeout_is_in_the_log() {
    let mut server = RedisServer::start();
    let options = KeywayProxy::options().config("backend_recv_timeout = \"500ms\"");
    let options = options.config("fill_timeout = \"1s\"").workers(1).over([&server]);
    let proxy =
        options.allow_log("\"backend connection lost\"").allow_log("\"backend is down\"").start();
    let mut client = proxy.client();
    client.command(&["SET", "key", "value"]);
    server.freeze();
    let reply = client.text(&["GET", "key"]);
    assert!(reply.starts_with('-'), "{reply}");
    server.thaw();
    let parts = slow_about(&proxy, "key");
    assert!(parts.backend_us >= HELD_UP_US, "{parts:?}");
    assert_eq!(parts.backend, server.addr().to_string());
}

#[test]
fn arguments_are_cut_as_a_redis_server_cuts_them() {
    let server = RedisServer::options().option("slowlog-log-slower-than", "0").start();
    let proxy =
        KeywayProxy::options().config("slowlog_log_slower_than = 0").over([&server]).start();
    let mut direct = server.client();
    let mut client = proxy.client();
    let (fits, long, longer) = ("v".repeat(128), "v".repeat(129), "v".repeat(70_000));
    let keys: Vec<_> = (0..40).map(|number| format!("{{tag}}{number}")).collect();
    let del = |count: usize| {
        let keys = keys.iter().take(count).map(String::as_str);
        ["DEL"].into_iter().chain(keys).collect::<Vec<_>>()
    };
    let many: Vec<_> = std::iter::repeat_n("x", 2000).collect();
    let mut push = vec!["RPUSH", "list"];
    push.extend(&many);
    for request in [
        vec!["GET", "key"],
        vec!["SET", "key", &fits],
        vec!["SET", "key", &long],
        vec!["SET", "key", &longer, "EX", "100"],
        vec!["SET", &long, "value"],
        del(31),
        del(32),
        del(33),
        push,
    ] {
        let argv = |client: &mut RawClient| {
            client.command(&request);
            let entry = client.text(&["SLOWLOG", "GET", "1"]);
            // Behind id, time and microseconds, up to the client's address.
            let argv = entry.splitn(6, "\r\n").nth(5).map(str::to_owned).unwrap_or_default();
            argv.split_once("127.0.0.1:").map(|(argv, _)| argv.to_owned()).unwrap_or_default()
        };
        let (expected, seen) = (argv(&mut direct), argv(&mut client));
        let cut = |text: &str| text.rsplit_once('$').map(|(argv, _)| argv.to_owned());
        assert_eq!(cut(&seen), cut(&expected), "{:?}", request.first());
        assert!(seen.starts_with('*'), "{seen}");
    }
    for request in [["SLOWLOG", "GET", "-2"], ["SLOWLOG", "GET", "x"], ["SLOWLOG", "GET", "1.5"]] {
        assert_eq!(client.text(&request), direct.text(&request), "{request:?}");
    }
}

#[test]
fn the_log_is_bounded_and_its_ids_grow_over_all_workers() {
    let server = RedisServer::start();
    let options = KeywayProxy::options().config("slowlog_log_slower_than = 0");
    let options = options.config("slowlog_max_len = 5").workers(2);
    let proxy = options.over([&server]).start();
    let mut clients: Vec<_> = (0..4).map(|_| proxy.client()).collect();
    for _ in 0..10 {
        for client in &mut clients {
            client.command(&["INCR", "counter"]);
        }
    }
    let mut library = library(&proxy);
    let ids = |library: &mut redis::Connection, request: &str| -> Vec<u64> {
        let entries: Vec<Entry> = ask(library, request);
        entries.iter().map(|entry| entry.0).collect()
    };
    let all = ids(&mut library, "SLOWLOG GET -1");
    assert_eq!(all.len(), 5);
    assert!(all.is_sorted_by(|newer, older| newer > older), "{all:?}");
    assert!(ids(&mut library, "SLOWLOG GET 2").first() > all.first());
    assert_eq!(ask::<u64>(&mut library, "SLOWLOG LEN"), 5);
    assert_eq!(ask::<String>(&mut library, "SLOWLOG RESET"), "OK");
    // The order to forget is itself in the log by then.
    let left: Vec<Entry> = ask(&mut library, "SLOWLOG GET -1");
    assert!(left.iter().all(|entry| entry.3 == ["SLOWLOG", "RESET"]), "{left:?}");
    let help: Vec<String> = ask(&mut library, "SLOWLOG HELP");
    assert!(help.iter().any(|line| line == "GET [<count>] [PARTS]"), "{help:?}");
}

#[test]
fn a_log_that_is_off_stays_empty() {
    let mut server = RedisServer::start();
    let proxy =
        KeywayProxy::options().config("slowlog_log_slower_than = -1").over([&server]).start();
    let mut client = proxy.client();
    client.command(&["SET", "key", "value"]);
    ask_frozen(&mut server, &mut client, &encode(&["GET", "key"]), 1);
    assert_eq!(client.text(&["SLOWLOG", "LEN"]), ":0\r\n");
    assert_eq!(client.text(&["LATENCY", "LATEST"]), "*0\r\n");
    assert!(client.text(&["LATENCY", "DOCTOR"]).contains("Nothing is watched"));
    let settings = client.text(&["CONFIG", "GET", "slowlog*"]);
    assert!(settings.contains("slowlog-log-slower-than\r\n$2\r\n-1\r\n"), "{settings}");
    assert!(settings.contains("slowlog-max-len\r\n$3\r\n128\r\n"), "{settings}");
}

#[test]
fn secrets_never_show() {
    let server = RedisServer::start();
    let options = KeywayProxy::options().config("slowlog_log_slower_than = 0");
    let proxy = options.config("session_auth = \"s3cret\"").over([&server]).start();
    let mut client = proxy.client();
    for request in [
        &["AUTH", "s3cret-wrong"][..],
        &["AUTH", "default", "s3cret"],
        &["HELLO", "2", "AUTH", "default", "s3cret"],
        &["CONFIG", "SET", "requirepass", "s3cret"],
        &["ACL", "SETUSER", "user", ">s3cret"],
        &["MIGRATE", "h", "1", "key", "0", "9", "AUTH", "s3cret"],
        &["AUHT", "s3cret"],
    ] {
        client.command(request);
    }
    let log = client.text(&["SLOWLOG", "GET", "-1", "PARTS"]);
    assert!(log.contains("AUTH\r\n$10\r\n(redacted)\r\n"), "{log}");
    let live = proxy.admin().get("/keyway/live").text();
    assert!(live.contains("(redacted)") && !live.contains("s3cret"), "{live}");
    assert!(!log.contains("s3cret"), "{log}");
}

#[test]
fn latency_tells_which_part_was_slow() {
    let mut server = RedisServer::start();
    let proxy = KeywayProxy::options().workers(2).over([&server]).start();
    let mut client = proxy.client();
    client.command(&["SET", "key", "value"]);
    ask_frozen(&mut server, &mut client, &encode(&["GET", "key"]), 1);

    let mut library = library(&proxy);
    let latest: Vec<(String, u64, u64, u64)> = ask(&mut library, "LATENCY LATEST");
    let events: Vec<_> = latest.iter().map(|(event, ..)| event.as_str()).collect();
    assert!(events.contains(&"command") && events.contains(&"backend"), "{latest:?}");
    assert!(!events.contains(&"queue"), "{latest:?}");
    for (_, _, latest_ms, worst_ms) in &latest {
        assert!(*worst_ms >= HELD_UP_US / 1000 && latest_ms <= worst_ms, "{latest:?}");
    }
    let history: Vec<(u64, u64)> = ask(&mut library, "LATENCY HISTORY backend");
    assert!(history.iter().any(|(_, time_ms)| *time_ms >= 400), "{history:?}");
    assert_eq!(ask::<Vec<(u64, u64)>>(&mut library, "LATENCY HISTORY fork"), []);
    assert!(ask::<String>(&mut library, "LATENCY DOCTOR").contains("backend: slow in 1 seconds"));

    let histogram: Vec<redis::Value> = ask(&mut library, "LATENCY HISTOGRAM get set absent");
    assert_eq!(histogram.len(), 4, "two commands and their maps: {histogram:?}");
    let get = client.text(&["LATENCY", "HISTOGRAM", "GET"]);
    assert!(get.contains("calls\r\n:1\r\n$14\r\nhistogram_usec\r\n*2\r\n:"), "{get}");

    assert_eq!(ask::<u64>(&mut library, "LATENCY RESET queue fork"), 0);
    assert_eq!(ask::<u64>(&mut library, "LATENCY RESET backend"), 1);
    assert_eq!(ask::<Vec<(u64, u64)>>(&mut library, "LATENCY HISTORY backend"), []);
    assert!(ask::<u64>(&mut library, "LATENCY RESET") >= 1);
    assert_eq!(ask::<Vec<redis::Value>>(&mut library, "LATENCY LATEST"), []);
    let help: Vec<String> = ask(&mut library, "LATENCY HELP");
    assert!(help.iter().any(|line| line == "HISTORY <event>"), "{help:?}");
}
