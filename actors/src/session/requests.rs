//! From bytes to requests: frames what was read, plans each request, and enters it.
//!
//! Requests of one read leave in one batch. A batch is for one database and points into one piece
//! of memory, so SELECT and inline requests end it.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use command::{Access, Args, Command, Plan, Planned};
use resp::ProtocolError;
use resp::request::{Framed, Span};
use slog::info;

use super::manners::Unknown;
use super::pump::reservation;
use super::{Phase, ReplyMode, SessionActor, access};
use crate::client_error::{CloseReason, text};
use crate::latency::RequestClass;
use crate::router::{RouteBatch, RouteRequest};
use crate::session::window::{Tag, Ticket};
use crate::slow_log::argv::is_kept_whole;
use crate::slow_log::wrapped;

/// The scratch of argument positions is given back above this many.
const SPANS_KEPT_MAX: usize = 4096;

/// Requests to be routed, all within `data`.
pub(super) struct Batch {
    data: Bytes,
    requests: Vec<RouteRequest>,
    /// Frames in `data` that were promised to the slow log and are not yet copied.
    promised: Range<usize>,
}

impl Batch {
    fn new(data: &Bytes) -> Self {
        Self { data: data.clone(), requests: Vec::new(), promised: 0..0 }
    }
}

impl SessionActor {
    /// Takes requests from `data`, which begins at the start of one, as long as they may enter.
    pub(super) fn take_requests(&mut self, data: &Bytes) {
        self.out.acquire(&mut self.worker.out_pool.borrow_mut());
        let mut spans = self.worker.spans.take();
        let mut batch = Batch::new(data);
        let mut position = 0;
        while let Some(rest) = data.get(position..).filter(|rest| !rest.is_empty()) {
            if !self.may_enter() {
                self.stalled = data.slice(position..);
                break;
            }
            match self.framer.next(rest, &mut spans) {
                Ok(Framed::Request { len }) => {
                    let frame = rest.get(..len).unwrap_or_default();
                    self.enter(frame, &spans, position, &mut batch);
                    position += len;
                }
                Ok(Framed::Inline { len, encoded }) => {
                    self.route(&mut batch);
                    let encoded = Bytes::from(encoded);
                    let mut inline = Batch::new(&encoded);
                    self.enter(&encoded, &spans, 0, &mut inline);
                    self.route(&mut inline);
                    position += len;
                }
                Ok(Framed::Skip { len }) => position += len,
                Ok(Framed::Incomplete { missing }) => {
                    self.keep_incomplete(rest, missing);
                    break;
                }
                Err(error) => {
                    self.refuse_framing(&error);
                    break;
                }
            }
        }
        self.route(&mut batch);
        if spans.capacity() <= SPANS_KEPT_MAX {
            self.worker.spans.replace(spans);
        }
    }

    fn keep_incomplete(&mut self, rest: &[u8], missing: usize) {
        let mut input = BytesMut::with_capacity(rest.len() + reservation(rest.len(), missing));
        input.extend_from_slice(rest);
        self.input = input;
        self.input_missing = missing;
    }

    /// Framing is lost: the client gets an error after the replies that are due, and is closed.
    fn refuse_framing(&mut self, error: &ProtocolError) {
        self.worker.counters.rejected_total.add(1);
        let text = access::protocol_error_text(error, self.is_authenticated);
        let ticket = self.window.enter(0, false, Tag::default());
        self.settle_error(ticket, &text);
        self.phase = Phase::Draining;
    }

    /// A web page may have made its visitor's browser talk to us: nothing of what it sends is
    /// executed, and as in Redis it gets no reply.
    fn refuse_http(&mut self) {
        self.worker.counters.rejected_total.add(1);
        info!(self.worker.log, "client closed: it speaks HTTP, perhaps a web page attacks";
            "session" => self.record.id, "peer" => %self.record.peer);
        self.drain(CloseReason::Http);
    }

    /// The client has not said its password.
    fn refuse_unknown(&mut self, ticket: Ticket) {
        self.worker.counters.rejected_total.add(1);
        self.settle_error(ticket, text::NO_AUTH);
        if self.manners().unknown == Unknown::Closed {
            self.drain(CloseReason::AfterReply);
        }
    }

    /// Plans one request and gives it its place in the window.
    fn enter(&mut self, frame: &[u8], spans: &[Span], start: usize, batch: &mut Batch) {
        let worker = std::rc::Rc::clone(&self.worker);
        let args = Args::new(frame, spans);
        let planned = self.in_dialect(worker.commands.plan(&args), &args);
        worker.counters.requests_total.add(1);
        if let Some(command) = planned.command {
            self.record.last_command.set(Some(command.id()));
            if let Some(counter) = worker.counters.commands.get(command.id().index()) {
                counter.calls.add(1);
            }
        }
        if planned.command.is_none() && access::is_http(&args) {
            self.refuse_http();
            return;
        }
        if self.window.is_empty() {
            self.record.progress_ms.set(worker.clock.now_ms());
        }
        // The limits of the framer keep offsets and lengths within u32.
        let offset = |position: usize| u32::try_from(position).unwrap_or(u32::MAX);
        let position = start;
        let (start, len) = (offset(start), offset(frame.len()));
        let is_muted = self.is_muted();
        self.waits_for_replies = false;
        let ticket = self.window.enter(len, is_muted, self.tag(&planned));
        if !self.is_authenticated && access::needs_authentication(&planned, self.manners()) {
            self.refuse_unknown(ticket);
            return;
        }
        self.keep(&planned, (frame, position), &args, batch);
        match planned.plan {
            Plan::Forward { slot, access } => {
                batch.requests.push(RouteRequest {
                    ticket,
                    start,
                    len,
                    slot,
                    access,
                    fan_out: None,
                });
            }
            Plan::FanOut(keys) => {
                let slot = keys.slots().next().unwrap_or_default();
                let access = planned.command.map_or(Access::Write, Command::access);
                let fan_out = Some(Box::new(keys));
                batch.requests.push(RouteRequest { ticket, start, len, slot, access, fan_out });
            }
            Plan::Local(local) => {
                // SELECT changes the database, so what came before it must be on its way.
                self.route(batch);
                self.answer(local, ticket, &args, planned.command);
            }
            Plan::NamedBackend => {
                // ORDER: what came before it goes before it.
                self.route(batch);
                self.ask_backend(ticket, &args);
            }
            Plan::Reject(rejection) => {
                worker.counters.rejected_total.add(1);
                let dialect = worker.commands.dialect();
                self.settle_with(ticket, |out| rejection.encode_in(dialect, &args, out));
            }
        }
    }

    /// Keeps what the slow log would need of the request that entered last, which begins at
    /// `start` of the batch's data.
    #[inline]
    fn keep(
        &mut self,
        planned: &Planned<'_>,
        (frame, start): (&[u8], usize),
        args: &Args<'_>,
        batch: &mut Batch,
    ) {
        let Some(command) = planned.command else {
            return;
        };
        // One that is refused gets an error at once. It may be anything, a password in the wrong
        // place among it.
        match planned.plan {
            Plan::Forward { .. } | Plan::FanOut(_) if is_kept_whole(frame, command) => {
                self.window.promise_frame(frame);
                if batch.promised.end != start {
                    self.keep_promised(batch);
                    batch.promised.start = start;
                }
                batch.promised.end = start + frame.len();
            }
            Plan::Forward { .. } | Plan::FanOut(_) | Plan::Local(_) | Plan::NamedBackend => {
                self.keep_promised(batch);
                self.window.keep(frame, args, command);
            }
            Plan::Reject(_) => {}
        }
    }

    fn keep_promised(&mut self, batch: &mut Batch) {
        let promised = std::mem::replace(&mut batch.promised, 0..0);
        if !promised.is_empty() {
            self.window.keep_frames(batch.data.get(promised).unwrap_or_default());
        }
    }

    /// What the statistics will say of a request.
    fn tag(&self, planned: &Planned<'_>) -> Tag {
        let class = match &planned.plan {
            Plan::Forward { access: Access::Read, .. } | Plan::NamedBackend => RequestClass::Read,
            Plan::Forward { access: Access::Write, .. } => RequestClass::Write,
            Plan::FanOut(_) => RequestClass::FanOut,
            Plan::Local(_) | Plan::Reject(_) => RequestClass::Local,
        };
        let entered_us = wrapped(self.worker.clock.now_us());
        Tag { command: planned.command.map(Command::id), class, entered_us }
    }

    /// Whether the client wants no reply to the request at hand.
    fn is_muted(&mut self) -> bool {
        match self.reply_mode {
            ReplyMode::On => false,
            ReplyMode::Off => true,
            ReplyMode::SkipNext => {
                self.reply_mode = ReplyMode::On;
                true
            }
        }
    }

    /// Sends the batch to the router and begins the next one.
    #[expect(
        clippy::disallowed_methods,
        reason = "BOUND: every request holds credit of the window"
    )]
    fn route(&mut self, batch: &mut Batch) {
        self.keep_promised(batch);
        let Some(me) = self.me.as_ref().filter(|_| !batch.requests.is_empty()) else {
            return;
        };
        self.links.router.do_send(RouteBatch {
            session: Arc::clone(me),
            database: self.record.database.get(),
            data: batch.data.clone(),
            requests: std::mem::take(&mut batch.requests),
        });
    }

    /// Settles a request with an error text, which includes its prefix.
    pub(super) fn settle_error(&mut self, ticket: Ticket, text: &str) {
        let databases = self.worker.settings.config.backend_number_databases;
        let text = text::in_dialect(text, self.worker.commands.dialect(), databases);
        self.settle_with(ticket, |out| resp::encode::error(out, &text));
    }
}
