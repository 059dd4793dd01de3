//! The driver: takes one random step after another, and brings the run to its end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use actix::System;
use actors::topology::FillSlots;
use routing::{SlotAssignment, SlotId, SlotTable, slot_of};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::backend::{Backend, Mode};
use crate::checker::{Assignment, Changes, Checker};
use crate::client::Client;
use crate::proxy::{self, Proxy};

const WORKERS: usize = 3;
const BACKENDS: usize = 4;
const CLIENTS: usize = 6;
const STEPS: usize = 100;

/// Few slots have requests, so that fills meet them.
const TAGS: usize = 12;

/// Requests that a client has without a reply before it sends no more.
const CLIENT_WAITING_MAX: usize = 100;

/// Requests of each client for slots that are locked.
const CROWD_REQUESTS: u64 = 60;

/// The time that a step lasts.
const STEP: Duration = Duration::from_millis(2);

/// Far longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(20);

/// Numbers from a seed (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % end
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }

    pub(crate) fn choose<'i, T>(&mut self, items: &'i [T]) -> &'i T {
        &items[self.index(items.len())]
    }
}

/// Runs a seed; panics with the seed and the step when a rule is broken.
pub(crate) fn run(seed: u64) {
    System::new().block_on(async move {
        let mut driver = Driver::start(seed).await;
        for step in 0..STEPS {
            driver.step().await;
            driver.check(step);
        }
        driver.finish().await;
        driver.check(STEPS);
        println!("seed {seed}: {:?}", driver.checker.borrow().counts);
    });
}

/// Backend 0 with replica 1 serves all slots. A read of two slots waits at the replica, which cannot
/// serve it, when a fill moves the second slot to backend 2.
pub(crate) fn hand_back_while_a_slot_moves() {
    System::new().block_on(async {
        let mut driver = Driver::start(1).await;
        let slots = driver.tags[..2].to_vec();
        let assignment = Assignment { primary: 0, replica: Some(1), is_locked: false };
        driver.fill(&SlotId::all().map(|slot| (slot, assignment)).collect());
        driver.wait_until("a replica", |driver| driver.fills_under_way.get() == 0).await;
        // A replica serves when its connection has been made, on first use.
        let received = |driver: &Driver| driver.checker.borrow().counts.received_by[1];
        while received(&driver) == 0 {
            driver.clients[0].send_mget(&slots).await;
            driver.wait_until("a reply", |driver| driver.clients[0].has_all_replies()).await;
        }
        driver.backends[0].become_mode(Mode::Slow);
        driver.backends[1].become_mode(Mode::Loading);
        let before = received(&driver);
        driver.clients[0].send_mget(&slots).await;
        driver.wait_until("the read", |driver| received(driver) > before).await;
        let moved = Assignment { primary: 2, replica: None, is_locked: false };
        driver.fill(&vec![(slot_of(slots[1].as_bytes()), moved)]);
        driver.backends[1].allow(1);
        driver.wait_until("the fill", |driver| driver.fills_under_way.get() == 0).await;
        driver.backends[0].become_mode(Mode::Prompt);
        driver.wait_until("all replies", |driver| driver.clients[0].has_all_replies()).await;
        driver.check(0);
        assert_eq!(driver.checker.borrow().counts.try_again, 1);
    });
}

struct Driver {
    seed: u64,
    random: Random,
    parked_max: usize,
    checker: Rc<RefCell<Checker>>,
    backends: Vec<Rc<Backend>>,
    proxy: Proxy,
    clients: Vec<Client>,
    tags: Vec<String>,
    fills: u64,
    fills_under_way: Rc<Cell<u64>>,
    /// Between two steps the proxy has this long.
    pace: Interval,
}

impl Driver {
    async fn start(seed: u64) -> Self {
        let mut random = Random(seed);
        let first = Assignment { primary: 0, replica: None, is_locked: false };
        let checker = Rc::new(RefCell::new(Checker::new(first)));
        let mut backends = Vec::new();
        for index in 0..BACKENDS {
            backends.push(Backend::start(index, Rc::clone(&checker)).await);
        }
        let table = SlotTable::spread(&[backends[0].addr.clone()]).unwrap();
        let parked_max = *random.choose(&[4, 40, 65_536]);
        let proxy = Proxy::start(WORKERS, &table, proxy::config(parked_max)).await;
        let mut clients = Vec::new();
        for index in 0..CLIENTS {
            clients.push(Client::connect(index, proxy.addr, Rc::clone(&checker)).await);
        }
        let tags = (0..TAGS).map(|tag| format!("t{tag}")).collect();
        let fills_under_way = Rc::default();
        let mut pace = tokio::time::interval(STEP);
        // On a busy machine steps get longer, not fewer.
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            seed,
            random,
            parked_max,
            checker,
            backends,
            proxy,
            clients,
            tags,
            fills: 0,
            fills_under_way,
            pace,
        }
    }

    fn check(&self, step: usize) {
        let checker = self.checker.borrow();
        let violations = checker.violations.join("\n  ");
        assert!(
            violations.is_empty(),
            "seed {} (KEYWAY_SEED={}), step {step}:\n  {violations}",
            self.seed,
            self.seed
        );
    }

    async fn step(&mut self) {
        match self.random.below(20) {
            0..6 => self.fill_some(),
            6 => self.fill_all(false),
            7 => self.fill_all(true),
            8..10 => self.backends[self.random.index(BACKENDS)].become_mode(Mode::Slow),
            10..13 => self.backends[self.random.index(BACKENDS)].become_mode(Mode::Prompt),
            13 if self.has_faults() => {
                self.backends[self.random.index(BACKENDS)].become_mode(Mode::Dead);
            }
            14 if self.has_faults() => {
                self.backends[self.random.index(BACKENDS)].become_mode(Mode::Loading);
            }
            _ => {}
        }
        for backend in &self.backends {
            if matches!(backend.mode(), Mode::Slow | Mode::Loading) {
                backend.allow(self.random.below(6));
            }
        }
        for client in &mut self.clients {
            if client.waiting() < CLIENT_WAITING_MAX && self.random.below(3) > 0 {
                let requests = 1 + self.random.below(12);
                client.send(requests, &self.tags, &mut self.random).await;
                let named = self.random.index(BACKENDS);
                client.send_named(named, self.backends[named].addr.as_str()).await;
            }
        }
        self.pace.tick().await;
    }

    /// Half of the seeds have none, so that no request may fail in them.
    fn has_faults(&self) -> bool {
        matches!(self.seed % 4, 0 | 3)
    }

    /// Fills one slot or several of those with requests.
    fn fill_some(&mut self) {
        let count = 1 + self.random.index(4);
        let mut changes = Changes::new();
        for _ in 0..count {
            let slot = slot_of(self.random.choose(&self.tags).as_bytes());
            changes.push((slot, self.assignment()));
        }
        self.fill(&changes);
    }

    fn fill_all(&mut self, is_locked: bool) {
        let assignment = Assignment { is_locked, ..self.assignment() };
        self.fill(&SlotId::all().map(|slot| (slot, assignment)).collect());
    }

    fn assignment(&mut self) -> Assignment {
        let primary = self.random.index(BACKENDS);
        let other = (primary + 1 + self.random.index(BACKENDS - 1)) % BACKENDS;
        let replica = (self.random.below(2) == 0).then_some(other);
        Assignment { primary, replica, is_locked: self.random.below(8) == 0 }
    }

    /// Orders a fill; its answer comes later.
    fn fill(&mut self, changes: &Changes) {
        self.fills += 1;
        let number = self.fills;
        let addr = |index: usize| self.backends[index].addr.clone();
        let real = changes.iter().map(|(slot, assignment)| {
            let real = SlotAssignment {
                replica_groups: assignment.replica.iter().map(|index| vec![addr(*index)]).collect(),
                is_locked: assignment.is_locked,
                ..SlotAssignment::primary_only(addr(assignment.primary), 1)
            };
            (*slot, real)
        });
        let answer =
            self.proxy.topology.send(FillSlots { changes: real.collect(), cut_off_after: None });
        self.checker.borrow_mut().fill_ordered(number, changes);
        let (checker, under_way) = (Rc::clone(&self.checker), Rc::clone(&self.fills_under_way));
        under_way.set(under_way.get() + 1);
        actix_rt::spawn(async move {
            let is_done = answer.await.unwrap().is_ok();
            checker.borrow_mut().fill_answered(number, is_done);
            under_way.set(under_way.get() - 1);
        });
    }

    /// Lets everything come to its end: all backends live, all slots served, all replies there.
    async fn finish(&mut self) {
        for backend in &self.backends {
            backend.become_mode(Mode::Prompt);
        }
        self.fill_all_at_last(false).await;
        self.wait_until("all replies", |driver| driver.clients.iter().all(Client::has_all_replies))
            .await;
        self.crowd().await;
    }

    /// Rule 4: of many requests for locked slots only so many wait; the others are refused.
    async fn crowd(&mut self) {
        self.fill_all_at_last(true).await;
        let failures_before = self.proxy.failures();
        for client in &mut self.clients {
            client.send(CROWD_REQUESTS, &self.tags, &mut self.random).await;
        }
        // A refusal waits in the proxy for the replies before it, so that only the proxy can tell.
        let waiting_max = self.parked_max as u64 * WORKERS as u64;
        let refused_min = (CROWD_REQUESTS * CLIENTS as u64).saturating_sub(waiting_max);
        self.wait_until("requests refused", |driver| {
            driver.proxy.failures() - failures_before >= refused_min
        })
        .await;
        self.fill_all_at_last(false).await;
        self.wait_until("all replies after a crowd", |driver| {
            driver.clients.iter().all(Client::has_all_replies)
        })
        .await;
    }

    /// Fills all slots when no other fill is under way, again when a fill is given up.
    async fn fill_all_at_last(&mut self, is_locked: bool) {
        self.wait_until("no fill under way", |driver| driver.fills_under_way.get() == 0).await;
        let filled = |driver: &Self| driver.checker.borrow().counts.filled;
        let before = filled(self);
        let assignment = Assignment { primary: 0, replica: None, is_locked };
        while filled(self) == before {
            self.fill(&SlotId::all().map(|slot| (slot, assignment)).collect());
            self.wait_until("the last fill", |driver| driver.fills_under_way.get() == 0).await;
        }
    }

    async fn wait_until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        let mut polls = tokio::time::interval(STEP);
        while !is_so(self) {
            self.check(STEPS);
            if Instant::now() > deadline {
                panic!("seed {}: {what}: {}", self.seed, self.describe().await);
            }
            polls.tick().await;
        }
    }

    /// What waits, for whoever looks for the cause.
    async fn describe(&self) -> String {
        let waiting: Vec<_> = self.clients.iter().map(Client::waiting).collect();
        let fills = self.fills_under_way.get();
        let conns = self.proxy.backends().await.join("\n  ");
        let checker = self.checker.borrow();
        let in_progress = checker.in_progress();
        format!("clients wait for {waiting:?}, {fills} fills, {in_progress:?}\n  {conns}")
    }
}
