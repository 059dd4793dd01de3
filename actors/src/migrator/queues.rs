//! The order of requests for keys that are being moved.
//!
//! ```text
//!   R1 {a, b}   R2 {a}   R3 {c}        a: R1 R2     R1 may go when a and b have come;
//!                                      b: R1        R2 when R1 has gone;
//!                                      c: R3        R3 whenever c has come.
//! ```
//!
//! Each key has a queue of the requests that name it; a request is in the queues of all its keys and
//! goes when it is first in each of them. A key is known here as long as its queue is not empty.
//!
//! Pure. Bounds: the requests are bounded by the windows of their sessions.
//!
//! Invariants: M-3 requests that share a key leave in the order in which they entered. K-1 a request
//! is in the queue of each of its keys once, and in no other.

use std::collections::hash_map::{Entry as MapEntry, HashMap};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use smallvec::SmallVec;

/// A key of a database.
pub(super) type Key = (u16, Bytes);

/// The keys of a request.
pub(super) type Keys = SmallVec<[Key; 1]>;

/// The number of a request here; it only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct EntryId(u64);

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyState {
    /// The source may have it, and was not asked.
    Unasked,
    /// The source is being asked for it, or soon will be.
    Asked,
    /// The source does not have it, and never will again.
    LetGo,
}

#[derive(Debug)]
struct KeyQueue {
    state: KeyState,
    entries: VecDeque<EntryId>,
}

#[derive(Debug)]
struct Entry<P> {
    keys: Keys,
    payload: P,
}

/// See the module; `P` is what a request carries.
#[derive(Debug)]
pub(super) struct KeyQueues<P> {
    queues: HashMap<Key, KeyQueue>,
    entries: BTreeMap<EntryId, Entry<P>>,
    next: u64,
}

impl<P> Default for KeyQueues<P> {
    fn default() -> Self {
        Self { queues: HashMap::new(), entries: BTreeMap::new(), next: 0 }
    }
}

impl<P> KeyQueues<P> {
    /// The requests that wait, in the order in which they entered.
    pub(super) fn payloads(&self) -> impl Iterator<Item = &P> {
        self.entries.values().map(|entry| &entry.payload)
    }

    /// Whether some request waits for a key.
    pub(super) fn is_waited_for(&self, key: &Key) -> bool {
        self.queues.contains_key(key)
    }

    /// Takes a request with at least one key, each named once. `state_of` says what is known of a
    /// key that no other request waits for.
    pub(super) fn enter(
        &mut self,
        keys: Keys,
        payload: P,
        mut state_of: impl FnMut(&Key) -> KeyState,
    ) -> EntryId {
        let id = EntryId(self.next);
        self.next += 1;
        for key in &keys {
            match self.queues.entry(key.clone()) {
                MapEntry::Occupied(queue) => queue.into_mut().entries.push_back(id),
                MapEntry::Vacant(place) => {
                    let entries = VecDeque::from([id]);
                    place.insert(KeyQueue { state: state_of(key), entries });
                }
            }
        }
        self.entries.insert(id, Entry { keys, payload });
        id
    }

    /// The keys of a request that is still here.
    pub(super) fn keys(&self, id: EntryId) -> &[Key] {
        self.entries.get(&id).map_or(&[], |entry| &entry.keys)
    }

    pub(super) fn payload(&self, id: EntryId) -> Option<&P> {
        self.entries.get(&id).map(|entry| &entry.payload)
    }

    pub(super) fn payload_mut(&mut self, id: EntryId) -> Option<&mut P> {
        self.entries.get_mut(&id).map(|entry| &mut entry.payload)
    }

    /// What is known of a key; `None` when no request waits for it.
    pub(super) fn state(&self, key: &Key) -> Option<KeyState> {
        self.queues.get(key).map(|queue| queue.state)
    }

    /// Says what has become known of a key.
    pub(super) fn set_state(&mut self, key: &Key, state: KeyState) {
        if let Some(queue) = self.queues.get_mut(key) {
            queue.state = state;
        }
    }

    /// Whether a request is the first one for all its keys (M-3).
    pub(super) fn is_first(&self, id: EntryId) -> bool {
        self.keys(id)
            .iter()
            .all(|key| self.queues.get(key).is_some_and(|queue| queue.entries.front() == Some(&id)))
    }

    /// Whether the source has let go of all keys of a request.
    pub(super) fn is_let_go(&self, id: EntryId) -> bool {
        self.keys(id).iter().all(|key| self.state(key) == Some(KeyState::LetGo))
    }

    /// The first request for a key.
    pub(super) fn first(&self, key: &Key) -> Option<EntryId> {
        self.queues.get(key)?.entries.front().copied()
    }

    /// The requests that wait for any of some keys, in their order.
    pub(super) fn waiting_for(&self, keys: &[Key]) -> BTreeSet<EntryId> {
        let queues = keys.iter().filter_map(|key| self.queues.get(key));
        queues.flat_map(|queue| queue.entries.iter().copied()).collect()
    }

    /// Takes a request out of all queues, wherever it stands. Whoever calls looks at the requests
    /// that are first for its keys now.
    pub(super) fn leave(&mut self, id: EntryId) -> Option<(Keys, P)> {
        let Entry { keys, payload } = self.entries.remove(&id)?;
        for key in &keys {
            if let MapEntry::Occupied(mut queue) = self.queues.entry(key.clone()) {
                queue.get_mut().entries.retain(|entry| *entry != id);
                if queue.get().entries.is_empty() {
                    queue.remove();
                }
            }
        }
        Some((keys, payload))
    }
}

#[cfg(test)]
mod tests;
