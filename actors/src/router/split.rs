//! What comes out of routing a batch besides the forwarded requests.

use actix::Addr;
use bytes::Bytes;

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
            session.do_send(RepliesFailed { failed, stamps });
        }
    }
}
