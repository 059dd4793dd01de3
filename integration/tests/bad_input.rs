//! Input that is no command, or half of one: answered as Redis answers it, and nobody else's harm.
//!
//! Each case goes to a real server and to the proxy, byte for byte the same. The case says whether
//! the connection survives; the real server is held to that as well, so a case cannot lie.

use std::time::Duration;

use integration::groups::Group;
use integration::raw_client::encode;
use integration::{KeywayProxy, RawClient, RedisServer, TwoGroups};

/// More than the 64 KiB that Redis accepts for a line.
const LINE_TOO_LONG: usize = 70_000;

/// What becomes of the connection.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It is closed after whatever was answered.
    Closed,
    /// It stays open; this many replies come.
    Open { replies: usize },
}

/// Sends the input on a new connection and returns the answer.
fn answer(mut client: RawClient, input: &[u8], fate: Fate) -> String {
    client.send(input);
    let answer = match fate {
        Fate::Closed => client.read_to_close(),
        Fate::Open { replies } => {
            let answer = client.read_replies(replies);
            assert_eq!(client.text(&["ECHO", "alive"]), "$5\r\nalive\r\n");
            answer
        }
    };
    answer.escape_ascii().to_string()
}

/// Checks each input against a real server, while another client of the proxy goes on undisturbed.
fn check(cases: &[(&[u8], Fate)]) {
    let single = RedisServer::start();
    let groups = TwoGroups::start();
    let keys = Group::BOTH.map(|group| group.key("bystander"));
    let mut bystander = groups.client();
    for (round, (input, fate)) in cases.iter().enumerate() {
        let shown = input.get(..80).unwrap_or(input).escape_ascii().to_string();
        for key in &keys {
            bystander.send(encode(&["SET", key, &round.to_string()]));
            bystander.send(encode(&["GET", key]));
        }
        let expected = answer(single.client(), input, *fate);
        let seen = answer(groups.client(), input, *fate);
        assert_eq!(seen, expected, "{shown}");
        let round = round.to_string();
        let value = format!("+OK\r\n${}\r\n{round}\r\n", round.len());
        let replies = bystander.read_replies(4).escape_ascii().to_string();
        assert_eq!(replies, value.repeat(2).as_bytes().escape_ascii().to_string(), "{shown}");
    }
}

fn check_closed(inputs: &[&[u8]]) {
    let cases: Vec<(&[u8], Fate)> = inputs.iter().map(|input| (*input, Fate::Closed)).collect();
    check(&cases);
}

#[test]
fn headers_without_a_sensible_number_close_the_connection() {
    check_closed(&[
        b"*2\r\n$3\r\nGET\r\n$-1\r\n",
        b"*2\r\n$3\r\nGET\r\n$-2\r\n",
        b"*2\r\n$3\r\nGET\r\n$536870913\r\n",
        b"*2\r\n$3\r\nGET\r\n$99999999999999999999\r\n",
        b"*1\r\n$x\r\n",
        b"*1\r\n$\r\n",
        b"*1\r\n$ 4\r\nPING\r\n",
        b"*1\r\n$04\r\nPING\r\n",
        b"*2147483648\r\n",
        b"*99999999999999999999\r\n",
        b"*x\r\n",
        b"*\r\n",
        b"*+1\r\n$4\r\nPING\r\n",
        b"*1x\r\n$4\r\nPING\r\n",
    ]);
}

#[test]
fn elements_that_are_no_bulk_strings_close_the_connection() {
    check_closed(&[
        b"*1\r\n:1\r\n",
        b"*1\r\n+PING\r\n",
        b"*1\r\n*1\r\n$4\r\nPING\r\n",
        b"*2\r\n$4\r\nECHO\r\n-ERR\r\n",
        b"*1\r\nPING\r\n",
        b"*1\r\n\r\n",
    ]);
}

#[test]
fn lines_that_never_end_close_the_connection() {
    let endless = |head: &[u8]| {
        let mut input = head.to_vec();
        input.resize(LINE_TOO_LONG, b'1');
        input
    };
    check_closed(&[&endless(b"GET "), &endless(b"*"), &endless(b"*1\r\n$"), &endless(b"\xff\xfe")]);
}

#[test]
fn bare_line_feeds_in_headers_close_the_connection() {
    check_closed(&[b"*1\n$4\r\nPING\r\n", b"*1\r\n$4\nPING\r\n", b"*2\n$4\nECHO\n$1\nx\r\n"]);
}

#[test]
fn unbalanced_quotes_close_the_connection() {
    check_closed(&[b"SET key \"value\r\n", b"SET key 'value\r\n", b"SET \"key\"value\r\n"]);
}

#[test]
fn a_web_browser_is_hung_up_on() {
    check_closed(&[
        b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\nSET key value\r\n",
        b"Host: localhost\r\nSET key value\r\n",
        b"*2\r\n$4\r\npost\r\n$1\r\n/\r\n",
    ]);
}

#[test]
fn nothing_that_a_web_browser_sends_is_executed_and_the_log_tells_of_it() {
    let server = RedisServer::start();
    let proxy = KeywayProxy::options().config("session_auth = \"secret\"").over([&server]).start();
    let mut browser = proxy.client();
    browser.send("POST / HTTP/1.1\r\nHost: localhost\r\n\r\nAUTH secret\r\nSET key value\r\n");
    browser.expect_closed();
    proxy.wait_logged("client closed: it speaks HTTP, perhaps a web page attacks");
    assert_eq!(server.client().text(&["DBSIZE"]), ":0\r\n");
}

#[test]
fn commands_before_a_protocol_error_are_answered_and_those_after_it_are_not() {
    check_closed(&[
        b"PING\r\n*1\r\n$x\r\nPING\r\n",
        b"*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n*1\r\n:1\r\nPING\r\n",
        b"SET a 1\r\nGET a\r\n*-x\r\nGET a\r\n",
    ]);
}

#[test]
fn empty_requests_are_ignored() {
    let ignored = Fate::Open { replies: 0 };
    let then_pong = Fate::Open { replies: 1 };
    check(&[
        (b"*0\r\n", ignored),
        (b"*-1\r\n", ignored),
        (b"*-7\r\n", ignored),
        (b"\r\n", ignored),
        (b"\n", ignored),
        (b"   \r\n", ignored),
        (b"*0\r\n*-1\r\n\r\nPING\r\n", then_pong),
    ]);
}

#[test]
fn requests_that_are_refused_leave_the_connection_open() {
    let one = Fate::Open { replies: 1 };
    check(&[
        (b"NOSUCHCOMMAND\r\n", one),
        (b"nosuchcommand first second\r\n", one),
        (b"*1\r\n$0\r\n\r\n", one),
        (b"\xff\xfe\xfd\r\n", one),
        (b"GET\r\n", one),
        (b"GET a b\r\n", one),
        (b"*2\r\n$3\r\nSET\r\n$1\r\na\r\n", one),
        (b"SET a 1 NOSUCHOPTION\r\n", one),
        (b"EXPIRE a soon\r\n", one),
    ]);
}

#[test]
fn inline_commands_are_read_as_redis_reads_them() {
    let one = Fate::Open { replies: 1 };
    check(&[
        (b"PING\n", one),
        (b"ECHO \"two words\"\r\n", one),
        (b"ECHO 'it\\'s'\r\n", one),
        (b"ECHO \"\\x41\\n\\\"\"\r\n", one),
        (b"  ECHO   spaced  \r\n", one),
        (b"ECHO \"\"\r\n", one),
        (b"get absent\r\n", one),
    ]);
}

#[test]
fn half_a_command_waits_for_its_other_half_and_for_nobody_else() {
    let groups = TwoGroups::start();
    let mut bystander = groups.client();
    let key = Group::One.key("key");
    let whole = encode(&["SET", &key, "value"]);
    for cut in 1..whole.len() {
        let (head, tail) = whole.split_at(cut);
        let mut client = groups.client();
        client.send(head);
        assert_eq!(bystander.text(&["GET", &key]), "$-1\r\n", "cut at {cut}");
        client.send(tail);
        assert_eq!(client.read_reply(), b"+OK\r\n", "cut at {cut}");
        assert_eq!(bystander.text(&["DEL", &key]), ":1\r\n", "cut at {cut}");
    }
}

#[test]
fn half_a_command_is_never_executed_when_its_client_leaves() {
    let groups = TwoGroups::start();
    let key = Group::Two.key("key");
    let whole = encode(&["SET", &key, "value"]);
    for cut in 1..whole.len() {
        let mut client = groups.client();
        client.send(whole.get(..cut).unwrap_or_default());
        client.close_write();
        client.expect_closed();
    }
    assert_eq!(groups.client().text(&["GET", &key]), "$-1\r\n");
}

#[test]
fn a_bulk_that_was_only_announced_costs_no_memory() {
    // Goal: a header cannot make the proxy reserve what it announces.
    // Method: 50 clients announce 512 MB each, more than a test machine has to give.
    let groups = TwoGroups::start();
    let mut clients: Vec<RawClient> = (0..50).map(|_| groups.client()).collect();
    for client in &mut clients {
        client.send("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$536870912\r\nbegin");
    }
    assert_eq!(groups.client().text(&["PING"]), "+PONG\r\n");
    let memory = groups.proxy.memory_bytes("VmHWM");
    assert!(memory < 200 * 1024 * 1024, "{memory} bytes");
    for client in &mut clients {
        client.close_write();
        client.expect_closed();
    }
}

#[test]
fn a_client_without_a_password_may_not_announce_much() {
    let single = RedisServer::options().password("secret").start();
    let server = RedisServer::start();
    let proxy = KeywayProxy::options().config("session_auth = \"secret\"").over([&server]).start();
    for input in ["*11\r\n", "*1\r\n$16385\r\n"] {
        let unauthenticated = |addr| {
            let client = RawClient::connect(addr).with_deadline(Duration::from_secs(5));
            answer(client, input.as_bytes(), Fate::Closed)
        };
        assert_eq!(unauthenticated(proxy.addr()), unauthenticated(single.addr()), "{input:?}");
    }
}
