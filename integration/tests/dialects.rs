//! `compat`: what clients of Codis 1.9, Codis 2.0 and RebornDB find, over real servers.
//!
//! Each table of requests and replies is sent twice, request by request and in one piece: an answer
//! of the proxy must not overtake one of a server.

use std::collections::BTreeSet;

use integration::{KeywayProxy, RawClient, RedisServer};

const EARLIER: [&str; 3] = ["codis1", "codis2", "reborn"];

const OK: &str = "+OK\r\n";
const PONG: &str = "+PONG\r\n";
const ONLY_DB_0: &str = "-ERR invalid DB index, only accept DB 0\r\n";

fn start(compat: &str, lines: &[&str]) -> (RedisServer, KeywayProxy) {
    let server = RedisServer::start();
    let mut options = KeywayProxy::options().config(&format!("compat = \"{compat}\""));
    for line in lines {
        options = options.config(line);
    }
    let proxy = options.over([&server]).start();
    (server, proxy)
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

/// A request as an inline one; none of these has a blank in an argument.
fn inline(line: &str) -> String {
    format!("{line}\r\n")
}

/// Sends requests one by one, then all in one piece, and compares the replies.
fn check(proxy: &KeywayProxy, table: &[(&str, &str)]) {
    let mut client = proxy.client();
    for (request, expected) in table {
        assert_eq!(client.text(&words(request)), *expected, "{request}");
    }
    let mut client = proxy.client();
    client.send(table.iter().map(|(request, _)| inline(request)).collect::<String>());
    for (request, expected) in table {
        assert_eq!(client.read_reply().escape_ascii().to_string(), escaped(expected), "{request}");
    }
}

/// Sends a request after which the proxy closes, alone and with one behind it that must not be
/// answered.
fn check_closes(proxy: &KeywayProxy, request: &str, expected: &str) {
    for behind in ["", "PING\r\n"] {
        let mut client = proxy.client();
        client.send(inline(request) + behind);
        assert_eq!(text(client.read_to_close()), expected, "{request}");
    }
}

fn escaped(text: &str) -> String {
    text.as_bytes().escape_ascii().to_string()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("replies here are texts")
}

/// The commands that a server has executed since it was asked to forget them.
fn executed(server: &RedisServer) -> BTreeSet<String> {
    let stats = text(server.client().command(&["INFO", "commandstats"]));
    let names = stats.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(':'));
    names.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn codis_1_and_reborn_ignore_what_stands_behind_ping() {
    for compat in ["codis1", "reborn"] {
        let (_server, mut proxy) = start(compat, &[]);
        check(
            &proxy,
            &[
                ("PING", PONG),
                ("SET a 1", OK),
                ("ping hello", PONG),
                ("PING a b", PONG),
                ("GET a", "$1\r\n1\r\n"),
                ("ECHO hi", "$2\r\nhi\r\n"),
                ("ECHO", "-ERR wrong number of arguments for 'echo' command\r\n"),
                ("SELECT 0", OK),
                ("SELECT 1", ONLY_DB_0),
                ("SELECT x", "-ERR invalid DB index\r\n"),
                ("GET a", "$1\r\n1\r\n"),
            ],
        );
        check_closes(&proxy, "QUIT", OK);
        proxy.terminate();
    }
}

#[test]
fn codis_2_refuses_what_stands_behind_ping() {
    let (_server, mut proxy) = start("codis2", &[]);
    let ping_arity = "-ERR wrong number of arguments for 'PING' command\r\n";
    check(
        &proxy,
        &[
            ("PING", PONG),
            ("ping hello", ping_arity),
            ("PING a b", ping_arity),
            ("SET a 1", OK),
            ("ECHO hi", "$2\r\nhi\r\n"),
            ("SELECT 0", OK),
            ("SELECT 1", ONLY_DB_0),
            ("SELECT x", "-ERR invalid DB index\r\n"),
            ("SELECT", "-ERR wrong number of arguments for 'SELECT' command\r\n"),
            ("AUTH x", "-ERR Client sent AUTH, but no password is set\r\n"),
            ("AUTH x y", "-ERR wrong number of arguments for 'AUTH' command\r\n"),
            ("MSET a 1 b", "-ERR wrong number of arguments for 'MSET' command\r\n"),
            ("GET a", "$1\r\n1\r\n"),
            ("RPUSH list 2 1", ":2\r\n"),
            ("SORT list", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n"),
            ("DEL list", ":1\r\n"),
        ],
    );
    check_closes(&proxy, "QUIT", OK);
    proxy.terminate();
}

#[test]
fn the_one_database_is_that_in_which_clients_begin() {
    let server = RedisServer::start();
    let mut proxy = KeywayProxy::options()
        .config("compat = \"codis2\"")
        .argument(&format!("redis://{}/3", server.addr()))
        .start();
    check(&proxy, &[("SET a 1", OK), ("SELECT 0", OK), ("GET a", "$1\r\n1\r\n")]);
    proxy.terminate();
    let mut direct = server.client();
    assert_eq!(direct.text(&["SELECT", "3"]), OK);
    assert_eq!(direct.text(&["GET", "a"]), "$1\r\n1\r\n");
}

#[test]
fn codis_1_takes_every_password_where_none_is_set() {
    let (_server, mut proxy) = start("codis1", &[]);
    check(
        &proxy,
        &[
            ("AUTH x", OK),
            ("AUTH", "-ERR wrong number of arguments for 'auth' command\r\n"),
            ("AUTH user x", OK),
            ("PING", PONG),
        ],
    );
    proxy.terminate();
}

#[test]
fn codis_1_and_codis_2_ask_for_a_password_and_keep_the_connection() {
    for compat in ["codis1", "codis2"] {
        let (_server, mut proxy) = start(compat, &["session_auth = \"secret\""]);
        let unknown = "-NOAUTH Authentication required.\r\n";
        check(
            &proxy,
            &[
                ("PING", unknown),
                ("GET a", unknown),
                // Not even whether there is such a command.
                ("NOSUCH a", unknown),
                ("KEYS *", unknown),
                ("AUTH wrong", "-ERR invalid password\r\n"),
                ("SELECT 0", unknown),
                ("AUTH secret", OK),
                ("SELECT 0", OK),
                ("GET a", "$-1\r\n"),
                ("AUTH default secret", "-ERR wrong number of arguments for 'AUTH' command\r\n"),
                ("GET a", "$-1\r\n"),
                ("AUTH wrong", "-ERR invalid password\r\n"),
                ("GET a", unknown),
            ],
        );
        check_closes(&proxy, "QUIT", OK);
        proxy.terminate();
    }
}

#[test]
fn reborn_closes_whoever_has_not_the_password() {
    let (_server, mut proxy) = start("reborn", &["session_auth = \"secret\""]);
    for request in ["PING", "QUIT", "GET a", "NOSUCH", "KEYS *", "RESET", "AUTH"] {
        check_closes(&proxy, request, "-ERR NOAUTH Authentication required\r\n");
    }
    let invalid = "-ERR invalid auth\r\n";
    for request in ["AUTH wrong", "AUTH default secret"] {
        check_closes(&proxy, request, invalid);
    }
    check(&proxy, &[("AUTH secret", OK), ("SET a 1", OK), ("auth secret", OK)]);
    // The requests before the wrong password have their replies.
    let mut client = proxy.client();
    client.send("AUTH secret\r\nGET a\r\nAUTH wrong\r\nGET a\r\n");
    assert_eq!(text(client.read_to_close()), format!("{OK}$1\r\n1\r\n{invalid}"));
    proxy.terminate();
}

#[test]
fn reborn_without_a_password_closes_whoever_gives_one() {
    let (_server, mut proxy) = start("reborn", &[]);
    check_closes(&proxy, "AUTH x", "-ERR invalid auth\r\n");
    check(&proxy, &[("SET a 1", OK)]);
    proxy.terminate();
}

/// Everything that one of the generations forbids, and what changes the state of a connection.
const FORBIDDEN: [&str; 58] = [
    "KEYS *",
    "keys *",
    "MOVE a 1",
    "OBJECT ENCODING a",
    "RENAME a b",
    "RENAMENX a b",
    "SCAN 0",
    "BITOP AND a b",
    "MSETNX a 1",
    "BLPOP a 1",
    "BRPOP a 1",
    "BRPOPLPUSH a b 1",
    "PSUBSCRIBE a",
    "psubscribe a",
    "PUBLISH a b",
    "PUNSUBSCRIBE a",
    "SUBSCRIBE a",
    "UNSUBSCRIBE a",
    "RANDOMKEY",
    "DISCARD",
    "EXEC",
    "MULTI",
    "UNWATCH",
    "WATCH a",
    "SCRIPT LOAD x",
    "SCRIPT FLUSH",
    "script exists x",
    "SCRIPT KILL",
    "BGREWRITEAOF",
    "BGSAVE",
    "CLIENT KILL 127.0.0.1:1",
    "CLIENT LIST",
    "CONFIG GET *",
    "Config Set maxmemory 1",
    "CONFIG RESETSTAT",
    "DBSIZE",
    "DEBUG OBJECT a",
    "DEBUG SEGFAULT",
    "FLUSHALL",
    "FLUSHDB",
    "LASTSAVE",
    "MONITOR",
    "SAVE",
    "SHUTDOWN NOSAVE",
    "SLAVEOF NO ONE",
    "REPLICAOF NO ONE",
    "SLOWLOG GET",
    "SYNC",
    "PSYNC ? -1",
    "REPLCONF ack 1",
    "TIME",
    "MIGRATE 127.0.0.1 1 a 0 1",
    "SLOTSINFO 0 1",
    "SLOTSDEL 0",
    "SLOTSMGRT 127.0.0.1 1 1 0",
    "SLOTSMGRTONE 127.0.0.1 1 1 a",
    "SLOTSMGRTTAGONE 127.0.0.1 1 1 a",
    "SLOTSMGRTTAGSLOT 127.0.0.1 1 1 0",
];

#[test]
fn a_forbidden_command_is_refused_in_its_words_and_never_reaches_a_server() {
    for compat in EARLIER {
        let (server, mut proxy) = start(compat, &[]);
        let mut forbidden = FORBIDDEN.to_vec();
        forbidden.push(if compat == "codis2" { "RESTORE a 0 x" } else { "SORT a" });
        server.client().command(&["CONFIG", "RESETSTAT"]);
        let table: Vec<(&str, String)> = forbidden
            .into_iter()
            .map(|request| {
                let name = words(request)[0].to_uppercase();
                let refusal = match compat {
                    "reborn" => format!("-{name} not allowed\r\n"),
                    _ => format!("-ERR command '{name}' is not allowed\r\n"),
                };
                (request, refusal)
            })
            .collect();
        let table: Vec<(&str, &str)> =
            table.iter().map(|(request, refusal)| (*request, refusal.as_str())).collect();
        check(&proxy, &table);
        check(&proxy, &[("SET a 1", OK), ("GET a", "$1\r\n1\r\n")]);
        // What the test itself sends, and what the proxy sends of its own accord.
        let expected = ["config|resetstat", "get", "info", "ping", "set"];
        let others: Vec<String> = executed(&server)
            .into_iter()
            .filter(|name| !expected.contains(&name.as_str()))
            .collect();
        assert_eq!(others, [""; 0], "{compat}");
        proxy.terminate();
    }
}

#[test]
fn a_client_of_today_can_connect() {
    for compat in EARLIER {
        let (_server, mut proxy) = start(compat, &["session_auth = \"secret\""]);
        let mut client = proxy.client();
        let hello = text(client.command(&["HELLO", "2", "AUTH", "default", "secret"]));
        assert!(hello.starts_with("*14\r\n$6\r\nserver\r\n"), "{compat}: {hello}");
        // Some clients send these and pass over errors.
        let named = client.text(&["CLIENT", "SETNAME", "app"]);
        assert_eq!(named == OK, compat != "codis2", "{compat}: {named}");
        assert_eq!(client.text(&["PING"]), PONG);
        proxy.terminate();
    }
}

#[test]
fn a_failure_is_told_and_the_connection_stays() {
    for compat in EARLIER {
        let mut server = RedisServer::start();
        let mut proxy = KeywayProxy::options()
            .config(&format!("compat = \"{compat}\""))
            .allow_log("backend is down")
            .allow_log("backend connection lost")
            .over([&server])
            .start();
        let mut client: RawClient = proxy.client();
        assert_eq!(client.text(&["SET", "a", "1"]), OK);
        assert_eq!(
            client.text(&["LPUSH", "a", "1"]),
            "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
        );
        server.kill();
        let reply = client.text(&["GET", "a"]);
        assert!(reply.starts_with("-ERR backend"), "{compat}: {reply}");
        assert_eq!(client.text(&["PING"]), PONG);
        proxy.terminate();
    }
}

#[test]
fn the_commands_that_are_told_are_those_that_can_be_used() {
    for (compat, has_sort, has_client) in
        [("codis1", false, true), ("codis2", true, false), ("reborn", false, true)]
    {
        let (_server, mut proxy) = start(compat, &[]);
        let mut client = proxy.client();
        let is_told = |client: &mut RawClient, name: &str| {
            client.text(&["COMMAND", "INFO", name]) != "*1\r\n*-1\r\n"
                && client.text(&["COMMAND", "INFO", name]) != "*1\r\n$-1\r\n"
        };
        assert!(is_told(&mut client, "get"));
        assert!(!is_told(&mut client, "rename"));
        assert!(!is_told(&mut client, "object"));
        assert_eq!(is_told(&mut client, "sort"), has_sort, "{compat}");
        assert_eq!(is_told(&mut client, "client"), has_client, "{compat}");
        proxy.terminate();
    }
}
