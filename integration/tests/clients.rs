//! What client libraries do on a connection, and what a session keeps to itself.

use integration::groups::Group;
use integration::{KeywayProxy, RedisServer, TwoGroups};
use redis::Commands;

/// Opens a connection of the `redis` crate, with the options of the URL after the address.
fn library_client(proxy: &KeywayProxy, user: &str, options: &str) -> redis::Connection {
    let url = format!("redis://{user}{}/{options}", proxy.addr());
    redis::Client::open(url)
        .and_then(|client| client.get_connection())
        .expect("connect a library client")
}

/// Checks that `text` holds every one of the parts.
fn check_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

#[test]
fn a_library_works_over_both_servers_in_resp2_and_resp3() {
    let groups = TwoGroups::start();
    let keys = Group::BOTH.map(|group| group.key("library"));
    for options in ["", "?protocol=resp3"] {
        let mut library = library_client(&groups.proxy, "", options);
        let _: () = library.mset(&[(&keys[0], 1), (&keys[1], 2)]).expect("mset");
        let values: Vec<i64> = library.mget(&keys).expect("mget");
        assert_eq!(values, [1, 2], "{options}");
        let piped: (i64, i64, bool) = redis::pipe()
            .incr(&keys[0], 10)
            .incr(&keys[1], 10)
            .exists("absent")
            .query(&mut library)
            .expect("pipeline");
        assert_eq!(piped, (11, 12, false), "{options}");
        let deleted: i64 = library.del(&keys).expect("del");
        assert_eq!(deleted, 2, "{options}");
    }
}

#[test]
fn maps_of_the_servers_reach_a_resp3_client_as_maps() {
    let groups = TwoGroups::start();
    let key = Group::Two.key("hash");
    let (mut two, mut three) = (groups.client(), groups.client());
    assert!(three.command(&["HELLO", "3"]).starts_with(b"%"));
    two.command(&["HSET", &key, "field", "value"]);
    assert_eq!(
        three.text(&["HGETALL", &key]),
        "%1\r\n$5\r\nfield\r\n$5\r\nvalue\r\n"
    );
    assert_eq!(
        two.text(&["HGETALL", &key]),
        "*2\r\n$5\r\nfield\r\n$5\r\nvalue\r\n"
    );
    assert_eq!(three.text(&["GET", "absent"]), "_\r\n");
    assert_eq!(two.text(&["GET", "absent"]), "$-1\r\n");
}

#[test]
fn hello_agrees_on_a_protocol_version_or_says_no() {
    let groups = TwoGroups::start();
    let mut client = groups.client();
    let hello = client.text(&["HELLO", "3"]);
    check_contains(
        &hello,
        &[
            "$5\r\nproto\r\n:3\r\n",
            "mode",
            "standalone",
            "role",
            "master",
        ],
    );
    let hello = client.text(&["HELLO", "2"]);
    check_contains(&hello, &["$5\r\nproto\r\n:2\r\n"]);
    assert!(hello.starts_with('*'), "{hello}");
    let refused = client.text(&["HELLO", "4"]);
    assert!(refused.starts_with("-NOPROTO"), "{refused}");
    assert_eq!(client.text(&["PING"]), "+PONG\r\n");
}

#[test]
fn names_and_ids_belong_to_the_session() {
    let groups = TwoGroups::start();
    let (mut one, mut other) = (groups.client(), groups.client());
    assert_eq!(one.text(&["CLIENT", "GETNAME"]), "$-1\r\n");
    assert_eq!(one.text(&["CLIENT", "SETNAME", "worker"]), "+OK\r\n");
    assert_eq!(one.text(&["CLIENT", "GETNAME"]), "$6\r\nworker\r\n");
    assert_eq!(other.text(&["CLIENT", "GETNAME"]), "$-1\r\n");
    let (id, other_id) = (one.text(&["CLIENT", "ID"]), other.text(&["CLIENT", "ID"]));
    assert!(id.starts_with(':'), "{id}");
    assert_ne!(id, other_id);
    assert_eq!(one.text(&["CLIENT", "ID"]), id);
    let refused = one.text(&["CLIENT", "SETNAME", "two words"]);
    assert!(refused.starts_with("-ERR"), "{refused}");
    for attribute in ["LIB-NAME", "LIB-VER"] {
        assert_eq!(one.text(&["CLIENT", "SETINFO", attribute, "1"]), "+OK\r\n");
    }
}

#[test]
fn a_name_of_one_session_is_not_set_on_the_connection_to_a_server() {
    let groups = TwoGroups::start();
    let mut client = groups.client();
    client.command(&["CLIENT", "SETNAME", "leaky-name"]);
    for group in Group::BOTH {
        client.command(&["GET", &group.key("key")]);
        let clients = groups.primary(group).client().text(&["CLIENT", "LIST"]);
        assert!(!clients.contains("leaky-name"), "{clients}");
    }
}

#[test]
fn databases_are_separate_and_selected_by_session() {
    let groups = TwoGroups::start();
    let (mut zero, mut five) = (groups.client(), groups.client());
    assert_eq!(five.text(&["SELECT", "5"]), "+OK\r\n");
    for group in Group::BOTH {
        let key = group.key("key");
        assert_eq!(five.text(&["SET", &key, "five"]), "+OK\r\n");
        assert_eq!(zero.text(&["GET", &key]), "$-1\r\n");
        assert_eq!(zero.text(&["SET", &key, "zero"]), "+OK\r\n");
        assert_eq!(five.text(&["GET", &key]), "$4\r\nfive\r\n");
        assert_eq!(zero.text(&["GET", &key]), "$4\r\nzero\r\n");
        let mut server = groups.primary(group).client();
        server.command(&["SELECT", "5"]);
        assert_eq!(server.text(&["GET", &key]), "$4\r\nfive\r\n");
    }
    let mut library = library_client(&groups.proxy, "", "5");
    let value: String = library.get(Group::One.key("key")).expect("get");
    assert_eq!(value, "five");
}

#[test]
fn select_takes_effect_for_the_next_command_of_a_pipeline() {
    let groups = TwoGroups::start();
    let mut client = groups.client();
    client.send("SET key zero\r\nSELECT 1\r\nSET key one\r\nSELECT 0\r\nGET key\r\nSELECT 1\r\n");
    client.send("GET key\r\n");
    let replies = client.read_replies(7).escape_ascii().to_string();
    let ok = "+OK\r\n".repeat(4);
    let expected = format!("{ok}$4\r\nzero\r\n+OK\r\n$3\r\none\r\n");
    assert_eq!(replies, expected.as_bytes().escape_ascii().to_string());
}

#[test]
fn a_database_that_does_not_exist_is_refused_and_the_selected_one_stays() {
    let groups = TwoGroups::start();
    let mut client = groups.client();
    client.command(&["SELECT", "3"]);
    client.command(&["SET", "key", "three"]);
    for index in ["16", "-1", "x", ""] {
        let refused = client.text(&["SELECT", index]);
        assert!(refused.starts_with("-ERR"), "SELECT {index:?}: {refused}");
    }
    assert_eq!(client.text(&["GET", "key"]), "$5\r\nthree\r\n");
}

#[test]
fn with_a_password_nothing_is_served_before_it_is_given() {
    let server = RedisServer::start();
    let proxy = KeywayProxy::options()
        .config("session_auth = \"secret\"")
        .over([&server])
        .start();
    let mut client = proxy.client();
    for command in [["GET", "key"], ["ECHO", "text"], ["SELECT", "1"]] {
        let refused = client.text(&command);
        assert!(refused.starts_with("-NOAUTH"), "{command:?}: {refused}");
    }
    let refused = client.text(&["AUTH", "wrong"]);
    assert!(refused.starts_with('-'), "{refused}");
    assert!(!refused.contains("wrong\r\n"), "the password in {refused}");
    assert!(client.text(&["GET", "key"]).starts_with("-NOAUTH"));
    assert_eq!(client.text(&["AUTH", "secret"]), "+OK\r\n");
    assert_eq!(client.text(&["GET", "key"]), "$-1\r\n");

    let mut client = proxy.client();
    assert_eq!(client.text(&["AUTH", "default", "secret"]), "+OK\r\n");
    let mut client = proxy.client();
    let hello = client.text(&["HELLO", "3", "AUTH", "default", "secret"]);
    check_contains(&hello, &["proto"]);
    let mut library = library_client(&proxy, ":secret@", "?protocol=resp3");
    let value: Option<String> = library.get("key").expect("get");
    assert_eq!(value, None);
}

#[test]
fn without_a_password_auth_is_refused() {
    let groups = TwoGroups::start();
    let refused = groups.client().text(&["AUTH", "secret"]);
    assert!(refused.starts_with("-ERR"), "{refused}");
}

#[test]
fn passwords_of_servers_are_given_by_the_proxy() {
    let server = RedisServer::options().password("inner").start();
    let proxy = KeywayProxy::options()
        .config("product_auth = \"inner\"")
        .over([&server])
        .start();
    assert_eq!(proxy.client().text(&["SET", "key", "value"]), "+OK\r\n");
}

#[test]
fn info_has_the_fields_that_libraries_read() {
    let groups = TwoGroups::start();
    let info = groups.client().text(&["INFO"]);
    check_contains(
        &info,
        &[
            "redis_version:",
            "redis_mode:standalone",
            "role:master",
            "cluster_enabled:0",
        ],
    );
    let section = groups.client().text(&["INFO", "replication"]);
    check_contains(&section, &["role:master"]);
    assert!(!section.contains("redis_mode"), "{section}");
}

#[test]
fn commands_are_listed_and_documented() {
    let groups = TwoGroups::start();
    let mut client = groups.client();
    let count = client.text(&["COMMAND", "COUNT"]);
    let count: u32 = count
        .trim_matches([':', '\r', '\n'])
        .parse()
        .expect("count");
    let list = client.text(&["COMMAND"]);
    assert!(
        list.starts_with(&format!("*{count}\r\n")),
        "{count} commands"
    );
    assert!(count > 100, "{count} commands");
    let docs = client.text(&["COMMAND", "DOCS", "get"]);
    check_contains(&docs, &["$3\r\nget\r\n", "$7\r\nsummary\r\n"]);
    let info = client.text(&["COMMAND", "INFO", "get", "nosuchcommand"]);
    check_contains(&info, &["$3\r\nget\r\n:2\r\n"]);
    let keys = client.text(&["COMMAND", "GETKEYS", "MSET", "a", "1", "b", "2"]);
    assert_eq!(keys, "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
}

#[test]
fn quit_and_reset_concern_only_their_session() {
    let groups = TwoGroups::start();
    let (mut leaving, mut staying) = (groups.client(), groups.client());
    staying.command(&["CLIENT", "SETNAME", "stays"]);
    staying.command(&["SELECT", "2"]);
    leaving.command(&["CLIENT", "SETNAME", "leaves"]);
    assert_eq!(leaving.text(&["RESET"]), "+RESET\r\n");
    assert_eq!(leaving.text(&["CLIENT", "GETNAME"]), "$-1\r\n");
    leaving.send("QUIT\r\nSET key never\r\n");
    assert_eq!(leaving.read_to_close(), b"+OK\r\n");
    assert_eq!(staying.text(&["CLIENT", "GETNAME"]), "$5\r\nstays\r\n");
    assert_eq!(staying.text(&["GET", "key"]), "$-1\r\n");
    assert_eq!(groups.client().text(&["GET", "key"]), "$-1\r\n");
}
