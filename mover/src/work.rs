//! One batch of slots between its two servers: connections, limits, and what is noted.

use std::rc::Rc;
use std::time::Duration;

use routing::BackendAddr;
use routing::slot_move::MovePhase;
use slog::{Logger, info};
use tokio::time::{Instant, timeout};

use crate::job::{BigKey, BigKeyState, DIFFERENCES_MAX, Difference, key_text, slot_number};
use crate::moves::{Moves, Run};
use crate::options::{MoveOptions, SlotSet};
use crate::server::{ServerConn, ServerError};

/// How long a target may take to show that it is alive before a source is told to write to it.
const TARGET_TIMEOUT: Duration = Duration::from_secs(1);

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// To its end.
    Finished,
    /// An operator wants something else.
    Interrupted,
}

/// See the module.
pub(crate) struct Work {
    pub(crate) moves: Rc<Moves>,
    pub(crate) run: Rc<Run>,
    pub(crate) index: usize,
    pub(crate) source: BackendAddr,
    pub(crate) target: BackendAddr,
    pub(crate) slots: SlotSet,
    /// Whether the target's key counts where both servers have it.
    pub(crate) keeps_target: bool,
    pub(crate) options: MoveOptions,
    pub(crate) log: Logger,
}

impl Work {
    /// The work of a batch as it stands now.
    pub(crate) fn of(moves: &Rc<Moves>, run: &Rc<Run>, index: usize) -> Option<Self> {
        let job = run.job.borrow();
        let batch = job.batches.get(index)?;
        let (source, target) = job.way(batch);
        Some(Self {
            moves: Rc::clone(moves),
            run: Rc::clone(run),
            index,
            source,
            target,
            slots: batch.slots.clone(),
            keeps_target: batch.keeps_target && !batch.is_turned,
            options: job.request.options.clone(),
            log: moves.around.log.clone(),
        })
    }

    /// Whether the proxies are told to forget the source.
    pub(crate) fn is_finishing(&self) -> bool {
        let job = self.run.job.borrow();
        job.batches.get(self.index).is_some_and(|batch| batch.phase == MovePhase::Finishing)
    }

    pub(crate) fn must_stop(&self) -> bool {
        self.moves.is_halted.get() || self.run.must_stop(self.index)
    }

    /// What this batch's connections that move keys are called at servers. Another batch's have
    /// another name, so that two batches do not end each other's.
    fn conn_name(&self) -> String {
        let id = self.run.job.borrow().id;
        format!("keyway-mover-{}-{id}-{}", self.moves.around.name, self.index)
    }

    pub(crate) async fn connect(&self, addr: &BackendAddr) -> Result<ServerConn, ServerError> {
        let login = (self.moves.around.login_of)(addr);
        ServerConn::connect(addr, &login, None).await
    }

    /// Sees to it that nothing that this batch has asked a server to do is still to come.
    pub(crate) async fn fence(&self, addr: &BackendAddr) -> Result<(), ServerError> {
        self.connect(addr).await?.fence(&self.conn_name()).await
    }

    /// A connection to the source that may move keys.
    pub(crate) async fn connect_source(&self) -> Result<ServerConn, ServerError> {
        self.fence(&self.source).await?;
        let login = (self.moves.around.login_of)(&self.source);
        ServerConn::connect(&self.source, &login, Some(&self.conn_name())).await
    }

    /// A connection to the target, which has just answered. A source that is told to write to a
    /// target that hangs would hang as well, for every client.
    pub(crate) async fn connect_target(&self) -> Result<ServerConn, ServerError> {
        let mut conn = self.connect(&self.target).await?;
        let late = || ServerError::Lost {
            addr: self.target.clone(),
            command: "PING".to_owned(),
            reason: format!("no answer within {TARGET_TIMEOUT:?}"),
        };
        timeout(TARGET_TIMEOUT, conn.expect(&[b"PING"])).await.unwrap_or_else(|_| Err(late()))?;
        Ok(conn)
    }

    /// Waits as long as the limits of the move demand; less when an operator wants something else.
    pub(crate) async fn keep_pace(&self) {
        loop {
            let delay = self.run.pace.borrow().delay(Instant::now());
            if delay.is_zero() || self.must_stop() {
                return;
            }
            self.run.wait(delay).await;
        }
    }

    /// Takes note of keys that were moved.
    pub(crate) fn moved(&self, keys: u64, bytes: u64) {
        self.run.pace.borrow_mut().moved(keys, bytes, Instant::now());
        self.run.moved(keys, bytes);
        let totals = &self.moves.totals;
        totals.keys.set(totals.keys.get() + keys);
        totals.bytes.set(totals.bytes.get() + bytes);
    }

    /// Takes note of a big key.
    pub(crate) fn note_big(&self, database: u32, key: &[u8], bytes: u64, state: BigKeyState) {
        let (slot, key) = (slot_number(key), key_text(key));
        let noted = BigKey { slot, database, key: key.clone(), bytes, state };
        let is_new = self.run.job.borrow_mut().note_big_key(noted);
        if is_new {
            let totals = &self.moves.totals;
            totals.big_keys.set(totals.big_keys.get() + 1);
            info!(self.log, "big key found"; "slot" => slot, "database" => database,
                "key" => key, "bytes" => bytes, "source" => %self.source);
        }
    }

    /// Takes note of how a key has come over.
    pub(crate) fn note_compared(
        &self,
        database: u32,
        key: &[u8],
        before: Option<u64>,
        after: Option<u64>,
    ) {
        let mut job = self.run.job.borrow_mut();
        job.counts.compared += 1;
        let is_missing = after.is_none();
        if before == after {
            job.counts.equal += 1;
            return;
        } else if is_missing {
            job.counts.missing += 1;
        } else {
            job.counts.changed += 1;
        }
        if job.differences.len() < DIFFERENCES_MAX {
            let (slot, key) = (slot_number(key), key_text(key));
            job.differences.push(Difference { slot, database, key, is_missing });
        }
    }
}
