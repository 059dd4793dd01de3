//! Goal: S-1 to S-4 and the accounting, against a shadow model. Method: requests of every kind are
//! entered and answered in any interleaving; after each step the model says what must have left.

use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use command::{Args, CommandTable, Plan};
use proptest::prelude::*;
use proptest::sample::Index;
use resp::request::{Framed, RequestFramer};

use super::super::*;

static COMMANDS: LazyLock<CommandTable> = LazyLock::new(|| CommandTable::load().unwrap());

const FAILURE: &str = "ERR backend connection was lost";

/// What arrives for one request: whole replies, pieces, failures; per part of a fan-out.
#[derive(Clone, Debug)]
struct Script {
    request_bytes: u32,
    is_muted: bool,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Local(usize),
    /// A reply in pieces of these lengths; its end is a failure when `fails`.
    Backend {
        pieces: Vec<usize>,
        fails: bool,
    },
    /// An MGET in parts: per part the length of each of its two values, in how many pieces it
    /// comes, and whether it fails instead.
    FanOut(Vec<(usize, usize, bool)>),
}

/// One arrival.
#[derive(Clone, Debug)]
enum Arrival {
    Local(Vec<u8>),
    Bytes { part: u16, piece: Piece, bytes: Vec<u8> },
    Failure { part: u16 },
}

/// A request that was entered, with what has arrived and what is still to come.
struct Shadow {
    script: Script,
    ticket: Ticket,
    /// Per part, what is still to come, the next one last.
    to_come: Vec<Vec<Arrival>>,
    /// Bytes that have arrived of a plain reply.
    arrived: Vec<u8>,
    /// Bytes that the window keeps for it while it waits.
    kept: usize,
    /// The whole reply, for the client.
    reply: Vec<u8>,
    is_fan_out: bool,
}

fn len() -> impl Strategy<Value = usize> {
    prop_oneof![
        6 => 1_usize..100,
        2 => 4090_usize..4100,
        1 => Just(20_000_usize),
    ]
}

fn script() -> impl Strategy<Value = Script> {
    let kind = prop_oneof![
        2 => len().prop_map(Kind::Local),
        5 => (proptest::collection::vec(len(), 1..4), prop::bool::weighted(0.15))
            .prop_map(|(pieces, fails)| Kind::Backend { pieces, fails }),
        3 => proptest::collection::vec((len(), 1_usize..4, prop::bool::weighted(0.15)), 2..4)
            .prop_map(Kind::FanOut),
    ];
    (1_u32..1000, prop::bool::weighted(0.2), kind)
        .prop_map(|(request_bytes, is_muted, kind)| Script { request_bytes, is_muted, kind })
}

fn failure_text() -> Vec<u8> {
    format!("-{}\r\n", FAILURE).into_bytes()
}

fn bulk(len: usize, byte: u8) -> Vec<u8> {
    let mut bulk = format!("${len}\r\n").into_bytes();
    bulk.resize(bulk.len() + len, byte);
    bulk.extend_from_slice(b"\r\n");
    bulk
}

/// Cuts a reply into about that many pieces; the last one comes last.
fn cut(part: u16, reply: &[u8], pieces: usize) -> Vec<Arrival> {
    let chunks: Vec<_> = reply.chunks(reply.len().div_ceil(pieces)).collect();
    let last = chunks.len() - 1;
    let piece_at = |index| match index {
        0 if last == 0 => Piece::Whole,
        index if index == last => Piece::Last,
        _ => Piece::More,
    };
    let arrivals = chunks.iter().enumerate().map(|(index, chunk)| Arrival::Bytes {
        part,
        piece: piece_at(index),
        bytes: chunk.to_vec(),
    });
    arrivals.collect()
}

/// A merge of an MGET of two keys per part, keys and parts taking turns.
fn merge_of(parts: usize) -> Merge {
    let keys: Vec<_> = (0..parts * 2).map(|key| format!("key:{key}")).collect();
    let slots: Vec<_> = keys.iter().map(|key| routing::slot_of(key.as_bytes())).collect();
    let mut request = vec![&b"MGET"[..]];
    request.extend(keys.iter().map(String::as_bytes));
    let mut frame = Vec::new();
    resp::encode::request(&mut frame, &request);
    let mut spans = Vec::new();
    let mut framer = RequestFramer::new(resp::request::RequestLimits::default());
    assert!(matches!(framer.next(&frame, &mut spans), Ok(Framed::Request { .. })));
    let Plan::FanOut(fan_out) = COMMANDS.plan(&Args::new(&frame, &spans)).plan else {
        panic!("the keys lie in different slots");
    };
    let part_of = |_, slot| slots.iter().position(|known| *known == slot).unwrap() % parts;
    let (made, merge) = fan_out.split(&frame, part_of, &mut Vec::new());
    assert_eq!(made.len(), parts);
    merge
}

impl Shadow {
    fn new(script: Script, ticket: Ticket, number: usize) -> Self {
        let byte = b'a' + u8::try_from(number % 26).unwrap();
        let mut reply = Vec::new();
        let mut to_come = Vec::new();
        match &script.kind {
            Kind::Local(len) => {
                reply = vec![byte; *len];
                to_come.push(vec![Arrival::Local(reply.clone())]);
            }
            Kind::Backend { pieces, fails } => {
                let last = pieces.len() - 1;
                let mut arrivals = Vec::new();
                for (index, len) in pieces.iter().enumerate() {
                    let piece = match index {
                        _ if index < last || *fails => Piece::More,
                        0 => Piece::Whole,
                        _ => Piece::Last,
                    };
                    let bytes = vec![byte; *len];
                    reply.extend_from_slice(&bytes);
                    arrivals.push(Arrival::Bytes { part: 0, piece, bytes });
                }
                if *fails {
                    reply = failure_text();
                    arrivals.push(Arrival::Failure { part: 0 });
                    // Half of the failures come before any piece.
                    if number.is_multiple_of(2) {
                        arrivals.drain(..arrivals.len() - 1);
                    }
                }
                to_come.push(arrivals);
            }
            Kind::FanOut(parts) => {
                for (part, (len, pieces, fails)) in (0_u16..).zip(parts) {
                    let value = bulk(*len, byte);
                    let part_reply = [&b"*2\r\n"[..], &value, &value].concat();
                    let mut arrivals = cut(part, &part_reply, *pieces);
                    if *fails {
                        arrivals.pop();
                        arrivals.push(Arrival::Failure { part });
                    }
                    to_come.push(arrivals);
                }
                reply = if parts.iter().any(|(_, _, fails)| *fails) {
                    failure_text()
                } else {
                    // Two rounds over the parts: the keys take turns among them.
                    let values = [parts, parts].into_iter().flatten();
                    let mut reply = format!("*{}\r\n", parts.len() * 2).into_bytes();
                    values.for_each(|(len, _, _)| reply.extend(bulk(*len, byte)));
                    reply
                };
            }
        }
        to_come.iter_mut().for_each(|arrivals| arrivals.reverse());
        let is_fan_out = matches!(script.kind, Kind::FanOut(_));
        Self { script, ticket, to_come, arrived: Vec::new(), kept: 0, reply, is_fan_out }
    }

    fn is_settled(&self) -> bool {
        self.to_come.iter().all(Vec::is_empty)
    }

    /// What of it the client has when nothing precedes it.
    fn visible(&self) -> &[u8] {
        match (self.script.is_muted, self.is_settled()) {
            (true, _) => &[],
            (false, true) => &self.reply,
            (false, false) => &self.arrived,
        }
    }

    /// The bytes that the window holds for it, at the head or behind it.
    fn kept(&self, is_head: bool) -> usize {
        if is_head && !self.is_fan_out { 0 } else { self.kept }
    }
}

/// The window, the client's end of it, and the model.
struct Trial {
    window: ReplyWindow,
    out: OutBuffer,
    client: Vec<u8>,
    shadows: Vec<Shadow>,
}

impl Trial {
    fn new(head: u32) -> Self {
        let limits = WindowLimits { requests_max: usize::MAX, bytes_max: usize::MAX };
        let mut window = ReplyWindow::new(limits);
        window.head = head;
        Self { window, out: OutBuffer::default(), client: Vec::new(), shadows: Vec::new() }
    }

    fn enter(&mut self, script: Script) {
        let ticket = self.window.enter(script.request_bytes, script.is_muted, Tag::default());
        if let Kind::FanOut(parts) = &script.kind {
            self.window.plan_merge(ticket, merge_of(parts.len()));
        }
        self.shadows.push(Shadow::new(script, ticket, self.shadows.len()));
    }

    /// Lets the next arrival of some unsettled request's part come in. False when the client must
    /// be closed.
    fn arrive(&mut self, choice: Index) -> Result<bool, TestCaseError> {
        let open: Vec<_> = self
            .shadows
            .iter()
            .enumerate()
            .flat_map(|(request, shadow)| {
                let parts = shadow.to_come.iter().enumerate();
                parts.filter(|(_, left)| !left.is_empty()).map(move |(part, _)| (request, part))
            })
            .collect();
        if open.is_empty() {
            return Ok(true);
        }
        let (request, part) = open[choice.index(open.len())];
        let is_head = self.head() == Some(request);
        let shadow = &mut self.shadows[request];
        let ticket = shadow.ticket;
        match shadow.to_come[part].pop().unwrap() {
            Arrival::Local(reply) => {
                shadow.kept += reply.len();
                self.window.settle_local(ticket, &mut self.out, |out| out.extend(reply));
            }
            Arrival::Bytes { part, piece, bytes } => {
                shadow.kept += bytes.len();
                shadow.arrived.extend(bytes.iter().filter(|_| !shadow.is_fan_out));
                // In the middle of a read that holds the replies of others, too.
                let data = Bytes::from([b"<<<", &bytes[..], b">>>"].concat());
                let range = 3..3 + bytes.len();
                self.window.settle(ticket, part, piece, &data, range, &mut self.out);
            }
            Arrival::Failure { part } => {
                let is_begun = !shadow.arrived.is_empty() && !shadow.script.is_muted;
                if !shadow.is_fan_out {
                    shadow.kept = 0;
                }
                shadow.kept += failure_text().len();
                let settled = self.window.settle_failed(ticket, part, FAILURE, &mut self.out);
                let must_close = is_head && is_begun;
                prop_assert_eq!(settled == Settled::Broken, must_close, "S-4");
                return Ok(!must_close);
            }
        }
        Ok(true)
    }

    /// The first request without its whole reply.
    fn head(&self) -> Option<usize> {
        self.shadows.iter().position(|shadow| !shadow.is_settled())
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        let mut cx = Context::from_waker(Waker::noop());
        let (_, flushed) = self.out.poll_flush(&mut cx, &mut self.client);
        prop_assert!(matches!(flushed, Poll::Ready(Ok(()))));
        let head = self.head();
        let left = self.shadows.iter().take(head.map_or(usize::MAX, |head| head + 1));
        let expected: Vec<u8> = left.flat_map(Shadow::visible).copied().collect();
        prop_assert!(self.client == expected, "S-1, S-2, S-4: the client's bytes");

        let waiting = &self.shadows[head.unwrap_or(self.shadows.len())..];
        let bytes: usize = waiting.iter().map(|shadow| shadow.script.request_bytes as usize).sum();
        prop_assert_eq!(self.window.request_bytes, bytes, "S-3");
        prop_assert_eq!(self.window.len(), waiting.len());
        let kept: usize =
            waiting.iter().enumerate().map(|(index, shadow)| shadow.kept(index == 0)).sum();
        let window = &self.window;
        prop_assert_eq!(window.held_live + window.segment_bytes, kept, "retained bytes");
        let waste = window.held.len() - window.held_live;
        prop_assert!(waste <= HELD_WASTE_MIN.max(window.held_live), "{waste} bytes wasted");
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn replies_leave_whole_and_in_order_whatever_order_they_come_in(
        scripts in proptest::collection::vec(script(), 1..25),
        steps in proptest::collection::vec((any::<bool>(), any::<Index>()), 1..80),
        rest in any::<Index>(),
        // Near the end of the range of tickets, so that they wrap.
        head in prop_oneof![Just(0_u32), Just(u32::MAX - 7)],
    ) {
        let mut trial = Trial::new(head);
        let mut scripts = scripts.into_iter();
        for (enters, choice) in steps {
            match if enters { scripts.next() } else { None } {
                Some(script) => trial.enter(script),
                None if !trial.arrive(choice)? => return Ok(()),
                None => {}
            }
            trial.check()?;
        }
        while trial.head().is_some() {
            if !trial.arrive(rest)? {
                return Ok(());
            }
            trial.check()?;
        }
        prop_assert!(trial.window.is_empty());
        prop_assert_eq!(trial.window.retained_bytes(), 0);
        trial.window.shrink();
        prop_assert!(trial.window.entries.capacity() <= ENTRIES_KEPT_MAX);
        prop_assert_eq!(trial.window.held.capacity(), 0);
    }
}
