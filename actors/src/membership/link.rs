//! A session with the coordinator, and calls that are made until they succeed.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use coordinator::{Coordinator, CoordinatorError, SessionEvents, SessionState};
use tokio::time::sleep;

use super::book::{Book, Subject};
use crate::coordination::Contact;

/// The pause after a call that failed.
pub(super) const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// A session.
pub(super) struct Link {
    pub(super) coordinator: Arc<dyn Coordinator>,
    pub(super) book: Rc<Book>,
}

impl Link {
    /// Makes a call until it succeeds. Whoever waits for it has to end with the session: a call
    /// cannot succeed after that.
    pub(super) async fn insist<T>(
        &self,
        mut call: impl AsyncFnMut(&Arc<dyn Coordinator>) -> Result<T, CoordinatorError>,
    ) -> T {
        loop {
            match call(&self.coordinator).await {
                Ok(value) => {
                    self.book.all_clear(Subject::Call);
                    return value;
                }
                Err(error) => self.failed(&error).await,
            }
        }
    }

    /// Tells of a call that failed, and waits a little.
    pub(super) async fn failed(&self, error: &CoordinatorError) {
        if *error != CoordinatorError::SessionOver {
            self.book.alarm(Subject::Call, format!("the coordinator: {error}"));
        }
        sleep(RETRY_PAUSE).await;
    }
}

/// Notes the contact for as long as the session goes on; ends with it.
pub(super) async fn follow_contact(mut session: SessionEvents, book: Rc<Book>) {
    loop {
        match session.state() {
            SessionState::Connected => book.set_contact(Contact::Connected),
            SessionState::Disconnected => book.set_contact(Contact::Disconnected),
            SessionState::Expired | SessionState::Refused | SessionState::Closed => return,
        }
        session.changed().await;
    }
}
