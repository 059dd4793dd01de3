//! Reading: delimits what a backend sends and hands each session its replies in batches.
//!
//! ```text
//! one read:   [reply 1][reply 2][reply 3][begin of repl   next read: [y 4 ...]
//!              └─ run of session A ─┘└ B ┘└ carried ┘
//!              ReplyBatch to A        to B
//! ```
//!
//! Small replies are handed over whole; their unfinished end is carried to the next read. Of a
//! reply that will not end within [`STREAM_BYTES_MIN`] the pieces are handed over as they come, so
//! a value of any size takes one read's memory here.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use bytes::{Bytes, BytesMut};
use resp::reply::{ReplyFramer, ReplyScan};
use slog::info;
use tokio_util::io::poll_read_buf;

use super::{BackendConnActor, ConnState, ConnStatus, ForwardBatch, Loss, ReplyTo, Role, Run};
use crate::session::window::Piece;
use crate::session::{ReplyBatch, ReplySpan};
use crate::slow_log::{Stamps, wrapped};

/// Replies at least this large are handed over in pieces.
const STREAM_BYTES_MIN: usize = 16 * 1024;

/// Reads of one turn; then other actors of the worker get theirs.
const READS_PER_TURN: usize = 4;

/// Where the reading of replies stands.
#[derive(Default)]
pub(super) struct ReplyReader {
    framer: ReplyFramer,
    /// The unfinished end of the last read.
    carried: BytesMut,
    /// How much of `carried` the framer has seen.
    scanned: usize,
    /// Some of the front request's reply was handed over.
    is_front_begun: bool,
}

impl ReplyReader {
    /// Forgets a lost connection; says whether it broke off within a reply that was handed over
    /// in part.
    pub(super) fn reset(&mut self) -> bool {
        std::mem::take(self).is_front_begun
    }
}

/// Replies of one run within one read, not yet sent.
#[derive(Default)]
struct Collected {
    start: usize,
    end: usize,
    replies: Vec<ReplySpan>,
}

impl BackendConnActor {
    pub(super) fn read(&mut self, cx: &mut TaskContext<'_>) -> Result<(), Loss> {
        for _ in 0..READS_PER_TURN {
            let Some(io) = &mut self.io else {
                return Ok(());
            };
            let data = {
                let mut arena = self.worker.arena.borrow_mut();
                let buffer = arena.begin(&self.replies.carried);
                match poll_read_buf(Pin::new(io), cx, buffer) {
                    Poll::Ready(Ok(count)) if count > 0 => arena.take(),
                    other => {
                        arena.discard();
                        return match other {
                            Poll::Ready(Ok(_)) => Err(Loss::Closed),
                            Poll::Ready(Err(error)) => Err(Loss::Io(error)),
                            Poll::Pending => Ok(()),
                        };
                    }
                }
            };
            self.worker.clock.refresh();
            self.last_io_ms = self.worker.clock.now_ms();
            self.replies.carried.clear();
            self.take_replies(&data)?;
        }
        // There may be more, and the socket will not say so again.
        cx.waker().wake_by_ref();
        Ok(())
    }

    fn take_replies(&mut self, data: &Bytes) -> Result<(), Loss> {
        let mut collected = Collected::default();
        let mut start = 0;
        let mut position = std::mem::take(&mut self.replies.scanned);
        let result = loop {
            let Some(rest) = data.get(position..).filter(|rest| !rest.is_empty()) else {
                break Ok(());
            };
            match self.replies.framer.scan(rest) {
                Ok(ReplyScan::Complete { len }) => {
                    position += len;
                    let is_begun = std::mem::take(&mut self.replies.is_front_begun);
                    let piece = if is_begun { Piece::Last } else { Piece::Whole };
                    if !self.take_piece(data, start..position, piece, &mut collected) {
                        break Err(Loss::Garbled("a reply that no request waits for".to_owned()));
                    }
                    start = position;
                }
                Ok(ReplyScan::Partial { len, missing }) => {
                    position += len;
                    let known = position - start + missing;
                    let is_streamed = self.replies.is_front_begun || known >= STREAM_BYTES_MIN;
                    if is_streamed && position > start {
                        if !self.take_piece(data, start..position, Piece::More, &mut collected) {
                            break Err(Loss::Garbled("a reply that no request waits for".into()));
                        }
                        self.replies.is_front_begun = true;
                        start = position;
                    }
                    break Ok(());
                }
                Err(error) => break Err(Loss::Garbled(error.to_string())),
            }
        };
        self.hand_over(data, &mut collected);
        if result.is_ok() {
            self.replies.carried.extend_from_slice(data.get(start..).unwrap_or_default());
            self.replies.scanned = position - start;
        }
        result
    }

    /// Gives a piece of a reply to the front request. False when there is none.
    fn take_piece(
        &mut self,
        data: &Bytes,
        range: std::ops::Range<usize>,
        piece: Piece,
        collected: &mut Collected,
    ) -> bool {
        let Some((run, request)) = self.in_flight.front() else {
            return false;
        };
        let request = *request;
        let is_own = run.reply_to.is_none();
        let may_move = run.source.is_some();
        let bytes = data.get(range.clone()).unwrap_or_default();
        let is_error = piece == Piece::Whole && resp::reply::is_error(bytes);
        if is_error {
            ConnStatus::count(&self.status.errors_total, 1);
            self.worker.counters.backend_errors_total.add(1);
        }
        if is_own {
            self.hand_over(data, collected);
            self.take_own_reply(bytes);
        } else if is_error && self.is_refused_by_replica(bytes) && may_move {
            self.hand_over(data, collected);
            self.retry_front();
        } else {
            if collected.replies.is_empty() {
                collected.start = range.start;
                collected.replies.reserve_exact(run.unanswered().len());
            }
            collected.end = range.end;
            let len = u32::try_from(range.len()).unwrap_or(u32::MAX);
            collected.replies.push(ReplySpan {
                ticket: request.ticket,
                part: request.part,
                piece,
                len,
            });
        }
        if piece == Piece::More {
            return true;
        }
        self.backoff.reset();
        ConnStatus::count(&self.status.replies_total, 1);
        if let Some(run) = self.in_flight.answer_front() {
            self.send_collected(&run, data, collected);
        }
        true
    }

    /// Sends the collected replies, which all belong to the front run.
    fn hand_over(&self, data: &Bytes, collected: &mut Collected) {
        if let Some((run, _)) = self.in_flight.front() {
            self.send_collected(run, data, collected);
        }
    }

    fn send_collected(&self, run: &Run<ReplyTo>, data: &Bytes, collected: &mut Collected) {
        let Collected { start, end, replies } = std::mem::take(collected);
        if let (Some(reply_to), false) = (&run.reply_to, replies.is_empty()) {
            let latency_us = self.worker.clock.now_us().saturating_sub(run.entered_us);
            self.status.latency.record(latency_us, replies.len() as u64);
            let stamps = self.stamps_of(run);
            reply_to.reply(ReplyBatch { data: data.slice(start..end), replies, stamps });
        }
    }

    /// When the requests of a run were written; what becomes of them is known now.
    pub(super) fn stamps_of(&self, run: &Run<ReplyTo>) -> Stamps {
        Stamps {
            written_us: wrapped(run.written_us),
            read_us: wrapped(self.worker.clock.now_us()),
            backend: Some(self.id),
        }
    }

    /// A replica that cannot serve now says so; it is not asked again until it has recovered.
    fn is_refused_by_replica(&self, reply: &[u8]) -> bool {
        let is_refused = self.status.target.role == Role::Replica
            && (reply.starts_with(b"-LOADING") || reply.starts_with(b"-MASTERDOWN"));
        if is_refused && self.status.state() == ConnState::Ready {
            info!(self.worker.log, "replica cannot serve reads, the primary will";
                "backend" => %self.status.target.addr, "worker" => self.worker.index);
            self.status.become_state(ConnState::Stale);
        }
        is_refused
    }

    fn retry_front(&self) {
        let Some((run, request)) = self.in_flight.front() else {
            return;
        };
        if let (Some(reply_to), Some((data, parts))) = (&run.reply_to, &run.source) {
            self.retry(ForwardBatch {
                reply_to: reply_to.clone(),
                data: data.clone(),
                parts: parts.clone(),
                requests: vec![*request],
            });
        }
    }

    /// The reply to a keepalive, or to the read that asks whether a stale replica has recovered.
    fn take_own_reply(&self, reply: &[u8]) {
        let is_recovered = !reply.starts_with(b"-LOADING") && !reply.starts_with(b"-MASTERDOWN");
        if self.status.state() == ConnState::Stale && is_recovered {
            info!(self.worker.log, "replica serves reads again";
                "backend" => %self.status.target.addr, "worker" => self.worker.index);
            self.status.become_state(ConnState::Ready);
        }
    }
}
