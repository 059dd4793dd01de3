//! The router: owns the slot table of its worker and sends every request where its slot lives.
//!
//! One batch of a session becomes at most one batch per backend connection. A request whose keys
//! lie behind several backends is split into one part per backend (`command::FanOutRequest`); the
//! session is told how to merge the replies before any of them can arrive.
//!
//! Connections are opened here on first use, one per (backend, role, database). Requests of a slot
//! that is held, because it is being filled or is locked, are parked and go on in order. Those of
//! a migrating slot go to the migrator, which lets them through when their keys have come.
//!
//! | message        | from            | what happens                                          |
//! |----------------|-----------------|-------------------------------------------------------|
//! | `RouteBatch`   | SessionActor    | split, forwarded                                      |
//! | `AskBackend`   | SessionActor    | sent to the backend that it names                     |
//! | `RetryBatch`   | BackendConnActor| reads that a replica could not serve go to the primary|
//! | `PrepareFill`  | TopologyActor   | slots are held; answered when they are drained        |
//! | `CutOff`       | TopologyActor   | connections that a round waits for are closed         |
//! | `CommitFill`   | TopologyActor   | new assignments; what waited goes on                  |
//! | `AbortFill`    | TopologyActor   | the old assignments; what waited goes on              |
//! | `ForwardFor`   | MigratorActor   | forwarded: a question to a source, or what it let go  |
//! | `SlotsDrained` | MigratorActor   | a round's fence goes on to the connections            |
//! | `QueryTable`   | SessionActor    | answered, for SLOTSMAPPING                            |
//! | `QueryBackends`| StatsActor      | answered from the connections' published status       |
//! | `Tick`         | SupervisorActor | passed on to every connection                         |
//!
//! Supervision: started by the worker's supervisor, stops with it. A panic ends the process.
//!
//! Bounds: at most one connection per (backend of the table, role, database). Batches under way
//! are bounded by the windows of the sessions that sent them. Parked requests: `parking`.
//!
//! Invariants: R-1 the requests of one batch that go to one connection keep their order (a split
//! request's parts stand in the place of the request). R-2 a part holds only keys of slots with one
//! and the same assignment, so that it may be sent to their primary as a whole; this is looked at
//! again when a replica hands it back (`retry`). R-3 a write never goes to a replica. R-4 no request
//! goes anywhere when the lease of the slots is over (`worker::Lease`).

mod backends;
pub(crate) mod fill;
mod holding;
pub(crate) mod migrating;
pub(crate) mod named;
mod parking;
mod retry;
mod routes;
mod split;

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;
use command::{Access, FanOutRequest};
use routing::{SlotId, SlotTable};

use crate::backend_conn::{BackendStatus, ForwardBatch, ForwardRequest, ReplyTo};
use crate::client_error::RequestFailure;
use crate::io::detached;
use crate::migrator::MigratorActor;
use crate::session::window::Ticket;
use crate::session::{SessionActor, StillParked};
use crate::slow_log::Stamps;
use crate::supervisor::Tick;
use crate::worker::{Settings, Worker};
use backends::{Backends, Conn};
use fill::Filling;
use migrating::MoveRequest;
use parking::{Parking, ParkingLimits, Waiting};
use routes::{BackendIndex, RouteIndex, RoutePolicy, Routes, Way};
use split::Split;

/// Sessions hear that their requests are still parked every so many ticks, so that the watch over
/// lost replies leaves them alone.
const TICKS_PER_NOTICE: u32 = 20;

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

/// Asks for the slot table of this worker.
#[derive(Message)]
#[rtype(result = "SlotTable")]
pub(crate) struct QueryTable;

/// See the module.
pub struct RouterActor {
    worker: Rc<Worker>,
    /// Given to connections, which hand back what a replica could not serve.
    me: Option<Addr<Self>>,
    table: SlotTable,
    /// Compiled from `table`.
    routes: Routes,
    backends: Backends,
    parking: Parking<Arc<Addr<SessionActor>>>,
    /// The epoch of the round that holds slots now.
    filling: Option<Filling>,
    /// Requests of the batch at hand, by backend. Empty between batches.
    pending: Vec<Vec<ForwardRequest>>,
    /// The backends with pending requests.
    touched: Vec<BackendIndex>,
    /// Started with the first slot that migrates.
    migrator: Option<Addr<MigratorActor>>,
    /// Requests of the batch at hand whose slots migrate. Empty between batches.
    moving: Vec<MoveRequest>,
    /// When the requests at hand began to wait, if they have waited; `None` for those that come.
    waiting_since_ms: Option<u64>,
    /// The lease of the slots was over when it was looked at: requests wait.
    has_lapsed: bool,
    /// Moves with every batch, so that reads take turns among equal replicas.
    turn: usize,
    ticks: u32,
}

impl RouterActor {
    pub(crate) fn new(worker: Rc<Worker>, table: SlotTable) -> Self {
        let limits = ParkingLimits {
            requests_max: worker.settings.config.slot_parked_max,
            bytes_max: worker.settings.config.slot_parked_bytes_max,
        };
        let mut backends = Backends::default();
        let policy = worker.settings.route_policy();
        let routes = Routes::compile(&table, policy, |addr, role| backends.index_of(addr, role));
        Self {
            worker,
            me: None,
            table,
            routes,
            backends,
            parking: Parking::new(limits),
            filling: None,
            pending: Vec::new(),
            touched: Vec::new(),
            migrator: None,
            moving: Vec::new(),
            waiting_since_ms: None,
            has_lapsed: false,
            turn: 0,
            ticks: 0,
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
        self.look_at_lease();
        let mut split = Split::default();
        for request in batch.requests {
            self.route(&batch.session, batch.database, &batch.data, request, &mut split);
        }
        split.tell(&batch.session, &self.worker);
        self.forward(&batch.session, batch.database, &batch.data, &split.parts());
    }
}

impl Handler<RetryBatch> for RouterActor {
    type Result = ();

    fn handle(&mut self, retry: RetryBatch, _ctx: &mut Self::Context) {
        let mut split = Split::default();
        let ForwardBatch { reply_to, data, parts, requests } = retry.batch;
        // Replicas serve sessions only.
        let ReplyTo::Session(session) = reply_to else {
            return;
        };
        self.look_at_lease();
        for request in requests {
            self.retry(&session, retry.database, (&data, &parts), request, &mut split);
        }
        split.tell(&session, &self.worker);
        self.forward(&session, retry.database, &data, &parts);
    }
}

impl Handler<QueryBackends> for RouterActor {
    type Result = MessageResult<QueryBackends>;

    fn handle(&mut self, _: QueryBackends, _ctx: &mut Self::Context) -> Self::Result {
        MessageResult(self.backends.conns().map(|conn| conn.status.to_status()).collect())
    }
}

impl Handler<QueryTable> for RouterActor {
    type Result = MessageResult<QueryTable>;

    fn handle(&mut self, _: QueryTable, _ctx: &mut Self::Context) -> Self::Result {
        MessageResult(self.table.clone())
    }
}

impl Handler<Tick> for RouterActor {
    type Result = ();

    #[expect(
        clippy::disallowed_methods,
        reason = "BOUND: one per connection or session and period"
    )]
    fn handle(&mut self, _: Tick, _ctx: &mut Self::Context) {
        for conn in self.backends.conns() {
            conn.addr.do_send(Tick);
        }
        if let Some(migrator) = &self.migrator {
            migrator.do_send(Tick);
        }
        self.look_at_lease();
        self.give_up_waiting();
        self.ticks = self.ticks.wrapping_add(1);
        if self.ticks.is_multiple_of(TICKS_PER_NOTICE) {
            let mut told = HashSet::new();
            for session in self.parking.sessions() {
                if told.insert(identity(session)) {
                    session.do_send(StillParked);
                }
            }
        }
    }
}

impl RouterActor {
    /// Puts a request where it must go: among those pending for a backend, split over several, or
    /// parked.
    fn route(
        &mut self,
        session: &Arc<Addr<SessionActor>>,
        database: u16,
        data: &Bytes,
        request: RouteRequest,
        split: &mut Split,
    ) {
        let is_following = !self.parking.is_empty() && self.parking.must_follow(identity(session));
        match self.way_of(&request) {
            Way::Offline => split.fail(request.ticket, RequestFailure::SlotOffline),
            Way::Held => self.park_request(session, database, data, request, split),
            _ if is_following => self.park_request(session, database, data, request, split),
            Way::Migrating(route) => self.migrate(database, data, request, route, split),
            Way::Route(route) => match &request.fan_out {
                Some(keys) if !self.is_one_way(keys, Way::Route(route)) => {
                    self.fan_out(data, database, &request, keys, split);
                }
                _ => {
                    let backend = self.choose(route, database, request.access);
                    self.pend(backend, ForwardRequest::whole(&request));
                }
            },
        }
    }

    /// The way of a request: held when any of its slots is, or none may be used; else offline when
    /// any is.
    fn way_of(&self, request: &RouteRequest) -> Way {
        if self.has_lapsed {
            return Way::Held;
        }
        let Some(keys) = &request.fan_out else {
            return self.routes.of_slot(request.slot);
        };
        let mut way = self.routes.of_slot(request.slot);
        for slot in keys.slots() {
            match self.routes.of_slot(slot) {
                Way::Held => return Way::Held,
                Way::Offline => way = Way::Offline,
                Way::Route(_) | Way::Migrating(_) => {}
            }
        }
        way
    }

    fn is_one_way(&self, keys: &FanOutRequest, way: Way) -> bool {
        keys.slots().all(|slot| self.routes.of_slot(slot) == way)
    }

    /// The backend that serves a request of a route: for reads the first replica group with a
    /// connected replica, otherwise the primary.
    fn choose(&mut self, route: RouteIndex, database: u16, access: Access) -> BackendIndex {
        let primary = self.routes.primary(route);
        if access == Access::Write || !self.routes.has_replicas(route) {
            return primary;
        }
        for group in 0..self.routes.replica_groups(route).len() {
            let replicas = self.routes.replica_groups(route).get(group).map_or(0, Vec::len);
            for offset in 0..replicas {
                let place = (self.turn + offset) % replicas;
                if let Some(replica) = self.routes.replica(route, group, place)
                    && self.conn(replica, database).is_some_and(|conn| conn.status.is_ready())
                {
                    return replica;
                }
            }
        }
        primary
    }

    fn pend(&mut self, backend: BackendIndex, request: ForwardRequest) {
        if self.pending.len() <= backend.0 {
            self.pending.resize_with(self.backends.places(), Vec::new);
        }
        if let Some(pending) = self.pending.get_mut(backend.0) {
            if pending.is_empty() {
                self.touched.push(backend);
            }
            pending.push(request);
        }
    }

    /// Sends what is pending to the backends of a batch.
    fn forward(
        &mut self,
        session: &Arc<Addr<SessionActor>>,
        database: u16,
        data: &Bytes,
        parts: &Bytes,
    ) {
        while let Some(backend) = self.touched.pop() {
            let requests = self.pending.get_mut(backend.0).map(std::mem::take).unwrap_or_default();
            let reply_to = ReplyTo::Session(Arc::clone(session));
            let batch =
                ForwardBatch { reply_to, data: data.clone(), parts: parts.clone(), requests };
            self.send(backend, database, batch);
        }
        self.send_moving(session, database, data, parts);
    }

    /// Sends requests to a backend.
    #[expect(clippy::disallowed_methods, reason = "BOUND: requests hold credit of their session")]
    fn send(&mut self, backend: BackendIndex, database: u16, batch: ForwardBatch) {
        match self.conn(backend, database) {
            Some(conn) => conn.addr.do_send(batch),
            None => {
                let failed = batch
                    .requests
                    .iter()
                    .map(|request| (request.ticket, request.part, RequestFailure::NoSuchDatabase));
                let stamps = Stamps::unsent(self.worker.clock.now_us());
                batch.reply_to.fail(failed.collect(), stamps);
            }
        }
    }

    fn conn(&mut self, backend: BackendIndex, database: u16) -> Option<&Conn> {
        let me = self.me.as_ref()?;
        self.backends.conn(backend, database, &self.worker, me)
    }

    fn compile(&mut self) {
        let backends = &mut self.backends;
        let policy = self.worker.settings.route_policy();
        self.routes =
            Routes::compile(&self.table, policy, |addr, role| backends.index_of(addr, role));
    }
}

impl Settings {
    fn route_policy(&self) -> RoutePolicy {
        RoutePolicy {
            is_primary_only: self.is_primary_only,
            migration_method: self.config.migration_method,
        }
    }
}

/// Tells sessions apart, as long as a clone of the address is held.
fn identity(session: &Arc<Addr<SessionActor>>) -> usize {
    Arc::as_ptr(session).addr()
}

impl Waiting {
    fn ticket_and_part(&self) -> (Ticket, u16) {
        match self {
            Self::Request(request) => (request.ticket, 0),
            Self::Retry(request) => (request.ticket, request.part),
        }
    }
}

impl RouteRequest {
    fn frame<'d>(&self, data: &'d Bytes) -> &'d [u8] {
        let start = self.start as usize;
        data.get(start..start + self.len as usize).unwrap_or_default()
    }

    /// The request's own bytes, which it is relative to from now on.
    fn take_frame(&mut self, data: &Bytes) -> Bytes {
        let start = std::mem::take(&mut self.start) as usize;
        detached(data, start..start + self.len as usize)
    }
}

#[cfg(test)]
mod tests;
