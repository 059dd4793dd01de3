//! A coordinator over a [`Tree`] that this process can reach: what [`Memory`](crate::Memory) and
//! [`Directory`](crate::Directory) have in common.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::Answer;
use crate::Change;
use crate::Coordinator;
use crate::CoordinatorError;
use crate::Node;
use crate::NodePath;
use crate::SessionEvents;
use crate::SessionState;
use crate::Timeouts;
use crate::Watch;
use crate::session::OwnedTask;
use crate::session::Session;
use crate::tree::Aspect;
use crate::tree::SessionId;
use crate::tree::Tree;

/// Where the tree is, as one session sees it.
pub(crate) trait Store: fmt::Debug + Send + Sync + 'static {
    /// The number of the session.
    fn session_id(&self) -> SessionId;

    /// The tree as it is.
    fn view(&self) -> Answer<'_, Arc<Tree>>;

    /// The tree as it was last seen, without asking for it. Never older than what
    /// [`view`](Self::view) has returned before.
    fn seen(&self) -> Arc<Tree>;

    /// Changes with what [`seen`](Self::seen) returns.
    fn revisions(&self) -> watch::Receiver<i64>;

    /// Makes the changes.
    fn apply<'a>(&'a self, changes: &'a [Change]) -> Answer<'a, Vec<NodePath>>;

    /// Proves that the session is alive, to both sides.
    fn beat(&self) -> Answer<'_, ()>;

    /// Deletes the session and what belongs to it.
    fn end(&self) -> Answer<'_, ()>;

    /// Gives the session up, without waiting; what belongs to it goes away some time later.
    fn abandon(&self);
}

/// A session with a store.
#[derive(Debug)]
pub(crate) struct Local<S: Store> {
    store: Arc<S>,
    session: Arc<Session>,
    _beats: OwnedTask,
}

impl<S: Store> Local<S> {
    /// Takes a session that has just begun, and keeps it alive.
    pub(crate) fn new(store: S, timeouts: Timeouts) -> Self {
        let store = Arc::new(store);
        let session = Arc::new(Session::new(timeouts, Instant::now()));
        let (kept, beaten) = (Arc::clone(&session), Arc::clone(&store));
        let beats = OwnedTask::spawn(async move {
            kept.keep(|| beaten.beat()).await;
            // Over by our clock: what belongs to it must not outlive it.
            beaten.abandon();
        });
        Self { store, session, _beats: beats }
    }

    pub(crate) fn store(&self) -> &S {
        &self.store
    }

    /// Takes a look at the tree and watches it from there.
    async fn look<T>(
        &self,
        path: &NodePath,
        aspect: Aspect,
        look: impl FnOnce(&Tree) -> T,
    ) -> Result<(T, Watch), CoordinatorError> {
        let mut revisions = self.store.revisions();
        let tree = self.store.view().await?;
        let mark = tree.mark(path, aspect);
        let (store, path) = (Arc::clone(&self.store), path.clone());
        let fired = async move {
            // ORDER: subscribed before the look, so that no change falls between the two.
            while store.seen().mark(&path, aspect) == mark {
                if revisions.changed().await.is_err() {
                    return std::future::pending().await;
                }
            }
        };
        Ok((look(&tree), Watch::new(fired, self.session.events())))
    }
}

impl<S: Store> Coordinator for Local<S> {
    fn read<'a>(&'a self, path: &'a NodePath) -> Answer<'a, Option<Node>> {
        let id = self.store.session_id();
        let read = async move { Ok(self.store.view().await?.read(path, id)) };
        Box::pin(self.session.call("read", path, read))
    }

    fn list<'a>(&'a self, path: &'a NodePath) -> Answer<'a, Option<Vec<String>>> {
        let list = async move { Ok(self.store.view().await?.list(path)) };
        Box::pin(self.session.call("list", path, list))
    }

    fn watch<'a>(&'a self, path: &'a NodePath) -> Answer<'a, (Option<Node>, Watch)> {
        let id = self.store.session_id();
        let look = self.look(path, Aspect::Data, move |tree| tree.read(path, id));
        Box::pin(self.session.call("watch", path, look))
    }

    fn watch_children<'a>(
        &'a self,
        path: &'a NodePath,
    ) -> Answer<'a, (Option<Vec<String>>, Watch)> {
        let look = self.look(path, Aspect::Children, move |tree| tree.list(path));
        Box::pin(self.session.call("watch the children of", path, look))
    }

    fn multi<'a>(&'a self, changes: &'a [Change]) -> Answer<'a, Vec<NodePath>> {
        Box::pin(async move {
            let Some(first) = changes.first() else {
                return Ok(Vec::new());
            };
            changes.iter().try_for_each(Change::check)?;
            self.session.call(first.action(), first.path(), self.store.apply(changes)).await
        })
    }

    fn session(&self) -> SessionEvents {
        self.session.events()
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            if self.session.events().state().is_over() {
                return Ok(());
            }
            self.session.begin_close();
            let ended = self.session.call("close", &NodePath::root(), self.store.end()).await;
            self.session.end(SessionState::Closed);
            self.store.abandon();
            ended
        })
    }
}

impl<S: Store> Drop for Local<S> {
    fn drop(&mut self) {
        self.session.end(SessionState::Closed);
        self.store.abandon();
    }
}
