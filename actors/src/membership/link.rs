//! A session with the coordinator, and calls that are made until they succeed.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use coordinator::{Coordinator, CoordinatorError, NodePath, SessionEvents, SessionState};
use tokio::time::{Instant, sleep, timeout};

use super::book::{Book, Subject};
use crate::coordination::{Contact, FAILING_AFTER};
use crate::worker::Lease;

/// The pause after a call that failed.
pub(super) const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// How often the end of the session is looked at, which moves with every answer.
const LEASE_PERIOD: Duration = Duration::from_millis(200);

/// A session.
pub(super) struct Link {
    pub(super) coordinator: Arc<dyn Coordinator>,
    pub(super) book: Rc<Book>,
    failing_since: Cell<Option<Instant>>,
}

impl Link {
    pub(super) fn new(coordinator: Arc<dyn Coordinator>, book: Rc<Book>) -> Self {
        Self { coordinator, book, failing_since: Cell::new(None) }
    }

    /// Makes a call until it succeeds. Whoever waits for it has to end with the session: a call
    /// cannot succeed after that.
    pub(super) async fn insist<T>(
        &self,
        mut call: impl AsyncFnMut(&Arc<dyn Coordinator>) -> Result<T, CoordinatorError>,
    ) -> T {
        loop {
            match call(&self.coordinator).await {
                Ok(value) => {
                    self.failing_since.set(None);
                    self.book.all_clear(Subject::Call);
                    return value;
                }
                Err(error) => self.failed(&error).await,
            }
        }
    }

    /// Lists the children of a node, and keeps an eye on them.
    pub(super) async fn list(&self, path: &NodePath) -> Listing {
        let (names, watch) = self.insist(async |c| c.watch_children(path).await).await;
        let changed = Box::pin(async move {
            let _ = watch.changed().await;
        });
        Listing { names: names.unwrap_or_default(), changed }
    }

    /// Tells of a call that failed, if that may not be over in a moment, and waits a little.
    pub(super) async fn failed(&self, error: &CoordinatorError) {
        let since = self.failing_since.get().unwrap_or_else(Instant::now);
        self.failing_since.set(Some(since));
        let may_pass = error.is_passing() && since.elapsed() < FAILING_AFTER;
        if *error != CoordinatorError::SessionOver && !may_pass {
            self.book.alarm(Subject::Call, format!("the coordinator: {error}"));
        }
        sleep(RETRY_PAUSE).await;
    }
}

/// The children of a node at some time.
pub(super) struct Listing {
    /// Their names; none when there is no such node.
    pub(super) names: Vec<String>,
    /// Ends when it is so no longer, or cannot be known any more. Kept until then: to take a watch
    /// back is a request that old servers do not know.
    pub(super) changed: Pin<Box<dyn Future<Output = ()>>>,
}

/// Notes the contact for as long as the session goes on, and lends the slots to the workers for as
/// long as it will and the proxy serves; ends with it.
pub(super) async fn follow_contact(
    mut session: SessionEvents,
    book: Rc<Book>,
    lease: &Lease,
    is_lent: &Cell<bool>,
) {
    loop {
        if is_lent.get() {
            lease.set_end(session.expiry());
        }
        match session.state() {
            SessionState::Connected => book.set_contact(Contact::Connected),
            SessionState::Disconnected => book.set_contact(Contact::Disconnected),
            SessionState::Expired | SessionState::Refused | SessionState::Closed => return,
        }
        let _ = timeout(LEASE_PERIOD, session.changed()).await;
    }
}
