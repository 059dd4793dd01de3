//! A client: it pipelines requests and knows the reply that each must get.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::checker::Checker;
use crate::driver::Random;
use crate::wire::{Reply, array, take_reply};

/// A request without a reply yet.
struct Expected {
    reply: Reply,
    /// The value of a write to one slot.
    value: Option<String>,
    /// Whether it names its backend, which a fill may take away.
    is_named: bool,
}

impl Expected {
    fn of(reply: Reply, value: Option<String>) -> Self {
        Self { reply, value, is_named: false }
    }
}

pub(crate) struct Client {
    index: usize,
    io: OwnedWriteHalf,
    sent: u64,
    expected: Rc<RefCell<VecDeque<Expected>>>,
    answered: Rc<Cell<u64>>,
}

impl Client {
    pub(crate) async fn connect(
        index: usize,
        addr: SocketAddr,
        checker: Rc<RefCell<Checker>>,
    ) -> Self {
        let (read, io) = TcpStream::connect(addr).await.unwrap().into_split();
        let expected = Rc::new(RefCell::new(VecDeque::new()));
        let answered = Rc::new(Cell::new(0));
        let reader = Reader {
            index,
            checker,
            expected: Rc::clone(&expected),
            answered: Rc::clone(&answered),
        };
        actix_rt::spawn(reader.run(read));
        Self { index, io, sent: 0, expected, answered }
    }

    /// Requests without a reply.
    pub(crate) fn waiting(&self) -> usize {
        self.expected.borrow().len()
    }

    pub(crate) fn has_all_replies(&self) -> bool {
        self.waiting() == 0 && self.answered.get() == self.sent
    }

    /// Sends random requests for keys with these hash tags, in one write.
    pub(crate) async fn send(&mut self, requests: u64, tags: &[String], random: &mut Random) {
        let mut bytes = String::new();
        for _ in 0..requests {
            bytes.push_str(&self.request(tags, random));
        }
        self.io.write_all(bytes.as_bytes()).await.unwrap();
    }

    /// Sends a read of several slots.
    pub(crate) async fn send_mget(&mut self, tags: &[String]) {
        self.sent += 1;
        let keys: Vec<_> = tags.iter().map(|tag| format!("{{{tag}}}:mget")).collect();
        let request: Vec<_> = std::iter::once("MGET".to_owned()).chain(keys.clone()).collect();
        self.expected.borrow_mut().push_back(Expected::of(Reply::Array(keys), None));
        self.io.write_all(array(&request).as_bytes()).await.unwrap();
    }

    /// Sends a request to the backend with this number and address.
    pub(crate) async fn send_named(&mut self, index: usize, addr: &str) {
        self.sent += 1;
        let reply = Reply::Bulk(format!("backend {index}"));
        self.expected.borrow_mut().push_back(Expected { reply, value: None, is_named: true });
        self.io.write_all(array(&["SLOTSINFO", addr]).as_bytes()).await.unwrap();
    }

    fn request(&mut self, tags: &[String], random: &mut Random) -> String {
        self.sent += 1;
        let (client, id) = (self.index, self.sent);
        let value = format!("c{client}.{id}");
        let mut chosen: Vec<&String> = (0..4).map(|_| random.choose(tags)).collect();
        chosen.dedup();
        let first = chosen[0];
        let (request, reply, value) = match random.below(6) {
            0 | 1 => {
                let key = format!("{{{first}}}:{value}");
                (array(&["GET", &key]), Reply::Bulk(key), None)
            }
            2 | 3 => {
                let key = format!("{{{first}}}:c{client}");
                (array(&["GETSET", &key, &value]), Reply::Bulk(value.clone()), Some(value))
            }
            4 => {
                let keys: Vec<_> = chosen.iter().map(|tag| format!("{{{tag}}}:{value}")).collect();
                let request: Vec<_> =
                    std::iter::once("MGET".to_owned()).chain(keys.clone()).collect();
                (array(&request), Reply::Array(keys), None)
            }
            _ => {
                // Each key once: two values of one key would have one sequence number.
                chosen.sort_unstable();
                chosen.dedup();
                let pair = |tag: &&String| [format!("{{{tag}}}:c{client}"), value.clone()];
                let pairs = chosen.iter().flat_map(pair);
                let request: Vec<_> = std::iter::once("MSET".to_owned()).chain(pairs).collect();
                (array(&request), Reply::Ok, None)
            }
        };
        self.expected.borrow_mut().push_back(Expected::of(reply, value));
        request
    }
}

/// The reading half of a client.
struct Reader {
    index: usize,
    checker: Rc<RefCell<Checker>>,
    expected: Rc<RefCell<VecDeque<Expected>>>,
    answered: Rc<Cell<u64>>,
}

impl Reader {
    async fn run(self, mut io: OwnedReadHalf) {
        let mut unread = Vec::new();
        while matches!(io.read_buf(&mut unread).await, Ok(1..)) {
            while let Some(reply) = take_reply(&mut unread) {
                self.check(&reply);
            }
        }
        self.checker.borrow_mut().violate(format!("client {} was closed", self.index));
    }

    /// Rules 2, 4 and 5.
    fn check(&self, reply: &Reply) {
        self.answered.set(self.answered.get() + 1);
        let mut checker = self.checker.borrow_mut();
        let Some(expected) = self.expected.borrow_mut().pop_front() else {
            return checker.violate(format!("client {} got {reply:?} for nothing", self.index));
        };
        checker.counts.answered += 1;
        match reply {
            Reply::Error(text) if text.starts_with("-TRYAGAIN") => {
                checker.counts.try_again += 1;
                let is_executed = expected.value.is_some_and(|value| checker.is_executed(&value));
                if is_executed {
                    checker.violate(format!("client {}: refused, yet executed", self.index));
                }
            }
            Reply::Error(text) if checker.has_faults && is_fault(text) => {
                checker.counts.failed += 1;
            }
            // No slot needs the backend, or none does any more.
            Reply::Error(text) if expected.is_named && text.starts_with("-ERR backend") => {
                checker.counts.named_failed += 1;
            }
            Reply::Bulk(_) if expected.is_named && *reply == expected.reply => {
                checker.counts.named += 1;
            }
            reply if *reply == expected.reply => {}
            reply => checker.violate(format!(
                "client {} got {reply:?} instead of {:?}",
                self.index, expected.reply
            )),
        }
    }
}

/// Whether an error comes of a backend that has died or has no data yet.
fn is_fault(text: &str) -> bool {
    text.starts_with("-ERR backend") || text.starts_with("-LOADING")
}
