//! What the MoverActor and the tasks that carry moves out share, on one thread.
//!
//! [`Moves`] are all moves of this proxy and their file; a [`Run`] is one of them with what is not
//! kept: rates, limits, and the bell that rings when an operator wants something else.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use routing::SlotId;
use slog::Logger;
use tokio::sync::{Mutex, Notify};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use crate::control::Fleet;
use crate::error::MoverError;
use crate::job::{Batch, Job};
use crate::journal::{self, ENDED_MAX};
use crate::options::SlotSet;
use crate::pace::Pace;
use crate::server::LoginOf;
use crate::state_file::{self, StateError};

/// How long the disk may take.
const SAVE_TIMEOUT: Duration = Duration::from_secs(30);

/// The time over which rates are averages.
const RATE_WINDOW: Duration = Duration::from_secs(5);

/// The pause between two samples of a rate.
const RATE_STEP: Duration = Duration::from_millis(250);

/// What a mover needs to know of its proxy.
#[derive(Clone)]
pub struct Surroundings {
    /// Reaches proxies.
    pub fleet: Rc<dyn Fleet>,
    /// Finds passwords of servers.
    pub login_of: LoginOf,
    /// Tells this proxy from others at servers: some letters and digits.
    pub name: String,
    /// Where transitions are noted.
    pub log: Logger,
}

/// What was moved since the start of the process.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) keys: Cell<u64>,
    pub(crate) bytes: Cell<u64>,
    pub(crate) big_keys: Cell<u64>,
}

/// See the module.
pub(crate) struct Moves {
    pub(crate) around: Surroundings,
    path: PathBuf,
    next_id: Cell<u64>,
    /// In the order of their ids.
    runs: RefCell<Vec<Rc<Run>>>,
    /// One write at a time; each writes what is true when it begins.
    saving: Arc<Mutex<()>>,
    pub(crate) totals: Totals,
    /// True once the proxy stops: nothing is begun any more.
    pub(crate) is_halted: Cell<bool>,
    /// The slots of orders that are being checked.
    reserved: RefCell<Vec<SlotSet>>,
}

/// Slots of an order that is being checked, until this is dropped.
pub(crate) struct Reserved {
    moves: Rc<Moves>,
    slots: SlotSet,
}

impl Reserved {
    /// Takes slots that no move has and no other order wants.
    pub(crate) fn take(moves: &Rc<Moves>, slots: &SlotSet) -> Result<Self, MoverError> {
        let moving = moves.moving();
        if let Some(slot) = slots.iter().find(|slot| moving.contains(*slot)) {
            let text = format!("slot {slot} is part of another move that has not ended");
            return Err(MoverError::Unfit { text });
        }
        moves.reserved.borrow_mut().push(slots.clone());
        Ok(Self { moves: Rc::clone(moves), slots: slots.clone() })
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut reserved = self.moves.reserved.borrow_mut();
        if let Some(at) = reserved.iter().position(|slots| *slots == self.slots) {
            reserved.swap_remove(at);
        }
    }
}

/// One move.
pub(crate) struct Run {
    pub(crate) job: RefCell<Job>,
    /// Rings when the move is paused, resumed or cancelled, and when a batch has come to its end.
    pub(crate) bell: Notify,
    pub(crate) pace: RefCell<Pace>,
    /// Held while a big key is moved: never two at once.
    pub(crate) big_key: Mutex<()>,
    pub(crate) rate: RefCell<Rate>,
    pub(crate) is_running: Cell<bool>,
}

impl Moves {
    pub(crate) fn open(path: PathBuf, around: Surroundings) -> Result<Self, StateError> {
        let kept = journal::read(&path)?;
        let runs = kept.jobs.into_iter().map(|job| Rc::new(Run::new(job))).collect();
        Ok(Self {
            around,
            path,
            next_id: Cell::new(kept.next_id),
            runs: RefCell::new(runs),
            saving: Arc::new(Mutex::new(())),
            totals: Totals::default(),
            is_halted: Cell::new(false),
            reserved: RefCell::new(Vec::new()),
        })
    }

    pub(crate) fn runs(&self) -> Vec<Rc<Run>> {
        self.runs.borrow().clone()
    }

    pub(crate) fn run(&self, id: u64) -> Option<Rc<Run>> {
        self.runs.borrow().iter().find(|run| run.job.borrow().id == id).cloned()
    }

    /// The slots of moves that have not ended, and of orders that are being checked.
    pub(crate) fn moving(&self) -> SlotSet {
        let reserved = self.reserved.borrow();
        let mut slots: Vec<SlotId> = reserved.iter().flat_map(SlotSet::iter).collect();
        for run in self.runs.borrow().iter() {
            let job = run.job.borrow();
            if job.ended_at.is_none() {
                slots.extend(job.request.slots.iter());
            }
        }
        SlotSet::of(slots)
    }

    pub(crate) fn next_id(&self) -> u64 {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        id
    }

    /// Adds a move, and forgets the oldest of those that have ended.
    pub(crate) fn add(&self, job: Job) -> Rc<Run> {
        let run = Rc::new(Run::new(job));
        let mut runs = self.runs.borrow_mut();
        runs.push(Rc::clone(&run));
        let ended = runs.iter().filter(|run| run.job.borrow().ended_at.is_some()).count();
        let mut surplus = ended.saturating_sub(ENDED_MAX);
        runs.retain(|run| {
            let is_surplus = surplus > 0 && run.job.borrow().ended_at.is_some();
            surplus -= usize::from(is_surplus);
            !is_surplus
        });
        run
    }

    /// Forgets a move that was never begun.
    pub(crate) fn remove(&self, id: u64) {
        self.runs.borrow_mut().retain(|run| run.job.borrow().id != id);
    }

    /// Puts everything on disk.
    pub(crate) async fn save(&self) -> Result<(), StateError> {
        let io = |error| StateError::Io { action: "write", path: self.path.clone(), error };
        let late = || io(std::io::ErrorKind::TimedOut.into());
        let turn = timeout(SAVE_TIMEOUT, Arc::clone(&self.saving).lock_owned()).await;
        let turn = turn.map_err(|_| late())?;
        let jobs: Vec<Job> = self.runs().iter().map(|run| run.job.borrow().clone()).collect();
        let text = journal::text(self.next_id.get(), &jobs)
            .map_err(|text| io(std::io::Error::other(text)))?;
        let path = self.path.clone();
        let written = spawn_blocking(move || {
            let result = state_file::replace(&path, &text);
            // Held by the thread: when the disk takes longer than anybody waits, the next write
            // still comes after this one.
            drop(turn);
            result
        });
        match timeout(SAVE_TIMEOUT, written).await {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => Err(io(std::io::Error::other(error))),
            Err(_) => Err(late()),
        }
    }
}

impl Run {
    fn new(job: Job) -> Self {
        let options = &job.request.options;
        let pace = Pace::new(options.keys_per_second, options.bytes_per_second);
        Self {
            job: RefCell::new(job),
            bell: Notify::new(),
            pace: RefCell::new(pace),
            big_key: Mutex::new(()),
            rate: RefCell::new(Rate::default()),
            is_running: Cell::new(false),
        }
    }

    /// Whether a batch must stop moving keys at the next opportunity.
    pub(crate) fn must_stop(&self, index: usize) -> bool {
        let job = self.job.borrow();
        let can_be_undone = job.batches.get(index).is_none_or(Batch::can_be_undone);
        job.is_paused || (job.is_cancelled && can_be_undone)
    }

    /// Waits for some time, or until an operator wants something else.
    pub(crate) async fn wait(&self, limit: Duration) {
        let _ = timeout(limit, self.bell.notified()).await;
    }

    /// Takes note of keys that were moved.
    pub(crate) fn moved(&self, keys: u64, bytes: u64) {
        let mut job = self.job.borrow_mut();
        job.counts.keys_moved += keys;
        job.counts.bytes_moved += bytes;
        let (keys, bytes) = (job.counts.keys_moved, job.counts.bytes_moved);
        self.rate.borrow_mut().sample(keys, bytes, Instant::now());
    }
}

/// How fast keys have been moved of late.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    /// When, and how many keys and bytes had been moved by then. At most as many as steps fit into
    /// the window.
    samples: VecDeque<(Instant, u64, u64)>,
}

impl Rate {
    fn sample(&mut self, keys: u64, bytes: u64, now: Instant) {
        let is_early = |(at, ..): &(Instant, u64, u64)| now.duration_since(*at) < RATE_STEP;
        if self.samples.back().is_some_and(is_early) {
            return;
        }
        self.samples.push_back((now, keys, bytes));
        self.forget(now);
    }

    fn forget(&mut self, now: Instant) {
        let is_old = |(at, ..): &(Instant, u64, u64)| now.duration_since(*at) > RATE_WINDOW;
        while self.samples.front().is_some_and(is_old) {
            self.samples.pop_front();
        }
    }

    /// Keys and bytes per second up to now.
    pub(crate) fn per_second(&mut self, keys: u64, bytes: u64, now: Instant) -> (f64, f64) {
        self.forget(now);
        let Some((at, keys_then, bytes_then)) = self.samples.front() else {
            return (0.0, 0.0);
        };
        let seconds = now.duration_since(*at).as_secs_f64();
        if seconds < RATE_STEP.as_secs_f64() {
            return (0.0, 0.0);
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        (rate(keys, *keys_then), rate(bytes, *bytes_then))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_seconds() {
        let start = Instant::now();
        let mut rate = Rate::default();
        assert_eq!(rate.per_second(0, 0, start), (0.0, 0.0));
        for second in 0..20 {
            let now = start + Duration::from_secs(second);
            rate.sample(second * 100, second * 1000, now);
        }
        let now = start + Duration::from_secs(19);
        assert_eq!(rate.per_second(1900, 19_000, now), (100.0, 1000.0));
        // Nothing has moved since.
        let later = now + Duration::from_secs(6);
        assert_eq!(rate.per_second(1900, 19_000, later), (0.0, 0.0));
        assert!(rate.samples.len() < 30);
    }
}
