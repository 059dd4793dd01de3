//! What the router does with requests of slots that are held: they wait, go on, or are given up.
//!
//! How many wait and in which order is decided by `parking`. For how long: as long as the slot is
//! held, where a dashboard watches over it; with a topology in a coordinator at most
//! `pre_migrate_timeout`, because there a slot is held until somebody writes a node.

use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;

use super::parking::{Parked, Waiting};
use super::split::Split;
use super::{RouteRequest, RouterActor, identity};
use crate::client_error::RequestFailure;
use crate::session::SessionActor;
use crate::worker::Settings;

impl RouterActor {
    pub(super) fn park_request(
        &mut self,
        session: &Arc<Addr<SessionActor>>,
        database: u16,
        data: &Bytes,
        mut request: RouteRequest,
        split: &mut Split,
    ) {
        let frame = request.take_frame(data);
        self.park(session, database, frame, Waiting::Request(request), split);
    }

    pub(super) fn park(
        &mut self,
        session: &Arc<Addr<SessionActor>>,
        database: u16,
        frame: Bytes,
        waiting: Waiting,
        split: &mut Split,
    ) {
        let since_ms = self.waiting_since_ms.unwrap_or_else(|| self.worker.clock.now_ms());
        let session_kept = Arc::clone(session);
        let parked = Parked { session: session_kept, database, frame, waiting, since_ms };
        if let Err(refused) = self.parking.park(identity(session), parked) {
            let (ticket, part) = refused.waiting.ticket_and_part();
            split.fail_part(ticket, part, RequestFailure::SlotHeld);
        }
        self.publish_parked();
    }

    fn publish_parked(&self) {
        let (requests, bytes) = self.parking.size();
        self.worker.counters.requests_parked.set(requests as u64);
        self.worker.counters.parked_bytes.set(bytes as u64);
    }

    /// Routes again what was parked; what must still wait is parked again, in the same order.
    pub(super) fn release(&mut self) {
        // No read woke the worker, and the wait of these requests ends now.
        self.worker.clock.refresh();
        self.look_at_lease();
        for Parked { session, database, frame, waiting, since_ms } in self.parking.take_all() {
            let mut split = Split::default();
            self.waiting_since_ms = Some(since_ms);
            match waiting {
                Waiting::Request(request) => {
                    self.route(&session, database, &frame, request, &mut split);
                    split.tell(&session, &self.worker);
                    self.forward(&session, database, &frame, &split.parts());
                }
                Waiting::Retry(request) => {
                    self.retry(&session, database, (&frame, &frame), request, &mut split);
                    split.tell(&session, &self.worker);
                    self.forward(&session, database, &frame, &frame);
                }
            }
        }
        self.waiting_since_ms = None;
        self.publish_parked();
    }

    /// INVARIANT R-4. What waited for the lease alone goes first when that has begun anew: no batch
    /// may overtake it.
    pub(super) fn look_at_lease(&mut self) {
        let had_lapsed = self.has_lapsed;
        self.has_lapsed = self.worker.shared.lease.is_over(self.worker.clock.now_us());
        if had_lapsed && !self.has_lapsed {
            self.release();
        }
    }

    /// Answers requests that have waited for as long as they may, where there is a limit.
    pub(super) fn give_up_waiting(&mut self) {
        let Some(limit_ms) = self.worker.settings.parked_ms_max() else { return };
        if self.parking.is_empty() {
            return;
        }
        let before_ms = self.worker.clock.now_ms().saturating_sub(limit_ms);
        for parked in self.parking.take_before(before_ms, identity) {
            let mut split = Split::default();
            let (ticket, part) = parked.waiting.ticket_and_part();
            split.fail_part(ticket, part, RequestFailure::HeldTooLong);
            split.tell(&parked.session, &self.worker);
        }
        self.publish_parked();
    }
}

impl Settings {
    /// How many milliseconds a request may wait for a slot that is held; `None`: as long as it is.
    fn parked_ms_max(&self) -> Option<u64> {
        let limit = u64::try_from(self.config.pre_migrate_timeout.as_millis()).unwrap_or(u64::MAX);
        (self.config.topology.is_in_coordinator() && limit > 0).then_some(limit)
    }
}
