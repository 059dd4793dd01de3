//! Passwords, both ways: those that clients give to the proxy, and those that it gives to servers.

use std::time::Duration;

use integration::proxy::ProxyOptions;
use integration::{KeywayProxy, RedisServer};

const NO_AUTH: &str = "-NOAUTH Authentication required.\r\n";
const WRONG_PASS: &str = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";

/// A proxy whose clients must give a password.
fn guarded(server: &RedisServer, options: ProxyOptions) -> KeywayProxy {
    options.config("session_auth = \"secret\"").over([server]).start()
}

#[test]
fn without_a_password_of_its_own_a_proxy_refuses_one() {
    let server = RedisServer::start();
    let proxy = KeywayProxy::options().over([&server]).start();
    let mut client = proxy.client();
    assert_eq!(
        client.text(&["AUTH", "secret"]),
        "-ERR AUTH <password> called without any password configured for the default user. \
         Are you sure your configuration is correct?\r\n"
    );
    assert_eq!(client.text(&["GET", "key"]), "$-1\r\n");
}

#[test]
fn with_a_password_nothing_is_served_before_it_is_given() {
    let server = RedisServer::start();
    let proxy = guarded(&server, KeywayProxy::options());
    let mut client = proxy.client();
    for command in [
        &["GET", "key"][..],
        &["MGET", "a", "b"],
        &["ECHO", "text"],
        &["PING"],
        &["SELECT", "1"],
        &["CLIENT", "LIST"],
        &["INFO"],
        &["COMMAND", "COUNT"],
    ] {
        assert_eq!(client.text(command), NO_AUTH, "{command:?}");
    }
    for wrong in [&["AUTH", "wrong"][..], &["AUTH", "other", "secret"], &["AUTH", ""]] {
        assert_eq!(client.text(wrong), WRONG_PASS, "{wrong:?}");
    }
    assert_eq!(client.text(&["GET", "key"]), NO_AUTH);
    assert_eq!(client.text(&["AUTH", "secret"]), "+OK\r\n");
    assert_eq!(client.text(&["GET", "key"]), "$-1\r\n");
    assert_eq!(server.calls("get"), 1);
    assert_eq!(proxy.client().text(&["AUTH", "default", "secret"]), "+OK\r\n");
}

#[test]
fn a_wrong_password_does_not_log_a_client_out() {
    let server = RedisServer::start();
    let proxy = guarded(&server, KeywayProxy::options());
    let mut client = proxy.client();
    assert_eq!(client.text(&["AUTH", "secret"]), "+OK\r\n");
    assert_eq!(client.text(&["AUTH", "wrong"]), WRONG_PASS);
    assert_eq!(client.text(&["GET", "key"]), "$-1\r\n");
    assert_eq!(client.text(&["RESET"]), "+RESET\r\n");
    assert_eq!(client.text(&["GET", "key"]), NO_AUTH);
}

#[test]
fn a_password_takes_effect_in_the_middle_of_a_pipeline() {
    let server = RedisServer::start();
    let proxy = guarded(&server, KeywayProxy::options());
    let mut client = proxy.client();
    // The last command is larger than what an unknown client may send.
    let value = "x".repeat(20_000);
    let set = format!("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$20000\r\n{value}\r\n");
    client.send(format!("GET key\r\nAUTH secret\r\nGET key\r\n{set}"));
    let replies = client.read_replies(4).escape_ascii().to_string();
    let expected = format!("{NO_AUTH}+OK\r\n$-1\r\n+OK\r\n");
    assert_eq!(replies, expected.as_bytes().escape_ascii().to_string());
}

#[test]
fn hello_logs_in() {
    let server = RedisServer::start();
    let proxy = guarded(&server, KeywayProxy::options());
    let mut client = proxy.client();
    assert_eq!(
        client.text(&["HELLO", "2"]),
        "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO \
         <proto> AUTH <user> <pass> option can be used to authenticate the client and select the \
         RESP protocol version at the same time\r\n"
    );
    assert_eq!(client.text(&["HELLO", "2", "AUTH", "default", "wrong"]), WRONG_PASS);
    assert_eq!(client.text(&["GET", "key"]), NO_AUTH);
    let hello = client.text(&["HELLO", "2", "AUTH", "default", "secret", "SETNAME", "me"]);
    assert!(hello.contains("$5\r\nproto\r\n:2\r\n"), "{hello}");
    assert_eq!(client.text(&["GET", "key"]), "$-1\r\n");
    assert_eq!(client.text(&["CLIENT", "GETNAME"]), "$2\r\nme\r\n");
}

#[test]
fn a_user_name_is_demanded_with_its_password() {
    let server = RedisServer::start();
    let options = KeywayProxy::options().config("session_user = \"app\"");
    let proxy = guarded(&server, options);
    let mut client = proxy.client();
    for wrong in [["default", "secret"], ["app", "wrong"], ["App", "secret"]] {
        assert_eq!(client.text(&["AUTH", wrong[0], wrong[1]]), WRONG_PASS, "{wrong:?}");
    }
    assert_eq!(client.text(&["AUTH", "app", "secret"]), "+OK\r\n");
    let list = client.text(&["CLIENT", "LIST"]);
    assert!(list.contains(" user=app "), "{list}");
}

#[test]
fn an_unknown_client_that_goes_on_for_long_is_closed() {
    let server = RedisServer::start();
    let options = KeywayProxy::options()
        .config("session_partial_timeout = \"1s\"")
        .config("session_recv_timeout = \"2s\"");
    let proxy = guarded(&server, options);
    let (mut silent, mut partial) = (proxy.client(), proxy.client());
    partial.send("*2\r\n$4\r\nAUTH\r\n$6\r\nsec");
    let mut partial = partial.with_deadline(Duration::from_secs(5));
    partial.expect_closed();
    silent.expect_closed();
}

#[test]
fn the_password_of_the_servers_is_given_by_the_proxy() {
    let servers = [(); 2].map(|()| RedisServer::options().password("inner").start());
    let proxy = KeywayProxy::options().config("product_auth = \"inner\"").over(&servers).start();
    let mut client = proxy.client();
    let keys = ["a", "b", "c", "d", "e"];
    for key in keys {
        assert_eq!(client.text(&["SET", key, "value"]), "+OK\r\n");
    }
    assert_eq!(client.text(&["DEL", "a", "b", "c", "d", "e"]), ":5\r\n");
    // It is not the clients' password.
    assert!(client.text(&["AUTH", "inner"]).starts_with("-ERR AUTH <password> called without"));
}

#[test]
fn the_user_of_the_servers_is_given_by_the_proxy() {
    let server = RedisServer::options().option("user", "app on >inner ~* &* +@all").start();
    let proxy = KeywayProxy::options()
        .config("product_user = \"app\"")
        .config("product_auth = \"inner\"")
        .over([&server])
        .start();
    assert_eq!(proxy.client().text(&["SET", "key", "value"]), "+OK\r\n");
    let clients = server.client().text(&["CLIENT", "LIST"]);
    assert!(clients.contains(" cmd=set user=app "), "{clients}");
}

#[test]
fn a_url_has_the_credentials_of_its_server_and_the_database_of_the_sessions() {
    let open = RedisServer::start();
    let named = RedisServer::options().option("user", "app on >p@ss/word ~* &* +@all").start();
    let locked = RedisServer::options().password("inner").start();
    let proxy = KeywayProxy::options()
        .argument(&format!("redis://{}/3", open.addr()))
        .argument(&format!("redis://app:p%40ss%2Fword@{}/3", named.addr()))
        .argument(&format!("redis://:inner@{}/3", locked.addr()))
        .start();
    let mut client = proxy.client();
    for number in 0..60 {
        let key = format!("key:{number}");
        assert_eq!(client.text(&["SET", &key, "value"]), "+OK\r\n");
    }
    let mut total = 0;
    for server in [&open, &named, &locked] {
        let mut direct = server.client();
        assert_eq!(direct.text(&["DBSIZE"]), ":0\r\n");
        direct.command(&["SELECT", "3"]);
        let size = direct.text(&["DBSIZE"]);
        let size: u32 = size.trim_matches([':', '\r', '\n']).parse().expect("size");
        assert!(size > 0, "no key on {}", server.addr());
        total += size;
    }
    assert_eq!(total, 60);
    let clients = named.client().text(&["CLIENT", "LIST"]);
    assert!(clients.contains(" user=app "), "{clients}");
    // A client may go elsewhere, and comes back by RESET.
    assert_eq!(client.text(&["SELECT", "0"]), "+OK\r\n");
    assert_eq!(client.text(&["GET", "key:1"]), "$-1\r\n");
    assert_eq!(client.text(&["RESET"]), "+RESET\r\n");
    assert_eq!(client.text(&["GET", "key:1"]), "$5\r\nvalue\r\n");
    assert!(!proxy.log().text().contains("ss/word"), "a password in the log");
}

#[test]
fn a_wrong_password_for_a_server_is_a_clear_error_and_a_clear_line_in_the_log() {
    let server = RedisServer::options().password("inner").start();
    for config in ["product_auth = \"guessed\"", "product_user = \"\""] {
        let proxy = KeywayProxy::options()
            .config(config)
            .allow_log("\"backend does not answer: its slots are refused until it does\"")
            .allow_log("\"backend is down\"")
            .over([&server])
            .start();
        assert_eq!(
            proxy.client().text(&["GET", "key"]),
            "-ERR backend is down, the request was not sent\r\n"
        );
        proxy.wait_logged("backend is down");
        let reason = proxy.log().field_of("backend is down", "error").expect("a line in the log");
        let expected = if config.contains("guessed") {
            "answered `AUTH` with `WRONGPASS invalid username-password pair or user is disabled.`"
        } else {
            "answered `PING` with `NOAUTH Authentication required.`"
        };
        assert_eq!(reason, expected);
        assert!(!proxy.log().text().contains("guessed"), "a password in the log");
    }
}
