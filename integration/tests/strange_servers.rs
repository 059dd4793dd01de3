//! Servers that speak, but not as a Redis does.
//!
//! The fake server of these tests shakes hands like a real one and answers everything else with
//! the bytes that the test gives it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use integration::groups::Group;
use integration::{DEADLINE, KeywayProxy, RawClient, RedisServer, wait_until};

const GARBLED: &str = "-ERR backend sent a malformed reply, the request may have been executed\r\n";
const LOST: &str = "-ERR backend connection was lost, the request may have been executed\r\n";

/// What the fake server does after its answer.
#[derive(Clone, Copy)]
enum Then {
    GoOn,
    Close,
}

/// Starts a fake server; its threads end with the test's process.
fn fake_server(answer: &'static [u8], then: Then) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let addr = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || serve(connection, answer, then));
        }
    });
    addr
}

/// Answers one request per read: the proxy waits for each reply in a handshake, and the tests send
/// one request at a time.
fn serve(mut connection: TcpStream, answer: &[u8], then: Then) {
    let mut chunk = [0; 4096];
    while let Ok(len @ 1..) = connection.read(&mut chunk) {
        let request = String::from_utf8_lossy(chunk.get(..len).unwrap_or_default()).into_owned();
        let reply: &[u8] = if request.contains("PING") {
            b"+PONG\r\n"
        } else if request.contains("INFO") {
            b"$34\r\nredis_version:7.0.0\r\nrole:master\r\n\r\n"
        } else {
            answer
        };
        let is_written = connection.write_all(reply).is_ok();
        if !is_written || (reply == answer && matches!(then, Then::Close)) {
            return;
        }
    }
}

/// A proxy with the fake server below and a real one above, and a client of each worker.
fn start(answer: &'static [u8], then: Then) -> (RedisServer, KeywayProxy, [RawClient; 2]) {
    let real = RedisServer::start();
    let fake = fake_server(answer, then);
    let proxy = KeywayProxy::options()
        .allow_log("\"backend connection lost\"")
        .argument(&fake.to_string())
        .argument(&real.addr().to_string())
        .start();
    let clients = [proxy.client(), proxy.client()];
    (real, proxy, clients)
}

/// Asks the fake server and expects this, while the real one serves as ever.
fn check(answer: &'static [u8], then: Then, expected: &str) {
    let shown = answer.escape_ascii().to_string();
    let (_real, _proxy, [mut client, mut other]) = start(answer, then);
    let key = Group::Two.key("key");
    for _ in 0..3 {
        assert_eq!(other.text(&["SET", &key, "value"]), "+OK\r\n", "{shown}");
        // After a connection that was worth nothing the next one may be due a little later.
        let reply = wait_until("an answer", DEADLINE, || {
            match client.text(&["GET", &Group::One.key("key")]) {
                down if down.starts_with("-ERR backend is down") => Err(down),
                reply => Ok(reply),
            }
        });
        assert_eq!(reply, expected, "{shown}");
        assert_eq!(client.text(&["GET", &key]), "$5\r\nvalue\r\n", "{shown}");
    }
}

#[test]
fn what_is_no_reply_is_a_clear_error() {
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"\x00\x01\x02\x03\r\n",
        b"$x\r\n",
        b"$-2\r\n",
        b"*99999999999999999999\r\n",
        b"\r\n",
    ] {
        check(answer, Then::GoOn, GARBLED);
    }
}

#[test]
fn a_reply_that_breaks_off_is_a_clear_error() {
    for answer in [&b"$10\r\nhalf"[..], b"*2\r\n$1\r\na\r\n", b"+O", b""] {
        check(answer, Then::Close, LOST);
    }
}

#[test]
fn a_large_reply_that_breaks_off_closes_only_its_client() {
    // Its beginning has reached the client, so no error can follow it.
    const HALF: &[u8] = &{
        let mut bytes = [b'x'; 40_000];
        let header = *b"$100000\r\n";
        let mut at = 0;
        while at < header.len() {
            bytes[at] = header[at];
            at += 1;
        }
        bytes
    };
    let (_real, _proxy, [mut client, mut other]) = start(HALF, Then::Close);
    client.send(format!("GET {}\r\nPING\r\n", Group::One.key("key")));
    let read = client.read_to_close();
    assert!(HALF.starts_with(&read), "more than the server has sent: {} bytes", read.len());
    assert_eq!(other.text(&["PING"]), "+PONG\r\n");
    assert_eq!(other.text(&["GET", &Group::Two.key("key")]), "$-1\r\n");
}

#[test]
fn a_second_reply_to_one_request_goes_to_nobody() {
    let (_real, proxy, [mut client, mut other]) =
        start(b"$5\r\nfirst\r\n$6\r\nsecond\r\n", Then::GoOn);
    let key = Group::One.key("key");
    for client in [&mut client, &mut other] {
        for _ in 0..5 {
            let reply = wait_until("an answer", DEADLINE, || match client.text(&["GET", &key]) {
                down if down.starts_with("-ERR backend is down") => Err(down),
                reply => Ok(reply),
            });
            assert_eq!(reply, "$5\r\nfirst\r\n");
            assert_eq!(client.text(&["ECHO", "own"]), "$3\r\nown\r\n");
        }
    }
    proxy.wait_logged("backend connection lost");
}

#[test]
fn a_server_that_speaks_no_redis_at_all_is_down() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let addr = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut connection in listener.incoming().map_while(Result::ok) {
            let _ = connection.write_all(b"220 mail ready\r\n");
            // Held open, as such servers do.
            std::mem::forget(connection);
        }
    });
    let proxy = KeywayProxy::options()
        .allow_log("\"backend does not answer: its slots are refused until it does\"")
        .allow_log("\"backend is down\"")
        .argument(&addr.to_string())
        .start();
    assert_eq!(
        proxy.client().text(&["GET", "key"]),
        "-ERR backend is down, the request was not sent\r\n"
    );
    proxy.wait_logged("backend is down");
    let reason = proxy.log().field_of("backend is down", "error").expect("a reason");
    assert!(reason.starts_with("does not speak the redis protocol"), "{reason}");
}
