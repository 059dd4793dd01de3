//! Clients that write and read the same keys through several proxies, and record their history.
//!
//! Each client is a thread with a connection to one proxy. It sends pipelines of one to eight
//! requests: single keys, several keys of several slots, a script over two keys; in two databases;
//! keys with a tag, some with bytes that are no text, some with a time to live. After an error a
//! client waits a moment; after the end of its connection it makes a new one, to wherever its
//! proxy is then.
//!
//! [`requests`]: what is asked, and how the replies are understood.
//!
//! Bounds: one thread per client; the history of all in memory.

pub mod requests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::history::{Event, History, Outcome};
use crate::random::Random;
use crate::raw_client::{RawClient, encode};
use crate::value::Value;
use crate::wait::{Deadline, wait_until};
use requests::{Keys, Request, outcomes};

/// The databases that clients use.
pub const DATABASES: u16 = 2;

/// Requests in a pipeline.
const PIPELINE_MAX: u64 = 8;

/// A client that got an error asks again after this time.
const REFUSED_PAUSE: Duration = Duration::from_millis(2);

/// How long a client waits for a connection and for replies.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where clients connect, which changes when a proxy is started anew.
#[derive(Debug)]
pub struct Endpoint(Mutex<SocketAddr>);

impl Endpoint {
    /// An address that may change.
    #[must_use]
    pub fn new(addr: SocketAddr) -> Self {
        Self(Mutex::new(addr))
    }

    /// The address now.
    pub fn addr(&self) -> SocketAddr {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another address from now on.
    pub fn change(&self, addr: SocketAddr) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = addr;
    }
}

/// What clients share.
#[derive(Debug)]
pub struct Workload {
    /// The proxies; the clients are spread over them.
    pub endpoints: Vec<Endpoint>,
    keys: Keys,
    databases: u16,
    seed: u64,
    clock: Deadline,
    connections: AtomicU32,
    requests: AtomicU64,
    has_ended: Mutex<bool>,
    ended: Condvar,
}

/// What a client has seen.
#[derive(Debug, Default)]
pub struct Report {
    /// Its requests.
    pub history: History,
    /// The errors that it got, and how often.
    pub errors: BTreeMap<String, u64>,
}

impl Report {
    /// Adds what another one has seen.
    pub fn merge(&mut self, other: Self) {
        self.history.merge(other.history);
        for (text, count) in other.errors {
            *self.errors.entry(text).or_default() += count;
        }
    }
}

impl Workload {
    /// Clients of these proxies and keys with these tags.
    #[must_use]
    pub fn new(endpoints: Vec<Endpoint>, tags: &[&str], seed: u64) -> Self {
        Self {
            endpoints,
            keys: Keys::new(tags),
            databases: DATABASES,
            seed,
            clock: Deadline::after(Duration::from_secs(3600)),
            connections: AtomicU32::new(0),
            requests: AtomicU64::new(0),
            has_ended: Mutex::new(false),
            ended: Condvar::new(),
        }
    }

    /// The same in the first database alone, for proxies that have no other.
    #[must_use]
    pub fn in_one_database(mut self) -> Self {
        self.databases = 1;
        self
    }

    /// How many requests have ended, with whatever.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Waits until this many more requests have ended.
    ///
    /// # Panics
    /// When they have not for a long time.
    pub fn wait_requests(&self, more: u64) {
        let wanted = self.requests() + more;
        wait_until("requests end", PATIENCE, || match self.requests() {
            seen if seen >= wanted => Ok(()),
            seen => Err(seen),
        });
    }

    /// Runs clients while something happens, and ends them after it. Returns what they did, and what
    /// came of the other.
    ///
    /// # Panics
    /// When a client or the other does.
    pub fn run_while<T>(&self, clients: usize, happening: impl FnOnce() -> T) -> (Report, T) {
        std::thread::scope(|scope| {
            let clients: Vec<_> =
                (0..clients).map(|index| scope.spawn(move || self.run_client(index))).collect();
            // Whatever fails, the clients must end, or this scope never does.
            let happened = catch_unwind(AssertUnwindSafe(happening));
            self.end();
            let mut report = Report::default();
            for client in clients {
                report.merge(client.join().expect("a client goes on until it is told to end"));
            }
            match happened {
                Ok(outcome) => (report, outcome),
                Err(panic) => resume_unwind(panic),
            }
        })
    }

    /// Tells the clients to end.
    pub fn end(&self) {
        *self.has_ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.ended.notify_all();
    }

    /// Runs a client until it is told to end.
    ///
    /// # Panics
    /// When its proxy does not come back.
    #[must_use]
    fn run_client(&self, index: usize) -> Report {
        let mut random = Random::new(self.seed ^ ((index as u64 + 1) << 32));
        let mut report = Report::default();
        let mut connection = None;
        while !self.has_ended() {
            let open = connection.take().or_else(|| self.connect(index));
            let Some(open) = open else {
                break;
            };
            connection = self.send_pipeline(open, &mut random, &mut report);
        }
        report
    }

    /// Reads every key, when the clients have ended and all servers are well, through each proxy.
    ///
    /// # Panics
    /// When a key cannot be read.
    #[must_use]
    pub fn read_all(&self) -> History {
        let mut report = Report::default();
        for index in 0..self.endpoints.len() * usize::from(self.databases) {
            let Some(mut connection) = self.connect(index) else {
                panic!("the proxies are gone");
            };
            let requests = self.keys.reads(connection.database);
            connection = self
                .exchange(connection, &requests, &mut report)
                .unwrap_or_else(|| panic!("the connection was lost"));
            drop(connection);
        }
        assert!(report.errors.is_empty(), "{:?}", report.errors);
        report.history
    }

    /// Connects to the proxy of a client. `None` when there is no proxy.
    fn connect(&self, index: usize) -> Option<Connection> {
        let endpoint = self.endpoints.iter().cycle().nth(index)?;
        let database = u16::try_from(index / self.endpoints.len()).ok()? % self.databases;
        let what = format!("client {index} connects");
        let client = wait_until(&what, PATIENCE, || {
            let try_connect = || {
                let mut client = RawClient::try_connect(endpoint.addr())?.with_deadline(PATIENCE);
                client.try_command(&["SELECT", &database.to_string()])?;
                Ok::<_, std::io::Error>(client)
            };
            try_connect().map_err(|error| error.to_string())
        });
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        Some(Connection { client, database, number, sequence: 0 })
    }

    fn send_pipeline(
        &self,
        connection: Connection,
        random: &mut Random,
        report: &mut Report,
    ) -> Option<Connection> {
        let count = 1 + random.below(PIPELINE_MAX);
        let requests: Vec<Request> =
            (0..count).map(|_| self.keys.request(connection.database, random)).collect();
        let errors = report.errors.len();
        let before: u64 = report.errors.values().sum();
        let connection = self.exchange(connection, &requests, report);
        if report.errors.len() > errors || report.errors.values().sum::<u64>() > before {
            self.pause();
        }
        connection
    }

    /// Sends requests and records what comes of them. `None` when the connection is lost.
    fn exchange(
        &self,
        mut connection: Connection,
        requests: &[Request],
        report: &mut Report,
    ) -> Option<Connection> {
        let bytes: Vec<u8> =
            requests.iter().flat_map(|request| encode(&request.arguments)).collect();
        let sent_ns = self.now_ns();
        let mut lost = connection.client.try_send(bytes).err();
        for request in requests {
            let reply = match &lost {
                None => connection.client.try_read_reply().map_err(|error| lost = Some(error)).ok(),
                Some(_) => None,
            };
            let reply = reply.map(|bytes| Value::read(&bytes));
            if let Some(Value::Error(text)) = &reply {
                *report.errors.entry(text.clone()).or_default() += 1;
            }
            let sequence = connection.sequence;
            connection.sequence += 1;
            let ended_ns = self.now_ns();
            for ((key, operation), outcome) in request.parts.iter().zip(outcomes(request, reply)) {
                let operation = operation.clone();
                let client = connection.number;
                let event = Event { client, sequence, sent_ns, ended_ns, operation, outcome };
                report.history.record(key, event);
            }
            self.requests.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(error) = lost {
            *report.errors.entry(format!("connection lost: {:?}", error.kind())).or_default() += 1;
            return None;
        }
        Some(connection)
    }

    fn has_ended(&self) -> bool {
        *self.has_ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a moment pass, unless the clients are told to end.
    fn pause(&self) {
        let has_ended = self.has_ended.lock().unwrap_or_else(PoisonError::into_inner);
        let _told = self.ended.wait_timeout_while(has_ended, REFUSED_PAUSE, |ended| !*ended);
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// A client's connection.
struct Connection {
    client: RawClient,
    database: u16,
    number: u32,
    sequence: u64,
}

/// Whether an error says that nothing was executed.
#[must_use]
pub fn is_not_executed(text: &str) -> bool {
    text.contains("not executed")
        || text.contains("was not sent")
        || text.starts_with("TRYAGAIN")
        || text.starts_with("LOADING")
}

/// An outcome by the error of a request for one key.
#[must_use]
pub fn outcome_of_error(text: &str) -> Outcome {
    if is_not_executed(text) { Outcome::NotExecuted } else { Outcome::Unknown }
}

#[cfg(test)]
mod tests;
