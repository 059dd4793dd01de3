//! What client libraries do on a connection, and what a session keeps to itself.

use integration::TwoGroups;
use integration::groups::Group;
use integration::raw_client::encode;

/// Checks that `text` holds every one of the parts.
fn check_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

#[test]
fn hello_agrees_on_resp2_and_refuses_resp3() {
    let groups = TwoGroups::start();
    let mut client = groups.client();
    for greeting in [&["HELLO"][..], &["HELLO", "2"], &["HELLO", "2", "SETNAME", "me"]] {
        let hello = client.text(greeting);
        assert!(hello.starts_with("*14\r\n"), "{greeting:?}: {hello}");
        let parts = ["$5\r\nproto\r\n:2\r\n", "standalone", "$4\r\nrole\r\n$6\r\nmaster\r\n"];
        check_contains(&hello, &parts);
    }
    assert_eq!(client.text(&["CLIENT", "GETNAME"]), "$2\r\nme\r\n");
    for version in ["3", "4", "1", "0", "-1"] {
        let refused = client.text(&["HELLO", version]);
        assert_eq!(refused, "-NOPROTO unsupported protocol version\r\n", "HELLO {version}");
    }
    assert_eq!(
        client.text(&["HELLO", "x"]),
        "-ERR Protocol version is not an integer or out of range\r\n"
    );
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
    assert_eq!(
        one.text(&["CLIENT", "SETNAME", "two words"]),
        "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"
    );
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
}

#[test]
fn sixteen_databases_hold_sixteen_values_of_one_key_on_each_server() {
    let groups = TwoGroups::start();
    let keys = Group::BOTH.map(|group| group.key("key"));
    let mut client = groups.client();
    let (mut writes, mut reads, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    for database in 0..16 {
        let database = database.to_string();
        let select = encode(&["SELECT", &database]);
        writes.extend(&select);
        writes.extend(encode(&["MSET", &keys[0], &database, &keys[1], &database]));
        reads.extend(&select);
        reads.extend(encode(&["MGET", &keys[0], &keys[1]]));
        let value = format!("${}\r\n{database}\r\n", database.len());
        expected.extend(format!("+OK\r\n*2\r\n{value}{value}").bytes());
    }
    client.send(writes);
    assert!(client.read_replies(32) == b"+OK\r\n".repeat(32));
    client.send(reads);
    let replies = client.read_replies(32).escape_ascii().to_string();
    assert_eq!(replies, expected.escape_ascii().to_string());
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
    for index in ["16", "-1", "1000"] {
        let refused = client.text(&["SELECT", index]);
        assert_eq!(refused, "-ERR DB index is out of range\r\n", "SELECT {index:?}");
    }
    for index in ["x", "", "1.0"] {
        let refused = client.text(&["SELECT", index]);
        assert_eq!(refused, "-ERR value is not an integer or out of range\r\n", "SELECT {index:?}");
    }
    assert_eq!(client.text(&["GET", "key"]), "$5\r\nthree\r\n");
    assert_eq!(client.text(&["SELECT", "15"]), "+OK\r\n");
}

#[test]
fn info_has_the_fields_that_libraries_read() {
    let groups = TwoGroups::start();
    let info = groups.client().text(&["INFO"]);
    check_contains(
        &info,
        &["redis_version:", "redis_mode:standalone", "role:master", "cluster_enabled:0"],
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
    let count: u32 = count.trim_matches([':', '\r', '\n']).parse().expect("count");
    let list = client.text(&["COMMAND"]);
    assert!(list.starts_with(&format!("*{count}\r\n")), "{count} commands");
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
    leaving.command(&["SET", "key", "zero"]);
    leaving.command(&["SELECT", "7"]);
    leaving.send(encode(&["CLIENT", "REPLY", "OFF"]));
    assert_eq!(leaving.text(&["RESET"]), "+RESET\r\n");
    assert_eq!(leaving.text(&["CLIENT", "GETNAME"]), "$-1\r\n");
    assert_eq!(leaving.text(&["GET", "key"]), "$4\r\nzero\r\n");
    leaving.command(&["DEL", "key"]);
    leaving.send("QUIT\r\nSET key never\r\n");
    assert_eq!(leaving.read_to_close(), b"+OK\r\n");
    assert_eq!(staying.text(&["CLIENT", "GETNAME"]), "$5\r\nstays\r\n");
    assert_eq!(staying.text(&["GET", "key"]), "$-1\r\n");
    assert_eq!(groups.client().text(&["GET", "key"]), "$-1\r\n");
}
