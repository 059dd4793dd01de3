//! The topology of the proxy: owns the slot table, and changes it on all workers as one.
//!
//! ```text
//! FillSlots ─► PrepareFill to every router ─► all answered ─► CommitFill to every router ─► Ok
//!                                              deadline    ─► AbortFill to every router ─► Err
//! ```
//!
//! When a fill is answered, no request of the old assignment is in flight anywhere in this proxy;
//! between the two phases no worker uses another assignment than the others. Only the touched slots
//! wait. One fill of 1024 slots is one round.
//!
//! | message           | from                 | what happens                                      |
//! |-------------------|----------------------|---------------------------------------------------|
//! | `AddRouter`       | wiring               | the router takes part in every later round        |
//! | `FillSlots`       | admin server, MembershipActor | a round, after those that came before it |
//! | `SwitchPrimaries` | SentinelActor        | the same, for the slots of primaries that are dead|
//! | `LockSlots`       | MembershipActor      | the same, for all slots: requests wait            |
//! | `QuerySlots`      | admin server         | the table as it is, at once                       |
//! | `QueryFills`      | admin server         | which fills there are and what they hold, at once |
//!
//! A primary that is dead may hang instead of being gone. A switch gives its requests
//! [`SWITCH_DRAIN_TIMEOUT`], and a fill as long as it says, before the connections are closed
//! (`CutOff`), so that they are answered with an error; otherwise one hung request would keep the
//! group from its new primary until `backend_recv_timeout`.
//!
//! Supervision: started by wiring, lives as long as the process.
//!
//! With a [`SaveSlots`], the table is on disk before a round is answered, whatever it was for; the
//! data path does not wait for the disk. A crash between the commit and the disk brings back the
//! table before the change, of which nobody was told that it had happened.
//!
//! Bounds: one round at a time, [`FILLS_WAITING_MAX`] wait; a round ends within `fill_timeout`,
//! a switch a second and the closing of connections later.
//! Questions never wait for a round.
//!
//! Invariants: T-3 the routers' tables and this one are equal outside of rounds. T-4 epochs grow by
//! one with every round, also with one that is given up.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use routing::{BackendAddr, SlotAssignment, SlotId, SlotSource, SlotTable};
use slog::{Logger, error, info, warn};
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::router::RouterActor;
use crate::router::fill::{AbortFill, CommitFill, CutOff, PrepareFill};

/// Fills that wait for the one under way.
pub const FILLS_WAITING_MAX: usize = 64;

/// How long a router may take to install what it has prepared.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long requests may still be in flight to a primary that has been replaced.
pub const SWITCH_DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the disk may take.
const SAVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Puts a slot table on disk, so that the proxy has it after a crash. It may block.
pub type SaveSlots = Arc<dyn Fn(&SlotTable) -> std::io::Result<()> + Send + Sync>;

/// Tells of a router, which has the table that this actor was started with.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AddRouter(pub Addr<RouterActor>);

/// Assigns slots, on all workers or on none.
#[derive(Message)]
#[rtype(result = "Result<Filled, FillError>")]
pub struct FillSlots {
    /// The slots and what becomes of them. Of a slot that is named twice the last one counts.
    pub changes: Vec<(SlotId, SlotAssignment)>,
    /// How long requests in flight are waited for before their connections are closed, which
    /// answers them with an error; `None`: for as long as a round may take.
    pub cut_off_after: Option<Duration>,
}

/// A fill that is in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filled {
    /// The epoch of the table with the change.
    pub epoch: u64,
    /// How long the slots were held.
    pub held: Duration,
}

/// Why a fill did not happen. The slots are as they were, unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FillError {
    /// Requests of the slots were still under way at the deadline.
    #[error(
        "requests of the slots were still under way after {0:?}, nothing was changed: try again"
    )]
    Deadline(Duration),
    /// Too many fills wait.
    #[error("{FILLS_WAITING_MAX} changes of slots are waiting already: try again")]
    Busy,
    /// The proxy is stopping.
    #[error("the proxy is stopping")]
    Stopping,
    /// The change is in place, and would not survive the end of the proxy.
    #[error(
        "the slots are changed, but could not be saved in `state_dir` ({0}): see the log, and try \
         again"
    )]
    NotSaved(std::io::ErrorKind),
}

/// Replaces primaries that are dead or demoted, on all workers or on none. What else a slot has
/// stays. Which slots are touched is decided when the round begins, so that a fill that came before
/// is not undone.
#[derive(Message)]
#[rtype(result = "Result<Filled, FillError>")]
pub struct SwitchPrimaries(pub Vec<PrimarySwitch>);

/// The primary of a group and its successor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PrimarySwitch {
    /// The group.
    pub group: u32,
    /// Which primary is replaced, wherever a slot has it, or migrates from it.
    pub old: BackendAddr,
    /// By which one.
    pub new: BackendAddr,
}

/// Locks every slot that is served, on all workers or on none: requests wait. What a slot has else
/// stays. As with switches, it is decided when the round begins.
#[derive(Message)]
#[rtype(result = "Result<Filled, FillError>")]
pub struct LockSlots {
    /// As in [`FillSlots`].
    pub cut_off_after: Option<Duration>,
}

/// Asks for the slot table.
#[derive(Message)]
#[rtype(result = "SlotTable")]
pub struct QuerySlots;

/// Asks which fills there are.
#[derive(Message)]
#[rtype(result = "Fills")]
pub struct QueryFills;

/// The fills of the moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fills {
    /// How many are under way or wait for the one that is.
    pub count: usize,
    /// The slots that the one under way holds.
    pub held: Arc<[SlotId]>,
}

/// The round under way has come to its end.
#[derive(Message)]
#[rtype(result = "()")]
struct RoundEnded {
    round: Round,
    result: Result<Filled, FillError>,
}

struct Round {
    epoch: u64,
    /// The table with the changes, when it is to be saved.
    table: Option<SlotTable>,
    changes: Arc<[(SlotId, SlotAssignment)]>,
    /// When requests that are still in flight are cut off; `None`: never.
    cut_off_after: Option<Duration>,
    answer: oneshot::Sender<Result<Filled, FillError>>,
}

/// What a round is for.
enum Order {
    Fill(FillSlots),
    Switch(Vec<PrimarySwitch>),
    Lock(LockSlots),
}

/// An order and who waits for it.
type WaitingOrder = (Order, oneshot::Sender<Result<Filled, FillError>>);

/// See the module.
pub struct TopologyActor {
    table: SlotTable,
    /// The epoch of the last round, whether it succeeded or not (T-4).
    epoch: u64,
    routers: Vec<Addr<RouterActor>>,
    is_filling: bool,
    /// The slots of the round under way; none between rounds.
    held: Arc<[SlotId]>,
    waiting: VecDeque<WaitingOrder>,
    timeout: Duration,
    save: Option<SaveSlots>,
    log: Logger,
}

impl TopologyActor {
    /// The owner of a table that the routers start with.
    #[must_use]
    pub fn new(table: SlotTable, timeout: Duration, log: Logger) -> Self {
        let epoch = table.epoch();
        let (routers, waiting) = (Vec::new(), VecDeque::new());
        let held = Arc::default();
        let save = None;
        Self { table, epoch, routers, is_filling: false, held, waiting, timeout, save, log }
    }

    /// The same, with a table that is on disk after every change.
    #[must_use]
    pub fn saving(self, save: Option<SaveSlots>) -> Self {
        Self { save, ..self }
    }
}

impl Actor for TopologyActor {
    type Context = Context<Self>;
}

impl Handler<AddRouter> for TopologyActor {
    type Result = ();

    fn handle(&mut self, router: AddRouter, _ctx: &mut Self::Context) {
        self.routers.push(router.0);
    }
}

impl Handler<QuerySlots> for TopologyActor {
    type Result = MessageResult<QuerySlots>;

    fn handle(&mut self, _: QuerySlots, _ctx: &mut Self::Context) -> Self::Result {
        MessageResult(self.table.clone())
    }
}

impl Handler<QueryFills> for TopologyActor {
    type Result = MessageResult<QueryFills>;

    fn handle(&mut self, _: QueryFills, _ctx: &mut Self::Context) -> Self::Result {
        let count = usize::from(self.is_filling) + self.waiting.len();
        MessageResult(Fills { count, held: Arc::clone(&self.held) })
    }
}

impl Handler<FillSlots> for TopologyActor {
    type Result = ResponseFuture<Result<Filled, FillError>>;

    fn handle(&mut self, fill: FillSlots, ctx: &mut Self::Context) -> Self::Result {
        self.take(Order::Fill(fill), ctx)
    }
}

impl Handler<SwitchPrimaries> for TopologyActor {
    type Result = ResponseFuture<Result<Filled, FillError>>;

    fn handle(&mut self, switch: SwitchPrimaries, ctx: &mut Self::Context) -> Self::Result {
        self.hurry(&switch.0);
        self.take(Order::Switch(switch.0), ctx)
    }
}

impl Handler<LockSlots> for TopologyActor {
    type Result = ResponseFuture<Result<Filled, FillError>>;

    fn handle(&mut self, lock: LockSlots, ctx: &mut Self::Context) -> Self::Result {
        self.take(Order::Lock(lock), ctx)
    }
}

impl Handler<RoundEnded> for TopologyActor {
    type Result = ();

    fn handle(&mut self, ended: RoundEnded, ctx: &mut Self::Context) {
        let RoundEnded { round, result } = ended;
        // A change that could not be saved is in place all the same.
        if let Err(FillError::NotSaved(_)) = &result {
            let _ = self.table.fill(round.epoch, round.changes.iter().cloned());
        }
        match result {
            Ok(filled) => {
                // The epoch is newer than the table's: rounds run one at a time (T-4).
                let _ = self.table.fill(round.epoch, round.changes.iter().cloned());
                info!(self.log, "slots filled"; "slots" => round.changes.len(),
                    "epoch" => round.epoch, "held_us" => filled.held.as_micros());
            }
            Err(error) => {
                warn!(self.log, "slots not filled"; "slots" => round.changes.len(),
                    "epoch" => round.epoch, "error" => %error);
            }
        }
        // Whoever asked may have given up; the table is right all the same.
        let _ = round.answer.send(result);
        self.is_filling = false;
        self.held = Arc::default();
        self.next_round(ctx);
    }
}

impl TopologyActor {
    fn take(
        &mut self,
        order: Order,
        ctx: &Context<Self>,
    ) -> ResponseFuture<Result<Filled, FillError>> {
        if self.waiting.len() >= FILLS_WAITING_MAX {
            return Box::pin(std::future::ready(Err(FillError::Busy)));
        }
        let (answer, answered) = oneshot::channel();
        self.waiting.push_back((order, answer));
        self.next_round(ctx);
        Box::pin(async move { answered.await.unwrap_or(Err(FillError::Stopping)) })
    }

    /// A round under way may wait for the very primaries that are to be replaced: it does not wait
    /// longer for them than a switch would.
    fn hurry(&self, switches: &[PrimarySwitch]) {
        if !self.is_filling {
            return;
        }
        let only = switches.iter().map(|switch| switch.old.clone()).collect();
        let cut = CutOff { epoch: self.epoch, only: Some(only) };
        let routers = self.routers.clone();
        actix_rt::spawn(async move {
            tokio::time::sleep(SWITCH_DRAIN_TIMEOUT).await;
            // INVARIANT F-2: a round that has ended by now is not touched.
            ask_all(&routers, cut).await;
        });
    }

    /// Begins the next round, if none is under way.
    fn next_round(&mut self, ctx: &Context<Self>) {
        if self.is_filling {
            return;
        }
        let Some((order, answer)) = self.waiting.pop_front() else {
            return;
        };
        self.is_filling = true;
        self.epoch += 1;
        let (changes, cut_off_after) = match order {
            Order::Fill(fill) => (fill.changes, fill.cut_off_after),
            Order::Switch(switches) => {
                (switched(&self.table, &switches), Some(SWITCH_DRAIN_TIMEOUT))
            }
            Order::Lock(lock) => (locked(&self.table), lock.cut_off_after),
        };
        let changes: Arc<[_]> = changes.into();
        self.held = changes.iter().map(|(slot, _)| *slot).collect();
        let slots = Arc::clone(&self.held);
        let table = self.save.as_ref().map(|_| {
            let mut table = self.table.clone();
            // Newer than the table's: rounds run one at a time (T-4).
            let _ = table.fill(self.epoch, changes.iter().cloned());
            table
        });
        let mut round = Round { epoch: self.epoch, table, changes, cut_off_after, answer };
        let (me, routers, timeout) = (ctx.address(), self.routers.clone(), self.timeout);
        let (save, log) = (self.save.clone(), self.log.clone());
        actix_rt::spawn(async move {
            let mut result = run_round(&routers, &round, slots, timeout).await;
            if let (Ok(_), Some(save), Some(table)) = (&result, save, round.table.take())
                && let Err(error) = save_slots(save, table).await
            {
                error!(log, "slots are changed but not saved"; "epoch" => round.epoch,
                    "error" => %error);
                result = Err(FillError::NotSaved(error.kind()));
            }
            #[expect(clippy::disallowed_methods, reason = "BOUND: one round at a time")]
            me.do_send(RoundEnded { round, result });
        });
    }
}

async fn run_round(
    routers: &[Addr<RouterActor>],
    round: &Round,
    slots: Arc<[SlotId]>,
    timeout: Duration,
) -> Result<Filled, FillError> {
    let epoch = round.epoch;
    let started = Instant::now();
    let mut prepared = pin!(ask_all(routers, PrepareFill { epoch, slots }));
    let mut is_prepared = false;
    if let Some(limit) = round.cut_off_after {
        is_prepared = tokio::time::timeout(limit, prepared.as_mut()).await.is_ok();
        if !is_prepared {
            let cut = ask_all(routers, CutOff { epoch, only: None });
            let _ = tokio::time::timeout(COMMIT_TIMEOUT, cut).await;
        }
    }
    if !is_prepared && tokio::time::timeout(timeout, prepared).await.is_err() {
        let aborted = ask_all(routers, AbortFill { epoch });
        let _ = tokio::time::timeout(COMMIT_TIMEOUT, aborted).await;
        return Err(FillError::Deadline(timeout));
    }
    // A router that is slow to answer here has the order in its mailbox and cannot lose it: every
    // worker is drained, so the change is safe whenever it takes effect there.
    let committed = ask_all(routers, CommitFill { epoch, changes: Arc::clone(&round.changes) });
    let _ = tokio::time::timeout(COMMIT_TIMEOUT, committed).await;
    Ok(Filled { epoch, held: started.elapsed() })
}

/// Saves a table, on a thread that may block.
async fn save_slots(save: SaveSlots, table: SlotTable) -> std::io::Result<()> {
    let saved = tokio::task::spawn_blocking(move || save(&table));
    match tokio::time::timeout(SAVE_TIMEOUT, saved).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => Err(std::io::Error::other(error)),
        Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
    }
}

/// Every slot that is served and not locked yet, locked.
fn locked(table: &SlotTable) -> Vec<(SlotId, SlotAssignment)> {
    let served = table.assignments().filter(|(_, slot)| !slot.is_offline() && !slot.is_locked);
    served.map(|(slot, was)| (slot, SlotAssignment { is_locked: true, ..was.clone() })).collect()
}

/// The slots that a switch of primaries touches, with what becomes of them.
fn switched(table: &SlotTable, switches: &[PrimarySwitch]) -> Vec<(SlotId, SlotAssignment)> {
    let successor = |group: u32, old: &BackendAddr| {
        let switch = switches.iter().find(|switch| switch.group == group && switch.old == *old)?;
        Some(switch.new.clone())
    };
    let changed = table.assignments().filter_map(|(slot, assignment)| {
        let primary = assignment.primary.as_ref();
        let primary = primary.and_then(|primary| successor(assignment.group, primary));
        let source = assignment.source.as_ref().and_then(|source| {
            let addr = successor(source.group, &source.addr)?;
            Some(SlotSource { addr, ..source.clone() })
        });
        if primary.is_none() && source.is_none() {
            return None;
        }
        let mut switched = SlotAssignment { is_switched: true, ..assignment.clone() };
        switched.primary = primary.or(switched.primary);
        switched.source = source.or(switched.source);
        Some((slot, switched))
    });
    changed.collect()
}

/// Sends an order to every router at the same time and waits for all answers.
async fn ask_all<M>(routers: &[Addr<RouterActor>], order: M)
where
    M: Message<Result = ()> + Clone + Send + 'static,
    RouterActor: Handler<M>,
{
    let asked: Vec<_> =
        routers.iter().map(|router| actix_rt::spawn(router.send(order.clone()))).collect();
    for answer in asked {
        // An error means that the router is gone, and every request with it.
        let _ = answer.await;
    }
}

#[cfg(test)]
mod tests;
