//! A change of the slot table in two phases, as one worker sees it.
//!
//! ```text
//!          PrepareFill                    fence falls            CommitFill
//! routed ───────────────► held, fence put ───────────► prepared ────────────► routed anew
//!    ▲                         │                           │  AbortFill
//!    └─────────────────────────┴───────────────────────────┘  (the old way)
//! ```
//!
//! Between the two phases no request of the touched slots is in flight on this worker and none is
//! sent; when every worker is there, the change is safe for all of them. A round whose old primary is
//! known to be dead does not wait for it: `CutOff` answers what is in flight, so the fence falls.
//!
//! Invariants: F-1 a `PrepareFill` is answered only when every request that was forwarded for the
//! touched slots has its reply or its error. F-2 orders of an older epoch than the current round's
//! change nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix::prelude::*;
use routing::{BackendAddr, SlotAssignment, SlotId};
use slog::{debug, error};

use super::RouterActor;
use super::routes::{BackendIndex, Way};
use crate::backend_conn::fence::FenceToken;

/// The round under way.
pub(super) struct Filling {
    epoch: u64,
    /// Where requests of its slots may be in flight.
    backends: BTreeSet<BackendIndex>,
    /// The order to cut them off, if it has come.
    cut: Option<CutOff>,
}

/// Holds slots: their requests wait. Answered when none of them is in flight any more.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub struct PrepareFill {
    /// The round.
    pub epoch: u64,
    /// The slots that will change.
    pub slots: Arc<[SlotId]>,
}

/// Installs the new assignments of a prepared round and lets the requests go.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub struct CommitFill {
    /// The round.
    pub epoch: u64,
    /// Every slot of the round.
    pub changes: Arc<[(SlotId, SlotAssignment)]>,
}

/// Closes the connections that a round waits for: what is in flight there is answered with an
/// error, and reads of a replica wait with the others.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub struct CutOff {
    /// The round.
    pub epoch: u64,
    /// Only those to these backends; `None`: all.
    pub only: Option<Arc<[BackendAddr]>>,
}

/// Gives a round up: the requests go the old way.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub struct AbortFill {
    /// The round.
    pub epoch: u64,
}

impl Handler<PrepareFill> for RouterActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, prepare: PrepareFill, _ctx: &mut Self::Context) -> Self::Result {
        let (token, fallen) = FenceToken::new();
        if prepare.epoch > self.table.epoch() {
            // An abort that is late must not leave slots held here: of a held slot there is nothing
            // to drain, and this round would pass what is still in flight (F-1).
            if self.filling.take().is_some() {
                self.install();
            }
            let backends = self.backends_of(&prepare.slots);
            self.drain_moving(prepare.epoch, &prepare.slots, &token);
            for slot in prepare.slots.iter() {
                self.routes.hold(*slot);
            }
            self.backends.put_fence(&backends, &token);
            self.filling = Some(Filling { epoch: prepare.epoch, backends, cut: None });
        }
        // INVARIANT F-1: the fence falls when no connection holds a token any more.
        drop(token);
        Box::pin(async move {
            let _ = fallen.await;
        })
    }
}

impl Handler<CommitFill> for RouterActor {
    type Result = ();

    fn handle(&mut self, commit: CommitFill, _ctx: &mut Self::Context) {
        // INVARIANT F-2.
        if !self.is_filling(commit.epoch) {
            debug!(self.worker.log, "late commit ignored"; "epoch" => commit.epoch);
            return;
        }
        self.filling = None;
        if let Err(stale) = self.table.fill(commit.epoch, commit.changes.iter().cloned()) {
            error!(self.worker.log, "fill refused"; "error" => %stale);
        }
        self.install();
    }
}

impl Handler<CutOff> for RouterActor {
    type Result = ();

    fn handle(&mut self, cut: CutOff, _ctx: &mut Self::Context) {
        // INVARIANT F-2.
        if let Some(filling) = self.filling.as_mut().filter(|round| round.epoch == cut.epoch) {
            self.backends.cut_off(&filling.backends, cut.only.as_deref());
            filling.cut = Some(cut);
        }
    }
}

impl Handler<AbortFill> for RouterActor {
    type Result = ();

    fn handle(&mut self, abort: AbortFill, _ctx: &mut Self::Context) {
        if self.is_filling(abort.epoch) {
            self.filling = None;
            self.install();
        }
    }
}

impl RouterActor {
    /// The migrator has no request of the round's slots any more: the fence goes behind what it has
    /// sent (M-5).
    pub(super) fn go_on_draining(&mut self, epoch: u64, token: &FenceToken) {
        // INVARIANT F-2.
        let Some(filling) = self.filling.as_ref().filter(|round| round.epoch == epoch) else {
            return;
        };
        self.backends.put_fence(&filling.backends, token);
        if let Some(cut) = &filling.cut {
            self.backends.cut_off(&filling.backends, cut.only.as_deref());
        }
    }

    fn is_filling(&self, epoch: u64) -> bool {
        self.filling.as_ref().is_some_and(|filling| filling.epoch == epoch)
    }

    /// The backends that requests of some slots may be in flight to.
    fn backends_of(&self, slots: &[SlotId]) -> BTreeSet<BackendIndex> {
        let mut backends = BTreeSet::new();
        for slot in slots {
            if let Way::Route(route) | Way::Migrating(route) = self.routes.of_slot(*slot) {
                backends.extend(self.routes.primary_and_source(route));
                backends.extend(self.routes.replica_groups(route).iter().flatten().copied());
            }
        }
        backends
    }

    /// Compiles the table, lets go what waited, then closes connections that no slot needs.
    fn install(&mut self) {
        self.compile();
        self.release();
        let needed = self.routes.backends().collect();
        self.backends.retain(&needed);
    }
}
