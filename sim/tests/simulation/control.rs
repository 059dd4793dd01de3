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

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use routing::{SlotAssignment, SlotId, SlotSource, SlotTable};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::client::{Stage, count};
use crate::proxy::Proxy;
use crate::server::{Network, Server};
use crate::wire::{Reply, request, take_reply};
use crate::world::pause;

/// How long the mover waits for a reply.
const MOVE_TIMEOUT: Duration = Duration::from_millis(700);

/// How often a proxy is told to lock before locking is given up.
const LOCK_ATTEMPTS_MAX: u64 = 3;

/// The time that a source has for a move of the mover.
const TIMEOUT_MS: &str = "200";

/// How keys are moved, by the proxies and by the mover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// `MIGRATE`: stock servers.
    Migrate,
    /// `SLOTSMGRTTAGONE`: Codis' servers.
    Sync,
    /// The wrapper, and moves in the background: Codis' servers.
    SemiAsync,
}

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
            let (source, target) = (&self.network.servers[source], &self.network.servers[target]);
            if self.is_hasty {
                self.move_hastily(way, &slots, source, target).await;
            } else {
                self.move_slots(way, &slots, source, target).await;
            }
        }
    }

    fn owner(&self, slot: SlotId) -> usize {
        let record = self.record.borrow();
        let addr = record.assignment(slot).primary.as_ref().expect("every slot has a primary");
        self.network.server(addr.as_str()).expect("a known server").index
    }

    async fn move_slots(
        self: &Rc<Self>,
        way: Way,
        slots: &BTreeSet<SlotId>,
        source: &Rc<Server>,
        target: &Rc<Server>,
    ) {
        let [locked, unlocked, finished] = self.forms(way, slots, source, target);
        if !self.tell_all(locked, Some(LOCK_ATTEMPTS_MAX)).await {
            count(&self.stage.counts.moves_given_up);
            self.stage.world.event(format_args!("control: gives up"));
            self.tell_all(self.form(slots, source, None, false), None).await;
            return;
        }
        let random = &self.stage.world.random;
        // See README.md, what is not modelled.
        let may_turn = way == Way::Migrating && self.method != Method::SemiAsync;
        let is_turned = may_turn && random.percent(20);
        let mover = self.move_keys(slots, source, target);
        match way {
            Way::Locked => move_at_once(slots, source, target),
            Way::Migrating => {
                self.tell_all(unlocked, None).await;
                // The mover ends in the middle of whatever it does.
                let limit = if is_turned { random.below(80) } else { u64::MAX / 2 };
                let _ = timeout(Duration::from_millis(limit), mover).await;
            }
        }
        if is_turned {
            self.turn_round(slots, source, target).await;
        } else {
            self.tell_all(finished, None).await;
            count(&self.stage.counts.moves);
        }
        self.stage.world.event(format_args!("control: moved"));
    }

    /// Slots that are on their way to a target go back to their source.
    async fn turn_round(
        self: &Rc<Self>,
        slots: &BTreeSet<SlotId>,
        source: &Rc<Server>,
        target: &Rc<Server>,
    ) {
        self.stage.world.event(format_args!("control: turns round"));
        let [locked, unlocked, finished] = self.forms(Way::Migrating, slots, target, source);
        self.tell_all(locked, None).await;
        // A move the other way that lies in a socket of the source, of a connection that is lost,
        // would take keys away that have been written since.
        self.settle(source).await;
        self.tell_all(unlocked, None).await;
        self.move_keys(slots, target, source).await;
        self.tell_all(finished, None).await;
        count(&self.stage.counts.moves_turned_round);
    }

    /// Waits until a server has executed all that has been asked of it before.
    async fn settle(&self, server: &Rc<Server>) {
        loop {
            let (answer, answered) = oneshot::channel();
            server.connect("the mover".to_owned(), answer);
            if let Ok(io) = answered.await {
                let mut talk = Talk { io, unread: Vec::new() };
                if talk.ask(&["PING"]).await.is_some() && !server.is_moving() {
                    return;
                }
            }
            pause(20).await;
        }
    }

    /// As `move_slots` must not do it: the first proxy goes ahead, the others come later.
    async fn move_hastily(
        self: &Rc<Self>,
        way: Way,
        slots: &BTreeSet<SlotId>,
        source: &Rc<Server>,
        target: &Rc<Server>,
    ) {
        let [locked, unlocked, finished] = self.forms(way, slots, source, target);
        let [first, others @ ..] = &self.stage.proxies[..] else {
            return;
        };
        for changes in [&locked, &unlocked] {
            self.tell(first, changes, None).await;
            pause(10).await;
        }
        if way == Way::Locked {
            move_at_once(slots, source, target);
        }
        for changes in [&locked, &unlocked] {
            self.write_down(changes);
            for proxy in others {
                self.tell(proxy, changes, None).await;
            }
        }
        self.move_keys(slots, source, target).await;
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

    /// What a bulk mover does: all keys of the slots, in small batches, until none is left.
    async fn move_keys(&self, slots: &BTreeSet<SlotId>, source: &Rc<Server>, target: &Rc<Server>) {
        loop {
            let (answer, answered) = oneshot::channel();
            source.connect("the mover".to_owned(), answer);
            if let Ok(io) = answered.await
                && self.move_keys_over(io, slots, source, target).await.is_some()
            {
                return;
            }
            pause(20).await;
        }
    }

    /// `None` when the connection is of no use any more, or the mover has crashed.
    async fn move_keys_over(
        &self,
        io: DuplexStream,
        slots: &BTreeSet<SlotId>,
        source: &Rc<Server>,
        target: &Rc<Server>,
    ) -> Option<()> {
        let random = &self.stage.world.random;
        let mut talk = Talk { io, unread: Vec::new() };
        loop {
            // What an earlier mover has asked for is over before this is answered.
            talk.ask(&["PING"]).await?;
            let places = source.look(|store| store.places_of(slots));
            let Some((database, key)) = places.first() else {
                return Some(());
            };
            talk.ask(&["SELECT", &database.to_string()]).await?;
            let (host, port) = (target.addr.host(), target.addr.port().to_string());
            let is_same_slot =
                |name: &str| routing::slot_of(name.as_bytes()) == routing::slot_of(key.as_bytes());
            let same = places.iter().filter(|place| place.0 == *database && is_same_slot(&place.1));
            let batch: Vec<_> =
                same.take(1 + random.index(3)).map(|place| place.1.as_str()).collect();
            let slot = routing::slot_of(key.as_bytes()).index().to_string();
            let database = database.to_string();
            let args: Vec<&str> = match self.method {
                Method::Migrate => {
                    ["MIGRATE", host, &port, "", &database, TIMEOUT_MS, "REPLACE", "KEYS"]
                        .into_iter()
                        .chain(batch)
                        .collect()
                }
                Method::Sync => vec!["SLOTSMGRTTAGONE", host, &port, TIMEOUT_MS, key],
                Method::SemiAsync => {
                    let limits = ["200", "9999", slot.as_str(), "2"];
                    ["SLOTSMGRTTAGSLOT-ASYNC", host, &port, TIMEOUT_MS]
                        .into_iter()
                        .chain(limits)
                        .collect()
                }
            };
            if self.stage.has_faults && random.percent(5) {
                self.stage.world.event(format_args!("the mover crashes"));
                let _ = talk.io.write_all(&request(&args)).await;
                return None;
            }
            talk.ask(&args).await?;
            pause(random.below(20)).await;
        }
    }

    /// What the proxies are told in turn: locked, unlocked, finished.
    fn forms(
        &self,
        way: Way,
        slots: &BTreeSet<SlotId>,
        source: &Rc<Server>,
        target: &Rc<Server>,
    ) -> [Changes; 3] {
        let finished = self.form(slots, target, None, false);
        match way {
            Way::Locked => [self.form(slots, source, None, true), finished.clone(), finished],
            Way::Migrating => [
                self.form(slots, target, Some(source), true),
                self.form(slots, target, Some(source), false),
                finished,
            ],
        }
    }

    fn form(
        &self,
        slots: &BTreeSet<SlotId>,
        primary: &Rc<Server>,
        source: Option<&Rc<Server>>,
        is_locked: bool,
    ) -> Changes {
        let group = |server: &Rc<Server>| u32::try_from(server.index + 1).unwrap();
        let assignment = SlotAssignment {
            source: source.map(|source| SlotSource {
                addr: source.addr.clone(),
                group: group(source),
                keeps_target: false,
            }),
            is_locked,
            forward_method: u8::from(self.method == Method::SemiAsync),
            ..SlotAssignment::primary_only(primary.addr.clone(), group(primary))
        };
        slots.iter().map(|slot| (*slot, assignment.clone())).collect()
    }
}

/// A conversation of the mover with a server.
struct Talk {
    io: DuplexStream,
    unread: Vec<u8>,
}

impl Talk {
    async fn ask(&mut self, args: &[&str]) -> Option<Reply> {
        self.io.write_all(&request(args)).await.ok()?;
        loop {
            if let Some(reply) = take_reply(&mut self.unread) {
                return Some(reply);
            }
            let read = timeout(MOVE_TIMEOUT, self.io.read_buf(&mut self.unread)).await;
            if !matches!(read, Ok(Ok(1..))) {
                return None;
            }
        }
    }
}

/// Moves keys while no proxy sends anything for them.
fn move_at_once(slots: &BTreeSet<SlotId>, source: &Rc<Server>, target: &Rc<Server>) {
    for place in target.look(|store| store.places_of(slots)) {
        target.look(|store| store.remove(&place));
    }
    for place in source.look(|store| store.places_of(slots)) {
        if let Some(value) = source.look(|store| store.remove(&place)) {
            target.look(|store| store.put(place, value));
        }
    }
}
