//! The proxy under simulation: its real actors, all on the thread of the test.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr};
use actors::backend_conn::BackendStatus;
use actors::listener::ListenerActor;
use actors::stats::{AddWorker, QueryOverview, StatsActor};
use actors::supervisor::{QueryRouter, SupervisorActor};
use actors::topology::{AddRouter, TopologyActor};
use actors::worker::{Credentials, Settings, Shared};
use command::CommandTable;
use config::Config;
use routing::SlotTable;
use slog::{Discard, Logger, o};
use tokio::net::TcpListener;

pub(crate) struct Proxy {
    pub(crate) addr: SocketAddr,
    pub(crate) topology: Addr<TopologyActor>,
    stats: Addr<StatsActor>,
    shared: Arc<Shared>,
}

impl Proxy {
    pub(crate) async fn start(workers: usize, table: &SlotTable, config: Config) -> Self {
        let fill_timeout = config.fill_timeout;
        let clients = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = clients.local_addr().unwrap();
        let commands = CommandTable::load().unwrap();
        let shared = Arc::new(Shared::new(settings(config), commands, workers, addr));
        shared.lifecycle.go_online();
        let log = Logger::root(Discard, o!());
        let stats = StatsActor::new(Arc::clone(&shared)).start();
        let topology = TopologyActor::new(table.clone(), fill_timeout, log.clone()).start();
        let mut supervisors = Vec::new();
        for index in 0..workers {
            let shared = Arc::clone(&shared);
            let supervisor =
                SupervisorActor::new(index, shared, table.clone(), stats.clone(), &log).start();
            let router = supervisor.send(QueryRouter).await.unwrap().unwrap();
            topology.send(AddRouter(router)).await.unwrap();
            stats.send(AddWorker(supervisor.clone())).await.unwrap();
            supervisors.push(supervisor);
        }
        let _listener = ListenerActor::new(Arc::clone(&shared), supervisors, clients, log).start();
        Self { addr, topology, stats, shared }
    }

    /// What the proxy says of its backend connections.
    pub(crate) async fn backends(&self) -> Vec<String> {
        let overview = self.stats.send(QueryOverview).await.unwrap();
        let line = |conn: &BackendStatus| {
            format!(
                "{} {:?} {:?}: {} in flight, {} waiting",
                conn.addr, conn.role, conn.state, conn.requests_in_flight, conn.requests_waiting
            )
        };
        overview.backends.iter().map(line).collect()
    }

    /// Requests that ended in an error of the proxy.
    pub(crate) fn failures(&self) -> u64 {
        self.shared.counters.iter().map(|worker| worker.failures_total.value()).sum()
    }
}

/// Times that make a run short.
pub(crate) fn config(slot_parked_max: usize) -> Config {
    Config {
        slot_parked_max,
        fill_timeout: Duration::from_millis(30),
        backend_retry_delay_min: Duration::from_millis(1),
        backend_retry_delay_max: Duration::from_millis(20),
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
