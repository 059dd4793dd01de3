//! Every limit of the configuration: what happens at it, and that others do not notice.

use std::time::Duration;

use integration::groups::Group;
use integration::proxy::ProxyOptions;
use integration::raw_client::encode;
use integration::{DEADLINE, KeywayProxy, RawClient, RedisServer, TwoGroups, wait_until};

const MB: usize = 1024 * 1024;

const BUSY: &str = "-ERR backend has too many requests in flight, the request was not sent\r\n";

/// Sends a long pipeline over both servers and expects every reply in its place.
fn check_pipeline(client: &mut RawClient, name: &str, rounds: usize, padding: usize) {
    let keys = Group::BOTH.map(|group| group.key(name));
    let mut pipeline = Vec::new();
    let mut expected = Vec::new();
    for round in 0..rounds {
        let values = [1, 2].map(|server| format!("{name} {server} {round} {:padding$}", ""));
        pipeline.extend(encode(&["MSET", &keys[0], &values[0], &keys[1], &values[1]]));
        pipeline.extend(encode(&["GET", &keys[0]]));
        pipeline.extend(encode(&["ECHO", &values[0]]));
        pipeline.extend(encode(&["MGET", &keys[1], &keys[0]]));
        let [one, two] = values.map(|value| format!("${}\r\n{value}\r\n", value.len()));
        expected.extend(format!("+OK\r\n{one}{one}*2\r\n{two}{one}").bytes());
    }
    client.send(pipeline);
    let mut rest = &expected[..];
    client.read_pieces(expected.len(), |piece| {
        let (part, later) = rest.split_at(piece.len());
        assert!(piece == part, "`{}` instead of `{}`", piece.escape_ascii(), part.escape_ascii());
        rest = later;
    });
}

#[test]
fn a_small_window_of_requests_delays_and_loses_nothing() {
    for window in [1, 2, 7] {
        let config = format!("session_max_pipeline = {window}");
        let groups = TwoGroups::with(KeywayProxy::options().config(&config));
        check_pipeline(&mut groups.client(), "window", 200, 0);
    }
}

#[test]
fn a_small_window_of_bytes_delays_and_loses_nothing() {
    let options = KeywayProxy::options().config("session_window_bytes_max = \"1kb\"");
    let groups = TwoGroups::with(options);
    // Requests smaller than the window, as large, and far larger: those go alone.
    for padding in [0, 1000, 50_000] {
        check_pipeline(&mut groups.client(), "window", 30, padding);
    }
}

#[test]
fn a_session_with_much_output_waits_for_its_reader_and_loses_nothing() {
    let options = KeywayProxy::options().config("session_output_pause_bytes = \"4kb\"");
    let groups = TwoGroups::with(options);
    check_pipeline(&mut groups.client(), "output", 30, 30_000);
}

#[test]
fn a_small_backend_window_is_shared_by_many_clients() {
    let options = KeywayProxy::options().config("backend_max_pipeline = 2");
    let groups = TwoGroups::with(options);
    let clients: Vec<RawClient> = (0..20).map(|_| groups.client()).collect();
    std::thread::scope(|scope| {
        for (number, mut client) in clients.into_iter().enumerate() {
            scope.spawn(move || check_pipeline(&mut client, &format!("c{number}"), 40, 0));
        }
    });
}

/// One worker whose backend connection takes one request, behind which ten may wait.
fn narrow() -> TwoGroups {
    TwoGroups::with(
        KeywayProxy::options()
            .config("backend_max_pipeline = 1")
            .config("backend_waiting_max = 10")
            .config("backend_waiting_bytes_max = \"64kb\"")
            .workers(1),
    )
}

#[test]
fn requests_beyond_those_that_may_wait_for_a_backend_are_refused() {
    let mut groups = narrow();
    let key = Group::One.key("key");
    let get = encode(&["GET", &key]);
    let mut warm = groups.client();
    assert_eq!(warm.text(&["SET", &key, "value"]), "+OK\r\n");
    let mut clients: Vec<RawClient> = (0..3).map(|_| groups.client()).collect();
    groups.one.freeze();
    // One in flight, ten waiting; the reply of the other server proves that they were routed.
    let probe = encode(&["EXISTS", &Group::Two.key("absent")]);
    clients[0].send(&get);
    assert_eq!(warm.text(&["EXISTS", &Group::Two.key("absent")]), ":0\r\n");
    clients[1].send([probe.clone(), get.repeat(10)].concat());
    assert_eq!(clients[1].read_reply(), b":0\r\n");
    clients[2].send([probe, get.repeat(3)].concat());
    assert_eq!(clients[2].read_reply(), b":0\r\n");
    for _ in 0..3 {
        assert_eq!(String::from_utf8_lossy(&clients[2].read_reply()), BUSY);
    }
    // The other server is not concerned.
    assert_eq!(clients[2].text(&["EXISTS", &Group::Two.key("absent")]), ":0\r\n");
    groups.one.thaw();
    assert_eq!(clients[0].read_reply(), b"$5\r\nvalue\r\n");
    assert!(clients[1].read_replies(10) == b"$5\r\nvalue\r\n".repeat(10));
    assert_eq!(clients[2].text(&["GET", &key]), "$5\r\nvalue\r\n");
}

#[test]
fn bytes_beyond_those_that_may_wait_for_a_backend_are_refused() {
    let mut groups = narrow();
    let key = Group::One.key("key");
    let mut clients: Vec<RawClient> = (0..3).map(|_| groups.client()).collect();
    assert_eq!(clients[0].text(&["SET", &key, "value"]), "+OK\r\n");
    groups.one.freeze();
    clients[0].send(encode(&["GET", &key]));
    assert_eq!(clients[1].text(&["EXISTS", &Group::Two.key("absent")]), ":0\r\n");
    let large = "x".repeat(100_000);
    assert_eq!(clients[1].text(&["SET", &key, &large]), BUSY);
    groups.one.thaw();
    assert_eq!(clients[0].read_reply(), b"$5\r\nvalue\r\n");
    // Nothing is before it now, so it need not wait.
    assert_eq!(clients[2].text(&["SET", &key, &large]), "+OK\r\n");
}

#[test]
fn a_reader_with_too_much_output_is_closed_and_others_go_on() {
    let options = KeywayProxy::options().config("session_output_bytes_max = \"8mb\"");
    let groups = TwoGroups::with(options);
    let key = Group::One.key("big");
    let (mut slow, mut other) = (groups.client(), groups.client());
    assert_eq!(slow.text(&["SET", &key, &"x".repeat(MB)]), "+OK\r\n");
    slow.send(encode(&["GET", &key]).repeat(100));
    groups.proxy.wait_logged("client closed because of a limit");
    let log = groups.proxy.log();
    let reason = log.field_of("client closed because of a limit", "reason");
    assert_eq!(reason.as_deref(), Some("output_limit"));
    assert_eq!(other.text(&["STRLEN", &key]), format!(":{MB}\r\n"));
    // What it got is the beginning of what it asked for.
    let read = slow.read_to_close();
    assert!(read.len() < 100 * MB, "{} bytes", read.len());
    assert!(read.starts_with(b"$1048576\r\nxxx"));
}

#[test]
fn the_memory_of_the_proxy_has_a_ceiling_whatever_its_readers_do() {
    // Goal: the ceiling follows from the configuration. Method: 60 clients ask for 20 MB each and
    // read nothing, 1.2 GB in all, while they may hold 64 MB together.
    const CLIENTS: usize = 60;
    let options = KeywayProxy::options()
        .config("proxy_max_offheap_size = \"64mb\"")
        .config("session_request_bytes_max = \"32mb\"")
        .config("session_bulk_bytes_max = \"16mb\"");
    let groups = TwoGroups::with(options);
    let keys = Group::BOTH.map(|group| group.key("big"));
    let mut other = groups.client();
    for key in &keys {
        assert_eq!(other.text(&["SET", key, &"x".repeat(MB / 4)]), "+OK\r\n");
        assert_eq!(other.command(&["GET", key]).len(), MB / 4 + 11);
    }
    let idle = groups.proxy.memory_bytes("VmRSS");
    let mut slow: Vec<RawClient> = (0..CLIENTS).map(|_| groups.client()).collect();
    for client in &mut slow {
        for key in &keys {
            // A client may be closed while it still sends.
            let _ = client.try_send(encode(&["GET", key]).repeat(40));
        }
        assert_eq!(other.text(&["PING"]), "+PONG\r\n");
    }
    let closed = || {
        let lines = groups.proxy.log().lines();
        let reasons = lines.iter().filter_map(|line| line.field("reason"));
        reasons.filter(|reason| *reason == "buffer_limit").count()
    };
    wait_until("clients are closed at the limit", DEADLINE, || {
        assert_eq!(other.text(&["PING"]), "+PONG\r\n");
        match closed() {
            0 => Err("none"),
            _ => Ok(()),
        }
    });
    // Whoever is still connected keeps what it has and asks for more.
    for client in &mut slow {
        let _ = client.try_send(encode(&["GET", &keys[0]]).repeat(40));
        assert_eq!(other.text(&["PING"]), "+PONG\r\n");
    }
    let most = groups.proxy.memory_bytes("VmHWM") - idle;
    assert!(most < (64 + 32) * MB, "{most} bytes beyond idle");
    drop(slow);
    assert_eq!(other.text(&["MSET", &keys[0], "a", &keys[1], "b"]), "+OK\r\n");
    assert_eq!(groups.client().text(&["MGET", &keys[0], &keys[1]]), "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
}

#[test]
fn small_replies_that_wait_do_not_hold_the_memory_that_they_came_in() {
    // Goal: a reply that waits costs what it is counted for. Method: ten clients have 100 replies
    // of 5 KB behind one of a frozen server, and each of them was read together with a large one
    // for somebody else.
    let mut groups = TwoGroups::with(KeywayProxy::options().workers(1));
    let (small, large) = (Group::One.key("small"), Group::One.key("large"));
    let frozen = encode(&["GET", &Group::Two.key("key")]);
    let mut other = groups.client();
    other.send(&frozen);
    assert_eq!(other.read_reply(), b"$-1\r\n");
    other.command(&["SET", &small, &"x".repeat(5000)]);
    other.command(&["SET", &large, &"x".repeat(120_000)]);
    let large_len = other.command(&["GET", &large]).len();
    let (get_small, get_large) = (encode(&["GET", &small]), encode(&["GET", &large]));
    let mut waiting: Vec<RawClient> = (0..10).map(|_| groups.client()).collect();
    groups.two.freeze();
    for client in &mut waiting {
        client.send(&frozen);
    }
    let idle = groups.proxy.memory_bytes("VmRSS");
    for _ in 0..100 {
        for client in &mut waiting {
            client.send(&get_small);
            other.send(&get_large);
            other.read_pieces(large_len, |_| {});
        }
    }
    let held = groups.proxy.memory_bytes("VmRSS").saturating_sub(idle);
    groups.two.thaw();
    for client in &mut waiting {
        assert_eq!(client.read_reply(), b"$-1\r\n");
        assert_eq!(client.read_replies(100).len(), 100 * (5000 + 9));
    }
    assert!(held < 20 * MB, "5 MB of replies hold {held} bytes");
}

#[test]
fn half_received_requests_count_against_the_ceiling_too() {
    let server = RedisServer::start();
    let proxy = KeywayProxy::options()
        .config("proxy_max_offheap_size = \"32mb\"")
        .config("session_request_bytes_max = \"32mb\"")
        .config("session_bulk_bytes_max = \"16mb\"")
        .over([&server])
        .start();
    let mut other = proxy.client();
    assert_eq!(other.text(&["PING"]), "+PONG\r\n");
    let idle = proxy.memory_bytes("VmRSS");
    let half = "x".repeat(8 * MB);
    let mut clients: Vec<RawClient> = (0..20).map(|_| proxy.client()).collect();
    for client in &mut clients {
        let header = "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$16777216\r\n";
        let _ = client.try_send(header).and_then(|()| client.try_send(&half));
        assert_eq!(other.text(&["PING"]), "+PONG\r\n");
    }
    proxy.wait_logged("client closed because of a limit");
    let most = proxy.memory_bytes("VmHWM") - idle;
    assert!(most < (32 + 32) * MB, "{most} bytes beyond idle");
    drop(clients);
    assert_eq!(other.text(&["SET", "key", "value"]), "+OK\r\n");
}

/// A proxy of one worker over a frozen server, to which it is connected.
fn over_frozen_server(options: ProxyOptions) -> (TwoGroups, usize) {
    let options = options
        .config("session_request_bytes_max = \"32mb\"")
        .config("session_bulk_bytes_max = \"16mb\"");
    let mut groups = TwoGroups::with(options.workers(1));
    assert_eq!(groups.client().text(&["GET", &Group::One.key("key")]), "$-1\r\n");
    groups.one.freeze();
    let idle = groups.proxy.memory_bytes("VmRSS");
    (groups, idle)
}

#[test]
fn requests_for_a_frozen_server_count_against_the_ceiling_too() {
    // Method: 40 clients send 16 MB each to a server that takes nothing. What they hold together
    // is bounded, and so is what the connection keeps of those that were closed for it.
    let options = KeywayProxy::options()
        .config("proxy_max_offheap_size = \"48mb\"")
        .config("backend_waiting_bytes_max = \"32mb\"");
    let (mut groups, idle) = over_frozen_server(options);
    let key = Group::One.key("key");
    let set = encode(&["SET", &key, &"x".repeat(2 * MB)]);
    let mut other = groups.client();
    let mut clients: Vec<RawClient> = (0..40).map(|_| groups.client()).collect();
    for client in &mut clients {
        let _ = client.try_send(set.repeat(8));
        assert_eq!(other.text(&["GET", &Group::Two.key("key")]), "$-1\r\n");
    }
    groups.proxy.wait_logged("client closed because of a limit");
    let most = groups.proxy.memory_bytes("VmHWM") - idle;
    assert!(most < (48 + 32 + 32 + 32) * MB, "{most} bytes beyond idle");
    groups.one.thaw();
}

#[test]
fn requests_of_clients_that_are_gone_are_bounded_for_a_frozen_server() {
    // Goal: a client cannot leave more behind than the connection to the server may hold. Method:
    // 40 clients send 16 MB each and vanish by a reset, since they leave a reply unread.
    let options = KeywayProxy::options().config("backend_waiting_bytes_max = \"16mb\"");
    let (mut groups, idle) = over_frozen_server(options);
    let key = Group::One.key("key");
    let set = encode(&["SET", &key, &"x".repeat(2 * MB)]);
    let mut other = groups.client();
    for _ in 0..40 {
        let mut client = groups.client();
        client.send([&b"PING\r\n"[..], &set.repeat(8)].concat());
        drop(client);
        assert_eq!(other.text(&["GET", &Group::Two.key("key")]), "$-1\r\n");
    }
    let most = groups.proxy.memory_bytes("VmHWM") - idle;
    assert!(most < (16 + 16 + 48) * MB, "{most} bytes beyond idle");
    groups.one.thaw();
}

#[test]
fn a_request_that_never_ends_is_given_up() {
    let options = KeywayProxy::options().config("session_partial_timeout = \"1s\"");
    let groups = TwoGroups::with(options);
    let mut partial = groups.client().with_deadline(Duration::from_secs(5));
    let mut idle = groups.client();
    partial.send("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$100\r\nbegin");
    partial.expect_closed();
    assert_eq!(idle.text(&["GET", "key"]), "$-1\r\n");
}

#[test]
fn more_arguments_or_a_longer_line_than_configured_are_refused() {
    let options = KeywayProxy::options()
        .config("session_elements_max = 8")
        .config("session_inline_bytes_max = \"1kb\"");
    let groups = TwoGroups::with(options);
    let mut client = groups.client();
    assert_eq!(client.text(&["EXISTS", "1", "2", "3", "4", "5", "6", "7"]), ":0\r\n");
    client.send("*9\r\n");
    assert_eq!(
        client.read_to_close().escape_ascii().to_string(),
        "-ERR Protocol error: invalid multibulk length\\r\\n"
    );
    let mut client = groups.client();
    client.send(format!("ECHO {}\r\n", "x".repeat(1000)));
    assert_eq!(client.read_reply().len(), 1000 + 9);
    client.send(format!("ECHO {}", "x".repeat(1100)));
    assert_eq!(
        client.read_to_close().escape_ascii().to_string(),
        "-ERR Protocol error: too big inline request\\r\\n"
    );
}
