//! How far the proxy has come: one for the whole proxy, read everywhere, waited for by few.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// How far the proxy has come: waiting for its slots, online, or stopping.
#[derive(Debug, Default)]
pub struct Lifecycle {
    is_online: AtomicBool,
    is_closed: AtomicBool,
    came_online: Notify,
    stop_ordered: Notify,
}

impl Lifecycle {
    /// True from the order to start until the order to stop. Clients that connect before are told
    /// that the proxy is not online.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.has_started() && !self.is_closed()
    }

    /// True from the order to start on, also while the proxy stops: as long as others may still
    /// send clients here, they are served.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.is_online.load(Ordering::Relaxed)
    }

    /// True from the order to stop on.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    /// Takes clients from now on. Doing it again changes nothing.
    pub fn go_online(&self) {
        self.is_online.store(true, Ordering::Relaxed);
        self.came_online.notify_waiters();
    }

    /// Waits for the order to start; at once when it was given.
    pub async fn started(&self) {
        // ORDER: the wait begins before the look, so that an order in between is not missed.
        let ordered = self.came_online.notified();
        if !self.has_started() {
            ordered.await;
        }
    }

    /// Orders the proxy to stop.
    pub fn stop(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        self.stop_ordered.notify_one();
    }

    /// Waits for the order to stop.
    pub async fn stopped(&self) {
        self.stop_ordered.notified().await;
    }
}
