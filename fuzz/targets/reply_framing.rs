//! Framing and decoding of backend replies: any bytes, arriving in any pieces.
//!
//! Protects these properties:
//! * no bytes make framer, element walk or decoder panic, loop or reach beyond their input;
//! * the pieces in which bytes arrive change neither where replies end nor the verdict;
//! * `missing` never promises more than what was really needed, so nobody waits for ever;
//! * the elements of an array are all of it, without gap or overlap;
//! * the decoder agrees with the framer about the length, and a decoded reply encodes to bytes
//!   that decode to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use resp::ReplyError;
use resp::encode;
use resp::reply;
use resp::reply::ReplyFramer;
use resp::reply::ReplyScan;
use resp::value::Value;

/// The lengths of the replies, and how the stream ended.
type Stream = (Vec<usize>, Result<(), ReplyError>);

fuzz_target!(|input: &[u8]| {
    let Some((&[piece], bytes)) = input.split_first_chunk() else {
        return;
    };
    let at_once = stream(bytes, |_| bytes.len());
    let pieces = |turn: usize| 1 + usize::from(piece.rotate_left(turn as u32 % 8)) * (turn % 5);
    assert_eq!(at_once, stream(bytes, pieces), "in random pieces");
    if bytes.len() < 256 {
        assert_eq!(at_once, stream(bytes, |_| 1), "byte by byte");
    }
    let mut rest = bytes;
    for len in at_once.0 {
        check_reply(&rest[..len]);
        rest = &rest[len..];
    }
});

/// Plays a backend whose `n`th write has `piece(n)` bytes.
fn stream(bytes: &[u8], piece: impl Fn(usize) -> usize) -> Stream {
    let mut framer = ReplyFramer::default();
    let mut lengths = Vec::new();
    let (mut start, mut position, mut arrived, mut needed) = (0, 0, 0, 0);
    let mut turns = 0;
    loop {
        assert!(position > start || framer.is_between_replies());
        let shown = &bytes[position..arrived];
        match framer.scan(shown) {
            Ok(ReplyScan::Complete { len }) => {
                assert!(len <= shown.len(), "a frame lies within what was shown");
                position += len;
                assert!(position > start, "a reply has at least one byte");
                assert!(
                    position >= needed,
                    "`missing` promised bytes that were not needed"
                );
                lengths.push(position - start);
                start = position;
                assert!(framer.is_between_replies());
            }
            Ok(ReplyScan::Partial { len, missing }) => {
                assert!(len <= shown.len(), "a frame lies within what was shown");
                assert!(missing > 0, "an incomplete reply misses something");
                position += len;
                needed = needed.max(arrived + missing);
                if arrived == bytes.len() {
                    return (lengths, Ok(()));
                }
                arrived = bytes.len().min(arrived + piece(turns).max(1));
                turns += 1;
            }
            Err(error) => return (lengths, Err(error)),
        }
    }
}

/// Reads one complete reply in all the other ways there are.
fn check_reply(bytes: &[u8]) {
    if let Ok(elements) = reply::elements(bytes) {
        let mut joined = Vec::new();
        encode::array_header(&mut joined, elements.len());
        elements.for_each(|element| joined.extend_from_slice(element.expect("complete reply")));
        // The type byte may be another one, and an attribute may stand before it.
        assert!(
            bytes.ends_with(&joined[1..]),
            "the elements are the whole array"
        );
    }
    // Framing does not look into numbers and has no limit of depth; decoding has both.
    let Ok(decoded) = Value::decode(bytes) else {
        return;
    };
    let (value, len) = decoded.expect("the framer found this reply complete");
    assert_eq!(len, bytes.len(), "framer and decoder disagree");
    assert_eq!(reply::is_error(bytes), value.as_error().is_some());
    if let Some(number) = reply::integer(bytes) {
        assert_eq!(value, Value::Integer(number));
    }
    let mut encoded = Vec::new();
    value.encode(&mut encoded);
    let (again, _) = Value::decode(&encoded)
        .expect("our own encoding")
        .expect("is complete");
    let mut encoded_again = Vec::new();
    again.encode(&mut encoded_again);
    // Compared as bytes: a double that is not a number differs from itself.
    assert_eq!(encoded, encoded_again, "decoding is not stable");
}
