//! What becomes of requests when the connection to a server ends, and how it comes back.

use std::time::Duration;

use integration::groups::{Group, wait_reply};
use integration::raw_client::encode;
use integration::{DEADLINE, KeywayProxy, RawClient, RedisServer, TwoGroups, wait_until};

const LOST: &str = "-ERR backend connection was lost, the request may have been executed\r\n";

const MB: usize = 1024 * 1024;

/// The ids of the connections to a server, without that of the control connection.
fn connection_ids(control: &mut RawClient) -> Vec<u64> {
    let own_id = control.text(&["CLIENT", "ID"]);
    let own_id: u64 = own_id.trim_matches([':', '\r', '\n']).parse().expect("id");
    let list = control.text(&["CLIENT", "LIST"]);
    let id = |line: &str| line.strip_prefix("id=")?.split(' ').next()?.parse().ok();
    let ids = list.lines().filter_map(id);
    ids.filter(|id| *id != own_id).collect()
}

/// Waits until none of these connections is left and as many others are there.
fn wait_replaced(control: &mut RawClient, old: &[u64]) {
    wait_until("the connections are replaced", DEADLINE, || {
        let new = connection_ids(control);
        let is_replaced = new.len() == old.len() && !new.iter().any(|id| old.contains(id));
        if is_replaced { Ok(()) } else { Err(new) }
    });
}

#[test]
fn a_connection_that_the_server_closed_while_idle_is_replaced_unnoticed() {
    let groups = TwoGroups::start();
    let key = Group::One.key("key");
    let mut clients: Vec<_> = (0..4).map(|_| groups.client()).collect();
    let mut control = groups.one.client();
    for round in 0..5 {
        for client in &mut clients {
            assert_eq!(client.text(&["SET", &key, "value"]), "+OK\r\n", "round {round}");
        }
        let before = connection_ids(&mut control);
        assert_eq!(before.len(), 2, "one connection per worker");
        let killed = control.text(&["CLIENT", "KILL", "TYPE", "normal"]);
        assert_eq!(killed, ":2\r\n");
        wait_replaced(&mut control, &before);
    }
    assert_eq!(clients[0].text(&["GET", &key]), "$5\r\nvalue\r\n");
}

#[test]
fn a_server_that_closes_idle_connections_again_and_again_stays_in_use() {
    // Goal: an idle connection that ends is no sign of a sick server, so the next attempt comes at
    // once every time. Method: the server closes what is idle for a second, and a delay before an
    // attempt would outlast the test.
    let server = RedisServer::options().option("timeout", "1").start();
    let proxy = KeywayProxy::options()
        .config("backend_ping_period = 0")
        .config("backend_retry_delay_min = \"30s\"")
        .config("backend_retry_delay_max = \"30s\"")
        .workers(1)
        .over([&server])
        .start();
    let mut client = proxy.client();
    assert_eq!(client.text(&["SET", "key", "value"]), "+OK\r\n");
    let mut control = server.client();
    for _ in 0..3 {
        let before = connection_ids(&mut control);
        assert_eq!(before.len(), 1);
        wait_replaced(&mut control, &before);
    }
    assert_eq!(client.text(&["GET", "key"]), "$5\r\nvalue\r\n");
}

#[test]
fn requests_that_were_never_written_are_sent_on_the_next_connection() {
    // Goal: only requests that the server may have seen are answered with an error. Method: the
    // server is frozen while 60 MB are sent to it, of which the sockets hold a few. When it thaws
    // it first closes the proxy's connections. Both ends of the count follow from that.
    let mut groups =
        TwoGroups::with(KeywayProxy::options().workers(1).allow_log("\"backend connection lost\""));
    let keys: Vec<String> = (0..60).map(|number| Group::One.key(&format!("k{number}"))).collect();
    let mut client = groups.client();
    assert_eq!(client.text(&["GET", &keys[0]]), "$-1\r\n");
    let mut control = groups.one.client();
    groups.one.freeze();
    control.send(encode(&["CLIENT", "KILL", "TYPE", "normal"]));
    for key in &keys {
        let set: [&[u8]; 3] = [b"SET", key.as_bytes(), &vec![b'x'; MB]];
        client.send(encode(&set));
    }
    groups.one.thaw();
    assert_eq!(control.read_reply(), b":1\r\n");
    let mut kept = 0;
    for key in &keys {
        let reply = client.read_reply();
        let is_kept = reply == b"+OK\r\n";
        assert!(is_kept || reply == LOST.as_bytes(), "{key}: {}", reply.escape_ascii());
        assert!(is_kept || kept == 0, "{key} failed after later ones had not");
        let is_there = control.text(&["EXISTS", key]);
        assert_eq!(is_there, format!(":{}\r\n", u8::from(is_kept)), "{key}");
        kept += usize::from(is_kept);
    }
    assert!(kept < keys.len(), "nothing was written before the connection was lost");
    assert!(kept > keys.len() / 2, "only {kept} of 60 requests were sent again");
}

#[test]
fn a_server_that_restarts_between_requests_is_found_again_soon() {
    let mut groups = TwoGroups::with(
        KeywayProxy::options()
            .allow_log("\"backend is down\"")
            .allow_log("\"backend connection lost\""),
    );
    let key = Group::Two.key("key");
    let mut client = groups.client();
    for round in 0..3 {
        assert_eq!(client.text(&["SET", &key, "value"]), "+OK\r\n", "round {round}");
        groups.two.restart();
        wait_until("the server is used again", Duration::from_secs(2), || {
            match client.text(&["GET", &key]) {
                seen if seen == "$-1\r\n" => Ok(()),
                seen => Err(seen),
            }
        });
    }
    assert_eq!(groups.client().text(&["PING"]), "+PONG\r\n");
}

#[test]
fn the_databases_of_the_sessions_are_selected_again_after_a_restart() {
    let mut groups = TwoGroups::with(
        KeywayProxy::options()
            .allow_log("\"backend is down\"")
            .allow_log("\"backend connection lost\""),
    );
    let key = Group::One.key("key");
    let mut client = groups.client();
    client.command(&["SELECT", "9"]);
    client.command(&["SET", &key, "before"]);
    groups.one.restart();
    wait_until("the server is used again", DEADLINE, || {
        match client.text(&["SET", &key, "after"]) {
            seen if seen == "+OK\r\n" => Ok(()),
            seen => Err(seen),
        }
    });
    let mut direct = groups.one.client();
    assert_eq!(direct.text(&["GET", &key]), "$-1\r\n");
    direct.command(&["SELECT", "9"]);
    assert_eq!(direct.text(&["GET", &key]), "$5\r\nafter\r\n");
}

#[test]
fn idle_connections_are_kept_alive() {
    let server = RedisServer::start();
    let proxy = KeywayProxy::options()
        .config("backend_ping_period = \"1s\"")
        .workers(1)
        .over([&server])
        .start();
    assert_eq!(proxy.client().text(&["GET", "key"]), "$-1\r\n");
    // The first PING belongs to the handshake.
    wait_until("two keepalives have come", DEADLINE, || match server.calls("ping") {
        pings if pings >= 3 => Ok(()),
        pings => Err(pings),
    });
    assert_eq!(proxy.client().text(&["GET", "key"]), "$-1\r\n");
}

#[test]
fn a_server_that_freezes_while_idle_is_noticed_by_the_keepalive() {
    // Goal: the first request after a server fell silent does not pay for finding that out.
    let mut groups = TwoGroups::with(
        KeywayProxy::options()
            .config("backend_ping_period = \"1s\"")
            .config("backend_recv_timeout = \"1s\"")
            .config("backend_connect_timeout = \"1s\"")
            .workers(1)
            .allow_log("\"backend is down\"")
            .allow_log("\"backend connection lost\""),
    );
    let key = Group::One.key("key");
    let mut client = groups.client();
    assert_eq!(client.text(&["GET", &key]), "$-1\r\n");
    groups.one.freeze();
    groups.proxy.wait_logged("backend is down");
    assert_eq!(client.text(&["GET", &key]), "-ERR backend is down, the request was not sent\r\n");
    groups.one.thaw();
    wait_reply(&groups.proxy, &["GET", &key], "$-1\r\n", DEADLINE);
}
