//! Moves all keys of some slots between Codis servers, which know slots and choose the keys.
//!
//! ```text
//! SLOTSMGRTTAGSLOT host port timeout slot                                 -> [moved, left]
//! SLOTSMGRTTAGSLOT-ASYNC host port timeout bulks bytes slot keys          -> [moved, left]
//! ```
//! Each is repeated, per database and slot, until nothing is left. The first moves one key and all
//! keys of its tag at a time and stops the server meanwhile; the second moves many and does not.
//! Neither tells sizes: only keys are counted, and big keys are not reported.

use std::time::Duration;

use resp::value::Value;
use tokio::time::Instant;

use crate::server::{ServerConn, ServerError};
use crate::work::{Outcome, Work};

/// How long a server may wait for the other, in milliseconds.
const TIMEOUT_MS: u64 = 3000;

/// The most elements of a key that are sent at once.
const BULKS_MAX: &str = "200";

/// The most bytes that are sent at once.
const BYTES_MAX: &str = "33554432";

/// The most keys of a question.
const KEYS_MAX: &str = "500";

/// Beyond the time limit of the server.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Moves every key of the batch.
pub(crate) async fn move_keys(work: &Work, is_async: bool) -> Result<Outcome, ServerError> {
    drop(work.connect_target().await?);
    let mut source = work.connect_source().await?;
    for database in source.databases().await? {
        source.select(database).await?;
        for slot in slots_with_keys(&mut source, work).await? {
            if move_slot(work, &mut source, slot, is_async).await? == Outcome::Interrupted {
                return Ok(Outcome::Interrupted);
            }
        }
    }
    Ok(Outcome::Finished)
}

/// The slots of the batch that have keys in the selected database.
async fn slots_with_keys(source: &mut ServerConn, work: &Work) -> Result<Vec<u16>, ServerError> {
    let numbers = work.slots.iter().map(routing::SlotId::number);
    let answer = source.expect(&[b"SLOTSINFO", b"0", b"1024"]).await?;
    let Some(counts) = answer.as_array() else {
        return Err(source.odd("SLOTSINFO"));
    };
    let slot = |count: &Value| match count.as_array() {
        Some([slot, keys]) if keys.as_integer() != Some(0) => slot.as_integer(),
        _ => None,
    };
    let has_keys: Vec<i64> = counts.iter().filter_map(slot).collect();
    Ok(numbers.filter(|number| has_keys.contains(&i64::from(*number))).collect())
}

async fn move_slot(
    work: &Work,
    source: &mut ServerConn,
    slot: u16,
    is_async: bool,
) -> Result<Outcome, ServerError> {
    let target = &work.target;
    let (port, slot, timeout) =
        (target.port().to_string(), slot.to_string(), TIMEOUT_MS.to_string());
    let (host, port) = (target.host().as_bytes(), port.as_bytes());
    let (slot, timeout) = (slot.as_bytes(), timeout.as_bytes());
    let request: Vec<&[u8]> = if is_async {
        let (bulks, bytes, keys) = (BULKS_MAX, BYTES_MAX, KEYS_MAX);
        let limits = [bulks.as_bytes(), bytes.as_bytes()];
        let [bulks, bytes] = limits;
        vec![b"SLOTSMGRTTAGSLOT-ASYNC", host, port, timeout, bulks, bytes, slot, keys.as_bytes()]
    } else {
        vec![b"SLOTSMGRTTAGSLOT", host, port, timeout, slot]
    };
    let time = Duration::from_millis(work.options.batch_time_ms);
    loop {
        work.keep_pace().await;
        if work.must_stop() {
            return Ok(Outcome::Interrupted);
        }
        let begun = Instant::now();
        let answer = source.ask(&request, ANSWER_TIMEOUT).await?;
        if let Some(reply) = answer.as_error() {
            return Err(source.refused(&request, reply));
        }
        let counts = answer.as_array().map(|counts| counts.iter().map(Value::as_integer));
        let counts: Option<Vec<i64>> = counts.and_then(Iterator::collect);
        let Some([moved, left]) = counts.as_deref() else {
            return Err(source.odd("SLOTSMGRTTAGSLOT"));
        };
        work.moved(u64::try_from(*moved).unwrap_or(0), 0);
        if *left == 0 {
            return Ok(Outcome::Finished);
        }
        // One that took longer than it should gives clients as much time before the next.
        let taken = begun.elapsed();
        if taken > time {
            work.run.wait(taken.min(Duration::from_secs(1))).await;
        }
    }
}
