//! Answering requests that the backend will not answer.
//!
//! A replica's reads are never failed here: the router sends them to the primary instead. Only what
//! a client sent to this very replica is.

use super::waiting::Waiter;
use super::{BackendConnActor, ConnStatus, ForwardBatch, ForwardRequest, ReplyTo, Role, Run};
use crate::client_error::RequestFailure;
use crate::router::RetryBatch;
use crate::slow_log::Stamps;

impl BackendConnActor {
    /// Answers what was written, at least in part, to a connection that is gone.
    pub(super) fn fail_written(&mut self, failure: RequestFailure) {
        let is_front_begun = self.replies.reset();
        let (failed, dropped) = self.in_flight.fail_written(self.out.len());
        self.out.advance(dropped);
        for (position, run) in failed.into_iter().enumerate() {
            self.fail_run(run, failure, position == 0 && is_front_begun);
        }
    }

    /// Answers all that was not written, and all that waits: the backend is down.
    pub(super) fn fail_everything(&mut self) {
        self.out.clear();
        for mut run in self.in_flight.fail_all() {
            run.written_us = self.worker.clock.now_us();
            self.fail_run(run, RequestFailure::BackendDown, false);
        }
        while let Some(waiter) = self.waiting.pop() {
            if let Waiter::Batch(batch) = waiter {
                self.refuse(batch, RequestFailure::BackendDown);
            }
        }
        self.status.requests_in_flight.set(0);
        self.status.requests_waiting.set(0);
    }

    /// Answers the requests of a run with an error, or sends a replica's reads to the primary. A
    /// reply that has begun can only be broken off.
    pub(super) fn fail_run(
        &self,
        run: Run<ReplyTo>,
        failure: RequestFailure,
        is_front_begun: bool,
    ) {
        let Some(reply_to) = run.reply_to.clone() else {
            return;
        };
        let stamps = self.stamps_of(&run);
        let mut requests = run.unanswered().to_vec();
        let Some((data, parts)) = run.source else {
            self.fail(&reply_to, &requests, failure, stamps);
            return;
        };
        if is_front_begun && !requests.is_empty() {
            let begun = requests.remove(0);
            self.fail(&reply_to, &[begun], failure, stamps);
        }
        self.retry(ForwardBatch { reply_to, data, parts, requests });
    }

    /// Refuses a batch that was not sent; a replica's reads go to the primary.
    pub(super) fn refuse(&self, batch: ForwardBatch, failure: RequestFailure) {
        if self.status.target.role == Role::Replica && batch.may_move() {
            self.retry(batch);
        } else {
            let unsent = Stamps::unsent(self.worker.clock.now_us());
            let stamps = Stamps { backend: Some(self.id), ..unsent };
            self.fail(&batch.reply_to, &batch.requests, failure, stamps);
        }
    }

    #[expect(clippy::disallowed_methods, reason = "BOUND: requests hold credit of their session")]
    pub(super) fn retry(&self, batch: ForwardBatch) {
        if !batch.requests.is_empty() {
            let database = self.status.target.database;
            self.router.do_send(RetryBatch { database, batch });
        }
    }

    pub(super) fn fail(
        &self,
        reply_to: &ReplyTo,
        requests: &[ForwardRequest],
        failure: RequestFailure,
        stamps: Stamps,
    ) {
        ConnStatus::count(&self.status.failures_total, requests.len());
        if let ReplyTo::Session(_) = reply_to {
            self.worker.counters.failures_total.add(requests.len() as u64);
        }
        let failed = requests.iter().map(|request| (request.ticket, request.part, failure));
        reply_to.fail(failed.collect(), stamps);
    }
}
