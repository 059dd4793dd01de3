//! Servers start, end, freeze and follow each other as told.

use std::io;
use std::time::Duration;

use super::*;

#[test]
fn servers_run_side_by_side_with_their_own_data() {
    let (one, other) = (RedisServer::start(), RedisServer::start());
    assert_eq!(one.client().text(&["SET", "key", "1"]), "+OK\r\n");
    assert_eq!(other.client().text(&["GET", "key"]), "$-1\r\n");
}

#[test]
fn a_killed_server_comes_back_empty_on_its_port() {
    let mut server = RedisServer::start();
    let addr = server.addr();
    server.client().command(&["SET", "key", "1"]);
    server.kill();
    let error = RawClient::try_connect(addr).expect_err("the server is dead");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    server.restart();
    assert_eq!(server.addr(), addr);
    assert_eq!(server.client().text(&["GET", "key"]), "$-1\r\n");
}

#[test]
fn a_dropped_server_listens_no_more() {
    let server = RedisServer::start();
    let addr = server.addr();
    let dir = server.dir.path().to_owned();
    drop(server);
    assert!(RawClient::try_connect(addr).is_err());
    assert!(!dir.exists());
}

#[test]
fn a_frozen_server_is_silent_until_it_is_thawed() {
    let mut server = RedisServer::start();
    let mut client = server.client().with_deadline(Duration::from_millis(100));
    server.freeze();
    let error = client.try_command(&["PING"]).expect_err("it is frozen");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    server.thaw();
    assert_eq!(client.with_deadline(DEADLINE).read_reply(), b"+PONG\r\n");
}

#[test]
fn a_replica_starts_in_sync_and_follows_a_primary_with_a_password() {
    let primary = RedisServer::options().password("secret").start();
    primary.client().command(&["SET", "before", "1"]);
    let replica = RedisServer::options().replica_of(&primary).start();
    assert_eq!(replica.client().text(&["GET", "before"]), "$1\r\n1\r\n");
    primary.client().command(&["SET", "after", "2"]);
    wait_until("the write reaches the replica", DEADLINE, || {
        match replica.client().text(&["GET", "after"]).as_str() {
            "$1\r\n2\r\n" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
}

#[test]
fn calls_are_counted_by_command() {
    let server = RedisServer::start();
    for _ in 0..3 {
        server.client().command(&["GET", "key"]);
    }
    assert_eq!((server.calls("get"), server.calls("set")), (3, 0));
}

#[test]
#[should_panic(expected = "ended at once")]
fn a_server_that_refuses_its_options_fails_the_test_with_its_log() {
    let _server = RedisServer::options().option("no-such-option", "1").start();
}
