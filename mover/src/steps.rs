//! The steps of a batch: what is asked of proxies and servers, and what came of it.
//!
//! | step           | what happens                                                             |
//! |----------------|--------------------------------------------------------------------------|
//! | `Wait`         | all proxies are asked what they have; the source is asked what it can do |
//! | `Tell`         | all proxies are told, at the same time                                   |
//! | `MoveKeys`     | `bulk.rs` or `codis.rs`                                                  |
//! | `LookAtSource` | `look.rs`                                                                |
//!
//! Every step may be done again.

use std::collections::BTreeMap;
use std::rc::Rc;

use config::SlotForm;
use routing::SlotId;
use routing::slot_move::{MoveEvent, MoveForm, MovePhase, MoveStep};
use slog::{info, warn};

use crate::bulk;
use crate::codis;
use crate::control::ProxyControl;
use crate::engine::{keep, note_error};
use crate::forms::{Agreed, Origin, agreed, forms, origin};
use crate::job::{Batch, OWN};
use crate::look::{self, Found};
use crate::moves::{Moves, Run};
use crate::options::SlotSet;
use crate::prepare::{Method, method};
use crate::server::ServerError;
use crate::work::{Outcome, Work};

/// A proxy with the name that the journal has for it.
pub(crate) type Named = (String, Rc<dyn ProxyControl>);

/// All proxies that take part, the own one first.
pub(crate) fn proxies(moves: &Moves, others: &[String]) -> Vec<Named> {
    let fleet = &moves.around.fleet;
    let others = others.iter().map(|addr| (addr.clone(), fleet.proxy(addr)));
    std::iter::once((OWN.to_owned(), fleet.own())).chain(others).collect()
}

/// Takes a step. No event: an operator wants something else.
pub(crate) async fn take(
    moves: &Rc<Moves>,
    run: &Rc<Run>,
    index: usize,
    step: MoveStep,
) -> Result<Option<MoveEvent>, String> {
    let Some(work) = Work::of(moves, run, index) else { return Ok(None) };
    match step {
        MoveStep::Wait => begin(&work).await.map(Some),
        MoveStep::Tell(form) => {
            if work.is_finishing() {
                agree(&work).await?;
            }
            tell(&work, form).await.map(Some)
        }
        // With the next step, if they have another target by now.
        MoveStep::MoveKeys | MoveStep::LookAtSource if !agree(&work).await? => Ok(None),
        MoveStep::MoveKeys => move_keys(&work).await.map_err(|error| error.to_string()),
        MoveStep::LookAtSource => look(&work).await.map_err(|error| error.to_string()),
        MoveStep::Nothing => Ok(None),
    }
}

/// Asks everybody whether the batch can begin, and takes note of what the proxies have.
async fn begin(work: &Work) -> Result<MoveEvent, String> {
    if is_turned(work) {
        return Ok(MoveEvent::Begun);
    }
    let others = work.run.job.borrow().request.proxies.clone();
    let proxies = proxies(&work.moves, &others);
    let tables = ask_tables(&proxies).await?;
    for slot in work.slots.iter() {
        let seen = seen(&proxies, &tables, slot)?;
        match origin(slot, &seen, &work.target)? {
            Origin::Source(addr, _) if addr == work.source => {}
            Origin::Source(addr, _) => {
                return Err(format!("slot {slot} is on {addr} by now: cancel this move"));
            }
            Origin::Target => {
                return Err(format!("slot {slot} is on the target by now: cancel this move"));
            }
        }
    }
    let conn = work.connect(&work.source).await;
    let mut conn = conn.map_err(|error| error.to_string())?;
    let method = method(&mut conn, work.options.method).await.map_err(|error| error.to_string())?;
    let is_wanted =
        |form: &SlotForm| SlotId::new(form.id).is_some_and(|id| work.slots.contains(id));
    let before = proxies
        .iter()
        .zip(tables)
        .map(|((name, _), table)| (name.clone(), table.into_iter().filter(is_wanted).collect()));
    let before: BTreeMap<_, Vec<SlotForm>> = before.collect();
    let keeps_target = method == Method::Migrate
        && target_counts(work, &before).await.map_err(|error| error.to_string())?;
    with_batch(work, |batch| {
        batch.before = before;
        batch.forward_method = method.forward_method();
        batch.keeps_target = keeps_target;
    });
    Ok(MoveEvent::Begun)
}

/// Whether the target has none of the slots' keys but those that have moved there: then what it has
/// is never older than what the source has.
async fn target_counts(
    work: &Work,
    before: &BTreeMap<String, Vec<SlotForm>>,
) -> Result<bool, ServerError> {
    let mut unmoved = Vec::new();
    for form in before.values().flatten() {
        if form.migrate_from.is_empty() {
            unmoved.extend(SlotId::new(form.id));
        } else if !form.migrate_keeps_target {
            return Ok(false);
        }
    }
    if unmoved.is_empty() {
        return Ok(true);
    }
    let mut target = work.connect(&work.target).await?;
    let keys = look::count(&mut target, &SlotSet::of(unmoved), || work.must_stop()).await?;
    if keys != Some(0) {
        warn!(work.log, "the target has keys of the slots, which the source's will replace";
            "target" => %work.target, "keys" => keys);
    }
    Ok(keys == Some(0))
}

fn with_batch<T>(work: &Work, change: impl FnOnce(&mut Batch) -> T) -> Option<T> {
    work.run.job.borrow_mut().batches.get_mut(work.index).map(change)
}

/// The slots of all proxies, in their order.
pub(crate) async fn ask_tables(proxies: &[Named]) -> Result<Vec<Vec<SlotForm>>, String> {
    let asked: Vec<_> = proxies
        .iter()
        .map(|(_, proxy)| {
            let proxy = Rc::clone(proxy);
            actix_rt::spawn(async move {
                let slots = proxy.slots().await;
                slots.map_err(|error| format!("{}: {error}", proxy.name()))
            })
        })
        .collect();
    let mut tables = Vec::with_capacity(proxies.len());
    for answer in asked {
        tables.push(answer.await.map_err(|error| error.to_string())??);
    }
    Ok(tables)
}

/// Sees that the proxies still have what they were told; false when the target was replaced, which
/// the move follows.
async fn agree(work: &Work) -> Result<bool, String> {
    let (others, group, is_turned) = {
        let job = work.run.job.borrow();
        let batch = job.batches.get(work.index).ok_or("no such batch")?;
        let group = if batch.is_turned { batch.source_group } else { job.target_group };
        (job.request.proxies.clone(), group, batch.is_turned)
    };
    let proxies = proxies(&work.moves, &others);
    let tables = ask_tables(&proxies).await?;
    let of_batch =
        |form: &&SlotForm| SlotId::new(form.id).is_some_and(|slot| work.slots.contains(slot));
    let named = proxies.iter().zip(&tables);
    let forms = named.flat_map(|((_, proxy), table)| {
        table.iter().filter(of_batch).map(|form| (proxy.name(), form))
    });
    // The way back ends where it began, whatever has become of that.
    let group = if is_turned { 0 } else { group };
    match agreed(forms, &work.source, &work.target, group, work.is_finishing())? {
        Agreed::Yes => Ok(true),
        Agreed::Replaced(addr) => {
            info!(work.log, "the target of a move was replaced, the move follows";
                "old" => %work.target, "new" => %addr);
            work.run.job.borrow_mut().target = addr;
            keep(&work.moves).await;
            Ok(false)
        }
    }
}

/// A slot as each proxy has it.
pub(crate) fn seen<'t>(
    proxies: &'t [Named],
    tables: &'t [Vec<SlotForm>],
    slot: SlotId,
) -> Result<Vec<(&'t str, &'t SlotForm)>, String> {
    let mut seen = Vec::with_capacity(proxies.len());
    for ((_, proxy), table) in proxies.iter().zip(tables) {
        let form = table.iter().find(|form| form.id == slot.number());
        let form = form.ok_or_else(|| format!("{} does not tell of slot {slot}", proxy.name()))?;
        seen.push((proxy.name(), form));
    }
    Ok(seen)
}

/// Tells all proxies.
async fn tell(work: &Work, form: MoveForm) -> Result<MoveEvent, String> {
    let (proxies, orders) = {
        let job = work.run.job.borrow();
        let Some(batch) = job.batches.get(work.index) else { return Ok(MoveEvent::NotAllAgreed) };
        let proxies = proxies(&work.moves, &job.request.proxies);
        let orders: Vec<_> =
            proxies.iter().map(|(name, _)| forms(&job, batch, name, form)).collect();
        (proxies, orders)
    };
    if is_turned(work) && matches!(form, MoveForm::Locked | MoveForm::Migrating) {
        // What the old source was asked to do, by this batch or by a proxy, and has not done, must not
        // be done after keys have begun to go the other way: it has to answer behind all that. Before
        // the lock, so that nobody waits for a server that is away; and before the unlocking, because
        // proxies go on asking it until they are locked.
        work.fence(&work.target).await.map_err(|error| error.to_string())?;
    }
    let told: Vec<_> = proxies
        .iter()
        .zip(orders)
        .map(|((_, proxy), order)| {
            let proxy = Rc::clone(proxy);
            actix_rt::spawn(async move {
                let filled = proxy.fill(order).await;
                filled.map_err(|error| format!("{}: {error}", proxy.name()))
            })
        })
        .collect();
    let mut errors = Vec::new();
    for answer in told {
        match answer.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => errors.push(error),
            Err(error) => errors.push(error.to_string()),
        }
    }
    if errors.is_empty() {
        return Ok(MoveEvent::AllAgreed);
    }
    note_error(&work.moves, &work.run, work.index, &errors.join("; "));
    Ok(MoveEvent::NotAllAgreed)
}

/// Whether keys go back to where they came from.
fn is_turned(work: &Work) -> bool {
    with_batch(work, |batch| batch.is_turned).unwrap_or_default()
}

async fn move_keys(work: &Work) -> Result<Option<MoveEvent>, ServerError> {
    let choice = work.options.method;
    let method = method(&mut work.connect(&work.source).await?, choice).await?;
    let outcome = match method {
        Method::Migrate => bulk::move_keys(work).await?,
        Method::CodisSync => codis::move_keys(work, false).await?,
        Method::CodisAsync => codis::move_keys(work, true).await?,
    };
    Ok((outcome == Outcome::Finished).then_some(MoveEvent::KeysMoved))
}

async fn look(work: &Work) -> Result<Option<MoveEvent>, ServerError> {
    match look::look_at_source(work).await? {
        Found::Interrupted => return Ok(None),
        Found::Keys => return Ok(Some(MoveEvent::KeysFound)),
        Found::Skipped(slots) => {
            let is_left = work.slots.iter().all(|slot| slots.contains(&slot));
            if is_left {
                return Ok(Some(MoveEvent::OnlySkippedFound));
            }
            part(work, |slot| slots.contains(&slot));
        }
        Found::Nothing => {}
    }
    match look::count_on_target(work).await? {
        Outcome::Finished => Ok(Some(MoveEvent::SourceEmpty)),
        Outcome::Interrupted => Ok(None),
    }
}

/// Parts a batch in two, so that slots whose keys were all moved need not wait for those that keep
/// some. Both are kept on disk with the next transition.
fn part(work: &Work, is_left: impl Fn(SlotId) -> bool) {
    let mut job = work.run.job.borrow_mut();
    let Some(batch) = job.batches.get_mut(work.index) else { return };
    let (left, rest): (Vec<SlotId>, Vec<SlotId>) = batch.slots.iter().partition(|id| is_left(*id));
    batch.slots = SlotSet::of(rest);
    let mut other = Batch { slots: SlotSet::of(left), ..batch.clone() };
    let position = routing::slot_move::BatchMove { phase: MovePhase::Left, ..other.position() };
    other.set_position(position);
    job.batches.push(other);
}
