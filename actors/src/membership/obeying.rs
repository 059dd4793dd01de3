//! Obeying actions: read what they are about, change the routes, and only then answer.
//!
//! ```text
//! new names ─► read ─► for us? ─► wait ─► slots read anew ─► filled and drained ─► answered
//!                                   ▲                │
//!                                   └── nodes wrong ─┘  the last good route stays
//! ```
//!
//! An answer means that this proxy has switched and that no request of the old routes is in flight.
//! An action whose slots have wrong nodes gets none; it is looked at again until they are right or
//! the dashboard has withdrawn it.
//!
//! Bounds: [`BATCH_MAX`] actions are read before the next ones are; a fill has its time limit.

use std::collections::BTreeSet;
use std::time::Duration;

use config::Topology;
use coordinator::codis1::{Action, Proxy, ProxyState, Sequence, Stored as _, is_receiver};
use coordinator::{Access, CoordinatorError, Lifetime};
use routing::SlotId;
use slog::{debug, info};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::actions::WaitingAction;
use super::book::Subject;
use super::life::Life;
use super::link::{Link, Listing};
use super::reading::{fault_of, read_slots, side_by_side};
use super::routes::{Fault, Groups};
use crate::coordination::ActionReport;

/// Actions that are read, carried out and answered together.
const BATCH_MAX: usize = 64;

/// How long requests wait after a migration was announced for a slot whose node does not say so.
const ANNOUNCEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a dashboard may take to collect an action that it has begun to collect.
const COLLECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// The pauses between two looks at what may be right by now.
const LOOK_PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));

/// The longest such pause while somebody waits.
const URGENT_PAUSE: Duration = Duration::from_secs(1);

impl Life {
    /// Obeys until the proxy is put offline.
    pub(super) async fn obey(
        &mut self,
        link: &Link,
        me: &Proxy,
        seen: &mut watch::Receiver<ProxyState>,
        listing: &mut Listing,
    ) {
        let actions = self.paths.actions();
        let mut pause = LOOK_PAUSES.0;
        while *seen.borrow_and_update() != ProxyState::Offline {
            let new = self.actions.take_listing(&listing.names);
            let mut has_progress = !new.is_empty();
            for batch in new.chunks(BATCH_MAX) {
                self.examine(link, me, batch).await;
                has_progress |= self.settle(link, me, BTreeSet::new()).await;
            }
            let unsettled = self.unsettled();
            if !unsettled.is_empty() || self.actions.waiting_count() > 0 {
                has_progress |= self.settle(link, me, unsettled).await;
            }
            pause = if has_progress { LOOK_PAUSES.0 } else { LOOK_PAUSES.1.min(pause * 2) };
            let next_look = self.next_look(pause);
            tokio::select! {
                () = &mut listing.changed => *listing = link.list(&actions).await,
                _ = seen.changed() => {}
                () = next_look => {}
            }
        }
    }

    /// When what is not settled is looked at again; never if there is nothing.
    fn next_look(&self, pause: Duration) -> impl Future<Output = ()> + use<> {
        let is_urgent = self.actions.waiting_count() > 0
            || !self.held.is_empty()
            || self.notes.values().any(|notes| notes.is_locked);
        let pause = if is_urgent { URGENT_PAUSE.min(pause) } else { pause };
        let is_needed = is_urgent || !self.book.faulty().is_empty();
        async move {
            if is_needed {
                sleep(pause).await;
            } else {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Reads new actions; those for this proxy wait from now on.
    async fn examine(&mut self, link: &Link, me: &Proxy, batch: &[(Sequence, String)]) {
        let read = link
            .insist(async |coordinator| {
                let mut read = Vec::new();
                let work = |(sequence, name): (Sequence, String)| {
                    let (coordinator, path) = (coordinator.clone(), self.paths.action(&name));
                    async move {
                        let path = path?;
                        let action = match coordinator.read(&path).await {
                            Ok(node) => node.map(|node| {
                                Action::decode(&path, &node.data)
                                    .map_err(|error| Fault::Unreadable(error.to_string()))
                            }),
                            Err(error) => Some(Err(fault_of(error)?)),
                        };
                        Ok((sequence, name, action))
                    }
                };
                side_by_side(batch.iter().cloned(), work, |action| read.push(action)).await?;
                Ok(read)
            })
            .await;
        for (sequence, name, action) in read {
            match action {
                Some(Ok(action)) if self.is_meant(&action.receivers, me) => {
                    let waiting = WaitingAction::new(name, &action);
                    self.book.set_action(waiting.report(None), self.actions.waiting_count() + 1);
                    self.announce(&waiting);
                    self.actions.enter(sequence, waiting);
                }
                // Meant for others, or withdrawn since it was listed.
                Some(Ok(_)) | None => {}
                Some(Err(error)) => {
                    let text = format!("an action gets no answer: {error}");
                    self.book.alarm(Subject::Action, text);
                }
            }
        }
    }

    /// Whether receivers name this incarnation, or an earlier one of this process: dashboards that
    /// have not seen its end wait for the answer of whoever has its id. Every slot was read since.
    fn is_meant(&self, receivers: &[String], me: &Proxy) -> bool {
        self.starts
            .iter()
            .any(|start| is_receiver(receivers, &Proxy { start_at: start.clone(), ..me.clone() }))
    }

    /// Codis before 1.9.6 and RebornDB announce a migration without writing it into the slot's
    /// node: requests wait all the same, until the next word about the slot or a deadline.
    fn announce(&mut self, action: &WaitingAction) {
        let slots = action.scope.slots(|_| Groups::default());
        let is_announcement = action.kind == "slot_premigrate";
        match self.around.shared.settings.config.topology {
            Topology::Codis1 | Topology::Reborn if is_announcement => {
                let until = Instant::now() + ANNOUNCEMENT_TIMEOUT;
                self.held.extend(slots.into_iter().map(|slot| (slot, until)));
            }
            Topology::Codis1 | Topology::Codis2 | Topology::Codis3 | Topology::Reborn => {
                self.held.retain(|slot, _| !slots.contains(slot));
            }
        }
    }

    /// Carries out what waits, looks at some more slots, and answers what has its effect. Returns
    /// whether something has changed.
    async fn settle(&mut self, link: &Link, me: &Proxy, also: BTreeSet<SlotId>) -> bool {
        let groups_of = |slot| self.notes.get(&slot).map(|notes| notes.groups).unwrap_or_default();
        let scopes: Vec<(Sequence, BTreeSet<SlotId>)> = self
            .actions
            .waiting()
            .map(|(sequence, action)| (sequence, action.scope.slots(groups_of)))
            .collect();
        let mut slots = also;
        slots.extend(scopes.iter().flat_map(|(_, slots)| slots));
        let mut has_progress = false;
        if !slots.is_empty() {
            let paths = self.paths.clone();
            let readings =
                link.insist(async |c| read_slots(c, &paths, slots.iter().copied()).await).await;
            match self.apply(readings, false).await {
                Ok(is_changed) => has_progress |= is_changed,
                Err(()) => return has_progress,
            }
        }
        for (sequence, slots) in scopes {
            if !slots.iter().any(|slot| self.book.is_faulty(*slot)) {
                has_progress |= self.answer(link, me, sequence).await;
            }
        }
        self.book.set_actions_waiting(self.actions.waiting_count());
        has_progress
    }

    /// Answers an action; `false` when that has to be tried again.
    async fn answer(&mut self, link: &Link, me: &Proxy, sequence: Sequence) -> bool {
        let waiting = self.actions.waiting().find(|(known, _)| *known == sequence);
        let Some((_, action)) = waiting else { return false };
        let Ok(path) = self.paths.answer(&action.name, &me.id) else { return false };
        let created =
            link.coordinator.create(&path, me.encode(), Lifetime::Persistent, Access::File);
        match created.await {
            Ok(()) | Err(CoordinatorError::NodeExists { .. }) => {
                let took = action.since.elapsed();
                info!(self.around.log, "action answered"; "action" => &action.name,
                    "type" => action.kind, "took_ms" => took.as_millis());
                self.book.set_action(action.report(Some(took)), self.actions.waiting_count() - 1);
                self.book.all_clear(Subject::Action);
            }
            Err(CoordinatorError::NoNode { .. }) => {
                debug!(self.around.log, "action was withdrawn"; "action" => &action.name);
            }
            // A dashboard that collects old actions forbids new answers before it deletes them.
            Err(CoordinatorError::Denied { .. }) if action.since.elapsed() < COLLECTION_TIMEOUT => {
                return false;
            }
            Err(error) => {
                link.failed(&error).await;
                return false;
            }
        }
        self.actions.remove(sequence);
        true
    }
}

impl WaitingAction {
    fn report(&self, answered_after: Option<Duration>) -> ActionReport {
        let (sequence, kind, seen) = (self.name.clone(), self.kind, self.seen);
        ActionReport { sequence, kind, seen, answered_after }
    }
}
