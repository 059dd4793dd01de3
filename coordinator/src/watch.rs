//! Watches, and loops of them.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::sleep;

use crate::Coordinator;
use crate::CoordinatorError;
use crate::Node;
use crate::NodePath;
use crate::SessionEvents;

/// How long [`follow`] waits after a call that failed.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// A look at a node that ends with its next change. Dropping it takes it back.
///
/// It is taken together with what was read, so no change between the two can be missed. It says
/// that there was a change, not which: read again.
pub struct Watch {
    fired: Pin<Box<dyn Future<Output = ()> + Send>>,
    session: SessionEvents,
}

impl Watch {
    pub(crate) fn new(
        fired: impl Future<Output = ()> + Send + 'static,
        session: SessionEvents,
    ) -> Self {
        Self { fired: Box::pin(fired), session }
    }

    /// Waits for the change.
    ///
    /// # Errors
    ///
    /// The session is over; there may have been a change or not.
    pub async fn changed(mut self) -> Result<(), CoordinatorError> {
        tokio::select! {
            biased;
            _ = self.session.over() => Err(CoordinatorError::SessionOver),
            () = self.fired => Ok(()),
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("session", &self.session.state()).finish_non_exhaustive()
    }
}

/// Reads a node and hands it over, again after each change, until the session is over. Failed
/// calls are handed over too and made again after a pause. Returns why it ended.
///
/// The last state of the node is always handed over; states that were replaced in the meantime are
/// left out. Dropping the future ends it.
pub async fn follow(
    coordinator: &dyn Coordinator,
    path: &NodePath,
    mut apply: impl FnMut(Result<Option<Node>, CoordinatorError>),
) -> CoordinatorError {
    loop {
        let outcome = coordinator.watch(path).await;
        if let Err(error) = next(outcome, &mut apply).await {
            return error;
        }
    }
}

/// As [`follow`], for the names of a node's children.
pub async fn follow_children(
    coordinator: &dyn Coordinator,
    path: &NodePath,
    mut apply: impl FnMut(Result<Option<Vec<String>>, CoordinatorError>),
) -> CoordinatorError {
    loop {
        let outcome = coordinator.watch_children(path).await;
        if let Err(error) = next(outcome, &mut apply).await {
            return error;
        }
    }
}

/// One round: what was read is handed over first, then the watch is waited for.
async fn next<T>(
    outcome: Result<(T, Watch), CoordinatorError>,
    apply: &mut impl FnMut(Result<T, CoordinatorError>),
) -> Result<(), CoordinatorError> {
    match outcome {
        Ok((value, watch)) => {
            apply(Ok(value));
            watch.changed().await
        }
        Err(CoordinatorError::SessionOver) => Err(CoordinatorError::SessionOver),
        Err(error) => {
            apply(Err(error));
            sleep(RETRY_PAUSE).await;
            Ok(())
        }
    }
}
