//! One pipelined connection to a backend, for one database.
//!
//! Requests of many sessions are appended to one out buffer and leave in one write per turn; their
//! replies come in the same order and go back in batches, only delimited, never re-encoded. A large
//! reply is passed on in pieces while it arrives. The actor never dies with its socket: in state
//! `Down` it answers at once, and reconnects by itself.
//!
//! | message           | from            | what happens                                        |
//! |-------------------|-----------------|-----------------------------------------------------|
//! | `ForwardBatch`    | RouterActor     | written, kept until it may be, or refused           |
//! | `PutFence`        | RouterActor     | falls when all that came before it is answered      |
//! | `CloseConn`       | RouterActor     | the connection ends: no slot needs it any more      |
//! | `ConnectFinished` | its own attempt | requests flow, or the next attempt is scheduled     |
//! | `Tick`            | RouterActor     | deadlines, keepalive, the next attempt              |
//!
//! Supervision: started by the router on first use, lives as long as its worker. When the
//! connection is lost, requests that were written are answered with an error (a replica's reads go
//! to the primary instead), those that were not are sent again on the next connection.
//!
//! Bounds: `backend_max_pipeline` requests in flight, `backend_waiting_bytes_max` bytes of them
//! unwritten; beyond that `backend_waiting_max` requests and as many bytes again wait; beyond that
//! requests are refused. Each has a deadline of `backend_recv_timeout`.
//!
//! The order of requests and what a loss means for each is in [`in_flight`] (B-1, B-2).

pub(crate) mod backoff;
pub(crate) mod connect;
mod failing;
pub(crate) mod fence;
mod in_flight;
mod loss;
mod replies;
mod reply_to;
mod request;
mod status;
mod waiting;

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;
use slog::{debug, info, warn};

pub use reply_to::ReplyTo;
pub use request::ForwardRequest;
pub use status::{BackendStatus, ConnState, Role, Target};

use crate::client_error::RequestFailure;
use crate::io::{OutBuffer, Socket};
use crate::router::RouterActor;
use crate::slow_log::BackendId;
use crate::supervisor::Tick;
use crate::worker::Worker;
use backoff::Backoff;
use connect::{ConnectFailure, Connected};
use fence::FenceToken;
use in_flight::{InFlight, Run};
use loss::Loss;
use replies::ReplyReader;
pub(crate) use status::ConnStatus;
use waiting::{Waiter, Waiting};

/// How often a stale replica is asked whether it has recovered.
const STALE_CHECK_MS: u64 = 1000;

/// A connection that lasted this long has proved itself, even if nobody used it.
const PROVEN_MS: u64 = 1000;

/// Requests of one session, or of the migrator, for this connection.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ForwardBatch {
    /// Who gets the replies.
    pub reply_to: ReplyTo,
    /// The bytes that whole requests lie in.
    pub data: Bytes,
    /// The bytes that the parts of fanned-out requests lie in.
    pub parts: Bytes,
    /// In the order in which they must be executed.
    pub requests: Vec<ForwardRequest>,
}

impl ForwardBatch {
    /// Whether another backend may answer as well.
    fn may_move(&self) -> bool {
        !self.requests.iter().any(|request| request.is_for_backend)
    }
}

/// Puts a fence behind everything that came before.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PutFence(pub(crate) FenceToken);

/// Ends the connection. What is in flight is answered with an error, a replica's reads go to the
/// primary; there is nothing when the slots that it served were fenced before.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CloseConn;

#[derive(Message)]
#[rtype(result = "()")]
struct ConnectFinished(Result<Connected, ConnectFailure>);

/// See the module.
pub struct BackendConnActor {
    worker: Rc<Worker>,
    router: Addr<RouterActor>,
    status: Rc<ConnStatus>,
    /// Names the backend in [`Stamps`](crate::slow_log::Stamps).
    id: BackendId,
    io: Option<Socket>,
    out: OutBuffer,
    /// Some of `out` was not written in the turn in which it came.
    is_late: bool,
    in_flight: InFlight<ReplyTo>,
    waiting: Waiting,
    replies: ReplyReader,
    backoff: Backoff,
    /// When to try again while `Down`.
    retry_ms: u64,
    /// When the connection was made.
    connected_ms: u64,
    /// When the socket last took or gave bytes.
    last_io_ms: u64,
}

impl BackendConnActor {
    pub(crate) fn new(
        worker: Rc<Worker>,
        router: Addr<RouterActor>,
        status: Rc<ConnStatus>,
    ) -> Self {
        let config = &worker.settings.config;
        let backoff = Backoff::new(config.backend_retry_delay_min, config.backend_retry_delay_max);
        let waiting = Waiting::new(config.backend_waiting_max, config.backend_waiting_bytes_max);
        Self {
            id: worker.backends.id_of(&status.target.addr),
            worker,
            router,
            status,
            io: None,
            out: OutBuffer::default(),
            is_late: false,
            in_flight: InFlight::default(),
            waiting,
            replies: ReplyReader::default(),
            backoff,
            retry_ms: 0,
            connected_ms: 0,
            last_io_ms: 0,
        }
    }
}

impl Actor for BackendConnActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // The first attempt: the state is `Connecting` from the start.
        let _ = self.backoff.next(0);
        self.connect(ctx);
        ctx.spawn(Pump);
    }
}

impl Handler<ForwardBatch> for BackendConnActor {
    type Result = ();

    fn handle(&mut self, batch: ForwardBatch, _ctx: &mut Self::Context) {
        if self.status.state() == ConnState::Down {
            self.refuse(batch, RequestFailure::BackendDown);
        } else if self.waiting.is_empty() && self.admits(&batch) {
            self.accept(batch);
        } else if let Err(batch) = self.waiting.push(batch) {
            self.refuse(batch, RequestFailure::BackendBusy);
        }
    }
}

impl Handler<PutFence> for BackendConnActor {
    type Result = ();

    fn handle(&mut self, fence: PutFence, _ctx: &mut Self::Context) {
        if self.waiting.is_empty() {
            self.in_flight.push_fence(fence.0);
        } else {
            self.waiting.push_fence(fence.0);
        }
    }
}

impl Handler<CloseConn> for BackendConnActor {
    type Result = ();

    fn handle(&mut self, _: CloseConn, ctx: &mut Self::Context) {
        if self.io.take().is_some() {
            self.worker.counters.backend_conns.sub(1);
            if !self.in_flight.is_empty() {
                warn!(self.worker.log, "backend connection given up";
                    "backend" => %self.status.target.addr, "worker" => self.worker.index,
                    "requests" => self.in_flight.len());
            }
            // These may have been executed, unlike what `fail_everything` answers.
            self.fail_written(RequestFailure::BackendLost);
        }
        self.fail_everything();
        ctx.stop();
    }
}

impl Handler<ConnectFinished> for BackendConnActor {
    type Result = ();

    fn handle(&mut self, finished: ConnectFinished, ctx: &mut Self::Context) {
        let target = &self.status.target;
        match finished.0 {
            Ok(connected) => {
                info!(self.worker.log, "backend connected"; "backend" => %target.addr,
                    "database" => target.database, "worker" => self.worker.index);
                let is_stale = connected.is_stale && target.role == Role::Replica;
                ConnStatus::count(&self.status.connects_total, 1);
                self.worker.counters.backend_conns.add(1);
                self.status.become_state(ConnState::Ready);
                if is_stale {
                    self.status.become_state(ConnState::Stale);
                }
                // What has waited for the connection is written in this turn.
                self.worker.clock.refresh();
                self.is_late = true;
                self.connected_ms = self.worker.clock.now_ms();
                self.last_io_ms = self.connected_ms;
                self.io = Some(connected.io);
            }
            Err(failure) => {
                if self.status.state() == ConnState::Connecting {
                    warn!(self.worker.log, "backend is down"; "backend" => %target.addr,
                        "database" => target.database, "worker" => self.worker.index,
                        "error" => %failure);
                }
                *self.status.last_failure.borrow_mut() = Some(failure.to_string());
                self.schedule_attempt(ctx);
            }
        }
    }
}

impl Handler<Tick> for BackendConnActor {
    type Result = ();

    fn handle(&mut self, _: Tick, ctx: &mut Self::Context) {
        let now_ms = self.worker.clock.now_ms();
        match self.status.state() {
            ConnState::Connecting => {}
            ConnState::Down if now_ms >= self.retry_ms => {
                self.retry_ms = u64::MAX;
                self.connect(ctx);
            }
            ConnState::Down => {}
            ConnState::Ready | ConnState::Stale if self.is_overdue(now_ms) => {
                self.lose(&Loss::Timeout, ctx);
            }
            ConnState::Ready => self.keep_alive(now_ms),
            ConnState::Stale => self.check_recovery(now_ms),
        }
    }
}

/// Flushes and reads whenever the actor is woken, after its mailbox was emptied.
struct Pump;

impl ActorFuture<BackendConnActor> for Pump {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        conn: &mut BackendConnActor,
        ctx: &mut Context<BackendConnActor>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<()> {
        if let Err(loss) = conn.pump(cx) {
            conn.lose(&loss, ctx);
        }
        Poll::Pending
    }
}

impl BackendConnActor {
    fn pump(&mut self, cx: &mut TaskContext<'_>) -> Result<(), Loss> {
        if self.io.is_none() {
            return Ok(());
        }
        self.flush(cx)?;
        self.read(cx)?;
        if self.take_waiting() {
            self.flush(cx)?;
        }
        self.status.requests_in_flight.set(self.in_flight.len());
        self.status.requests_waiting.set(self.waiting.len());
        Ok(())
    }

    fn flush(&mut self, cx: &mut TaskContext<'_>) -> Result<(), Loss> {
        let Some(io) = &mut self.io else {
            return Ok(());
        };
        if self.out.is_empty() {
            return Ok(());
        }
        let unwritten = self.out.len();
        let (written, flushed) = self.out.poll_flush(cx, io);
        if written > 0 {
            self.last_io_ms = self.worker.clock.now_ms();
            if self.is_late {
                self.worker.clock.refresh();
                self.in_flight.stamp_written(unwritten, self.worker.clock.now_us());
            }
        }
        self.is_late = flushed.is_pending();
        match flushed {
            Poll::Ready(Err(error)) => Err(Loss::Io(error)),
            Poll::Ready(Ok(())) => {
                self.out.release(&mut self.worker.out_pool.borrow_mut());
                Ok(())
            }
            Poll::Pending => Ok(()),
        }
    }

    /// Whether a batch fits beside what is in flight; one larger than the limit goes alone. Bytes
    /// that the backend does not take are bounded here, for their sessions may be gone.
    fn admits(&self, batch: &ForwardBatch) -> bool {
        let config = &self.worker.settings.config;
        let is_room = self.in_flight.len() + batch.requests.len() <= config.backend_max_pipeline
            && self.out.len() < config.backend_waiting_bytes_max;
        self.in_flight.is_empty() || is_room
    }

    fn accept(&mut self, batch: ForwardBatch) {
        self.out.acquire(&mut self.worker.out_pool.borrow_mut());
        for request in &batch.requests {
            request.write(&batch.data, &batch.parts, &mut self.out);
        }
        let now_us = self.worker.clock.now_us();
        let may_move = self.status.target.role == Role::Replica && batch.may_move();
        let mut run = Run::new(Some(batch.reply_to), batch.requests, now_us);
        if may_move {
            run.source = Some((batch.data, batch.parts));
        }
        self.in_flight.push(run);
    }

    /// Moves waiting batches into flight as far as there is room. Says whether any were.
    fn take_waiting(&mut self) -> bool {
        let mut is_any = false;
        while let Some(front) = self.waiting.front() {
            if matches!(front, Waiter::Batch(batch) if !self.admits(batch)) {
                break;
            }
            match self.waiting.pop() {
                Some(Waiter::Batch(batch)) => self.accept(batch),
                Some(Waiter::Fence(token)) => self.in_flight.push_fence(token),
                None => break,
            }
            is_any = true;
        }
        is_any
    }

    fn is_overdue(&self, now_ms: u64) -> bool {
        let config = &self.worker.settings.config;
        let is_late = |since_ms: u64, limit: Duration| {
            !limit.is_zero() && u128::from(now_ms.saturating_sub(since_ms)) > limit.as_millis()
        };
        let is_reply_late =
            self.in_flight.oldest_ms().is_some_and(|ms| is_late(ms, config.backend_recv_timeout));
        let is_write_late =
            !self.out.is_empty() && is_late(self.last_io_ms, config.backend_send_timeout);
        is_reply_late || is_write_late
    }

    fn keep_alive(&mut self, now_ms: u64) {
        let period = self.worker.settings.config.backend_ping_period;
        let is_idle = self.in_flight.is_empty()
            && u128::from(now_ms.saturating_sub(self.last_io_ms)) >= period.as_millis();
        if !period.is_zero() && is_idle {
            self.ask_own(&[b"PING"], now_ms);
        }
    }

    fn check_recovery(&mut self, now_ms: u64) {
        if self.in_flight.is_empty() && now_ms.saturating_sub(self.last_io_ms) >= STALE_CHECK_MS {
            // Any read tells: a replica that cannot serve refuses it.
            self.ask_own(&[b"EXISTS", b"keyway"], now_ms);
        }
    }

    /// Sends a request of the connection's own, whose reply goes to no session.
    fn ask_own(&mut self, request: &[&[u8]], now_ms: u64) {
        let before = self.out.len();
        resp::encode::request(self.out.tail(), request);
        let len = u32::try_from(self.out.len() - before).unwrap_or(0);
        self.in_flight.push(Run::new(None, vec![ForwardRequest::own(len)], now_ms * 1000));
    }

    fn connect(&self, ctx: &Context<Self>) {
        let me = ctx.address();
        let target = self.status.target.clone();
        let settings = Arc::clone(&self.worker.settings);
        actix_rt::spawn(async move {
            let credentials = settings.credentials_of(&target.addr);
            let deadline = settings.config.backend_connect_timeout;
            let keepalive = settings.config.backend_keepalive_period;
            let result = connect::connect(&target, credentials, deadline, keepalive).await;
            #[expect(clippy::disallowed_methods, reason = "BOUND: one attempt at a time")]
            me.do_send(ConnectFinished(result));
        });
    }

    fn lose(&mut self, loss: &Loss, ctx: &Context<Self>) {
        let target = &self.status.target;
        let requests = self.in_flight.len();
        if requests == 0 && matches!(loss, Loss::Closed) {
            debug!(self.worker.log, "backend closed an idle connection";
                "backend" => %target.addr, "database" => target.database);
        } else {
            warn!(self.worker.log, "backend connection lost"; "backend" => %target.addr,
                "database" => target.database, "worker" => self.worker.index,
                "requests" => requests, "cause" => %loss);
        }
        *self.status.last_failure.borrow_mut() = Some(loss.to_string());
        // A server that closes idle connections is not sick: no pause may grow from that.
        if self.worker.clock.now_ms().saturating_sub(self.connected_ms) >= PROVEN_MS {
            self.backoff.reset();
        }
        self.worker.counters.backend_conns.sub(1);
        self.io = None;
        self.fail_written(loss.to_failure());
        self.schedule_attempt(ctx);
    }

    /// Connects at once after a first loss; otherwise refuses requests until the next attempt.
    fn schedule_attempt(&mut self, ctx: &Context<Self>) {
        let now_ms = self.worker.clock.now_ms();
        let delay = self.backoff.next(self.worker.chance.next());
        let Some(delay) = delay else {
            self.status.become_state(ConnState::Connecting);
            self.connect(ctx);
            return;
        };
        self.status.become_state(ConnState::Down);
        self.retry_ms = now_ms + u64::try_from(delay.as_millis()).unwrap_or(u64::MAX / 2);
        self.fail_everything();
    }
}
