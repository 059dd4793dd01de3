//! Splits requests whose keys go different ways, and keeps what comes out of routing a batch besides
//! the forwarded requests.

use actix::Addr;
use bytes::Bytes;
use command::FanOutRequest;
use routing::SLOTS;

use super::migrating::KEYS_SPLIT_MAX;
use super::routes::Way;
use super::{RouteRequest, RouterActor};
use crate::backend_conn::ForwardRequest;
use crate::client_error::RequestFailure;
use crate::session::window::Ticket;
use crate::session::{FanOutPlanned, RepliesFailed, SessionActor};
use crate::slow_log::Stamps;
use crate::worker::Worker;

/// What comes out of splitting a batch besides the forwarded requests.
#[derive(Default)]
pub(super) struct Split {
    /// The encoded parts of fanned-out requests.
    pub(super) parts: Vec<u8>,
    pub(super) plans: Vec<(Ticket, command::Merge)>,
    pub(super) failed: Vec<(Ticket, u16, RequestFailure)>,
}

impl Split {
    pub(super) fn fail(&mut self, ticket: Ticket, failure: RequestFailure) {
        self.fail_part(ticket, 0, failure);
    }

    pub(super) fn fail_part(&mut self, ticket: Ticket, part: u16, failure: RequestFailure) {
        self.failed.push((ticket, part, failure));
    }

    pub(super) fn parts(self) -> Bytes {
        Bytes::from(self.parts)
    }

    // ORDER: the session learns of a merge before a backend is even asked, so the plan is in its
    // mailbox before any reply of a part can be.
    #[expect(clippy::disallowed_methods, reason = "BOUND: requests hold credit of their session")]
    pub(super) fn tell(&mut self, session: &Addr<SessionActor>, worker: &Worker) {
        if !self.plans.is_empty() {
            session.do_send(FanOutPlanned { plans: std::mem::take(&mut self.plans) });
        }
        if !self.failed.is_empty() {
            worker.counters.failures_total.add(self.failed.len() as u64);
            let failed = std::mem::take(&mut self.failed);
            let stamps = Stamps::unsent(worker.clock.now_us());
            session.do_send(RepliesFailed { failed, text: None, stamps });
        }
    }
}

impl RouterActor {
    /// Splits a request into one part per route, in the place of the request.
    pub(super) fn fan_out(
        &mut self,
        data: &Bytes,
        database: u16,
        request: &RouteRequest,
        keys: &FanOutRequest,
        split: &mut Split,
    ) {
        if keys.keys() > KEYS_SPLIT_MAX && keys.slots().any(|slot| self.is_split_by_key(slot)) {
            split.fail(request.ticket, RequestFailure::TooManyKeys);
            return;
        }
        let routes = &self.routes;
        let destination_of = |place, slot| match routes.of_slot(slot) {
            Way::Migrating(route) if routes.is_split_by_key(route) => SLOTS + place,
            Way::Migrating(route) | Way::Route(route) => route.index(),
            // The whole request has a way, so each of its slots has one.
            Way::Held | Way::Offline => 0,
        };
        let (parts, merge) = keys.split(request.frame(data), destination_of, &mut split.parts);
        split.plans.push((request.ticket, merge));
        for (part, number) in parts.iter().zip(0_u16..) {
            let forward = ForwardRequest::part(request.ticket, number, part);
            match self.routes.of_slot(part.slot) {
                Way::Migrating(route) => self.pend_moving(route, forward),
                Way::Route(route) => {
                    let backend = self.choose(route, database, request.access);
                    self.pend(backend, forward);
                }
                Way::Held | Way::Offline => {}
            }
        }
    }
}
