//! Answers questions about the whole proxy, by asking its workers or reading their counters.
//!
//! | message         | from                          | what happens                             |
//! |-----------------|-------------------------------|------------------------------------------|
//! | `AddWorker`     | wiring                        | the worker is asked from now on          |
//! | `QueryClients`  | SessionActor, admin server    | every worker's clients, joined           |
//! | `KillClients`   | SessionActor                  | passed on to every worker                |
//! | `QueryOverview` | admin server                  | counters, and every worker's backends    |
//! | `QuerySlow`, `QuerySlowCount`, `QueryEvents` | SessionActor, admin server | every worker's slow log, joined |
//! | `ForgetSlow`, `ForgetEvents` | SessionActor     | passed on to every worker                |
//!
//! Supervision: started by wiring, lives as long as the process.
//!
//! Bounds: a worker that does not answer within [`WORKER_TIMEOUT`] is left out of the answer, so no
//! question waits for a busy worker.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use serde::Serialize;

use crate::backend_conn::BackendStatus;
use crate::session::record::ClientRecord;
use crate::slow_log::{self, Event, Events, SlowRequest};
use crate::supervisor::{
    CloseClients, CountSlow, ListBackends, ListClients, ListEvents, ListSlow, ResetEvents,
    ResetSlow, SupervisorActor,
};
use crate::worker::Shared;

/// How long a worker may take to answer.
const WORKER_TIMEOUT: Duration = Duration::from_secs(1);

/// Which clients a question is about. Empty: all.
#[derive(Clone, Debug, Default)]
pub struct ClientFilter {
    /// One of these ids; empty means any.
    pub ids: Vec<u64>,
    /// The address of the client.
    pub peer: Option<String>,
    /// The address that it connected to.
    pub local: Option<String>,
    /// The user that it has authenticated as.
    pub user: Option<String>,
    /// Normal clients, or those of other kinds, of which there are none.
    pub is_normal_type: Option<bool>,
    /// Not this one.
    pub spared_id: Option<u64>,
}

impl ClientFilter {
    pub(crate) fn matches(&self, client: &ClientRecord) -> bool {
        let is_text = |wanted: &Option<String>, text: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == text)
        };
        (self.ids.is_empty() || self.ids.contains(&client.id))
            && self.spared_id != Some(client.id)
            && self.is_normal_type != Some(false)
            && is_text(&self.peer, &client.peer.to_string())
            && is_text(&self.local, &client.local.to_string())
            && is_text(&self.user, &client.user.borrow())
    }
}

/// Tells of a worker.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AddWorker(pub Addr<SupervisorActor>);

/// Asks for the lines of CLIENT LIST, in the order of the ids.
#[derive(Message)]
#[rtype(result = "Vec<String>")]
pub struct QueryClients {
    /// Which clients.
    pub filter: ClientFilter,
}

/// Closes clients; answers how many.
#[derive(Message)]
#[rtype(result = "u64")]
pub struct KillClients {
    /// Which clients.
    pub filter: ClientFilter,
    /// The client who asks: it closes itself, after the reply.
    pub except: u64,
}

/// Asks for the newest slow requests of all workers, the newest first; no more than are kept.
#[derive(Message)]
#[rtype(result = "Vec<SlowRequest>")]
pub struct QuerySlow {
    /// How many.
    pub count: usize,
}

/// Asks how many slow requests are kept.
#[derive(Message)]
#[rtype(result = "usize")]
pub struct QuerySlowCount;

/// Forgets all slow requests.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ForgetSlow;

/// Asks for the latency events of all workers.
#[derive(Message)]
#[rtype(result = "Events")]
pub struct QueryEvents;

/// Forgets the samples of some events; answers how many of these had any.
#[derive(Message)]
#[rtype(result = "usize")]
pub struct ForgetEvents {
    /// Which events.
    pub events: Vec<Event>,
}

/// Asks for the state of the proxy.
#[derive(Message)]
#[rtype(result = "Overview")]
pub struct QueryOverview;

/// The state of the proxy.
#[derive(Clone, Debug, Serialize)]
pub struct Overview {
    /// The proxy's version.
    pub version: &'static str,
    /// Names this run of the proxy.
    pub run_id: String,
    /// Seconds since the start.
    pub uptime_seconds: u64,
    /// Where clients connect to.
    pub listen: String,
    /// The number of workers.
    pub workers: usize,
    /// Clients connected now.
    pub clients: usize,
    /// The most clients that may be connected.
    pub clients_max: usize,
    /// Clients accepted since the start.
    pub clients_total: u64,
    /// Clients closed because of a limit since the start.
    pub clients_closed_by_limits_total: u64,
    /// Requests since the start.
    pub requests_total: u64,
    /// Requests that were refused before they were routed.
    pub requests_rejected_total: u64,
    /// Requests that failed in the proxy: slot offline, backend down, lost, late.
    pub requests_failed_total: u64,
    /// Questions to sources of migrating slots since start.
    pub key_moves_total: u64,
    /// Requests that failed because their keys could not be moved, since start.
    pub key_move_failures_total: u64,
    /// Error replies of backends.
    pub backend_errors_total: u64,
    /// Bytes read from clients.
    pub client_bytes_in_total: u64,
    /// Bytes written to clients.
    pub client_bytes_out_total: u64,
    /// Bytes of requests and replies that clients hold in the proxy now.
    pub buffered_bytes: usize,
    /// Requests that wait for slots that are held or locked now.
    pub requests_parked: u64,
    /// Their bytes.
    pub parked_bytes: u64,
    /// Memory of the process in bytes.
    pub resident_bytes: u64,
    /// Requests per command since the start.
    pub commands: Vec<CommandCalls>,
    /// Workers that did not answer in time: their connections are missing in `backends`.
    pub workers_silent: usize,
    /// Every backend connection of every worker.
    pub backends: Vec<BackendStatus>,
}

/// How often a command was called.
#[derive(Clone, Debug, Serialize)]
pub struct CommandCalls {
    /// Its full name in lower case.
    pub command: String,
    /// Requests since the start.
    pub calls: u64,
}

/// See the module.
pub struct StatsActor {
    shared: Arc<Shared>,
    workers: Vec<Addr<SupervisorActor>>,
}

impl StatsActor {
    /// An actor that knows no worker yet.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared, workers: Vec::new() }
    }

    /// Asks every worker the same; answers come in the order of the workers.
    fn ask_workers<M>(
        &self,
        question: impl Fn() -> M,
    ) -> impl Future<Output = Vec<M::Result>> + 'static
    where
        M: Message + Send + 'static,
        M::Result: Send,
        SupervisorActor: Handler<M>,
    {
        // All questions are on their way before the first answer is awaited.
        let asked: Vec<_> = self
            .workers
            .iter()
            .map(|worker| worker.send(question()).timeout(WORKER_TIMEOUT))
            .map(actix_rt::spawn)
            .collect();
        async move {
            let mut answers = Vec::with_capacity(asked.len());
            for answer in asked {
                if let Ok(Ok(answer)) = answer.await {
                    answers.push(answer);
                }
            }
            answers
        }
    }
}

impl Actor for StatsActor {
    type Context = Context<Self>;
}

impl Handler<AddWorker> for StatsActor {
    type Result = ();

    fn handle(&mut self, worker: AddWorker, _ctx: &mut Self::Context) {
        self.workers.push(worker.0);
    }
}

impl Handler<QueryClients> for StatsActor {
    type Result = ResponseFuture<Vec<String>>;

    fn handle(&mut self, question: QueryClients, _ctx: &mut Self::Context) -> Self::Result {
        let filter = Arc::new(question.filter);
        let answers = self.ask_workers(|| ListClients { filter: Arc::clone(&filter) });
        Box::pin(async move {
            let mut clients: Vec<_> = answers.await.into_iter().flatten().collect();
            clients.sort_unstable_by_key(|(id, _)| *id);
            clients.into_iter().map(|(_, line)| line).collect()
        })
    }
}

impl Handler<KillClients> for StatsActor {
    type Result = ResponseFuture<u64>;

    fn handle(&mut self, order: KillClients, _ctx: &mut Self::Context) -> Self::Result {
        let filter = Arc::new(order.filter);
        let except = order.except;
        let answers = self.ask_workers(|| CloseClients { filter: Arc::clone(&filter), except });
        Box::pin(async move { answers.await.into_iter().sum() })
    }
}

impl Handler<QuerySlow> for StatsActor {
    type Result = ResponseFuture<Vec<SlowRequest>>;

    fn handle(&mut self, question: QuerySlow, _ctx: &mut Self::Context) -> Self::Result {
        let count = question.count.min(self.shared.settings.config.slowlog_max_len);
        let answers = self.ask_workers(|| ListSlow { count });
        Box::pin(async move { slow_log::joined(answers.await, count) })
    }
}

impl Handler<QuerySlowCount> for StatsActor {
    type Result = ResponseFuture<usize>;

    fn handle(&mut self, _: QuerySlowCount, _ctx: &mut Self::Context) -> Self::Result {
        // Each worker keeps so many, and the newest of all of them are told.
        let count_max = self.shared.settings.config.slowlog_max_len;
        let answers = self.ask_workers(|| CountSlow);
        Box::pin(async move { answers.await.into_iter().sum::<usize>().min(count_max) })
    }
}

impl Handler<ForgetSlow> for StatsActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: ForgetSlow, _ctx: &mut Self::Context) -> Self::Result {
        let answers = self.ask_workers(|| ResetSlow);
        Box::pin(async move {
            answers.await;
        })
    }
}

impl Handler<QueryEvents> for StatsActor {
    type Result = ResponseFuture<Events>;

    fn handle(&mut self, _: QueryEvents, _ctx: &mut Self::Context) -> Self::Result {
        let answers = self.ask_workers(|| ListEvents);
        Box::pin(async move { Events::joined(&answers.await) })
    }
}

impl Handler<ForgetEvents> for StatsActor {
    type Result = ResponseFuture<usize>;

    fn handle(&mut self, order: ForgetEvents, _ctx: &mut Self::Context) -> Self::Result {
        let events: Arc<[Event]> = order.events.into();
        let answers = self.ask_workers(|| ResetEvents { events: Arc::clone(&events) });
        Box::pin(async move {
            let mut forgotten: Vec<_> = answers.await.into_iter().flatten().collect();
            forgotten.sort_unstable();
            forgotten.dedup();
            forgotten.len()
        })
    }
}

impl Handler<QueryOverview> for StatsActor {
    type Result = ResponseFuture<Overview>;

    fn handle(&mut self, _: QueryOverview, _ctx: &mut Self::Context) -> Self::Result {
        let answers = self.ask_workers(|| ListBackends);
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { overview(&shared, answers.await) })
    }
}

/// The state of the proxy, with the connections of each worker that has answered.
fn overview(shared: &Shared, answers: Vec<Vec<BackendStatus>>) -> Overview {
    let calls = crate::session::command_calls(shared, &shared.commands);
    Overview {
        version: env!("CARGO_PKG_VERSION"),
        run_id: shared.run_id.clone(),
        uptime_seconds: shared.started.elapsed().as_secs(),
        listen: shared.listen.to_string(),
        workers: shared.counters.len(),
        clients: shared.clients(),
        clients_max: shared.settings.config.proxy_max_clients,
        clients_total: shared.sum(|counters| counters.clients_total.value()),
        clients_closed_by_limits_total: shared.sum(|counters| counters.limit_closes_total.value()),
        requests_total: shared.sum(|counters| counters.requests_total.value()),
        requests_rejected_total: shared.sum(|counters| counters.rejected_total.value()),
        requests_failed_total: shared.sum(|counters| counters.failures_total.value()),
        key_moves_total: shared.sum(|counters| counters.key_moves_total.value()),
        key_move_failures_total: shared.sum(|counters| counters.key_move_failures_total.value()),
        backend_errors_total: shared.sum(|counters| counters.backend_errors_total.value()),
        client_bytes_in_total: shared.sum(|counters| counters.client_bytes_in.value()),
        client_bytes_out_total: shared.sum(|counters| counters.client_bytes_out.value()),
        buffered_bytes: shared.buffered.bytes(),
        requests_parked: shared.sum(|counters| counters.requests_parked.value()),
        parked_bytes: shared.sum(|counters| counters.parked_bytes.value()),
        resident_bytes: crate::session::resident_bytes(),
        commands: calls
            .map(|(command, calls)| CommandCalls { command: command.to_owned(), calls })
            .collect(),
        workers_silent: shared.counters.len().saturating_sub(answers.len()),
        backends: answers.into_iter().flatten().collect(),
    }
}
