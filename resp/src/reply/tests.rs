//! Replies of all types at every split point, and what is refused.

use super::*;
use proptest::prelude::*;

/// Feeds `bytes` in pieces of the given lengths (the last one repeats) and returns the lengths of
/// the replies and how the stream ended.
fn stream(bytes: &[u8], pieces: &[usize]) -> (Vec<usize>, Result<(), ReplyError>) {
    let mut framer = ReplyFramer::default();
    let mut lengths = Vec::new();
    let (mut start, mut position, mut arrived, mut needed) = (0, 0, 0, 0);
    let mut pieces = pieces.iter().chain(pieces.last().into_iter().cycle());
    loop {
        assert_eq!(framer.is_between_replies(), position == start);
        match framer.scan(&bytes[position..arrived]) {
            Ok(ReplyScan::Complete { len }) => {
                position += len;
                assert!(position <= arrived && position > start);
                assert!(position >= needed, "`missing` promised too much");
                lengths.push(position - start);
                start = position;
            }
            Ok(ReplyScan::Partial { len, missing }) => {
                assert!(missing > 0);
                position += len;
                assert!(position <= arrived);
                needed = needed.max(arrived + missing);
                if arrived == bytes.len() {
                    return (lengths, Ok(()));
                }
                arrived = bytes.len().min(arrived + pieces.next().unwrap());
            }
            Err(error) => return (lengths, Err(error)),
        }
    }
}

/// One reply of every kind and form, each complete.
const REPLIES: &[&str] = &[
    "+OK\r\n",
    "+PONG\r\n",
    "+\r\n",
    "+a\rb\nc\r\n",
    "-ERR no\r\n",
    ":1\r\n",
    ":-12\r\n",
    ":1234567890\r\n",
    "$0\r\n\r\n",
    "$1\r\na\r\n",
    "$4\r\n\r\n\r\n\r\n",
    "$12\r\nabcdefghijkl\r\n",
    "$-1\r\n",
    "*-1\r\n",
    "*0\r\n",
    "*3\r\n$1\r\na\r\n$-1\r\n:7\r\n",
    "*2\r\n*2\r\n*0\r\n*-1\r\n*1\r\n*1\r\n+a\r\n",
    "_\r\n",
    ",1.5\r\n",
    "#t\r\n",
    "(123456789012345678901234567890\r\n",
    "!8\r\nERR a\r\nb\r\n",
    "=8\r\ntxt:abcd\r\n",
    "%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n",
    "%0\r\n",
    "~2\r\n+a\r\n+b\r\n",
    ">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n",
    "|1\r\n+ttl\r\n:9\r\n$1\r\na\r\n",
    "|0\r\n+a\r\n",
    "*2\r\n|1\r\n+ttl\r\n:9\r\n:1\r\n:2\r\n",
];

#[test]
fn every_kind_of_reply_ends_where_it_ends_at_every_split() {
    for reply in REPLIES {
        let bytes = [reply, "+next\r\n"].concat().into_bytes();
        for split in 1..=bytes.len() {
            let expected = (vec![reply.len(), 7], Ok(()));
            assert_eq!(stream(&bytes, &[split, bytes.len()]), expected, "{reply:?} at {split}");
        }
    }
}

#[test]
fn pipelined_replies_are_the_same_in_any_pieces() {
    let bytes = REPLIES.concat().into_bytes();
    let lengths: Vec<usize> = REPLIES.iter().map(|reply| reply.len()).collect();
    for piece in 1..=bytes.len() {
        assert_eq!(stream(&bytes, &[piece]), (lengths.clone(), Ok(())), "pieces of {piece}");
    }
}

#[test]
fn an_unfinished_line_is_shown_again() {
    let mut framer = ReplyFramer::default();
    let partial = |len, missing| Ok(ReplyScan::Partial { len, missing });
    assert_eq!(framer.scan(b""), partial(0, 1));
    assert_eq!(framer.scan(b"$1"), partial(0, 1));
    assert!(framer.is_between_replies(), "nothing has been taken");
    assert_eq!(framer.scan(b"*2\r\n+a\r\n$1"), partial(8, 1));
    assert!(!framer.is_between_replies());
    assert_eq!(framer.scan(b"$10\r\nab"), partial(7, 10));
    assert_eq!(framer.scan(b"cdefghij\r"), partial(9, 1));
    assert_eq!(framer.scan(b""), partial(0, 1));
    assert_eq!(framer.scan(b"\n+"), Ok(ReplyScan::Complete { len: 1 }));
    assert!(framer.is_between_replies());
}

#[test]
fn the_rest_of_a_large_bulk_is_announced() {
    let mut framer = ReplyFramer::default();
    let scan = framer.scan(b"$536870912\r\n");
    assert_eq!(scan, Ok(ReplyScan::Partial { len: 12, missing: 536_870_914 }));
    let chunk = vec![0; 1024 * 1024];
    for left in (1..512).rev() {
        let missing = left * chunk.len() + 2;
        assert_eq!(framer.scan(&chunk), Ok(ReplyScan::Partial { len: chunk.len(), missing }));
    }
    assert_eq!(framer.scan(&chunk), Ok(ReplyScan::Partial { len: chunk.len(), missing: 2 }));
    assert_eq!(framer.scan(b"\r\n"), Ok(ReplyScan::Complete { len: 2 }));
}

#[test]
fn malformed_replies_are_refused_at_every_split() {
    for (bytes, error) in [
        ("x", ReplyError::UnknownType(b'x')),
        ("\r\n", ReplyError::UnknownType(b'\r')),
        ("$?\r\n", ReplyError::Streamed(b'$')),
        ("*?\r\n", ReplyError::Streamed(b'*')),
        ("$-2\r\n", ReplyError::InvalidLength(b'$')),
        ("%-1\r\n", ReplyError::InvalidLength(b'%')),
        ("!-1\r\n", ReplyError::InvalidLength(b'!')),
        ("$01\r\n", ReplyError::InvalidLength(b'$')),
        ("$\r\n", ReplyError::InvalidLength(b'$')),
        ("*1\n", ReplyError::InvalidLength(b'*')),
        ("$11111111111111111111111111111111", ReplyError::InvalidLength(b'$')),
        ("$536870913\r\n", ReplyError::BulkTooLong(536_870_913)),
        ("*2147483648\r\n", ReplyError::TooManyElements),
        ("$1\r\nabc", ReplyError::BulkNotTerminated),
        ("$1\r\na\rc", ReplyError::BulkNotTerminated),
        ("*2\r\n:1\r\n*1\r\n?", ReplyError::UnknownType(b'?')),
    ] {
        for piece in 1..=bytes.len() {
            let end = stream(bytes.as_bytes(), &[piece]).1;
            assert_eq!(end, Err(error), "{bytes:?} in pieces of {piece}");
        }
    }
}

#[test]
fn a_line_may_have_64_kib() {
    let longest = format!("+{}\r\n", "a".repeat(LINE_BYTES_MAX - 3));
    assert_eq!(stream(longest.as_bytes(), &[1000]), (vec![LINE_BYTES_MAX], Ok(())));
    let longer = format!("+a{}", &longest[1..]);
    assert_eq!(stream(longer.as_bytes(), &[1000]).1, Err(ReplyError::LineTooLong));
}

/// No stack, so no depth that could exhaust it; and the count of what is due cannot overflow.
#[test]
fn nesting_costs_nothing() {
    let depth = 100_000;
    let mut bytes = b"*1\r\n".repeat(depth);
    bytes.extend_from_slice(b":1\r\n");
    assert_eq!(stream(&bytes, &[4096]), (vec![bytes.len()], Ok(())));
    let bytes = b"%2147483647\r\n".repeat(depth);
    assert_eq!(stream(&bytes, &[4096]), (vec![], Ok(())));
    let mut full = ReplyFramer { due: u64::MAX, body: 0 };
    assert_eq!(full.scan(b"*2\r\n"), Err(ReplyError::TooManyElements));
    assert!(size_of::<ReplyFramer>() <= 16);
}

#[test]
fn the_elements_of_an_array_are_its_raw_replies() {
    let reply = b"*4\r\n$1\r\na\r\n*2\r\n:1\r\n:2\r\n$-1\r\n|1\r\n+k\r\n+v\r\n+x\r\n";
    let elements = elements(reply).unwrap();
    assert_eq!(elements.len(), 4);
    let parts: Result<Vec<&[u8]>, _> = elements.collect();
    let expected: [&[u8]; 4] =
        [b"$1\r\na\r\n", b"*2\r\n:1\r\n:2\r\n", b"$-1\r\n", b"|1\r\n+k\r\n+v\r\n+x\r\n"];
    assert_eq!(parts.unwrap(), expected);
    assert!(super::elements(b"*0\r\n").unwrap().is_empty());
    assert_eq!(super::elements(b"~1\r\n:1\r\n").unwrap().len(), 1);
    assert_eq!(super::elements(b"|1\r\n+k\r\n+v\r\n*1\r\n:1\r\n").unwrap().len(), 1);
}

#[test]
fn elements_of_something_else_are_refused() {
    for reply in ["+OK\r\n", "$1\r\na\r\n", "*-1\r\n", "%1\r\n+a\r\n+b\r\n", "", "|1\r\n+a\r\n"] {
        let refused = elements(reply.as_bytes()).map(|elements| elements.len());
        assert_eq!(refused, Err(ReplyError::NotAnArray), "{reply:?}");
    }
    assert_eq!(elements(b"*1").err(), Some(ReplyError::Incomplete));
    let truncated: Vec<_> = elements(b"*9\r\n:1\r\n$5\r\nab").unwrap().collect();
    assert_eq!(truncated, [Ok(&b":1\r\n"[..]), Err(ReplyError::Incomplete)]);
    let garbled: Vec<_> = elements(b"*9\r\nx").unwrap().collect();
    assert_eq!(garbled, [Err(ReplyError::UnknownType(b'x'))]);
}

#[test]
fn integers_and_errors_are_recognised() {
    for (reply, value) in [
        (":0\r\n", Some(0)),
        (":-5\r\n", Some(-5)),
        (":9223372036854775807\r\n", Some(i64::MAX)),
        ("|1\r\n+k\r\n+v\r\n:7\r\n", Some(7)),
        (":\r\n", None),
        (":1x\r\n", None),
        (":1", None),
        ("+1\r\n", None),
        ("", None),
    ] {
        assert_eq!(integer(reply.as_bytes()), value, "{reply:?}");
    }
    assert!(is_error(b"-ERR no\r\n") && is_error(b"!3\r\nERR\r\n"));
    assert!(is_error(b"|1\r\n+k\r\n+v\r\n-ERR no\r\n"), "behind an attribute");
    assert!(!is_error(b"+OK\r\n") && !is_error(b"") && !is_error(b"*1\r\n-ERR no\r\n"));
}

/// Bytes that look enough like replies to get deep into the framer.
fn any_garbage() -> impl Strategy<Value = Vec<u8>> {
    let parts = vec![
        "*",
        "$",
        "%",
        "|",
        "+",
        ":",
        "-",
        "\r\n",
        "\r",
        "\n",
        "0",
        "1",
        "2",
        "-1",
        "abc",
        "+a\r\n",
        "*2\r\n",
        "$1\r\na\r\n",
        "|1\r\n",
        "%1\r\n",
        "$3\r\n",
        "?",
        "~",
        ">1\r\n",
        "_\r\n",
        "x",
    ];
    prop::collection::vec(prop::sample::select(parts), 0..20)
        .prop_map(|parts| parts.concat().into_bytes())
}

proptest! {
    #[test]
    fn garbage_is_read_the_same_at_every_split(bytes in any_garbage()) {
        let whole = stream(&bytes, &[bytes.len().max(1)]);
        for split in 1..=bytes.len() {
            prop_assert_eq!(&stream(&bytes, &[split, 1]), &whole, "split at {}", split);
        }
    }

    #[test]
    fn the_helpers_accept_any_bytes(bytes in any_garbage()) {
        if let Ok(elements) = elements(&bytes) {
            let taken: usize = elements.flatten().map(<[u8]>::len).sum();
            prop_assert!(taken <= bytes.len());
        }
        let _ = (integer(&bytes), is_error(&bytes));
    }
}
