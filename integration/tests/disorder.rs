//! Order and integrity while everything goes wrong at once.
//!
//! Random, but from a seed that each failure names: the run differs from another only in time.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use integration::groups::Group;
use integration::raw_client::encode;
use integration::{DEADLINE, KeywayProxy, RawClient, TwoGroups, wait_until};

/// A small generator of numbers that look random (xorshift).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % bound
    }
}

/// What the next reply of a pipeline must be.
#[derive(Debug)]
enum Expected {
    Ok,
    /// Values of these keys, each null or one that this client has written to it.
    Values(Vec<String>),
    /// This text and nothing else, whatever the servers do.
    Exactly(Vec<u8>),
}

/// One client with keys of its own.
struct Writer {
    name: String,
    random: Random,
    serial: usize,
    errors: usize,
}

impl Writer {
    fn new(number: usize) -> Self {
        let random = Random::new(number as u64 + 1);
        Self { name: format!("client{number}"), random, serial: 0, errors: 0 }
    }

    fn key(&mut self) -> String {
        let [one, two] = Group::BOTH;
        let group = if self.random.below(2) == 0 { one } else { two };
        group.key(&format!("{}-{}", self.name, self.random.below(5)))
    }

    /// A value that names its key and occurs once in the whole run.
    fn value(&mut self, key: &str) -> String {
        self.serial += 1;
        let len = match self.random.below(10) {
            0 => self.random.below(7000),
            _ => self.random.below(100),
        };
        format!("{key}={}:{}", self.serial, "x".repeat(len))
    }

    fn request(&mut self) -> (Vec<u8>, Expected) {
        match self.random.below(10) {
            0..=3 => {
                let key = self.key();
                (encode(&["GET", &key]), Expected::Values(vec![key]))
            }
            4..=6 => {
                let key = self.key();
                let value = self.value(&key);
                (encode(&["SET", &key, &value]), Expected::Ok)
            }
            7..=8 => {
                let keys: Vec<String> = (0..=self.random.below(5)).map(|_| self.key()).collect();
                let command: Vec<&str> =
                    ["MGET"].into_iter().chain(keys.iter().map(String::as_str)).collect();
                (encode(&command), Expected::Values(keys))
            }
            _ => {
                self.serial += 1;
                let text = format!("{}-{}", self.name, self.serial);
                let reply = format!("${}\r\n{text}\r\n", text.len()).into_bytes();
                (encode(&["ECHO", &text]), Expected::Exactly(reply))
            }
        }
    }

    /// Checks one reply; errors of a dead server are counted, anything else must be right.
    fn check(&mut self, reply: &[u8], expected: &Expected) {
        let shown = || reply.escape_ascii().to_string();
        if reply.starts_with(b"-ERR backend ") && !matches!(expected, Expected::Exactly(_)) {
            self.errors += 1;
            return;
        }
        match expected {
            Expected::Ok => assert_eq!(shown(), "+OK\\r\\n", "{}", self.name),
            Expected::Exactly(bytes) => assert_eq!(reply, bytes, "{}", self.name),
            Expected::Values(keys) => {
                let text = String::from_utf8_lossy(reply).into_owned();
                let mut lines = text.split("\r\n");
                if text.starts_with('*') {
                    assert_eq!(lines.next(), Some(&*format!("*{}", keys.len())), "{}", shown());
                }
                for key in keys {
                    let header = lines.next().expect("a header");
                    if header == "$-1" {
                        continue;
                    }
                    let value = lines.next().expect("a value");
                    assert_eq!(header, format!("${}", value.len()), "{}", shown());
                    let is_own =
                        value.strip_prefix(&**key).is_some_and(|rest| rest.starts_with('='));
                    assert!(is_own, "a value of another key for {key}: {}", shown());
                }
            }
        }
    }

    fn pipeline(&mut self, client: &mut RawClient) {
        let requests: Vec<_> = (0..=self.random.below(400)).map(|_| self.request()).collect();
        let bytes: Vec<u8> = requests.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        client.send(bytes);
        for (_, expected) in &requests {
            let reply = client.read_reply();
            self.check(&reply, expected);
        }
    }
}

#[test]
fn every_request_is_answered_once_and_in_order_while_a_server_dies_and_returns() {
    let mut groups = TwoGroups::with(
        KeywayProxy::options()
            .allow_log("\"backend is down\"")
            .allow_log("\"backend connection lost\""),
    );
    let clients: Vec<RawClient> = (0..24).map(|_| groups.client()).collect();
    let (is_over, pipelines, errors) =
        (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let wait_pipelines = |more: usize| {
        let wanted = pipelines.load(Ordering::Relaxed) + more;
        wait_until("pipelines are answered", 2 * DEADLINE, || {
            match pipelines.load(Ordering::Relaxed) {
                seen if seen >= wanted => Ok(()),
                seen => Err(seen),
            }
        });
    };
    std::thread::scope(|scope| {
        for (number, mut client) in clients.into_iter().enumerate() {
            let (is_over, pipelines, errors) = (&is_over, &pipelines, &errors);
            scope.spawn(move || {
                let mut writer = Writer::new(number);
                while !is_over.load(Ordering::Relaxed) {
                    writer.pipeline(&mut client);
                    pipelines.fetch_add(1, Ordering::Relaxed);
                }
                // The proxy owes nothing more.
                assert_eq!(client.text(&["ECHO", "end"]), "$3\r\nend\r\n");
                errors.fetch_add(writer.errors, Ordering::Relaxed);
            });
        }
        for _ in 0..2 {
            wait_pipelines(60);
            groups.two.kill();
            wait_pipelines(60);
            groups.two.restart();
        }
        wait_pipelines(60);
        is_over.store(true, Ordering::Relaxed);
    });
    let errors = errors.into_inner();
    assert!(errors > 0, "the death of a server went unnoticed");
}

#[test]
fn clients_that_vanish_with_requests_in_flight_disturb_nobody() {
    // Goal: replies to a client that is gone go nowhere, least of all to another. Method: fifty
    // clients send a pipeline, read some of the replies and vanish, while others stay and check.
    let groups = TwoGroups::start();
    let staying: Vec<RawClient> = (0..4).map(|_| groups.client()).collect();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (number, mut client) in staying.into_iter().enumerate() {
            let is_over = &is_over;
            scope.spawn(move || {
                let mut writer = Writer::new(1000 + number);
                while !is_over.load(Ordering::Relaxed) {
                    writer.pipeline(&mut client);
                }
                assert_eq!(writer.errors, 0);
            });
        }
        for number in 0..50 {
            let mut writer = Writer::new(number);
            let mut client = groups.client();
            let count = 1 + writer.random.below(300);
            let bytes: Vec<u8> = (0..count).flat_map(|_| writer.request().0).collect();
            // Some vanish in the middle of a request.
            let cut = bytes.len() - writer.random.below(bytes.len().min(200));
            client.send(&bytes[..cut]);
            if number % 3 == 0 {
                let _ = client.read_reply();
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let mut control = groups.client();
    wait_until("the vanished clients are forgotten", DEADLINE, || {
        match control.text(&["CLIENT", "LIST"]).lines().filter(|l| l.starts_with("id=")).count() {
            1 => Ok(()),
            clients => Err(clients),
        }
    });
}

#[test]
fn clients_that_come_and_go_leave_no_memory_behind() {
    let groups = TwoGroups::start();
    let value = "x".repeat(100_000);
    let key = Group::One.key("key");
    let come_and_go = |rounds: usize| {
        for _ in 0..rounds {
            let mut client = groups.client().with_deadline(Duration::from_secs(5));
            client.send([encode(&["SET", &key, &value]), encode(&["GET", &key])].concat());
            assert_eq!(client.read_reply(), b"+OK\r\n");
        }
    };
    come_and_go(200);
    let before = groups.proxy.memory_bytes("VmRSS");
    come_and_go(1000);
    let grown = groups.proxy.memory_bytes("VmRSS").saturating_sub(before);
    assert!(grown < 16 * 1024 * 1024, "{grown} bytes more after 1000 clients");
}
