use super::*;

#[test]
fn replies_become_values() {
    let number = Value::Number;
    for (bytes, value) in [
        (b"+OK\r\n".as_slice(), Value::Text("OK".into())),
        (b"-ERR no\r\n", Value::Error("ERR no".into())),
        (b":-7\r\n", number(-7)),
        (b"$-1\r\n", Value::Bulk(None)),
        (b"$4\r\na\r\nb\r\n", Value::Bulk(Some(b"a\r\nb".to_vec()))),
        (b"*-1\r\n", Value::Array(Vec::new())),
        (
            b"*3\r\n:1\r\n*2\r\n:2\r\n$0\r\n\r\n:3\r\n",
            Value::Array(vec![
                number(1),
                Value::Array(vec![number(2), Value::Bulk(Some(Vec::new()))]),
                number(3),
            ]),
        ),
    ] {
        assert_eq!(Value::read(bytes), value, "{}", bytes.escape_ascii());
    }
}

#[test]
fn what_is_no_reply_becomes_an_error() {
    for bytes in [b"".as_slice(), b"$4\r\nab", b"hello\r\n", b":x\r\n"] {
        assert!(matches!(Value::read(bytes), Value::Error(_)), "{}", bytes.escape_ascii());
    }
}
