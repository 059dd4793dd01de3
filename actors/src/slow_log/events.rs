//! The latency events: when something was slow, and how slow, in the form of Redis' monitor.
//!
//! An event is a part of a slow request's time. One sample stands for one second, with the worst
//! that happened in it; so a thousand slow requests are one sample.
//!
//! Pure. Bounds: [`SAMPLES_MAX`] samples per event. Invariant: the seconds of the samples grow.

use std::collections::VecDeque;

use super::Parts;

/// The samples that are kept of one event, as in Redis.
pub(crate) const SAMPLES_MAX: usize = 160;

/// What can be slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A request as a whole; Redis has an event of this name too.
    Command,
    /// Its way to the backend: waiting for a slot, for a connection, for the backend to take it.
    Queue,
    /// From its writing to the backend until its reply was read.
    Backend,
    /// From the reading of its reply until that was written: mostly waiting for earlier replies.
    Write,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 4] = [Self::Command, Self::Queue, Self::Backend, Self::Write];

    /// The parts of a request's time.
    pub const PARTS: [Self; 3] = [Self::Queue, Self::Backend, Self::Write];

    /// The event's name for clients.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Queue => "queue",
            Self::Backend => "backend",
            Self::Write => "write",
        }
    }

    /// The event of that name, in any mix of cases.
    #[must_use]
    pub fn of_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|event| name.eq_ignore_ascii_case(event.name().as_bytes()))
    }

    fn time_us(self, parts: Parts) -> u32 {
        match self {
            Self::Command => parts.total_us(),
            Self::Queue => parts.queue_us,
            Self::Backend => parts.backend_us,
            Self::Write => parts.write_us,
        }
    }
}

/// The worst of one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The second, in unix time.
    pub unix_s: u64,
    /// The worst time in it, in milliseconds.
    pub time_ms: u32,
}

/// The samples of one event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// The oldest first.
    pub samples: VecDeque<Sample>,
    /// The worst since the start or the last reset.
    pub worst_ms: u32,
}

impl Series {
    fn add(&mut self, sample: Sample) {
        self.worst_ms = self.worst_ms.max(sample.time_ms);
        match self.samples.back_mut().filter(|last| last.unix_s >= sample.unix_s) {
            // A system clock that was set back must not break the order.
            Some(last) => last.time_ms = last.time_ms.max(sample.time_ms),
            None => {
                if self.samples.len() >= SAMPLES_MAX {
                    self.samples.pop_front();
                }
                self.samples.push_back(sample);
            }
        }
    }

    /// The samples of several workers as one series.
    #[must_use]
    pub fn joined<'s>(series: impl Iterator<Item = &'s Self>) -> Self {
        let (mut samples, mut worst_ms) = (Vec::new(), 0);
        for one in series {
            samples.extend(one.samples.iter().copied());
            worst_ms = worst_ms.max(one.worst_ms);
        }
        samples.sort_unstable_by_key(|sample| sample.unix_s);
        let mut joined = Self::default();
        samples.into_iter().for_each(|sample| joined.add(sample));
        Self { worst_ms, ..joined }
    }
}

/// The series of all events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events([Series; Event::ALL.len()]);

impl Events {
    /// The series of an event.
    #[must_use]
    pub fn of(&self, event: Event) -> &Series {
        let [command, queue, backend, write] = &self.0;
        match event {
            Event::Command => command,
            Event::Queue => queue,
            Event::Backend => backend,
            Event::Write => write,
        }
    }

    /// Notes what was slow of a slow request. Times below a millisecond say nothing in the unit of
    /// the samples and are left out.
    pub(super) fn note(&mut self, parts: Parts, slow_us: u32, unix_s: u64) {
        for (event, series) in Event::ALL.into_iter().zip(&mut self.0) {
            let time_us = event.time_us(parts);
            if time_us >= slow_us.max(1000) {
                series.add(Sample { unix_s, time_ms: time_us / 1000 });
            }
        }
    }

    /// Forgets the samples of these events; says which of them had any.
    pub(super) fn reset(&mut self, events: &[Event]) -> Vec<Event> {
        let mut forgotten = Vec::new();
        for (event, series) in Event::ALL.into_iter().zip(&mut self.0) {
            if events.contains(&event) && !series.samples.is_empty() {
                *series = Series::default();
                forgotten.push(event);
            }
        }
        forgotten
    }

    /// The events of several workers together.
    #[must_use]
    pub fn joined(all: &[Self]) -> Self {
        Self(Event::ALL.map(|event| Series::joined(all.iter().map(|one| one.of(event)))))
    }
}
