//! Requests that a source in semi-async mode runs itself while it has the key.
//!
//! ```text
//!   SLOTSMGRT-EXEC-WRAPPER key GET key ─► 0: not here ─► to the target
//!                                         1: under way ─► again, a little later
//!                                         2: its reply ─► to the client
//! ```
//!
//! Each request is asked for itself, in the order of its key: the source creates keys with commands
//! like RENAME, so that what it says of a key is true for one request only.

use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;
use command::Args;
use resp::request::{Framed, RequestFramer};

use super::MigratorActor;
use super::asking::Ask;
use super::queues::EntryId;
use super::wire::{self, ExecAnswer, MoveMethod};
use crate::backend_conn::ReplyTo;
use crate::client_error::RequestFailure;
use crate::session::window::Piece;
use crate::session::{ReplyBatch, ReplySpan};
use crate::slow_log::Stamps;

/// So often a key that is under way is asked for again at once.
const TRIES_AT_ONCE: u32 = 5;

/// The longest pause between two tries.
const TRY_PAUSE_MAX_MS: u64 = 20;

impl MigratorActor {
    /// Asks the source to run a request that is first for its keys.
    pub(super) fn exec(&mut self, id: EntryId) {
        let Some(waiting) = self.queues.payload_mut(id).filter(|waiting| !waiting.is_asked) else {
            return;
        };
        waiting.is_asked = true;
        waiting.tries += 1;
        let (frame, migration) = (waiting.frame.clone(), waiting.migration.clone());
        let Some((database, key)) = self.queues.keys(id).first().cloned() else {
            return;
        };
        let mut spans = self.worker.spans.take();
        let framed = RequestFramer::new(self.worker.settings.request_limits());
        let question = match { framed }.next(&frame, &mut spans) {
            Ok(Framed::Request { .. }) => wire::exec_wrapper(&key, &Args::new(&frame, &spans)),
            // It was framed when it came.
            _ => Vec::new(),
        };
        self.worker.spans.replace(spans);
        self.worker.counters.key_moves_total.add(1);
        self.ask(&migration, database, question, Ask::Exec(id));
    }

    pub(super) fn take_exec(
        &mut self,
        id: EntryId,
        answer: &Bytes,
        stamps: Stamps,
        ctx: &mut Context<Self>,
    ) {
        if let Some(waiting) = self.queues.payload_mut(id) {
            waiting.is_asked = false;
        }
        match ExecAnswer::read(answer) {
            ExecAnswer::LetGo => {
                if let Some((keys, waiting)) = self.leave(id) {
                    let database = keys.first().map_or(0, |(database, _)| *database);
                    self.let_through(database, waiting);
                    self.go_on(keys);
                }
            }
            ExecAnswer::Moving => self.try_again(id, ctx),
            ExecAnswer::Reply(range) => {
                if let Some((keys, waiting)) = self.leave(id) {
                    let reply = ReplySpan {
                        ticket: waiting.request.ticket,
                        part: waiting.request.part,
                        piece: Piece::Whole,
                        len: u32::try_from(range.len()).unwrap_or(u32::MAX),
                    };
                    let (data, replies) = (answer.slice(range), vec![reply]);
                    let batch = ReplyBatch { data, replies, stamps };
                    ReplyTo::Session(waiting.session).reply(batch);
                    self.go_on(keys);
                }
            }
            ExecAnswer::Failed(text) => {
                let text = self.refusal(MoveMethod::SemiAsync, &text);
                self.fail_exec(id, RequestFailure::MoveFailed, Some(&text));
            }
        }
    }

    /// Answers a request with an error; those behind it go on.
    pub(super) fn fail_exec(&mut self, id: EntryId, failure: RequestFailure, text: Option<&str>) {
        if let Some((keys, waiting)) = self.leave(id) {
            self.forget_abilities(&waiting.migration.source);
            self.fail(&waiting, failure, text);
            self.go_on(keys);
        }
    }

    /// INVARIANT M-6: a key that stays under way is given up.
    fn try_again(&mut self, id: EntryId, ctx: &mut Context<Self>) {
        let Some(waiting) = self.queues.payload_mut(id) else {
            return;
        };
        let waited_ms = self.worker.clock.now_ms().saturating_sub(waiting.entered_ms);
        let limit = self.worker.settings.config.migration_retry_timeout;
        if u128::from(waited_ms) > limit.as_millis() {
            self.fail_exec(id, RequestFailure::KeyMoving, None);
        } else if waiting.tries < TRIES_AT_ONCE {
            self.exec(id);
        } else {
            let pause = Duration::from_millis(u64::from(waiting.tries).min(TRY_PAUSE_MAX_MS));
            waiting.is_asked = true;
            // BOUND: one timer for the first request of a key.
            ctx.run_later(pause, move |migrator, _| migrator.try_now(id));
        }
    }

    fn try_now(&mut self, id: EntryId) {
        if let Some(waiting) = self.queues.payload_mut(id) {
            waiting.is_asked = false;
            self.exec(id);
        }
    }
}
