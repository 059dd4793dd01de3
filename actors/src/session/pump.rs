//! The session's io: the one item that runs whenever the session is woken, after its mailbox was
//! emptied. So all replies that have come leave in one write, and all requests that have come are
//! read and routed in one batch.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use actix::prelude::*;
use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWrite;
use tokio_util::io::poll_read_buf;

use super::{Phase, SessionActor};
use crate::client_error::CloseReason;
use crate::slow_log::{self, Parts, Slow, wrapped};

/// Reads of one turn; then other clients of the worker get theirs.
const READS_PER_TURN: usize = 4;

/// Room beyond the end of a large request. A read that fills its buffer must be followed by
/// another one to learn that there is no more; with this room that one is seldom needed.
const READ_AHEAD_BYTES: usize = 1024;

/// The rest of a request from this size on is read straight into a buffer of its own; what has come
/// of a smaller one is copied once more, in front of the next read.
const LARGE_REQUEST_BYTES: usize = 16 * 1024;

/// A client that only announces a large request gets memory for this much of it; one that has sent
/// as much, for all of it.
const RESERVED_BYTES_MAX: usize = 1024 * 1024;

/// How much room to reserve for a request of which so much has come and so much is missing. In two
/// steps, so that at most the first megabyte of a large request is moved.
pub(super) fn reservation(come: usize, missing: usize) -> usize {
    let is_trusted = come >= RESERVED_BYTES_MAX;
    let reserved = if is_trusted { missing } else { missing.min(RESERVED_BYTES_MAX) };
    reserved + READ_AHEAD_BYTES
}

pub(super) struct Pump;

impl ActorFuture<SessionActor> for Pump {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        session: &mut SessionActor,
        ctx: &mut Context<SessionActor>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<()> {
        if let Err(reason) = session.pump(cx) {
            if session.close_reason == CloseReason::ByClient {
                session.close_reason = reason;
            }
            ctx.stop();
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl SessionActor {
    fn pump(&mut self, cx: &mut TaskContext<'_>) -> Result<(), CloseReason> {
        if self.phase == Phase::Lingering {
            return self.read_away(cx);
        }
        self.flush(cx)?;
        self.read(cx)?;
        let is_paused = !self.may_enter();
        self.flush(cx)?;
        if is_paused && self.may_enter() {
            // The session's own answers filled the output, and all of it has left: no reply and no
            // readiness of the socket will wake the session for the requests that it has read.
            cx.waker().wake_by_ref();
        }
        if self.phase == Phase::Draining && self.window.is_empty() && self.out.is_empty() {
            return self.finish(cx);
        }
        self.account()
    }

    /// Counts the requests whose replies are in the output now.
    fn count_left(&mut self) {
        if !self.window.has_left() {
            return;
        }
        // What the proxy itself took since the read that brought the reply counts too.
        self.worker.clock.refresh();
        let now_us = self.worker.clock.now_us();
        for left in self.window.take_left() {
            self.worker.counters.count_left(left, now_us);
        }
        if self.window.has_slow() {
            self.log_slow(wrapped(now_us));
        }
    }

    /// Writes the slow log, for requests whose replies are in the output now.
    #[cold]
    fn log_slow(&mut self, now_us: u32) {
        let (worker, record) = (&self.worker, &self.record);
        let client_name = record.name.borrow();
        let mut log = worker.slow_log.borrow_mut();
        let unix_s = slow_log::unix_s();
        self.window.take_slow(|left, kept| {
            let parts = Parts::of(left.tag.entered_us, left.stamps, now_us);
            worker.counters.slow.count(parts);
            let backend = left.stamps.backend.and_then(|id| worker.backends.addr_of(id));
            let slow = Slow { parts, kept, peer: record.peer, client_name: &client_name, backend };
            log.add(worker.shared.next_slow_id(), unix_s, &slow);
        });
    }

    fn flush(&mut self, cx: &mut TaskContext<'_>) -> Result<(), CloseReason> {
        self.count_left();
        if self.out.is_empty() {
            return Ok(());
        }
        let (written, flushed) = self.out.poll_flush(cx, &mut self.io);
        if written > 0 {
            self.worker.counters.client_bytes_out.add(written as u64);
            self.record.write_ms.set(self.worker.clock.now_ms());
        }
        match flushed {
            Poll::Ready(Ok(())) => {
                self.out.release(&mut self.worker.out_pool.borrow_mut());
                if self.window.is_empty() {
                    self.window.shrink();
                }
                Ok(())
            }
            Poll::Ready(Err(_)) => Err(CloseReason::ByClient),
            Poll::Pending => Ok(()),
        }
    }

    /// Whether another request may be taken from the client.
    pub(super) fn may_enter(&self) -> bool {
        self.phase == Phase::Open
            && self.window.has_room()
            && (!self.waits_for_replies || self.window.is_empty())
            && self.output_bytes() < self.worker.settings.config.session_output_pause_bytes
    }

    fn read(&mut self, cx: &mut TaskContext<'_>) -> Result<(), CloseReason> {
        for _ in 0..READS_PER_TURN {
            if !self.may_enter() {
                return Ok(());
            }
            if !self.stalled.is_empty() {
                let data = std::mem::take(&mut self.stalled);
                self.take_requests(&data);
                continue;
            }
            if self.is_half_closed {
                self.phase = Phase::Draining;
                return Ok(());
            }
            match self.poll_read(cx) {
                Poll::Ready(Ok(Some(data))) => self.take_requests(&data),
                Poll::Ready(Ok(None)) => {}
                Poll::Ready(Err(reason)) => return Err(reason),
                Poll::Pending => return Ok(()),
            }
        }
        // There may be more, and the socket will not say so again.
        cx.waker().wake_by_ref();
        Ok(())
    }

    /// Reads once. Small requests go through the worker's arena; the rest of a large one is read
    /// straight into the session's own buffer. Gives the bytes from the start of a request on, or
    /// nothing while a large request is still incomplete.
    fn poll_read(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<Option<Bytes>, CloseReason>> {
        let is_large = self.input.len() + self.input_missing > LARGE_REQUEST_BYTES;
        let io = Pin::new(&mut self.io);
        let (read, data) = if is_large {
            self.input.reserve(reservation(self.input.len(), self.input_missing));
            (poll_read_buf(io, cx, &mut self.input), None)
        } else {
            let mut arena = self.worker.arena.borrow_mut();
            let read = poll_read_buf(io, cx, arena.begin(&self.input));
            let is_some = matches!(read, Poll::Ready(Ok(count)) if count > 0);
            let data = is_some.then(|| arena.take());
            if data.is_none() {
                arena.discard();
            }
            (read, data)
        };
        match read {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(_)) => return Poll::Ready(Err(CloseReason::ByClient)),
            Poll::Ready(Ok(0)) => {
                self.is_half_closed = true;
                return Poll::Ready(Ok(None));
            }
            Poll::Ready(Ok(count)) => {
                self.worker.clock.refresh();
                self.worker.counters.client_bytes_in.add(count as u64);
                self.record.read_ms.set(self.worker.clock.now_ms());
                self.input_missing = self.input_missing.saturating_sub(count);
            }
        }
        if let Some(data) = data {
            self.input = BytesMut::new();
            return Poll::Ready(Ok(Some(data)));
        }
        if self.input_missing > 0 {
            self.account()?;
            return Poll::Ready(Ok(None));
        }
        Poll::Ready(Ok(Some(std::mem::take(&mut self.input).freeze())))
    }

    /// Everything is answered and written. Our side is shut; unless the client has shut its own,
    /// what it still sends is read away for a moment, so that a reset does not overtake the reply.
    fn finish(&mut self, cx: &mut TaskContext<'_>) -> Result<(), CloseReason> {
        let is_shut = Pin::new(&mut self.io).poll_shutdown(cx);
        if self.is_half_closed || !matches!(is_shut, Poll::Ready(Ok(()))) {
            return Err(CloseReason::ByClient);
        }
        self.phase = Phase::Lingering;
        self.record.lingering_ms.set(Some(self.worker.clock.now_ms()));
        self.read_away(cx)
    }

    fn read_away(&mut self, cx: &mut TaskContext<'_>) -> Result<(), CloseReason> {
        for _ in 0..READS_PER_TURN {
            let mut arena = self.worker.arena.borrow_mut();
            let read = poll_read_buf(Pin::new(&mut self.io), cx, arena.begin(&[]));
            arena.discard();
            match read {
                Poll::Ready(Ok(count)) if count > 0 => {}
                Poll::Ready(_) => return Err(CloseReason::ByClient),
                Poll::Pending => return Ok(()),
            }
        }
        cx.waker().wake_by_ref();
        Ok(())
    }
}
