//! A client: it pipelines random requests over one connection at a time, knows which reply each
//! must get, and writes down what it did and heard.

use std::cell::Cell;
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::timeout;

use crate::history::{Action, History, KeyIndex, OperationId, Outcome};
use crate::proxy::Proxy;
use crate::wire::{Reply, request, take_reply};
use crate::world::{World, pause};

/// Longer than any request may take: every deadline of the proxy, and the time for which a slot may
/// be locked because a proxy has crashed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Requests that leave in one go.
const PIPELINE_MAX: u64 = 6;

/// A key that clients use.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) database: u16,
    pub(crate) name: String,
    pub(crate) is_list: bool,
}

/// What clients and the driver share.
pub(crate) struct Stage {
    pub(crate) world: Rc<World>,
    pub(crate) proxies: Vec<Rc<Proxy>>,
    pub(crate) keys: Vec<Key>,
    pub(crate) history: History,
    /// Something has gone wrong on purpose, so requests may fail.
    pub(crate) has_faults: bool,
    /// Clients delete keys.
    pub(crate) has_deletions: bool,
    /// Clients send nothing more.
    pub(crate) is_over: Cell<bool>,
    pub(crate) counts: Counts,
}

/// What a run has had, to see that it is worth something.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) answered: Cell<u64>,
    pub(crate) failed: Cell<u64>,
    pub(crate) closed: Cell<u64>,
    pub(crate) moves: Cell<u64>,
    pub(crate) moves_given_up: Cell<u64>,
    pub(crate) moves_turned_round: Cell<u64>,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} answered, {} failed, {} closed; {} moves, {} given up, {} turned round",
            self.answered.get(),
            self.failed.get(),
            self.closed.get(),
            self.moves.get(),
            self.moves_given_up.get(),
            self.moves_turned_round.get()
        )
    }
}

pub(crate) fn count(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}

/// The form that a reply must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Texts,
    Done,
    Found,
    Len,
    Items,
}

/// A request without a reply.
struct Expected {
    text: String,
    form: Form,
    operations: Vec<OperationId>,
    /// The reply, when it can be no other.
    only: Option<Reply>,
}

/// A connection that is of no use any more.
struct Lost;

/// See the module.
pub(crate) struct Client {
    number: u64,
    stage: Rc<Stage>,
    requests: u64,
    expected: VecDeque<Expected>,
}

impl Client {
    pub(crate) fn new(number: u64, stage: Rc<Stage>) -> Self {
        Self { number, stage, requests: 0, expected: VecDeque::new() }
    }

    /// Sends requests until the run is over.
    pub(crate) async fn run(mut self) {
        let world = Rc::clone(&self.stage.world);
        while !self.stage.is_over.get() {
            let proxy = Rc::clone(world.random.choose(&self.stage.proxies));
            let Some(mut io) = proxy.connect(self.number) else {
                pause(20).await;
                continue;
            };
            world.event(format_args!("client {} at proxy {}", self.number, proxy.index));
            let lives = proxy.lives();
            if self.talk(&mut io).await.is_err() {
                if proxy.lives() == lives {
                    self.violate("answers", format_args!("proxy {} has closed", proxy.index));
                }
                count(&self.stage.counts.closed);
                world.event(format_args!("client {} has lost its proxy", self.number));
            }
            self.expected.clear();
        }
    }

    /// Reads every key once, over one connection that holds: the last word on what is there.
    pub(crate) async fn read_all(mut self, proxy: &Proxy) {
        for database in 0..2 {
            let Some(mut io) = proxy.connect(self.number) else {
                self.violate("proxy", format_args!("nobody listens"));
                return;
            };
            let mut bytes = self.select(database);
            for key in 0..self.stage.keys.len() {
                if self.stage.keys[key].database == database {
                    let is_list = self.stage.keys[key].is_list;
                    let (name, action) =
                        if is_list { ("LRANGE", Action::List) } else { ("GET", Action::Read) };
                    bytes.extend(self.request(name, vec![(key, action)]));
                }
            }
            let _ = io.write_all(&bytes).await;
            if self.hear_all(&mut io).await.is_err() {
                self.violate("answers", format_args!("the last reads are not answered"));
            }
        }
    }

    async fn talk(&mut self, io: &mut DuplexStream) -> Result<(), Lost> {
        let world = Rc::clone(&self.stage.world);
        let database = u16::from(world.random.percent(25));
        let mut bytes = self.select(database);
        while !self.stage.is_over.get() {
            for _ in 0..=world.random.below(PIPELINE_MAX) {
                bytes.extend(self.random_request(database));
            }
            // Requests may come in pieces.
            if world.random.percent(10) {
                let rest = bytes.split_off(world.random.index(bytes.len()));
                io.write_all(&bytes).await.map_err(|_| Lost)?;
                pause(1).await;
                bytes = rest;
            }
            io.write_all(&bytes).await.map_err(|_| Lost)?;
            bytes.clear();
            if world.random.percent(1) {
                world.event(format_args!("client {} leaves", self.number));
                return Ok(());
            }
            self.hear_all(io).await?;
            pause(world.random.below(40)).await;
        }
        Ok(())
    }

    /// Waits until everything has its reply.
    async fn hear_all(&mut self, io: &mut DuplexStream) -> Result<(), Lost> {
        let mut unread = Vec::new();
        while let Some(next) = self.expected.front() {
            let read = timeout(ANSWER_TIMEOUT, io.read_buf(&mut unread)).await;
            let Ok(read) = read else {
                self.violate("answers", format_args!("no answer to `{}`", next.text));
                return Err(Lost);
            };
            if read.unwrap_or(0) == 0 {
                return Err(Lost);
            }
            while let Some(reply) = take_reply(&mut unread) {
                match self.expected.pop_front() {
                    Some(expected) => self.take(&expected, &reply),
                    None => self.violate("answers", format_args!("{reply:?} answers nothing")),
                }
            }
        }
        if !unread.is_empty() {
            self.violate("answers", format_args!("half a reply too many"));
        }
        Ok(())
    }

    fn violate(&self, rule: &str, what: fmt::Arguments<'_>) {
        self.stage.world.violate(rule, format_args!("client {}: {what}", self.number));
    }

    fn select(&mut self, database: u16) -> Vec<u8> {
        if database == 0 {
            return Vec::new();
        }
        self.fixed(&["SELECT", &database.to_string()], Reply::ok())
    }

    /// A request whose reply is known.
    fn fixed(&mut self, args: &[&str], only: Reply) -> Vec<u8> {
        let (text, only) = (args.join(" "), Some(only));
        self.expected.push_back(Expected { text, form: Form::Done, operations: Vec::new(), only });
        request(args)
    }

    fn random_request(&mut self, database: u16) -> Vec<u8> {
        self.requests += 1;
        let stage = Rc::clone(&self.stage);
        let random = &stage.world.random;
        let value = format!("{}.{}", self.number, self.requests);
        let of_kind = |is_list: bool| {
            let keys = stage.keys.iter().enumerate();
            let keys = keys.filter(|(_, key)| key.database == database && key.is_list == is_list);
            keys.map(|(index, _)| index).collect::<Vec<KeyIndex>>()
        };
        let (registers, lists) = (of_kind(false), of_kind(true));
        let register = *random.choose(&registers);
        let list = *random.choose(&lists);
        match random.below(100) {
            0..28 => self.request("GET", vec![(register, Action::Read)]),
            28..50 => self.request("SET", vec![(register, Action::Write(value))]),
            50..54 if stage.has_deletions => self.request("DEL", vec![(register, Action::Delete)]),
            50..57 => self.request("EXISTS", vec![(register, Action::Exists)]),
            57..75 => self.request("RPUSH", vec![(list, Action::Push(value))]),
            75..84 => self.request("LRANGE", vec![(list, Action::List)]),
            84..90 => {
                let keys = registers.iter().filter(|_| random.percent(50)).chain([&register]);
                let keys: BTreeSet<_> = keys.copied().collect();
                self.request("MGET", keys.into_iter().map(|key| (key, Action::Read)).collect())
            }
            90..96 => {
                let keys = registers.iter().filter(|_| random.percent(30)).chain([&register]);
                let keys: BTreeSet<_> = keys.copied().collect();
                let write = |key| (key, Action::Write(value.clone()));
                self.request("MSET", keys.into_iter().map(write).collect())
            }
            96..98 => self.fixed(&["PING"], Reply::Status("PONG".to_owned())),
            _ => self.fixed(&["ECHO", &value], Reply::bulk(&value)),
        }
    }

    /// Makes a request and writes down that its operations begin.
    fn request(&mut self, name: &str, actions: Vec<(KeyIndex, Action)>) -> Vec<u8> {
        let stage = Rc::clone(&self.stage);
        let form = match name {
            "GET" => Form::Text,
            "MGET" => Form::Texts,
            "DEL" | "EXISTS" => Form::Found,
            "RPUSH" => Form::Len,
            "LRANGE" => Form::Items,
            _ => Form::Done,
        };
        let mut args = vec![name.to_owned()];
        for (key, action) in &actions {
            args.push(stage.keys[*key].name.clone());
            match action {
                Action::Write(value) | Action::Push(value) => args.push(value.clone()),
                Action::List => args.extend(["0".to_owned(), "-1".to_owned()]),
                _ => {}
            }
        }
        let text = args.join(" ");
        let moment = stage.world.event(format_args!("client {} sends {text}", self.number));
        let begin = |(key, action)| stage.history.begin(self.number, key, action, moment);
        let operations = actions.into_iter().map(begin).collect();
        self.expected.push_back(Expected { text, form, operations, only: None });
        request(&args)
    }

    /// Takes the reply to a request.
    fn take(&self, expected: &Expected, reply: &Reply) {
        let (text, stage) = (&expected.text, &self.stage);
        let moment =
            stage.world.event(format_args!("client {} hears {text} -> {reply:?}", self.number));
        if expected.only.as_ref().is_some_and(|only| only != reply) {
            self.violate("order", format_args!("`{text}` is answered with {reply:?}"));
        }
        if expected.only.is_some() {
            return;
        }
        let outcomes = match reply {
            Reply::Error(error) => self.outcomes_of_error(expected, error),
            other => {
                count(&stage.counts.answered);
                outcomes(expected.form, other, expected.operations.len())
            }
        };
        if outcomes.len() != expected.operations.len() {
            self.violate("order", format_args!("`{text}` is answered with {reply:?}"));
            return;
        }
        for (operation, outcome) in expected.operations.iter().zip(outcomes) {
            stage.history.end(*operation, outcome, moment);
        }
    }

    fn outcomes_of_error(&self, expected: &Expected, error: &str) -> Vec<Outcome> {
        count(&self.stage.counts.failed);
        if !self.stage.has_faults {
            self.violate("errors", format_args!("without a fault: `{}`: {error}", expected.text));
        }
        let is_refused = error.starts_with("TRYAGAIN") || error.contains("was not sent");
        let is_known = is_refused || error.contains("the request may have been executed");
        if !is_known {
            self.violate("errors", format_args!("a strange one: `{}`: {error}", expected.text));
        }
        // Of several keys some may have been served.
        let is_refused = is_refused && expected.operations.len() == 1;
        let outcome = if is_refused { Outcome::NotExecuted } else { Outcome::Unknown };
        vec![outcome; expected.operations.len()]
    }
}

/// What a reply of this form says of each operation; nothing when it has another form.
fn outcomes(form: Form, reply: &Reply, operations: usize) -> Vec<Outcome> {
    let text = |reply: &Reply| match reply {
        Reply::Bulk(text) => Some(Outcome::Text(text.clone())),
        _ => None,
    };
    let item = |reply: &Reply| match reply {
        Reply::Bulk(Some(text)) => Some(text.clone()),
        _ => None,
    };
    match (form, reply) {
        (Form::Text, reply) => text(reply).into_iter().collect(),
        (Form::Texts, Reply::Array(Some(items))) => items.iter().filter_map(text).collect(),
        (Form::Done, Reply::Status(status)) if status == "OK" => vec![Outcome::Done; operations],
        (Form::Found, Reply::Integer(number)) => vec![Outcome::Found(*number == 1)],
        (Form::Len, Reply::Integer(len)) => vec![Outcome::Len(usize::try_from(*len).unwrap())],
        (Form::Items, Reply::Array(Some(items))) => {
            vec![Outcome::Items(items.iter().filter_map(item).collect())]
        }
        _ => Vec::new(),
    }
}
