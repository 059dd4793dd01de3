//! A session with a coordinator: is there contact, and is it over?
//!
//! ```text
//!   Connected <──────> Disconnected ──── our clock, or the coordinator ────> Expired
//!       └───────────────────┴── close() ──> Closed,   credentials ──> Refused
//! ```
//!
//! A coordinator gives up a session that it has not heard of for the session's timeout, and takes
//! away what belongs to it. It can only tell us so when there is contact again, which is too late
//! for those who rely on what they have registered. So the session keeps a clock of its own: a beat
//! every third of the timeout proves the contact, and a timeout without any is the end, whatever
//! the library thinks. The clock counts from when the last answered beat was *sent*, and the
//! coordinator from when it came in, so ours is not late. Only beats count: another answer may come
//! from a server that has lost the others, and knows nothing of the session.
//!
//! Invariants: C-1 the end of a session is final. C-2 no call outlives its time limit or its
//! session.

use std::future::Future;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio::time::sleep_until;
use tokio::time::timeout_at;

use crate::CoordinatorError;
use crate::NodePath;

/// The time limits of a coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// How long connecting may take.
    pub connect: Duration,
    /// How long one call may take.
    pub call: Duration,
    /// How long a session outlives the last sign of life.
    pub session: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            call: Duration::from_secs(5),
            session: Duration::from_secs(20),
        }
    }
}

/// The state of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// There is contact.
    Connected,
    /// There is no contact at the moment. What the session owns is still there.
    Disconnected,
    /// It is over: no contact for too long, or the coordinator has ended it.
    Expired,
    /// It is over: the coordinator refuses the user or the password.
    Refused,
    /// It is over: we have closed it.
    Closed,
}

impl SessionState {
    /// Is it over? Then connect again; this one does not come back.
    #[must_use]
    pub fn is_over(self) -> bool {
        match self {
            Self::Connected | Self::Disconnected => false,
            Self::Expired | Self::Refused | Self::Closed => true,
        }
    }
}

/// What happens to a session, for those who must know.
#[derive(Clone, Debug)]
pub struct SessionEvents {
    state: watch::Receiver<SessionState>,
    last_contact: Arc<Mutex<Instant>>,
    timeout: Duration,
}

impl SessionEvents {
    /// The state now.
    #[must_use]
    pub fn state(&self) -> SessionState {
        *self.state.borrow()
    }

    /// How long the session outlives the last sign of life, as the coordinator has agreed to.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// When the session is over, if there is no answer to anything from now on.
    #[must_use]
    pub fn expiry(&self) -> Instant {
        read(&self.last_contact) + self.timeout
    }

    /// Waits for the next change and returns the state then; at once when the session is over.
    /// States that nobody looked at in time are left out, except the last.
    pub async fn changed(&mut self) -> SessionState {
        if !self.state().is_over() && self.state.changed().await.is_err() {
            return SessionState::Closed;
        }
        *self.state.borrow_and_update()
    }

    /// Waits for the end of the session.
    pub async fn over(&mut self) -> SessionState {
        match self.state.wait_for(|state| state.is_over()).await {
            Ok(state) => *state,
            Err(_) => SessionState::Closed,
        }
    }
}

/// Our side of a session. Each adaptor has one.
#[derive(Debug)]
pub(crate) struct Session {
    state: watch::Sender<SessionState>,
    /// When the last beat that was answered had been sent.
    last_contact: Arc<Mutex<Instant>>,
    /// We are closing it: whatever ends it now, it is closed.
    is_closing: AtomicBool,
    timeouts: Timeouts,
}

impl Session {
    /// A session that has just begun, with the timeout that the coordinator has agreed to.
    pub(crate) fn new(timeouts: Timeouts, began: Instant) -> Self {
        let (state, _) = watch::channel(SessionState::Connected);
        Self {
            state,
            last_contact: Arc::new(Mutex::new(began)),
            is_closing: AtomicBool::new(false),
            timeouts,
        }
    }

    pub(crate) fn events(&self) -> SessionEvents {
        let last_contact = Arc::clone(&self.last_contact);
        SessionEvents {
            state: self.state.subscribe(),
            last_contact,
            timeout: self.timeouts.session,
        }
    }

    /// Notes an answer to a beat that was sent at this time.
    pub(crate) fn contact(&self, sent: Instant) {
        {
            let mut last = self.last();
            *last = sent.max(*last);
        }
        self.change(SessionState::Connected);
    }

    /// Notes that there is no contact.
    pub(crate) fn lose_contact(&self) {
        self.change(SessionState::Disconnected);
    }

    /// Ends the session.
    pub(crate) fn end(&self, state: SessionState) {
        let is_closing = self.is_closing.load(Ordering::Relaxed);
        self.change(if is_closing { SessionState::Closed } else { state });
    }

    /// Notes that we close it. The coordinator may tell a beat of the end before it answers us.
    pub(crate) fn begin_close(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
    }

    /// Changes the state; the end is final (C-1).
    fn change(&self, to: SessionState) {
        self.state.send_if_modified(|state| {
            let is_change = !state.is_over() && *state != to;
            if is_change {
                *state = to;
            }
            is_change
        });
    }

    /// When the session is over, if there is no answer to anything from now on.
    fn expiry(&self) -> Instant {
        read(&self.last_contact) + self.timeouts.session
    }

    fn last(&self) -> MutexGuard<'_, Instant> {
        // Whoever panicked held a whole instant.
        self.last_contact.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call: not on a session that is over, and not for longer than the limit (C-2).
    pub(crate) async fn call<T>(
        &self,
        action: &'static str,
        path: &NodePath,
        call: impl Future<Output = Result<T, CoordinatorError>>,
    ) -> Result<T, CoordinatorError> {
        let mut events = self.events();
        if events.state().is_over() {
            return Err(CoordinatorError::SessionOver);
        }
        let sent = Instant::now();
        let after = self.timeouts.call;
        let answer = tokio::select! {
            biased;
            answer = timeout_at(sent + after, call) => answer,
            _ = events.over() => return Err(CoordinatorError::SessionOver),
        };
        let answer = answer.unwrap_or_else(|_| {
            Err(CoordinatorError::Deadline { action, path: path.clone(), after })
        });
        match &answer {
            Ok(_) => self.change(SessionState::Connected),
            Err(CoordinatorError::SessionOver) => self.end(SessionState::Expired),
            Err(CoordinatorError::Refused { .. }) => self.end(SessionState::Refused),
            Err(error) if error.is_answer() => self.change(SessionState::Connected),
            Err(_) => {}
        }
        answer
    }

    /// Keeps the session alive with a beat until it is over.
    ///
    /// A beat that answers [`CoordinatorError::SessionOver`] ends it at once.
    pub(crate) async fn keep<F>(&self, beat: impl Fn() -> F)
    where
        F: Future<Output = Result<(), CoordinatorError>>,
    {
        let period = self.timeouts.session / 3;
        let mut events = self.events();
        while !events.state().is_over() {
            let sent = Instant::now();
            let limit = (sent + period).min(self.expiry());
            match timeout_at(limit, beat()).await {
                Ok(Ok(())) => self.contact(sent),
                Ok(Err(CoordinatorError::SessionOver)) => self.end(SessionState::Expired),
                Ok(Err(CoordinatorError::Refused { .. })) => self.end(SessionState::Refused),
                Ok(Err(_)) | Err(_) => self.lose_contact(),
            }
            let pause = match events.state() {
                SessionState::Connected => period,
                // Contact that comes back should be noticed soon.
                SessionState::Disconnected => period / 4,
                SessionState::Expired | SessionState::Refused | SessionState::Closed => return,
            };
            let wake = (sent + pause).min(self.expiry());
            tokio::select! {
                () = sleep_until(wake) => {}
                _ = events.over() => return,
            }
            if Instant::now() >= self.expiry() {
                self.end(SessionState::Expired);
            }
        }
    }
}

fn read(instant: &Mutex<Instant>) -> Instant {
    // Whoever panicked held a whole instant.
    *instant.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A task that ends with its owner.
#[derive(Debug)]
pub(crate) struct OwnedTask(JoinHandle<()>);

impl OwnedTask {
    pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(task))
    }
}

impl Drop for OwnedTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests;
