//! Carries a move out: batches side by side, each step by step.
//!
//! ```text
//! run ─► count the keys ─► lanes, each: next batch ─► step ─► keep the phase ─► step ─► ... ─► over
//! ```
//!
//! A batch does what [`BatchMove::step`] says; its new phase is on disk before it does the next
//! thing. Whatever fails is tried again, after a pause that grows, until it succeeds or an operator
//! cancels the move; what failed is in the report and in the log meanwhile.
//!
//! Bounds: `concurrency` lanes; no two work on the same source. Every question to a server or a
//! proxy has a limit.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use routing::slot_move::{BatchMove, MoveEvent, MovePhase, MoveStep};
use routing::{BackendAddr, SlotId};
use slog::{info, warn};

use crate::backoff::Backoff;
use crate::job::{Batch, Job};
use crate::look;
use crate::moves::{Moves, Run};
use crate::options::SlotSet;
use crate::server::ServerConn;
use crate::steps;

/// How long a lane without work waits before it looks again, unless the bell rings.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// The pause before the disk is tried again.
const SAVE_PAUSE: Duration = Duration::from_secs(1);

/// The sources that are worked on, by batch.
type Busy = Rc<RefCell<Vec<(usize, BackendAddr)>>>;

/// What a lane finds when it looks for work.
enum Next {
    Batch(usize, BackendAddr),
    /// Every batch that is left waits for the source of another.
    Later,
    Nothing,
}

/// Carries a move out to its end.
pub(crate) async fn carry_out(moves: Rc<Moves>, run: Rc<Run>) {
    let (id, lanes) = {
        let job = run.job.borrow();
        info!(moves.around.log, "slots are moved"; "move" => job.id, "target" => %job.target,
            "slots" => %job.request.slots, "batches" => job.batches.len());
        (job.id, job.request.options.concurrency)
    };
    run.is_running.set(true);
    count_keys(&moves, &run).await;
    let busy = Busy::default();
    let lanes: Vec<_> = (0..lanes)
        .map(|_| actix_rt::spawn(lane(Rc::clone(&moves), Rc::clone(&run), Rc::clone(&busy))))
        .collect();
    for lane in lanes {
        // Lanes end by themselves; one that did not would have ended the process.
        let _ = lane.await;
    }
    run.is_running.set(false);
    run.job.borrow_mut().ended_at = Some(unix_time());
    keep(&moves).await;
    let job = run.job.borrow();
    info!(moves.around.log, "move has ended"; "move" => id, "state" => job.state(false),
        "keys" => job.counts.keys_moved, "bytes" => job.counts.bytes_moved,
        "missing" => job.counts.missing);
}

/// Seconds since 1970.
pub(crate) fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

async fn lane(moves: Rc<Moves>, run: Rc<Run>, busy: Busy) {
    loop {
        let found = next(&run.job.borrow(), &busy.borrow());
        match found {
            Next::Batch(index, source) => busy.borrow_mut().push((index, source)),
            Next::Later => {
                run.wait(IDLE_TIMEOUT).await;
                continue;
            }
            Next::Nothing => return,
        }
        let taken = busy.borrow().last().map(|(index, _)| *index);
        if let Some(index) = taken {
            carry_out_batch(&moves, &run, index).await;
            busy.borrow_mut().retain(|(other, _)| *other != index);
            run.bell.notify_waiters();
        }
    }
}

/// The next batch: one that has begun, if there is any.
fn next(job: &Job, busy: &[(usize, BackendAddr)]) -> Next {
    let open = || job.batches.iter().enumerate().filter(|(_, batch)| !batch.phase.is_final());
    let is_free = |(index, batch): &(usize, &Batch)| {
        let (source, _) = job.way(batch);
        !busy.iter().any(|(other, addr)| other == index || *addr == source)
    };
    let has_begun = |(_, batch): &(usize, &Batch)| batch.phase != MovePhase::Pending;
    let free = || open().filter(is_free);
    match free().find(has_begun).or_else(|| free().next()) {
        Some((index, batch)) => Next::Batch(index, job.way(batch).0),
        None if open().next().is_some() => Next::Later,
        None => Next::Nothing,
    }
}

async fn carry_out_batch(moves: &Rc<Moves>, run: &Rc<Run>, index: usize) {
    let mut backoff = Backoff::default();
    loop {
        if moves.is_halted.get() {
            // The phase is on disk; the next start of the proxy goes on from there.
            std::future::pending::<()>().await;
        }
        if must_cancel(run, index) {
            transition(moves, run, index, MoveEvent::Cancelled).await;
        }
        let Some(position) = position(run, index) else { return };
        if position.step() == MoveStep::Nothing {
            return;
        }
        if run.job.borrow().is_paused && position.may_rest() {
            run.wait(IDLE_TIMEOUT).await;
            continue;
        }
        match steps::take(moves, run, index, position.step()).await {
            Ok(Some(event)) => {
                transition(moves, run, index, event).await;
                match (position.phase, event) {
                    // First the slots are given back, then it is time to wait.
                    (MovePhase::Preparing, MoveEvent::NotAllAgreed) => {}
                    (_, MoveEvent::NotAllAgreed)
                    | (MovePhase::Releasing, MoveEvent::AllAgreed)
                    | (_, MoveEvent::KeysFound) => run.wait(backoff.next()).await,
                    (MovePhase::Pending, _) => {}
                    _ => backoff.reset(),
                }
            }
            Ok(None) => {}
            Err(error) => {
                note_error(moves, run, index, &error);
                run.wait(backoff.next()).await;
            }
        }
    }
}

fn position(run: &Run, index: usize) -> Option<BatchMove> {
    run.job.borrow().batches.get(index).map(Batch::position)
}

fn must_cancel(run: &Run, index: usize) -> bool {
    let job = run.job.borrow();
    job.is_cancelled && job.batches.get(index).is_some_and(Batch::can_be_undone)
}

/// Takes note of why a batch does not go on.
pub(crate) fn note_error(moves: &Moves, run: &Run, index: usize, error: &str) {
    let mut job = run.job.borrow_mut();
    let id = job.id;
    if let Some(batch) = job.batches.get_mut(index) {
        warn!(moves.around.log, "a move does not get on, and is tried again"; "move" => id,
            "slots" => %batch.slots, "phase" => batch.phase.name(), "error" => error);
        batch.error = Some(error.to_owned());
    }
}

/// Takes note of what has happened, in memory and on disk.
async fn transition(moves: &Rc<Moves>, run: &Rc<Run>, index: usize, event: MoveEvent) {
    {
        let mut job = run.job.borrow_mut();
        let id = job.id;
        let Some(batch) = job.batches.get_mut(index) else { return };
        let mut position = batch.position();
        if let Err(error) = position.apply(event) {
            // INVARIANT: steps give only events that their phase has; the phase stays as it is.
            debug_assert!(false, "{error}");
            warn!(moves.around.log, "a step does not fit its phase"; "move" => id,
                "error" => %error);
            return;
        }
        if position == batch.position() {
            return;
        }
        if event != MoveEvent::NotAllAgreed && batch.phase != MovePhase::Releasing {
            batch.error = None;
        }
        info!(moves.around.log, "slots have a new phase"; "move" => id,
            "slots" => %batch.slots, "phase" => position.phase.name(),
            "before" => batch.phase.name(), "turned" => position.is_turned);
        batch.set_position(position);
    }
    keep(moves).await;
}

/// Puts the moves on disk, however long that takes: nothing may be done that is not kept.
pub(crate) async fn keep(moves: &Rc<Moves>) {
    while let Err(error) = moves.save().await {
        warn!(moves.around.log, "moves cannot be kept, they stand still until they can";
            "error" => %error);
        tokio::time::sleep(SAVE_PAUSE).await;
    }
}

/// Counts the keys that are to be moved, for the progress. Without it there is just no end in
/// sight.
async fn count_keys(moves: &Rc<Moves>, run: &Rc<Run>) {
    let sources = {
        let job = run.job.borrow();
        if job.counts.keys_total.is_some() || job.is_cancelled {
            return;
        }
        let of_batch = |batch: &Batch| {
            let (source, group) = (batch.source.clone(), batch.source_group);
            let slots: Vec<SlotId> = batch.slots.iter().collect();
            slots.into_iter().map(move |slot| (slot, source.clone(), group))
        };
        look::by_source(job.batches.iter().flat_map(of_batch))
    };
    let mut total = 0;
    for (source, _, slots) in sources {
        match count_on(moves, run, &source, &slots).await {
            Ok(Some(keys)) => total += keys,
            Ok(None) => return,
            Err(error) => {
                info!(moves.around.log, "keys cannot be counted"; "source" => %source,
                    "error" => error);
                return;
            }
        }
    }
    run.job.borrow_mut().counts.keys_total = Some(total);
}

async fn count_on(
    moves: &Moves,
    run: &Run,
    source: &BackendAddr,
    slots: &SlotSet,
) -> Result<Option<u64>, String> {
    let login = (moves.around.login_of)(source);
    let conn = ServerConn::connect(source, &login, None).await;
    let mut conn = conn.map_err(|error| error.to_string())?;
    let must_stop = || run.job.borrow().is_cancelled;
    let counted = look::count(&mut conn, slots, must_stop).await;
    counted.map_err(|error| error.to_string())
}
