//! `compat = "codis"`: the texts that clients of a Codis proxy match on.

use integration::{KeywayProxy, RedisServer};

fn start(lines: &[&str]) -> (RedisServer, KeywayProxy) {
    let server = RedisServer::start();
    let mut options = KeywayProxy::options().config("compat = \"codis\"");
    for line in lines {
        options = options.config(line);
    }
    let proxy = options.over([&server]).start();
    (server, proxy)
}

#[test]
fn commands_that_codis_does_not_allow_get_its_text() {
    let (_server, mut proxy) = start(&[]);
    let mut client = proxy.client();
    for (request, name) in [("KEYS *", "KEYS"), ("config set a b", "CONFIG"), ("multi", "MULTI")] {
        let args: Vec<&str> = request.split(' ').collect();
        let expected = format!("-ERR handle request, command '{name}' is not allowed\r\n");
        assert_eq!(client.text(&args), expected, "{request}");
    }
    assert_eq!(client.text(&["mget"]), "-ERR wrong number of arguments for 'MGET' command\r\n");
    assert_eq!(client.text(&["get"]), "-ERR wrong number of arguments for 'get' command\r\n");
    proxy.terminate();
}

#[test]
fn passwords_and_databases_get_the_texts_of_codis() {
    let (_server, mut proxy) = start(&["session_auth = \"secret\""]);
    let mut client = proxy.client();
    assert_eq!(client.text(&["GET", "a"]), "-NOAUTH Authentication required\r\n");
    assert_eq!(
        client.text(&["AUTH", "default", "secret"]),
        "-ERR wrong number of arguments for 'AUTH' command\r\n"
    );
    assert_eq!(client.text(&["AUTH", "secret"]), "+OK\r\n");
    assert_eq!(client.text(&["SELECT", "x"]), "-ERR invalid DB index\r\n");
    assert_eq!(client.text(&["SELECT", "16"]), "-ERR invalid DB index, only accept DB [0,16)\r\n");
    assert_eq!(client.text(&["AUTH", "wrong"]), "-ERR invalid password\r\n");
    // A wrong password ends what the right one had given.
    assert_eq!(client.text(&["GET", "a"]), "-NOAUTH Authentication required\r\n");
    proxy.terminate();
}

#[test]
fn failures_get_the_texts_of_codis() {
    let (mut server, mut proxy) = {
        let server = RedisServer::start();
        let proxy = KeywayProxy::options()
            .config("compat = \"codis\"")
            .allow_log("backend is down")
            .allow_log("backend connection lost")
            .over([&server])
            .start();
        (server, proxy)
    };
    let mut client = proxy.client();
    assert_eq!(client.text(&["AUTH", "x"]), "-ERR Client sent AUTH, but no password is set\r\n");
    assert_eq!(client.text(&["SET", "a", "1"]), "+OK\r\n");
    server.kill();
    let reply = client.text(&["GET", "a"]);
    assert!(reply.starts_with("-ERR handle response, backend conn "), "{reply}");
    proxy.terminate();
}

#[test]
fn slots_are_told_in_the_form_of_codis() {
    let (server, mut proxy) = start(&[]);
    let mut client = proxy.client();
    let addr = server.addr();
    let expected = format!("*4\r\n+579\r\n+{addr}\r\n+\r\n*-1\r\n");
    assert_eq!(client.text(&["SLOTSMAPPING", "579"]), expected);
    assert!(client.text(&["SLOTSMAPPING"]).starts_with("*1024\r\n*4\r\n+0\r\n"));
    assert_eq!(
        client.text(&["SLOTSMAPPING", "1024"]),
        "-ERR parse slotnum '1024' failed, out of range\r\n"
    );
    proxy.terminate();
}
