//! One worker: starts its router and its sessions, keeps its clock and its clients' time limits.
//!
//! | message        | from          | what happens                                             |
//! |----------------|---------------|----------------------------------------------------------|
//! | `NewClient`    | ListenerActor | a session is started on this worker                      |
//! | `SessionEnded` | SessionActor  | forgotten; the last one ends a drain                     |
//! | `ListClients`  | StatsActor    | answered from the sessions' records                      |
//! | `CloseClients` | StatsActor    | matching sessions are closed                             |
//! | `ListBackends` | StatsActor    | passed on to the router                                  |
//! | `ListSlow`, `CountSlow`, `ResetSlow`, `ListEvents`, `ResetEvents` | StatsActor | from the worker's slow log |
//! | `QueryRouter`  | wiring        | answered                                                 |
//! | `Drain`        | wiring        | sessions take no more requests; answered when all ended  |
//!
//! Supervision: started by wiring, lives as long as the process. Its ticks are the one timer of a
//! worker: they move the clock and reach the router and, through it, every backend connection.
//!
//! Bounds: `proxy_max_clients`, counted by the listener before a client comes here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use routing::SlotTable;
use slog::{Logger, debug, o};
use tokio::sync::oneshot;

use crate::backend_conn::BackendStatus;
use crate::client_error::CloseReason;
use crate::io::socket::{self, Accepted};
use crate::router::{QueryBackends, RouterActor};
use crate::session::record::ClientRecord;
use crate::session::{CloseSession, DrainSession, Links, SessionActor};
use crate::slow_log::{Event, Events, SlowRequest};
use crate::stats::{ClientFilter, StatsActor};
use crate::worker::{ClientSlot, Shared, Worker};

/// The period of a worker's clock and timer.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// Clients are looked over for passed time limits every so many ticks.
const TICKS_PER_SWEEP: u64 = 10;

/// Time has passed: deadlines, keepalives and reconnects are due.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Tick;

/// A client was accepted for this worker.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct NewClient {
    pub(crate) io: Accepted,
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) id: u64,
    pub(crate) slot: ClientSlot,
}

/// A session is gone.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SessionEnded {
    pub(crate) id: u64,
}

/// Asks for the lines of CLIENT LIST.
#[derive(Message)]
#[rtype(result = "Vec<(u64, String)>")]
pub(crate) struct ListClients {
    pub(crate) filter: Arc<ClientFilter>,
}

/// Closes clients; answers how many.
#[derive(Message)]
#[rtype(result = "u64")]
pub(crate) struct CloseClients {
    pub(crate) filter: Arc<ClientFilter>,
    pub(crate) except: u64,
}

/// Asks for the state of the worker's backend connections.
#[derive(Message)]
#[rtype(result = "Vec<BackendStatus>")]
pub(crate) struct ListBackends;

/// Asks for the newest slow requests, the newest first.
#[derive(Message)]
#[rtype(result = "Vec<SlowRequest>")]
pub(crate) struct ListSlow {
    pub(crate) count: usize,
}

/// Asks for the number of slow requests that are kept.
#[derive(Message)]
#[rtype(result = "usize")]
pub(crate) struct CountSlow;

/// Forgets the slow requests.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ResetSlow;

/// Asks for the latency events.
#[derive(Message)]
#[rtype(result = "Events")]
pub(crate) struct ListEvents;

/// Forgets the samples of some events; answers which of them had any.
#[derive(Message)]
#[rtype(result = "Vec<Event>")]
pub(crate) struct ResetEvents {
    pub(crate) events: Arc<[Event]>,
}

/// Asks for the worker's router.
#[derive(Message)]
#[rtype(result = "Option<Addr<RouterActor>>")]
pub struct QueryRouter;

/// Lets sessions finish what is in flight and end; answered when all have.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Drain;

struct Session {
    addr: Addr<SessionActor>,
    record: Rc<ClientRecord>,
}

/// See the module.
pub struct SupervisorActor {
    worker: Rc<Worker>,
    table: SlotTable,
    stats: Addr<StatsActor>,
    links: Option<Rc<Links>>,
    sessions: BTreeMap<u64, Session>,
    ticks: u64,
    is_draining: bool,
    drained: Vec<oneshot::Sender<()>>,
}

impl SupervisorActor {
    /// The supervisor of worker `index`. Must be called on the worker's own thread.
    #[must_use]
    pub fn new(
        index: usize,
        shared: Arc<Shared>,
        table: SlotTable,
        stats: Addr<StatsActor>,
        log: &Logger,
    ) -> Self {
        let log = log.new(o!());
        Self {
            worker: Rc::new(Worker::new(index, shared, log)),
            table,
            stats,
            links: None,
            sessions: BTreeMap::new(),
            ticks: 0,
            is_draining: false,
            drained: Vec::new(),
        }
    }
}

impl Actor for SupervisorActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let router = RouterActor::new(Rc::clone(&self.worker), self.table.clone()).start();
        self.links =
            Some(Rc::new(Links { router, supervisor: ctx.address(), stats: self.stats.clone() }));
        ctx.run_interval(TICK, |supervisor, _| supervisor.tick());
    }
}

impl Handler<NewClient> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, client: NewClient, _ctx: &mut Self::Context) {
        let Some(links) = self.links.as_ref().filter(|_| !self.is_draining) else {
            return;
        };
        let io = match socket::adopt(client.io) {
            Ok(io) => io,
            Err(error) => {
                debug!(self.worker.log, "client is gone"; "peer" => %client.peer, "error" => %error);
                return;
            }
        };
        self.worker.counters.clients_total.add(1);
        let now_ms = self.worker.clock.now_ms();
        let record = Rc::new(ClientRecord::new(client.id, client.peer, client.local, now_ms));
        let session = SessionActor::new(
            Rc::clone(&self.worker),
            Rc::clone(links),
            Rc::clone(&record),
            client.slot,
            io,
        );
        self.sessions.insert(client.id, Session { addr: session.start(), record });
    }
}

impl Handler<SessionEnded> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, ended: SessionEnded, _ctx: &mut Self::Context) {
        self.sessions.remove(&ended.id);
        self.finish_drain();
    }
}

impl Handler<ListClients> for SupervisorActor {
    type Result = MessageResult<ListClients>;

    fn handle(&mut self, question: ListClients, _ctx: &mut Self::Context) -> Self::Result {
        let now_ms = self.worker.clock.now_ms();
        let matching = self.matching(&question.filter);
        let line = |session: &Session| session.record.line(now_ms, &self.worker.commands);
        MessageResult(matching.map(|session| (session.record.id, line(session))).collect())
    }
}

impl Handler<CloseClients> for SupervisorActor {
    type Result = u64;

    #[expect(clippy::disallowed_methods, reason = "BOUND: one order per session")]
    fn handle(&mut self, order: CloseClients, _ctx: &mut Self::Context) -> u64 {
        let mut closed = 0;
        for session in self.matching(&order.filter) {
            if session.record.id != order.except {
                session.addr.do_send(CloseSession(CloseReason::Killed));
                closed += 1;
            }
        }
        closed
    }
}

impl Handler<ListBackends> for SupervisorActor {
    type Result = ResponseFuture<Vec<BackendStatus>>;

    fn handle(&mut self, _: ListBackends, _ctx: &mut Self::Context) -> Self::Result {
        let router = self.links.as_ref().map(|links| links.router.clone());
        Box::pin(async move {
            match router {
                Some(router) => router.send(QueryBackends).await.unwrap_or_default(),
                None => Vec::new(),
            }
        })
    }
}

impl Handler<ListSlow> for SupervisorActor {
    type Result = MessageResult<ListSlow>;

    fn handle(&mut self, question: ListSlow, _ctx: &mut Self::Context) -> Self::Result {
        MessageResult(self.worker.slow_log.borrow().newest(question.count))
    }
}

impl Handler<CountSlow> for SupervisorActor {
    type Result = usize;

    fn handle(&mut self, _: CountSlow, _ctx: &mut Self::Context) -> usize {
        self.worker.slow_log.borrow().len()
    }
}

impl Handler<ResetSlow> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, _: ResetSlow, _ctx: &mut Self::Context) {
        self.worker.slow_log.borrow_mut().reset();
    }
}

impl Handler<ListEvents> for SupervisorActor {
    type Result = MessageResult<ListEvents>;

    fn handle(&mut self, _: ListEvents, _ctx: &mut Self::Context) -> Self::Result {
        MessageResult(self.worker.slow_log.borrow().events().clone())
    }
}

impl Handler<ResetEvents> for SupervisorActor {
    type Result = MessageResult<ResetEvents>;

    fn handle(&mut self, order: ResetEvents, _ctx: &mut Self::Context) -> Self::Result {
        MessageResult(self.worker.slow_log.borrow_mut().reset_events(&order.events))
    }
}

impl Handler<QueryRouter> for SupervisorActor {
    type Result = MessageResult<QueryRouter>;

    fn handle(&mut self, _: QueryRouter, _ctx: &mut Self::Context) -> Self::Result {
        MessageResult(self.links.as_ref().map(|links| links.router.clone()))
    }
}

impl Handler<Drain> for SupervisorActor {
    type Result = ResponseFuture<()>;

    #[expect(clippy::disallowed_methods, reason = "BOUND: one order per session")]
    fn handle(&mut self, _: Drain, _ctx: &mut Self::Context) -> Self::Result {
        self.is_draining = true;
        for session in self.sessions.values() {
            session.addr.do_send(DrainSession);
        }
        let (sender, receiver) = oneshot::channel();
        self.drained.push(sender);
        self.finish_drain();
        Box::pin(async move {
            // An error means that the supervisor itself is gone, and its sessions with it.
            let _ = receiver.await;
        })
    }
}

impl SupervisorActor {
    #[expect(clippy::disallowed_methods, reason = "BOUND: one tick per period")]
    fn tick(&mut self) {
        self.worker.clock.refresh();
        self.ticks += 1;
        if let Some(links) = &self.links {
            links.router.do_send(Tick);
        }
        if self.ticks.is_multiple_of(TICKS_PER_SWEEP) {
            self.close_overdue();
            self.close_largest();
        }
    }

    #[expect(clippy::disallowed_methods, reason = "BOUND: one order per session")]
    fn close_overdue(&self) {
        let now_ms = self.worker.clock.now_ms();
        for session in self.sessions.values() {
            if let Some(reason) = session.record.overdue(now_ms, &self.worker.settings.config) {
                session.addr.do_send(CloseSession(reason));
            }
        }
    }

    /// When all clients together hold too much, the one that holds most here goes: it may have
    /// stopped growing long ago, while others are refused the little that they need.
    #[expect(clippy::disallowed_methods, reason = "BOUND: one order per sweep")]
    fn close_largest(&self) {
        let shared = &self.worker.shared;
        let largest = self.sessions.values().max_by_key(|session| session.record.held_bytes.get());
        if let Some(session) = largest
            && shared.buffered.is_over_because_of(session.record.held_bytes.get(), shared.clients())
        {
            session.addr.do_send(CloseSession(CloseReason::BufferLimit));
        }
    }

    fn matching<'s>(&'s self, filter: &'s ClientFilter) -> impl Iterator<Item = &'s Session> {
        self.sessions.values().filter(|session| filter.matches(&session.record))
    }

    fn finish_drain(&mut self) {
        if self.is_draining && self.sessions.is_empty() {
            for waiting in self.drained.drain(..) {
                let _ = waiting.send(());
            }
        }
    }
}
