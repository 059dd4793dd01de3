//! What everything in a run shares: chance, the order of events, tasks, and the trace.
//!
//! Time is tokio's, paused: it moves only when nobody has anything to do. One thread, one queue of
//! tasks, no sockets: what happens is decided by the seed alone.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt::Arguments;
use std::rc::{Rc, Weak};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::Instant;

use crate::random::Random;

/// The last events of a run, for whoever looks for the cause of a failure.
const EVENTS_KEPT: usize = 60;

/// See the module.
pub(crate) struct World {
    pub(crate) random: Random,
    /// The tasks of all but the proxies, which have task sets of their own.
    tasks: Weak<LocalSet>,
    started: Instant,
    events: Cell<u64>,
    hash: Cell<u64>,
    last_events: RefCell<VecDeque<String>>,
    is_printed: bool,
    violations: RefCell<Vec<String>>,
}

impl World {
    fn new(seed: u64, tasks: &Rc<LocalSet>) -> Rc<Self> {
        Rc::new(Self {
            random: Random::new(seed),
            tasks: Rc::downgrade(tasks),
            started: Instant::now(),
            events: Cell::new(0),
            hash: Cell::new(0xcbf2_9ce4_8422_2325),
            last_events: RefCell::default(),
            is_printed: std::env::var_os("KEYWAY_TRACE").is_some(),
            violations: RefCell::default(),
        })
    }

    /// Starts a task that belongs to no proxy, whoever calls.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
        self.tasks.upgrade().expect("tasks are started while a run lasts").spawn_local(task)
    }

    /// Writes an event into the trace; gives its place in the order of all events.
    pub(crate) fn event(&self, what: Arguments<'_>) -> u64 {
        let number = self.events.get() + 1;
        self.events.set(number);
        let line = format!("{number} {}: {what}", self.started.elapsed().as_millis());
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        self.hash.set(line.bytes().fold(self.hash.get(), mix));
        if self.is_printed {
            println!("{line}");
        }
        let mut last = self.last_events.borrow_mut();
        if last.len() == EVENTS_KEPT {
            last.pop_front();
        }
        last.push_back(line);
        number
    }

    /// A number that two runs share only when all their events were the same.
    pub(crate) fn hash(&self) -> u64 {
        self.hash.get()
    }

    pub(crate) fn last_events(&self) -> Vec<String> {
        self.last_events.borrow().iter().cloned().collect()
    }

    /// Notes that a rule is broken.
    pub(crate) fn violate(&self, rule: &str, what: Arguments<'_>) {
        self.event(format_args!("VIOLATION {rule}: {what}"));
        self.violations.borrow_mut().push(format!("{rule}: {what}"));
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        self.violations.borrow().clone()
    }

    /// Milliseconds that a message is under way: often none, sometimes many.
    pub(crate) async fn delay(&self) {
        let ms = match self.random.below(10) {
            0..5 => 0,
            5..9 => 1 + self.random.below(3),
            _ => self.random.below(12),
        };
        if ms > 0 {
            pause(ms).await;
        }
    }
}

/// Runs something in a world of its own, to its end.
pub(crate) fn simulate<T>(seed: u64, run: impl AsyncFnOnce(Rc<World>) -> T) -> T {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let tasks = Rc::new(LocalSet::new());
        let world = World::new(seed, &tasks);
        tasks.run_until(run(world)).await
    })
}

/// Lets simulated time pass.
pub(crate) async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
