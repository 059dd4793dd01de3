//! Looking at servers: how many keys slots have, and whether a source is rid of them.

use std::collections::BTreeSet;

use routing::{BackendAddr, SlotId, slot_of};

use crate::job::BigKeyState;
use crate::options::{Comparison, SlotSet};
use crate::scan::{Scan, sizes};
use crate::server::{ServerConn, ServerError};
use crate::work::{Outcome, Work};

/// What the source still has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// No key of the slots.
    Nothing,
    /// Keys of these slots, all of which are too large to be moved.
    Skipped(BTreeSet<SlotId>),
    /// Keys that are to be moved.
    Keys,
    /// An operator wants something else.
    Interrupted,
}

/// Looks whether the source has keys of the batch, in any database.
pub(crate) async fn look_at_source(work: &Work) -> Result<Found, ServerError> {
    let mut conn = work.connect(&work.source).await?;
    let max = work.options.max_key_bytes;
    let mut skipped = BTreeSet::new();
    for database in conn.databases().await? {
        conn.select(database).await?;
        let mut scan = Scan::new();
        while !scan.is_over() {
            if work.must_stop() {
                return Ok(Found::Interrupted);
            }
            let keys = scan.next_of(&mut conn, &work.slots).await?;
            let sizes = sizes(&mut conn, &keys).await?;
            for (key, size) in keys.iter().zip(sizes) {
                match size {
                    // It has expired since it was found.
                    None => {}
                    Some(size) if max > 0 && size > max => {
                        work.note_big(database, key, size, BigKeyState::Skipped);
                        skipped.insert(slot_of(key));
                    }
                    Some(_) => return Ok(Found::Keys),
                }
            }
        }
    }
    Ok(if skipped.is_empty() { Found::Nothing } else { Found::Skipped(skipped) })
}

/// Takes note of how many keys of the batch the target has, when the move is to be verified.
pub(crate) async fn count_on_target(work: &Work) -> Result<Outcome, ServerError> {
    if work.options.verify == Comparison::None {
        return Ok(Outcome::Finished);
    }
    let mut conn = work.connect(&work.target).await?;
    let counted = count(&mut conn, &work.slots, || work.must_stop()).await?;
    let Some(keys) = counted else {
        return Ok(Outcome::Interrupted);
    };
    work.run.job.borrow_mut().counts.keys_on_target += keys;
    Ok(Outcome::Finished)
}

/// How many keys of some slots a server has; `None` when it is told to stop.
pub(crate) async fn count(
    conn: &mut ServerConn,
    slots: &SlotSet,
    must_stop: impl Fn() -> bool,
) -> Result<Option<u64>, ServerError> {
    let mut keys = 0;
    for database in conn.databases().await? {
        conn.select(database).await?;
        let mut scan = Scan::new();
        while !scan.is_over() {
            if must_stop() {
                return Ok(None);
            }
            keys += scan.next_of(conn, slots).await?.len() as u64;
        }
    }
    Ok(Some(keys))
}

/// The sources of slots, each with its slots.
pub(crate) fn by_source(
    origins: impl IntoIterator<Item = (SlotId, BackendAddr, u32)>,
) -> Vec<(BackendAddr, u32, SlotSet)> {
    let mut sources: Vec<(BackendAddr, u32, Vec<SlotId>)> = Vec::new();
    for (slot, addr, group) in origins {
        match sources.iter_mut().find(|(known, of, _)| *known == addr && *of == group) {
            Some((.., slots)) => slots.push(slot),
            None => sources.push((addr, group, vec![slot])),
        }
    }
    sources.into_iter().map(|(addr, group, slots)| (addr, group, SlotSet::of(slots))).collect()
}
