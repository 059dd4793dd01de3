//! What clients asked and were told, and whether one server without faults could have said it.
//!
//! Clients record [`Event`]s: one for each key of a request, with the moments at which it was sent
//! and answered. The checkers look at the events of one key at a time:
//!
//! * [`appends`]: lists that only grow. The list at the end is the order in which the appends ran.
//! * [`registers`]: values that are set, read, counted and deleted: is there an order of the
//!   requests that explains every reply and keeps to the clock (linearizability)?
//!
//! ```text
//!   SET 1   |--------------|          the read of 1 may stand after SET 1 and before
//!   SET 2          |------------|     SET 2, whose times overlap; a read of 1 that
//!   GET -> 1         |------|         begins when SET 2 has ended may not
//! ```
//!
//! Both hold a client to the order in which it sent its requests for a key, also within a pipeline.
//! What is not known to have run may have run at any time after it was sent; what the proxy said
//! was not executed must not have run at all.
//!
//! Pure: the clock is the recorder's.

pub mod appends;
pub mod registers;

use std::collections::BTreeMap;
use std::fmt;

/// A key in its database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HistoryKey {
    /// The database.
    pub database: u16,
    /// The key.
    pub name: Vec<u8>,
}

impl fmt::Display for HistoryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` in database {}", self.name.escape_ascii(), self.database)
    }
}

/// What is asked of one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Appends a value to a list; no other request appends the same one.
    Append(u64),
    /// Reads a list.
    List,
    /// Sets a register.
    Set(i64),
    /// Reads a register.
    Get,
    /// Sets a register and reads what it was.
    Swap(i64),
    /// Adds one to a register.
    Count,
    /// Deletes a register.
    Delete,
}

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// It is done, and what was said does not tell more about this key.
    Untold,
    /// A length, a count, or the new value of a counter.
    Number(i64),
    /// The value of a register.
    Value(Option<i64>),
    /// The values of a list.
    Values(Vec<u64>),
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a reply.
    Answered(Answer),
    /// With the word that it was not executed.
    NotExecuted,
    /// With an error, a closed connection, or not at all: it may have run, or may still.
    Unknown,
}

/// One request for one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Who asked.
    pub client: u32,
    /// The place in all that this client asked. Its connection is part of the client's name here: a
    /// new one is a new client, which keeps no order with the old one.
    pub sequence: u64,
    /// When it was sent; any clock that all clients share.
    pub sent_ns: u64,
    /// When its end was known.
    pub ended_ns: u64,
    /// What was asked.
    pub operation: Operation,
    /// What came of it.
    pub outcome: Outcome,
}

impl Event {
    /// The answer, when there was one.
    #[must_use]
    pub fn answer(&self) -> Option<&Answer> {
        match &self.outcome {
            Outcome::Answered(answer) => Some(answer),
            Outcome::NotExecuted | Outcome::Unknown => None,
        }
    }
}

/// The events of all keys.
#[derive(Clone, Debug, Default)]
pub struct History {
    events: BTreeMap<HistoryKey, Vec<Event>>,
}

impl History {
    /// Adds an event.
    pub fn record(&mut self, key: &HistoryKey, event: Event) {
        if let Some(events) = self.events.get_mut(key) {
            events.push(event);
        } else {
            self.events.insert(key.clone(), vec![event]);
        }
    }

    /// Adds all that another client has recorded.
    pub fn merge(&mut self, other: Self) {
        for (key, events) in other.events {
            self.events.entry(key).or_default().extend(events);
        }
    }

    /// The keys and their events.
    pub fn keys(&self) -> impl Iterator<Item = (&HistoryKey, &[Event])> {
        self.events.iter().map(|(key, events)| (key, events.as_slice()))
    }

    /// How many events there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.values().map(Vec::len).sum()
    }

    /// Whether nothing was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Checks every key: lists by their appends, registers by a search.
    ///
    /// # Errors
    /// For the first key that no server could have served so: what is wrong, and its events.
    pub fn check(&self) -> Result<(), String> {
        for (key, events) in self.keys() {
            let is_list = events
                .iter()
                .any(|event| matches!(event.operation, Operation::Append(_) | Operation::List));
            let checked = if is_list { appends::check(events) } else { registers::check(events) };
            checked.map_err(|wrong| format!("{key}: {wrong}\n{}", told(events)))?;
        }
        Ok(())
    }
}

/// The events in the order in which they were sent, one per line.
#[must_use]
pub fn told(events: &[Event]) -> String {
    let mut sorted: Vec<&Event> = events.iter().collect();
    sorted.sort_by_key(|event| event.sent_ns);
    let line = |event: &&Event| {
        let Event { client, sequence, sent_ns, ended_ns, operation, outcome } = event;
        let (sent_us, ended_us) = (sent_ns / 1000, ended_ns / 1000);
        format!(
            "  {sent_us:>9} .. {ended_us:>9} µs  {client}/{sequence}  {operation:?}  {outcome:?}\n"
        )
    };
    sorted.iter().map(line).collect()
}

#[cfg(test)]
mod tests;
