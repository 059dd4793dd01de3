//! Slots that migrate from a server of Codis, which is scripted: what it is sent, byte for byte,
//! and what clients get for each of its answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use integration::fake_server::CLOSE;
use integration::proxy::ProxyOptions;
use integration::raw_client::encode;
use integration::{DEADLINE, Deadline, FakeServer, KeywayProxy, RedisServer};
use routing::slot_of;
use serde_json::{Value, json};

/// What a server of Codis 3.2 says of the commands that it is asked for, in short.
const HAS_ALL: &str = "*3\r\n*1\r\n$7\r\nmigrate\r\n*1\r\n$15\r\nslotsmgrttagone\r\n*1\r\n$22\r\n\
     slotsmgrt-exec-wrapper\r\n";

const ABILITIES: &str = "COMMAND INFO MIGRATE SLOTSMGRTTAGONE SLOTSMGRT-EXEC-WRAPPER";

/// Keys of slots that migrate and that do not.
const MOVING: &str = "{a}key";
const OTHER: &str = "{a}other";
const SETTLED: &str = "{b}key";

/// How a slot is forwarded while it migrates.
const SYNC: u8 = 0;
const SEMI_ASYNC: u8 = 1;

/// A scripted source, a real target, and a proxy with one worker: all slots are on the target, and
/// one comes from the source.
struct Scene {
    // Dropped first, while its servers are there.
    proxy: KeywayProxy,
    source: FakeServer,
    target: RedisServer,
}

impl Scene {
    fn start(
        forward_method: u8,
        options: ProxyOptions,
        script: impl Fn(&str, &[String]) -> String + Clone + Send + 'static,
    ) -> Self {
        let source = FakeServer::start(move |request| {
            let name = request.first()?.as_str();
            match name {
                "COMMAND" => Some(HAS_ALL.to_owned()),
                "PING" | "INFO" | "SELECT" => None,
                _ => Some(script(name, request)),
            }
        });
        Self::with(forward_method, options, source)
    }

    fn with(forward_method: u8, options: ProxyOptions, source: FakeServer) -> Self {
        let target = RedisServer::start();
        let moving = slot_of(MOVING.as_bytes()).number();
        let slot = |id: u16| {
            let migrate_from = if id == moving { source.addr().to_string() } else { String::new() };
            json!({
                "id": id, "backend_addr": target.addr().to_string(),
                "migrate_from": migrate_from, "forward_method": forward_method,
            })
        };
        let slots: Vec<Value> = (0..1024).map(slot).collect();
        let proxy = options.workers(1).fill_slots(slots.into()).start();
        Self { proxy, source, target }
    }

    /// What the source was sent since the last call, as lines with the database before them,
    /// without the question for its commands.
    fn sent(&self) -> Vec<String> {
        let lines = self.source.recorded().into_iter();
        let lines = lines.map(|(database, request)| format!("{database} {}", request.join(" ")));
        lines.filter(|line| !line.ends_with(ABILITIES)).collect()
    }

    /// The target's host and port, as they go over the wire.
    fn to_target(&self) -> String {
        format!("{} {}", self.target.addr().ip(), self.target.addr().port())
    }
}

fn codis() -> ProxyOptions {
    KeywayProxy::options().config("compat = \"codis\"")
}

/// `SLOTSMGRT-EXEC-WRAPPER`'s answer.
fn wrapped(code: i32, reply: &str) -> String {
    format!("*2\r\n:{code}\r\n{reply}")
}

fn absent() -> String {
    wrapped(0, "-ERR the specified key doesn't exist\r\n")
}

fn under_way() -> String {
    wrapped(1, "-ERR the specified key is being migrated\r\n")
}

#[test]
fn sync_asks_for_each_key_in_the_form_of_codis() {
    let scene = Scene::start(SYNC, KeywayProxy::options(), |_, _| ":1\r\n".to_owned());
    let mut client = scene.proxy.client();
    assert_eq!(client.text(&["SET", MOVING, "value"]), "+OK\r\n");
    let to = scene.to_target();
    assert_eq!(scene.sent(), [format!("0 SLOTSMGRTTAGONE {to} 3000 {MOVING}")]);
    // Once is enough, and other slots have nothing to do with it.
    assert_eq!(client.text(&["GET", MOVING]), "$5\r\nvalue\r\n");
    assert_eq!(client.text(&["SET", SETTLED, "value"]), "+OK\r\n");
    assert_eq!(scene.sent(), Vec::<String>::new());
    // Every key of a request, on a connection of its database; values are no keys.
    client.text(&["SELECT", "3"]);
    assert_eq!(client.text(&["MSET", "{a}1", "{a}2", "{a}3", "{a}4"]), "+OK\r\n");
    let mut sent = scene.sent();
    sent.sort();
    assert_eq!(sent, [1, 3].map(|key| format!("3 SLOTSMGRTTAGONE {to} 3000 {{a}}{key}")));
    // The parts of a request whose slots differ go their own ways.
    assert_eq!(
        client.text(&["MGET", "{a}5", SETTLED, "{a}1"]),
        "*3\r\n$-1\r\n$-1\r\n$4\r\n{a}2\r\n"
    );
    assert_eq!(scene.sent(), [format!("3 SLOTSMGRTTAGONE {to} 3000 {{a}}5")]);
    assert_eq!(scene.target.calls("set"), 2);
}

/// One request for the key that moves, for which the source has this answer.
#[track_caller]
fn check_refused(method: u8, compat: ProxyOptions, answer: &'static str, expected: &str) {
    let options = compat.allow_log("\"key not moved").allow_log("\"backend connection lost\"");
    let scene = Scene::start(method, options, move |_, _| answer.to_owned());
    let mut client = scene.proxy.client();
    let shown = answer.as_bytes().escape_ascii().to_string();
    assert_eq!(client.text(&["SET", MOVING, "value"]), format!("-{expected}\r\n"), "{shown}");
    // Not executed is not executed; and the client goes on.
    assert_eq!(scene.target.calls("set"), 0, "{shown}");
    assert_eq!(client.text(&["SET", SETTLED, "value"]), "+OK\r\n", "{shown}");
}

#[test]
fn what_sync_cannot_move_is_not_executed() {
    const IOERR: &str = "-IOERR error or timeout writing to target\r\n";
    for (answer, words) in [
        (IOERR, "IOERR error or timeout writing to target"),
        ("-ERR bad\r\n", "ERR bad"),
        ("+OK\r\n", "should be integer, but got <string>"),
        ("$-1\r\n", "should be integer, but got <bulkbytes>"),
        ("*2\r\n:1\r\n:2\r\n", "should be integer, but got <array>"),
    ] {
        let ours = "TRYAGAIN key could not be moved from its source, the request was not executed";
        check_refused(SYNC, KeywayProxy::options(), answer, &format!("{ours}: {words}"));
        let theirs = format!("ERR handle request, bad slotsmgrt resp: {words}");
        check_refused(SYNC, codis(), answer, &theirs);
    }
    check_refused(SYNC, codis(), CLOSE, "ERR handle request, backend conn reset");
}

#[test]
fn a_wrapper_carries_the_request_as_it_came() {
    let scene = Scene::start(SEMI_ASYNC, KeywayProxy::options(), |_, _| absent());
    let mut client = scene.proxy.client();
    assert_eq!(client.text(&["sEt", MOVING, "value", "EX", "1000"]), "+OK\r\n");
    assert_eq!(
        scene.sent(),
        [format!("0 SLOTSMGRT-EXEC-WRAPPER {MOVING} sEt {MOVING} value EX 1000")]
    );
    // Each request is asked for: the source may have got the key by another command.
    assert_eq!(client.text(&["GET", MOVING]), "$5\r\nvalue\r\n");
    assert_eq!(scene.sent(), [format!("0 SLOTSMGRT-EXEC-WRAPPER {MOVING} GET {MOVING}")]);
    client.text(&["SELECT", "2"]);
    assert_eq!(client.text(&["GET", MOVING]), "$-1\r\n");
    assert_eq!(scene.sent(), [format!("2 SLOTSMGRT-EXEC-WRAPPER {MOVING} GET {MOVING}")]);
}

#[test]
fn what_the_source_has_executed_is_the_reply() {
    let large = format!("$102400\r\n{}\r\n", "x".repeat(102_400));
    for reply in [
        "$-1\r\n",
        "$0\r\n\r\n",
        ":17\r\n",
        "+OK\r\n",
        "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
        "*0\r\n",
        "*-1\r\n",
        "*3\r\n*2\r\n:1\r\n$-1\r\n$2\r\nab\r\n*1\r\n*1\r\n+x\r\n",
        large.as_str(),
    ] {
        let answer = wrapped(2, reply);
        let scene = Scene::start(SEMI_ASYNC, codis(), move |_, _| answer.clone());
        let mut client = scene.proxy.client();
        // In the order of the pipeline, among others.
        let pipeline = [["GET", SETTLED], ["GET", MOVING], ["GET", OTHER], ["GET", SETTLED]];
        client.send(pipeline.iter().flat_map(|request| encode(request)).collect::<Vec<u8>>());
        assert_eq!(client.read_reply(), b"$-1\r\n");
        for _ in 0..2 {
            let got = String::from_utf8_lossy(&client.read_reply()).into_owned();
            assert_eq!(got, reply);
        }
        assert_eq!(client.read_reply(), b"$-1\r\n");
        assert_eq!(scene.target.calls("get"), 2);
    }
}

#[test]
fn what_a_wrapper_refuses_is_not_executed() {
    // The server says why in a reply of its own, which is better than Codis' own text.
    for options in [KeywayProxy::options(), codis()] {
        let invalid = "*2\r\n:-1\r\n-ERR invalid command specified (x)\r\n";
        check_refused(SEMI_ASYNC, options, invalid, "ERR invalid command specified (x)");
    }
    let ours = "TRYAGAIN key could not be moved from its source, the request was not executed";
    let theirs = "ERR handle request, bad slotsmgrt-exec-wrapper resp";
    for (answer, words) in [
        ("-ERR bad\r\n", "ERR bad"),
        ("-NOAUTH Authentication required.\r\n", "NOAUTH Authentication required."),
        (":1\r\n", "should be array, but got <int>"),
        ("$2\r\nab\r\n", "should be array, but got <bulkbytes>"),
        ("*2\r\n:7\r\n+x\r\n", "type(array[0]) = <int>, len(array[0].value) = 1"),
    ] {
        check_refused(SEMI_ASYNC, KeywayProxy::options(), answer, &format!("{ours}: {words}"));
        check_refused(SEMI_ASYNC, codis(), answer, &format!("{theirs}: {words}"));
    }
}

#[test]
fn a_connection_that_is_lost_under_a_wrapper_says_nothing() {
    let options = codis().allow_log("\"backend connection lost\"");
    let scene = Scene::start(SEMI_ASYNC, options, |_, _| CLOSE.to_owned());
    let reply = scene.proxy.client().text(&["SET", MOVING, "value"]);
    assert_eq!(reply, "-ERR handle response, backend conn failure, EOF\r\n");
    let options = KeywayProxy::options().allow_log("\"backend connection lost\"");
    let scene = Scene::start(SEMI_ASYNC, options, |_, _| CLOSE.to_owned());
    let reply = scene.proxy.client().text(&["SET", MOVING, "value"]);
    assert_eq!(reply, "-ERR backend connection was lost, the request may have been executed\r\n");
    assert_eq!(scene.target.calls("set"), 0);
}

#[test]
fn a_key_under_way_is_asked_for_again_and_delays_no_other() {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let scene = Scene::start(SEMI_ASYNC, KeywayProxy::options(), move |_, request| {
        if request.get(1).is_some_and(|key| key == OTHER) {
            return wrapped(2, "$5\r\nother\r\n");
        }
        match count.fetch_add(1, Ordering::Relaxed) {
            0..30 => under_way(),
            30 => wrapped(2, ":1\r\n"),
            _ => absent(),
        }
    });
    let (mut client, mut other) = (scene.proxy.client(), scene.proxy.client());
    client.send(encode(&["INCR", MOVING]));
    client.send(encode(&["INCR", MOVING]));
    while asked.load(Ordering::Relaxed) < 10 {
        assert_eq!(other.text(&["GET", OTHER]), "$5\r\nother\r\n");
        assert_eq!(other.text(&["SET", SETTLED, "value"]), "+OK\r\n");
    }
    assert!(asked.load(Ordering::Relaxed) < 30, "the others were delayed");
    // The second one waits for the first, then runs at the target, which has no such key.
    assert_eq!(client.read_replies(2), b":1\r\n:1\r\n");
    assert_eq!(asked.load(Ordering::Relaxed), 32);
}

#[test]
fn a_key_that_stays_under_way_is_given_up() {
    let options = || KeywayProxy::options().config("migration_retry_timeout = \"200ms\"");
    for options in [options(), options().config("compat = \"codis\"")] {
        let scene = Scene::start(SEMI_ASYNC, options, |_, _| under_way());
        let mut client = scene.proxy.client();
        let clock = Deadline::after(DEADLINE);
        let reply = client.text(&["SET", MOVING, "value"]);
        assert_eq!(reply, "-TRYAGAIN key is being moved, the request was not executed\r\n");
        assert!(clock.elapsed().as_millis() >= 200, "{:?}", clock.elapsed());
        assert!(clock.elapsed().as_millis() < 5000, "{:?}", clock.elapsed());
        assert_eq!(scene.target.calls("set"), 0);
    }
}

#[test]
fn requests_of_many_keys_are_asked_for_key_by_key() {
    // The source has the keys with even numbers.
    let scene = Scene::start(SEMI_ASYNC, codis(), |_, request| {
        let key = request.get(1).cloned().unwrap_or_default();
        let (name, is_there) = (request.get(2).cloned().unwrap_or_default(), key.ends_with('2'));
        match name.to_ascii_uppercase().as_str() {
            _ if !is_there => absent(),
            "MGET" => wrapped(2, "*1\r\n$6\r\nsource\r\n"),
            "GET" => wrapped(2, "$6\r\nsource\r\n"),
            "DEL" | "EXISTS" => wrapped(2, ":1\r\n"),
            _ => wrapped(2, "+OK\r\n"),
        }
    });
    let mut client = scene.proxy.client();
    let target = ["MSET", "{a}1", "one", "{a}2", "two", "{a}3", "three"];
    assert_eq!(client.text(&target), "+OK\r\n");
    let sent = scene.sent();
    assert_eq!(sent.len(), 3, "{sent:?}");
    for (line, (key, value)) in
        sent.iter().zip([("{a}1", "one"), ("{a}2", "two"), ("{a}3", "three")])
    {
        assert!(line.starts_with(&format!("0 SLOTSMGRT-EXEC-WRAPPER {key} ")), "{line}");
        assert!(line.ends_with(&format!(" {key} {value}")), "{line}");
    }
    let expected = "*4\r\n$3\r\none\r\n$6\r\nsource\r\n$-1\r\n$5\r\nthree\r\n";
    assert_eq!(client.text(&["MGET", "{a}1", "{a}2", "{a}4", "{a}3"]), expected);
    assert_eq!(scene.sent().len(), 4);
    assert_eq!(client.text(&["EXISTS", "{a}1", "{a}2", "{a}2", "{a}4"]), ":3\r\n");
    assert_eq!(client.text(&["DEL", "{a}1", SETTLED, "{a}2", "{a}4"]), ":2\r\n");
    assert_eq!(client.text(&["GET", "{a}1"]), "$-1\r\n");
}

#[test]
fn an_old_server_that_does_not_know_the_question_is_one_of_codis() {
    for (method, answer, command) in [
        (SYNC, ":0\r\n".to_owned(), "SLOTSMGRTTAGONE"),
        (SEMI_ASYNC, absent(), "SLOTSMGRT-EXEC-WRAPPER"),
    ] {
        let source = FakeServer::start(move |request| match request.first()?.as_str() {
            "COMMAND" => Some("-ERR unknown command 'COMMAND'\r\n".to_owned()),
            name if name.starts_with("SLOTSMGRT") => Some(answer.clone()),
            _ => None,
        });
        let scene = Scene::with(method, KeywayProxy::options(), source);
        let mut client = scene.proxy.client();
        assert_eq!(client.text(&["SET", MOVING, "value"]), "+OK\r\n");
        let sent = scene.sent();
        assert!(sent.iter().all(|line| line.contains(command)), "{sent:?}");
        assert_eq!(scene.target.calls("set"), 1);
    }
}

#[test]
fn the_method_can_be_forced() {
    for (forced, command, answer) in [
        ("sync", "SLOTSMGRTTAGONE", ":1\r\n".to_owned()),
        ("semi-async", "SLOTSMGRT-EXEC-WRAPPER", absent()),
        ("migrate", "MIGRATE", "+NOKEY\r\n".to_owned()),
    ] {
        for method in [SYNC, SEMI_ASYNC] {
            let answer = answer.clone();
            let options =
                KeywayProxy::options().config(&format!("migration_method = \"{forced}\""));
            let scene = Scene::start(method, options, move |_, _| answer.clone());
            assert_eq!(scene.proxy.client().text(&["SET", MOVING, "value"]), "+OK\r\n");
            let recorded = scene.source.recorded();
            let names: Vec<&str> = recorded
                .iter()
                .filter_map(|(_, request)| Some(request.first()?.as_str()))
                .collect();
            assert_eq!(names, [command], "nothing is asked before");
        }
    }
}
