//! What the actors of one worker share, and what a worker shows to the rest of the proxy.
//!
//! [`Worker`] lives on the worker's thread (`Rc`, cells); [`WorkerCounters`] is the only thing that
//! other threads read, as relaxed atomics that the worker alone writes. So a question about the
//! proxy's numbers never waits for a busy worker.
//!
//! [`Settings`] are the parts of the configuration that the actors need, in their own types.

mod lease;
mod lifecycle;

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use command::CommandTable;
use config::{Config, Secret};
use resp::request::RequestLimits;
use routing::BackendAddr;
use slog::Logger;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::chance::Chance;
use crate::io::ReadArena;
use crate::latency::{Histogram, RequestClass};
use crate::session::dialect_of;
use crate::session::window::{Left, WindowLimits};
use crate::slow_log::{self, BackendNames, SlowCounts, SlowLog, wrapped};

pub use self::lease::Lease;
pub use self::lifecycle::Lifecycle;

/// A worker's spare output buffers.
pub(crate) type OutPool = Vec<Vec<u8>>;

/// The name and password that the proxy uses at a backend, or a client at the proxy.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The ACL user; empty means the default user.
    pub user: String,
    /// The password; empty means that none is needed.
    pub password: Secret,
}

/// The configuration as the actors use it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What a client must say to be let in.
    pub session_credentials: Credentials,
    /// What a backend wants to hear, unless `backend_credentials` names others for its address.
    pub product_credentials: Credentials,
    /// Credentials that belong to one address.
    pub backend_credentials: Vec<(BackendAddr, Credentials)>,
    /// The database in which a new session starts.
    pub database_initial: u16,
    /// The version that INFO and HELLO report: the lowest one found behind the proxy.
    pub redis_version: String,
    /// Reads go to primaries alone.
    pub is_primary_only: bool,
    /// The whole configuration, for limits and time limits.
    pub config: Config,
}

impl Settings {
    /// The limits of request framing for a client that has proved who it is.
    #[must_use]
    pub fn request_limits(&self) -> RequestLimits {
        RequestLimits {
            bulk_bytes_max: self.config.session_bulk_bytes_max,
            elements_max: self.config.session_elements_max,
            inline_bytes_max: self.config.session_inline_bytes_max,
            request_bytes_max: self.config.session_request_bytes_max,
        }
    }

    /// The limits of a session's window.
    #[must_use]
    pub fn window_limits(&self) -> WindowLimits {
        WindowLimits {
            requests_max: self.config.session_max_pipeline,
            bytes_max: self.config.session_window_bytes_max,
        }
    }

    /// From how many microseconds on a request is slow; `u32::MAX` when none is.
    #[must_use]
    pub fn slow_us(&self) -> u32 {
        slow_log::threshold_us(self.config.slowlog_log_slower_than)
    }

    /// The credentials for a backend.
    #[must_use]
    pub fn credentials_of(&self, addr: &BackendAddr) -> &Credentials {
        self.backend_credentials
            .iter()
            .find_map(|(known, credentials)| (known == addr).then_some(credentials))
            .unwrap_or(&self.product_credentials)
    }
}

/// Shared by everything in the proxy; nothing in it changes but atomics.
#[derive(Debug)]
pub struct Shared {
    /// The configuration.
    pub settings: Arc<Settings>,
    /// What is known of every command.
    pub commands: Arc<CommandTable>,
    /// One per worker.
    pub counters: Vec<Arc<WorkerCounters>>,
    /// What all clients hold together.
    pub buffered: BufferGauge,
    /// Where clients connect to.
    pub listen: SocketAddr,
    /// When the proxy started.
    pub started: Instant,
    /// 40 random hex digits that name this run of the proxy, as redis' `run_id`.
    pub run_id: String,
    /// Whether the proxy takes clients, and whether it is to stop.
    pub lifecycle: Arc<Lifecycle>,
    /// Until when the slots may be used.
    pub lease: Lease,
    /// What chance begins with, wherever the proxy leaves something to it. By chance itself, except
    /// in a simulation.
    pub jitter_seed: u64,
    /// The id of the next client.
    pub(crate) next_client_id: AtomicU64,
    next_slow_id: AtomicU64,
}

impl Shared {
    /// What the proxy shares, for a number of workers.
    #[must_use]
    pub fn new(
        settings: Settings,
        commands: CommandTable,
        workers: usize,
        listen: SocketAddr,
    ) -> Self {
        let counters = (0..workers).map(|_| Arc::new(WorkerCounters::new(commands.len())));
        let started = Instant::now();
        Self {
            counters: counters.collect(),
            buffered: BufferGauge::new(settings.config.proxy_max_offheap_size),
            commands: Arc::new(commands.in_dialect(dialect_of(&settings.config))),
            settings: Arc::new(settings),
            listen,
            started,
            run_id: random_hex(),
            lifecycle: Arc::default(),
            lease: Lease::endless(started),
            jitter_seed: RandomState::new().hash_one(0),
            next_client_id: AtomicU64::new(1),
            next_slow_id: AtomicU64::new(0),
        }
    }

    /// A sum over all workers.
    pub fn sum(&self, of: impl Fn(&WorkerCounters) -> u64) -> u64 {
        self.counters.iter().map(|counters| of(counters)).sum()
    }

    /// The id of the next slow request.
    pub(crate) fn next_slow_id(&self) -> u64 {
        self.next_slow_id.fetch_add(1, Ordering::Relaxed)
    }

    /// The clients connected now.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.counters.iter().map(|counters| counters.clients.load(Ordering::Relaxed)).sum()
    }
}

/// 40 hex digits. They only have to differ between runs, so the hasher's seeds will do.
fn random_hex() -> String {
    let words = (0..3).map(|word: u64| format!("{:016x}", RandomState::new().hash_one(word)));
    words.collect::<String>().chars().take(40).collect()
}

/// Shared by the actors of one worker, on its thread.
pub(crate) struct Worker {
    /// Position among the workers, from 0.
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) commands: Arc<CommandTable>,
    pub(crate) counters: Arc<WorkerCounters>,
    pub(crate) clock: Clock,
    pub(crate) arena: RefCell<ReadArena>,
    pub(crate) out_pool: RefCell<OutPool>,
    /// Where the framer puts the argument positions of the request at hand.
    pub(crate) spans: RefCell<Vec<resp::request::Span>>,
    pub(crate) backends: BackendNames,
    pub(crate) slow_log: RefCell<SlowLog>,
    pub(crate) log: Logger,
    pub(crate) chance: Chance,
}

impl Worker {
    pub(crate) fn new(index: usize, shared: Arc<Shared>, log: Logger) -> Self {
        let counters = shared.counters.get(index).map(Arc::clone);
        let config = &shared.settings.config;
        let slow_log = SlowLog::new(config.slowlog_log_slower_than, config.slowlog_max_len);
        Self {
            index,
            settings: Arc::clone(&shared.settings),
            commands: Arc::clone(&shared.commands),
            counters: counters
                .unwrap_or_else(|| Arc::new(WorkerCounters::new(shared.commands.len()))),
            clock: Clock::since(shared.started),
            arena: RefCell::default(),
            out_pool: RefCell::default(),
            spans: RefCell::default(),
            backends: BackendNames::default(),
            slow_log: RefCell::new(slow_log),
            log,
            chance: Chance::new(shared.jitter_seed.wrapping_add(index as u64)),
            shared,
        }
    }
}

/// The worker's clock: reading it costs a load.
///
/// It is moved on by the supervisor's tick and by every read of a socket, so it is never behind by
/// more than the tick, and exact where latencies are taken: at the reads that bring requests and
/// replies.
#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
    now_us: Cell<u64>,
}

impl Clock {
    /// A clock of a proxy that was started then.
    pub(crate) fn since(started: Instant) -> Self {
        Self { started, now_us: Cell::new(0) }
    }

    /// Milliseconds since the proxy's start.
    pub(crate) fn now_ms(&self) -> u64 {
        self.now_us.get() / 1000
    }

    /// Microseconds since the proxy's start.
    pub(crate) fn now_us(&self) -> u64 {
        self.now_us.get()
    }

    /// Looks at the system's clock.
    pub(crate) fn refresh(&self) {
        let elapsed = self.started.elapsed().as_micros();
        self.now_us.set(u64::try_from(elapsed).unwrap_or(u64::MAX));
    }
}

/// The bytes that all clients of the proxy hold in it together: half-received requests and
/// replies that wait. The ceiling is `proxy_max_offheap_size`.
///
/// Sessions report changes of at least [`BufferGauge::STEP_BYTES`], so the gauge is below the truth
/// by at most that much per client.
#[derive(Debug)]
pub struct BufferGauge {
    bytes: AtomicUsize,
    bytes_max: usize,
}

impl BufferGauge {
    /// Smaller changes are not reported.
    pub const STEP_BYTES: usize = 16 * 1024;

    /// A gauge with a ceiling in bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes: AtomicUsize::new(0), bytes_max }
    }

    /// The bytes held now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// True when the clients hold more than they may.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.bytes() > self.bytes_max
    }

    /// True when the clients hold more than they may, and this one at least its equal share: there
    /// is always one, and nobody below it pays for others.
    #[must_use]
    pub fn is_over_because_of(&self, held: usize, clients: usize) -> bool {
        self.is_over() && held.saturating_mul(clients.max(1)) >= self.bytes_max
    }

    /// Moves a client's share from `before` to `after` bytes.
    pub(crate) fn change(&self, before: usize, after: usize) {
        if after >= before {
            self.bytes.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.bytes.fetch_sub(before - after, Ordering::Relaxed);
        }
    }
}

/// A number that one thread writes and any thread reads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Adds; only the owning worker may call it, which makes a plain store enough.
    pub(crate) fn add(&self, count: u64) {
        self.0.store(self.value().wrapping_add(count), Ordering::Relaxed);
    }

    /// Takes the place of the value; only the owning worker may call it.
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Takes away; only the owning worker may call it.
    pub(crate) fn sub(&self, count: u64) {
        self.0.store(self.value().wrapping_sub(count), Ordering::Relaxed);
    }
}

/// What one worker has done and has.
#[derive(Debug)]
pub struct WorkerCounters {
    /// Clients connected now. Written by the listener too, hence not a [`Counter`].
    pub clients: AtomicUsize,
    /// Clients accepted since start.
    pub clients_total: Counter,
    /// Requests entered since start.
    pub requests_total: Counter,
    /// Requests that ended in an error made by the proxy, since start.
    pub failures_total: Counter,
    /// Questions to sources of migrating slots, since start.
    pub key_moves_total: Counter,
    /// Requests that failed because their keys could not be moved, since start.
    pub key_move_failures_total: Counter,
    /// Error replies of backends, since start.
    pub backend_errors_total: Counter,
    /// Requests refused before they were routed (unknown command, arity, cross-slot), since start.
    pub rejected_total: Counter,
    /// Clients closed because of a limit, since start.
    pub limit_closes_total: Counter,
    /// Bytes read from clients, since start.
    pub client_bytes_in: Counter,
    /// Bytes written to clients, since start.
    pub client_bytes_out: Counter,
    /// Backend connections that are ready now.
    pub backend_conns: Counter,
    /// Requests parked now.
    pub requests_parked: Counter,
    /// The bytes of the requests parked now.
    pub parked_bytes: Counter,
    /// Per command, by `CommandId`.
    pub commands: Vec<CommandCounters>,
    /// From the read that brought a request to the write of its reply, by [`RequestClass`].
    pub latency: [Histogram; RequestClass::ALL.len()],
    /// Slow requests since start.
    pub slow: SlowCounts,
}

/// What one worker knows of one command.
#[derive(Debug, Default)]
pub struct CommandCounters {
    /// Requests since start.
    pub calls: Counter,
    /// Their latencies; made by the first call, for most commands are never called.
    latency: OnceLock<Box<Histogram>>,
    /// Those that were answered with an error, by whomever.
    pub errors: Counter,
}

impl CommandCounters {
    /// The latencies of its requests; `None` when there was none.
    #[must_use]
    pub fn latency(&self) -> Option<&Histogram> {
        self.latency.get().map(Box::as_ref)
    }
}

impl WorkerCounters {
    /// Counts requests whose replies leave now.
    pub(crate) fn count_left(&self, left: Left, now_us: u64) {
        let (tag, count) = (left.tag, u64::from(left.count));
        // Both wrap together, so the difference is right for latencies up to 71 minutes.
        let latency_us = u64::from(wrapped(now_us).wrapping_sub(tag.entered_us));
        if let Some(histogram) = self.latency.get(tag.class as usize) {
            histogram.record(latency_us, count);
        }
        if let Some(command) = tag.command.and_then(|id| self.commands.get(id.index())) {
            command.latency.get_or_init(Box::default).record(latency_us, count);
            command.errors.add(if left.is_error { count } else { 0 });
        }
    }

    /// Counters for a table of that many commands.
    #[must_use]
    pub fn new(commands: usize) -> Self {
        Self {
            clients: AtomicUsize::new(0),
            clients_total: Counter::default(),
            requests_total: Counter::default(),
            failures_total: Counter::default(),
            key_moves_total: Counter::default(),
            key_move_failures_total: Counter::default(),
            backend_errors_total: Counter::default(),
            rejected_total: Counter::default(),
            limit_closes_total: Counter::default(),
            client_bytes_in: Counter::default(),
            client_bytes_out: Counter::default(),
            backend_conns: Counter::default(),
            requests_parked: Counter::default(),
            parked_bytes: Counter::default(),
            commands: (0..commands).map(|_| CommandCounters::default()).collect(),
            latency: std::array::from_fn(|_| Histogram::default()),
            slow: SlowCounts::default(),
        }
    }
}

/// Counts a client from the moment it is accepted until its session is gone.
#[derive(Debug)]
pub(crate) struct ClientSlot(Arc<WorkerCounters>);

impl ClientSlot {
    pub(crate) fn take(counters: Arc<WorkerCounters>) -> Self {
        counters.clients.fetch_add(1, Ordering::Relaxed);
        Self(counters)
    }
}

impl Drop for ClientSlot {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Sets what every connection of the proxy has: no delay of small writes, and keepalive so that a
/// peer that vanished is noticed.
pub(crate) fn tune_socket(io: &TcpStream, keepalive: Duration) -> std::io::Result<()> {
    io.set_nodelay(true)?;
    if !keepalive.is_zero() {
        let keepalive = TcpKeepalive::new().with_time(keepalive).with_interval(keepalive / 3);
        SockRef::from(io).set_tcp_keepalive(&keepalive)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
