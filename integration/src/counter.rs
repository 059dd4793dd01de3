//! A client that counts: it increments one key through one proxy, as fast as it can, and notes what
//! comes of it.
//!
//! Which server has counted how far says which route the proxy has used, and when it stopped to.
//! After an error it goes on, after the end of its connection with a new one.
//!
//! Bounds: one thread, one request under way.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::proxy::KeywayProxy;
use crate::raw_client::RawClient;
use crate::redis_server::RedisServer;
use crate::wait::{DEADLINE, Deadline, wait_until};

/// See the module.
#[derive(Debug)]
pub struct Counter {
    proxy: SocketAddr,
    key: String,
    has_ended: AtomicBool,
    successes: AtomicU64,
    errors: AtomicU64,
}

impl Counter {
    /// A client of this proxy and this key.
    #[must_use]
    pub fn new(proxy: &KeywayProxy, key: &str) -> Self {
        Self {
            proxy: proxy.addr(),
            key: key.to_owned(),
            has_ended: AtomicBool::new(false),
            successes: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        }
    }

    /// Counts while something happens.
    ///
    /// # Panics
    /// When that panics.
    pub fn run(&self, happening: impl FnOnce()) {
        thread::scope(|scope| {
            scope.spawn(|| self.count());
            let happened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(happening));
            self.has_ended.store(true, Ordering::SeqCst);
            if let Err(panic) = happened {
                std::panic::resume_unwind(panic);
            }
        });
    }

    fn count(&self) {
        let mut connection: Option<RawClient> = None;
        while !self.has_ended.load(Ordering::SeqCst) {
            let open = connection.take().map_or_else(|| RawClient::try_connect(self.proxy), Ok);
            let counted = open.and_then(|mut client| {
                let reply = client.try_command(&["INCR", &self.key])?;
                Ok((client, reply))
            });
            match counted {
                Ok((client, reply)) => {
                    let number =
                        if reply.starts_with(b":") { &self.successes } else { &self.errors };
                    number.fetch_add(1, Ordering::SeqCst);
                    connection = Some(client);
                }
                Err(_) => {
                    self.errors.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    }

    /// Requests that were carried out, as the proxy says.
    #[must_use]
    pub fn successes(&self) -> u64 {
        self.successes.load(Ordering::SeqCst)
    }

    /// Requests that got an error, or none of a reply.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::SeqCst)
    }

    /// Waits until this many more requests were carried out.
    ///
    /// # Panics
    /// When they are not in time.
    pub fn wait_more(&self, count: u64) {
        let wanted = self.successes() + count;
        wait_until("the client counts on", DEADLINE, || match self.successes() {
            seen if seen >= wanted => Ok(()),
            seen => Err((seen, self.errors())),
        });
    }

    /// Waits until one more request gets an error, and returns how long that took.
    ///
    /// # Panics
    /// When none does in time.
    pub fn wait_refused(&self, deadline: Duration) -> Duration {
        let (before, clock) = (self.errors(), Deadline::after(deadline));
        wait_until("the client is refused", deadline, || match self.errors() {
            seen if seen > before => Ok(()),
            _ => Err(self.successes()),
        });
        clock.elapsed()
    }

    /// How far the key has been counted on a server.
    ///
    /// # Panics
    /// When the server does not answer.
    #[must_use]
    pub fn value(&self, server: &RedisServer) -> String {
        server.client().text(&["GET", &self.key])
    }
}
