//! Reads that a replica handed back, on their way to the primary of their slot.
//!
//! All keys of a read had one primary when it was forwarded. It may have spent a while at the
//! replica, and a fill may have parted its slots since, or hold one of them now: the slots of all
//! its keys are looked at again. That takes another look at its bytes, which is cheap beside the
//! reply of a replica that was waited for in vain.

use std::sync::Arc;

use actix::Addr;
use bytes::Bytes;
use command::{Args, FanOutRequest, Plan};
use resp::request::{Framed, RequestFramer};
use routing::SlotId;

use super::RouterActor;
use super::parking::Waiting;
use super::routes::{BackendIndex, RouteIndex, Way};
use super::split::Split;
use crate::backend_conn::ForwardRequest;
use crate::client_error::RequestFailure;
use crate::session::SessionActor;

/// What becomes of a read that came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RetryWay {
    To(BackendIndex),
    Move(RouteIndex),
    Wait,
    Fail(RequestFailure),
}

impl RouterActor {
    /// Puts a read among those pending for its primary, or parks it.
    pub(super) fn retry(
        &mut self,
        session: &Arc<Addr<SessionActor>>,
        database: u16,
        (data, parts): (&Bytes, &Bytes),
        request: ForwardRequest,
        split: &mut Split,
    ) {
        match self.way_of_retry(&request, data, parts) {
            RetryWay::To(primary) => self.pend(primary, request),
            RetryWay::Move(route) => self.pend_moving(route, request),
            RetryWay::Wait => {
                let (frame, request) = request.detached(data, parts);
                self.park(session, database, frame, Waiting::Retry(request), split);
            }
            RetryWay::Fail(failure) => split.fail_part(request.ticket, request.part, failure),
        }
    }

    fn way_of_retry(&self, request: &ForwardRequest, data: &Bytes, parts: &Bytes) -> RetryWay {
        let keys = self.keys_of(request.bytes(data, parts));
        let way = match &keys {
            Some(keys) => self.way_of_slots(keys.slots()),
            None => self.way_of_slots(std::iter::once(request.slot)),
        };
        match way {
            // A part of a request is not split again.
            RetryWay::Move(route) if keys.is_some() && self.routes.is_split_by_key(route) => {
                RetryWay::Fail(RequestFailure::SlotsParted)
            }
            way => way,
        }
    }

    /// INVARIANT R-2, F-1: no key goes where its slot is not, and none of a held slot goes at all.
    fn way_of_slots(&self, slots: impl Iterator<Item = SlotId>) -> RetryWay {
        let mut found: Option<RetryWay> = None;
        let mut failure = None;
        // INVARIANT R-4.
        if self.has_lapsed {
            return RetryWay::Wait;
        }
        for slot in slots {
            match self.routes.of_slot(slot) {
                Way::Held => return RetryWay::Wait,
                Way::Offline => failure = Some(RequestFailure::SlotOffline),
                way @ (Way::Route(route) | Way::Migrating(route)) => {
                    let way = match way {
                        Way::Migrating(_) => RetryWay::Move(route),
                        _ => RetryWay::To(self.routes.primary(route)),
                    };
                    if found.is_some_and(|found| found != way) {
                        failure = failure.or(Some(RequestFailure::SlotsParted));
                    }
                    found = Some(way);
                }
            }
        }
        match (failure, found) {
            (None, Some(way)) => way,
            (failure, _) => RetryWay::Fail(failure.unwrap_or(RequestFailure::SlotOffline)),
        }
    }

    /// The keys of a request that was framed before; `None` when they lie in one slot.
    fn keys_of(&self, frame: &[u8]) -> Option<FanOutRequest> {
        let mut spans = Vec::new();
        let framed = RequestFramer::new(self.worker.settings.request_limits());
        let Ok(Framed::Request { .. }) = { framed }.next(frame, &mut spans) else {
            return None;
        };
        match self.worker.commands.plan(&Args::new(frame, &spans)).plan {
            Plan::FanOut(keys) => Some(keys),
            Plan::Local(_) | Plan::Forward { .. } | Plan::NamedBackend | Plan::Reject(_) => None,
        }
    }
}
