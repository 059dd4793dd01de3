//! The fixture: one worker with its real actors, between real sockets whose other ends the test
//! holds. Everything runs on the test's own thread, in an actix system of its own.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, System};
use actors::listener::ListenerActor;
use actors::stats::{AddWorker, StatsActor};
use actors::supervisor::SupervisorActor;
use actors::worker::{Credentials, Settings, Shared};
use command::CommandTable;
use config::Config;
use routing::{BackendAddr, SlotAssignment, SlotId, SlotTable};
use slog::{Discard, Logger, o};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Far longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(20);

/// Runs a test in an actix system of its own, within the deadline.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let outcome = System::new().block_on(async { tokio::time::timeout(DEADLINE, test).await });
    outcome.expect("done within the deadline");
}

/// A proxy of one worker, and the backends that its slots are spread over.
pub(crate) struct Fixture {
    addr: SocketAddr,
    backends: Vec<TcpListener>,
    pub(crate) stats: Addr<StatsActor>,
    pub(crate) supervisor: Addr<SupervisorActor>,
}

impl Fixture {
    /// A proxy in front of so many backends, the slots spread over them.
    pub(crate) async fn start(backends: usize, config: Config) -> Self {
        let (listeners, addrs) = bind(backends).await;
        Self::with_table(listeners, &SlotTable::spread(&addrs).unwrap(), config).await
    }

    /// A proxy in front of a primary, backend 0, and its replica, backend 1.
    pub(crate) async fn start_with_replica(config: Config) -> Self {
        let (listeners, addrs) = bind(2).await;
        let assignment = SlotAssignment {
            primary: addrs.first().cloned(),
            group: 1,
            replica_groups: vec![addrs[1..].to_vec()],
            ..SlotAssignment::default()
        };
        let mut table = SlotTable::offline();
        let all = SlotId::all().map(|slot| (slot, assignment.clone()));
        table.fill(1, all).unwrap();
        Self::with_table(listeners, &table, config).await
    }

    async fn with_table(backends: Vec<TcpListener>, table: &SlotTable, config: Config) -> Self {
        let clients = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = clients.local_addr().unwrap();
        let commands = CommandTable::load().unwrap();
        let shared = Arc::new(Shared::new(settings(config), commands, 1, addr));
        shared.lifecycle.go_online();
        let log = Logger::root(Discard, o!());
        let stats = StatsActor::new(Arc::clone(&shared)).start();
        let supervisor =
            SupervisorActor::new(0, Arc::clone(&shared), table.clone(), stats.clone(), &log)
                .start();
        stats.send(AddWorker(supervisor.clone())).await.unwrap();
        let _listener = ListenerActor::new(shared, vec![supervisor.clone()], clients, log).start();
        Self { addr, backends, stats, supervisor }
    }

    pub(crate) async fn client(&self) -> Peer {
        Peer(TcpStream::connect(self.addr).await.unwrap())
    }

    /// The proxy's next connection to a backend, made and ready.
    pub(crate) async fn backend(&self, index: usize) -> Peer {
        let (io, _) = self.backends[index].accept().await.unwrap();
        let mut backend = Peer(io);
        backend.expect(b"*1\r\n$4\r\nPING\r\n").await;
        backend.send(b"+PONG\r\n").await;
        backend
    }

    /// Returns when the proxy has seen what was sent to it before: a question that came later is
    /// answered, on a connection of its own.
    pub(crate) async fn settle(&self) {
        let mut client = self.client().await;
        for _ in 0..2 {
            client.send(b"PING\r\n").await;
            client.expect(b"+PONG\r\n").await;
        }
    }
}

/// Backends that listen, and where.
async fn bind(backends: usize) -> (Vec<TcpListener>, Vec<BackendAddr>) {
    let mut listeners = Vec::new();
    let mut addrs = Vec::new();
    for _ in 0..backends {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        addrs.push(listener.local_addr().unwrap().to_string().parse().unwrap());
        listeners.push(listener);
    }
    (listeners, addrs)
}

fn settings(config: Config) -> Settings {
    Settings {
        session_credentials: Credentials::default(),
        product_credentials: Credentials::default(),
        backend_credentials: Vec::new(),
        database_initial: 0,
        redis_version: "7.0.0".to_owned(),
        is_primary_only: false,
        config,
    }
}

/// The test's end of a connection.
pub(crate) struct Peer(TcpStream);

impl Peer {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Reads exactly these bytes.
    pub(crate) async fn expect(&mut self, expected: &[u8]) {
        let mut bytes = vec![0; expected.len()];
        let read = self.0.read_exact(&mut bytes).await;
        let (bytes, expected) = (bytes.escape_ascii(), expected.escape_ascii());
        assert!(read.is_ok(), "closed; expected `{expected}`, has `{bytes}`");
        assert!(bytes.to_string() == expected.to_string(), "`{bytes}` instead of `{expected}`");
    }

    /// Reads to the end of the connection; gives what came before it.
    pub(crate) async fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A reset ends a connection as well as a close does.
        let _ = self.0.read_to_end(&mut bytes).await;
        bytes
    }
}

/// A request as clients send it.
pub(crate) fn request(args: &[&str]) -> Vec<u8> {
    let args: Vec<_> = args.iter().map(|arg| arg.as_bytes()).collect();
    let mut request = Vec::new();
    resp::encode::request(&mut request, &args);
    request
}

/// A key, one of several, whose slot lies behind backend `backend` of `backends`.
pub(crate) fn key(backend: usize, backends: usize, number: usize) -> String {
    let is_there = |key: &String| {
        routing::slot_of(key.as_bytes()).index() * backends / routing::SLOTS == backend
    };
    (0..).map(|key| format!("key:{key}")).filter(is_there).nth(number).unwrap()
}
