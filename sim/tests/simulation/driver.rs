//! The driver: starts a run, lets things go wrong, heals them, and asks the checker.

use std::cell::Cell;
use std::panic;
use std::rc::Rc;
use std::sync::Once;
use std::time::Duration;

use routing::slot_of;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::checker::{check_list, check_register};
use crate::client::{Client, Counts, Key, Stage};
use crate::control::{Control, Method};
use crate::history::History;
use crate::proxy::{Proxy, join};
use crate::server::{Cut, Kind, Network};
use crate::world::{World, pause, simulate};

const PROXIES: usize = 2;
const SERVERS: usize = 3;
const CLIENTS: u64 = 5;
const TAGS: usize = 6;
const STEPS: u64 = 50;

/// Every so many seeds nothing goes wrong, so nothing may fail.
const SEEDS_PER_QUIET_ONE: u64 = 4;

/// Longer than anything takes when nothing is wrong any more.
const HEALED_TIMEOUT: Duration = Duration::from_secs(60);

thread_local! {
    static PANICS: Cell<u64> = const { Cell::new(0) };
}

/// A rule that is broken on purpose, to see that the checker notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Keys move before all proxies agree.
    Agreement,
    /// A source that does not answer in time is taken for one that has let go of a key.
    Unknown,
}

/// How a run went.
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) violations: Vec<String>,
    pub(crate) hash: u64,
    pub(crate) last_events: Vec<String>,
    pub(crate) counts: String,
}

/// Runs a seed to its end.
pub(crate) fn run(seed: u64, broken: Option<Broken>) -> Report {
    count_panics();
    PANICS.set(0);
    actors::sim::set_guessing(broken == Some(Broken::Unknown));
    let report = simulate(seed, async |world| {
        let counts = Driver::start(seed, broken, Rc::clone(&world)).run().await;
        if PANICS.get() > 0 {
            world.violate("panic", format_args!("{} of them, see above", PANICS.get()));
        }
        Report {
            seed,
            violations: world.violations(),
            hash: world.hash(),
            last_events: world.last_events(),
            counts,
        }
    });
    actors::sim::set_connector(None);
    actors::sim::set_guessing(false);
    report
}

/// A task that panics ends alone; the run is to know of it.
fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.set(PANICS.get() + 1);
            before(info);
        }));
    });
}

struct Driver {
    stage: Rc<Stage>,
    network: Rc<Network>,
    control: Rc<Control>,
}

impl Driver {
    fn start(seed: u64, broken: Option<Broken>, world: Rc<World>) -> Self {
        let methods = [Method::Migrate, Method::Sync, Method::SemiAsync];
        let method = *world.random.choose(&methods);
        let kind = if method == Method::Migrate { Kind::Stock } else { Kind::Codis };
        world.event(format_args!("{method:?}"));
        let network = Network::start(&world, SERVERS, kind);
        join(&network);
        let mut keys = Vec::new();
        for tag in 0..TAGS {
            let key = |database: u16, kind: &str| Key {
                database,
                name: format!("{{t{tag}}}{kind}"),
                is_list: kind == "list",
            };
            keys.extend([key(0, "text"), key(0, "list")]);
            // Some slots have more, here and elsewhere.
            if tag < 2 {
                keys.extend([key(0, "more"), key(1, "text"), key(1, "list")]);
            }
        }
        let mut slots: Vec<_> = keys.iter().map(|key| slot_of(key.name.as_bytes())).collect();
        slots.dedup();
        let has_faults = !seed.is_multiple_of(SEEDS_PER_QUIET_ONE);
        let proxies = (0..PROXIES).map(|index| Proxy::new(index, Rc::clone(&world)));
        let stage = Rc::new(Stage {
            proxies: proxies.collect(),
            history: History::new(keys.len()),
            keys,
            has_faults,
            // See README.md, what is not modelled.
            has_deletions: method != Method::SemiAsync || !has_faults,
            is_over: Cell::default(),
            counts: Counts::default(),
            world,
        });
        let is_hasty = broken == Some(Broken::Agreement);
        let control = Control::new(Rc::clone(&stage), Rc::clone(&network), method, slots, is_hasty);
        Self { stage, network, control }
    }

    /// Gives what the run has had.
    async fn run(self) -> String {
        let world = Rc::clone(&self.stage.world);
        self.start_proxies();
        let control = world.spawn(Rc::clone(&self.control).run());
        let clients = (0..CLIENTS).map(|number| {
            let client = Client::new(number, Rc::clone(&self.stage));
            world.spawn(client.run())
        });
        let clients: Vec<_> = clients.collect();
        for _ in 0..STEPS {
            pause(1 + world.random.below(50)).await;
            if self.stage.has_faults && world.random.percent(30) {
                self.break_something();
            }
        }
        self.heal().await;
        self.control.stop();
        self.wait_for("the control plane", [control]).await;
        self.stage.is_over.set(true);
        self.wait_for("the clients", clients).await;
        for (proxy, number) in self.stage.proxies.iter().zip(CLIENTS..) {
            // Nothing is wrong any more, so nothing may fail.
            Client::new(number, Rc::clone(&self.stage)).read_all(proxy).await;
        }
        self.judge();
        self.stage.counts.to_string()
    }

    fn start_proxies(&self) {
        for proxy in self.stage.proxies.iter().filter(|proxy| !proxy.is_started()) {
            proxy.start(self.control.record());
        }
    }

    fn break_something(&self) {
        let world = &self.stage.world;
        let random = &world.random;
        let server = Rc::clone(random.choose(&self.network.servers));
        let cut = *random.choose(&[Cut::BeforeExecution, Cut::AfterExecution]);
        match random.below(100) {
            0..15 => server.become_slow(true),
            15..30 => server.become_slow(false),
            30..55 => server.cut_some(cut),
            55..70 => server.cut_next_copy(cut),
            70..82 => {
                server.become_frozen(true);
                let ms = 50 + random.below(1500);
                world.spawn(async move {
                    pause(ms).await;
                    server.become_frozen(false);
                });
            }
            82..90 => {
                server.become_unreachable(true);
                let ms = 20 + random.below(500);
                world.spawn(async move {
                    pause(ms).await;
                    server.become_unreachable(false);
                });
            }
            _ => {
                let proxy = Rc::clone(random.choose(&self.stage.proxies));
                let control = Rc::clone(&self.control);
                proxy.crash();
                let ms = 20 + random.below(600);
                world.spawn(async move {
                    pause(ms).await;
                    if !proxy.is_started() {
                        proxy.start(control.record());
                    }
                });
            }
        }
    }

    /// Ends all faults.
    async fn heal(&self) {
        for server in &self.network.servers {
            server.become_slow(false);
            server.become_frozen(false);
            server.become_unreachable(false);
        }
        self.start_proxies();
        pause(300).await;
    }

    async fn wait_for(&self, what: &str, tasks: impl IntoIterator<Item = JoinHandle<()>>) {
        for task in tasks {
            if timeout(HEALED_TIMEOUT, task).await.is_err() {
                self.stage.world.violate("end", format_args!("{what} came to no end"));
            }
        }
    }

    fn judge(&self) {
        let world = Rc::clone(&self.stage.world);
        for (key, operations) in self.stage.keys.iter().zip(self.stage.history.operations()) {
            let judged = match key.is_list {
                true => check_list(&operations),
                false => check_register(&operations),
            };
            if let Err(what) = judged {
                world.violate("history", format_args!("{} of {}: {what}", key.name, key.database));
            }
        }
    }
}
