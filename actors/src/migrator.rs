//! The migrator: lets requests of migrating slots through when their keys are where they will run.
//!
//! A slot that migrates has a source, which may still have some of its keys, and a target, its
//! primary. Before a request runs at the target, the source is made to let go of its keys: the source
//! moves them, or says that it does not have them. `docs/slot-migration.md` has the rules (M-1 to
//! M-6) and what is said to the servers.
//!
//! | message        | from             | what happens                                        |
//! |----------------|------------------|-----------------------------------------------------|
//! | `MoveKeys`     | RouterActor      | requests are queued by key, sources are asked       |
//! | `DrainSlots`   | RouterActor      | answered when no request of the slots is here       |
//! | `ReplyBatch`   | BackendConnActor | a source has answered                               |
//! | `RepliesFailed`| BackendConnActor | a source will not answer: its requests fail         |
//! | `Tick`         | RouterActor      | sessions hear that their requests still wait        |
//!
//! Supervision: started by its worker's router with the first slot that migrates; lives as long.
//!
//! Bounds: requests hold the credit of their sessions. [`MIGRATED_KEYS_MAX`] keys are remembered.
//! Each question has the deadline of the source's connection.
//!
//! * [`queues`]: the order of requests for each key. * [`lane`]: what is asked of a source next.
//! * [`wire`]: the words. * [`asking`]: from questions to answers. * [`exec`]: requests that the
//!   source runs itself.

mod asking;
mod exec;
mod lane;
mod queues;
mod wire;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use actix::prelude::*;
use bytes::{Bytes, BytesMut};
use command::Args;
use config::MigrationMethod;
use resp::request::{Framed, RequestFramer};
use routing::{BackendAddr, SLOTS, SlotAssignment, SlotId, slot_of};

use crate::backend_conn::fence::FenceToken;
use crate::backend_conn::{ForwardBatch, ForwardRequest, ReplyTo};
use crate::client_error::RequestFailure;
use crate::router::RouterActor;
use crate::router::migrating::{ForwardFor, MoveRequest, Side, SlotsDrained};
use crate::session::window::Piece;
use crate::session::{RepliesFailed, ReplyBatch, SessionActor, StillParked};
use crate::slow_log::Stamps;
use crate::supervisor::Tick;
use crate::worker::Worker;
use asking::{Ask, Source};
use lane::{Lane, LaneId};
use queues::{EntryId, Key, KeyQueues, Keys};
use wire::MoveMethod;

/// Keys that sources have let go of and that are remembered, in each worker.
const MIGRATED_KEYS_MAX: usize = 32 * 1024;

/// Longer keys are not remembered.
const REMEMBERED_KEY_BYTES_MAX: usize = 256;

/// Sessions hear that their requests still wait every so many ticks.
const TICKS_PER_NOTICE: u32 = 20;

/// What slots that migrate together have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Migration {
    /// The primary that may still have keys.
    pub(crate) source: BackendAddr,
    /// The primary that they move to.
    pub(crate) target: BackendAddr,
    /// Whether the source may run requests itself, if it can.
    pub(crate) is_semi_async: bool,
    /// Whether a key that the target has already is replaced by the source's. Not when the target is
    /// known to have had none before, and not when a primary was replaced meanwhile: its successor may
    /// have keys again that it had let go of.
    pub(crate) replaces: bool,
}

impl Migration {
    /// The migration of a slot, if it migrates.
    pub(crate) fn of(assignment: &SlotAssignment, method: MigrationMethod) -> Option<Self> {
        let source = assignment.source.as_ref()?;
        let replaces = !source.keeps_target && !assignment.is_switched;
        let target = assignment.primary.clone()?;
        let is_semi_async = match method {
            MigrationMethod::Auto => assignment.forward_method == 1,
            MigrationMethod::SemiAsync => true,
            MigrationMethod::Sync | MigrationMethod::Migrate => false,
        };
        Some(Self { source: source.addr.clone(), target, is_semi_async, replaces })
    }
}

/// Requests of one session whose slots migrate.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct MoveKeys {
    pub(crate) session: Arc<Addr<SessionActor>>,
    pub(crate) database: u16,
    pub(crate) data: Bytes,
    pub(crate) parts: Bytes,
    pub(crate) requests: Vec<MoveRequest>,
}

/// Asks to be told when no request of some slots waits here.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct DrainSlots {
    /// The round.
    pub(crate) epoch: u64,
    pub(crate) slots: Arc<[SlotId]>,
    /// Handed back when they are drained.
    pub(crate) token: FenceToken,
}

/// A request that waits for its keys.
struct Waiting {
    session: Arc<Addr<SessionActor>>,
    /// Its bytes, and nothing else.
    frame: Bytes,
    request: ForwardRequest,
    migration: Arc<Migration>,
    method: MoveMethod,
    entered_ms: u64,
    /// How often the source was asked to run it.
    tries: u32,
    /// The source is asked to run it now, or soon will be again.
    is_asked: bool,
}

/// See the module.
pub struct MigratorActor {
    worker: Rc<Worker>,
    router: Addr<RouterActor>,
    me: Option<Arc<Addr<Self>>>,
    queues: KeyQueues<Waiting>,
    /// Keys that their sources have let go of, for as long as their slots are not filled.
    let_go: HashSet<Key>,
    lanes: HashMap<LaneId, Lane>,
    /// Lanes that may have something to ask. Empty between messages.
    stirred: Vec<LaneId>,
    sources: BTreeMap<BackendAddr, Source>,
    asks: HashMap<u32, Ask>,
    next_ask: u32,
    /// Answers that have come in part.
    begun: HashMap<u32, BytesMut>,
    /// How many requests wait, by slot; one counts for each of its keys.
    waiting_by_slot: Vec<u32>,
    drains: Vec<DrainSlots>,
    ticks: u32,
}

impl MigratorActor {
    pub(crate) fn new(worker: Rc<Worker>, router: Addr<RouterActor>) -> Self {
        Self {
            worker,
            router,
            me: None,
            queues: KeyQueues::default(),
            let_go: HashSet::new(),
            lanes: HashMap::new(),
            stirred: Vec::new(),
            sources: BTreeMap::new(),
            asks: HashMap::new(),
            next_ask: 0,
            begun: HashMap::new(),
            waiting_by_slot: vec![0; SLOTS],
            drains: Vec::new(),
            ticks: 0,
        }
    }
}

impl Actor for MigratorActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.me = Some(Arc::new(ctx.address()));
    }
}

impl Handler<MoveKeys> for MigratorActor {
    type Result = ();

    fn handle(&mut self, batch: MoveKeys, _ctx: &mut Self::Context) {
        for MoveRequest { request, migration } in batch.requests {
            let (frame, request) = request.detached(&batch.data, &batch.parts);
            let waiting = Waiting {
                session: Arc::clone(&batch.session),
                frame,
                request,
                migration,
                method: MoveMethod::Migrate,
                entered_ms: self.worker.clock.now_ms(),
                tries: 0,
                is_asked: false,
            };
            self.take(batch.database, waiting);
        }
        self.end_turn();
    }
}

impl Handler<DrainSlots> for MigratorActor {
    type Result = ();

    fn handle(&mut self, drain: DrainSlots, _ctx: &mut Self::Context) {
        self.drains.push(drain);
        self.answer_drained();
    }
}

impl Handler<ReplyBatch> for MigratorActor {
    type Result = ();

    fn handle(&mut self, batch: ReplyBatch, ctx: &mut Self::Context) {
        let mut start = 0;
        for reply in &batch.replies {
            let range = start..start + reply.len as usize;
            start = range.end;
            let ask = reply.ticket.number();
            if reply.piece != Piece::Whole {
                let bytes = batch.data.get(range.clone()).unwrap_or_default();
                self.begun.entry(ask).or_default().extend_from_slice(bytes);
            }
            let answer = match reply.piece {
                Piece::Whole => batch.data.slice(range),
                Piece::Last => self.begun.remove(&ask).unwrap_or_default().freeze(),
                Piece::More => continue,
            };
            self.take_answer(ask, &answer, batch.stamps, ctx);
        }
        self.end_turn();
    }
}

impl Handler<RepliesFailed> for MigratorActor {
    type Result = ();

    fn handle(&mut self, batch: RepliesFailed, _ctx: &mut Self::Context) {
        for (ticket, _, failure) in batch.failed {
            self.begun.remove(&ticket.number());
            self.take_failure(ticket.number(), failure);
        }
        self.end_turn();
    }
}

impl Handler<Tick> for MigratorActor {
    type Result = ();

    #[expect(clippy::disallowed_methods, reason = "BOUND: one per session and period")]
    fn handle(&mut self, _: Tick, _ctx: &mut Self::Context) {
        self.ticks = self.ticks.wrapping_add(1);
        if !self.ticks.is_multiple_of(TICKS_PER_NOTICE) {
            return;
        }
        let now_ms = self.worker.clock.now_ms();
        self.lanes.retain(|_, lane| !lane.is_idle(now_ms));
        let mut told = HashSet::new();
        for waiting in self.queues.payloads().chain(self.sources.values().flat_map(Source::waiting))
        {
            if told.insert(Arc::as_ptr(&waiting.session)) {
                waiting.session.do_send(StillParked);
            }
        }
    }
}

impl MigratorActor {
    /// Takes a request: finds its keys, and how its source is to be asked.
    fn take(&mut self, database: u16, mut waiting: Waiting) {
        let keys = self.keys_of(database, &waiting.frame);
        if keys.is_empty() {
            self.let_through(database, waiting);
            return;
        }
        for (_, key) in &keys {
            if let Some(count) = self.waiting_by_slot.get_mut(slot_of(key).index()) {
                *count += 1;
            }
        }
        match self.method(&waiting.migration) {
            Some(method) => {
                waiting.method = method;
                self.admit(keys, waiting);
            }
            None if self.is_source_done(&keys, &waiting.migration.source) => {
                self.admit(keys, waiting);
            }
            None => self.wait_for_abilities(keys, waiting),
        }
    }

    fn admit(&mut self, keys: Keys, waiting: Waiting) {
        let is_exec = waiting.method == MoveMethod::SemiAsync;
        let let_go = &self.let_go;
        let id = self.queues.enter(keys, waiting, |key| {
            if let_go.contains(key) { queues::KeyState::LetGo } else { queues::KeyState::Unasked }
        });
        if !is_exec && !self.want_keys(id) {
            return;
        }
        if self.queues.is_first(id) {
            self.go_on(self.queues.keys(id).iter().take(1).cloned().collect());
        }
    }

    /// Lets through the requests that nothing holds any more, beginning with the first ones for some
    /// keys (M-3).
    fn go_on(&mut self, keys: Keys) {
        let mut keys = keys.into_vec();
        while let Some(key) = keys.pop() {
            let Some(id) = self.queues.first(&key).filter(|id| self.queues.is_first(*id)) else {
                continue;
            };
            let Some(waiting) = self.queues.payload(id) else {
                continue;
            };
            if waiting.method == MoveMethod::SemiAsync {
                self.exec(id);
            } else if self.queues.is_let_go(id)
                && let Some((own, waiting)) = self.leave(id)
            {
                self.let_through(key.0, waiting);
                keys.extend(own);
            }
        }
    }

    /// INVARIANT M-1: the source has let go of every key of the request.
    fn let_through(&self, database: u16, waiting: Waiting) {
        let reply_to = ReplyTo::Session(waiting.session);
        let (data, parts, requests) = (waiting.frame, Bytes::new(), vec![waiting.request]);
        let batch = ForwardBatch { reply_to, data, parts, requests };
        self.forward(&waiting.migration, Side::Target, database, batch);
    }

    #[expect(clippy::disallowed_methods, reason = "BOUND: requests hold credit of their session")]
    fn forward(&self, migration: &Arc<Migration>, side: Side, database: u16, batch: ForwardBatch) {
        let migration = Arc::clone(migration);
        self.router.do_send(ForwardFor { migration, side, database, batch });
    }

    /// Takes a request out, whose answer or way is known now. Whoever calls looks at the requests that
    /// waited behind it.
    fn leave(&mut self, id: EntryId) -> Option<(Keys, Waiting)> {
        let (keys, waiting) = self.queues.leave(id)?;
        self.forget(&keys);
        Some((keys, waiting))
    }

    /// Does at the end of a message what all that came of it makes possible.
    // ORDER: rounds hear that this actor is drained behind the last request that it has let through,
    // so that their fences go behind it as well (M-5).
    fn end_turn(&mut self) {
        self.ask_stirred();
        if !self.drains.is_empty() {
            self.answer_drained();
        }
    }

    /// A request with these keys waits here no more.
    fn forget(&mut self, keys: &Keys) {
        for (_, key) in keys {
            if let Some(count) = self.waiting_by_slot.get_mut(slot_of(key).index()) {
                *count = count.saturating_sub(1);
            }
        }
    }

    /// Answers a request with an error, and all that wait for any of some keys.
    fn fail_keys(&mut self, keys: &[Key], failure: RequestFailure, text: Option<&str>) {
        let mut freed = Keys::new();
        for id in self.queues.waiting_for(keys) {
            if let Some((own, waiting)) = self.leave(id) {
                self.fail(&waiting, failure, text);
                freed.extend(own);
            }
        }
        self.go_on(freed);
    }

    #[expect(clippy::disallowed_methods, reason = "BOUND: requests hold credit of their session")]
    fn fail(&self, waiting: &Waiting, failure: RequestFailure, text: Option<&str>) {
        self.worker.counters.failures_total.add(1);
        self.worker.counters.key_move_failures_total.add(1);
        let failed = vec![(waiting.request.ticket, waiting.request.part, failure)];
        // It has not come to where it would run: all its time was in the queue.
        let stamps = Stamps::unsent(self.worker.clock.now_us());
        let text = text.map(Box::from);
        waiting.session.do_send(RepliesFailed { failed, text, stamps });
    }

    /// Tells of rounds that need not wait for this actor any more (M-5).
    #[expect(clippy::disallowed_methods, reason = "BOUND: one per round")]
    fn answer_drained(&mut self) {
        let waiting = &self.waiting_by_slot;
        let is_busy = |slot: &SlotId| waiting.get(slot.index()).is_some_and(|count| *count > 0);
        let (busy, drained): (Vec<_>, Vec<_>) = std::mem::take(&mut self.drains)
            .into_iter()
            .partition(|drain: &DrainSlots| drain.slots.iter().any(is_busy));
        self.drains = busy;
        if !drained.is_empty() {
            // Whatever the fill makes of the slots: nothing is known of their keys then.
            self.let_go.clear();
        }
        for DrainSlots { epoch, token, .. } in drained {
            self.router.do_send(SlotsDrained { epoch, token });
        }
    }

    /// The keys of a request.
    fn keys_of(&self, database: u16, frame: &Bytes) -> Keys {
        let mut spans = self.worker.spans.take();
        let framed = RequestFramer::new(self.worker.settings.request_limits());
        let keys = match { framed }.next(frame, &mut spans) {
            Ok(Framed::Request { .. }) => {
                let found = self.worker.commands.request_keys(&Args::new(frame, &spans));
                found.iter().map(|key| (database, Bytes::copy_from_slice(key))).collect()
            }
            _ => Keys::new(),
        };
        self.worker.spans.replace(spans);
        keys
    }
}
