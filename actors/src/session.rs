//! One client: reads its requests, has them served, writes its replies in order.
//!
//! ```text
//! socket ─► pump: read ─► frame ─► plan ─┬─ local command ──────────────► window ─► out ─► socket
//!                                        ├─ refused: error ─────────────►   ▲
//!                                        └─ RouteBatch ─► router ... ReplyBatch
//! ```
//!
//! | message          | from                        | what happens                            |
//! |------------------|-----------------------------|-----------------------------------------|
//! | `ReplyBatch`     | BackendConnActor            | replies enter the window                |
//! | `RepliesFailed`  | RouterActor, BackendConnActor| errors enter the window                |
//! | `FanOutPlanned`  | RouterActor                 | the window learns how to merge parts    |
//! | `StillParked`    | RouterActor                 | the watch over lost replies starts anew |
//! | `LocalAnswered`  | its own question, RouterActor| an answer of the proxy enters the window|
//! | `CloseSession`   | SupervisorActor, StatsActor | closed at once                          |
//! | `DrainSession`   | SupervisorActor             | no further requests; closed when answered|
//!
//! Supervision: started by the worker's supervisor for a socket, ends with it; the supervisor is
//! told. What it had in flight is executed all the same, the replies are dropped.
//!
//! Bounds: the window (`session_max_pipeline`, `session_window_bytes_max`) stops reading, and so
//! does waiting output above `session_output_pause_bytes`; output above `session_output_bytes_max`
//! closes the client, and so does a share in more than `proxy_max_offheap_size` of all clients.
//! Time limits are kept by the supervisor's sweep (`record`).
//!
//! What a client may change of its connection (database, name, authentication, reply mode) lives
//! here and never reaches a backend connection, which others share.

mod access;
mod client_command;
mod hello;
mod info;
mod latency_command;
mod local;
mod manners;
mod named;
mod pump;
pub(crate) mod record;
mod requests;
mod slots_mapping;
mod slow_log_command;
pub mod window;

pub(crate) use info::{command_calls, resident_bytes};
pub(crate) use manners::dialect_of;

use std::rc::Rc;
use std::sync::Arc;

use actix::prelude::*;
use bytes::{Bytes, BytesMut};
use command::Merge;
use resp::request::RequestFramer;
use slog::{debug, info};

use crate::client_error::{CloseReason, RequestFailure};
use crate::io::{OutBuffer, Socket};
use crate::router::RouterActor;
use crate::slow_log::Stamps;
use crate::stats::StatsActor;
use crate::supervisor::{SessionEnded, SupervisorActor};
use crate::worker::{BufferGauge, ClientSlot, Worker};
use record::ClientRecord;
use window::{Piece, ReplyWindow, Settled, Ticket};

/// Replies of one backend connection, back to back.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ReplyBatch {
    /// Their bytes, exactly.
    pub data: Bytes,
    /// Whose they are, in the order of the bytes.
    pub replies: Vec<ReplySpan>,
    /// When their requests were written, and they were read.
    pub stamps: Stamps,
}

/// One reply, or a piece of one, of a [`ReplyBatch`].
#[derive(Clone, Copy, Debug)]
pub struct ReplySpan {
    /// The request it answers.
    pub ticket: Ticket,
    /// Which part of a fanned-out request; 0 for a whole one.
    pub part: u16,
    /// Whether it is the whole reply.
    pub piece: Piece,
    /// Its length in bytes.
    pub len: u32,
}

/// Requests, or parts of them, that no backend answered.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RepliesFailed {
    /// The request, its part, and why.
    pub failed: Vec<(Ticket, u16, RequestFailure)>,
    /// What their client is told, when a server's own words belong to it; otherwise the failure's
    /// text.
    pub text: Option<Box<str>>,
    /// When they were written, and this was known.
    pub stamps: Stamps,
}

/// Requests whose replies will come in parts.
#[derive(Message)]
#[rtype(result = "()")]
pub struct FanOutPlanned {
    /// How the parts of each request will be merged.
    pub plans: Vec<(Ticket, Merge)>,
}

/// The answer to a question that the session asked other actors for its client.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct LocalAnswered {
    pub(crate) ticket: Ticket,
    /// The encoded reply.
    pub(crate) reply: Vec<u8>,
}

/// Requests of the session wait for a held slot; nothing is lost.
#[derive(Message)]
#[rtype(result = "()")]
pub struct StillParked;

/// Closes a client at once.
#[derive(Message)]
#[rtype(result = "()")]
pub struct CloseSession(pub CloseReason);

/// Takes no further requests; closes the client when those in flight are answered.
#[derive(Message)]
#[rtype(result = "()")]
pub struct DrainSession;

/// The actors that every session of a worker talks to.
pub(crate) struct Links {
    pub(crate) router: Addr<RouterActor>,
    pub(crate) supervisor: Addr<SupervisorActor>,
    pub(crate) stats: Addr<StatsActor>,
}

/// How far a session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Reads requests.
    Open,
    /// Reads no more; ends when everything is answered and written.
    Draining,
    /// Everything is written and our side is shut; the rest of the input is read away.
    Lingering,
}

/// Which replies a client wants (CLIENT REPLY).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReplyMode {
    On,
    Off,
    SkipNext,
}

/// See the module.
pub struct SessionActor {
    worker: Rc<Worker>,
    links: Rc<Links>,
    record: Rc<ClientRecord>,
    /// Held so that the client counts until its session is gone.
    _slot: ClientSlot,
    /// In every message that will be answered; made once, because an `Addr` is dear to clone.
    me: Option<Arc<Addr<Self>>>,
    io: Socket,
    phase: Phase,
    /// The client has closed its side.
    is_half_closed: bool,
    is_authenticated: bool,
    reply_mode: ReplyMode,
    /// The next request waits until all before it are answered.
    waits_for_replies: bool,
    framer: RequestFramer,
    /// A request that is not complete.
    input: BytesMut,
    /// Bytes that `input` surely lacks.
    input_missing: usize,
    /// Complete requests that wait for room in the window.
    stalled: Bytes,
    window: ReplyWindow,
    out: OutBuffer,
    close_reason: CloseReason,
}

impl SessionActor {
    pub(crate) fn new(
        worker: Rc<Worker>,
        links: Rc<Links>,
        record: Rc<ClientRecord>,
        slot: ClientSlot,
        io: Socket,
    ) -> Self {
        let is_authenticated = worker.settings.session_credentials.password.is_empty();
        record.database.set(worker.settings.database_initial);
        let mut window = ReplyWindow::new(worker.settings.window_limits());
        window.watch_slow(worker.settings.slow_us());
        Self {
            framer: RequestFramer::new(access::request_limits(&worker.settings, is_authenticated)),
            window,
            worker,
            links,
            record,
            _slot: slot,
            me: None,
            io,
            phase: Phase::Open,
            is_half_closed: false,
            is_authenticated,
            reply_mode: ReplyMode::On,
            waits_for_replies: false,
            input: BytesMut::new(),
            input_missing: 0,
            stalled: Bytes::new(),
            out: OutBuffer::default(),
            close_reason: CloseReason::ByClient,
        }
    }
}

impl Actor for SessionActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.me = Some(Arc::new(ctx.address()));
        ctx.spawn(pump::Pump);
    }

    #[expect(clippy::disallowed_methods, reason = "BOUND: one per session")]
    fn stopped(&mut self, _ctx: &mut Self::Context) {
        let held = self.record.held_bytes.replace(0);
        self.worker.shared.buffered.change(held, 0);
        let reason = self.close_reason;
        if reason.is_limit() {
            self.worker.counters.limit_closes_total.add(1);
            info!(self.worker.log, "client closed because of a limit"; "session" => self.record.id,
                "peer" => %self.record.peer, "reason" => reason.label());
        } else {
            debug!(self.worker.log, "client closed"; "session" => self.record.id,
                "peer" => %self.record.peer, "reason" => reason.label());
        }
        self.links.supervisor.do_send(SessionEnded { id: self.record.id });
    }
}

impl Handler<ReplyBatch> for SessionActor {
    type Result = ();

    fn handle(&mut self, batch: ReplyBatch, _ctx: &mut Self::Context) {
        self.out.acquire(&mut self.worker.out_pool.borrow_mut());
        self.window.stamp(batch.stamps);
        let mut start = 0;
        for reply in &batch.replies {
            let range = start..start + reply.len as usize;
            start = range.end;
            self.window.settle(
                reply.ticket,
                reply.part,
                reply.piece,
                &batch.data,
                range,
                &mut self.out,
            );
        }
        self.record.progress_ms.set(self.worker.clock.now_ms());
    }
}

impl Handler<RepliesFailed> for SessionActor {
    type Result = ();

    fn handle(&mut self, batch: RepliesFailed, ctx: &mut Self::Context) {
        let dialect = self.worker.commands.dialect();
        self.window.stamp(batch.stamps);
        for (ticket, part, failure) in batch.failed {
            let text = batch.text.as_deref().unwrap_or_else(|| failure.to_client(dialect));
            let settled = self.window.settle_failed(ticket, part, text, &mut self.out);
            if settled == Settled::Broken {
                self.close(CloseReason::BrokenReply, ctx);
                return;
            }
        }
        if self.worker.settings.config.session_break_on_failure {
            self.close_reason = CloseReason::BreakOnFailure;
            self.phase = Phase::Draining;
        }
        self.record.progress_ms.set(self.worker.clock.now_ms());
    }
}

impl Handler<FanOutPlanned> for SessionActor {
    type Result = ();

    fn handle(&mut self, planned: FanOutPlanned, _ctx: &mut Self::Context) {
        for (ticket, merge) in planned.plans {
            self.window.plan_merge(ticket, merge);
        }
    }
}

impl Handler<StillParked> for SessionActor {
    type Result = ();

    fn handle(&mut self, _: StillParked, _ctx: &mut Self::Context) {
        self.record.progress_ms.set(self.worker.clock.now_ms());
    }
}

impl Handler<LocalAnswered> for SessionActor {
    type Result = ();

    fn handle(&mut self, answered: LocalAnswered, _ctx: &mut Self::Context) {
        // Perhaps another worker's answer woke this one.
        self.worker.clock.refresh();
        self.window.stamp(Stamps::unsent(self.worker.clock.now_us()));
        self.window.settle_local(answered.ticket, &mut self.out, |out| {
            out.extend_from_slice(&answered.reply);
        });
    }
}

impl Handler<CloseSession> for SessionActor {
    type Result = ();

    fn handle(&mut self, order: CloseSession, ctx: &mut Self::Context) {
        self.close(order.0, ctx);
    }
}

impl Handler<DrainSession> for SessionActor {
    type Result = ();

    fn handle(&mut self, _: DrainSession, ctx: &mut Self::Context) {
        if self.window.is_empty() && self.out.is_empty() {
            self.close(CloseReason::Shutdown, ctx);
        } else if self.phase == Phase::Open {
            self.close_reason = CloseReason::Shutdown;
            self.phase = Phase::Draining;
            self.stalled = Bytes::new();
        }
    }
}

impl SessionActor {
    fn close(&mut self, reason: CloseReason, ctx: &mut Context<Self>) {
        self.close_reason = reason;
        ctx.stop();
    }

    /// The reply bytes that the client keeps in the proxy.
    fn output_bytes(&self) -> usize {
        self.out.len() + self.window.retained_bytes()
    }

    /// Publishes what the supervisor's sweep and CLIENT LIST need, and checks the byte limits.
    fn account(&mut self) -> Result<(), CloseReason> {
        let output = self.output_bytes();
        let record = &self.record;
        record.in_flight.set(self.window.len());
        record.is_partial.set(!self.input.is_empty());
        if record.unsent_bytes.replace(self.out.len()) == 0 {
            record.write_ms.set(self.worker.clock.now_ms());
        }
        if output > self.worker.settings.config.session_output_bytes_max {
            return Err(CloseReason::OutputLimit);
        }
        // Requests in flight count until they are answered: their bytes may wait for a backend.
        let requests = self.input.len() + self.stalled.len() + self.window.request_bytes();
        let held = output + requests;
        let reported = record.held_bytes.get();
        if held.abs_diff(reported) >= BufferGauge::STEP_BYTES {
            let buffered = &self.worker.shared.buffered;
            buffered.change(reported, held);
            let is_growing = held > reported;
            self.record.held_bytes.set(held);
            if is_growing && buffered.is_over_because_of(held, self.worker.shared.clients()) {
                return Err(CloseReason::BufferLimit);
            }
        }
        Ok(())
    }
}
