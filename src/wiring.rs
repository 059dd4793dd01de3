//! Starts every actor of a proxy, bottom-up, and stops them in the reverse order. The whole
//! topology of messages is on this screen.
//!
//! ```text
//! StatsActor ◄─ AddWorker ─ SupervisorActor x workers (each: RouterActor, SessionActors, BackendConns)
//!     ▲                        ▲                           ▲
//! admin server ─► TopologyActor ── PrepareFill, CommitFill ┘
//!     │                 ▲ FillSlots, LockSlots
//!     │           MembershipActor ◄─ coordinator (topology = codis1, codis2, reborn)
//!     │                 ▲ SwitchPrimaries
//!     ├─────────► SentinelActor ◄─ sentinels
//!     ├─────────► JodisActor ─► coordinator of Jodis clients
//!     ├─────────► MoverActor ─► admin servers of all proxies, this one's among them
//!     │              ListenerActor ◄─ clients
//!     └► MeterActor (reads the workers' counters) ◄─ Reports
//! ```

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr};
use actix_rt::Arbiter;
use actors::listener::{ListenerActor, StopListening};
use actors::sentinel::SentinelActor;
use actors::stats::{AddWorker, StatsActor};
use actors::supervisor::{Drain, QueryRouter, SupervisorActor};
use actors::topology::{AddRouter, TopologyActor};
use actors::worker::{Credentials, Shared};
use anyhow::Context as _;
use mover::{HaltMoves, Login, MoverActor, Surroundings};
use routing::{BackendAddr, SlotTable};
use slog::{Logger, info, warn};
use tokio::net::TcpListener;
use web::{Admin, AdminFleet, Identity, MeterActor, Reports, ServerHandle};

use crate::coordination::Coordination;
use crate::logging::LevelHandle;
use crate::state::State;

/// How long the admin server may take to finish the answers it has begun.
const ADMIN_STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the workers' threads may take to end.
const WORKERS_STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// How much of a proxy's token tells it from others at the servers that its mover works on.
const MOVER_NAME_CHARS: usize = 12;

/// What the admin server is made of.
pub(crate) struct AdminParts {
    pub(crate) listener: std::net::TcpListener,
    pub(crate) identity: Identity,
    pub(crate) level: LevelHandle,
}

/// The running cast.
pub(crate) struct Proxy {
    listener: Addr<ListenerActor>,
    supervisors: Vec<Addr<SupervisorActor>>,
    admin: ServerHandle,
    reports: Reports,
    /// The workers' threads, which end with this.
    arbiters: Vec<Arbiter>,
    mover: Option<Addr<MoverActor>>,
    coordination: Coordination,
    /// Nobody else uses the folder while this lives.
    _state: Option<State>,
    log: Logger,
}

/// The mover of the proxy. It begins when the admin server answers, and waits for it until then.
fn mover(
    state: &State,
    shared: &Arc<Shared>,
    listener: &std::net::TcpListener,
    identity: &Identity,
    log: &Logger,
) -> anyhow::Result<MoverActor> {
    let config = &shared.settings.config;
    let fleet = AdminFleet::new(config, identity, listener.local_addr()?);
    let settings = Arc::clone(&shared.settings);
    let login_of = move |addr: &BackendAddr| {
        let Credentials { user, password } = settings.credentials_of(addr).clone();
        Login { user, password }
    };
    let around = Surroundings {
        fleet: Rc::new(fleet),
        login_of: Rc::new(login_of),
        name: identity.model.token.chars().take(MOVER_NAME_CHARS).collect(),
        log: log.clone(),
    };
    MoverActor::open(state.journal_file(), around).context("take up moves of slots")
}

/// The workers, each on a thread of its own. All take part in fills before there is anyone to order
/// one.
async fn workers(
    shared: &Arc<Shared>,
    table: &SlotTable,
    stats: &Addr<StatsActor>,
    topology: &Addr<TopologyActor>,
    log: &Logger,
) -> anyhow::Result<(Vec<Arbiter>, Vec<Addr<SupervisorActor>>)> {
    let (mut arbiters, mut supervisors) = (Vec::new(), Vec::new());
    for index in 0..shared.counters.len() {
        let arbiter = Arbiter::new();
        let (shared, table, log) = (Arc::clone(shared), table.clone(), log.clone());
        let worker_stats = stats.clone();
        let supervisor = SupervisorActor::start_in_arbiter(&arbiter.handle(), move |_| {
            SupervisorActor::new(index, shared, table, worker_stats, &log)
        });
        let router = supervisor.send(QueryRouter).await?.context("start a worker")?;
        topology.send(AddRouter(router)).await?;
        stats.send(AddWorker(supervisor.clone())).await?;
        arbiters.push(arbiter);
        supervisors.push(supervisor);
    }
    Ok((arbiters, supervisors))
}

impl Proxy {
    /// Starts the actors; clients are accepted from here on.
    pub(crate) async fn start(
        shared: Arc<Shared>,
        table: &SlotTable,
        clients: TcpListener,
        admin: AdminParts,
        state: Option<State>,
        log: &Logger,
    ) -> anyhow::Result<Self> {
        let stats = StatsActor::new(Arc::clone(&shared)).start();
        let fill_timeout = shared.settings.config.fill_timeout;
        let topology = TopologyActor::new(table.clone(), fill_timeout, log.clone());
        let topology = topology.saving(state.as_ref().map(State::save_slots)).start();
        let (arbiters, supervisors) = workers(&shared, table, &stats, &topology, log).await?;
        let settings = Arc::clone(&shared.settings);
        let sentinels = SentinelActor::new(settings, topology.clone(), log.clone()).start();
        let AdminParts { listener, identity, level } = admin;
        let mover = state.as_ref().map(|state| mover(state, &shared, &listener, &identity, log));
        let mover = mover.transpose()?.map(Actor::start);
        let admin_addr = listener.local_addr()?;
        let coordination = Coordination::start(&shared, &topology, admin_addr, &identity, log)?;
        let admin = Admin {
            shared: Arc::clone(&shared),
            stats,
            topology,
            sentinels,
            mover: mover.clone(),
            coordinator: coordination.reporter(),
            meter: MeterActor::new(Arc::clone(&shared)).start(),
            identity: Arc::new(identity),
            set_log_level: Arc::new(move |to| level.set(to)),
            log: log.clone(),
        };
        let reports = Reports::start(&admin);
        let server = web::serve(listener, admin).context("start the admin server")?;
        let admin = server.handle();
        actix_rt::spawn(server);
        let listener =
            ListenerActor::new(shared, supervisors.clone(), clients, log.clone()).start();
        let log = log.clone();
        let _state = state;
        Ok(Self {
            listener,
            supervisors,
            admin,
            reports,
            arbiters,
            mover,
            coordination,
            _state,
            log,
        })
    }

    /// Waits for a reason for which the proxy cannot go on; for ever when there is none.
    pub(crate) fn failed(&self) -> impl Future<Output = String> + use<> {
        self.coordination.failed()
    }

    /// Accepts no more clients and lets those that are there have their replies, within a
    /// deadline. The admin server answers until then; whoever ordered the stop has its answer.
    pub(crate) async fn stop(mut self, deadline: Duration) {
        // Before anything closes: clients that look for a proxy should not be sent here any more.
        self.coordination.withdraw().await;
        // The admin server refuses orders from now on, those of the mover as well.
        if let Some(mover) = &self.mover {
            let _ = mover.send(HaltMoves).await;
        }
        let _ = self.listener.send(StopListening).await;
        let drained = async {
            // All workers drain at the same time.
            let drains: Vec<_> =
                self.supervisors.iter().map(|s| actix_rt::spawn(s.send(Drain))).collect();
            for drain in drains {
                let _ = drain.await;
            }
        };
        if tokio::time::timeout(deadline, drained).await.is_ok() {
            info!(self.log, "every client has its replies");
        } else {
            warn!(self.log, "clients were cut off: they did not finish within shutdown_timeout";
                "shutdown_timeout" => config::duration_text(deadline));
            // What is still under way must not reach a server when nobody counts on this proxy.
            end_workers(std::mem::take(&mut self.arbiters)).await;
        }
        self.coordination.leave().await;
        drop(self.reports);
        let answered = self.admin.stop(true);
        let _ = tokio::time::timeout(ADMIN_STOP_TIMEOUT, answered).await;
        end_workers(self.arbiters).await;
    }
}

/// Ends the workers' threads, each after what it does at the moment.
async fn end_workers(arbiters: Vec<Arbiter>) {
    for arbiter in &arbiters {
        arbiter.stop();
    }
    let joined = actix_rt::task::spawn_blocking(move || {
        for arbiter in arbiters {
            let _ = arbiter.join();
        }
    });
    let _ = tokio::time::timeout(WORKERS_STOP_TIMEOUT, joined).await;
}
