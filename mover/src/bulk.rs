//! Moves all keys of some slots with what every Redis has: SCAN and MIGRATE.
//!
//! ```text
//! SCAN ─► keys of the slots ─► MEMORY USAGE ─┬─► small: MIGRATE ... KEYS, many at once
//!                                            ├─► big: later, one at a time, alone
//!                                            └─► larger than the limit: reported, left
//! ```
//!
//! While MIGRATE runs, its source does nothing else. So a batch is bounded in bytes, in keys and,
//! by measuring, in time (`batch_size.rs`); the target has just shown that it is alive; and MIGRATE
//! itself gives up after [`TIMEOUT_MS`] in which nothing moves.
//!
//! MIGRATE deletes a key only when the target has confirmed it, so a failure in the middle leaves
//! keys on the source, on both, or on the target alone. No client has written to a key that is on
//! both: whoever wants it has it moved first. So after any failure everything is looked for and
//! moved again.
//!
//! A key of any size is moved by [`Bulk::migrate_big`] alone: who can move large ones without
//! stopping the source replaces that.

use std::collections::VecDeque;
use std::time::Duration;

use resp::value::Value;
use slog::warn;
use tokio::time::Instant;

use crate::batch_size::BatchSize;
use crate::compare;
use crate::job::{BigKeyState, key_text};
use crate::options::Comparison;
use crate::scan::{Scan, sizes};
use crate::server::{ServerConn, ServerError};
use crate::work::{Outcome, Work};

/// How long MIGRATE may stand still, in milliseconds.
const TIMEOUT_MS: u64 = 1000;

/// A big key gets a millisecond more for so many bytes: the target answers only when it has built
/// the whole key.
const BYTES_PER_MS: u64 = 10_000;

/// The most that a big key gets.
const TIMEOUT_MS_MAX: u64 = 600_000;

/// How many keys in a row a target may refuse before the move pauses.
const REFUSED_IN_A_ROW_MAX: usize = 16;

/// How many big keys are remembered; further ones are found again by the next scan.
const BIG_KEYS_MAX: usize = 100_000;

/// A key with its size.
type Sized = (Vec<u8>, u64);

/// Moves every key of the batch that is not larger than the limit.
pub(crate) async fn move_keys(work: &Work) -> Result<Outcome, ServerError> {
    let target = work.connect_target().await?;
    let source = work.connect_source().await?;
    let options = &work.options;
    let time = Duration::from_millis(options.batch_time_ms);
    let size = BatchSize::new(options.batch_keys_max, options.batch_bytes_max, time);
    let (waiting, big) = (VecDeque::new(), Vec::new());
    let mut bulk =
        Bulk { work, source, target, size, waiting, big, refusal: None, refused_in_a_row: 0 };
    for database in bulk.source.databases().await? {
        if bulk.move_small(database).await? == Outcome::Interrupted {
            return Ok(Outcome::Interrupted);
        }
    }
    if bulk.move_big().await? == Outcome::Interrupted {
        return Ok(Outcome::Interrupted);
    }
    match bulk.refusal {
        Some(refusal) => Err(refusal),
        None => Ok(Outcome::Finished),
    }
}

struct Bulk<'w> {
    work: &'w Work,
    source: ServerConn,
    target: ServerConn,
    size: BatchSize,
    /// Found and not moved yet: less than a batch and what one SCAN finds.
    waiting: VecDeque<Sized>,
    /// Of all databases.
    big: Vec<(u32, Vec<u8>, u64)>,
    /// What the target has said of a key that it did not take. The others are moved all the same.
    refusal: Option<ServerError>,
    refused_in_a_row: usize,
}

impl Bulk<'_> {
    async fn move_small(&mut self, database: u32) -> Result<Outcome, ServerError> {
        self.source.select(database).await?;
        self.target.select(database).await?;
        let mut scan = Scan::new();
        while !scan.is_over() {
            if self.work.must_stop() {
                return Ok(Outcome::Interrupted);
            }
            let keys = scan.next_of(&mut self.source, &self.work.slots).await?;
            let sizes = sizes(&mut self.source, &keys).await?;
            for (key, size) in keys.into_iter().zip(sizes) {
                // Without a size it has gone meanwhile.
                if let Some(size) = size {
                    self.sort(database, key, size);
                }
            }
            if self.migrate_waiting(database, scan.is_over()).await? == Outcome::Interrupted {
                return Ok(Outcome::Interrupted);
            }
        }
        Ok(Outcome::Finished)
    }

    fn sort(&mut self, database: u32, key: Vec<u8>, size: u64) {
        let options = &self.work.options;
        if options.max_key_bytes > 0 && size > options.max_key_bytes {
            self.work.note_big(database, &key, size, BigKeyState::Skipped);
        } else if size > options.big_key_bytes {
            self.work.note_big(database, &key, size, BigKeyState::Found);
            if self.big.len() < BIG_KEYS_MAX {
                self.big.push((database, key, size));
            }
        } else {
            self.waiting.push_back((key, size));
        }
    }

    /// Moves what makes whole batches, or everything.
    async fn migrate_waiting(
        &mut self,
        database: u32,
        is_everything: bool,
    ) -> Result<Outcome, ServerError> {
        loop {
            let bytes = self.waiting.iter().map(|(_, size)| size).sum();
            let is_full = self.size.is_full(self.waiting.len(), bytes);
            if self.waiting.is_empty() || (!is_full && !is_everything) {
                return Ok(Outcome::Finished);
            }
            self.work.keep_pace().await;
            if self.work.must_stop() {
                return Ok(Outcome::Interrupted);
            }
            let count = self.size.take(self.waiting.iter().map(|(_, size)| *size));
            let batch: Vec<Sized> = self.waiting.drain(..count.min(self.waiting.len())).collect();
            self.migrate(database, &batch).await?;
        }
    }

    /// Moves some keys by one MIGRATE; when the target refuses one of them, each by itself.
    async fn migrate(&mut self, database: u32, batch: &[Sized]) -> Result<(), ServerError> {
        let before = self.fingerprints(batch).await?;
        let bytes = batch.iter().map(|(_, size)| size).sum();
        let begun = Instant::now();
        match self.ask_migrate(database, batch, TIMEOUT_MS).await? {
            Migrated::Yes => {
                self.size.learn(batch.len(), bytes, begun.elapsed());
                self.refused_in_a_row = 0;
                self.work.moved(batch.len() as u64, bytes);
                self.compare(database, &before).await
            }
            Migrated::Gone => Ok(()),
            Migrated::TargetHasIt | Migrated::Refused(_) if batch.len() > 1 => {
                for single in batch {
                    // Boxed: this function within itself.
                    let alone = std::slice::from_ref(single);
                    Box::pin(self.migrate(database, alone)).await?;
                }
                Ok(())
            }
            Migrated::TargetHasIt => {
                for (key, size) in batch {
                    self.drop_key(key, *size).await?;
                }
                Ok(())
            }
            Migrated::Refused(refusal) => batch
                .iter()
                .try_for_each(|(key, _)| self.note_refused(database, key, refusal.clone())),
        }
    }

    /// Deletes a key at the source of which the target's counts: what the target has is newer, or
    /// equal.
    async fn drop_key(&mut self, key: &[u8], size: u64) -> Result<(), ServerError> {
        self.source.expect(&[b"UNLINK", key]).await?;
        self.work.moved(1, size);
        Ok(())
    }

    fn note_refused(
        &mut self,
        database: u32,
        key: &[u8],
        refusal: ServerError,
    ) -> Result<(), ServerError> {
        let key = key_text(key);
        warn!(self.work.log, "the target does not take a key"; "database" => database,
            "key" => key, "target" => %self.work.target, "error" => %refusal);
        self.refused_in_a_row += 1;
        if self.refused_in_a_row >= REFUSED_IN_A_ROW_MAX {
            return Err(refusal);
        }
        self.refusal = Some(refusal);
        Ok(())
    }

    async fn ask_migrate(
        &mut self,
        database: u32,
        batch: &[Sized],
        timeout_ms: u64,
    ) -> Result<Migrated, ServerError> {
        let target = &self.work.target;
        let login = (self.work.moves.around.login_of)(target);
        let (port, database, timeout) =
            (target.port().to_string(), database.to_string(), timeout_ms.to_string());
        let mut request: Vec<&[u8]> = vec![b"MIGRATE", target.host().as_bytes()];
        request.extend([port.as_bytes(), b"", database.as_bytes(), timeout.as_bytes()]);
        if !self.work.keeps_target {
            request.push(b"REPLACE");
        }
        let password = login.password.expose().as_bytes();
        if !password.is_empty() && login.user.is_empty() {
            request.extend([&b"AUTH"[..], password]);
        } else if !password.is_empty() {
            request.extend([&b"AUTH2"[..], login.user.as_bytes(), password]);
        }
        request.push(b"KEYS");
        request.extend(batch.iter().map(|(key, _)| key.as_slice()));
        // It may stand still several times: at connecting, at each part it sends, at the answer.
        let limit = Duration::from_millis(timeout_ms * 3) + Duration::from_secs(10);
        let answer = self.source.ask(&request, limit).await?;
        match &answer {
            Value::Simple(text) if text == "OK" => Ok(Migrated::Yes),
            Value::Simple(text) if text == "NOKEY" => Ok(Migrated::Gone),
            Value::Error(reply) => {
                let refusal = self.source.refused(&[b"MIGRATE"], reply);
                // Only what the target says of a key can be another key's good luck.
                let is_of_target = reply.starts_with("ERR Target instance replied with error");
                if self.work.keeps_target && reply.contains("BUSYKEY") {
                    return Ok(Migrated::TargetHasIt);
                }
                let is_of_all = OF_ALL_KEYS.iter().any(|word| reply.contains(word));
                if is_of_target && !is_of_all {
                    Ok(Migrated::Refused(refusal))
                } else {
                    Err(refusal)
                }
            }
            _ => Err(self.source.odd("MIGRATE")),
        }
    }

    async fn move_big(&mut self) -> Result<Outcome, ServerError> {
        let mut big = std::mem::take(&mut self.big);
        big.sort_by_key(|(_, _, size)| *size);
        for (database, key, size) in big {
            self.work.keep_pace().await;
            let run = std::rc::Rc::clone(&self.work.run);
            let _alone = run.big_key.lock().await;
            if self.work.must_stop() {
                return Ok(Outcome::Interrupted);
            }
            self.source.select(database).await?;
            self.target.select(database).await?;
            self.migrate_big(database, (key, size)).await?;
        }
        Ok(Outcome::Finished)
    }

    async fn migrate_big(&mut self, database: u32, key: Sized) -> Result<(), ServerError> {
        let (key, size) = key;
        let timeout_ms = (TIMEOUT_MS + size / BYTES_PER_MS).min(TIMEOUT_MS_MAX);
        let batch = [(key, size)];
        let [(key, _)] = &batch;
        match self.ask_migrate(database, &batch, timeout_ms).await? {
            Migrated::Yes => {
                self.work.moved(1, size);
                self.work.note_big(database, key, size, BigKeyState::Moved);
                Ok(())
            }
            // A client has had it moved, or has deleted it.
            Migrated::Gone => {
                self.work.note_big(database, key, size, BigKeyState::Moved);
                Ok(())
            }
            Migrated::TargetHasIt => {
                self.drop_key(key, size).await?;
                self.work.note_big(database, key, size, BigKeyState::Moved);
                Ok(())
            }
            Migrated::Refused(refusal) => self.note_refused(database, key, refusal),
        }
    }

    /// The fingerprints of those keys that are to be compared.
    async fn fingerprints(
        &mut self,
        batch: &[Sized],
    ) -> Result<Vec<(Vec<u8>, Option<u64>)>, ServerError> {
        let is_wanted = |(key, size): &&Sized| match self.work.options.verify {
            Comparison::None => false,
            Comparison::Sample => compare::is_in_sample(key) && *size <= compare::BYTES_MAX,
            Comparison::All => *size <= compare::BYTES_MAX,
        };
        let keys: Vec<&[u8]> =
            batch.iter().filter(is_wanted).map(|(key, _)| key.as_slice()).collect();
        let fingerprints = compare::fingerprints(&mut self.source, &keys).await?;
        let keys = keys.into_iter().map(<[u8]>::to_vec);
        // What is not there any more is no longer ours to compare.
        Ok(keys.zip(fingerprints).filter(|(_, before)| before.is_some()).collect())
    }

    async fn compare(
        &mut self,
        database: u32,
        before: &[(Vec<u8>, Option<u64>)],
    ) -> Result<(), ServerError> {
        let keys: Vec<&[u8]> = before.iter().map(|(key, _)| key.as_slice()).collect();
        let after = compare::fingerprints(&mut self.target, &keys).await?;
        for ((key, before), after) in before.iter().zip(after) {
            self.work.note_compared(database, key, *before, after);
        }
        Ok(())
    }
}

/// What came of MIGRATE.
enum Migrated {
    /// The keys are on the target.
    Yes,
    /// None of them was on the source.
    Gone,
    /// The target has one of them already, and was not to replace it.
    TargetHasIt,
    /// The target does not take one of them.
    Refused(ServerError),
}

/// What a target says when it takes no key at all.
const OF_ALL_KEYS: [&str; 9] = [
    "NOAUTH",
    "WRONGPASS",
    "NOPERM",
    "READONLY",
    "LOADING",
    "OOM",
    "MISCONF",
    "MASTERDOWN",
    "NOREPLICAS",
];
