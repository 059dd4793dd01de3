//! What the clients ask, and what the replies say of each key.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{DATABASES, outcome_of_error};
use crate::history::{Answer, HistoryKey, Operation, Outcome};
use crate::random::Random;
use crate::value::Value;

/// Keys of each kind for each tag and database.
const LISTS: usize = 2;
const REGISTERS: usize = 4;

/// Keys in a request of many.
const MANY: usize = 3;

/// Sets two registers and returns what they were.
const SWAP_TWO: &str = "local old = {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])} \
     redis.call('SET', KEYS[1], ARGV[1]) redis.call('SET', KEYS[2], ARGV[2]) return old";

/// How a reply tells of the keys of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// There is one key.
    One,
    /// The reply is true of each key.
    All,
    /// The reply has one element for each key; nothing is executed for one alone.
    Each,
    /// The reply is a sum over the keys.
    Sum,
}

/// A request, and what it means for its keys.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its bytes.
    pub arguments: Vec<Vec<u8>>,
    /// Its keys.
    pub parts: Vec<(HistoryKey, Operation)>,
    /// How its reply is read.
    pub shape: Shape,
    /// Whether its keys may lie on several servers, so that an error says nothing of the others.
    pub is_split: bool,
}

/// The keys that the clients use.
#[derive(Debug)]
pub struct Keys {
    tags: Vec<String>,
    /// The last value that was written: all values are different.
    values: AtomicU64,
}

impl Keys {
    pub(super) fn new(tags: &[&str]) -> Self {
        Self { tags: tags.iter().map(|tag| (*tag).to_owned()).collect(), values: AtomicU64::new(0) }
    }

    /// A request at random.
    pub(super) fn request(&self, database: u16, random: &mut Random) -> Request {
        let tag = random.pick(&self.tags).clone();
        let list = key("list", pick(random, LISTS), &tag, database);
        let register = key("register", pick(random, REGISTERS), &tag, database);
        let value = self.value();
        // Counters make values that lie between those that are set.
        let number = i64::try_from(value * 1_000_000).unwrap_or(i64::MAX);
        let text = number.to_string();
        let text = text.as_bytes();
        match random.below(16) {
            0..3 => {
                let text = value.to_string();
                let arguments = [b"RPUSH".as_slice(), &list.name, text.as_bytes()];
                one(&arguments, &list, Operation::Append(value))
            }
            3 => one(&[b"LRANGE", &list.name, b"0", b"-1"], &list, Operation::List),
            4 | 5 => one(&[b"SET", &register.name, text], &register, Operation::Set(number)),
            6 => {
                let arguments = [b"SET".as_slice(), &register.name, text, b"EX", b"1000000"];
                one(&arguments, &register, Operation::Set(number))
            }
            7..10 => one(&[b"GET", &register.name], &register, Operation::Get),
            10 => one(&[b"GETSET", &register.name, text], &register, Operation::Swap(number)),
            11 => one(&[b"INCR", &register.name], &register, Operation::Count),
            12 => one(&[b"DEL", &register.name], &register, Operation::Delete),
            13 => self.script(&tag, database, random),
            _ => self.many(database, random),
        }
    }

    /// Reads of all keys of a database.
    pub(super) fn reads(&self, database: u16) -> Vec<Request> {
        let mut requests = Vec::new();
        for tag in &self.tags {
            for number in 0..LISTS {
                let list = key("list", number, tag, database);
                requests.push(one(&[b"LRANGE", &list.name, b"0", b"-1"], &list, Operation::List));
            }
            for number in 0..REGISTERS {
                let register = key("register", number, tag, database);
                requests.push(one(&[b"GET", &register.name], &register, Operation::Get));
            }
        }
        requests
    }

    fn script(&self, tag: &str, database: u16, random: &mut Random) -> Request {
        let first = pick(random, REGISTERS);
        let mut arguments = vec![b"EVAL".to_vec(), SWAP_TWO.into(), b"2".to_vec()];
        let mut values = Vec::new();
        let mut parts = Vec::new();
        for number in [first, (first + 1) % REGISTERS] {
            let register = key("register", number, tag, database);
            let value = i64::try_from(self.value() * 1_000_000).unwrap_or(i64::MAX);
            arguments.push(register.name.clone());
            values.push(value.to_string().into_bytes());
            parts.push((register, Operation::Swap(value)));
        }
        arguments.extend(values);
        Request { arguments, parts, shape: Shape::Each, is_split: false }
    }

    /// A request for several registers with different tags.
    fn many(&self, database: u16, random: &mut Random) -> Request {
        let first = pick(random, self.tags.len());
        let tags = self.tags.iter().cycle().skip(first).take(MANY.min(self.tags.len()));
        let registers: Vec<HistoryKey> =
            tags.map(|tag| key("register", pick(random, REGISTERS), tag, database)).collect();
        let (name, shape) =
            *random.pick(&[("MGET", Shape::Each), ("MSET", Shape::All), ("DEL", Shape::Sum)]);
        let mut arguments = vec![name.as_bytes().to_vec()];
        let mut parts = Vec::new();
        for register in registers {
            arguments.push(register.name.clone());
            let operation = match shape {
                Shape::All => {
                    let value = i64::try_from(self.value() * 1_000_000).unwrap_or(i64::MAX);
                    arguments.push(value.to_string().into_bytes());
                    Operation::Set(value)
                }
                Shape::Sum => Operation::Delete,
                Shape::Each | Shape::One => Operation::Get,
            };
            parts.push((register, operation));
        }
        Request { arguments, parts, shape, is_split: true }
    }

    fn value(&self) -> u64 {
        self.values.fetch_add(1, Ordering::Relaxed) + 1
    }
}

fn pick(random: &mut Random, end: usize) -> usize {
    usize::try_from(random.below(end as u64)).unwrap_or_default()
}

/// A key; those with odd numbers are no text.
fn key(kind: &str, number: usize, tag: &str, database: u16) -> HistoryKey {
    debug_assert!(database < DATABASES, "a database that is used");
    let mut name = Vec::new();
    if number % 2 == 1 {
        name.extend(b"\x00\xff\r\n*");
    }
    name.extend(format!("{kind}:{number}:{{{tag}}}").into_bytes());
    HistoryKey { database, name }
}

fn one(arguments: &[&[u8]], key: &HistoryKey, operation: Operation) -> Request {
    Request {
        arguments: arguments.iter().map(|argument| argument.to_vec()).collect(),
        parts: vec![(key.clone(), operation)],
        shape: Shape::One,
        is_split: false,
    }
}

/// What a reply says of each key; no reply says nothing.
#[must_use]
pub fn outcomes(request: &Request, reply: Option<Value>) -> Vec<Outcome> {
    let count = request.parts.len();
    let all = |outcome: Outcome| vec![outcome; count];
    match (request.shape, reply) {
        (_, None) => all(Outcome::Unknown),
        (_, Some(Value::Error(_))) if request.is_split => all(Outcome::Unknown),
        (_, Some(Value::Error(text))) => all(outcome_of_error(&text)),
        (Shape::Each, Some(Value::Array(values))) if values.len() == count => {
            values.into_iter().map(|value| Outcome::Answered(answer(value))).collect()
        }
        (Shape::Sum, Some(Value::Number(sum))) => match usize::try_from(sum) {
            Ok(0) => all(Outcome::Answered(Answer::Number(0))),
            Ok(sum) if sum == count => all(Outcome::Answered(Answer::Number(1))),
            // At least one was there and one was not: which, nobody said.
            _ => all(Outcome::Answered(Answer::Untold)),
        },
        (_, Some(value)) => all(Outcome::Answered(answer(value))),
    }
}

/// What a value says of a key. One that says something else than it should is kept as what it is:
/// no order will explain it.
fn answer(value: Value) -> Answer {
    let number = |bytes: &[u8]| String::from_utf8_lossy(bytes).parse().unwrap_or(i64::MIN);
    match value {
        Value::Text(_) => Answer::Done,
        Value::Number(number) => Answer::Number(number),
        Value::Bulk(bytes) => Answer::Value(bytes.map(|bytes| number(&bytes))),
        Value::Array(values) => {
            let numbers = values.into_iter().map(|value| number(&value.into_bytes()));
            Answer::Values(numbers.map(|value| u64::try_from(value).unwrap_or_default()).collect())
        }
        // Within an array: the whole request was executed, this part of it was not.
        Value::Error(_) => Answer::Number(i64::MIN),
    }
}
