//! Requests of migrating slots, on their way to the migrator and back.
//!
//! ```text
//!   RouteBatch ─► MoveKeys ─► MigratorActor ─► ForwardFor(source): "let go of these keys"
//!                                          ─► ForwardFor(target): the request
//! ```
//!
//! The migrator names backends by address: between a question and its answer a fill may have given
//! the place of a backend to another one.

use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;
use command::Args;
use resp::request::{Framed, RequestFramer};
use routing::SlotId;

use super::routes::{RouteIndex, Way};
use super::split::Split;
use super::{RouteRequest, RouterActor};
use crate::backend_conn::fence::FenceToken;
use crate::backend_conn::{ForwardBatch, ForwardRequest, Role};
use crate::client_error::RequestFailure;
use crate::migrator::{DrainSlots, Migration, MigratorActor, MoveKeys};
use crate::session::SessionActor;
use crate::slow_log::Stamps;

/// Keys of a request that is split into requests of one key each; its parts are numbered in 16 bits.
pub(super) const KEYS_SPLIT_MAX: usize = 32 * 1024;

/// A request of migrating slots.
#[derive(Debug)]
pub(crate) struct MoveRequest {
    pub(crate) request: ForwardRequest,
    pub(crate) migration: Arc<Migration>,
}

/// Forwards requests of the migrator to one side of a migration.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ForwardFor {
    pub(crate) migration: Arc<Migration>,
    pub(crate) side: Side,
    pub(crate) database: u16,
    pub(crate) batch: ForwardBatch,
}

/// One end of a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Source,
    Target,
}

/// The migrator holds no request of a round's slots any more.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SlotsDrained {
    /// The round.
    pub(crate) epoch: u64,
    /// The token that it was given.
    pub(crate) token: FenceToken,
}

impl Handler<ForwardFor> for RouterActor {
    type Result = ();

    fn handle(&mut self, forward: ForwardFor, _ctx: &mut Self::Context) {
        let ForwardFor { migration, side, database, batch } = forward;
        self.look_at_lease();
        if self.has_lapsed && side == Side::Target {
            // INVARIANT R-4: its turn came too late.
            let failure = RequestFailure::HeldTooLong;
            let failed =
                batch.requests.iter().map(|request| (request.ticket, request.part, failure));
            let stamps = Stamps::unsent(self.worker.clock.now_us());
            return batch.reply_to.fail(failed.collect(), stamps);
        }
        let backend = match side {
            Side::Source => self.backends.index_of(&migration.source, Role::Source),
            Side::Target => self.backends.index_of(&migration.target, Role::Primary),
        };
        self.send(backend, database, batch);
    }
}

impl Handler<SlotsDrained> for RouterActor {
    type Result = ();

    fn handle(&mut self, drained: SlotsDrained, _ctx: &mut Self::Context) {
        self.go_on_draining(drained.epoch, &drained.token);
    }
}

impl RouterActor {
    /// Takes a request whose (first) slot migrates: for the migrator as a whole, or split when its
    /// keys go different ways or must go one by one.
    pub(super) fn migrate(
        &mut self,
        database: u16,
        data: &Bytes,
        mut request: RouteRequest,
        route: RouteIndex,
        split: &mut Split,
    ) {
        let is_split_by_key = self.routes.is_split_by_key(route);
        if is_split_by_key && request.fan_out.is_none() {
            request.fan_out = self.by_key(request.frame(data)).map(Box::new);
        }
        match request.fan_out.take() {
            Some(keys) if is_split_by_key || !self.is_one_way(&keys, Way::Migrating(route)) => {
                self.fan_out(data, database, &request, &keys, split);
            }
            _ => self.pend_moving(route, ForwardRequest::whole(&request)),
        }
    }

    pub(super) fn is_split_by_key(&self, slot: SlotId) -> bool {
        match self.routes.of_slot(slot) {
            Way::Migrating(route) => self.routes.is_split_by_key(route),
            _ => false,
        }
    }

    pub(super) fn pend_moving(&mut self, route: RouteIndex, request: ForwardRequest) {
        if let Some(migration) = self.routes.migration(route) {
            self.moving.push(MoveRequest { request, migration: Arc::clone(migration) });
        }
    }

    /// Sends what is pending to the migrator.
    #[expect(clippy::disallowed_methods, reason = "BOUND: requests hold credit of their session")]
    pub(super) fn send_moving(
        &mut self,
        session: &Arc<Addr<SessionActor>>,
        database: u16,
        data: &Bytes,
        parts: &Bytes,
    ) {
        if self.moving.is_empty() {
            return;
        }
        let requests = std::mem::take(&mut self.moving);
        let (session, data, parts) = (Arc::clone(session), data.clone(), parts.clone());
        if let Some(migrator) = self.migrator() {
            migrator.do_send(MoveKeys { session, database, data, parts, requests });
        }
    }

    /// Makes a round wait for the migrator, if it has anything to do with the slots (M-5).
    #[expect(clippy::disallowed_methods, reason = "BOUND: one order per round")]
    pub(super) fn drain_moving(&mut self, epoch: u64, slots: &Arc<[SlotId]>, token: &FenceToken) {
        let is_any = slots.iter().any(|slot| {
            let assignment = self.table.assignment(*slot);
            assignment.is_migrating()
        });
        if let (true, Some(migrator)) = (is_any, &self.migrator) {
            let slots = Arc::clone(slots);
            migrator.do_send(DrainSlots { epoch, slots, token: token.clone() });
        }
    }

    fn migrator(&mut self) -> Option<&Addr<MigratorActor>> {
        let me = self.me.as_ref()?;
        let worker = &self.worker;
        Some(self.migrator.get_or_insert_with(|| {
            MigratorActor::new(std::rc::Rc::clone(worker), me.clone()).start()
        }))
    }

    /// A request of several keys of one slot, ready to be split.
    fn by_key(&self, frame: &[u8]) -> Option<command::FanOutRequest> {
        let mut spans = Vec::new();
        let framed = RequestFramer::new(self.worker.settings.request_limits());
        let Ok(Framed::Request { .. }) = { framed }.next(frame, &mut spans) else {
            return None;
        };
        self.worker.commands.by_key(&Args::new(frame, &spans))
    }
}
