//! Servers that die or freeze, clients that misbehave, and the end of the proxy.
//!
//! The rule behind all of it: a request ends in a reply, a clear error or a closed connection,
//! within its deadline, and the trouble of one is nobody else's.

use std::time::Duration;

use integration::groups::{Group, wait_reply};
use integration::proxy::ProxyOptions;
use integration::raw_client::encode;
use integration::{DEADLINE, Deadline, KeywayProxy, RawClient, RedisServer, TwoGroups, wait_until};

/// "At once", on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How long a backend may be silent, as the tests configure it.
const RECV_TIMEOUT: Duration = Duration::from_secs(1);

/// A proxy that gives up on silent backends soon, and may warn about backends.
fn impatient() -> ProxyOptions {
    KeywayProxy::options()
        .config("backend_recv_timeout = \"1s\"")
        .allow_log("\"backend is down\"")
        .allow_log("\"backend connection lost\"")
}

const DOWN: &str = "-ERR backend is down, the request was not sent\r\n";
const LOST: &str = "-ERR backend connection was lost, the request may have been executed\r\n";
const LATE: &str = "-ERR backend did not reply in time, the request may have been executed\r\n";

/// Sends commands without a pause between them.
fn send_pipeline(client: &mut RawClient, commands: &[&[&str]]) {
    let bytes: Vec<u8> = commands.iter().flat_map(|command| encode(command)).collect();
    client.send(bytes);
}

/// Makes a request that stays in flight: its server is frozen. The reply to the first command of
/// the pipeline proves that the proxy has read the second.
fn client_with_request_in_flight(groups: &mut TwoGroups) -> RawClient {
    let mut client = groups.client();
    groups.two.freeze();
    let (answered, stuck) = (Group::One.key("key"), Group::Two.key("key"));
    send_pipeline(&mut client, &[&["GET", &answered], &["GET", &stuck]]);
    assert_eq!(client.read_reply(), b"$-1\r\n");
    client
}

fn wait_not_listening(proxy: &KeywayProxy) {
    wait_until("the proxy stops to listen", DEADLINE, || {
        RawClient::try_connect(proxy.addr()).map_or(Ok(()), |_| Err("it accepts"))
    });
}

#[test]
fn a_dead_server_is_a_clear_error_at_once_until_it_is_back() {
    let mut groups = TwoGroups::with(impatient());
    let (lost, kept) = (Group::One.key("key"), Group::Two.key("key"));
    let mut client = groups.client();
    client.command(&["MSET", &lost, "lost", &kept, "kept"]);
    groups.one.kill();
    for attempt in 0..20 {
        let clock = Deadline::after(AT_ONCE);
        // The first request may meet the connection before the proxy has noticed its end.
        let refused = client.text(&["GET", &lost]);
        assert!(refused == DOWN || (attempt == 0 && refused == LOST), "{attempt}: {refused}");
        assert_eq!(client.text(&["GET", &kept]), "$4\r\nkept\r\n");
        assert!(clock.elapsed() < AT_ONCE, "{:?}", clock.elapsed());
    }
    assert_eq!(client.text(&["MGET", &kept, &lost]), DOWN);
    groups.one.restart();
    // Each worker finds the way back by itself: this client asks its own.
    wait_until("the server is used again", DEADLINE, || match client.text(&["GET", &lost]) {
        seen if seen == "$-1\r\n" => Ok(()),
        seen => Err(seen),
    });
    assert_eq!(client.text(&["SET", &lost, "found"]), "+OK\r\n");
}

#[test]
fn a_client_is_closed_after_a_failure_where_that_is_configured() {
    let mut groups = TwoGroups::with(impatient().config("session_break_on_failure = true"));
    let (lost, kept) = (Group::One.key("key"), Group::Two.key("key"));
    let (mut client, mut other) = (groups.client(), groups.client());
    assert_eq!(client.text(&["GET", &kept]), "$-1\r\n");
    groups.one.kill();
    assert_eq!(client.text(&["GET", &lost]), DOWN);
    client.expect_closed();
    assert_eq!(other.text(&["GET", &kept]), "$-1\r\n");
}

#[test]
fn a_slot_without_a_server_is_a_clear_error() {
    // The lower half of the slots has a server, the upper half has none.
    let server = RedisServer::start();
    let addr = server.addr().to_string();
    let slots: Vec<_> = (0..512)
        .map(|id| serde_json::json!({"id": id, "backend_addr": addr, "backend_addr_group_id": 1}))
        .collect();
    let proxy = KeywayProxy::options().fill_slots(slots.into()).start();
    let (served, offline) = (Group::One.key("key"), Group::Two.key("key"));
    let mut client = proxy.client();
    let refused = "-ERR slot is offline, no backend is assigned to it\r\n";
    assert_eq!(client.text(&["GET", &offline]), refused);
    assert_eq!(client.text(&["MGET", &served, &offline]), refused);
    // Nothing of a refused command is executed.
    assert_eq!(client.text(&["MSET", &served, "1", &offline, "2"]), refused);
    assert_eq!(client.text(&["GET", &served]), "$-1\r\n");
    assert_eq!(client.text(&["SET", &served, "1"]), "+OK\r\n");
}

#[test]
fn a_server_that_is_absent_from_the_start_is_used_once_it_is_there() {
    let mut late = RedisServer::start();
    let other = RedisServer::start();
    late.kill();
    let proxy = impatient()
        .allow_log("\"backend does not answer: its slots are refused until it does\"")
        .over([&late, &other])
        .start();
    let key = Group::One.key("key");
    assert_eq!(proxy.client().text(&["GET", &key]), DOWN);
    late.restart();
    wait_reply(&proxy, &["GET", &key], "$-1\r\n", DEADLINE);
}

#[test]
fn a_frozen_server_is_an_error_at_its_time_out_and_others_go_on() {
    let mut groups = TwoGroups::with(impatient());
    let (frozen, alive) = (Group::One.key("key"), Group::Two.key("key"));
    let (mut patient, mut other) = (groups.client(), groups.client());
    assert_eq!(other.text(&["SET", &alive, "1"]), "+OK\r\n");
    // Each worker connects on first use, which a frozen server would not answer.
    for client in [&mut patient, &mut other] {
        assert_eq!(client.text(&["GET", &frozen]), "$-1\r\n");
    }
    groups.one.freeze();
    let clock = Deadline::after(DEADLINE);
    send_pipeline(&mut patient, &[&["GET", &frozen], &["GET", &alive]]);
    // While that waits, the other server is as fast as ever.
    for _ in 0..100 {
        let clock = Deadline::after(AT_ONCE);
        assert_eq!(other.text(&["GET", &alive]), "$1\r\n1\r\n");
        assert!(clock.elapsed() < AT_ONCE / 2, "{:?}", clock.elapsed());
    }
    assert_eq!(String::from_utf8_lossy(&patient.read_reply()), LATE);
    let waited = clock.elapsed();
    assert!(waited >= RECV_TIMEOUT / 2, "an error after {waited:?}");
    assert!(waited < RECV_TIMEOUT * 3, "an error after {waited:?}");
    assert_eq!(patient.read_reply(), b"$1\r\n1\r\n");
    groups.one.thaw();
    wait_reply(&groups.proxy, &["GET", &frozen], "$-1\r\n", DEADLINE);
}

#[test]
fn a_late_reply_of_a_thawed_server_goes_to_nobody() {
    // Goal: what a server answers after the time-out is not taken for the answer to a later
    // request. Method: the late reply and the later ones differ.
    let mut groups = TwoGroups::with(impatient());
    let key = Group::One.key("key");
    let mut client = groups.client();
    client.command(&["SET", &key, "value"]);
    groups.one.freeze();
    assert_eq!(client.text(&["APPEND", &key, "+"]), LATE);
    groups.one.thaw();
    wait_until("the server is used again", DEADLINE, || match client.text(&["TYPE", &key]) {
        reply if reply == "+string\r\n" => Ok(()),
        reply if reply.starts_with('-') => Err(reply),
        reply => panic!("the reply to another request: {reply}"),
    });
    assert_eq!(client.text(&["STRLEN", "absent"]), ":0\r\n");
}

#[test]
fn a_client_that_does_not_read_is_closed_and_others_go_on() {
    let groups = TwoGroups::with(KeywayProxy::options().config("session_send_timeout = \"1s\""));
    let key = Group::One.key("big");
    let (mut slow, mut other) = (groups.client(), groups.client());
    let value = vec![b'x'; 1024 * 1024];
    let set: [&[u8]; 3] = [b"SET", key.as_bytes(), &value];
    assert_eq!(slow.command(&set), b"+OK\r\n");
    slow.send(encode(&["GET", &key]).repeat(200));
    // A write to a connection that the peer has closed fails after the first one met a reset.
    wait_until("the slow client is closed", DEADLINE, || {
        assert_eq!(other.text(&["GET", "absent"]), "$-1\r\n");
        slow.try_send("PING\r\n").map_or(Ok(()), |()| Err("open"))
    });
}

#[test]
fn a_client_that_reads_slowly_gets_everything() {
    let groups = TwoGroups::start();
    let keys = Group::BOTH.map(|group| group.key("big"));
    let mut client = groups.client();
    let value = "x".repeat(1024 * 1024);
    client.command(&["MSET", &keys[0], &value, &keys[1], &value]);
    for _ in 0..32 {
        send_pipeline(&mut client, &[&["GET", &keys[0]], &["GET", &keys[1]]]);
    }
    let expected = format!("$1048576\r\n{value}\r\n");
    for number in 0..64 {
        // Other traffic passes between two replies to the slow one.
        assert_eq!(groups.client().text(&["PING"]), "+PONG\r\n");
        assert!(client.read_reply() == expected.as_bytes(), "reply {number}");
    }
}

#[test]
fn an_idle_client_is_closed_and_a_busy_one_is_not() {
    let groups = TwoGroups::with(KeywayProxy::options().config("session_recv_timeout = \"1s\""));
    let (mut idle, mut busy) = (groups.client(), groups.client());
    idle.command(&["PING"]);
    let mut idle = idle.with_deadline(Duration::from_millis(20));
    let clock = Deadline::after(DEADLINE);
    wait_until("the idle client is closed", DEADLINE, || {
        assert_eq!(busy.text(&["PING"]), "+PONG\r\n");
        match idle.try_read_reply() {
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => Err("open"),
            Err(_) => Ok(()),
            Ok(reply) => panic!("a reply to nothing: {}", reply.escape_ascii()),
        }
    });
    let waited = clock.elapsed();
    assert!(waited > Duration::from_millis(500), "closed after {waited:?}");
    assert_eq!(busy.text(&["PING"]), "+PONG\r\n");
}

#[test]
fn one_client_too_many_is_told_so_and_its_place_is_free_again_later() {
    let groups = TwoGroups::with(KeywayProxy::options().config("proxy_max_clients = 2"));
    let (mut first, mut second) = (groups.client(), groups.client());
    assert_eq!(first.text(&["PING"]), "+PONG\r\n");
    assert_eq!(second.text(&["PING"]), "+PONG\r\n");
    let refused = groups.client().read_to_close();
    assert_eq!(refused, b"-ERR max number of clients reached\r\n");
    assert_eq!(first.text(&["PING"]), "+PONG\r\n");
    drop(second);
    wait_until("a place is free", DEADLINE, || match groups.client().try_command(&["PING"]) {
        Ok(reply) if reply == b"+PONG\r\n" => Ok(()),
        other => Err(other),
    });
}

#[test]
fn a_client_that_has_said_everything_gets_every_reply() {
    let groups = TwoGroups::start();
    let keys = Group::BOTH.map(|group| group.key("counter"));
    let mut client = groups.client();
    for _ in 0..500 {
        send_pipeline(&mut client, &[&["INCR", &keys[0]], &["INCR", &keys[1]]]);
    }
    client.close_write();
    for count in 1..=500 {
        for _ in &keys {
            assert_eq!(client.read_reply(), format!(":{count}\r\n").as_bytes());
        }
    }
    client.expect_closed();
}

#[test]
fn sigterm_finishes_what_is_in_flight() {
    let mut groups = TwoGroups::start();
    let mut client = client_with_request_in_flight(&mut groups);
    groups.proxy.request_stop();
    wait_not_listening(&groups.proxy);
    groups.two.thaw();
    assert_eq!(client.read_reply(), b"$-1\r\n");
    client.expect_closed();
    let status = groups.proxy.wait_exit(DEADLINE);
    assert!(status.success(), "{status}");
}

#[test]
fn sigterm_closes_idle_clients_at_once() {
    let mut groups = TwoGroups::start();
    let mut idle = groups.client();
    assert_eq!(idle.text(&["PING"]), "+PONG\r\n");
    groups.proxy.request_stop();
    idle.expect_closed();
    let status = groups.proxy.wait_exit(DEADLINE);
    assert!(status.success(), "{status}");
}

#[test]
fn a_second_signal_ends_the_proxy_without_waiting() {
    let mut groups = TwoGroups::with(
        KeywayProxy::options()
            .allow_log("\"a second signal: stopping at once\"")
            .allow_log("error: stopped by a second signal"),
    );
    let mut client = client_with_request_in_flight(&mut groups);
    groups.proxy.request_stop();
    wait_not_listening(&groups.proxy);
    groups.proxy.request_stop();
    let clock = Deadline::after(DEADLINE);
    let status = groups.proxy.wait_exit(DEADLINE);
    assert_eq!(status.code(), Some(1), "{status}");
    assert!(clock.elapsed() < 2 * AT_ONCE, "{:?}", clock.elapsed());
    // An error about the backend may come first; an answer cannot.
    let rest = client.read_to_close();
    assert!(!rest.starts_with(b"$"), "{}", rest.escape_ascii());
}
