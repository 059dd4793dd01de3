//! Moves slots between two servers under two proxies, as a dashboard does.
//!
//! ```text
//!   settled ─► prepare on all ─► migrate on all ─► sweep the source ─► finish on all ─► settled
//! ```
//!
//! A dashboard may also turn round in the middle, with source and target exchanged.
//!
//! An order is given to each proxy until it says that it was carried out; only then comes the next
//! step (`docs/slot-migration.md`). A proxy that was killed is started anew with the slots as all
//! have agreed on them. The sweep reads the whole source and moves the keys of the slots with
//! `MIGRATE`, until one pass without an error finds none. Servers may fail meanwhile.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use routing::{SLOTS, SlotId, slot_of};
use serde_json::{Value as Json, json};

use crate::admin::AdminClient;
use crate::proxy::{KeywayProxy, ProxyOptions};
use crate::raw_client::RawClient;
use crate::value::Value;
use crate::wait::wait_until;
use crate::workload::DATABASES;

/// How long a step may take, with servers that fail and come back.
const STEP_DEADLINE: Duration = Duration::from_secs(30);

/// How long the mover waits for one answer of a server.
const ANSWER_DEADLINE: Duration = Duration::from_secs(3);

/// The timeout of its `MIGRATE`, in milliseconds.
const MOVE_TIMEOUT: &str = "500";

/// Keys in one `MIGRATE`.
const KEYS_PER_MOVE: usize = 16;

/// What the slots are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Served by one server.
    Settled,
    /// Locked.
    Prepared,
    /// On their way.
    Migrating,
}

/// How far the mover is, for those who disturb it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Orders that all proxies have carried out: three for each move.
    steps: AtomicUsize,
}

impl Progress {
    /// Completed steps: prepare, migrate and finish of each move.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.steps.load(Ordering::SeqCst)
    }

    /// The server that the slots are on or come from.
    #[must_use]
    pub fn source(&self) -> usize {
        (self.steps() / 3) % 2
    }

    /// Waits until so many steps are completed.
    ///
    /// # Panics
    /// When they are not for a long time.
    pub fn wait_steps(&self, wanted: usize) {
        wait_until("slots move", STEP_DEADLINE, || match self.steps() {
            steps if steps >= wanted => Ok(()),
            steps => Err(steps),
        });
    }
}

/// See the module.
#[derive(Debug)]
pub struct SlotMover {
    /// The proxies.
    pub proxies: Vec<KeywayProxy>,
    options: ProxyOptions,
    servers: [SocketAddr; 2],
    slots: Vec<SlotId>,
    /// Where the slots are, or come from.
    source: usize,
    step: Step,
}

impl SlotMover {
    /// Starts two proxies with these options. All slots are on the first server.
    ///
    /// # Panics
    /// When they do not start.
    #[must_use]
    pub fn start(options: ProxyOptions, servers: [SocketAddr; 2], slots: &[SlotId]) -> Self {
        let mut mover = Self {
            proxies: Vec::new(),
            options,
            servers,
            slots: slots.to_vec(),
            source: 0,
            step: Step::Settled,
        };
        mover.proxies = (0..2).map(|_| mover.start_proxy()).collect();
        mover
    }

    /// The source and the target.
    fn ends(&self) -> (SocketAddr, SocketAddr) {
        let [first, second] = self.servers;
        if self.source == 0 { (first, second) } else { (second, first) }
    }

    /// The slots in the form of the admin API.
    fn form(&self) -> Vec<Json> {
        let (source, target) = self.ends();
        let (source, target) = (source.to_string(), target.to_string());
        let slot = |slot: &SlotId| {
            let id = slot.number();
            match self.step {
                Step::Settled => json!({"id": id, "backend_addr": source}),
                Step::Prepared | Step::Migrating => json!({
                    "id": id, "backend_addr": target, "migrate_from": source,
                    "locked": self.step == Step::Prepared,
                }),
            }
        };
        self.slots.iter().map(slot).collect()
    }

    fn start_proxy(&self) -> KeywayProxy {
        let addr = self.servers[0].to_string();
        let mut slots: BTreeMap<u16, Json> = (0..SLOTS)
            .filter_map(|id| u16::try_from(id).ok())
            .map(|id| (id, json!({"id": id, "backend_addr": addr})))
            .collect();
        slots.extend(self.slots.iter().map(|slot| slot.number()).zip(self.form()));
        self.options.clone().fill_slots(slots.into_values().collect()).start()
    }

    /// Kills a proxy and starts it anew, with the slots in the state that all have agreed on.
    /// Returns where it listens now.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart_proxy(&mut self, index: usize) -> Option<SocketAddr> {
        let started = self.start_proxy();
        let addr = started.addr();
        let mut killed = std::mem::replace(self.proxies.get_mut(index)?, started);
        killed.kill();
        Some(addr)
    }

    /// Locks the slots, on all proxies.
    ///
    /// # Panics
    /// When it cannot for a long time.
    pub fn prepare(&mut self) {
        self.step = Step::Prepared;
        self.fill_all();
    }

    /// Lets the slots migrate, on all proxies.
    ///
    /// # Panics
    /// When it cannot for a long time.
    pub fn migrate(&mut self) {
        self.step = Step::Migrating;
        self.fill_all();
    }

    /// Ends the migration, on all proxies. The source has been swept.
    ///
    /// # Panics
    /// When it cannot for a long time.
    pub fn finish(&mut self) {
        self.source = 1 - self.source;
        self.step = Step::Settled;
        self.fill_all();
    }

    /// Moves the slots back to where they came from, before anybody was told to finish.
    ///
    /// # Panics
    /// When it cannot for a long time.
    pub fn turn_round(&mut self) {
        self.source = 1 - self.source;
        self.prepare();
        // A `MIGRATE` whose connection was lost may lie in a socket of the server that was the
        // source: it is carried out before this is answered.
        let (_, target) = self.ends();
        wait_until("the server that was the source answers", STEP_DEADLINE, || {
            let mut client = RawClient::try_connect(target)?.with_deadline(ANSWER_DEADLINE);
            ask(&mut client, &[b"PING"])
        });
        self.migrate();
    }

    /// Moves the slots to the other server. What `between` does happens before each step, and
    /// before the sweep.
    ///
    /// # Panics
    /// When a step is impossible for a long time.
    pub fn move_slots(&mut self, progress: &Progress, mut between: impl FnMut(&mut Self)) {
        between(self);
        self.prepare();
        progress.steps.fetch_add(1, Ordering::SeqCst);
        between(self);
        self.migrate();
        progress.steps.fetch_add(1, Ordering::SeqCst);
        between(self);
        self.sweep();
        between(self);
        self.finish();
        progress.steps.fetch_add(1, Ordering::SeqCst);
    }

    fn fill_all(&self) {
        let form = Json::from(self.form());
        for proxy in &self.proxies {
            let what = format!("a proxy has the slots {:?}", self.step);
            wait_until(&what, STEP_DEADLINE, || AdminClient::try_fill(proxy.admin_addr(), &form));
        }
    }

    /// Moves all keys that the source has.
    ///
    /// # Panics
    /// When the source does not become empty for a long time.
    pub fn sweep(&self) {
        let (source, target) = self.ends();
        sweep(source, target, &self.slots);
    }
}

/// Moves all keys of these slots from one server to another.
///
/// # Panics
/// When the source does not become empty for a long time.
pub fn sweep(source: SocketAddr, target: SocketAddr, slots: &[SlotId]) {
    // The pass after the last key has moved must find nothing.
    wait_until("the source is swept", STEP_DEADLINE, || match sweep_once(source, target, slots) {
        Ok(0) => Ok(()),
        Ok(found) => Err(format!("{found} keys")),
        Err(error) => Err(error.to_string()),
    });
}

/// Reads the whole source once; returns how many keys of the slots it had.
fn sweep_once(source: SocketAddr, target: SocketAddr, slots: &[SlotId]) -> io::Result<usize> {
    let mut client = RawClient::try_connect(source)?.with_deadline(ANSWER_DEADLINE);
    let mut found = 0;
    for database in 0..DATABASES {
        let database = database.to_string();
        ask(&mut client, &[b"SELECT", database.as_bytes()])?;
        let mut cursor = b"0".to_vec();
        loop {
            let Value::Array(reply) = ask(&mut client, &[b"SCAN", &cursor])? else {
                return Err(io::Error::other("SCAN has no array"));
            };
            let [next, Value::Array(keys)] = reply.as_slice() else {
                return Err(io::Error::other("SCAN has no keys"));
            };
            let mut keys: Vec<Vec<u8>> = keys.iter().cloned().map(Value::into_bytes).collect();
            keys.retain(|key| slots.contains(&slot_of(key)));
            found += keys.len();
            for keys in keys.chunks(KEYS_PER_MOVE) {
                let (host, port) = (target.ip().to_string(), target.port().to_string());
                let mut move_keys: Vec<&[u8]> = vec![b"MIGRATE", host.as_bytes()];
                move_keys.extend([port.as_bytes(), b"", database.as_bytes()]);
                move_keys.extend([MOVE_TIMEOUT.as_bytes(), b"REPLACE", b"KEYS"]);
                move_keys.extend(keys.iter().map(Vec::as_slice));
                ask(&mut client, &move_keys)?;
            }
            cursor = next.clone().into_bytes();
            if cursor == b"0" {
                break;
            }
        }
    }
    Ok(found)
}

/// Asks a server; an error reply is an error.
fn ask(client: &mut RawClient, arguments: &[&[u8]]) -> io::Result<Value> {
    match Value::read(&client.try_command(arguments)?) {
        Value::Error(text) => Err(io::Error::other(text)),
        value => Ok(value),
    }
}
