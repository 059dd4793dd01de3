//! CLIENT and what else concerns connections, over two workers.

use integration::groups::Group;
use integration::raw_client::encode;
use integration::{RawClient, TwoGroups};

fn id(client: &mut RawClient) -> String {
    let id = client.text(&["CLIENT", "ID"]);
    id.trim_matches([':', '\r', '\n']).to_owned()
}

/// Some clients, each with the name `client-<n>` and proved to be connected. The listener spreads
/// them over both workers.
fn named_clients(groups: &TwoGroups, count: usize) -> Vec<RawClient> {
    (0..count)
        .map(|number| {
            let mut client = groups.client();
            let name = format!("client-{number}");
            assert_eq!(client.text(&["CLIENT", "SETNAME", &name]), "+OK\r\n");
            client
        })
        .collect()
}

/// The values of a field of CLIENT LIST, line by line.
fn fields(list: &str, name: &str) -> Vec<String> {
    let prefix = format!("{name}=");
    let field = |line: &str| {
        let field = line.split(' ').find_map(|field| field.strip_prefix(&prefix))?;
        Some(field.to_owned())
    };
    list.lines().filter_map(field).collect()
}

#[test]
fn every_client_of_every_worker_is_listed() {
    let groups = TwoGroups::start();
    let mut clients = named_clients(&groups, 6);
    clients[4].command(&["SELECT", "7"]);
    let ids: Vec<String> = clients.iter_mut().map(id).collect();
    let list = clients[0].text(&["CLIENT", "LIST"]);
    assert_eq!(fields(&list, "id"), ids);
    let names: Vec<String> = (0..6).map(|number| format!("client-{number}")).collect();
    assert_eq!(fields(&list, "name"), names);
    assert_eq!(fields(&list, "db"), ["0", "0", "0", "0", "7", "0"]);
    let listen = groups.proxy.addr().to_string();
    assert!(fields(&list, "laddr").iter().all(|addr| *addr == listen), "{list}");
    let some = clients[0].text(&["CLIENT", "LIST", "ID", &ids[1], &ids[5]]);
    assert_eq!(fields(&some, "name"), ["client-1", "client-5"]);
    let own = clients[3].text(&["CLIENT", "INFO"]);
    assert_eq!(fields(&own, "name"), ["client-3"]);
    let replicas = clients[0].text(&["CLIENT", "LIST", "TYPE", "replica"]);
    assert_eq!(replicas, "$0\r\n\r\n");
    assert_eq!(clients[0].text(&["CLIENT", "LIST", "NOSUCH"]), "-ERR syntax error\r\n");
}

#[test]
fn a_client_is_killed_by_its_id_from_any_other() {
    let groups = TwoGroups::start();
    let mut clients = named_clients(&groups, 6);
    let mut killer = groups.client();
    // Of six clients some are on the worker of the killer and some are not.
    for client in &mut clients {
        let id = id(client);
        assert_eq!(killer.text(&["CLIENT", "KILL", "ID", &id]), ":1\r\n");
        client.expect_closed();
        assert_eq!(killer.text(&["CLIENT", "KILL", "ID", &id]), ":0\r\n");
    }
    assert_eq!(fields(&killer.text(&["CLIENT", "LIST"]), "id").len(), 1);
    assert_eq!(
        killer.text(&["CLIENT", "KILL", "ID", "0"]),
        "-ERR client-id should be greater than 0\r\n"
    );
    assert_eq!(killer.text(&["CLIENT", "KILL", "127.0.0.1:1"]), "-ERR No such client\r\n");
}

#[test]
fn all_clients_but_the_caller_are_killed_at_once() {
    let groups = TwoGroups::start();
    let mut clients = named_clients(&groups, 5);
    let mut caller = groups.client();
    assert_eq!(caller.text(&["CLIENT", "KILL", "TYPE", "normal"]), ":5\r\n");
    for client in &mut clients {
        client.expect_closed();
    }
    assert_eq!(caller.text(&["PING"]), "+PONG\r\n");
    // A client that kills itself is told so first.
    assert_eq!(caller.text(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no"]), ":1\r\n");
    caller.expect_closed();
}

#[test]
fn a_client_killed_by_its_address_leaves_the_others() {
    let groups = TwoGroups::start();
    let mut clients = named_clients(&groups, 3);
    let list = clients[0].text(&["CLIENT", "LIST"]);
    let addrs = fields(&list, "addr");
    assert_eq!(clients[0].text(&["CLIENT", "KILL", &addrs[2]]), "+OK\r\n");
    clients[2].expect_closed();
    assert_eq!(clients[0].text(&["CLIENT", "KILL", "ADDR", &addrs[1]]), ":1\r\n");
    clients[1].expect_closed();
    assert_eq!(clients[0].text(&["PING"]), "+PONG\r\n");
}

#[test]
fn replies_are_left_out_as_the_client_wishes() {
    let groups = TwoGroups::start();
    let keys = Group::BOTH.map(|group| group.key("key"));
    let mut client = groups.client();
    let mut pipeline = Vec::new();
    let commands: &[&[&str]] = &[
        &["SET", &keys[0], "1"],
        &["CLIENT", "REPLY", "SKIP"],
        &["INCR", &keys[0]],
        &["GET", &keys[0]],
        &["CLIENT", "REPLY", "OFF"],
        &["INCR", &keys[0]],
        &["SET", &keys[1], "one"],
        &["MGET", &keys[0], &keys[1]],
        &["NOSUCHCOMMAND"],
        &["PING"],
        &["CLIENT", "REPLY", "SKIP"],
        &["CLIENT", "REPLY", "ON"],
        &["GET", &keys[0]],
        &["CLIENT", "REPLY", "SKIP"],
        &["MGET", &keys[0], &keys[1]],
        &["GET", &keys[1]],
    ];
    for command in commands {
        pipeline.extend(encode(command));
    }
    client.send(&pipeline);
    let expected = "+OK\r\n$1\r\n2\r\n+OK\r\n$1\r\n3\r\n$3\r\none\r\n";
    let replies = client.read_replies(5).escape_ascii().to_string();
    assert_eq!(replies, expected.as_bytes().escape_ascii().to_string());
    assert_eq!(client.text(&["ECHO", "end"]), "$3\r\nend\r\n");
    assert_eq!(client.text(&["CLIENT", "REPLY", "MAYBE"]), "-ERR syntax error\r\n");
    // Nobody else's replies are left out: connections to servers are shared.
    assert_eq!(groups.client().text(&["GET", &keys[0]]), "$1\r\n3\r\n");
}

#[test]
fn a_client_without_replies_may_send_big_and_broken_things() {
    let groups = TwoGroups::start();
    let key = Group::One.key("key");
    let mut client = groups.client();
    client.send(encode(&["CLIENT", "REPLY", "OFF"]));
    let value = "x".repeat(100_000);
    for _ in 0..50 {
        client.send(encode(&["SET", &key, &value]));
        client.send(encode(&["GET", &key]));
    }
    client.send(encode(&["CLIENT", "REPLY", "ON"]));
    assert_eq!(client.read_reply(), b"+OK\r\n");
    assert_eq!(client.text(&["STRLEN", &key]), ":100000\r\n");
}

#[test]
fn switches_of_a_connection_are_accepted_and_reach_no_server() {
    let groups = TwoGroups::start();
    let mut client = groups.client();
    for switch in ["NO-EVICT", "NO-TOUCH"] {
        assert_eq!(client.text(&["CLIENT", switch, "ON"]), "+OK\r\n");
        assert_eq!(client.text(&["CLIENT", switch, "off"]), "+OK\r\n");
        assert_eq!(client.text(&["CLIENT", switch, "maybe"]), "-ERR syntax error\r\n");
    }
    for group in Group::BOTH {
        client.command(&["GET", &group.key("key")]);
        assert_eq!(groups.primary(group).calls("client|no-evict"), 0);
    }
}

#[test]
fn commands_that_change_a_connection_never_reach_a_server() {
    // Goal: what one session says about its connection is nobody else's. Method: the servers count
    // what they were asked; each of these would harm the clients that share the connection.
    let groups = TwoGroups::start();
    let mut client = groups.client();
    for command in [
        &["MULTI"][..],
        &["WATCH", "key"],
        &["SUBSCRIBE", "channel"],
        &["PSUBSCRIBE", "*"],
        &["SSUBSCRIBE", "channel"],
        &["MONITOR"],
        &["READONLY"],
        &["ASKING"],
        &["CLIENT", "TRACKING", "ON"],
        &["CLIENT", "PAUSE", "100000"],
        &["CLIENT", "CACHING", "YES"],
        &["BLPOP", "key", "0"],
        &["SHUTDOWN", "NOSAVE"],
        &["REPLICAOF", "127.0.0.1", "1"],
        &["FLUSHALL"],
        &["CONFIG", "SET", "maxmemory", "1"],
        &["DEBUG", "SLEEP", "100"],
        &["SYNC"],
        &["PSYNC", "?", "-1"],
    ] {
        let refused = client.text(command);
        assert!(refused.starts_with('-'), "{command:?}: {refused}");
        assert_eq!(client.text(&["ECHO", "alive"]), "$5\r\nalive\r\n", "{command:?}");
    }
    for group in Group::BOTH {
        let stats = groups.primary(group).client().text(&["INFO", "commandstats"]);
        for name in ["multi", "watch", "subscribe", "monitor", "blpop", "flushall", "shutdown"] {
            assert!(!stats.contains(&format!("cmdstat_{name}:")), "{stats}");
        }
    }
}
