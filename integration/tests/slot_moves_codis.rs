//! Slots that are moved between Codis servers, which are scripted: what the mover asks them, and
//! what it makes of their answers.

#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use integration::moves::{KeptProxy, order, wait_state};
use integration::raw_client::encode;
use integration::wait::{DEADLINE, wait_until};
use integration::{AdminClient, KeywayProxy};
use routing::slot_of;
use serde_json::json;

/// How many keys one question moves.
const KEYS_PER_QUESTION: usize = 3;

/// What a server has and what it was asked.
#[derive(Debug, Default)]
struct Content {
    /// Keys with their databases.
    keys: Vec<(u32, String)>,
    asked: Vec<Vec<String>>,
}

/// A server that speaks as one of Codis.
struct FakeCodis {
    addr: SocketAddr,
    content: Arc<Mutex<Content>>,
}

fn lock(content: &Mutex<Content>) -> MutexGuard<'_, Content> {
    content.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FakeCodis {
    /// A server; what it moves goes to `target`.
    fn start(run_id: &'static str, commands: &'static [&str], target: Option<&Self>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
        let addr = listener.local_addr().expect("an address");
        let content = Arc::new(Mutex::new(Content::default()));
        let target = target.map(|target| Arc::clone(&target.content));
        let own = Arc::clone(&content);
        // The thread ends with the process of the test.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let server = Server {
                    run_id,
                    commands,
                    content: Arc::clone(&own),
                    target: target.clone(),
                    database: 0,
                };
                std::thread::spawn(move || server.serve(&stream));
            }
        });
        Self { addr, content }
    }

    fn asked(&self, name: &str) -> Vec<Vec<String>> {
        let content = lock(&self.content);
        content.asked.iter().filter(|request| request[0] == name).cloned().collect()
    }
}

struct Server {
    run_id: &'static str,
    commands: &'static [&'static str],
    content: Arc<Mutex<Content>>,
    target: Option<Arc<Mutex<Content>>>,
    database: u32,
}

impl Server {
    fn serve(mut self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some(request) = read_request(&mut reader) {
            lock(&self.content).asked.push(request.clone());
            let reply = self.reply(&request);
            let mut writer = stream;
            if writer.write_all(&reply).is_err() {
                return;
            }
        }
    }

    fn reply(&mut self, request: &[String]) -> Vec<u8> {
        let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len()).into_bytes();
        let name = request[0].to_ascii_uppercase();
        match name.as_str() {
            "PING" => b"+PONG\r\n".to_vec(),
            "CLIENT" if request[1] == "LIST" => bulk(""),
            "CLIENT" if request[1] == "GETNAME" => b"$-1\r\n".to_vec(),
            "INFO" => bulk(&self.info()),
            "COMMAND" if self.commands.contains(&request[2].as_str()) => {
                b"*1\r\n*1\r\n$1\r\nx\r\n".to_vec()
            }
            "COMMAND" => b"*1\r\n*-1\r\n".to_vec(),
            "SELECT" => {
                self.database = request[1].parse().unwrap_or(0);
                b"+OK\r\n".to_vec()
            }
            "SCAN" => {
                let keys = self.keys_of(None);
                let mut reply = b"*2\r\n$1\r\n0\r\n".to_vec();
                reply.extend(encode(&keys));
                reply
            }
            "MEMORY" => b"-ERR unknown command 'MEMORY'\r\n".to_vec(),
            "TYPE" => b"+string\r\n".to_vec(),
            "STRLEN" => b":5\r\n".to_vec(),
            "SLOTSINFO" => self.slots_info(),
            "SLOTSMGRTTAGSLOT" => self.migrate(&request[4]),
            "SLOTSMGRTTAGSLOT-ASYNC" => self.migrate(&request[6]),
            _ => b"+OK\r\n".to_vec(),
        }
    }

    fn info(&self) -> String {
        let mut info = format!("run_id:{}\r\nrole:master\r\nredis_version:3.2.11\r\n", self.run_id);
        let content = lock(&self.content);
        for database in 0..16 {
            let keys = content.keys.iter().filter(|(of, _)| *of == database).count();
            if keys > 0 {
                info.push_str(&format!("db{database}:keys={keys},expires=0,avg_ttl=0\r\n"));
            }
        }
        info
    }

    /// The keys of the selected database.
    fn keys_of(&self, slot: Option<u16>) -> Vec<String> {
        let content = lock(&self.content);
        let here = content.keys.iter().filter(|(database, _)| *database == self.database);
        let keys = here.map(|(_, key)| key.clone());
        keys.filter(|key| slot.is_none_or(|slot| slot_of(key.as_bytes()).number() == slot))
            .collect()
    }

    fn slots_info(&self) -> Vec<u8> {
        let mut slots: Vec<u16> =
            self.keys_of(None).iter().map(|key| slot_of(key.as_bytes()).number()).collect();
        slots.sort_unstable();
        slots.dedup();
        let mut reply = format!("*{}\r\n", slots.len()).into_bytes();
        for slot in slots {
            let count = self.keys_of(Some(slot)).len();
            reply.extend(format!("*2\r\n:{slot}\r\n:{count}\r\n").into_bytes());
        }
        reply
    }

    fn migrate(&self, slot: &str) -> Vec<u8> {
        let slot = slot.parse().expect("a slot");
        let keys = self.keys_of(Some(slot));
        let moved: Vec<String> = keys.iter().take(KEYS_PER_QUESTION).cloned().collect();
        let target = self.target.as_ref().expect("somewhere to move keys to");
        lock(&self.content)
            .keys
            .retain(|(database, key)| *database != self.database || !moved.contains(key));
        lock(target).keys.extend(moved.iter().map(|key| (self.database, key.clone())));
        format!("*2\r\n:{}\r\n:{}\r\n", moved.len(), keys.len() - moved.len()).into_bytes()
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Vec<String>> {
    let mut number = |sign: &str| -> Option<usize> {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        line.strip_prefix(sign)?.trim().parse().ok()
    };
    let count = number("*")?;
    let mut request = Vec::new();
    for _ in 0..count {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let length: usize = line.strip_prefix('$')?.trim().parse().ok()?;
        let mut text = vec![0; length + 2];
        reader.read_exact(&mut text).ok()?;
        text.truncate(length);
        request.push(String::from_utf8_lossy(&text).into_owned());
    }
    Some(request)
}

const ASYNC: &[&str] = &["slotsmgrttagslot-async", "slotsmgrttagslot", "migrate"];

/// Waits until slot 0 migrates in this way.
fn wait_migrating(admin: &mut AdminClient, source: &FakeCodis, forward_method: u64) {
    wait_until("slots migrate by the way of their servers", DEADLINE, || {
        let slots = admin.slots();
        let form = &slots[0];
        let seen = (form["migrate_from"].as_str(), form["forward_method"].as_u64());
        let source = source.addr.to_string();
        let expected = (Some(source.as_str()), Some(forward_method).filter(|method| *method > 0));
        if seen == expected { Ok(()) } else { Err(format!("{seen:?}")) }
    });
}

/// Slots 0 to 99 move; the keys are in two databases.
fn check_move(commands: &'static [&str], asks: &str, forward_method: u64) {
    let target = FakeCodis::start("target", commands, None);
    let source = FakeCodis::start("source", commands, Some(&target));
    let keys = (0..2000).map(|number| (number % 2 * 5, format!("key:{number}")));
    lock(&source.content).keys.extend(keys);
    let is_moving = |key: &str| slot_of(key.as_bytes()).number() < 100;
    let proxy = KeptProxy::start_over(KeywayProxy::options(), &source.addr.to_string());
    let mut admin: AdminClient = proxy.admin("");
    let to = json!({"slots": "0-99", "to": target.addr.to_string(),
        "options": {"keys_per_second": 500, "slots_at_once": 100}});
    let id = order(&mut admin, &to);
    wait_migrating(&mut admin, &source, forward_method);
    let report = wait_state(&mut admin, id, "done");
    let (left, arrived) = (lock(&source.content).keys.clone(), lock(&target.content).keys.clone());
    assert!(left.iter().all(|(_, key)| !is_moving(key)), "keys of the slots are left");
    assert!(arrived.iter().all(|(_, key)| is_moving(key)), "keys of other slots have moved");
    assert!(arrived.iter().any(|(database, _)| *database == 5));
    assert_eq!(left.len() + arrived.len(), 2000);
    assert_eq!(report["progress"]["keys_moved"], arrived.len());
    assert_eq!(report["progress"]["keys_total"], arrived.len());
    let asked = source.asked(asks);
    let port = target.addr.port().to_string();
    assert!(asked.iter().all(|request| request[1] == "127.0.0.1" && request[2] == port));
    assert!(source.asked("MIGRATE").is_empty() && !asked.is_empty());
}

#[test]
fn slots_move_by_the_synchronous_form_of_codis() {
    check_move(&["slotsmgrttagslot", "migrate"], "SLOTSMGRTTAGSLOT", 0);
}

#[test]
fn slots_move_by_the_asynchronous_form_of_codis() {
    check_move(ASYNC, "SLOTSMGRTTAGSLOT-ASYNC", 1);
}

/// A move in the background that failed leaves a copy at the target, while the source goes on writing
/// to the key: the way back would bring old values.
#[test]
fn slots_that_have_begun_to_move_in_the_background_go_on_when_the_move_is_cancelled() {
    let target = FakeCodis::start("target", ASYNC, None);
    let source = FakeCodis::start("source", ASYNC, Some(&target));
    let keys = (0..2000).map(|number| (0, format!("key:{number}")));
    lock(&source.content).keys.extend(keys);
    let proxy = KeptProxy::start_over(KeywayProxy::options(), &source.addr.to_string());
    let mut admin: AdminClient = proxy.admin("");
    let to = json!({"slots": "0-199", "to": target.addr.to_string(),
        "options": {"keys_per_second": 500, "slots_at_once": 100}});
    let id = order(&mut admin, &to);
    wait_migrating(&mut admin, &source, 1);
    admin.put(&format!("/api/proxy/slots/move/{id}/cancel/{{x}}")).expect_ok();
    wait_state(&mut admin, id, "cancelled");
    let slots = admin.slots();
    for (slot, server) in [(0, &target), (99, &target), (100, &source)] {
        assert_eq!(slots[slot]["backend_addr"], server.addr.to_string(), "slot {slot}");
        assert_eq!(slots[slot].get("migrate_from"), None, "slot {slot}");
    }
    let has_begun = |(_, key): &(u32, String)| slot_of(key.as_bytes()).number() < 100;
    assert!(!lock(&source.content).keys.iter().any(has_begun));
    assert!(lock(&target.content).keys.iter().all(has_begun));
}
