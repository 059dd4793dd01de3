//! The life of a member: sessions, one after the other, and what the proxy is in each of them.
//!
//! ```text
//!            ┌────────────────── session over: slots locked, registered anew ────────────────┐
//!            ▼                                                                                │
//! connect ─► register ─► wait for online ─► read and fill all slots ─► online: obey ──────────┤
//!                 ▲             ▲                                        │ put offline        │
//!                 │             └──────────── slots locked ──────────────┘                    │
//!                 └── node deleted by somebody: slots locked ─────────────────────────────────┘
//! an order to leave, at any time ─► fence deleted, node deleted, session closed
//! ```
//!
//! An incarnation is a registration: it has a start of its own, by which actions name it. One that
//! follows the loss of a session while it was online registers as online: it is listed as a
//! receiver from its first moment on, and before it lets a request go it has read every slot.
//!
//! Invariants: L-1 slots are used only while the node says `online` and the session goes on, by our
//! own clock (`coordinator::SessionState`): workers hold a lease on them that ends with both. L-2 the
//! actions are listed before the node can say `online`, so those in the listing mean somebody else.
//! L-3 a route from before the proxy was last put online is never used: a slot whose nodes are wrong
//! then is locked until they are right.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use config::Topology;
use coordinator::codis1::{Family, Paths, Proxy, ProxyState, Stored as _};
use coordinator::{Coordinator, CoordinatorError, NodePath, SessionState};
use routing::{SlotId, SlotTable};
use slog::{error, info, warn};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::Surroundings;
use super::actions::Actions;
use super::book::{Book, Subject};
use super::link::{Link, Listing, RETRY_PAUSE, follow_contact};
use super::reading::{Reading, read_slots};
use super::registration::{SIGN_OFF_TIMEOUT, warn_of_fence};
use super::routes::Groups;
use crate::chance::Chance;
use crate::coordination::MembershipState;
use crate::pace::Pace;
use crate::topology::{FillSlots, LockSlots, QuerySlots};
use crate::worker::Lifecycle;

/// How long requests in flight on an old route are waited for. The shortest time that a dashboard
/// gives its proxies is 10 s.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(4);

/// The same when the session is over: nobody waits for an answer, but the route may be old.
const LOCK_DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// How often the own node is looked at besides its watch.
const POLL_PERIOD: Duration = Duration::from_secs(3);

/// More incarnations of one process than dashboards still know of.
const STARTS_MAX: usize = 16;

/// What is known of a slot besides its assignment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SlotNotes {
    pub(super) groups: Groups,
    /// Its requests wait, as its node wants it.
    pub(super) is_locked: bool,
}

/// How an incarnation ends.
pub(super) enum End {
    /// The proxy leaves the product.
    Leaving,
    /// There was no contact for too long, or the coordinator has ended the session.
    SessionOver,
    /// Somebody has deleted the node.
    Expelled,
    /// It cannot be a member.
    Failed {
        /// Why.
        text: String,
        /// Another proxy has the address, so the fence is that one's.
        is_fence_theirs: bool,
    },
}

/// See the module.
pub(super) struct Life {
    pub(super) around: Surroundings,
    pub(super) paths: Paths,
    /// The node of this proxy.
    pub(super) own: NodePath,
    /// Its fence.
    pub(super) fence: NodePath,
    pub(super) book: Rc<Book>,
    pub(super) actions: Actions,
    pub(super) notes: BTreeMap<SlotId, SlotNotes>,
    /// Slots whose requests wait because of an announcement, and until when.
    pub(super) held: BTreeMap<SlotId, Instant>,
    /// The fence is ours.
    pub(super) has_fence: bool,
    /// The starts of the incarnations so far: [`STARTS_MAX`] of them at most.
    pub(super) starts: VecDeque<String>,
    /// Slots are unlocked, or may be any moment.
    is_serving: bool,
    /// The workers may use them.
    is_lent: Rc<Cell<bool>>,
    /// The session was lost while the proxy was online, and it has not been online since.
    pub(super) is_coming_back: bool,
    leave: watch::Receiver<bool>,
}

impl Life {
    /// A life that has not begun.
    ///
    /// # Errors
    /// The product's name or the proxy's id cannot be part of a path.
    pub(super) fn new(
        around: Surroundings,
        book: Rc<Book>,
        leave: watch::Receiver<bool>,
    ) -> Result<Self, CoordinatorError> {
        let config = &around.shared.settings.config;
        let family = match config.topology {
            Topology::Reborn => Family::Reborn,
            Topology::Codis1 | Topology::Codis2 | Topology::Codis3 => Family::Codis,
        };
        let paths = Paths::new(family, &config.product_name)?;
        let (own, fence) = (paths.proxy(&config.proxy_id)?, paths.fence(&around.addr)?);
        // INVARIANT L-1.
        around.shared.lease.end();
        Ok(Self {
            around,
            paths,
            own,
            fence,
            book,
            actions: Actions::default(),
            notes: BTreeMap::new(),
            held: BTreeMap::new(),
            has_fence: false,
            starts: VecDeque::new(),
            is_serving: false,
            is_lent: Rc::new(Cell::new(false)),
            is_coming_back: false,
            leave,
        })
    }

    /// Lives until the proxy leaves.
    pub(super) async fn live(mut self) {
        let chance = Chance::new(self.around.shared.jitter_seed);
        let mut pace = Pace::new(&chance);
        while let Some(coordinator) = self.connect(&mut pace).await {
            pace.done();
            self.book.begin_session(coordinator.session().timeout());
            let link = Link::new(coordinator, Rc::clone(&self.book));
            let end = self.incarnation(&link).await;
            if let End::Leaving = end {
                self.sign_off(&link).await;
                return self.sign_off_late().await;
            }
            let was_online = self.is_lent.get();
            self.stop_serving().await;
            self.book.end_session();
            match end {
                End::Leaving => return,
                End::SessionOver => {
                    let text = "the session with the coordinator is over: the slots are not used \
                                until the proxy has registered again";
                    self.book.alarm(Subject::Session, text.to_owned());
                    self.is_coming_back |= was_online;
                }
                End::Expelled => {
                    let text = "somebody has deleted the node of this proxy, it registers again";
                    warn!(self.around.log, "{text}");
                    self.is_coming_back = false;
                    let _ = timeout(SIGN_OFF_TIMEOUT, link.coordinator.close()).await;
                }
                End::Failed { text, is_fence_theirs } => {
                    self.has_fence &= !is_fence_theirs;
                    self.sign_off(&link).await;
                    error!(self.around.log, "the proxy cannot be a member"; "error" => &text);
                    return (self.around.fail)(text);
                }
            }
        }
    }

    /// Begins a session, however long it takes; `None` when the proxy leaves meanwhile.
    async fn connect(&mut self, pace: &mut Pace<'_>) -> Option<Arc<dyn Coordinator>> {
        let mut leave = self.leave.clone();
        let connect = Rc::clone(&self.around.connect);
        let trying = async {
            loop {
                pace.wait().await;
                match connect().await {
                    Ok(coordinator) => return coordinator,
                    Err(error) => {
                        self.book.alarm(Subject::Session, format!("no session: {error}"));
                    }
                }
            }
        };
        let found = tokio::select! {
            biased;
            _ = leave.wait_for(|is_ordered| *is_ordered) => None,
            coordinator = trying => Some(coordinator),
        };
        if found.is_none() {
            self.sign_off_late().await;
        }
        found
    }

    /// Takes leave with a session for that alone, if the fence is still there. One try.
    async fn sign_off_late(&mut self) {
        if !self.has_fence {
            return;
        }
        match timeout(SIGN_OFF_TIMEOUT, (self.around.connect)()).await {
            Ok(Ok(coordinator)) => {
                let link = Link::new(coordinator, Rc::clone(&self.book));
                self.sign_off(&link).await;
            }
            Ok(Err(_)) | Err(_) => warn_of_fence(&self.around.log, &self.fence),
        }
    }

    async fn incarnation(&mut self, link: &Link) -> End {
        let mut session = link.coordinator.session();
        let mut leave = self.leave.clone();
        let shared = Arc::clone(&self.around.shared);
        let events = link.coordinator.session();
        let is_lent = Rc::clone(&self.is_lent);
        let contact = follow_contact(events, Rc::clone(&self.book), &shared.lease, &is_lent);
        let end = tokio::select! {
            biased;
            _ = leave.wait_for(|is_ordered| *is_ordered) => return End::Leaving,
            state = session.over() => state,
            end = self.be_member(link) => return end,
            () = contact => session.state(),
        };
        if end == SessionState::Refused {
            let text = "the coordinator refuses `coordinator_auth`";
            self.book.alarm(Subject::Session, text.to_owned());
        }
        End::SessionOver
    }

    async fn be_member(&mut self, link: &Link) -> End {
        self.forget_last_incarnation(link).await;
        let me = self.introduce();
        if me.state == ProxyState::Offline {
            // INVARIANT L-2. Who comes back goes on where it was: dashboards may still have named
            // it as it was before.
            let listed = link.insist(async |c| c.list(&self.paths.actions()).await).await;
            self.actions.begin_after(&listed.unwrap_or_default());
        }
        if let Err(end) = self.register(link, &me).await {
            return end;
        }
        self.book.all_clear(Subject::Session);
        self.book.set_membership(MembershipState::Waiting);
        let (state, seen) = watch::channel(me.state);
        let lifecycle = &Arc::clone(&self.around.shared).lifecycle;
        let (own, log) = (self.own.clone(), self.around.log.clone());
        tokio::select! {
            end = follow_own(link, &own, state, lifecycle, &log) => end,
            end = self.serve(link, &me, seen) => end,
        }
    }

    /// The proxy as it registers this time.
    fn introduce(&mut self) -> Proxy {
        let start_at = (self.around.start_at)();
        self.starts.push_back(start_at.clone());
        if self.starts.len() > STARTS_MAX {
            self.starts.pop_front();
        }
        Proxy {
            id: self.around.shared.settings.config.proxy_id.clone(),
            addr: self.around.addr.clone(),
            debug_var_addr: self.around.debug_var_addr.clone(),
            state: if self.is_coming_back { ProxyState::Online } else { ProxyState::Offline },
            pid: i64::from(std::process::id()),
            start_at,
            ..Proxy::default()
        }
    }

    async fn serve(
        &mut self,
        link: &Link,
        me: &Proxy,
        mut seen: watch::Receiver<ProxyState>,
    ) -> End {
        let mut listing = link.list(&self.paths.actions()).await;
        loop {
            self.wait_for_online(link, &mut seen, &mut listing).await;
            // Somebody may have removed it while it was one of a proxy that is not online.
            self.put_up_fence(link, me).await;
            self.is_serving = true;
            self.fill_all(link).await;
            self.is_coming_back = false;
            self.is_lent.set(true);
            self.around.shared.lease.set_end(link.coordinator.session().expiry());
            self.around.shared.lifecycle.go_online();
            self.book.set_membership(MembershipState::Online);
            let online = Proxy { state: ProxyState::Online, ..me.clone() };
            self.obey(link, &online, &mut seen, &mut listing).await;
            info!(self.around.log, "put offline by the dashboard");
            self.stop_serving().await;
            self.book.set_membership(MembershipState::Waiting);
        }
    }

    async fn wait_for_online(
        &mut self,
        link: &Link,
        seen: &mut watch::Receiver<ProxyState>,
        listing: &mut Listing,
    ) {
        let actions = self.paths.actions();
        loop {
            // INVARIANT L-2: looked at after the listing.
            let node = link.insist(async |c| c.read(&self.own).await).await;
            let proxy = node.and_then(|node| Proxy::decode(&self.own, &node.data).ok());
            match proxy.map(|proxy| proxy.state) {
                Some(ProxyState::Online) => return,
                Some(ProxyState::Offline) => {
                    self.is_coming_back = false;
                    self.actions.begin_after(&listing.names);
                }
                Some(ProxyState::MarkOffline) | None => {}
            }
            tokio::select! {
                () = &mut listing.changed => *listing = link.list(&actions).await,
                _ = seen.changed() => {}
                () = sleep(POLL_PERIOD) => {}
            }
        }
    }

    async fn fill_all(&mut self, link: &Link) {
        loop {
            let paths = self.paths.clone();
            let all = link.insist(async |c| read_slots(c, &paths, SlotId::all()).await).await;
            match self.apply(all, true).await {
                Ok(_) => return,
                Err(()) => sleep(RETRY_PAUSE).await,
            }
        }
    }

    /// Fills what has changed, or everything that was read. Returns whether something was filled.
    pub(super) async fn apply(&mut self, readings: Vec<Reading>, is_all: bool) -> Result<bool, ()> {
        let Some(table) = self.table().await else { return Err(()) };
        let now = Instant::now();
        let (mut changes, mut faults) = (Vec::new(), Vec::new());
        for Reading { slot, groups, route } in readings {
            let was = table.assignment(slot);
            let notes = self.notes.entry(slot).or_default();
            notes.groups = groups.unwrap_or(notes.groups);
            let mut assignment = route.clone().unwrap_or_else(|_| was.clone());
            if route.is_ok() {
                let is_held = self.held.get(&slot).is_some_and(|until| *until > now);
                let may_wait = assignment.source.is_none() && !assignment.is_offline();
                if !(is_held && may_wait) {
                    self.held.remove(&slot);
                }
                notes.is_locked = assignment.is_locked || (is_held && may_wait);
            } else if is_all {
                // INVARIANT L-3: the last good route is from before; nobody knows how old it is.
                notes.is_locked = !was.is_offline();
            }
            // The last good route may be locked because the session was lost.
            assignment.is_locked = notes.is_locked;
            if is_all || assignment != *was {
                changes.push((slot, assignment));
            }
            faults.push((slot, route.err()));
        }
        self.book.set_faults(faults);
        if changes.is_empty() {
            return Ok(false);
        }
        let fill = FillSlots { changes, cut_off_after: Some(DRAIN_TIMEOUT) };
        match self.around.topology.send(fill).await {
            Ok(Ok(_)) => {
                self.book.all_clear(Subject::Fill);
                Ok(true)
            }
            Ok(Err(error)) => {
                self.book.alarm(Subject::Fill, format!("slots could not be changed: {error}"));
                Err(())
            }
            // The proxy ends.
            Err(_) => Err(()),
        }
    }

    async fn table(&self) -> Option<SlotTable> {
        self.around.topology.send(QuerySlots).await.ok()
    }

    /// Lets requests wait from now on (L-1).
    async fn stop_serving(&mut self) {
        self.is_lent.set(false);
        self.around.shared.lease.end();
        while self.is_serving {
            let lock = LockSlots { cut_off_after: Some(LOCK_DRAIN_TIMEOUT) };
            match self.around.topology.send(lock).await {
                // Without an answer the proxy ends.
                Ok(Ok(_)) | Err(_) => self.is_serving = false,
                Ok(Err(error)) => {
                    error!(self.around.log, "slots could not be locked"; "error" => %error);
                    sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// Slots that may change without an action: those with wrong nodes, and those that wait.
    pub(super) fn unsettled(&self) -> BTreeSet<SlotId> {
        let locked = self.notes.iter().filter(|(_, notes)| notes.is_locked).map(|(slot, _)| *slot);
        locked.chain(self.book.faulty()).chain(self.held.keys().copied()).collect()
    }
}

/// Follows what the dashboard makes of the own node; ends when it is gone.
async fn follow_own(
    link: &Link,
    own: &NodePath,
    state: watch::Sender<ProxyState>,
    lifecycle: &Lifecycle,
    log: &slog::Logger,
) -> End {
    loop {
        let (node, changed) = link.insist(async |c| c.watch(own).await).await;
        let Some(node) = node.filter(|node| node.stat.is_ours) else {
            return End::Expelled;
        };
        match Proxy::decode(own, &node.data) {
            // Without its id it would be anybody, and its state an accident.
            Ok(proxy) if proxy.id.is_empty() => {
                link.book.alarm(Subject::OwnNode, format!("`{own}` does not hold this proxy"));
            }
            Ok(proxy) => {
                link.book.all_clear(Subject::OwnNode);
                if proxy.state == ProxyState::MarkOffline && !lifecycle.is_closed() {
                    info!(log, "marked offline by the dashboard: the proxy ends");
                    lifecycle.stop();
                }
                state.send_replace(proxy.state);
            }
            Err(error) => link.book.alarm(Subject::OwnNode, error.to_string()),
        }
        if changed.changed().await.is_err() {
            // The session's end is everybody's end.
            std::future::pending::<()>().await;
        }
    }
}
