//! Judges a register by a search for an order of its requests that explains all replies.
//!
//! The search of Wing and Gong with the memory of Lowe: from the value so far, each request that
//! may be next is tried, which is each one that was sent before the first end of those that are
//! left. A set of requests that has run and the value that it left are tried once.
//!
//! Requests without an answer may run at any time after they were sent, or never. They are tried
//! last, and of those that do the same (deletes; counts; sets of values that nobody has seen) only
//! the one that was sent first: what it can do, the others can do later.
//!
//! Bounds: [`STEPS_MAX`] sets are tried; a history beyond is neither accepted nor refused.

use std::collections::{BTreeSet, HashSet};

use super::{Answer, Event, Operation, Outcome};

/// Sets of requests that are tried.
pub const STEPS_MAX: usize = 200_000;

/// Checks the events of one register, which is absent at the beginning.
///
/// # Errors
/// That there is no order, or that none was found within [`STEPS_MAX`].
pub fn check(events: &[Event]) -> Result<(), String> {
    let has_effect = |event: &&Event| match event.outcome {
        Outcome::Answered(_) => true,
        Outcome::Unknown => event.operation != Operation::Get,
        Outcome::NotExecuted => false,
    };
    let mut sorted: Vec<&Event> = events.iter().filter(has_effect).collect();
    sorted.sort_by_key(|event| (event.sent_ns, event.client, event.sequence));
    Search::new(sorted).run()
}

/// Requests without an answer that do the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Delete,
    Count,
    /// Sets a value that nobody has seen.
    Unseen,
    /// Like no other one.
    Own,
}

/// The value of a register, whichever, that nobody has seen.
const UNSEEN: i64 = i64::MIN;

/// A request that is to run next, and what else could instead.
struct Step {
    candidates: Vec<usize>,
    value: Option<i64>,
}

struct Search<'a> {
    events: Vec<&'a Event>,
    kinds: Vec<Kind>,
    /// One bit for each event that has run.
    done: Vec<u64>,
    /// The answered ones that have not.
    left: usize,
    /// The most that ever had: where a history that has no order breaks off.
    furthest: usize,
}

impl<'a> Search<'a> {
    fn new(events: Vec<&'a Event>) -> Self {
        let left = events.iter().filter(|event| event.answer().is_some()).count();
        let done = vec![0; events.len().div_ceil(64)];
        let kinds = kinds(&events);
        Self { events, kinds, done, left, furthest: 0 }
    }

    fn run(mut self) -> Result<(), String> {
        let answered = self.left;
        let mut tried = HashSet::new();
        let mut chosen: Vec<usize> = Vec::new();
        let mut steps = vec![Step { candidates: self.candidates(), value: None }];
        while self.left > 0 {
            let Some(step) = steps.last_mut() else {
                return Err(format!(
                    "no order explains the replies; {} of {answered} can be explained",
                    self.furthest
                ));
            };
            let value = step.value;
            let Some(next) = step.candidates.pop() else {
                steps.pop();
                if let Some(undone) = chosen.pop() {
                    self.turn(undone, false);
                }
                continue;
            };
            let Some(value) = self.after(value, next) else {
                continue;
            };
            self.turn(next, true);
            if !tried.insert((self.done.clone(), value)) {
                self.turn(next, false);
                continue;
            }
            if tried.len() > STEPS_MAX {
                return Err(format!("undecided after {STEPS_MAX} steps"));
            }
            self.furthest = self.furthest.max(answered - self.left);
            chosen.push(next);
            steps.push(Step { candidates: self.candidates(), value });
        }
        Ok(())
    }

    fn turn(&mut self, place: usize, is_done: bool) {
        if let Some(word) = self.done.get_mut(place / 64) {
            *word ^= 1 << (place % 64);
        }
        if self.events.get(place).is_some_and(|event| event.answer().is_some()) {
            self.left = if is_done { self.left - 1 } else { self.left + 1 };
        }
    }

    fn is_done(&self, place: usize) -> bool {
        self.done.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    /// The value after a request. `None` when it could not have been answered so, or is unanswered
    /// and would change nothing.
    fn after(&self, value: Option<i64>, place: usize) -> Option<Option<i64>> {
        let event = self.events.get(place)?;
        let is_unseen = self.kinds.get(place) == Some(&Kind::Unseen);
        let after = if is_unseen { Some(UNSEEN) } else { after(value, event)? };
        (event.answer().is_some() || after != value).then_some(after)
    }

    /// The requests that may run next, the best one last.
    fn candidates(&self) -> Vec<usize> {
        let mut first_end = u64::MAX;
        let mut found = Vec::new();
        let mut kinds = Vec::new();
        let all_done = self.done.iter().take_while(|word| **word == u64::MAX).count() * 64;
        for (place, event) in self.events.iter().enumerate().skip(all_done) {
            if event.sent_ns > first_end {
                break;
            }
            if self.is_done(place) {
                continue;
            }
            if event.answer().is_some() {
                first_end = first_end.min(event.ended_ns);
            } else if let Some(kind) = self.kinds.get(place).filter(|kind| **kind != Kind::Own) {
                if kinds.contains(kind) {
                    continue;
                }
                kinds.push(*kind);
            }
            found.push((place, *event));
        }
        // A client's requests run in its order, as far as it was told of their end.
        let is_first = |event: &Event| {
            !found.iter().any(|(_, other)| {
                other.client == event.client
                    && other.sequence < event.sequence
                    && other.answer().is_some()
            })
        };
        let mut next: Vec<_> = found
            .iter()
            .filter(|(_, event)| event.sent_ns <= first_end && is_first(event))
            .collect();
        next.sort_by_key(|(_, event)| (event.answer().is_some(), u64::MAX - event.ended_ns));
        next.into_iter().map(|(place, _)| *place).collect()
    }
}

/// What the requests without an answer have in common with others.
fn kinds(events: &[&Event]) -> Vec<Kind> {
    let counts = events.iter().filter(|event| event.operation == Operation::Count).count();
    let counts = i64::try_from(counts).unwrap_or(i64::MAX);
    let seen: BTreeSet<i64> = events
        .iter()
        .filter_map(|event| match event.answer()? {
            Answer::Value(value) => *value,
            Answer::Number(number) => Some(*number),
            Answer::Done | Answer::Untold | Answer::Values(_) => None,
        })
        .collect();
    // Counting may have changed the value before it was seen.
    let is_seen = |value: i64| seen.range(value..=value.saturating_add(counts)).next().is_some();
    let kind = |event: &&Event| match event.operation {
        _ if event.answer().is_some() => Kind::Own,
        Operation::Delete => Kind::Delete,
        Operation::Count => Kind::Count,
        Operation::Set(value) | Operation::Swap(value) if !is_seen(value) => Kind::Unseen,
        _ => Kind::Own,
    };
    events.iter().map(kind).collect()
}

/// The value after a request, when it could have been answered so.
fn after(value: Option<i64>, event: &Event) -> Option<Option<i64>> {
    let (after, answer) = match event.operation {
        Operation::Set(new) => (Some(new), Answer::Done),
        Operation::Get => (value, Answer::Value(value)),
        Operation::Swap(new) => (Some(new), Answer::Value(value)),
        Operation::Count => {
            let counted = value.unwrap_or(0).saturating_add(1);
            (Some(counted), Answer::Number(counted))
        }
        Operation::Delete => (None, Answer::Number(i64::from(value.is_some()))),
        Operation::Append(_) | Operation::List => return None,
    };
    match event.answer() {
        Some(given) => (*given == answer || *given == Answer::Untold).then_some(after),
        None => Some(after),
    }
}
