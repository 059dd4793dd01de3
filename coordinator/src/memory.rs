//! A coordinator in memory, for tests and simulations.
//!
//! It has the semantics of the real ones, sessions included: a [`MemoryStore`] is the server, and
//! [`MemoryStore::connect`] a session with it. Tests can [freeze](MemoryStore::freeze) the server
//! and [expire](MemoryStore::expire) sessions. Time is tokio's, so a paused clock works.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::Answer;
use crate::Change;
use crate::Coordinator;
use crate::CoordinatorError;
use crate::Node;
use crate::NodePath;
use crate::SessionEvents;
use crate::Timeouts;
use crate::Watch;
use crate::local::Local;
use crate::local::Store;
use crate::tree::SessionId;
use crate::tree::Tree;

/// The server: a tree and sessions. Clones are the same server.
#[derive(Clone)]
pub struct MemoryStore(Arc<Server>);

struct Server {
    state: Mutex<State>,
    revision: watch::Sender<i64>,
    is_frozen: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    tree: Arc<Tree>,
    /// The sessions and when they end without a sign of life.
    sessions: BTreeMap<SessionId, Instant>,
    sessions_ever: SessionId,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self(Arc::new(Server {
            state: Mutex::default(),
            revision: watch::Sender::new(0),
            is_frozen: watch::Sender::new(false),
        }))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl MemoryStore {
    /// An empty server.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a session. Needs a tokio runtime.
    #[must_use]
    pub fn connect(&self, timeouts: Timeouts) -> Memory {
        let timeout = timeouts.session;
        let id = {
            let mut state = self.0.lock();
            state.sessions_ever += 1;
            let id = state.sessions_ever;
            state.sessions.insert(id, Instant::now() + timeout);
            id
        };
        let store = MemorySession { server: Arc::clone(&self.0), id, timeout };
        Memory(Local::new(store, timeouts))
    }

    /// Lets no call be answered until [`thaw`](Self::thaw).
    pub fn freeze(&self) {
        self.0.is_frozen.send_replace(true);
    }

    /// Answers the calls again. Sessions that were not heard of for too long are over.
    pub fn thaw(&self) {
        self.0.is_frozen.send_replace(false);
    }

    /// Ends a session as the server does it: its user learns of it with the next call or beat.
    pub fn expire(&self, memory: &Memory) {
        self.0.end(memory.0.store().id);
    }
}

impl Server {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A tree is changed as a whole or not at all.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a session and deletes what belongs to it.
    fn end(&self, id: SessionId) {
        let mut state = self.lock();
        state.sessions.remove(&id);
        if Arc::make_mut(&mut state.tree).end_session(id) {
            self.revision.send_replace(state.tree.revision());
        }
    }

    /// Ends the sessions whose time is over.
    fn expire_silent(&self) {
        let now = Instant::now();
        let silent: Vec<_> = {
            let state = self.lock();
            state.sessions.iter().filter(|(_, end)| **end <= now).map(|(id, _)| *id).collect()
        };
        for id in silent {
            self.end(id);
        }
    }
}

/// One session, as its store.
struct MemorySession {
    server: Arc<Server>,
    id: SessionId,
    timeout: Duration,
}

impl fmt::Debug for MemorySession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySession").field("id", &self.id).finish_non_exhaustive()
    }
}

impl MemorySession {
    /// A call arrives at the server: it waits while that is frozen, and is a sign of life.
    async fn arrive(&self) -> Result<(), CoordinatorError> {
        // The sender is the server, which `self` holds.
        let _ = self.server.is_frozen.subscribe().wait_for(|is_frozen| !is_frozen).await;
        self.server.expire_silent();
        let mut state = self.server.lock();
        let end = state.sessions.get_mut(&self.id).ok_or(CoordinatorError::SessionOver)?;
        *end = Instant::now() + self.timeout;
        Ok(())
    }
}

impl Store for MemorySession {
    fn session_id(&self) -> SessionId {
        self.id
    }

    fn view(&self) -> Answer<'_, Arc<Tree>> {
        Box::pin(async move {
            self.arrive().await?;
            Ok(self.seen())
        })
    }

    fn seen(&self) -> Arc<Tree> {
        Arc::clone(&self.server.lock().tree)
    }

    fn revisions(&self) -> watch::Receiver<i64> {
        self.server.revision.subscribe()
    }

    fn apply<'a>(&'a self, changes: &'a [Change]) -> Answer<'a, Vec<NodePath>> {
        Box::pin(async move {
            self.arrive().await?;
            let mut state = self.server.lock();
            let paths = Arc::make_mut(&mut state.tree).apply(changes, self.id)?;
            self.server.revision.send_replace(state.tree.revision());
            Ok(paths)
        })
    }

    fn beat(&self) -> Answer<'_, ()> {
        Box::pin(self.arrive())
    }

    fn end(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.arrive().await?;
            self.server.end(self.id);
            Ok(())
        })
    }

    fn abandon(&self) {
        // A frozen server does not notice; it will when the session's time is over.
        if !*self.server.is_frozen.borrow() {
            self.server.end(self.id);
        }
    }
}

/// A session with a [`MemoryStore`].
#[derive(Debug)]
pub struct Memory(Local<MemorySession>);

impl Coordinator for Memory {
    fn read<'a>(&'a self, path: &'a NodePath) -> Answer<'a, Option<Node>> {
        self.0.read(path)
    }

    fn list<'a>(&'a self, path: &'a NodePath) -> Answer<'a, Option<Vec<String>>> {
        self.0.list(path)
    }

    fn watch<'a>(&'a self, path: &'a NodePath) -> Answer<'a, (Option<Node>, Watch)> {
        self.0.watch(path)
    }

    fn watch_children<'a>(
        &'a self,
        path: &'a NodePath,
    ) -> Answer<'a, (Option<Vec<String>>, Watch)> {
        self.0.watch_children(path)
    }

    fn multi<'a>(&'a self, changes: &'a [Change]) -> Answer<'a, Vec<NodePath>> {
        self.0.multi(changes)
    }

    fn session(&self) -> SessionEvents {
        self.0.session()
    }

    fn close(&self) -> Answer<'_, ()> {
        self.0.close()
    }
}

#[cfg(test)]
mod tests;
