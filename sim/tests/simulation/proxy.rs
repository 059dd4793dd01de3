//! A proxy as a process: its real actors on a task set of their own, which ends with a crash.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix::{Actor, Addr};
use actors::stats::{AddWorker, StatsActor};
use actors::supervisor::{QueryRouter, SupervisorActor};
use actors::topology::{AddRouter, FillSlots, TopologyActor};
use actors::worker::{Credentials, Settings, Shared};
use command::CommandTable;
use config::Config;
use routing::{SlotAssignment, SlotId, SlotTable};
use slog::{Discard, Logger, o};
use tokio::io::{DuplexStream, duplex};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::timeout;

use crate::server::Network;
use crate::world::World;

const WORKERS: usize = 2;

/// How long the control plane waits for a proxy.
const FILL_TIMEOUT: Duration = Duration::from_secs(2);

thread_local! {
    /// Whose tasks run now, so that a server knows who connects.
    static RUNNING: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// What of a proxy the outside talks to.
struct Doors {
    topology: Addr<TopologyActor>,
    supervisors: Vec<Addr<SupervisorActor>>,
    shared: Arc<Shared>,
}

/// See the module.
pub(crate) struct Proxy {
    pub(crate) index: usize,
    world: Rc<World>,
    life: RefCell<Option<Life>>,
    lives: Cell<u64>,
}

/// From a start to a crash.
struct Life {
    doors: Rc<RefCell<Option<Doors>>>,
    tasks: JoinHandle<()>,
}

/// The tasks of a proxy, as one task.
struct Process {
    index: usize,
    tasks: LocalSet,
}

impl Future for Process {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let before = RUNNING.replace(self.index);
        let polled = Pin::new(&mut self.tasks).poll(cx);
        RUNNING.set(before);
        polled
    }
}

/// From now on the proxies of this thread connect to these servers.
pub(crate) fn join(network: &Rc<Network>) {
    let network = Rc::downgrade(network);
    actors::sim::set_connector(Some(Box::new(move |addr| {
        let (answer, answered) = oneshot::channel();
        let network = network.upgrade();
        if let Some(server) = network.as_ref().and_then(|n| n.server(addr.as_str())) {
            server.connect(format!("proxy {}", RUNNING.get()), answer);
        }
        answered
    })));
}

impl Proxy {
    pub(crate) fn new(index: usize, world: Rc<World>) -> Rc<Self> {
        Rc::new(Self { index, world, life: RefCell::default(), lives: Cell::default() })
    }

    /// Starts the proxy with the slots that the control plane has on record.
    pub(crate) fn start(&self, table: SlotTable) {
        self.world.event(format_args!("proxy {} starts", self.index));
        let tasks = LocalSet::new();
        let doors = Rc::new(RefCell::new(None));
        let (opened, seed) = (Rc::clone(&doors), self.world.random.next());
        let (index, world) = (self.index, Rc::clone(&self.world));
        tasks.spawn_local(async move {
            let made = start_actors(seed, table).await;
            world.event(format_args!("proxy {index} is online"));
            opened.replace(Some(made));
        });
        let tasks = self.world.spawn(Process { index: self.index, tasks });
        self.life.replace(Some(Life { doors, tasks }));
    }

    /// Ends the process at once: whatever it was doing is not done.
    pub(crate) fn crash(&self) {
        if let Some(life) = self.life.take() {
            self.world.event(format_args!("proxy {} crashes", self.index));
            life.tasks.abort();
            self.lives.set(self.lives.get() + 1);
        }
    }

    /// How many lives have ended.
    pub(crate) fn lives(&self) -> u64 {
        self.lives.get()
    }

    pub(crate) fn is_started(&self) -> bool {
        self.life.borrow().is_some()
    }

    /// Connects a client; `None` when there is nobody to connect to.
    pub(crate) fn connect(&self, client: u64) -> Option<DuplexStream> {
        let doors = Rc::clone(&self.life.borrow().as_ref()?.doors);
        let doors = doors.borrow();
        let doors = doors.as_ref()?;
        let worker = self.world.random.index(doors.supervisors.len());
        let (near, far) = duplex(64 * 1024);
        let peer = SocketAddr::from(([10, 1, 0, 1], u16::try_from(client).unwrap()));
        actors::sim::add_client(&doors.shared, worker, &doors.supervisors[worker], peer, near);
        Some(far)
    }

    /// Orders a fill. False when the proxy says no, or nothing in time.
    pub(crate) async fn fill(&self, changes: Vec<(SlotId, SlotAssignment)>) -> bool {
        let answer = {
            let life = self.life.borrow();
            let doors = life.as_ref().map(|life| Rc::clone(&life.doors));
            let Some(doors) = doors else {
                return false;
            };
            let doors = doors.borrow();
            let Some(doors) = doors.as_ref() else {
                return false;
            };
            doors.topology.send(FillSlots { changes, cut_off_after: None })
        };
        matches!(timeout(FILL_TIMEOUT, answer).await, Ok(Ok(Ok(_))))
    }
}

async fn start_actors(seed: u64, table: SlotTable) -> Doors {
    let config = config();
    let fill_timeout = config.fill_timeout;
    let listen = SocketAddr::from(([10, 1, 1, 1], 19_000));
    let commands = CommandTable::load().unwrap();
    let mut shared = Shared::new(settings(config), commands, WORKERS, listen);
    shared.jitter_seed = seed;
    let shared = Arc::new(shared);
    shared.lifecycle.go_online();
    let log = Logger::root(Discard, o!());
    let stats = StatsActor::new(Arc::clone(&shared)).start();
    let topology = TopologyActor::new(table.clone(), fill_timeout, log.clone()).start();
    let mut supervisors = Vec::new();
    for index in 0..WORKERS {
        let shared = Arc::clone(&shared);
        let supervisor =
            SupervisorActor::new(index, shared, table.clone(), stats.clone(), &log).start();
        let router = supervisor.send(QueryRouter).await.unwrap().unwrap();
        topology.send(AddRouter(router)).await.unwrap();
        stats.send(AddWorker(supervisor.clone())).await.unwrap();
        supervisors.push(supervisor);
    }
    Doors { topology, supervisors, shared }
}

/// Times in the proportions of the defaults, and short.
fn config() -> Config {
    Config {
        fill_timeout: Duration::from_millis(800),
        backend_recv_timeout: Duration::from_millis(500),
        backend_connect_timeout: Duration::from_millis(300),
        backend_retry_delay_min: Duration::from_millis(10),
        backend_retry_delay_max: Duration::from_millis(200),
        backend_ping_period: Duration::from_millis(700),
        migration_timeout: Duration::from_millis(200),
        migration_retry_timeout: Duration::from_millis(400),
        ..Config::default()
    }
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
