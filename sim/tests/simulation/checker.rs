//! The checker: whether the operations on one key are those of one register, or of one list, that
//! takes one operation after another.
//!
//! For a register it looks for an order: every operation that is known to be over has a place in
//! it, after all that preceded it, and found what the one before left. An operation whose outcome
//! is unknown may have a place anywhere after its beginning, or none. (This is the search of Wing
//! and Gong with the memory of Lowe.) Values are unique, which keeps the search short:
//!
//! * a read that finds what is there now takes its place at once: nothing is lost by it;
//! * a write of unknown outcome takes its place only just before a read that found it;
//! * what is written over must have been found by all that say so.
//!
//! A list only grows and its items are unique, so the longest one seen is the order of all pushes,
//! and everything else is compared with it.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::history::{Action, Operation, Outcome};

/// Steps of a search before it is given up, which fails the run: no history is meant to need as many.
const STEPS_MAX: usize = 100_000;

/// What a register holds.
type State = Option<String>;

/// Judges the operations on one register.
pub(crate) fn check_register(operations: &[Operation]) -> Result<(), String> {
    let is_refused = |operation: &&Operation| operation.outcome == Outcome::NotExecuted;
    let refused: HashSet<_> = operations.iter().filter(is_refused).map(|o| &o.action).collect();
    let is_wrong = |operation: &&Operation| match &operation.outcome {
        Outcome::Text(Some(value)) => refused.contains(&Action::Write(value.clone())),
        _ => false,
    };
    if let Some(operation) = operations.iter().find(is_wrong) {
        return Err(format!("a write that was refused has been executed: {operation:?}"));
    }
    Search::new(operations).run()
}

/// The search for an order.
struct Search<'o> {
    /// Those that are known to be over, by their beginning.
    known: Vec<&'o Operation>,
    /// Writes and deletions of unknown outcome.
    lost: Vec<&'o Operation>,
    /// The reads of each value.
    reads: HashMap<&'o str, Vec<usize>>,
    seen: HashSet<Order>,
    /// The longest order so far, to show where it gets stuck.
    best: Order,
}

/// An order in the making: which operations have their places, and what they leave behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Order {
    /// All that are known have places up to here, without it.
    first: usize,
    /// And these.
    beyond: BTreeSet<usize>,
    state: State,
    /// The deletions of unknown outcome that have places. (Of writes that need not be known: what
    /// they wrote is not looked for again.)
    deletions: BTreeSet<usize>,
}

impl Order {
    fn has(&self, index: usize) -> bool {
        index < self.first || self.beyond.contains(&index)
    }

    fn place(&mut self, index: usize) {
        self.beyond.insert(index);
        while self.beyond.remove(&self.first) {
            self.first += 1;
        }
    }

    fn len(&self) -> usize {
        self.first + self.beyond.len()
    }
}

/// What may come next in an order.
struct Front {
    /// Those without a place of which some may begin before others end.
    open: Vec<usize>,
    /// When the first of them ends.
    ended: u64,
}

impl<'o> Search<'o> {
    fn new(operations: &'o [Operation]) -> Self {
        let is_known = |operation: &&Operation| operation.outcome.is_known();
        let mut known: Vec<_> = operations.iter().filter(is_known).collect();
        known.sort_by_key(|operation| operation.invoked);
        let is_lost = |operation: &&Operation| {
            operation.outcome == Outcome::Unknown
                && matches!(operation.action, Action::Write(_) | Action::Delete)
        };
        let lost = operations.iter().filter(is_lost).collect();
        let mut reads: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, operation) in known.iter().enumerate() {
            if let Outcome::Text(Some(value)) = &operation.outcome {
                reads.entry(value).or_default().push(index);
            }
        }
        Self { known, lost, reads, seen: HashSet::new(), best: Order::default() }
    }

    fn run(mut self) -> Result<(), String> {
        let mut orders = vec![Order::default()];
        while let Some(mut order) = orders.pop() {
            self.place_reads(&mut order);
            if order.len() > self.best.len() {
                self.best = order.clone();
            }
            if order.first == self.known.len() {
                return Ok(());
            }
            if self.seen.len() > STEPS_MAX {
                return Err("the search for an order takes too long".to_owned());
            }
            if self.seen.insert(order.clone()) {
                self.branch(&order, &mut orders);
            }
        }
        Err(self.describe())
    }

    fn front(&self, order: &Order) -> Front {
        let mut front = Front { open: Vec::new(), ended: u64::MAX };
        for index in order.first..self.known.len() {
            let operation = self.known[index];
            if operation.invoked > front.ended {
                break;
            }
            if !order.has(index) {
                front.open.push(index);
                front.ended = front.ended.min(operation.ended);
            }
        }
        front
    }

    /// Whether an operation may have the next place: no other must be before it.
    fn is_next(&self, front: &Front, operation: &Operation) -> bool {
        let is_before = |index: &usize| {
            let other = self.known[*index];
            other.client == operation.client && other.invoked < operation.invoked
        };
        operation.invoked < front.ended && !front.open.iter().any(is_before)
    }

    /// Gives a place to every read that found what is there.
    fn place_reads(&self, order: &mut Order) {
        loop {
            let front = self.front(order);
            let fits = |index: &&usize| {
                let operation = self.known[**index];
                operation.action != Action::Delete
                    && is_found(operation, &order.state) == Some(true)
                    && self.is_next(&front, operation)
            };
            let Some(index) = front.open.iter().find(fits).copied() else {
                return;
            };
            order.place(index);
        }
    }

    /// All ways to go on: a write that is over, or one of unknown outcome that a read found.
    fn branch(&self, order: &Order, orders: &mut Vec<Order>) {
        // Values are unique: what is written over is never there again.
        let value = order.state.as_deref().and_then(|value| self.reads.get(value));
        if value.is_some_and(|reads| reads.iter().any(|index| !order.has(*index))) {
            return;
        }
        let front = self.front(order);
        let next = front.open.iter().filter(|index| self.is_next(&front, self.known[**index]));
        let next: Vec<usize> = next.copied().collect();
        for index in next.iter().rev() {
            let operation = self.known[*index];
            if let Some(state) = left_by(operation)
                && is_found(operation, &order.state) != Some(false)
            {
                let mut longer = Order { state, ..order.clone() };
                longer.place(*index);
                orders.push(longer);
            }
        }
        let is_wanted = |state: &State| {
            next.iter().any(|index| is_found(self.known[*index], state) == Some(true))
        };
        let mut has_deletion = false;
        for (index, operation) in self.lost.iter().enumerate() {
            let Some(state) = left_by(operation).filter(|_| self.is_next(&front, operation)) else {
                continue;
            };
            let is_deletion = state.is_none();
            // Of deletions one is as good as another.
            let is_useless = is_deletion && (has_deletion || order.deletions.contains(&index));
            if !is_useless && state != order.state && is_wanted(&state) {
                has_deletion |= is_deletion;
                let mut longer = Order { state, ..order.clone() };
                longer.deletions.extend(is_deletion.then_some(index));
                orders.push(longer);
            }
        }
    }

    fn describe(&self) -> String {
        let line = |operation: &Operation| {
            format!(
                "client {} [{}..{}] {:?} -> {:?}",
                operation.client,
                operation.invoked,
                operation.ended,
                operation.action,
                operation.outcome
            )
        };
        let front = self.front(&self.best);
        let again = self.best.state.as_deref().and_then(|value| self.reads.get(value));
        let again = again.into_iter().flatten().filter(|index| !self.best.has(**index));
        let lines = front.open.iter().chain(again).map(|index| line(self.known[*index]));
        format!(
            "no order explains it; at best {:?} is there, and there is no way to all of\n      {}",
            self.best.state,
            lines.collect::<Vec<_>>().join("\n      ")
        )
    }
}

/// What an operation leaves behind; `None` when it changes nothing.
fn left_by(operation: &Operation) -> Option<State> {
    match &operation.action {
        Action::Write(value) => Some(Some(value.clone())),
        Action::Delete => Some(None),
        _ => None,
    }
}

/// Whether an operation found this; `None` when it does not say.
fn is_found(operation: &Operation, state: &State) -> Option<bool> {
    match &operation.outcome {
        Outcome::Text(text) => Some(text == state),
        Outcome::Found(is_found) => Some(*is_found == state.is_some()),
        _ => None,
    }
}

/// Judges the operations on one list.
pub(crate) fn check_list(operations: &[Operation]) -> Result<(), String> {
    let empty = Vec::new();
    let lists = operations.iter().filter_map(|operation| match &operation.outcome {
        Outcome::Items(items) => Some(items),
        _ => None,
    });
    let longest = lists.max_by_key(|items| items.len()).unwrap_or(&empty);
    let unique: HashSet<&String> = longest.iter().collect();
    if unique.len() < longest.len() {
        return Err(format!("a push was executed twice: {longest:?}"));
    }
    let place_of = |value: &String| longest.iter().position(|item| item == value);
    // How many items the list had at most before, and at least after, each operation.
    let mut spans = Vec::new();
    for operation in operations {
        let span = match (&operation.action, &operation.outcome) {
            (Action::List, Outcome::Items(items)) => {
                if !longest.starts_with(items) {
                    return Err(format!("{operation:?} is not how {longest:?} begins"));
                }
                Some((items.len(), items.len()))
            }
            (Action::Push(value), Outcome::Len(len)) => {
                let place = place_of(value)
                    .ok_or_else(|| format!("an acknowledged push is lost: {operation:?}"))?;
                if place + 1 != *len {
                    return Err(format!("{operation:?} stands at {place} of {longest:?}"));
                }
                Some((place, *len))
            }
            (Action::Push(value), Outcome::Unknown) => place_of(value).map(|at| (at, at + 1)),
            (Action::Push(value), Outcome::NotExecuted) if place_of(value).is_some() => {
                return Err(format!("a push that was refused has been executed: {operation:?}"));
            }
            (Action::Push(_) | Action::List, _) => None,
            (other, _) => return Err(format!("{other:?} is nothing for a list")),
        };
        spans.extend(span.map(|(most_before, least_after)| (operation, most_before, least_after)));
    }
    for (first, _, least_after) in &spans {
        for (second, most_before, _) in &spans {
            if first.precedes(second) && least_after > most_before {
                return Err(format!("{first:?}\n    precedes {second:?}\n    in {longest:?}"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
