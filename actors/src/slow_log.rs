//! The slow log: requests that took longer than `slowlog_log_slower_than`, and where their time
//! went.
//!
//! ```text
//! arrival            written to the backend       its reply was read        reply written
//!    │────── queue ───────────│──────── backend ────────────│──────── write ───────│
//! ```
//!
//! The queue holds a request while its slot is held, while its connection is being made or has too
//! much in flight, and while the backend takes no bytes. A reply waits for the replies of earlier
//! requests of its client; that counts as writing, and so does whatever the proxy itself takes.
//! What a client leaves unread in the buffers of its socket is not measured. Of a request that was
//! split over backends the part counts that was answered last.
//!
//! | file        | what it owns                                           |
//! |-------------|--------------------------------------------------------|
//! | `argv.rs`   | what is kept of a request, and how it is shown         |
//! | `events.rs` | the samples that LATENCY tells                         |
//!
//! Each worker has a log of its own, which its sessions write and its supervisor reads; questions
//! join them by their ids, which are unique and grow over all workers. A full log writes over its
//! oldest entry, whose memory it uses again: when everything is slow, logging costs little.
//!
//! Bounds: `slowlog_max_len` entries per worker, each with [`argv::KEPT_BYTES_MAX`] of arguments.

pub(crate) mod argv;
mod events;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::{SystemTime, UNIX_EPOCH};

use routing::BackendAddr;

pub use events::{Event, Events, Sample, Series};

use crate::worker::Counter;

/// The number of a backend within its worker, from 1: so `None` takes no room in [`Stamps`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackendId(pub(crate) NonZeroU32);

/// The backends that ever had a connection in a worker, by their numbers.
// BOUND: as many as addresses have ever been in the slot table.
#[derive(Debug, Default)]
pub(crate) struct BackendNames(RefCell<Vec<BackendAddr>>);

impl BackendNames {
    /// The number of a backend, which may be new.
    pub(crate) fn id_of(&self, addr: &BackendAddr) -> BackendId {
        let mut names = self.0.borrow_mut();
        let known = names.iter().position(|known| known == addr);
        let index = known.unwrap_or_else(|| {
            names.push(addr.clone());
            names.len() - 1
        });
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        BackendId(NonZeroU32::MIN.saturating_add(index))
    }

    /// The backend with that number.
    pub(crate) fn addr_of(&self, id: BackendId) -> Option<BackendAddr> {
        let index = usize::try_from(id.0.get() - 1).ok()?;
        self.0.borrow().get(index).cloned()
    }
}

/// How many requests were slow since start, by the part of their time that was longest.
#[derive(Debug, Default)]
pub struct SlowCounts([Counter; Event::PARTS.len()]);

impl SlowCounts {
    /// Those of which this part took longest.
    #[must_use]
    pub fn longest_in(&self, part: Event) -> u64 {
        let counts = Event::PARTS.iter().zip(&self.0);
        counts.filter(|(known, _)| **known == part).map(|(_, count)| count.value()).sum()
    }

    pub(crate) fn count(&self, parts: Parts) {
        let longest = parts.longest();
        for (part, count) in Event::PARTS.iter().zip(&self.0) {
            count.add(u64::from(*part == longest));
        }
    }
}

/// When a request passed from hand to hand, in microseconds of the worker's clock, which wrap after
/// 71 minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamps {
    /// When it was written to the backend.
    pub written_us: u32,
    /// When its reply was read, or it was known that there will be none.
    pub read_us: u32,
    /// The backend; `None` when it came to none.
    pub backend: Option<BackendId>,
}

impl Stamps {
    /// Those of a request that was answered here, or refused: all its time was in the queue.
    #[must_use]
    pub(crate) fn unsent(now_us: u64) -> Self {
        Self { written_us: wrapped(now_us), read_us: wrapped(now_us), backend: None }
    }
}

/// A time of the worker's clock in the form that is kept per request.
#[expect(clippy::cast_possible_truncation, reason = "only differences are used")]
pub(crate) fn wrapped(now_us: u64) -> u32 {
    now_us as u32
}

/// Where the time of a request went, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// From its arrival to its writing to the backend.
    pub queue_us: u32,
    /// Until its reply was read.
    pub backend_us: u32,
    /// Until its reply was written to the client's socket.
    pub write_us: u32,
}

impl Parts {
    /// Splits the time from `entered_us` to `left_us`. The parts add up to it whatever the stamps
    /// say.
    pub(crate) fn of(entered_us: u32, stamps: Stamps, left_us: u32) -> Self {
        let total_us = left_us.wrapping_sub(entered_us);
        let write_us = left_us.wrapping_sub(stamps.read_us).min(total_us);
        let in_backend_us = stamps.read_us.wrapping_sub(stamps.written_us);
        let backend_us = in_backend_us.min(total_us - write_us);
        Self { queue_us: total_us - write_us - backend_us, backend_us, write_us }
    }

    /// All of it.
    #[must_use]
    pub fn total_us(self) -> u32 {
        self.queue_us.saturating_add(self.backend_us).saturating_add(self.write_us)
    }

    /// The part that took longest.
    #[must_use]
    pub fn longest(self) -> Event {
        if self.backend_us >= self.queue_us.max(self.write_us) {
            Event::Backend
        } else if self.queue_us >= self.write_us {
            Event::Queue
        } else {
            Event::Write
        }
    }
}

/// A slow request, as it is told to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowRequest {
    /// Unique in this run of the proxy; later requests have higher ones.
    pub id: u64,
    /// When its reply was written, in seconds of unix time.
    pub unix_s: u64,
    /// Where its time went.
    pub parts: Parts,
    /// Its arguments, cut as Redis cuts them.
    pub argv: Vec<Vec<u8>>,
    /// The address of its client.
    pub peer: SocketAddr,
    /// The name that its client had given itself.
    pub client_name: String,
    /// The backend that answered it, or that failed to.
    pub backend: Option<BackendAddr>,
}

/// A slow request, as its session knows it when the reply leaves.
pub(crate) struct Slow<'a> {
    pub(crate) parts: Parts,
    /// What [`argv::keep`] has kept.
    pub(crate) kept: &'a [u8],
    pub(crate) peer: SocketAddr,
    pub(crate) client_name: &'a str,
    pub(crate) backend: Option<BackendAddr>,
}

/// An entry. Its texts keep their memory for the entry that takes its place.
#[derive(Debug)]
struct Entry {
    id: u64,
    unix_s: u64,
    parts: Parts,
    kept: Vec<u8>,
    peer: SocketAddr,
    client_name: String,
    backend: Option<BackendAddr>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct SlowLog {
    /// From which time on a request is slow; `u32::MAX` when none is.
    slow_us: u32,
    entries_max: usize,
    /// The oldest first.
    entries: VecDeque<Entry>,
    events: Events,
}

impl SlowLog {
    /// A log of at most `entries_max` requests that took `slower_than` microseconds; -1 for none.
    pub(crate) fn new(slower_than: i64, entries_max: usize) -> Self {
        Self {
            slow_us: threshold_us(slower_than),
            entries_max,
            entries: VecDeque::new(),
            events: Events::default(),
        }
    }

    /// Adds a request that was slow.
    pub(crate) fn add(&mut self, id: u64, unix_s: u64, slow: &Slow<'_>) {
        self.events.note(slow.parts, self.slow_us, unix_s);
        if self.entries_max == 0 {
            return;
        }
        let reused = if self.entries.len() >= self.entries_max {
            self.entries.pop_front().map(|old| (old.kept, old.client_name))
        } else {
            None
        };
        let (mut kept, mut client_name) = reused.unwrap_or_default();
        kept.clear();
        kept.extend_from_slice(slow.kept);
        client_name.clear();
        client_name.push_str(slow.client_name);
        let backend = slow.backend.clone();
        let (parts, peer) = (slow.parts, slow.peer);
        self.entries.push_back(Entry { id, unix_s, parts, kept, peer, client_name, backend });
    }

    /// The newest `count` requests, the newest first.
    pub(crate) fn newest(&self, count: usize) -> Vec<SlowRequest> {
        let requests = self.entries.iter().rev().take(count).map(|entry| SlowRequest {
            id: entry.id,
            unix_s: entry.unix_s,
            parts: entry.parts,
            argv: argv::argv(&entry.kept),
            peer: entry.peer,
            client_name: entry.client_name.clone(),
            backend: entry.backend.clone(),
        });
        requests.collect()
    }

    /// The number of entries.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Forgets the entries.
    pub(crate) fn reset(&mut self) {
        self.entries = VecDeque::new();
    }

    /// What was slow, by second.
    pub(crate) fn events(&self) -> &Events {
        &self.events
    }

    /// Forgets the samples of these events; says which of them had any.
    pub(crate) fn reset_events(&mut self, events: &[Event]) -> Vec<Event> {
        self.events.reset(events)
    }
}

/// The setting as a bound of the times of requests; `u32::MAX`, which no time reaches, for -1.
pub(crate) fn threshold_us(slower_than: i64) -> u32 {
    if slower_than < 0 {
        return u32::MAX;
    }
    u32::try_from(slower_than).unwrap_or(u32::MAX)
}

/// The time of day of an entry.
pub(crate) fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The requests of several logs as one: the newest `count`, the newest first.
pub(crate) fn joined(logs: Vec<Vec<SlowRequest>>, count: usize) -> Vec<SlowRequest> {
    let mut requests: Vec<_> = logs.into_iter().flatten().collect();
    requests.sort_unstable_by_key(|request| std::cmp::Reverse(request.id));
    requests.truncate(count);
    requests
}

#[cfg(test)]
mod tests;
