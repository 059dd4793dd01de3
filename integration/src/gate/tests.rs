//! The gate passes, holds and cuts what it stands before.

use std::time::Duration;

use super::*;
use crate::raw_client::RawClient;
use crate::redis_server::RedisServer;

/// Long enough for any byte that is not held.
const MOMENT: Duration = Duration::from_millis(300);

#[test]
fn what_is_sent_passes_in_both_directions() {
    let server = RedisServer::start();
    let gate = Gate::before(server.addr());
    let mut client = RawClient::connect(gate.addr());
    let value = "x".repeat(300_000);
    assert_eq!(client.text(&["SET", "key", &value]), "+OK\r\n");
    assert_eq!(client.text(&["GET", "key"]), format!("$300000\r\n{value}\r\n"));
}

#[test]
fn a_frozen_gate_holds_the_bytes_and_loses_none() {
    let server = RedisServer::start();
    let mut gate = Gate::before(server.addr());
    let mut old = RawClient::connect(gate.addr()).with_deadline(MOMENT);
    assert_eq!(old.text(&["SET", "key", "1"]), "+OK\r\n");
    gate.freeze();
    let mut new = RawClient::connect(gate.addr()).with_deadline(MOMENT);
    old.send("INCR key\r\n");
    new.send("INCR key\r\n");
    assert!(old.try_read_reply().is_err() && new.try_read_reply().is_err());
    assert_eq!(server.client().text(&["GET", "key"]), "$1\r\n1\r\n");
    gate.pass();
    let (mut old, mut new) = (old.with_deadline(DEADLINE), new.with_deadline(DEADLINE));
    let mut replies = [old.read_reply(), new.read_reply()];
    replies.sort();
    assert_eq!(replies, [b":2\r\n", b":3\r\n"]);
}

#[test]
fn a_cut_gate_closes_and_refuses_until_it_lets_pass() {
    let server = RedisServer::start();
    let mut gate = Gate::before(server.addr());
    let mut client = RawClient::connect(gate.addr());
    assert_eq!(client.text(&["PING"]), "+PONG\r\n");
    gate.cut();
    client.expect_closed();
    let refused = RawClient::try_connect(gate.addr()).expect_err("nobody listens");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    gate.pass();
    assert_eq!(RawClient::connect(gate.addr()).text(&["PING"]), "+PONG\r\n");
    // A gate that holds a connection can be cut as well.
    gate.freeze();
    let mut held = RawClient::connect(gate.addr());
    gate.cut();
    held.expect_closed();
}
