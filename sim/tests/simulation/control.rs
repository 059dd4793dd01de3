//! The control plane: it moves slots between servers, again and again, through all proxies.
//!
//! ```text
//! migrating:  locked, with a source ─► unlocked ─► bulk move beside requests ─► no source
//! locked:     locked ─► keys are moved while nobody looks ─► unlocked
//! ```
//!
//! As a dashboard does, it first writes down what it wants and then tells every proxy, in parallel,
//! until each has said yes; a proxy that has crashed starts with what is on record. It goes on only
//! when all agree. Locking may be given up, which puts the old assignment back everywhere.
//! [`mover`] moves the keys.

mod mover;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use routing::{SlotAssignment, SlotId, SlotTable};
use tokio::sync::oneshot;
use tokio::time::timeout;

pub(crate) use mover::Method;

use crate::client::{Stage, count};
use crate::proxy::Proxy;
use crate::server::Network;
use crate::world::pause;
use mover::Move;

/// How often a proxy is told to lock before locking is given up.
const LOCK_ATTEMPTS_MAX: u64 = 3;

/// How slots are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Locked,
    Migrating,
}

type Changes = Vec<(SlotId, SlotAssignment)>;

/// See the module.
pub(crate) struct Control {
    stage: Rc<Stage>,
    network: Rc<Network>,
    method: Method,
    /// What every proxy is to have.
    record: RefCell<SlotTable>,
    /// The slots that have keys.
    slots: Vec<SlotId>,
    /// Breaks the rule that all proxies agree before keys move.
    is_hasty: bool,
    is_over: Cell<bool>,
}

impl Control {
    pub(crate) fn new(
        stage: Rc<Stage>,
        network: Rc<Network>,
        method: Method,
        slots: Vec<SlotId>,
        is_hasty: bool,
    ) -> Rc<Self> {
        let addrs: Vec<_> = network.servers.iter().map(|server| server.addr.clone()).collect();
        let record = RefCell::new(SlotTable::spread(&addrs).unwrap());
        Rc::new(Self { stage, network, method, record, slots, is_hasty, is_over: Cell::default() })
    }

    /// What a proxy starts with.
    pub(crate) fn record(&self) -> SlotTable {
        self.record.borrow().clone()
    }

    /// Lets the move under way be the last.
    pub(crate) fn stop(&self) {
        self.is_over.set(true);
    }

    pub(crate) async fn run(self: Rc<Self>) {
        let random = &self.stage.world.random;
        let mut first = *random.choose(&self.slots);
        while !self.is_over.get() {
            // Often the same slots again, and soon.
            if random.percent(60) {
                pause(30 + random.below(60)).await;
                first = *random.choose(&self.slots);
            }
            let source = self.owner(first);
            let is_chosen = |slot: &&SlotId| {
                **slot == first || self.owner(**slot) == source && random.percent(30)
            };
            let slots: BTreeSet<_> = self.slots.iter().filter(is_chosen).copied().collect();
            let others: Vec<_> = (0..self.network.servers.len()).filter(|s| *s != source).collect();
            let target = *random.choose(&others);
            let way = if random.percent(15) { Way::Locked } else { Way::Migrating };
            self.stage.world.event(format_args!(
                "control: {slots:?} go from server {source} to {target}, {way:?}"
            ));
            let moved = Move {
                slots,
                source: Rc::clone(&self.network.servers[source]),
                target: Rc::clone(&self.network.servers[target]),
                method: self.method,
                keeps_target: false,
            };
            if self.is_hasty {
                self.move_hastily(way, &moved).await;
            } else {
                self.move_slots(way, moved).await;
            }
        }
    }

    fn owner(&self, slot: SlotId) -> usize {
        let record = self.record.borrow();
        let addr = record.assignment(slot).primary.as_ref().expect("every slot has a primary");
        self.network.server(addr.as_str()).expect("a known server").index
    }

    async fn move_slots(self: &Rc<Self>, way: Way, mut moved: Move) {
        let random = &self.stage.world.random;
        let locked = match way {
            Way::Locked => moved.settled(&moved.source, true),
            Way::Migrating => moved.migrating(true),
        };
        if !self.tell_all(locked, Some(LOCK_ATTEMPTS_MAX)).await {
            count(&self.stage.counts.moves_given_up);
            self.stage.world.event(format_args!("control: gives up"));
            self.tell_all(moved.settled(&moved.source, false), None).await;
            return;
        }
        if way == Way::Locked {
            moved.move_at_once();
        } else {
            moved.keeps_target = random.percent(50) && moved.may_keep_target().await;
            self.tell_all(moved.migrating(false), None).await;
            // See README.md, what is not modelled.
            let may_turn = self.method != Method::SemiAsync;
            if may_turn && random.percent(20) {
                // The mover ends in the middle of whatever it does.
                let limit = Duration::from_millis(random.below(80));
                let _ = timeout(limit, moved.move_keys(&self.stage)).await;
                self.turn_round(&moved).await;
                return;
            }
            moved.move_keys(&self.stage).await;
        }
        self.tell_all(moved.settled(&moved.target, false), None).await;
        count(&self.stage.counts.moves);
        self.stage.world.event(format_args!("control: moved"));
    }

    /// Slots that are on their way to a target go back to their source.
    async fn turn_round(self: &Rc<Self>, moved: &Move) {
        self.stage.world.event(format_args!("control: turns round"));
        let back = moved.reversed();
        self.tell_all(back.migrating(true), None).await;
        // A move the other way that lies in a socket of the source, of a connection that is lost,
        // would take keys away that have been written since.
        mover::settle(&moved.source).await;
        self.tell_all(back.migrating(false), None).await;
        back.move_keys(&self.stage).await;
        self.tell_all(back.settled(&back.target, false), None).await;
        count(&self.stage.counts.moves_turned_round);
        self.stage.world.event(format_args!("control: turned round"));
    }

    /// As `move_slots` must not do it: the first proxy goes ahead, the others come later.
    async fn move_hastily(self: &Rc<Self>, way: Way, moved: &Move) {
        let [first, others @ ..] = &self.stage.proxies[..] else {
            return;
        };
        let finished = moved.settled(&moved.target, false);
        let [locked, unlocked] = match way {
            Way::Locked => [moved.settled(&moved.source, true), finished.clone()],
            Way::Migrating => [moved.migrating(true), moved.migrating(false)],
        };
        for changes in [&locked, &unlocked] {
            self.tell(first, changes, None).await;
            pause(10).await;
        }
        if way == Way::Locked {
            moved.move_at_once();
        }
        for changes in [&locked, &unlocked] {
            self.write_down(changes);
            for proxy in others {
                self.tell(proxy, changes, None).await;
            }
        }
        moved.move_keys(&self.stage).await;
        self.tell_all(finished, None).await;
    }

    fn write_down(&self, changes: &Changes) {
        let mut record = self.record.borrow_mut();
        let epoch = record.epoch() + 1;
        record.fill(epoch, changes.iter().cloned()).unwrap();
    }

    /// Writes down what is wanted and tells all proxies. False when one has not said yes after so
    /// many attempts.
    async fn tell_all(self: &Rc<Self>, changes: Changes, attempts_max: Option<u64>) -> bool {
        self.write_down(&changes);
        let mut told = Vec::new();
        for proxy in &self.stage.proxies {
            let (answer, answered) = oneshot::channel();
            let (control, proxy, changes) = (Rc::clone(self), Rc::clone(proxy), changes.clone());
            self.stage.world.spawn(async move {
                let _ = answer.send(control.tell(&proxy, &changes, attempts_max).await);
            });
            told.push(answered);
        }
        let mut is_agreed = true;
        for answer in told {
            is_agreed &= answer.await == Ok(true);
        }
        is_agreed
    }

    async fn tell(&self, proxy: &Proxy, changes: &Changes, attempts_max: Option<u64>) -> bool {
        let world = &self.stage.world;
        let mut attempts = 0;
        while attempts_max.is_none_or(|max| attempts < max) {
            attempts += 1;
            world.delay().await;
            // An order that gets lost, and one that is carried out although nobody hears of it.
            let is_lost = self.stage.has_faults && world.random.percent(4);
            let is_unheard = self.stage.has_faults && world.random.percent(4);
            let is_done = !is_lost && proxy.fill(changes.clone()).await;
            world.event(format_args!(
                "control: proxy {} says {is_done} (lost: {is_lost}, unheard: {is_unheard})",
                proxy.index
            ));
            if is_done && !is_unheard {
                return true;
            }
            pause(20 + world.random.below(40)).await;
        }
        false
    }
}
