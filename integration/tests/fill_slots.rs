//! Slots that change their servers while clients use them.
//!
//! Keys are not moved here: both servers hold what the clients read, and what the clients write is
//! counted on both afterwards.

#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "the measured pauses are of interest by themselves")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use integration::groups::Group;
use integration::raw_client::encode;
use integration::wait::{DEADLINE, Deadline};
use integration::{AdminClient, RawClient, RedisServer, TwoGroups};
use routing::slot_of;
use serde_json::{Value, json};

const CLIENTS: usize = 50;
const KEYS: usize = 8;
const LOAD_TIME: Duration = Duration::from_secs(10);
const PIPELINE_MAX: u64 = 120;

/// Every key that is read holds these many numbers of this many digits, the number n at its place:
/// more than a pipeline has requests, so that no two replies of a pipeline are alike.
const NUMBERS: u64 = 1000;
const DIGITS: usize = 8;

/// Numbers that look random and are the same in every run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

fn read_key(client: usize, number: usize) -> String {
    format!("read:{client}:{number}")
}

/// A key that holds its own name.
fn name_key(client: usize, number: usize) -> String {
    format!("name:{client}:{number}")
}

fn log_key(client: usize, number: usize) -> String {
    format!("log:{client}:{number}")
}

/// What a client has done.
struct Report {
    requests: u64,
    /// Per log, how many entries it was told to have.
    appended: [u64; KEYS],
}

/// A client that sends pipelines until it is told to stop, and knows each reply beforehand.
///
/// Reads go round the numbers, so a reply that is lost, doubled or out of order is another number
/// than expected. Each write appends the next number of its log; its reply is a length, which
/// depends on the server, so the logs are judged afterwards.
fn run_client(mut client: RawClient, index: usize, must_stop: &AtomicBool) -> Report {
    let mut random = Random(index as u64 * 7919 + 1);
    let mut next = 0;
    let mut report = Report { requests: 0, appended: [0; KEYS] };
    while !must_stop.load(Ordering::Relaxed) {
        let (mut pipeline, mut expected) = (Vec::new(), Vec::new());
        for _ in 0..=random.below(PIPELINE_MAX) {
            let key = usize::try_from(random.below(KEYS as u64)).expect("a small number");
            match random.below(8) {
                0 | 1 => {
                    let number = format!("{:0DIGITS$}", report.appended[key]);
                    pipeline.extend(encode(&["APPEND", &log_key(index, key), &number]));
                    report.appended[key] += 1;
                    expected.push(None);
                }
                // Keys of many slots, some of which may be held while others are not.
                2 => {
                    let names: Vec<String> = (0..=key).map(|key| name_key(index, key)).collect();
                    let command = ["MGET".to_owned()].into_iter().chain(names.iter().cloned());
                    pipeline.extend(encode(&command.collect::<Vec<_>>()));
                    expected.push(Some(String::from_utf8_lossy(&encode(&names)).into_owned()));
                }
                _ => {
                    let (first, last) = (next * DIGITS as u64, (next + 1) * DIGITS as u64 - 1);
                    let (first, last) = (first.to_string(), last.to_string());
                    let range = ["GETRANGE", &read_key(index, key), &first, &last];
                    pipeline.extend(encode(&range));
                    expected.push(Some(format!("${DIGITS}\r\n{next:0DIGITS$}\r\n")));
                    next = (next + 1) % NUMBERS;
                }
            }
        }
        client.send(&pipeline);
        for (place, expected) in expected.iter().enumerate() {
            let reply = client.read_reply();
            let reply = String::from_utf8_lossy(&reply);
            match expected {
                Some(expected) => assert_eq!(reply, *expected, "client {index}, reply {place}"),
                None => assert!(reply.starts_with(':'), "client {index}, reply {place}: {reply}"),
            }
        }
        report.requests += expected.len() as u64;
    }
    report
}

/// Moves slots between the groups for some time: mostly a few, sometimes all, sometimes locked and
/// unlocked by a second order. Returns how long each order took, and how many slots were moved.
fn move_slots(groups: &TwoGroups, admin: &mut AdminClient) -> (Vec<Duration>, u64) {
    let addrs = [groups.one.addr().to_string(), groups.two.addr().to_string()];
    let mut random = Random(42);
    let (mut pauses, mut moved) = (Vec::new(), 0);
    let deadline = Deadline::after(LOAD_TIME);
    while deadline.remaining().is_some() {
        let (first, count) = match pauses.len() % 8 {
            0 => (0, 1024),
            _ => (random.below(1024), 1 + random.below(64)),
        };
        let group = usize::from(random.below(2) == 0);
        let form = |is_locked: bool| -> Value {
            let slot = |slot| {
                let (id, addr) = (slot % 1024, &addrs[group]);
                json!({
                    "id": id,
                    "locked": is_locked,
                    "backend_addr": addr,
                    "backend_addr_group_id": group + 1,
                })
            };
            (first..first + count).map(slot).collect()
        };
        let states: &[bool] = if pauses.len() % 5 == 0 { &[true, false] } else { &[false] };
        for is_locked in states {
            let slots = form(*is_locked);
            let clock = Deadline::after(DEADLINE);
            admin.fill(&slots).expect_ok();
            pauses.push(clock.elapsed());
        }
        if count == 1024 {
            let left = if group == 0 { Group::Two } else { Group::One };
            check_silence(groups.primary(left));
        }
        moved += count;
    }
    (pauses, moved)
}

/// Checks that no client's request reaches a server after all slots have left it.
fn check_silence(server: &RedisServer) {
    let mut client = server.client();
    let mut appends = || {
        let info = client.text(&["INFO", "commandstats"]);
        let line = info.lines().find_map(|line| line.strip_prefix("cmdstat_append:calls="));
        line.and_then(|line| line.split(',').next()).unwrap_or("0").to_owned()
    };
    let at_once = appends();
    for _ in 0..50 {
        assert_eq!(appends(), at_once, "a request after the change was in place");
    }
}

/// Checks that the entries of a log are on the two servers, each once, in order on each of them.
fn check_log(groups: &TwoGroups, key: &str, entries: u64) {
    let mut seen = Vec::new();
    for group in Group::BOTH {
        let reply = groups.primary(group).client().text(&["GET", key]);
        let digits = reply.split("\r\n").nth(1).unwrap_or_default().as_bytes();
        let part: Vec<u64> = digits
            .chunks(DIGITS)
            .map(|number| String::from_utf8_lossy(number).parse().expect("a number"))
            .collect();
        assert!(part.is_sorted(), "{key} is out of order on {group:?}");
        seen.extend(part);
    }
    seen.sort_unstable();
    assert!(seen.iter().copied().eq(0..entries), "{key} has {} of {entries}: {seen:?}", seen.len());
}

fn print_pauses(what: &str, mut pauses: Vec<Duration>) {
    pauses.sort_unstable();
    let at = |percent: usize| pauses[(pauses.len() - 1) * percent / 100];
    let (p50, p99, max) = (at(50), at(99), at(100));
    eprintln!("{what}: {} changes, p50 {p50:?}, p99 {p99:?}, max {max:?}", pauses.len());
}

#[test]
fn every_request_is_answered_once_and_in_order_while_slots_move() {
    // Goal: no request is lost, doubled, reordered or refused, however often its slot moves.
    // Method: clients know their replies; slots move by the hundred; a server that all slots have
    // left hears no more of clients; writes are counted on both servers at the end.
    let groups = TwoGroups::start();
    let numbers: String = (0..NUMBERS).map(|number| format!("{number:0DIGITS$}")).collect();
    for group in Group::BOTH {
        let mut server = groups.primary(group).client();
        for client in 0..CLIENTS {
            for number in 0..KEYS {
                server.command(&["SET", &read_key(client, number), &numbers]);
                let name = name_key(client, number);
                server.command(&["SET", &name, &name]);
            }
        }
    }
    let must_stop = AtomicBool::new(false);
    let mut admin = groups.proxy.admin();
    let (reports, (pauses, moved)) = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|index| {
                let (client, must_stop) = (groups.client(), &must_stop);
                scope.spawn(move || run_client(client, index, must_stop))
            })
            .collect();
        let moves = move_slots(&groups, &mut admin);
        must_stop.store(true, Ordering::Relaxed);
        let reports: Vec<Report> =
            clients.into_iter().map(|client| client.join().expect("a report")).collect();
        (reports, moves)
    });
    for (client, report) in reports.iter().enumerate() {
        for (number, entries) in report.appended.iter().enumerate() {
            check_log(&groups, &log_key(client, number), *entries);
        }
    }
    assert!(moved > 1000, "{moved} moves");
    let requests: u64 = reports.iter().map(|report| report.requests).sum();
    eprintln!("{requests} requests, {moved} moves of slots");
    print_pauses("order to answer", pauses);
    let held = groups.proxy.log().lines().iter().filter_map(held).collect();
    print_pauses("slots held", held);
}

/// How long a change held its slots, from its line in the log.
fn held(line: &integration::log::LogLine) -> Option<Duration> {
    let line: Value = serde_json::from_str(line.text()).ok()?;
    line["held_us"].as_u64().map(Duration::from_micros)
}

#[test]
fn requests_to_locked_slots_wait_and_others_go_on() {
    let groups = TwoGroups::start();
    let (locked, free) = (Group::One.key("locked"), Group::Two.key("free"));
    for group in Group::BOTH {
        let mut server = groups.primary(group).client();
        server.command(&["MSET", &locked, &format!("{group:?}"), &free, "free"]);
    }
    let mut admin = groups.proxy.admin();
    let slot = slot_of(locked.as_bytes()).number();
    let (one, two) = (groups.one.addr().to_string(), groups.two.addr().to_string());
    let lock = json!([{"id": slot, "locked": true, "backend_addr": one}]);
    let mut waiting: Vec<RawClient> = (0..10).map(|_| groups.client()).collect();
    // The second time changes nothing: a lock is no counter.
    for _ in 0..2 {
        admin.fill(&lock).expect_ok();
        for client in &mut waiting {
            client.send(encode(&["GET", &locked]));
            client.send(encode(&["GET", &free]));
        }
        for _ in 0..100 {
            assert_eq!(groups.client().text(&["GET", &free]), "$4\r\nfree\r\n");
        }
    }
    // Not a byte has come to those who wait, and not for what they sent after it either.
    for client in waiting.iter_mut().take(2) {
        let mut impatient = std::mem::replace(client, groups.client());
        impatient = impatient.with_deadline(Duration::from_millis(100));
        let error = impatient.try_read_reply().expect_err("no reply while locked");
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        *client = impatient.with_deadline(DEADLINE);
    }
    admin.fill(&json!([{"id": slot, "backend_addr": two}])).expect_ok();
    for client in &mut waiting {
        for _ in 0..2 {
            assert_eq!(client.read_reply(), b"$3\r\nTwo\r\n");
            assert_eq!(client.read_reply(), b"$4\r\nfree\r\n");
        }
    }
}
