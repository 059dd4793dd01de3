//! The mover of a proxy: takes orders about moves, and carries them out one after the other.
//!
//! | message      | from         | what happens                                                    |
//! |--------------|--------------|-----------------------------------------------------------------|
//! | `StartMove`  | admin server | everything is checked, the move is kept, and waits for its turn |
//! | `QueryMoves` | admin server | told at once                                                    |
//! | `HaltMoves`  | wiring       | the proxy stops: nothing is begun any more                      |
//! | `SteerMove`  | admin server | a move is paused, resumed or cancelled, and that is kept        |
//!
//! Supervision: started by wiring, lives as long as the process. When it starts it takes up the
//! moves that had not ended. A crash loses nothing but rates: see `journal.rs`.
//!
//! Bounds: one move runs, [`WAITING_MAX`] wait; orders are answered within the limits of the
//! questions that they take. A paused move keeps its turn.

use std::path::PathBuf;
use std::rc::Rc;

use actix::prelude::*;
use routing::{BackendAddr, SlotId};
use slog::info;
use tokio::time::Instant;

use crate::engine;
use crate::error::MoverError;
use crate::forms::{Origin, origin};
use crate::job::{Batch, Counts, Job};
use crate::look::by_source;
use crate::moves::{Moves, Reserved, Run, Surroundings};
use crate::options::{MoveRequest, SlotSet};
use crate::prepare::check_servers;
use crate::report::MoverReport;
use crate::state_file::StateError;
use crate::steps::{Named, ask_tables, proxies, seen};

/// Moves that wait for the one that runs.
pub const WAITING_MAX: usize = 8;

/// Moves slots.
#[derive(Message)]
#[rtype(result = "Result<u64, MoverError>")]
pub struct StartMove(pub MoveRequest);

/// Asks for all moves.
#[derive(Message)]
#[rtype(result = "MoverReport")]
pub struct QueryMoves;

/// Changes what becomes of a move.
#[derive(Message)]
#[rtype(result = "Result<(), MoverError>")]
pub struct SteerMove {
    /// The move.
    pub id: u64,
    /// What is wanted.
    pub wish: Wish,
}

/// What an operator may want of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// That no more keys are moved for now.
    Pause,
    /// That it goes on.
    Resume,
    /// That what has begun is undone.
    Cancel,
}

/// Stops: what is under way is finished, nothing is begun. Moves go on with the next start.
#[derive(Message)]
#[rtype(result = "()")]
pub struct HaltMoves;

/// A move has ended, or may begin.
#[derive(Message)]
#[rtype(result = "()")]
struct NextMove;

/// See the module.
pub struct MoverActor {
    moves: Rc<Moves>,
    /// The move that runs.
    current: Option<u64>,
}

impl MoverActor {
    /// A mover that keeps its moves in a file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn open(file: PathBuf, around: Surroundings) -> Result<Self, StateError> {
        Ok(Self { moves: Rc::new(Moves::open(file, around)?), current: None })
    }
}

impl Actor for MoverActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        for run in self.moves.runs() {
            let job = run.job.borrow();
            if job.ended_at.is_none() {
                info!(self.moves.around.log, "a move from before is taken up";
                    "move" => job.id, "state" => job.state(false));
            }
        }
        self.begin_next(ctx);
    }
}

impl Handler<StartMove> for MoverActor {
    type Result = ResponseActFuture<Self, Result<u64, MoverError>>;

    fn handle(&mut self, order: StartMove, _ctx: &mut Self::Context) -> Self::Result {
        let checked = check(Rc::clone(&self.moves), order.0).into_actor(self);
        Box::pin(checked.map(|run, me, ctx| {
            let run: Rc<Run> = run?;
            let id = run.job.borrow().id;
            me.begin_next(ctx);
            Ok(id)
        }))
    }
}

impl Handler<QueryMoves> for MoverActor {
    type Result = MessageResult<QueryMoves>;

    fn handle(&mut self, _: QueryMoves, _ctx: &mut Self::Context) -> Self::Result {
        MessageResult(MoverReport::of(&self.moves, Instant::now()))
    }
}

impl Handler<SteerMove> for MoverActor {
    type Result = ResponseFuture<Result<(), MoverError>>;

    fn handle(&mut self, order: SteerMove, _ctx: &mut Self::Context) -> Self::Result {
        let steered = steer(&self.moves, order.id, order.wish);
        let moves = Rc::clone(&self.moves);
        Box::pin(async move {
            steered?;
            Ok(moves.save().await?)
        })
    }
}

impl Handler<HaltMoves> for MoverActor {
    type Result = ();

    fn handle(&mut self, _: HaltMoves, _ctx: &mut Self::Context) {
        self.moves.is_halted.set(true);
        for run in self.moves.runs() {
            run.bell.notify_waiters();
        }
    }
}

impl Handler<NextMove> for MoverActor {
    type Result = ();

    fn handle(&mut self, _: NextMove, ctx: &mut Self::Context) {
        self.current = None;
        self.begin_next(ctx);
    }
}

impl MoverActor {
    /// Begins the oldest move that has not ended, if none runs.
    fn begin_next(&mut self, ctx: &Context<Self>) {
        if self.current.is_some() {
            return;
        }
        let is_open = |run: &Rc<Run>| run.job.borrow().ended_at.is_none();
        let Some(run) = self.moves.runs().into_iter().find(is_open) else { return };
        self.current = Some(run.job.borrow().id);
        let (moves, me) = (Rc::clone(&self.moves), ctx.address());
        actix_rt::spawn(async move {
            engine::carry_out(moves, run).await;
            #[expect(clippy::disallowed_methods, reason = "BOUND: one move at a time")]
            me.do_send(NextMove);
        });
    }
}

fn steer(moves: &Moves, id: u64, wish: Wish) -> Result<(), MoverError> {
    let run = moves.run(id).ok_or(MoverError::Unknown(id))?;
    let mut job = run.job.borrow_mut();
    if job.ended_at.is_some() {
        return Err(MoverError::Ended(id));
    }
    match wish {
        Wish::Pause => job.is_paused = true,
        Wish::Resume => job.is_paused = false,
        // What is paused would not go back either.
        Wish::Cancel => (job.is_cancelled, job.is_paused) = (true, false),
    }
    info!(moves.around.log, "move is steered"; "move" => id, "wish" => ?wish);
    run.bell.notify_waiters();
    Ok(())
}

/// Checks an order and keeps the move.
async fn check(moves: Rc<Moves>, request: MoveRequest) -> Result<Rc<Run>, MoverError> {
    let target = request.check()?;
    let waiting = moves.runs().iter().filter(|run| run.job.borrow().ended_at.is_none()).count();
    if waiting > WAITING_MAX {
        return Err(MoverError::Full(WAITING_MAX));
    }
    // From here on other movers that look see it. Of two that begin at once at least one sees the
    // other.
    let reserved = Reserved::take(&moves, &request.slots)?;
    let proxies = proxies(&moves, &request.proxies);
    check_movers(&proxies, &request.slots).await?;
    let unfit = |text: String| MoverError::Unfit { text };
    let tables = ask_tables(&proxies).await.map_err(unfit)?;
    let mut origins = Vec::new();
    for slot in request.slots.iter() {
        let seen = seen(&proxies, &tables, slot).map_err(unfit)?;
        if let Origin::Source(addr, group) = origin(slot, &seen, &target).map_err(unfit)? {
            origins.push((slot, addr, group));
        }
    }
    if origins.is_empty() {
        return Err(unfit(format!("all of these slots are on {target} already")));
    }
    let sources = by_source(origins);
    for (source, ..) in &sources {
        let (choice, login_of) = (request.options.method, &moves.around.login_of);
        check_servers(source, &target, choice, login_of).await?;
    }
    let group_there = tables.iter().flatten().find_map(|form| {
        let is_there = form.backend_addr == target.as_str();
        u32::try_from(form.backend_addr_group_id).ok().filter(|group| is_there && *group > 0)
    });
    let target_group = request.group.or(group_there).unwrap_or(0);
    let batches = batches(sources, request.options.slots_at_once);
    let job = new_job(moves.next_id(), request, target, target_group, batches);
    let run = moves.add(job);
    drop(reserved);
    if let Err(error) = moves.save().await {
        let id = run.job.borrow().id;
        moves.remove(id);
        return Err(error.into());
    }
    Ok(run)
}

fn batches(sources: Vec<(BackendAddr, u32, SlotSet)>, slots_at_once: usize) -> Vec<Batch> {
    let of_source = |(source, group, slots): (BackendAddr, u32, SlotSet)| {
        let batch = |slots| Batch::new(slots, source.clone(), group);
        slots.chunks(slots_at_once).map(batch).collect::<Vec<_>>()
    };
    sources.into_iter().flat_map(of_source).collect()
}

fn new_job(
    id: u64,
    request: MoveRequest,
    target: BackendAddr,
    target_group: u32,
    batches: Vec<Batch>,
) -> Job {
    Job {
        id,
        request,
        target,
        target_group,
        created_at: engine::unix_time(),
        ended_at: None,
        is_paused: false,
        is_cancelled: false,
        batches,
        counts: Counts::default(),
        big_keys: Vec::new(),
        differences: Vec::new(),
    }
}

/// Asks every proxy whether it keeps its slots and whether it moves some of these itself.
async fn check_movers(proxies: &[Named], slots: &SlotSet) -> Result<(), MoverError> {
    let unfit = |text: String| Err(MoverError::Unfit { text });
    for (place, (_, proxy)) in proxies.iter().enumerate() {
        let name = proxy.name();
        let state = match proxy.mover().await {
            Ok(state) => state,
            Err(error) => return unfit(format!("{name}: {error}")),
        };
        if !state.keeps_slots {
            return unfit(format!(
                "{name} would forget after a crash that slots migrate: set its `state_dir` and \
                 start it again"
            ));
        }
        // The own proxy has the move that is being checked among its own.
        let is_moving = |slot: &SlotId| place > 0 && state.moving.contains(*slot);
        if let Some(slot) = slots.iter().find(is_moving) {
            return unfit(format!("slot {slot} is part of a move that {name} runs"));
        }
    }
    Ok(())
}
