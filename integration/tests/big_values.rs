//! Values of a hundred megabytes and more: equal byte for byte, and never twice in memory.

use std::time::Duration;

use integration::proxy::ProxyOptions;
use integration::{KeywayProxy, RawClient, RedisServer};

const MB: usize = 1024 * 1024;

/// How often a client may try to read fast.
const ATTEMPTS: usize = 3;

/// Bytes whose period, a prime, fits no buffer, so that a piece in the wrong place shows.
fn value(len: usize) -> Vec<u8> {
    const PERIOD: usize = 1_000_003;
    let words = (0_u64..).map(|word| word.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    let period: Vec<u8> = words.flatten().take(PERIOD).collect();
    let mut value = period.repeat(len / PERIOD + 1);
    value.truncate(len);
    value
}

fn start(server: &RedisServer, options: ProxyOptions) -> (KeywayProxy, RawClient) {
    let proxy = options.workers(1).over([server]).start();
    let client = RawClient::connect(proxy.addr()).with_deadline(Duration::from_secs(60));
    (proxy, client)
}

/// Writes and reads a value of this size and holds the proxy to its share of memory.
fn check(len: usize) {
    let server = RedisServer::start();
    let (proxy, mut client) = start(&server, KeywayProxy::options());
    let value = value(len);
    assert_eq!(client.text(&["PING"]), "+PONG\r\n");
    let idle = proxy.memory_bytes("VmRSS");
    assert!(client.command(&[b"SET", b"big", &value[..]]) == b"+OK\r\n");
    let set = proxy.memory_bytes("VmHWM") - idle;
    assert!(set < len + len / 5, "SET of {len} bytes took {set} bytes of memory");

    // Only what the client has not taken yet is held. How much that is depends on who gets the
    // processor, so a client that was kept from reading fast tries again.
    let gets: Vec<usize> = (0..ATTEMPTS).map(|_| get_bytes(&server, &value)).collect();
    let most = gets.iter().max().copied().unwrap_or_default();
    assert!(most < len + len / 5, "GETs of {len} bytes took {gets:?} bytes of memory");
    let least = gets.iter().min().copied().unwrap_or_default();
    assert!(least < len / 2, "GETs of {len} bytes took {gets:?} bytes of memory");
}

/// Reads the value through a proxy of its own, compares it as it comes, and returns the memory
/// that the proxy took for it.
fn get_bytes(server: &RedisServer, value: &[u8]) -> usize {
    let (proxy, mut client) = start(server, KeywayProxy::options());
    assert_eq!(client.text(&["PING"]), "+PONG\r\n");
    let idle = proxy.memory_bytes("VmRSS");
    client.send("GET big\r\n");
    let header = format!("${}\r\n", value.len());
    client.read_pieces(header.len(), |piece| assert_eq!(piece, header.as_bytes()));
    let mut rest = value;
    client.read_pieces(value.len(), |piece| {
        let (expected, later) = rest.split_at(piece.len());
        assert!(piece == expected, "another value came back");
        rest = later;
    });
    client.read_pieces(2, |piece| assert_eq!(piece, b"\r\n"));
    proxy.memory_bytes("VmHWM") - idle
}

#[test]
fn a_value_of_100_mb_passes_unchanged_and_is_held_once() {
    check(100 * MB);
}

#[test]
fn a_value_of_256_mb_passes_unchanged_and_is_held_once() {
    check(256 * MB);
}

#[test]
fn a_value_above_the_limit_is_refused_in_the_words_of_redis() {
    let server = RedisServer::start();
    let options = KeywayProxy::options().config("session_bulk_bytes_max = \"1mb\"");
    let (_proxy, mut client) = start(&server, options);
    let (fits, too_large) = (value(MB), value(MB + 1));
    assert!(client.command(&[b"SET", b"key", &fits[..]]) == b"+OK\r\n");
    // The header alone is refused; the proxy does not wait for the value.
    client.send(format!("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n${}\r\n", too_large.len()));
    let refused = client.read_to_close();
    assert_eq!(String::from_utf8_lossy(&refused), "-ERR Protocol error: invalid bulk length\r\n");
    assert_eq!(server.client().text(&["STRLEN", "key"]), format!(":{MB}\r\n"));
}

#[test]
fn a_request_above_the_limit_is_refused() {
    let server = RedisServer::start();
    let options = KeywayProxy::options()
        .config("session_bulk_bytes_max = \"1mb\"")
        .config("session_request_bytes_max = \"2mb\"");
    let (_proxy, mut client) = start(&server, options);
    let part = value(900 * 1024);
    let mset: [&[u8]; 7] = [b"MSET", b"a", &part, b"b", &part, b"c", &part];
    // The proxy may have closed before everything is sent.
    let _ = client.try_send(integration::raw_client::encode(&mset));
    let refused = client.read_to_close();
    let refused = String::from_utf8_lossy(&refused);
    assert!(refused.starts_with("-ERR Protocol error: "), "{refused}");
    assert_eq!(server.client().text(&["DBSIZE"]), ":0\r\n");
}

#[test]
fn the_largest_value_that_redis_takes_is_taken() {
    // Only its size is compared: what it holds is the matter of the tests above.
    let len = 512 * MB;
    let server = RedisServer::start();
    let (_proxy, mut client) = start(&server, KeywayProxy::options());
    assert!(client.command(&[&b"SET"[..], b"big", &vec![b'x'; len]]) == b"+OK\r\n");
    assert_eq!(client.text(&["STRLEN", "big"]), format!(":{len}\r\n"));
}

#[test]
fn big_values_that_are_only_half_sent_are_given_up_with_their_clients() {
    let server = RedisServer::start();
    let (proxy, mut client) = start(&server, KeywayProxy::options());
    assert_eq!(client.text(&["PING"]), "+PONG\r\n");
    let idle = proxy.memory_bytes("VmRSS");
    let value = value(64 * MB);
    for _ in 0..12 {
        let mut client = proxy.client();
        client.send(format!("*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n${}\r\n", value.len()));
        client.send(&value[..value.len() / 2]);
        client.close_write();
        client.expect_closed();
    }
    assert_eq!(client.text(&["GET", "big"]), "$-1\r\n");
    // One may not be gone yet when the next begins; all of them together would be 384 MB.
    let held = proxy.memory_bytes("VmHWM") - idle;
    assert!(held < 2 * value.len(), "{held} bytes");
}
