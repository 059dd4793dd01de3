//! Tests of the encoding and of the reply reader.

use super::*;

#[test]
fn a_command_is_an_array_of_bulk_strings() {
    assert_eq!(encode(&["GET", "k1"]), b"*2\r\n$3\r\nGET\r\n$2\r\nk1\r\n");
}

#[test]
fn replies_lose_their_framing() {
    let check = |bytes: &str, expected: &str| {
        assert_eq!(read_reply(&mut bytes.as_bytes()).unwrap(), expected);
    };
    check("+PONG\r\n", "PONG");
    check(":12\r\n", "12");
    check("$4\r\na\r\nb\r\n", "a\r\nb");
    check("$0\r\n\r\n", "");
}

#[test]
fn errors_nulls_and_cut_replies_are_errors() {
    let check = |bytes: &str, expected: &str| {
        let error = read_reply(&mut bytes.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check("-ERR no\r\n", "the server answered `ERR no`");
    check("$-1\r\n", "the key does not exist");
    check("", "the connection was closed");
    check("+PO", "the connection was closed");
    check("$4\r\nab", "read a reply");
    check("*1\r\n", "unexpected reply `*1`");
    check("$x\r\n", "unexpected length `x`");
    check("$999999999\r\n", "a reply of 999999999 bytes is too long");
}
