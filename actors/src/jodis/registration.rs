//! Keeps the node of the proxy in the coordinator, whatever happens to the node and the session.
//!
//! ```text
//!   connect ──► wait for the start ──► look ──► right ──► watch ──┐
//!      ▲                                ▲ ▲                       │ changed
//!      │ session over                   │ └───────────────────────┘
//!      └───────────────────             └── create, set, replace ◄── missing, overwritten, stale
//! ```
//!
//! A node of another session is one of three (see [`judge`]): what a predecessor or our own last
//! session left, which is replaced at once instead of when that session's time is over; a node
//! that belongs to nobody, replaced as well; or the node of a living proxy with the same token.
//! Two such proxies do not fight: the one that comes last takes the node, and the other, which had
//! it before, leaves it to that one, raises an alarm, and has it again when that one is gone.
//!
//! Bounds: what is done again and again has its pauses (`pace`), so a hostile coordinator sees a
//! connection and a change every few seconds. [`LEAVE_TIMEOUT`].
//!
//! Invariants: J-1 the node exists only between the start of the proxy and the order to leave, as
//! far as we have contact. J-2 it is created with all its data. J-3 a node of a living proxy is
//! replaced at most once in the life of this one.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use coordinator::codis3::{Jodis, Stored as _};
use coordinator::{
    Access, Change, Coordinator, CoordinatorError, Kind, Lifetime, Node, NodePath, SessionState,
    Version, Watch,
};
use slog::{Logger, info, warn};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::standing::{Standing, Trouble};
use crate::chance::Chance;
use crate::coordination::{Connect, CoordinatorReport, FAILING_AFTER};
use crate::pace::Pace;
use crate::worker::Lifecycle;

/// How long the end of the proxy waits for the coordinator.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// What a registration is given.
pub(super) struct Around {
    pub(super) kind: Kind,
    pub(super) addrs: String,
    pub(super) connect: Connect,
    pub(super) lifecycle: Arc<Lifecycle>,
    pub(super) chance: Chance,
    pub(super) log: Logger,
}

/// What is found at the path.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    /// Our node as it should be.
    Right,
    /// Nothing.
    Missing,
    /// Our node with other data.
    Overwritten(Version),
    /// A node that nobody needs.
    Stale(Version),
    /// The node of a living proxy.
    Taken,
}

/// What a node is to us. Once we have claimed the path, there are no predecessors any more: what
/// another session creates from then on belongs to somebody who lives.
fn judge(node: Option<&Node>, data: &[u8], has_claimed: bool) -> Finding {
    let Some(node) = node else {
        return Finding::Missing;
    };
    let (version, is_same) = (node.stat.version, node.data == data);
    if node.stat.is_ours {
        return if is_same { Finding::Right } else { Finding::Overwritten(version) };
    }
    // The data holds the moment of our start: no other proxy writes the same.
    if is_same || !has_claimed || node.stat.lifetime == Lifetime::Persistent {
        return Finding::Stale(version);
    }
    Finding::Taken
}

/// See the module.
pub(super) struct Registration {
    path: NodePath,
    data: Vec<u8>,
    around: Around,
    standing: RefCell<Standing>,
    /// We have created a node, or deleted one that was left over.
    has_claimed: Cell<bool>,
    /// The coordinator does not delete and create in one transaction: etcd never does for one
    /// key, ZooKeeper since 3.5.
    is_stepwise: Cell<bool>,
    leaving: Notify,
}

impl Registration {
    pub(super) fn new(path: NodePath, told: &Jodis, around: Around) -> Self {
        let is_stepwise = around.kind == Kind::Etcd;
        let standing = Standing::new(around.kind, around.addrs.clone(), path.clone(), &told.addr);
        Self {
            path,
            data: told.encode(),
            around,
            standing: RefCell::new(standing),
            has_claimed: Cell::new(false),
            is_stepwise: Cell::new(is_stepwise),
            leaving: Notify::new(),
        }
    }

    /// How it stands.
    pub(super) fn report(&self) -> CoordinatorReport {
        self.standing.borrow().report(self.around.lifecycle.has_started())
    }

    /// Keeps the node until the order to leave.
    pub(super) async fn run(&self) {
        if let Some(alarm) = self.standing.borrow().addr_alarm() {
            warn!(self.around.log, "clients are told an address that they cannot use";
                "alarm" => alarm);
        }
        tokio::select! {
            biased;
            () = self.leaving.notified() => {}
            () = self.keep() => {}
        }
    }

    /// One session after the other.
    async fn keep(&self) {
        let mut pace = Pace::new(&self.around.chance);
        loop {
            pace.wait().await;
            match (self.around.connect)().await {
                Ok(session) => {
                    self.standing.borrow_mut().session_began(Arc::clone(&session));
                    pace.done();
                    let state = self.hold(&*session).await;
                    self.standing.borrow_mut().session_ended();
                    self.note_end(state);
                }
                Err(error) => self.note(&error),
            }
        }
    }

    /// Keeps the node until the session is over.
    async fn hold(&self, session: &dyn Coordinator) -> SessionState {
        let mut events = session.session();
        tokio::select! {
            biased;
            state = events.over() => state,
            () = self.keep_node(session) => events.state(),
        }
    }

    async fn keep_node(&self, session: &dyn Coordinator) {
        self.around.lifecycle.started().await;
        let mut pace = Pace::new(&self.around.chance);
        let mut failing_since = None;
        loop {
            let done = match session.watch(&self.path).await {
                Ok((node, watch)) => self.settle(session, node.as_ref(), watch, &mut pace).await,
                Err(error) => {
                    pace.wait().await;
                    Err(error)
                }
            };
            match done {
                Ok(()) => failing_since = None,
                // Whoever waits for the end of the session says why.
                Err(CoordinatorError::SessionOver) => return,
                Err(error) => {
                    let since = *failing_since.get_or_insert_with(Instant::now);
                    if !error.is_passing() || since.elapsed() >= FAILING_AFTER {
                        self.note(&error);
                    }
                }
            }
        }
    }

    /// Waits with a node that is right, or puts it right. Afterwards it has to be looked at.
    async fn settle(
        &self,
        session: &dyn Coordinator,
        node: Option<&Node>,
        watch: Watch,
        pace: &mut Pace<'_>,
    ) -> Result<(), CoordinatorError> {
        let finding = judge(node, &self.data, self.has_claimed.get());
        match finding {
            Finding::Right => {
                self.note_registered();
                pace.done();
                watch.changed().await
            }
            Finding::Taken => {
                self.note_taken(node);
                watch.changed().await
            }
            Finding::Missing | Finding::Overwritten(_) | Finding::Stale(_) => {
                self.note_wrong(&finding, node);
                pace.wait().await;
                match finding {
                    Finding::Overwritten(version) => {
                        session.set(&self.path, self.data.clone(), Some(version)).await
                    }
                    Finding::Stale(version) => self.replace(session, version).await,
                    _ => self.create(session).await,
                }
            }
        }
    }

    fn creation(&self) -> Change {
        Change::Create {
            path: self.path.clone(),
            data: self.data.clone(),
            lifetime: Lifetime::Session,
            access: Access::File,
        }
    }

    async fn create(&self, session: &dyn Coordinator) -> Result<(), CoordinatorError> {
        let creation = [self.creation()];
        let created = session.multi(&creation).await;
        let (Err(CoordinatorError::NoNode { .. }), Some(above)) = (&created, self.path.parent())
        else {
            return created.map(|_| ());
        };
        session.create_directory(&above).await?;
        session.multi(&creation).await.map(|_| ())
    }

    /// Puts our node in the place of another one, as one change where that can be.
    async fn replace(
        &self,
        session: &dyn Coordinator,
        version: Version,
    ) -> Result<(), CoordinatorError> {
        let deletion = Change::Delete { path: self.path.clone(), version: Some(version) };
        if self.is_stepwise.get() {
            session.multi(&[deletion]).await?;
            self.has_claimed.set(true);
            return self.create(session).await;
        }
        let replaced = session.multi(&[deletion, self.creation()]).await;
        // An old server hangs up on a request that it does not know.
        self.is_stepwise.set(matches!(&replaced, Err(error) if error.is_passing()));
        replaced.map(|_| ())
    }

    /// Deletes the node, by ending the session that it belongs to, and registers no more.
    pub(super) async fn leave(&self) {
        self.leaving.notify_one();
        let session = {
            let mut standing = self.standing.borrow_mut();
            if standing.has_left() {
                return;
            }
            standing.leave()
        };
        let Some(session) = session else { return };
        let log = &self.around.log;
        let error = match timeout(LEAVE_TIMEOUT, session.close()).await {
            Ok(Ok(())) => {
                info!(log, "no longer registered with the coordinator"; "node" => %self.path);
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {LEAVE_TIMEOUT:?}"),
        };
        warn!(log, "the coordinator forgets the proxy only when the time of its session is over";
            "node" => %self.path, "error" => error);
    }

    fn note(&self, error: &CoordinatorError) {
        // Others are quicker at times; the next look sees what they did.
        if matches!(
            error,
            CoordinatorError::NodeExists { .. }
                | CoordinatorError::NoNode { .. }
                | CoordinatorError::StaleVersion { .. }
        ) {
            return;
        }
        self.trouble(Trouble::of(error), &error.to_string());
    }

    fn note_end(&self, state: SessionState) {
        if state == SessionState::Refused {
            let error = CoordinatorError::Refused { at: self.around.addrs.clone() };
            return self.note(&error);
        }
        warn!(self.around.log, "the session with the coordinator is over, the proxy begins another";
            "coordinator" => &self.around.addrs);
    }

    fn note_registered(&self) {
        self.has_claimed.set(true);
        if self.standing.borrow_mut().registered() {
            info!(self.around.log, "registered with the coordinator"; "node" => %self.path,
                "coordinator" => &self.around.addrs);
        }
    }

    fn note_wrong(&self, finding: &Finding, node: Option<&Node>) {
        self.standing.borrow_mut().lost();
        let log = &self.around.log;
        let addr = node.and_then(|node| self.addr_in(node));
        match finding {
            Finding::Stale(_) => {
                info!(log, "replacing a node that was left over"; "node" => %self.path,
                    "addr" => addr);
            }
            Finding::Overwritten(_) => {
                warn!(log, "somebody has overwritten the node of the proxy, it is written again";
                    "node" => %self.path, "addr" => addr);
            }
            _ if self.has_claimed.get() => {
                info!(log, "the node of the proxy is gone, it is created again";
                    "node" => %self.path);
            }
            _ => {}
        }
    }

    fn note_taken(&self, node: Option<&Node>) {
        self.standing.borrow_mut().lost();
        let addr = node.and_then(|node| self.addr_in(node)).unwrap_or_default();
        let what = format!("another proxy, at `{addr}`, is registered with the token of this one");
        self.trouble(Trouble::TokenTaken, &what);
    }

    /// The address that a node tells clients.
    fn addr_in(&self, node: &Node) -> Option<String> {
        Jodis::decode(&self.path, &node.data).ok().map(|told| told.addr)
    }

    fn trouble(&self, trouble: Trouble, what: &str) {
        if let Some(alarm) = self.standing.borrow_mut().trouble(trouble, what) {
            warn!(self.around.log, "the proxy is not registered with the coordinator, and tries on";
                "alarm" => alarm);
        }
    }
}
