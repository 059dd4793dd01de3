//! The raw client against a real server.

use super::*;
use crate::RedisServer;

#[test]
fn nested_replies_are_read_whole_and_one_at_a_time() {
    let server = RedisServer::start();
    let mut client = server.client();
    let script = "return {1, {2, {'three', false}}, {}}";
    client.send(encode(&["EVAL", script, "0"]));
    client.send("PING\r\n");
    let nested = b"*3\r\n:1\r\n*2\r\n:2\r\n*2\r\n$5\r\nthree\r\n$-1\r\n*0\r\n";
    assert_eq!(client.read_reply(), nested);
    assert_eq!(client.read_reply(), b"+PONG\r\n");
}

#[test]
fn resp3_maps_are_read_whole() {
    let server = RedisServer::start();
    let mut client = server.client();
    let hello = client.command(&["HELLO", "3"]);
    assert!(hello.starts_with(b"%"), "{}", hello.escape_ascii());
    assert_eq!(client.text(&["PING"]), "+PONG\r\n");
}

#[test]
fn a_close_by_the_server_is_seen_with_the_bytes_before_it() {
    let server = RedisServer::start();
    let mut client = server.client();
    client.send("PING\r\nQUIT\r\n");
    assert_eq!(client.read_to_close(), b"+PONG\r\n+OK\r\n");
    client.expect_closed();
}

#[test]
fn replies_are_read_after_the_sending_half_is_closed() {
    let server = RedisServer::start();
    let mut client = server.client();
    client.send("ECHO last\r\n");
    client.close_write();
    assert_eq!(client.read_reply(), b"$4\r\nlast\r\n");
    client.expect_closed();
}

#[test]
fn a_server_that_stays_silent_is_a_time_out() {
    let server = RedisServer::start();
    let mut client = server.client().with_deadline(Duration::from_millis(50));
    let error = client.try_read_reply().expect_err("no reply was due");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}
