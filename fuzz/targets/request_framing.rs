//! Framing of client requests: any bytes, arriving in any pieces.
//!
//! Protects these properties:
//! * no bytes make the framer panic, loop or reach beyond what it was shown;
//! * the pieces in which bytes arrive change neither requests nor the verdict;
//! * `missing` never promises more than what was really needed, so nobody waits for ever;
//! * an accepted request is, byte for byte, the one encoding of its arguments. So every strict
//!   reader, and the server it is forwarded to, sees the same arguments.
#![no_main]

use libfuzzer_sys::fuzz_target;
use resp::ProtocolError;
use resp::encode;
use resp::request::Framed;
use resp::request::RequestFramer;
use resp::request::RequestLimits;
use resp::request::Span;

/// Small enough for a fuzzer to reach and exceed each of them.
const SMALL: RequestLimits = RequestLimits {
    bulk_bytes_max: 1000,
    elements_max: 600,
    inline_bytes_max: 6000,
    request_bytes_max: 5000,
};

/// Requests as lists of arguments, and how the stream ended.
type Session = (Vec<Vec<Vec<u8>>>, Result<(), ProtocolError>);

fuzz_target!(|input: &[u8]| {
    let Some((&[choice, piece], bytes)) = input.split_first_chunk() else {
        return;
    };
    let limits = if choice % 2 == 0 {
        SMALL
    } else {
        RequestLimits::default()
    };
    let at_once = session(limits, bytes, |_| bytes.len());
    let pieces = |turn: usize| 1 + usize::from(piece.rotate_left(turn as u32 % 8)) * (turn % 5);
    assert_eq!(at_once, session(limits, bytes, pieces), "in random pieces");
    // A small input is worth the dearest split of all.
    if bytes.len() < 256 {
        assert_eq!(at_once, session(limits, bytes, |_| 1), "byte by byte");
    }
});

/// Plays a client whose `n`th write has `piece(n)` bytes.
fn session(limits: RequestLimits, bytes: &[u8], piece: impl Fn(usize) -> usize) -> Session {
    let mut framer = RequestFramer::new(limits);
    let mut args = Vec::new();
    let mut requests = Vec::new();
    let (mut start, mut arrived, mut needed) = (0, 0, 0);
    let mut turns = 0;
    loop {
        let shown = &bytes[start..arrived];
        let len = match framer.next(shown, &mut args) {
            Ok(Framed::Request { len }) => {
                requests.push(checked(&args, &shown[..len]));
                len
            }
            Ok(Framed::Inline { len, encoded }) => {
                requests.push(checked(&args, &encoded));
                len
            }
            Ok(Framed::Skip { len }) => len,
            Ok(Framed::Incomplete { missing }) => {
                assert!(missing > 0, "an incomplete request misses something");
                needed = needed.max(arrived + missing);
                if arrived == bytes.len() {
                    return (requests, Ok(()));
                }
                arrived = bytes.len().min(arrived + piece(turns).max(1));
                turns += 1;
                // Other sessions share the scratch.
                args.push(Span { start: 7, end: 9 });
                continue;
            }
            Err(error) => return (requests, Err(error)),
        };
        assert!(
            len > 0 && len <= shown.len(),
            "a frame lies within what was shown"
        );
        start += len;
        assert!(
            start >= needed,
            "`missing` promised bytes that were not needed"
        );
    }
}

/// The arguments of a request that is exactly their encoding.
fn checked(args: &[Span], request: &[u8]) -> Vec<Vec<u8>> {
    let slices: Vec<&[u8]> = args
        .iter()
        .map(|span| &request[span.start as usize..span.end as usize])
        .collect();
    let mut encoded = Vec::new();
    encode::request(&mut encoded, &slices);
    assert_eq!(
        encoded, request,
        "another encoding of the same request was accepted"
    );
    slices.into_iter().map(<[u8]>::to_vec).collect()
}
