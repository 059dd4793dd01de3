//! The router: owns the slot table of its worker and sends every request where its slot lives.
//!
//! One batch of a session becomes at most one batch per backend connection. A request whose keys
//! lie behind several backends is split into one part per backend (`command::FanOutRequest`); the
//! session is told how to merge the replies before any of them can arrive.
//!
//! Connections are opened here on first use, one per (backend, role, database).
//!
//! | message        | from            | what happens                                          |
//! |----------------|-----------------|-------------------------------------------------------|
//! | `RouteBatch`   | SessionActor    | split, forwarded                                      |
//! | `RetryBatch`   | BackendConnActor| reads that a replica could not serve go to the primary|
//! | `QueryBackends`| StatsActor      | answered from the connections' published status       |
//! | `Tick`         | SupervisorActor | passed on to every connection                         |
//!
//! Supervision: started by the worker's supervisor, stops with it. A panic ends the process.
//!
//! Bounds: at most one connection per (backend of the table, role, database). Batches under way
//! are bounded by the windows of the sessions that sent them.
//!
//! Invariants: R-1 the requests of one batch that go to one connection keep their order (a split
//! request's parts stand in the place of the request). R-2 a part holds only keys of slots with one
//! and the same assignment, so that it may be sent to their primary as a whole. R-3 a write never
//! goes to a replica.

mod routes;

use std::rc::Rc;
use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;
use command::{Access, FanOutRequest};
use routing::{SlotId, SlotTable};

use crate::backend_conn::{
    BackendConnActor, BackendStatus, ConnStatus, ForwardBatch, ForwardRequest, Role, Target,
};
use crate::client_error::RequestFailure;
use crate::session::window::Ticket;
use crate::session::{FanOutPlanned, RepliesFailed, SessionActor};
use crate::supervisor::Tick;
use crate::worker::Worker;
use routes::{BackendIndex, RouteIndex, Routes};

/// Requests that a session read in one go, all for one database.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RouteBatch {
    /// Who gets the replies.
    pub session: Arc<Addr<SessionActor>>,
    /// The database that the session has selected.
    pub database: u16,
    /// The bytes that the requests lie in.
    pub data: Bytes,
    /// In the order in which the client sent them.
    pub requests: Vec<RouteRequest>,
}

/// One request of a [`RouteBatch`].
#[derive(Debug)]
pub struct RouteRequest {
    /// Its place in the session.
    pub ticket: Ticket,
    /// Where it begins in the batch's data.
    pub start: u32,
    /// Its length in bytes.
    pub len: u32,
    /// The slot of its keys (of the first one, if it is fanned out).
    pub slot: SlotId,
    /// Whether a replica may serve it.
    pub access: Access,
    /// Its keys, when they lie in more than one slot.
    pub fan_out: Option<Box<FanOutRequest>>,
}

/// Reads that a replica could not serve, to be sent to the primary of their slot.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RetryBatch {
    /// The database of the replica's connection.
    pub database: u16,
    /// As they were forwarded to the replica.
    pub batch: ForwardBatch,
}

/// Asks for the state of every backend connection of this worker.
#[derive(Message)]
#[rtype(result = "Vec<BackendStatus>")]
pub struct QueryBackends;

struct Conn {
    addr: Addr<BackendConnActor>,
    status: Rc<ConnStatus>,
}

/// The connections of one backend, by database.
struct Backend {
    target: routing::BackendAddr,
    role: Role,
    conns: Vec<Option<Conn>>,
}

/// See the module.
pub struct RouterActor {
    worker: Rc<Worker>,
    /// Given to connections, which hand back what a replica could not serve.
    me: Option<Addr<Self>>,
    routes: Routes,
    backends: Vec<Backend>,
    /// Requests of the batch at hand, by backend. Empty between batches.
    pending: Vec<Vec<ForwardRequest>>,
    /// The backends with pending requests.
    touched: Vec<BackendIndex>,
    /// Moves with every batch, so that reads take turns among equal replicas.
    turn: usize,
}

impl RouterActor {
    pub(crate) fn new(worker: Rc<Worker>, table: &SlotTable) -> Self {
        let (routes, targets) = Routes::compile(table, worker.settings.is_primary_only);
        let databases = worker.settings.config.backend_number_databases;
        let backends = targets
            .into_iter()
            .map(|(target, role)| Backend {
                target,
                role,
                conns: (0..databases).map(|_| None).collect(),
            })
            .collect::<Vec<_>>();
        let pending = backends.iter().map(|_| Vec::new()).collect();
        Self {
            worker,
            me: None,
            routes,
            backends,
            pending,
            touched: Vec::new(),
            turn: 0,
        }
    }
}

impl Actor for RouterActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.me = Some(ctx.address());
    }
}

impl Handler<RouteBatch> for RouterActor {
    type Result = ();

    fn handle(&mut self, batch: RouteBatch, _ctx: &mut Self::Context) {
        self.turn = self.turn.wrapping_add(1);
        let mut split = Split::default();
        for request in batch.requests {
            let Some(route) = self.routes.of_slot(request.slot) else {
                split.fail(request.ticket, RequestFailure::SlotOffline);
                continue;
            };
            match &request.fan_out {
                Some(keys)
                    if keys
                        .slots()
                        .any(|slot| self.routes.of_slot(slot) != Some(route)) =>
                {
                    self.fan_out(&batch.data, batch.database, &request, keys, &mut split);
                }
                _ => {
                    let backend = self.choose(route, batch.database, request.access);
                    self.pend(backend, ForwardRequest::whole(&request));
                }
            }
        }
        split.tell(&batch.session, &self.worker);
        self.forward(&batch.session, batch.database, &batch.data, &split.parts());
    }
}

impl Handler<RetryBatch> for RouterActor {
    type Result = ();

    fn handle(&mut self, retry: RetryBatch, _ctx: &mut Self::Context) {
        let mut split = Split::default();
        for request in retry.batch.requests {
            // INVARIANT R-2: the primary of the part's slot is the primary of all its keys.
            match self.routes.of_slot(request.slot) {
                Some(route) => {
                    let backend = self.choose(route, retry.database, Access::Write);
                    self.pend(backend, request);
                }
                None => split.fail_part(request.ticket, request.part, RequestFailure::SlotOffline),
            }
        }
        split.tell(&retry.batch.session, &self.worker);
        let ForwardBatch {
            session,
            data,
            parts,
            ..
        } = retry.batch;
        self.forward(&session, retry.database, &data, &parts);
    }
}

impl Handler<QueryBackends> for RouterActor {
    type Result = MessageResult<QueryBackends>;

    fn handle(&mut self, _: QueryBackends, _ctx: &mut Self::Context) -> Self::Result {
        let conns = self
            .backends
            .iter()
            .flat_map(|backend| backend.conns.iter().flatten());
        MessageResult(conns.map(|conn| conn.status.to_status()).collect())
    }
}

impl Handler<Tick> for RouterActor {
    type Result = ();

    #[expect(
        clippy::disallowed_methods,
        reason = "BOUND: one tick per connection and period"
    )]
    fn handle(&mut self, _: Tick, _ctx: &mut Self::Context) {
        for conn in self
            .backends
            .iter()
            .flat_map(|backend| backend.conns.iter().flatten())
        {
            conn.addr.do_send(Tick);
        }
    }
}

impl RouterActor {
    /// The backend that serves a request of a route: for reads the first replica group with a
    /// connected replica, otherwise the primary.
    fn choose(&mut self, route: RouteIndex, database: u16, access: Access) -> BackendIndex {
        let primary = self.routes.primary(route);
        if access == Access::Write || !self.routes.has_replicas(route) {
            return primary;
        }
        for group in 0..self.routes.replica_groups(route).len() {
            let replicas = self
                .routes
                .replica_groups(route)
                .get(group)
                .map_or(0, Vec::len);
            for offset in 0..replicas {
                let place = (self.turn + offset) % replicas;
                let replica = self.routes.replica(route, group, place);
                if let Some(replica) = replica
                    && self.is_serving(replica, database)
                {
                    return replica;
                }
            }
        }
        primary
    }

    /// Whether a replica's connection serves reads now; opens it when it was never used.
    fn is_serving(&mut self, replica: BackendIndex, database: u16) -> bool {
        self.conn(replica, database)
            .is_some_and(|conn| conn.status.is_ready())
    }

    fn pend(&mut self, backend: BackendIndex, request: ForwardRequest) {
        if let Some(pending) = self.pending.get_mut(backend.0) {
            if pending.is_empty() {
                self.touched.push(backend);
            }
            pending.push(request);
        }
    }

    /// Splits a request into one part per route, in the place of the request.
    fn fan_out(
        &mut self,
        data: &Bytes,
        database: u16,
        request: &RouteRequest,
        keys: &FanOutRequest,
        split: &mut Split,
    ) {
        if keys.slots().any(|slot| self.routes.of_slot(slot).is_none()) {
            split.fail(request.ticket, RequestFailure::SlotOffline);
            return;
        }
        let frame = request.frame(data);
        let routes = &self.routes;
        let route_of = |slot| routes.of_slot(slot).map_or(0, RouteIndex::index);
        let (parts, merge) = keys.split(frame, route_of, &mut split.parts);
        split.plans.push((request.ticket, merge));
        for (part, number) in parts.iter().zip(0_u16..) {
            let route = RouteIndex::from_index(part.destination);
            let backend = self.choose(route, database, request.access);
            self.pend(backend, ForwardRequest::part(request.ticket, number, part));
        }
    }

    /// Sends what is pending to the backends of a batch.
    #[expect(
        clippy::disallowed_methods,
        reason = "BOUND: requests hold credit of their session"
    )]
    fn forward(
        &mut self,
        session: &Arc<Addr<SessionActor>>,
        database: u16,
        data: &Bytes,
        parts: &Bytes,
    ) {
        while let Some(backend) = self.touched.pop() {
            let requests = self
                .pending
                .get_mut(backend.0)
                .map(std::mem::take)
                .unwrap_or_default();
            let batch = ForwardBatch {
                session: Arc::clone(session),
                data: data.clone(),
                parts: parts.clone(),
                requests,
            };
            match self.conn(backend, database) {
                Some(conn) => conn.addr.do_send(batch),
                None => {
                    let failed = batch.requests.iter().map(|request| {
                        (request.ticket, request.part, RequestFailure::NoSuchDatabase)
                    });
                    session.do_send(RepliesFailed {
                        failed: failed.collect(),
                    });
                }
            }
        }
    }

    /// The connection to a backend for a database, opened when there is none yet. `None` when the
    /// database is beyond the configured number.
    fn conn(&mut self, backend: BackendIndex, database: u16) -> Option<&Conn> {
        let entry = self.backends.get_mut(backend.0)?;
        let slot = entry.conns.get_mut(usize::from(database))?;
        if slot.is_none() {
            let target = Target {
                addr: entry.target.clone(),
                role: entry.role,
                database,
            };
            let status = Rc::new(ConnStatus::new(target));
            let worker = Rc::clone(&self.worker);
            let conn = BackendConnActor::new(worker, self.me.clone()?, Rc::clone(&status));
            *slot = Some(Conn {
                addr: conn.start(),
                status,
            });
        }
        slot.as_ref()
    }
}

/// What comes out of splitting a batch besides the forwarded requests.
#[derive(Default)]
struct Split {
    /// The encoded parts of fanned-out requests.
    parts: Vec<u8>,
    plans: Vec<(Ticket, command::Merge)>,
    failed: Vec<(Ticket, u16, RequestFailure)>,
}

impl Split {
    fn fail(&mut self, ticket: Ticket, failure: RequestFailure) {
        self.fail_part(ticket, 0, failure);
    }

    fn fail_part(&mut self, ticket: Ticket, part: u16, failure: RequestFailure) {
        self.failed.push((ticket, part, failure));
    }

    fn parts(self) -> Bytes {
        Bytes::from(self.parts)
    }

    // ORDER: the session learns of a merge before a backend is even asked, so the plan is in its
    // mailbox before any reply of a part can be.
    #[expect(
        clippy::disallowed_methods,
        reason = "BOUND: requests hold credit of their session"
    )]
    fn tell(&mut self, session: &Addr<SessionActor>, worker: &Worker) {
        if !self.plans.is_empty() {
            session.do_send(FanOutPlanned {
                plans: std::mem::take(&mut self.plans),
            });
        }
        if !self.failed.is_empty() {
            worker.counters.failures_total.add(self.failed.len() as u64);
            session.do_send(RepliesFailed {
                failed: std::mem::take(&mut self.failed),
            });
        }
    }
}

impl RouteRequest {
    fn frame<'d>(&self, data: &'d Bytes) -> &'d [u8] {
        let start = self.start as usize;
        data.get(start..start + self.len as usize)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
