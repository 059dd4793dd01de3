//! The rules, as a model that every event is told to.
//!
//! Of each slot it knows the assignment in force and those of the fills that are not answered yet.
//! The first request that only a fill under way explains shows that the fill is in place: from then
//! on the old assignment serves nothing of the slot.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use routing::{SlotId, slot_of};

/// Who serves a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) primary: usize,
    pub(crate) replica: Option<usize>,
    pub(crate) is_locked: bool,
}

impl Assignment {
    fn serves(self, backend: usize, is_write: bool) -> bool {
        !self.is_locked && (self.primary == backend || !is_write && self.replica == Some(backend))
    }
}

pub(crate) type Changes = Vec<(SlotId, Assignment)>;

struct Fill {
    number: u64,
    changes: HashMap<SlotId, Assignment>,
    /// Some backend has got a request that only this fill explains.
    is_seen: bool,
}

/// A request, or a part of one, between its receipt by a backend and its reply.
struct InProgress {
    backend: usize,
    slots: Vec<SlotId>,
    is_write: bool,
    text: String,
}

pub(crate) struct Checker {
    current: HashMap<SlotId, Assignment>,
    fills: VecDeque<Fill>,
    in_progress: BTreeMap<u64, InProgress>,
    next: u64,
    /// The last write to each key.
    written: HashMap<String, u64>,
    /// The values of all writes that backends got.
    executed: HashSet<String>,
    /// True when a backend has died or refused, so that requests may fail.
    pub(crate) has_faults: bool,
    pub(crate) violations: Vec<String>,
    pub(crate) counts: Counts,
}

/// What a run has had, to see that it is worth something.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) received_by: [u64; 4],
    pub(crate) filled: u64,
    pub(crate) given_up: u64,
    pub(crate) deaths: u64,
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) named: u64,
    pub(crate) named_failed: u64,
    pub(crate) try_again: u64,
}

impl Checker {
    pub(crate) fn new(all: Assignment) -> Self {
        Self {
            current: SlotId::all().map(|slot| (slot, all)).collect(),
            fills: VecDeque::new(),
            in_progress: BTreeMap::new(),
            next: 0,
            written: HashMap::new(),
            executed: HashSet::new(),
            has_faults: false,
            violations: Vec::new(),
            counts: Counts::default(),
        }
    }

    pub(crate) fn violate(&mut self, text: String) {
        self.violations.push(text);
    }

    pub(crate) fn fill_ordered(&mut self, number: u64, changes: &Changes) {
        let changes = changes.iter().copied().collect();
        self.fills.push_back(Fill { number, changes, is_seen: false });
    }

    pub(crate) fn fill_answered(&mut self, number: u64, is_done: bool) {
        let fill = self.fills.pop_front().expect("a fill under way");
        if fill.number != number {
            self.violate(format!("fill {number} is answered before fill {}", fill.number));
        }
        if !is_done {
            self.counts.given_up += 1;
            if fill.is_seen {
                self.violate(format!("fill {number} was given up and is in place"));
            }
            return;
        }
        self.counts.filled += 1;
        let slots: HashSet<SlotId> = fill.changes.keys().copied().collect();
        self.current.extend(fill.changes);
        self.check_in_progress(&format!("fill {number} is answered"), |slot| slots.contains(&slot));
    }

    /// A backend has got a request; gives it a number.
    pub(crate) fn received(&mut self, backend: usize, request: &[String]) -> u64 {
        let name = request[0].as_str();
        let step = if name == "MSET" || name == "GETSET" { 2 } else { 1 };
        let keys: Vec<&String> = request[1..].iter().step_by(step).collect();
        let is_write = step == 2;
        let text = format!("`{}` at backend {backend}", request.join(" "));
        if is_write {
            for pair in request[1..].chunks(2) {
                self.check_order(&pair[0], &pair[1]);
            }
        }
        let slots: Vec<SlotId> = keys.iter().map(|key| slot_of(key.as_bytes())).collect();
        for slot in &slots {
            self.check_assignment(*slot, backend, is_write, &text);
        }
        self.counts.received_by[backend] += 1;
        self.next += 1;
        let entry = InProgress { backend, slots: slots.clone(), is_write, text: text.clone() };
        self.in_progress.insert(self.next, entry);
        self.check_in_progress(&text, |slot| slots.contains(&slot));
        self.next
    }

    /// The request of this number is answered, or can be no more.
    pub(crate) fn ended(&mut self, number: u64) {
        self.in_progress.remove(&number);
    }

    pub(crate) fn died(&mut self, backend: usize) {
        self.has_faults = true;
        self.counts.deaths += 1;
        self.in_progress.retain(|_, request| request.backend != backend);
    }

    pub(crate) fn is_executed(&self, value: &str) -> bool {
        self.executed.contains(value)
    }

    /// The requests that backends have and have not answered.
    pub(crate) fn in_progress(&self) -> Vec<&str> {
        self.in_progress.values().map(|request| request.text.as_str()).collect()
    }

    fn check_order(&mut self, key: &str, value: &str) {
        let sequence: u64 = value.rsplit('.').next().and_then(|n| n.parse().ok()).expect("a value");
        let last = self.written.insert(key.to_owned(), sequence);
        if last.is_some_and(|last| last >= sequence) {
            self.violate(format!("write {sequence} to `{key}` comes after {last:?}"));
        }
        self.executed.insert(value.to_owned());
    }

    /// Rule 1 for a request that has come.
    fn check_assignment(&mut self, slot: SlotId, backend: usize, is_write: bool, text: &str) {
        if self.current.get(&slot).is_some_and(|current| current.serves(backend, is_write)) {
            return;
        }
        let explains = |fill: &&mut Fill| {
            fill.changes.get(&slot).is_some_and(|change| change.serves(backend, is_write))
        };
        match self.fills.iter_mut().find(explains) {
            Some(fill) => {
                fill.is_seen = true;
                self.current.extend(fill.changes.get(&slot).map(|change| (slot, *change)));
            }
            None => {
                let current = self.current.get(&slot);
                self.violate(format!("{text}: slot {} has {current:?}", slot.index()));
            }
        }
    }

    /// Rule 1 for what is in progress.
    fn check_in_progress(&mut self, cause: &str, is_concerned: impl Fn(SlotId) -> bool) {
        let mut found = Vec::new();
        for request in self.in_progress.values() {
            for slot in request.slots.iter().filter(|slot| is_concerned(**slot)) {
                let current = self.current.get(slot).expect("every slot");
                if !current.serves(request.backend, request.is_write) {
                    found.push(format!("{cause}, while {} is in progress", request.text));
                }
            }
        }
        self.violations.extend(found);
    }
}
