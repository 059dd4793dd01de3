//! What is told of moves: for operators and their programs.

use serde::Serialize;
use tokio::time::Instant;

use crate::job::{Batch, BigKey, BigKeyState, Difference, Job};
use crate::moves::{Moves, Run};
use crate::options::{MoveOptions, SlotSet};

/// All moves of a proxy.
#[derive(Clone, Debug, Serialize)]
pub struct MoverReport {
    /// Whether the proxy keeps its slots, and can move them.
    pub has_state_dir: bool,
    /// The slots of moves that have not ended.
    pub moving: SlotSet,
    /// The moves, oldest first; of those that have ended, the last ones.
    pub moves: Vec<MoveReport>,
    /// Keys moved since the start of the process.
    pub keys_moved_total: u64,
    /// Their bytes.
    pub bytes_moved_total: u64,
    /// Big keys found since the start of the process.
    pub big_keys_found_total: u64,
}

/// One move.
#[derive(Clone, Debug, Serialize)]
pub struct MoveReport {
    /// Its number.
    pub id: u64,
    /// `queued`, `running`, `paused`, `cancelling`, `done`, `incomplete` or `cancelled`.
    pub state: &'static str,
    /// The slots that were ordered.
    pub slots: SlotSet,
    /// The server that gets them.
    pub target: String,
    /// Its group.
    pub target_group: u32,
    /// The other proxies that take part.
    pub proxies: Vec<String>,
    /// How.
    pub options: MoveOptions,
    /// When it was ordered, in seconds since 1970.
    pub created_at: u64,
    /// When it ended.
    pub ended_at: Option<u64>,
    /// How far it has come.
    pub progress: Progress,
    /// Its batches.
    pub batches: Vec<BatchReport>,
    /// Keys that are larger than `big_key_bytes`.
    pub big_keys: Vec<BigKeyReport>,
    /// What comparing has shown.
    pub comparison: ComparisonReport,
    /// Why it does not get on, if it does not.
    pub error: Option<String>,
}

/// How far a move has come.
#[derive(Clone, Debug, Serialize)]
pub struct Progress {
    /// Slots on their target, or back where they were.
    pub slots_done: usize,
    /// Slots in all.
    pub slots_total: usize,
    /// Keys on the sources before the move; null until they are counted.
    pub keys_total: Option<u64>,
    /// Keys that were moved, those that came back among them.
    pub keys_moved: u64,
    /// Their bytes.
    pub bytes_moved: u64,
    /// Over the last seconds.
    pub keys_per_second: f64,
    /// Over the last seconds.
    pub bytes_per_second: f64,
    /// At this rate; null when nothing can be said.
    pub eta_seconds: Option<u64>,
}

/// Slots that are moved together.
#[derive(Clone, Debug, Serialize)]
pub struct BatchReport {
    /// The slots.
    pub slots: SlotSet,
    /// Where they come from.
    pub source: String,
    /// See docs/moving-slots.md.
    pub phase: &'static str,
    /// True on the way back.
    pub is_turned: bool,
    /// Why it does not get on.
    pub error: Option<String>,
}

/// A key that is larger than others.
#[derive(Clone, Debug, Serialize)]
pub struct BigKeyReport {
    /// Its slot.
    pub slot: u16,
    /// Its database.
    pub database: u32,
    /// Itself; bytes that are no text as `\xNN`.
    pub key: String,
    /// As MEMORY USAGE has it.
    pub bytes: u64,
    /// `found`, `moved` or `skipped`.
    pub state: &'static str,
}

/// What comparing has shown.
#[derive(Clone, Debug, Serialize)]
pub struct ComparisonReport {
    /// Keys of the slots on the target when their batch was moved.
    pub keys_on_target: u64,
    /// Keys that were compared.
    pub compared: u64,
    /// Equal on both servers.
    pub equal: u64,
    /// Different: written to meanwhile, or damaged.
    pub changed: u64,
    /// Not on the target: deleted or expired meanwhile, or lost.
    pub missing: u64,
    /// The first of those that are different or missing.
    pub differences: Vec<DifferenceReport>,
}

/// A key that is not on the target as it was on the source.
#[derive(Clone, Debug, Serialize)]
pub struct DifferenceReport {
    /// Its slot.
    pub slot: u16,
    /// Its database.
    pub database: u32,
    /// Itself.
    pub key: String,
    /// `changed` or `missing`.
    pub what: &'static str,
}

impl MoverReport {
    /// What a proxy without a folder tells: it moves nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            has_state_dir: false,
            moving: SlotSet::default(),
            moves: Vec::new(),
            keys_moved_total: 0,
            bytes_moved_total: 0,
            big_keys_found_total: 0,
        }
    }

    /// Every state of a move, and how many have it.
    pub fn states(&self) -> impl Iterator<Item = (&'static str, usize)> + '_ {
        let count = |state| self.moves.iter().filter(|report| report.state == state).count();
        Job::STATES.into_iter().map(move |state| (state, count(state)))
    }

    pub(crate) fn of(moves: &Moves, now: Instant) -> Self {
        Self {
            has_state_dir: true,
            moving: moves.moving(),
            moves: moves.runs().iter().map(|run| report(run, now)).collect(),
            keys_moved_total: moves.totals.keys.get(),
            bytes_moved_total: moves.totals.bytes.get(),
            big_keys_found_total: moves.totals.big_keys.get(),
        }
    }
}

fn report(run: &Run, now: Instant) -> MoveReport {
    let job = run.job.borrow();
    MoveReport {
        id: job.id,
        state: job.state(run.is_running.get()),
        slots: job.request.slots.clone(),
        target: job.target.to_string(),
        target_group: job.target_group,
        proxies: job.request.proxies.clone(),
        options: job.request.options.clone(),
        created_at: job.created_at,
        ended_at: job.ended_at,
        progress: progress(&job, run, now),
        batches: job.batches.iter().map(batch).collect(),
        big_keys: job.big_keys.iter().map(big_key).collect(),
        comparison: comparison(&job),
        error: job.batches.iter().find_map(|batch| batch.error.clone()),
    }
}

fn progress(job: &Job, run: &Run, now: Instant) -> Progress {
    let counts = &job.counts;
    let slots = |is_counted: fn(&&Batch) -> bool| {
        job.batches.iter().filter(is_counted).map(|batch| batch.slots.len()).sum()
    };
    let mut rate = run.rate.borrow_mut();
    let (keys, bytes) = rate.per_second(counts.keys_moved, counts.bytes_moved, now);
    let left = counts.keys_total.map(|total| total.saturating_sub(counts.keys_moved));
    let is_on_its_way = !job.is_over() && !job.is_cancelled && keys > 0.0;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate for people"
    )]
    let eta_seconds = left.filter(|_| is_on_its_way).map(|left| (left as f64 / keys).ceil() as u64);
    Progress {
        slots_done: slots(|batch| batch.phase.is_final()),
        slots_total: slots(|_| true),
        keys_total: counts.keys_total,
        keys_moved: counts.keys_moved,
        bytes_moved: counts.bytes_moved,
        keys_per_second: keys,
        bytes_per_second: bytes,
        eta_seconds,
    }
}

fn batch(batch: &Batch) -> BatchReport {
    BatchReport {
        slots: batch.slots.clone(),
        source: batch.source.to_string(),
        phase: batch.phase.name(),
        is_turned: batch.is_turned,
        error: batch.error.clone(),
    }
}

fn big_key(key: &BigKey) -> BigKeyReport {
    let BigKey { slot, database, key, bytes, state } = key.clone();
    let state = match state {
        BigKeyState::Found => "found",
        BigKeyState::Moved => "moved",
        BigKeyState::Skipped => "skipped",
    };
    BigKeyReport { slot, database, key, bytes, state }
}

fn comparison(job: &Job) -> ComparisonReport {
    let counts = &job.counts;
    let difference = |difference: &Difference| {
        let Difference { slot, database, key, is_missing } = difference.clone();
        let what = if is_missing { "missing" } else { "changed" };
        DifferenceReport { slot, database, key, what }
    };
    ComparisonReport {
        keys_on_target: counts.keys_on_target,
        compared: counts.compared,
        equal: counts.equal,
        changed: counts.changed,
        missing: counts.missing,
        differences: job.differences.iter().map(difference).collect(),
    }
}
