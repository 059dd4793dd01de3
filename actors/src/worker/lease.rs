//! Until when the slots may be used, where they come from a coordinator.
//!
//! A session with a coordinator ends by our own clock, but whoever watches that clock may come to it
//! too late: a process that was suspended goes on with what clients have sent meanwhile. So every
//! worker looks at this before it lets a request go; that costs a load.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

/// Never over unless somebody sets an end.
#[derive(Debug)]
pub struct Lease {
    /// The proxy's start, from which workers count their time, too.
    began: Instant,
    /// In microseconds since then.
    end_us: AtomicU64,
}

impl Lease {
    /// A lease without an end, of a proxy that starts now.
    #[must_use]
    pub(crate) fn endless(began: Instant) -> Self {
        Self { began, end_us: AtomicU64::new(u64::MAX) }
    }

    /// The slots may be used until this time.
    pub(crate) fn set_end(&self, end: Instant) {
        let end_us = end.saturating_duration_since(self.began).as_micros();
        self.end_us.store(u64::try_from(end_us).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The slots may not be used any more.
    pub(crate) fn end(&self) {
        self.end_us.store(0, Ordering::Relaxed);
    }

    /// Whether it is over, at a worker's time.
    #[must_use]
    pub(crate) fn is_over(&self, now_us: u64) -> bool {
        now_us >= self.end_us.load(Ordering::Relaxed)
    }
}
