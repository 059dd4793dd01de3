//! Requests at every split point, with neighbours, up to every limit, and as Redis refuses them.

use super::*;
use proptest::prelude::*;

type Args = Vec<Vec<u8>>;

/// Feeds `bytes` in pieces of the given lengths (the last one repeats) and returns the requests
/// and how the stream ended.
fn session_with(
    limits: RequestLimits,
    bytes: &[u8],
    pieces: &[usize],
) -> (Vec<Args>, Result<(), ProtocolError>) {
    let mut framer = RequestFramer::new(limits);
    let (mut args, mut requests) = (Vec::new(), Vec::new());
    let (mut start, mut arrived, mut needed) = (0, 0, 0);
    let mut pieces = pieces.iter().chain(pieces.last().into_iter().cycle());
    loop {
        let shown = &bytes[start..arrived];
        let mut keep = |args: &[Span], request: &[u8]| {
            requests.push(args.iter().map(|span| span.of(request).to_vec()).collect());
        };
        let len = match framer.next(shown, &mut args) {
            Ok(Framed::Request { len }) => {
                keep(&args, &shown[..len]);
                len
            }
            Ok(Framed::Inline { len, encoded }) => {
                keep(&args, &encoded);
                len
            }
            Ok(Framed::Skip { len }) => len,
            Ok(Framed::Incomplete { missing }) => {
                assert!(missing > 0);
                needed = needed.max(arrived + missing);
                if arrived == bytes.len() {
                    return (requests, Ok(()));
                }
                arrived = bytes.len().min(arrived + pieces.next().unwrap());
                // Another session uses the scratch in between.
                args.push(Span { start: 1, end: 2 });
                continue;
            }
            Err(error) => return (requests, Err(error)),
        };
        start += len;
        assert!(start >= needed, "`missing` promised too much");
        assert!(framer.progress.is_none(), "nothing is kept between requests");
    }
}

fn session(bytes: &[u8], pieces: &[usize]) -> (Vec<Args>, Result<(), ProtocolError>) {
    session_with(RequestLimits::default(), bytes, pieces)
}

fn encoded(args: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    encode::request(&mut out, &args.iter().map(Vec::as_slice).collect::<Vec<_>>());
    out
}

fn refusal(bytes: &[u8]) -> String {
    session(bytes, &[bytes.len()]).1.expect_err(&bytes.escape_ascii().to_string()).to_string()
}

#[test]
fn an_array_is_framed_with_its_arguments() {
    let mut args = Vec::new();
    let mut framer = RequestFramer::new(RequestLimits::default());
    let framed = framer.next(b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n*1", &mut args);
    assert_eq!(framed, Ok(Framed::Request { len: 22 }));
    assert_eq!(args, [Span { start: 8, end: 11 }, Span { start: 17, end: 20 }]);
}

#[test]
fn an_inline_request_is_the_same_request_as_an_array() {
    let mut args = Vec::new();
    let mut framer = RequestFramer::new(RequestLimits::default());
    let framed = framer.next(b"GET \"a b\" ''\nPING", &mut args);
    let encoded = b"*3\r\n$3\r\nGET\r\n$3\r\na b\r\n$0\r\n\r\n".to_vec();
    let words: Vec<&[u8]> = args.iter().map(|span| span.of(&encoded)).collect();
    assert_eq!(words, [&b"GET"[..], b"a b", b""]);
    assert_eq!(framed, Ok(Framed::Inline { len: 13, encoded }));
}

#[test]
fn empty_requests_are_skipped() {
    for (bytes, len) in [("\r\nx", 2), ("\nx", 1), ("  \t\r\n", 5), ("*0\r\n*", 4), ("*-5\r\n", 5)]
    {
        let mut framer = RequestFramer::new(RequestLimits::default());
        let framed = framer.next(bytes.as_bytes(), &mut Vec::new());
        assert_eq!(framed, Ok(Framed::Skip { len }), "{bytes:?}");
    }
}

#[test]
fn an_incomplete_request_says_what_is_missing() {
    for (bytes, missing) in [
        ("", 1),
        ("*", 1),
        ("*2\r", 1),
        ("*2\r\n", 1),
        ("*1\r\n$10", 1),
        ("*1\r\n$10\r\n", 12),
        ("*1\r\n$10\r\nabc", 9),
        ("*1\r\n$3\r\nabc", 2),
        ("*1\r\n$3\r\nabc\r", 1),
        ("PING\r", 1),
    ] {
        let mut framer = RequestFramer::new(RequestLimits::default());
        let framed = framer.next(bytes.as_bytes(), &mut Vec::new());
        assert_eq!(framed, Ok(Framed::Incomplete { missing }), "{bytes:?}");
    }
}

/// The texts were compared with the answers of a Redis 7.0.15 server.
#[test]
fn redis_texts_are_used_where_redis_refuses() {
    let multibulk = "Protocol error: invalid multibulk length";
    for count in ["x", "", "+1", "01", "-0", "2147483648", "1048577", "99999999999999999999"] {
        assert_eq!(refusal(format!("*{count}\r\n").as_bytes()), multibulk, "{count}");
    }
    let bulk = "Protocol error: invalid bulk length";
    for len in ["-1", "+4", "04", "", "536870913", "4 "] {
        assert_eq!(refusal(format!("*1\r\n${len}\r\nPING\r\n").as_bytes()), bulk, "{len}");
    }
    for (found, shown) in [
        (&b":"[..], ":"),
        (b"x", "x"),
        (b"'", "'"),
        (b"\r", " "),
        // Redis would send the byte itself, which no text can hold.
        (b"\xff", "\\xff"),
        (b"\0", "\\x00"),
    ] {
        let text = format!("Protocol error: expected '$', got '{shown}'");
        assert_eq!(refusal(&[b"*1\r\n", found, b"\r\n"].concat()), text);
    }
    let ones = "1".repeat(70_000);
    let count = "Protocol error: too big mbulk count string";
    assert_eq!(refusal(format!("*{ones}").as_bytes()), count);
    let len = "Protocol error: too big bulk count string";
    assert_eq!(refusal(format!("*1\r\n${ones}").as_bytes()), len);
    assert_eq!(refusal(ones.as_bytes()), "Protocol error: too big inline request");
    assert_eq!(refusal(b"GET \"\n"), "Protocol error: unbalanced quotes in request");
}

#[test]
fn forms_that_redis_reads_leniently_are_refused() {
    for (bytes, text) in [
        (&b"*1\n"[..], "invalid multibulk length"),
        (b"*1\rX", "invalid multibulk length"),
        (b"*1\r\n$4\n", "invalid bulk length"),
        (b"*1\r\n$4\rX", "invalid bulk length"),
        (b"*1\r\n$4\r\nPINGxx", "bulk is not followed by CRLF"),
        (b"*1\r\n$4\r\nPING\n*", "bulk is not followed by CRLF"),
        (b"PING\0\r\n", "zero byte in inline request"),
    ] {
        assert_eq!(refusal(bytes), format!("Protocol error: {text}"), "{}", bytes.escape_ascii());
    }
}

#[test]
fn limits_hold_to_the_byte() {
    let limits = RequestLimits {
        bulk_bytes_max: 20,
        elements_max: 3,
        inline_bytes_max: 30,
        request_bytes_max: 60,
    };
    let refused = |bytes: &str| session_with(limits, bytes.as_bytes(), &[bytes.len()]).1;
    let twenty = "x".repeat(20);
    assert_eq!(refused(&format!("*1\r\n$20\r\n{twenty}\r\n")), Ok(()));
    assert_eq!(refused("*1\r\n$21\r\n"), Err(ProtocolError::InvalidBulkLength));
    assert_eq!(refused("*3\r\n"), Ok(()));
    assert_eq!(refused("*4\r\n"), Err(ProtocolError::InvalidMultibulkLength));
    // 4 for the header, 27 and 7 for each argument: 31 + 29 = 60.
    let first = format!("*2\r\n$20\r\n{twenty}\r\n");
    assert_eq!(refused(&format!("{first}$20\r\n")), Ok(()));
    let too_large = Err(ProtocolError::RequestTooLarge(60));
    assert_eq!(refused(&format!("*3\r\n$20\r\n{twenty}\r\n$20\r\n{twenty}\r\n$2\r\n")), too_large);
    // Inline requests meet the same limits, and their own.
    assert_eq!(refused(&format!("{}\n", " ".repeat(29))), Ok(()));
    assert_eq!(refused(&" ".repeat(30)), Err(ProtocolError::InlineTooLong));
    assert_eq!(refused("a b c d\n"), Err(ProtocolError::InvalidMultibulkLength));
    assert_eq!(refused(&format!("{twenty}x\n")), Err(ProtocolError::InvalidBulkLength));
}

#[test]
fn lengths_near_the_word_size_do_not_overflow() {
    let limits = RequestLimits {
        bulk_bytes_max: usize::MAX,
        elements_max: usize::MAX,
        inline_bytes_max: usize::MAX,
        request_bytes_max: usize::MAX,
    };
    let bytes = format!("*{0}\r\n${0}\r\n", i64::MAX);
    let too_large = Err(ProtocolError::RequestTooLarge(u32::MAX as usize));
    assert_eq!(session_with(limits, bytes.as_bytes(), &[1]).1, too_large);
}

#[test]
fn an_announced_count_reserves_nothing() {
    let mut args = Vec::new();
    let mut framer = RequestFramer::new(RequestLimits::default());
    let framed = framer.next(b"*1048576\r\n$536870912\r\n", &mut args);
    assert_eq!(framed, Ok(Framed::Incomplete { missing: 536_870_914 }));
    assert_eq!(args.capacity(), 0);
    assert!(framer.progress.is_none());
}

/// The framer takes the spans of a large request along, and continues where it stopped.
#[test]
fn a_request_of_a_million_arguments_is_looked_at_once() {
    let count = 1024 * 1024;
    let mut bytes = Vec::new();
    encode::array_header(&mut bytes, count);
    (0..count).for_each(|_| encode::bulk(&mut bytes, b"a"));
    let mut framer = RequestFramer::new(RequestLimits::default());
    let (mut args, mut position) = (Vec::new(), 0);
    for arrived in (64 * 1024..bytes.len()).step_by(64 * 1024) {
        let framed = framer.next(&bytes[..arrived], &mut args);
        assert!(matches!(framed, Ok(Framed::Incomplete { .. })));
        assert_eq!(args.capacity(), 0, "the scratch holds nothing of this session");
        let progress = framer.progress.as_ref().unwrap();
        assert!(progress.position > position && progress.position + 16 > arrived);
        assert!(progress.spans.capacity() <= 2 * arrived / 7 + 16, "spans only for what came");
        position = progress.position;
    }
    let framed = framer.next(&bytes, &mut args);
    assert_eq!(framed, Ok(Framed::Request { len: bytes.len() }));
    assert_eq!(args.len(), count);
    assert_eq!(args.last().unwrap().of(&bytes), b"a");
    assert!(framer.progress.is_none());
}

#[test]
fn an_idle_framer_is_small() {
    assert!(size_of::<RequestFramer>() <= 64);
}

#[test]
fn long_requests_are_the_same_in_any_pieces() {
    let args: Vec<Vec<u8>> = (0..2000).map(|n: u32| n.to_string().into_bytes()).collect();
    let mut bytes = encoded(&args);
    bytes.extend_from_slice(&vec![b'a'; 9000]);
    bytes.extend_from_slice(b" b\nPING\r\n");
    let whole = session(&bytes, &[bytes.len()]);
    assert_eq!(whole.0.len(), 3);
    for piece in [1, 7, 4096, 5000] {
        assert!(session(&bytes, &[piece]) == whole, "in pieces of {piece}");
    }
}

fn any_args() -> impl Strategy<Value = Args> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 1..8)
}

/// One request in either form, or nothing, with what it should be read as.
fn any_piece() -> impl Strategy<Value = (Vec<u8>, Option<Args>)> {
    let nothing = prop::sample::select(vec!["\r\n", "\n", " \n", "*0\r\n", "*-1\r\n"]);
    let inline = prop::collection::vec("[a-z]{1,9}", 1..5);
    prop_oneof![
        4 => any_args().prop_map(|args| (encoded(&args), Some(args))),
        1 => inline.prop_map(|words| {
            let args = words.iter().map(|word| word.clone().into_bytes()).collect();
            (format!("{}\r\n", words.join(" ")).into_bytes(), Some(args))
        }),
        1 => nothing.prop_map(|text| (text.as_bytes().to_vec(), None)),
    ]
}

/// Bytes that look enough like requests to get deep into the framer.
fn any_garbage() -> impl Strategy<Value = Vec<u8>> {
    let parts = vec![
        "*",
        "$",
        "\r\n",
        "\n",
        "\r",
        "1",
        "2",
        "0",
        "-1",
        "3",
        "abc",
        "a",
        "*1\r\n",
        "$1\r\n",
        "\"",
        "'",
        " ",
        "\\",
        "x",
        "\0",
        "9999999999",
        "$3\r\nabc\r\n",
    ];
    prop::collection::vec(prop::sample::select(parts), 0..20)
        .prop_map(|parts| parts.concat().into_bytes())
}

proptest! {
    #[test]
    fn pipelined_requests_are_the_same_at_every_split(
        pieces in prop::collection::vec(any_piece(), 1..5),
    ) {
        let bytes: Vec<u8> = pieces.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        let expected: Vec<Args> = pieces.into_iter().filter_map(|(_, args)| args).collect();
        for split in 1..=bytes.len() {
            let (requests, end) = session(&bytes, &[split, bytes.len()]);
            prop_assert_eq!(end, Ok(()));
            prop_assert_eq!(&requests, &expected, "split at {}", split);
        }
        prop_assert_eq!(session(&bytes, &[1]), (expected, Ok(())));
    }

    #[test]
    fn garbage_is_read_the_same_at_every_split(bytes in any_garbage()) {
        let whole = session(&bytes, &[bytes.len().max(1)]);
        for split in 1..=bytes.len() {
            prop_assert_eq!(&session(&bytes, &[split, 1]), &whole, "split at {}", split);
        }
    }

    /// Nothing but the one canonical encoding is accepted as an array.
    #[test]
    fn an_accepted_array_is_the_encoding_of_its_arguments(garbage in any_garbage()) {
        let bytes = [b"*2\r\n$1\r\n", garbage.as_slice()].concat();
        let mut args = Vec::new();
        let mut framer = RequestFramer::new(RequestLimits::default());
        if let Ok(Framed::Request { len }) = framer.next(&bytes, &mut args) {
            let args: Args = args.iter().map(|span| span.of(&bytes).to_vec()).collect();
            prop_assert_eq!(encoded(&args), &bytes[..len]);
        }
    }
}
